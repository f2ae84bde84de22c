/**
 * Who is known to have written how much. Every author numbers its deltas under each of its epochs without gaps, so the
 * highest number that is here, and how many below it are not, say what is still to come from whom: a registry of
 * agents that nobody has to keep.
 *
 * Heads are read from the author rows. Numbers are counted once, a bounded number of rows for each question, and kept
 * up to date from then on by what is admitted. Local knowledge only: nobody else is told.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { fromHex, isHex, toHex } from '../base/bytes.ts'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { authorToPeerId } from '../base/peer-id.ts'
import { readDeltaHead } from '../memory/delta-head.ts'
import type { AuthorId, DeltaId, Epoch, SpaceId } from '../memory/ids.ts'
import { keyAfter, prefixEnd, type Store } from '../ports/store.ts'
import { bounded } from './restore.ts'
import { authorPrefix, deltaKey, parseAuthorKey, proofKey } from './rows.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { Frontier, FrontiersAnswer, FrontiersRequest } from './sync-api.ts'

/** What is known of one chain. */
interface Chain {
  /** The highest number here. */
  highest: number
  /** Up to here the numbers were counted; -1 when none were. */
  counted: number
  /** So many different ones there are. */
  distinct: number
  /** Raised by every delta that is admitted, so that a count under way sees that it must look again. */
  changes: number
}

/** What one admitted delta says of its chain. */
export interface Place {
  readonly author: AuthorId
  readonly epoch: Epoch
  readonly seq: number
}

const PAGE_ROWS = 1_000
const PAGE_ITEMS = 100
const CURSOR_BYTES = 56

export class Frontiers {
  readonly #store: Store
  readonly #spaces: Spaces
  readonly #chains = new Map<SpaceId, BoundedMap<string, Chain>>()

  constructor(ports: { store: Store; spaces: Spaces }) {
    this.#store = ports.store
    this.#spaces = ports.spaces
  }

  /** The replica was read back from disk: what was counted before is forgotten. */
  restore(space: Space): void {
    const chains = new BoundedMap<string, Chain>(LIMITS.authorHeadsMax)
    for (const [chain, { seq }] of space.replica.chainHeads()) {
      chains.set(chain, { highest: seq, counted: -1, distinct: 0, changes: 0 })
    }
    this.#chains.set(space.id, chains)
  }

  /**
   * A delta was admitted. Answers whether it shows that others are missing: its number is more than one above the highest
   * seen. `isRival`: another delta has its place already.
   */
  note(space: SpaceId, place: Place, isRival: boolean): boolean {
    const chains = this.#chains.get(space)
    if (chains === undefined) return false
    const name = `${place.author}:${place.epoch}`
    let chain = chains.get(name)
    if (chain === undefined) {
      // One that does not begin with its first delta may have rows that were forgotten here: they are counted when asked.
      chain = { highest: place.seq === 0 ? -1 : place.seq, counted: -1, distinct: 0, changes: 0 }
      chains.set(name, chain)
      if (place.seq > 0) return true
    }
    chain.changes++
    const isGap = place.seq > chain.highest + 1
    const isCounted = chain.counted === chain.highest
    if (place.seq > chain.highest) {
      chain.highest = place.seq
      if (isCounted) chain.counted = place.seq
    }
    if (place.seq <= chain.counted && !isRival) chain.distinct++
    return isGap
  }

