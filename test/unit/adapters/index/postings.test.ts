/** Packed postings against a plain map, and the shape every row must keep. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  applyTo,
  BLOCK_POSTINGS_MAX,
  blocksOf,
  countOf,
  DETAIL_BITS,
  DETAILS_MAX,
  fromOf,
  tailAt,
  type BlockWrite,
  type Occurrence
} from '../../../../src/adapters/index/postings.ts'

/** A row with its blocks, as the database keeps them. */
class Stored {
  row: Uint32Array | undefined
  readonly blocks = new Map<number, Uint32Array>()

  apply(occurrences: readonly Occurrence[]): void {
    const writes: BlockWrite[] = []
    const read = (from: number): Uint32Array => {
      const block = this.blocks.get(from)
      assert.ok(block !== undefined, `block ${from} is stored`)
      return block
    }
    this.row = applyTo(this.row, occurrences, read, writes)
    for (const { from, postings } of writes) {
      if (postings === undefined) assert.ok(this.blocks.delete(from), 'only what is there is deleted')
      else this.blocks.set(from, postings.slice())
    }
  }

  /** By document; also checks order, sizes and that no block is left over. */
  content(): Map<number, number> {
    const { row } = this
    if (row === undefined) {
      assert.equal(this.blocks.size, 0, 'no block without a row')
      return new Map()
    }
    const parts: Uint32Array[] = []
    for (let i = 0; i < blocksOf(row); i++) {
      const block = this.blocks.get(fromOf(row, i))
      assert.ok(block !== undefined && block.length > 0 && block.length <= BLOCK_POSTINGS_MAX)
      parts.push(block)
    }
    assert.equal(this.blocks.size, parts.length, 'every stored block is named')
    parts.push(row.subarray(tailAt(row)))
    const all = parts.flatMap((part) => [...part])
    assert.equal(countOf(row), all.length)
    assert.ok(row.length - tailAt(row) <= BLOCK_POSTINGS_MAX, 'the tail is no longer than a block')
    const documents = all.map((posting) => posting >>> DETAIL_BITS)
    assert.deepEqual(
      documents,
      [...new Set(documents)].sort((a, b) => a - b),
      'ascending, each once'
    )
    return new Map(all.map((posting) => [posting >>> DETAIL_BITS, posting & DETAILS_MAX]))
  }
}

function occurrencesOf(changes: ReadonlyMap<number, number>): Occurrence[] {
  return [...changes].sort(([a], [b]) => a - b).map(([document, details]) => ({ document, details }))
}

const range = (from: number, to: number, step = 1): Map<number, number> => {
  const changes = new Map<number, number>()
  for (let document = from; document < to; document += step) changes.set(document, 1 + (document % DETAILS_MAX))
  return changes
}

const change = fc.oneof(
  // A run of documents, as a start brings them; scattered ones, as changes do; and whole runs taken away.
  fc
    .tuple(fc.nat(6_000), fc.nat(2_500), fc.constantFrom(1, 2, 7))
    .map(([from, length, step]) => range(from, from + length, step)),
  fc.array(fc.tuple(fc.nat(9_000), fc.nat(3)), { maxLength: 60 }).map((pairs) => new Map(pairs)),
  fc.tuple(fc.nat(8_000), fc.nat(4_000)).map(([from, length]) => {
    return new Map([...range(from, from + length).keys()].map((document) => [document, 0]))
  })
)

test('any changes in any order leave what a plain map holds', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      const stored = new Stored()
      const plain = new Map<number, number>()
      for (const some of changes) {
        stored.apply(occurrencesOf(some))
        for (const [document, details] of some) {
          if (details === 0) plain.delete(document)
          else plain.set(document, details)
        }
        assert.deepEqual(stored.content(), new Map([...plain].sort(([a], [b]) => a - b)))
      }
    }),
    { numRuns: 150 }
  )
})

test('a block holds as many postings as fit, and the next one begins a new block', () => {
  const stored = new Stored()
  stored.apply(occurrencesOf(range(0, BLOCK_POSTINGS_MAX)))
  assert.equal(stored.blocks.size, 0)
  stored.apply([{ document: BLOCK_POSTINGS_MAX, details: 1 }])
  assert.equal(stored.blocks.size, 1)
  assert.equal(stored.content().size, BLOCK_POSTINGS_MAX + 1)
})

test('the greatest document and details fit, and one more does not', () => {
  const stored = new Stored()
  const document = 2 ** (32 - DETAIL_BITS) - 1
  stored.apply([{ document, details: DETAILS_MAX }])
  assert.deepEqual(stored.content(), new Map([[document, DETAILS_MAX]]))
  assert.throws(() => stored.apply([{ document: document + 1, details: 1 }]))
  assert.throws(() => stored.apply([{ document, details: DETAILS_MAX + 1 }]))
})

test('what comes before the first block after that was emptied does not take the name of another', () => {
  const stored = new Stored()
  const full = BLOCK_POSTINGS_MAX
  stored.apply(occurrencesOf(range(0, 3 * full + 10)))
  stored.apply([...range(0, full).keys()].map((document) => ({ document, details: 0 })))
  stored.apply(occurrencesOf(range(0, full)))
  assert.equal(stored.content().size, 3 * full + 10)
})
