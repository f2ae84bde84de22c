import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DeltaHeader } from '../../../src/memory/delta.ts'
import { admit, type SpaceFacts } from '../../../src/trust/admit.ts'

const SELF = 'aa'.repeat(32)
const OTHER = 'bb'.repeat(32)
const SPACE = '01'.repeat(16)

const header = (author: string, space = SPACE): DeltaHeader => ({
  version: 1,
  space,
  author,
  epoch: '00'.repeat(8),
  seq: 0,
  prev: null,
  hlc: 0n,
  parents: [],
  bodyHash: '00'.repeat(32),
  bodyLength: 0,
  flags: 0
})

const facts = (policy: SpaceFacts['policy']): SpaceFacts => ({ space: SPACE, policy, creator: SELF })

describe('admit', () => {
  it('lets everyone inside the network write in an open space', () => {
    assert.deepEqual(admit(header(SELF), facts('open')), { ok: true })
    assert.deepEqual(admit(header(OTHER), facts('open')), { ok: true })
  })

  it('lets only the founder write in a private space, and names who was refused', () => {
    assert.deepEqual(admit(header(SELF), facts('private')), { ok: true })
    const verdict = admit(header(OTHER), facts('private'))
    assert.ok(!verdict.ok)
    assert.equal(verdict.reason, 'wrong-space')
    assert.match(verdict.detail, new RegExp(OTHER))
  })

  it('refuses a delta of another space, whoever wrote it', () => {
    for (const policy of ['open', 'private'] as const) {
      const verdict = admit(header(SELF, '02'.repeat(16)), facts(policy))
      assert.ok(!verdict.ok)
      assert.equal(verdict.reason, 'wrong-space')
    }
  })
})
