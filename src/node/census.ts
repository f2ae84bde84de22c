/**
 * A walk over all memories of one space that remembers, of each, the little that consolidation and the report on rot
 * compare: whose voice it is, a hash that is equal for the same statement, a SimHash, the words of short claims. The walk reads
 * pages and gives way to other work between them.
 *
 * What is compared is what an agent wrote as knowledge: records of type `memory` that have content. Beads are fragments
 * of a conversation, where saying the same twice means something; metadata is our own bookkeeping. It decides nothing.
 */
import { compareText, fromHex, toHex, utf8 } from '../base/bytes.ts'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { RecordId } from '../memory/ids.ts'
import type { MemoryView } from '../memory/memory-view.ts'
import { decodeRecord } from '../memory/record-codec.ts'
import type { RecordState } from '../memory/record.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Store } from '../ports/store.ts'
import { statementOf, type Statement } from '../recall/opposites.ts'
import { simHash, type SimHash } from '../recall/similarity.ts'
import { tokenize } from '../recall/tokenize.ts'
import { tierOfClasses } from '../trust/tier.ts'
import type { Items } from './items.ts'
import { WORKING_TAG } from './promotion.ts'
import { scanPages } from './restore.ts'
import { parseRecordValue } from './rows.ts'
import type { Space } from './space.ts'

/** For long walks, which give way to other work and end when the daemon does. */
export interface Pacing {
  readonly clock: Clock
  readonly stopping?: () => boolean
}

export interface CensusPorts extends Pacing {
  readonly store: Store
  readonly crypto: Hasher
  readonly items: Items
}

/** live: shown · absorbed: retracted as the duplicate of another · superseded: replaced by a memory that is shown. */
export type Standing = 'live' | 'absorbed' | 'superseded'

/** What is compared of one memory. */
export interface Fact {
  readonly id: RecordId
  /** Who speaks in it: its creator, and whoever wrote the words now shown when that was another. */
  readonly voice: string
  readonly createdAt: number
  readonly standing: Standing
  /** Of an absorbed one: of which memory it is a duplicate. */
  readonly absorbedBy: RecordId | undefined
  /** Equal for the same words about the same matter from the same sort of source, whoever says them. */
  readonly sameness: string
  /** Records it was made from, which decide how far it is believed; in order. */
  readonly basis: readonly RecordId[]
  /** Its path: statements in two places of the tree are about two things. */
  readonly topic: string
  readonly simHash: SimHash | undefined
  /** Only of short texts of a kind that claims something. */
  readonly statement: Statement | undefined
  readonly hasKey: boolean
  /** Why it may not be retracted as a duplicate; undefined when it may. */
  readonly keptFor: string | undefined
  readonly related: readonly RecordId[]
  readonly supersedes: readonly RecordId[]
}

export interface Census {
  /** By (createdAt, id): the first of several that say the same is the one that said it first. */
  readonly facts: readonly Fact[]
  /** Records looked at, of whatever type. */
  readonly records: number
  /** Records beyond the bound. */
  readonly unseen: number
  /** Working memories past their time that nobody has retracted, or brought back, yet; in order of id. */
  readonly expired: readonly RecordId[]
  /** Live records whose content was written more than once; in order of id. */
  readonly rewritten: readonly RecordId[]
  /** Live records that somebody has voted against; in order of id. */
  readonly disputed: readonly RecordId[]
}

/** How the reason of a retraction by consolidation begins; the id of the memory that stays follows. */
export const DUPLICATE_OF = 'duplicate of '

/** Kinds that claim how things are; the others tell what happened, where other numbers mean another time. */
const CLAIMS: ReadonlySet<string> = new Set(['note', 'fact', 'preference', 'decision', 'procedure'])
const RECORD_ID = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g
const PAGE_ROWS = 200
const SLICE_MS = 4

/**
 * Work in slices: `await pace()` now and then lets others have the loop when the slice is over. Rejects with `unavailable`
 * when the daemon is stopping: nothing that is walked is worth waiting for then.
 */
export function slices({ clock, stopping }: Pacing): () => Promise<void> {
  let endsMs = clock.monotonicMs() + SLICE_MS
  return async () => {
    if (stopping?.() === true) {
      throw new ChrysalisError('unavailable', 'the daemon is stopping; what was done so far is kept', {
        hint: 'Start it again and repeat the call: it goes on where it was.',
        stateTouched: true
      })
    }
    if (clock.monotonicMs() < endsMs) return
    await new Promise<void>((resolve) => void clock.setTimer(0, resolve))
    endsMs = clock.monotonicMs() + SLICE_MS
  }
}

/** `inspect` sees every record that is looked at and has a view, in order of id. */
export async function takeCensus(
  ports: CensusPorts,
  space: Space,
  inspect: (view: MemoryView) => void = () => undefined
): Promise<Census> {
  const count = new CensusCount(ports.crypto)
  const pace = slices(ports)
  for await (const page of scanPages(ports.store, 'record', fromHex(space.id), { pageRows: PAGE_ROWS })) {
    for (const row of page) {
      if (!count.hasRoom()) continue
      const { lastArrival, state: bytes } = parseRecordValue(row.value)
      const state = decodeRecord(bytes)
      const view = ports.items.view(space, { state, lastArrival })
      if (view === undefined) continue
      inspect(view)
      count.see(view, state)
      await pace()
    }
    await pace()
  }
  return count.census()
}

