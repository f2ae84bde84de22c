/**
 * A peer whose keys all share a long prefix inside a range where we hold more: what it lacks lies on both sides of that
 * prefix and below it, and still has to be pushed in ascending order without repetition.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { key, NOW_MS, session, Side } from './recon-pair.ts'

test('what a peer lacks around and below its own keys is pushed in order', () => {
  for (let seed = 0; seed < 25; seed++) {
    const all = Array.from({ length: 2_500 }, (_, n) => key(NOW_MS - 60_000 + n * 3, `${seed}/${n}`))
    for (const [from, to] of [
      [0, 64],
      [900, 1_000],
      [1_200, 1_900]
    ] as const) {
      const full = new Side(all)
      const partial = new Side(all.slice(from, to))
      const { initiator, responder } = session(full, partial)
      assert.equal(responder.violation, undefined, `seed ${seed}, peer holds ${from} to ${to}`)
      assert.equal(initiator.result, 'repaired')
      assert.deepEqual(partial.tree.root(), full.tree.root())
    }
  }
})
