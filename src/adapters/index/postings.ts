/**
 * Which documents hold a term, as rows of bytes. A term has one row and, once it is in more than a thousand documents,
 * blocks beside it that are full and seldom touched. A posting is document << 8 | details in 32 bits, ascending.
 *
 *     row    [blocks, tailFrom, (from, count) × blocks, postings…]      the last documents of the term are its tail
 *     block  [postings…]                                                documents from `from` up to the next block
 *
 * A memory that is added belongs to the end, so it touches one row for each of its terms; a change in the middle touches
 * one block. Numbers are 32 bits in the order of the machine, since no other machine reads them. A full block fills one
 * page of the database.
 */
import { assert } from '../../base/assert.ts'

export const DETAIL_BITS = 8
export const DETAILS_MAX = (1 << DETAIL_BITS) - 1
export const DOCUMENTS_MAX = 1 << (32 - DETAIL_BITS)
/** With the header of a page of 4,096 bytes, one page. */
export const BLOCK_POSTINGS_MAX = 1_016
const HEAD = 2

/** Documents of `[from, next block's from)`. */
export interface BlockRef {
  from: number
  count: number
}

/** What has to be written or deleted after changes. */
export interface BlockWrite {
  readonly from: number
  /** Undefined: delete it. */
  readonly postings: Uint32Array | undefined
}

export interface Occurrence {
  readonly document: number
  /** 1 to DETAILS_MAX, how often and in which forms (term-counts.ts); 0 takes the document out. */
  readonly details: number
}

/** Postings of the whole row: of its blocks and its tail. */
export function countOf(row: Uint32Array): number {
  const blocks = row[0] as number
  let count = row.length - HEAD - 2 * blocks
  for (let i = 0; i < blocks; i++) count += row[HEAD + 2 * i + 1] as number
  return count
}

/** Number of blocks, and where each begins: `fromOf(row, i)`. */
export function blocksOf(row: Uint32Array): number {
  return row[0] as number
}

export function fromOf(row: Uint32Array, block: number): number {
  return row[HEAD + 2 * block] as number
}

/** Where the postings of the tail begin in the row. */
export function tailAt(row: Uint32Array): number {
  return HEAD + 2 * (row[0] as number)
}

/**
 * The row after changes; undefined when no posting is left. `occurrences` ascend by document, each once. `readBlock`
 * gives the postings of a block by its `from`; `writes` takes what is to be written beside the row.
 */
export function applyTo(
  row: Uint32Array | undefined,
  occurrences: readonly Occurrence[],
  readBlock: (from: number) => Uint32Array,
  writes: BlockWrite[]
): Uint32Array | undefined {
  const blocks: BlockRef[] = []
  let tailFrom = 0
  let tail: Uint32Array = new Uint32Array(0)
  if (row !== undefined) {
    for (let i = 0; i < blocksOf(row); i++) {
      blocks.push({ from: fromOf(row, i), count: row[HEAD + 2 * i + 1] as number })
    }
    // Without blocks everything is tail, whatever once lay before it.
    tailFrom = blocks.length === 0 ? 0 : (row[1] as number)
    tail = row.subarray(tailAt(row))
  }
  const inTail = firstFrom(occurrences, tailFrom)
  const kept = inTail === 0 ? blocks : changeBlocks(blocks, occurrences.slice(0, inTail), readBlock, writes)
  tail = merged(tail, occurrences, inTail, occurrences.length)
  while (tail.length > BLOCK_POSTINGS_MAX) {
    const full = tail.slice(0, BLOCK_POSTINGS_MAX)
    tail = tail.subarray(BLOCK_POSTINGS_MAX)
    kept.push({ from: tailFrom, count: full.length })
    writes.push({ from: tailFrom, postings: full })
    tailFrom = documentOf(full[full.length - 1] as number) + 1
  }
  if (kept.length === 0 && tail.length === 0) return undefined
  return joined(kept, tailFrom, tail)
}

function changeBlocks(
  blocks: readonly BlockRef[],
  occurrences: readonly Occurrence[],
  readBlock: (from: number) => Uint32Array,
  writes: BlockWrite[]
): BlockRef[] {
  const kept: BlockRef[] = []
  let at = 0
  blocks.forEach((block, i) => {
    const next = blocks[i + 1]?.from ?? Infinity
    const start = at
    while (at < occurrences.length && (occurrences[at] as Occurrence).document < next) at++
    if (at === start) {
      kept.push(block)
      return
    }
    const postings = merged(readBlock(block.from), occurrences, start, at)
    if (postings.length === 0) {
      writes.push({ from: block.from, postings: undefined })
      return
    }
    // The first block takes what comes before it as well; its name must stay below the names of its parts.
    const from = documentOf(postings[0] as number) < block.from ? 0 : block.from
    if (from !== block.from) writes.push({ from: block.from, postings: undefined })
    const parts = Math.ceil(postings.length / BLOCK_POSTINGS_MAX)
    const size = Math.ceil(postings.length / parts)
    for (let part = 0; part < parts; part++) {
      const some = postings.slice(part * size, (part + 1) * size)
      const begin = part === 0 ? from : documentOf(some[0] as number)
      kept.push({ from: begin, count: some.length })
      writes.push({ from: begin, postings: some })
    }
  })
  assert(at === occurrences.length, 'the last block reaches up to the tail')
  return kept
}

/** `postings` with `occurrences[start..end)` put in, replaced or taken out. */
function merged(
  postings: Uint32Array,
  occurrences: readonly Occurrence[],
  start: number,
  end: number
): Uint32Array<ArrayBufferLike> {
  const result = new Uint32Array(postings.length + end - start)
  let length = 0
  let at = 0
  for (let i = start; i < end; i++) {
    const { document, details } = occurrences[i] as Occurrence
    assert(document < DOCUMENTS_MAX && details <= DETAILS_MAX, 'an occurrence fits a posting')
    while (at < postings.length && documentOf(postings[at] as number) < document)
      result[length++] = postings[at++] as number
    if (at < postings.length && documentOf(postings[at] as number) === document) at++
    if (details > 0) result[length++] = (document << DETAIL_BITS) | details
  }
  while (at < postings.length) result[length++] = postings[at++] as number
  return result.subarray(0, length)
}

function joined(blocks: readonly BlockRef[], tailFrom: number, tail: Uint32Array): Uint32Array {
  const row = new Uint32Array(HEAD + 2 * blocks.length + tail.length)
  row[0] = blocks.length
  row[1] = tailFrom
  blocks.forEach(({ from, count }, i) => {
    row[HEAD + 2 * i] = from
    row[HEAD + 2 * i + 1] = count
  })
  row.set(tail, HEAD + 2 * blocks.length)
  return row
}

function documentOf(posting: number): number {
  return posting >>> DETAIL_BITS
}

/** The first occurrence at or behind a document. */
function firstFrom(occurrences: readonly Occurrence[], document: number): number {
  let low = 0
  let high = occurrences.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((occurrences[middle] as Occurrence).document < document) low = middle + 1
    else high = middle
  }
  return low
}
