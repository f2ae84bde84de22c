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
import type { RecallRequest } from '../recall/recall-index.ts'
import { splitRangeKey } from '../sync/replica.ts'
import type {
  DigestAnswer,
  GetOptions,
  HistoryEntry,
  IndexState,
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
import { itemAsOf, PastSearch } from './as-of.ts'
import { stateDigest, verifyStored } from './audit.ts'
import type { Ballots } from './ballots.ts'
import { fillBudget } from './budget.ts'
import type { DeltaWatch } from './deltas.ts'
import { historyOf, lineageOf } from './history.ts'
import type { Indexer } from './indexer.ts'
import type { Items } from './items.ts'
import type { Records } from './records.ts'
import type { Space } from './space.ts'
import { resolveRecord, type Place, type Spaces } from './spaces.ts'
import { trustAtLeast } from './trust-filter.ts'
import type { TrustJudge } from './trust-judge.ts'
import type { VectorMatch, Vectors } from './vectors.ts'

export interface ReadPorts {
  readonly store: Store
  readonly crypto: Hasher & Verifier
  readonly clock: Clock
  readonly records: Records
  readonly items: Items
  readonly indexer: Indexer
  readonly ballots: Ballots
  readonly spaces: Spaces
  readonly judge: TrustJudge
  readonly vectors?: Vectors
  readonly watch?: DeltaWatch
}

const LIST_DEFAULT = 50
const VECTORS_WANTED = 100
/** The filters that the index judges; `verifiedOnly` needs the store. */
const INDEX_FILTERS = [
  ...([
    'spaces',
    'kinds',
    'memoryTypes',
    'documentTypes',
    'tagsAll',
    'tagsAny',
    'authors',
    'sinceMs',
    'untilMs'
  ] as const),
  ...([
    'minImportance',
    'validatedOnly',
    'pinnedOnly',
    'path',
    'includeExpired',
    'includeRetracted',
    'includeSuperseded'
  ] as const)
]
const LINEAGE_DEPTH_DEFAULT = 8
const LINEAGE_DEPTH_MAX = 64
const IDS_PAGE_MAX = 10_000

export class Reads {
  readonly #ports: ReadPorts
  readonly #searchLimit: number
  /** Hears which records an answer showed, so that reads can be counted. */
  readonly #shown: (places: readonly Place[], session: string | undefined) => void

  constructor(
    options: { searchLimit: number },
    ports: ReadPorts,
    shown: (places: readonly Place[], session: string | undefined) => void
  ) {
    this.#searchLimit = options.searchLimit
    this.#ports = ports
    this.#shown = shown
  }

  async resolve(reference: string, space?: string): Promise<Place> {
    return resolveRecord(this.#ports, this.#ports.spaces, reference, space)
  }

  async get(ids: readonly string[], space?: string, { asOfMs }: GetOptions = {}): Promise<(MemoryItem | null)[]> {
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
      const wanted = open.map((index) => ids[index] as string)
      const items = await (asOfMs === undefined ? this.#ports.items.load(one, wanted) : this.#then(one, wanted, asOfMs))
      items.forEach((item, i) => {
        if (item !== undefined && item !== null) answers[open[i] as number] = item
      })
    }
    return answers
  }

  async #then(space: Space, ids: readonly string[], asOfMs: number): Promise<(MemoryItem | null)[]> {
    const items: (MemoryItem | null)[] = []
    for (const id of ids) items.push(await itemAsOf(this.#ports, space, id, asOfMs))
    return items
  }

  async search(request: SearchRequest): Promise<SearchAnswer> {
    const answer = await this.find(request)
    this.noteShown(answer.items, request.session)
    return answer
  }

  /** As `search`, but nobody is taken to have seen it. */
  async find(request: SearchRequest): Promise<SearchAnswer> {
    if (utf8(request.query).length > LIMITS.queryBytesMax) {
      throw new ChrysalisError('too_large', `the query is longer than ${LIMITS.queryBytesMax} bytes`, {
        hint: 'Ask with a few words or a sentence.'
      })
    }
    const { asOfMs } = request
    const { indexer } = this.#ports
    const [vectorHits] = await Promise.all([this.#vectorHits(request), indexer.catchUp()])
    const question = this.#question(request, vectorHits)
    const past = asOfMs === undefined ? undefined : new PastSearch(this.#ports, indexer.index, request.query, asOfMs)
    const found = past === undefined ? indexer.index.search(question) : await past.search(question)
    const loaded = await (past === undefined ? this.#loadMany(found.hits) : past.load(found.hits))
    const answers: SearchHit[] = []
    let unverified = 0
    for (const hit of found.hits) {
      const item = loaded.get(hit.space + hit.id)
      if (item === undefined) continue
      if (request.verifiedOnly === true && !item.verified) {
        unverified++
        continue
      }
      const { score, why } = hit
      answers.push(Object.assign(item, why === undefined ? { score } : { score, why }))
    }
    const { items, usedTokens, overflow } = fillBudget(answers, request.budgetTokens)
    const dropped = found.dropped + unverified + answers.length - items.length
    return { items, index: this.indexState(), dropped, hidden: found.hidden, usedTokens, overflow }
  }

  /** Somebody has been shown these. */
  noteShown(items: readonly MemoryItem[], session: string | undefined): void {
    this.#shown(
      items.map((item) => ({ space: this.#ports.spaces.find(item.space), id: item.id })),
      session
    )
  }

  #question(request: SearchRequest, vectorHits: readonly VectorMatch[]): RecallRequest {
    const { query, ranking, explain, modes, mmr } = request
    return {
      query,
      filters: this.#filters(request),
      limit: clampLimit(request.limit, this.#searchLimit),
      ranking: ranking ?? 'fused',
      explain: explain ?? false,
      vectorHits,
      nowMs: this.#ports.clock.nowMs(),
      ...trustAtLeast(this.#ports.judge, request.minTrust ?? 'known'),
      ...(modes === undefined ? {} : { modes }),
      ...(mmr === undefined ? {} : { mmr })
    }
  }

  /** What is near in meaning, in all spaces. Whoever filters needs more of them, because the filter comes later. */
  async #vectorHits(request: SearchRequest): Promise<readonly VectorMatch[]> {
    const { vectors } = this.#ports
    if (vectors === undefined || request.query.trim() === '') return []
    if (request.modes !== undefined && !request.modes.includes('vector')) return []
    const isFiltered = Object.keys(this.#filters(request)).length > 0
    return vectors.near(request.query, isFiltered ? LIMITS.recallCandidatesMax : VECTORS_WANTED)
  }

  indexState(): IndexState {
    const { indexer, spaces } = this.#ports
    let records = 0
    for (const space of spaces.all) records += indexer.recordCount(space.id)
    const complete = indexer.complete && indexer.behind === 0
    const state = complete ? 'complete' : 'partial'
    return {
      state,
      indexed: indexer.index.size,
      records: records + indexer.behind,
      vector: this.#ports.vectors?.state() ?? 'off'
    }
  }

  async list(request: ListRequest): Promise<ListAnswer> {
    const { indexer, clock } = this.#ports
    await indexer.catchUp()
    const limit = clampLimit(request.limit, LIST_DEFAULT)
    const after = request.cursor === undefined ? undefined : parseListCursor(request.cursor)
    const docs = indexer.index.list(this.#filters(request), {
      limit,
      nowMs: clock.nowMs(),
      ...trustAtLeast(this.#ports.judge, request.minTrust ?? 'any'),
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

  /** Those of the records that a list with these filters would show, in the order given; at most `limit`. */
  async among(places: readonly { space: string; id: string }[], request: ListRequest): Promise<MemoryItem[]> {
    const { indexer, clock } = this.#ports
    await indexer.catchUp()
    const docs = indexer.index.among(places, this.#filters(request), {
      nowMs: clock.nowMs(),
      ...trustAtLeast(this.#ports.judge, request.minTrust ?? 'any')
    })
    const shown = docs.slice(0, clampLimit(request.limit, LIST_DEFAULT))
    const loaded = await this.#loadMany(shown)
    return shown.flatMap((doc) => loaded.get(doc.space + doc.id) ?? [])
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
    for (const author of request.authors ?? []) {
      if (parseAuthor(author) !== undefined) continue
      throw new ChrysalisError('invalid_argument', `'${author}' is neither a peer id nor a public key`, {
        hint: 'Peer ids look like 12D3KooW…; see `chrysalis peers`.'
      })
    }
    const filters: Record<string, unknown> = {}
    for (const name of INDEX_FILTERS) if (request[name] !== undefined) filters[name] = request[name]
    if (request.spaces !== undefined)
      filters['spaces'] = request.spaces.map((space) => this.#ports.spaces.find(space).id)
    return filters
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
