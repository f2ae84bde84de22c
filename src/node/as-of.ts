/**
 * What was true then. The store keeps every delta, so a record at a moment is the fold of those of its deltas that are
 * not younger. The recall index holds the present; a question about the past asks it for candidates, folds again those
 * that have changed since, and asks once more with what came out, until every hit is what it was (recall/past.ts).
 *
 * "Then" is by the time that each delta carries, as far as this daemon knows by now: what was written before the moment
 * and arrived after it counts. Times are what their authors said they were. Of records whose words have changed since,
 * the words of then are looked through too, the youngest LIMITS.recallRescuesMax of them; what else has changed and is
 * found by no word it holds today stays unfound. A record whose history cannot be read whole is left out of answers.
 */
import { compareText } from '../base/bytes.ts'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { hlcMs, type RecordId } from '../memory/ids.ts'
import { emptyRecord } from '../memory/record.ts'
import { recallKey } from '../recall/links.ts'
import type { Past } from '../recall/past.ts'
import type { RecallDoc } from '../recall/recall-doc.ts'
import type { RecallAnswer, RecallIndex, RecallRequest } from '../recall/recall-index.ts'
import { jaccard } from '../recall/similarity.ts'
import { tokenize } from '../recall/tokenize.ts'
import type { MemoryItem } from './api.ts'
import { readSoundDeltas, type DeltaReader } from './deltas.ts'
import { parseHistoryKey } from './derive.ts'
import type { Items } from './items.ts'
import { recallDocOf } from './recall-docs.ts'
import type { Records, StoredRecord } from './records.ts'
import { applyDelta } from './refold.ts'
import { scanPages } from './restore.ts'
import { historyPrefix } from './rows.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { TrustJudge } from './trust-judge.ts'

export interface AsOfPorts extends DeltaReader {
  readonly records: Records
  readonly items: Items
  readonly spaces: Spaces
  readonly judge: TrustJudge
}

const PAGE_DELTAS = 256

export type Folded =
  | { readonly then: 'there'; readonly record: StoredRecord }
  /** Nobody had created it. */
  | { readonly then: 'absent' }
  /** A delta of its history cannot be read now, or its body was pruned. */
  | { readonly then: 'unknown' }

/** The record as its deltas up to `ms` wall milliseconds make it. The place in the arrival log is that of the present. */
export async function foldAsOf(ports: AsOfPorts, space: Space, id: RecordId, ms: number): Promise<Folded> {
  const [present] = await ports.records.getMany(space.id, [id])
  if (present === undefined) return { then: 'absent' }
  const state = emptyRecord(id)
  for await (const page of scanPages(ports.store, 'history', historyPrefix(space.id, id), { pageRows: PAGE_DELTAS })) {
    const places = page.map((row) => parseHistoryKey(row.key))
    const due = places.filter((place) => hlcMs(place.hlc) <= ms)
    const ids = due.map((place) => place.id)
    for (const delta of await readSoundDeltas(ports, space.id, ids)) {
      if (delta === undefined || delta.bodyBytes === null) return { then: 'unknown' }
      applyDelta(ports.crypto, state, delta)
    }
    // The rows of one record stand in the order of time.
    if (due.length < places.length) break
  }
  if (state.created === null) return { then: 'absent' }
  return { then: 'there', record: { state, lastArrival: present.lastArrival } }
}

/** One record as it was; null when it did not exist. Rejects with `corrupt` when its history cannot be read whole. */
export async function itemAsOf(ports: AsOfPorts, space: Space, id: RecordId, ms: number): Promise<MemoryItem | null> {
  const folded = await foldAsOf(ports, space, id, ms)
  if (folded.then === 'absent') return null
  if (folded.then === 'there') return (await ports.items.show(space, [folded.record], ms))[0] ?? null
  throw new ChrysalisError('corrupt', `the history of ${id} cannot be read whole, so what it once said is not known`, {
    hint: 'Run `chrysalis doctor`; peers that hold what is missing can restore it.'
  })
}

