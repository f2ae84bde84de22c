/**
 * Questions to this daemon's own copy. Nothing here waits for the network or writes anything that is replicated.
 */
import { ChrysalisError } from '../base/errors.ts'
import { fromHex, isHex, toHex, utf8 } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { parseAuthor } from '../base/peer-id.ts'
import type { Hasher, Verifier } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Store } from '../ports/store.ts'
import type { ListPosition, RecallFilters as IndexFilters } from '../recall/recall-doc.ts'
import { splitRangeKey } from '../sync/replica.ts'
import type {
  DigestAnswer,
  HistoryEntry,
  LineageNode,
  ListAnswer,
  ListRequest,
  MemoryItem,
  RecallFilters,
  SearchAnswer,
  SearchHit,
  SearchRequest,
  TallyAnswer,
  VerifyReport
} from './api.ts'
import { stateDigest, verifyStored } from './audit.ts'
import type { Ballots } from './ballots.ts'
import type { DeltaWatch } from './deltas.ts'
import { historyOf, lineageOf } from './history.ts'
import type { Indexer } from './indexer.ts'
import type { Items } from './items.ts'
import type { Records } from './records.ts'
import { resolveRecord, type Place, type Spaces } from './spaces.ts'

export interface ReadPorts {
  readonly store: Store
  readonly crypto: Hasher & Verifier
  readonly clock: Clock
  readonly records: Records
  readonly items: Items
  readonly indexer: Indexer
  readonly ballots: Ballots
  readonly spaces: Spaces
  readonly watch?: DeltaWatch
}

const LIST_DEFAULT = 50
const LINEAGE_DEPTH_DEFAULT = 8
const LINEAGE_DEPTH_MAX = 64
const IDS_PAGE_MAX = 10_000

export class Reads {
  readonly #ports: ReadPorts
  readonly #searchLimit: number
  /** Hears which records an answer showed, so that reads can be counted. */
  readonly #shown: (places: readonly Place[]) => void

  constructor(options: { searchLimit: number }, ports: ReadPorts, shown: (places: readonly Place[]) => void) {
    this.#searchLimit = options.searchLimit
    this.#ports = ports
    this.#shown = shown
  }

  async resolve(reference: string, space?: string): Promise<Place> {
    return resolveRecord(this.#ports, this.#ports.spaces, reference, space)
  }

  async get(ids: readonly string[], space?: string): Promise<(MemoryItem | null)[]> {
    for (const id of ids) {
      if (isHex(id, 32)) continue
      throw new ChrysalisError('invalid_argument', `'${id}' is not a full memory id`, {
        hint: 'Give all 64 hexadecimal digits in lower case, or resolve a prefix or key first.'
      })
    }
    const answers: (MemoryItem | null)[] = ids.map(() => null)
    for (const one of this.#ports.spaces.among(space)) {
      // Most homes keep nothing in their private space: that question needs no disk.
      if (one.replica.tree.count === 0) continue
      const open = ids.flatMap((_, index) => (answers[index] === null ? [index] : []))
      if (open.length === 0) break
      const items = await this.#ports.items.load(
        one,
        open.map((index) => ids[index] as string)
      )
      items.forEach((item, i) => {
        if (item !== undefined) answers[open[i] as number] = item
      })
    }
    return answers
  }

  async search(request: SearchRequest): Promise<SearchAnswer> {
    if (utf8(request.query).length > LIMITS.queryBytesMax) {
      throw new ChrysalisError('too_large', `the query is longer than ${LIMITS.queryBytesMax} bytes`, {
        hint: 'Ask with a few words or a sentence.'
      })
    }
    const { indexer, clock } = this.#ports
    await indexer.catchUp()
    const limit = clampLimit(request.limit, this.#searchLimit)
    const { hits, dropped } = indexer.index.search({
      query: request.query,
      filters: this.#filters(request),
      limit,
      ranking: request.ranking ?? 'fused',
      explain: request.explain ?? false,
      nowMs: clock.nowMs()
    })
    const items = await this.#loadMany(hits)
    const answers: SearchHit[] = []
    let unverified = 0
    for (const hit of hits) {
      const item = items.get(hit.space + hit.id)
      if (item === undefined) continue
      if (request.verifiedOnly === true && !item.verified) {
        unverified++
        continue
      }
      answers.push({ ...item, score: hit.score, ...(hit.why === undefined ? {} : { why: hit.why }) })
    }
    this.#shown(answers.map((item) => ({ space: this.#ports.spaces.find(item.space), id: item.id })))
    return { items: answers, index: this.indexState(), dropped: dropped + unverified }
  }

  indexState(): SearchAnswer['index'] {
    const { indexer, spaces } = this.#ports
    let records = 0
    for (const space of spaces.all) records += indexer.recordCount(space.id)
    const complete = indexer.complete && indexer.behind === 0
    return { state: complete ? 'complete' : 'partial', indexed: indexer.index.size, records: records + indexer.behind }
  }

  async list(request: ListRequest): Promise<ListAnswer> {
    const { indexer, clock } = this.#ports
    await indexer.catchUp()
    const limit = clampLimit(request.limit, LIST_DEFAULT)
    const after = request.cursor === undefined ? undefined : parseListCursor(request.cursor)
    const docs = indexer.index.list(this.#filters(request), {
      limit,
      nowMs: clock.nowMs(),
      ...(after === undefined ? {} : { after })
    })
    const loaded = await this.#loadMany(docs)
    const items = docs.flatMap((doc) => {
      const item = loaded.get(doc.space + doc.id)
      return item === undefined || (request.verifiedOnly === true && !item.verified) ? [] : [item]
    })
    const last = docs.at(-1)
    const cursor = docs.length < limit || last === undefined ? null : `${last.createdAt}.${last.id}`
    return { items, cursor }
  }

