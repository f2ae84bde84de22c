/** How the end of a session is read for the pace. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beatOf } from '../../../src/node/reconciliation.ts'
import { SessionLedger, type SessionOutcome } from '../../../src/sync/recon-session.ts'

const ended = (changes: Partial<SessionOutcome>): SessionOutcome => ({
  ...new SessionLedger().outcome('repaired'),
  ...changes
})

test('a session that was cut while something moved goes on at once with the same peer', () => {
  for (const moved of [{ accepted: 1 }, { taken: 1 }]) {
    assert.equal(beatOf(ended({ cut: true, ...moved })), 'onward')
    assert.equal(beatOf(ended({ result: 'partial', ...moved })), 'onward')
  }
  assert.equal(beatOf(ended({ cut: true })), 'different', 'nothing moved')
  assert.equal(beatOf(ended({ accepted: 5 })), 'different', 'everything moved')
})

test('what only has to settle is not worth a session now', () => {
  assert.equal(beatOf(ended({ result: 'partial', accepted: 1, settling: 2 })), 'different')
  assert.equal(beatOf(ended({ result: 'partial', accepted: 1, settling: 2, cut: true })), 'onward')
})

test('a busy peer has not failed, and one that cannot be reached has', () => {
  assert.equal(beatOf(ended({ result: 'failed', refusal: 'busy' })), 'busy')
  assert.equal(beatOf(ended({ result: 'failed', refusal: 'unknown-space' })), 'failed')
  assert.equal(beatOf(ended({ result: 'failed' })), 'failed')
  assert.equal(beatOf(ended({ result: 'equal' })), 'equal')
})