/** The census as it grows, record by record; the order does not matter as long as all fit. */
export class CensusCount {
  readonly #crypto: Hasher
  readonly #facts: Fact[] = []
  readonly #expired: RecordId[] = []
  readonly #rewritten: RecordId[] = []
  readonly #disputed: RecordId[] = []
  #records = 0
  #unseen = 0

  constructor(crypto: Hasher) {
    this.#crypto = crypto
  }

  /** Counts one more record; false when it is one too many to be looked at. */
  hasRoom(): boolean {
    if (this.#records < LIMITS.consolidationRecordsMax) {
      this.#records++
      return true
    }
    this.#unseen++
    return false
  }

  see(view: MemoryView, state: RecordState): void {
    if (isExpiredWorking(view) && !wasRestored(state)) this.#expired.push(view.id)
    const fact = factOf(this.#crypto, view, state)
    if (fact === undefined) return
    this.#facts.push(fact)
    if (fact.standing !== 'live') return
    if (view.version > 1) this.#rewritten.push(view.id)
    if (view.votes.some(({ verdict }) => verdict === 'dispute' || verdict === 'flag')) this.#disputed.push(view.id)
  }

  census(): Census {
    const facts = markSuperseded(this.#facts)
    facts.sort((a, b) => a.createdAt - b.createdAt || compareText(a.id, b.id))
    return {
      facts,
      records: this.#records,
      unseen: this.#unseen,
      expired: this.#expired.toSorted(compareText),
      rewritten: this.#rewritten.toSorted(compareText),
      disputed: this.#disputed.toSorted(compareText)
    }
  }
}

/** undefined for what is not compared: no knowledge, no content, hidden for another reason than being a duplicate. */
export function factOf(crypto: Hasher, view: MemoryView, state: RecordState): Fact | undefined {
  const { content, retracted } = view
  if (view.documentType !== 'memory' || content === null || view.expired) return undefined
  const absorbedBy = retracted?.startsWith(DUPLICATE_OF) === true ? retracted.slice(DUPLICATE_OF.length) : undefined
  if (retracted !== null && absorbedBy === undefined) return undefined
  const isLive = absorbedBy === undefined
  return {
    id: view.id,
    voice: view.contentPeer === view.peer ? view.peer : `${view.peer}/${view.contentPeer}`,
    createdAt: view.createdAt,
    standing: isLive ? 'live' : 'absorbed',
    absorbedBy,
    sameness: samenessOf(crypto, view, content),
    basis: basisOf(view),
    topic: view.path ?? '',
    simHash: isLive ? simHash(tokenize(content)) : undefined,
    statement: isLive && CLAIMS.has(view.kind) ? statementOf(content) : undefined,
    hasKey: view.key !== null,
    keptFor: keptFor(view, state),
    related: view.related,
    supersedes: view.supersedes
  }
}

/**
 * White space and normal form aside, the same words; and the same of everything that would make them another statement:
 * kind, place in the tree, time of validity, whether it is a working memory, and what its source is worth, so that what
 * a user said is never folded into the same words from a document.
 */
function samenessOf(crypto: Hasher, view: MemoryView, content: string): string {
  const said = [
    content.normalize('NFC').trim().replaceAll(/\s+/gu, ' '),
    view.kind,
    view.memoryType,
    view.path,
    view.validFrom,
    view.validTo,
    view.expiresAt,
    view.tags.includes(WORKING_TAG),
    tierOfClasses(view.origins.flatMap((one) => (isClaimOfWriter(view, one) ? [one.class] : [])))
  ]
  return toHex(crypto.sha384(utf8(JSON.stringify(said))).subarray(0, 16))
}

function isClaimOfWriter(view: MemoryView, claim: MemoryView['origins'][number]): boolean {
  return claim.peer === view.peer || claim.peer === view.contentPeer
}

function basisOf(view: MemoryView): RecordId[] {
  const named = view.evidence.flatMap((text) => text.match(RECORD_ID) ?? [])
  return [...new Set([...view.parents, ...named])].sort(compareText)
}

function keptFor(view: MemoryView, state: RecordState): string | undefined {
  if (view.key !== null) return 'others look it up by its key'
  if (view.votes.length > 0) return 'it was voted on'
  if (wasRestored(state)) return 'its retraction was taken back'
  return undefined
}

/** Somebody has taken back a retraction of it: that decision stands. */
function wasRestored(state: RecordState): boolean {
  const retracted = state.fields.get('retracted')
  return retracted !== undefined && retracted.value === null
}

function isExpiredWorking(view: MemoryView): boolean {
  return view.expired && view.retracted === null && view.tags.includes(WORKING_TAG)
}

/** As the recall index has it: two that supersede each other hide neither. */
function markSuperseded(facts: readonly Fact[]): Fact[] {
  const live = new Map(facts.flatMap((fact) => (fact.standing === 'live' ? [[fact.id, fact] as const] : [])))
  const replaced = new Set<RecordId>()
  for (const fact of live.values()) {
    for (const id of fact.supersedes) if (live.get(id)?.supersedes.includes(fact.id) === false) replaced.add(id)
  }
  return facts.map((fact) => (replaced.has(fact.id) ? { ...fact, standing: 'superseded' } : fact))
}