  async history(reference: string, space?: string): Promise<HistoryEntry[]> {
    const place = await this.resolve(reference, space)
    return historyOf(this.#ports, place.space, place.id)
  }

  async lineage(reference: string, options: { depth?: number; space?: string } = {}): Promise<LineageNode[]> {
    const place = await this.resolve(reference, options.space)
    const depth = Math.min(Math.max(1, options.depth ?? LINEAGE_DEPTH_DEFAULT), LINEAGE_DEPTH_MAX)
    return lineageOf(this.#ports, place.space, place.id, depth)
  }

  async verify(request: { ids?: readonly string[]; space?: string }): Promise<VerifyReport> {
    const spaces = this.#ports.spaces.among(request.space)
    if (request.ids === undefined) return verifyStored(this.#ports, spaces, undefined)
    const places: Place[] = []
    for (const id of request.ids) places.push(await this.resolve(id, request.space))
    return verifyStored(this.#ports, [...new Set(places.map((place) => place.space))], places)
  }

  async tally(reference: string, spaceReference?: string): Promise<TallyAnswer> {
    const { space, id } = await this.resolve(reference, spaceReference)
    const record = await this.#ports.records.get(space.id, id)
    if (record === undefined) throw new ChrysalisError('not_found', `no memory ${id}`)
    return { id, ...this.#ports.ballots.count(record.state) }
  }

  async digest(reference?: string): Promise<DigestAnswer> {
    const space = this.#ports.spaces.find(reference)
    const { records, state } = await stateDigest(this.#ports, space)
    return {
      space: space.id,
      name: space.options.name,
      deltas: space.replica.tree.count,
      records,
      root: toHex(space.replica.tree.root()),
      state
    }
  }

  async deltaIds(request: {
    space?: string
    cursor?: string
    limit?: number
  }): Promise<{ ids: string[]; cursor: string | null }> {
    const space = this.#ports.spaces.find(request.space)
    const limit = Math.min(Math.max(1, request.limit ?? 1_000), IDS_PAGE_MAX)
    const after = request.cursor === undefined ? undefined : parseKeyCursor(request.cursor)
    const keys = space.replica.tree.snapshot().keysFrom(after, limit)
    const last = keys.at(-1)
    return {
      ids: keys.map((key) => splitRangeKey(key).id),
      cursor: keys.length < limit || last === undefined ? null : toHex(last)
    }
  }

  /** By space and id. */
  async #loadMany(places: readonly { space: string; id: string }[]): Promise<Map<string, MemoryItem>> {
    const { items, spaces } = this.#ports
    const bySpace = new Map<string, string[]>()
    for (const { space, id } of places) {
      const list = bySpace.get(space)
      if (list === undefined) bySpace.set(space, [id])
      else list.push(id)
    }
    const loaded = new Map<string, MemoryItem>()
    for (const [id, list] of bySpace) {
      const space = spaces.byId(id)
      if (space === undefined) continue
      for (const item of await items.load(space, list)) if (item !== undefined) loaded.set(item.space + item.id, item)
    }
    return loaded
  }

  #filters(request: RecallFilters): IndexFilters {
    const { spaces, verifiedOnly: _checkedLater, ...rest } = request
    for (const author of request.authors ?? []) {
      if (parseAuthor(author) !== undefined) continue
      throw new ChrysalisError('invalid_argument', `'${author}' is neither a peer id nor a public key`, {
        hint: 'Peer ids look like 12D3KooW…; see `chrysalis peers`.'
      })
    }
    return spaces === undefined ? rest : { ...rest, spaces: spaces.map((space) => this.#ports.spaces.find(space).id) }
  }
}

function clampLimit(limit: number | undefined, fallback: number): number {
  return Math.min(Math.max(1, limit ?? fallback), LIMITS.recallResultsMax)
}

function parseListCursor(cursor: string): ListPosition {
  const match = /^(\d{1,16})\.([0-9a-f]{64})$/.exec(cursor)
  if (match === null) throw badCursor(cursor)
  return { createdAt: Number(match[1]), id: match[2] as string }
}

function parseKeyCursor(cursor: string): Uint8Array {
  if (!/^[0-9a-f]{76}$/.test(cursor)) throw badCursor(cursor)
  return fromHex(cursor)
}

function badCursor(cursor: string): ChrysalisError {
  return new ChrysalisError('invalid_argument', `'${cursor}' is not a cursor of this question`, {
    hint: 'Use the cursor of the previous answer, unchanged.'
  })
}
