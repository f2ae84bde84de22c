import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LIMITS } from '../../../src/base/limits.ts'
import type { DeltaHeader } from '../../../src/memory/delta.ts'
import { deriveEquivocation, joinProofs, type EquivocationProof } from '../../../src/trust/equivocation.ts'

const id = (n: number): string => n.toString(16).padStart(64, '0')
const header: DeltaHeader = {
  version: 1,
  space: '01'.repeat(16),
  author: 'aa'.repeat(32),
  epoch: 'ee'.repeat(8),
  seq: 7,
  prev: id(99),
  hlc: 0n,
  parents: [],
  bodyHash: '00'.repeat(32),
  bodyLength: 0,
  flags: 0
}
const arrive = (existing: string[], n: number): EquivocationProof | undefined =>
  deriveEquivocation(existing, { id: id(n), header })

/** What a daemon holds after deltas have arrived in this order. */
function proofAfter(order: number[]): EquivocationProof | undefined {
  let proof: EquivocationProof | undefined
  const known: string[] = []
  for (const n of order) {
    const next = arrive(known, n)
    known.push(id(n))
    if (next !== undefined) proof = proof === undefined ? next : joinProofs(proof, next)
  }
  return proof
}

describe('deriveEquivocation', () => {
  it('proves nothing by one delta, seen once or twice', () => {
    assert.equal(arrive([], 1), undefined)
    assert.equal(arrive([id(1)], 1), undefined)
  })

  it('names position and both ids, in order, whichever came first', () => {
    const expected = {
      space: header.space,
      author: header.author,
      epoch: header.epoch,
      seq: 7,
      ids: [id(1), id(2)]
    }
    assert.deepEqual(arrive([id(1)], 2), expected)
    assert.deepEqual(arrive([id(2)], 1), expected)
  })

  it('keeps the least ids, at the limit and beyond it', () => {
    const atLimit = Array.from({ length: LIMITS.proofIdsMax }, (_, i) => i + 2)
    assert.deepEqual(proofAfter(atLimit)?.ids, atLimit.map(id))
    assert.deepEqual(proofAfter([...atLimit, 1])?.ids, [1, ...atLimit.slice(0, -1)].map(id))
    assert.deepEqual(proofAfter([...atLimit, 9])?.ids, atLimit.map(id))
  })

  it('ends with one proof whatever the order of arrival', () => {
    const twins = fc.uniqueArray(fc.nat(40), { minLength: 2, maxLength: 12 })
    fc.assert(
      fc.property(
        twins.chain((ids) => fc.tuple(fc.constant(ids), fc.shuffledSubarray(ids, { minLength: ids.length }))),
        ([a, b]) => {
          assert.deepEqual(proofAfter(a), proofAfter(b))
        }
      )
    )
  })

  it('joins like a lattice', () => {
    const proofs = fc
      .uniqueArray(fc.nat(20), { minLength: 2, maxLength: 6 })
      .map((ids) => proofAfter(ids) as EquivocationProof)
    fc.assert(
      fc.property(proofs, proofs, proofs, (a, b, c) => {
        assert.deepEqual(joinProofs(a, b), joinProofs(b, a))
        assert.deepEqual(joinProofs(joinProofs(a, b), c), joinProofs(a, joinProofs(b, c)))
        assert.deepEqual(joinProofs(a, a), a)
      })
    )
  })

  it('does not join proofs about different positions', () => {
    const proof = proofAfter([1, 2]) as EquivocationProof
    assert.throws(() => joinProofs(proof, { ...proof, seq: 8 }), /position/)
  })
})