  /** Chains in the order of (space, author, epoch). Rejects with `invalid_argument` for a cursor that is none. */
  async list(request: FrontiersRequest): Promise<FrontiersAnswer> {
    const limit = Math.max(1, Math.min(request.limit ?? PAGE_ITEMS, LIMITS.rpcPageItemsMax))
    const only = request.space === undefined ? undefined : this.#spaces.find(request.space)
    const end = only === undefined ? undefined : prefixEnd(fromHex(only.id))
    let from =
      request.cursor === undefined ? (only === undefined ? undefined : fromHex(only.id)) : after(request.cursor)
    const budget = { rows: LIMITS.frontierRowsMax }
    const frontiers: Frontier[] = []
    for (;;) {
      const [first] = await this.#store.scan('author', bounded(from ?? new Uint8Array(0), end, 1))
      if (first === undefined) return { frontiers, cursor: null }
      const space = this.#spaces.byId(toHex(first.key.subarray(0, 16)))
      if (space === undefined) {
        // Rows of a space this daemon has left.
        from = prefixEnd(first.key.slice(0, 16))
        if (from === undefined) return { frontiers, cursor: null }
        continue
      }
      const { author, epoch } = parseAuthorKey(first.key)
      frontiers.push(await this.#describe(space, author, epoch, budget))
      from = prefixEnd(authorPrefix(space.id, author, epoch))
      if (from === undefined) return { frontiers, cursor: null }
      if (frontiers.length === limit) return { frontiers, cursor: toHex(authorPrefix(space.id, author, epoch)) }
    }
  }

  async #describe(space: Space, author: AuthorId, epoch: Epoch, budget: { rows: number }): Promise<Frontier> {
    const prefix = authorPrefix(space.id, author, epoch)
    const [last] = await this.#store.scan('author', bounded(prefix, prefixEnd(prefix), 1, true))
    const head = last === undefined ? undefined : parseAuthorKey(last.key)
    const chain = this.#chain(space, author, epoch, head?.seq ?? -1)
    await this.#count(space, author, epoch, chain, budget)
    const proof = proofKey(space.id, author, epoch, 0)
    const [convicted] = await this.#store.scan('proof', bounded(proof, prefixEnd(prefix), 1))
    return {
      space: space.id,
      peer: authorToPeerId(author),
      epoch,
      seq: chain.highest,
      missing: chain.counted < chain.highest ? null : chain.highest + 1 - chain.distinct,
      lastSeenMs: head === undefined ? null : await this.#timeOf(space, head.id),
      equivocated: convicted !== undefined
    }
  }

  #chain(space: Space, author: AuthorId, epoch: Epoch, highest: number): Chain {
    const chains = this.#chains.get(space.id)
    const name = `${author}:${epoch}`
    let chain = chains?.get(name)
    if (chain === undefined) {
      chain = { highest, counted: -1, distinct: 0, changes: 0 }
      chains?.set(name, chain)
    }
    return chain
  }

  /** Counts on from where the last count ended, as far as the budget reaches. */
  async #count(space: Space, author: AuthorId, epoch: Epoch, chain: Chain, budget: { rows: number }): Promise<void> {
    const end = prefixEnd(authorPrefix(space.id, author, epoch))
    while (chain.counted < chain.highest && budget.rows > 0) {
      const { changes, counted, highest } = chain
      const from = authorPrefix(space.id, author, epoch, counted + 1)
      const limit = Math.min(PAGE_ROWS, budget.rows)
      const rows = await this.#store.scan('author', bounded(from, end, limit))
      budget.rows -= Math.max(1, rows.length)
      // What was admitted meanwhile may or may not be among these rows.
      if (chain.changes !== changes || chain.counted !== counted) continue
      const seqs = new Set(rows.map((row) => parseAuthorKey(row.key).seq))
      const isLast = rows.length < limit
      const lastRow = rows.at(-1)
      const lastSeq = lastRow === undefined ? highest : parseAuthorKey(lastRow.key).seq
      // Rivals share a number and may lie on both sides of the end of a page: the last number is counted with the next.
      const isOpen = !isLast && seqs.size > 1
      if (isOpen) seqs.delete(lastSeq)
      chain.distinct += seqs.size
      chain.counted = isLast ? highest : isOpen ? lastSeq - 1 : lastSeq
    }
  }

  async #timeOf(space: Space, id: DeltaId): Promise<number | null> {
    try {
      const row = await this.#store.get('delta', deltaKey(space.id, id))
      return row === undefined ? null : (readDeltaHead(row)?.ms ?? null)
    } catch {
      // A damaged row is healed elsewhere; here it only has no time.
      return null
    }
  }
}

/** The first key after the chain the cursor names. */
function after(cursor: string): Uint8Array {
  if (isHex(cursor, CURSOR_BYTES)) {
    const prefix = fromHex(cursor)
    return prefixEnd(prefix) ?? keyAfter(prefix)
  }
  throw new ChrysalisError('invalid_argument', `'${cursor.slice(0, 120)}' is no cursor of this list`, {
    hint: 'Hand back the cursor of the page before. Nothing was done.'
  })
}