/** One question about the past: what it has folded so far. */
export class PastSearch {
  readonly #ports: AsOfPorts
  readonly #index: RecallIndex
  readonly #ms: number
  readonly #docs = new Map<string, RecallDoc | null>()
  readonly #silent = new Set<string>()
  readonly #states = new Map<string, StoredRecord>()
  readonly #words: ReadonlySet<string>
  /** Records whose words have changed, with how much their old ones are like the query. */
  readonly #rescued: { id: RecordId; space: string; similarity: number }[] = []
  #folds = 0

  constructor(ports: AsOfPorts, index: RecallIndex, query: string, ms: number) {
    this.#ports = ports
    this.#index = index
    this.#ms = ms
    this.#words = new Set(tokenize(query))
  }

  async search(request: Omit<RecallRequest, 'past'>): Promise<RecallAnswer> {
    await this.#rescue(request)
    for (;;) {
      const isFinal = this.#folds >= LIMITS.recallRefoldsMax
      const answer = this.#index.search({ ...request, past: this.#past(isFinal) })
      if (isFinal || answer.unsettled.length === 0) return answer
      for (const doc of answer.unsettled.slice(0, LIMITS.recallRefoldsMax - this.#folds)) await this.#settle(doc)
    }
  }

  /** The hits as they were, by space and id. */
  async load(places: readonly { readonly space: string; readonly id: string }[]): Promise<Map<string, MemoryItem>> {
    const { spaces, records, items } = this.#ports
    const loaded = new Map<string, MemoryItem>()
    for (const { space: spaceId, id } of places) {
      const space = spaces.byId(spaceId)
      if (space === undefined) continue
      const record = this.#states.get(recallKey(id, spaceId)) ?? (await records.get(spaceId, id))
      const [item] = await items.show(space, [record], this.#ms)
      if (item !== undefined) loaded.set(item.space + item.id, item)
    }
    return loaded
  }

  #past(isFinal: boolean): Past {
    return { ms: this.#ms, docs: this.#docs, silent: this.#silent, hits: this.#rescued, isFinal }
  }

  /** Finds by their old words those whose words have changed. */
  async #rescue(request: Omit<RecallRequest, 'past'>): Promise<void> {
    if (this.#words.size === 0) return
    const changed = this.#index.changedSince(this.#past(false), request.filters ?? {}, LIMITS.recallCandidatesMax)
    for (const doc of changed) {
      if (this.#folds >= LIMITS.recallRescuesMax) break
      const record = await this.#ports.records.get(doc.space, doc.id)
      if (record === undefined || record.state.contentDeltas.size < 2) continue
      const similarity = await this.#settle(doc)
      if (similarity > 0) this.#rescued.push({ id: doc.id, space: doc.space, similarity })
    }
    this.#rescued.sort((a, b) => b.similarity - a.similarity || compareText(a.id, b.id))
  }

  /** Folds one record. Answers how like the query its words were, 0 to 1. */
  async #settle({ id, space: spaceId }: RecallDoc): Promise<number> {
    const key = recallKey(id, spaceId)
    this.#docs.set(key, null)
    this.#folds++
    const space = this.#ports.spaces.byId(spaceId)
    if (space === undefined) return 0
    const folded = await foldAsOf(this.#ports, space, id, this.#ms)
    if (folded.then !== 'there') return 0
    const { record } = folded
    const view = this.#ports.items.view(space, record, this.#ms)
    if (view === undefined) return 0
    const said = new Set(tokenize([id, view.content ?? '', view.key ?? '', view.path ?? '', ...view.tags].join('\n')))
    const similarity = jaccard(this.#words, said)
    const present = await this.#ports.records.get(spaceId, id)
    const wasRewritten = present?.state.contentDeltas.size !== record.state.contentDeltas.size
    // The index found it by what it says now; a text that said nothing of the kind then is no match.
    if (wasRewritten && similarity === 0 && this.#words.size > 0) this.#silent.add(key)
    this.#docs.set(key, recallDocOf(view, this.#ports.judge.validated(record.state)))
    this.#states.set(key, record)
    return similarity
  }
}
