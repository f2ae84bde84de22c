/**
 * What an agent should know before it begins, as one text that fits its budget: what is pinned, which tasks and
 * decisions are open, what has changed since it looked last, and what is relevant to its goal.
 *
 * Each section has a fixed share of the budget; what it leaves goes to the next, and what is left in the end to what did
 * not fit before. No memory is told twice. The text is fenced data (base/fence.ts): it may hold anything that anybody
 * wrote, and says so.
 */
import { FENCE_HEADER, fenced, fencedItem, type FencedItem } from '../base/fence.ts'
import { tokensOf } from '../base/tokens.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Store } from '../ports/store.ts'
import type { ContextAnswer, ContextRequest, ListRequest, MemoryItem, SearchHit } from './api.ts'
import { parseCursor, readChanges } from './changes.ts'
import type { DeltaWatch } from './deltas.ts'
import type { Reads } from './reads.ts'
import type { Arrival } from './rows.ts'

export interface ContextPorts {
  readonly store: Store
  readonly crypto: Hasher
  readonly clock: Clock
  readonly watch?: DeltaWatch
  readonly reads: Reads
  /** End of the arrival log. */
  readonly newest: Arrival
}

const BUDGET_DEFAULT = 1_500
/** Parts of the budget, by section in the order of the text. A section that was not asked for takes no part. */
const SHARES = { pinned: 3, open: 3, changes: 2, relevant: 4 } as const
type Section = keyof typeof SHARES
const SECTIONS = Object.keys(SHARES) as Section[]
const TITLES: Readonly<Record<Section, string>> = {
  pinned: 'Pinned',
  open: 'Open tasks and decisions',
  changes: 'Changed since last time',
  relevant: 'Relevant to the goal'
}
/** Candidates of one section: more than any budget in use has room for. */
const SECTION_ITEMS_MAX = 50
/** Deltas at the end of the log that are looked through for changes. */
const CHANGES_READ_MAX = 1_000
/** The marks of the fence, whose number is not known before. */
const FENCE_TOKENS = 8
const PEER_DIGITS = 8

export async function contextDigest(ports: ContextPorts, request: ContextRequest): Promise<ContextAnswer> {
  const { reads, clock } = ports
  const where = whereOf(request)
  const changed = await changedSince(ports, request, where)
  const query = request.goal ?? ''
  const found = query.trim() === '' ? [] : (await reads.find({ query, limit: SECTION_ITEMS_MAX, ...where })).items
  const candidates: Record<Section, readonly SearchHit[]> = {
    pinned: byImportance(await reads.list({ ...where, pinnedOnly: true, limit: SECTION_ITEMS_MAX })),
    open: plainHits((await reads.list({ ...where, kinds: ['task', 'decision'], limit: SECTION_ITEMS_MAX })).items),
    changes: plainHits(changed.items),
    relevant: found
  }
  const page = new Page(clock.nowMs(), request.budgetTokens ?? BUDGET_DEFAULT)
  const asked = SECTIONS.filter((section) => candidates[section].length > 0)
  const total = asked.reduce((sum, section) => sum + SHARES[section], 0)
  let share = 0
  for (const section of asked) {
    share += SHARES[section]
    for (const hit of candidates[section]) page.offer(section, hit, share / total)
  }
  for (const section of asked) for (const hit of candidates[section]) page.offer(section, hit, 1)
  const [first] = asked
  if (first !== undefined && page.isEmpty) page.put(first, candidates[first][0] as SearchHit)
  const text = page.text()
  const { pinned, open, changes, relevant } = page.sections
  const usedTokens = tokensOf(text)
  reads.noteShown(page.shown, request.session)
  return {
    pinned,
    open,
    changes,
    relevant,
    text,
    usedTokens,
    overflow: changed.isCut || page.leftOut(candidates) || usedTokens > page.budgetTokens,
    cursor: String(ports.newest),
    index: reads.indexState()
  }
}

function whereOf({ spaces, path, minTrust = 'known' }: ContextRequest): ListRequest {
  return { minTrust, ...(spaces === undefined ? {} : { spaces }), ...(path === undefined ? {} : { path }) }
}

/** Records that the youngest deltas behind the cursor say something about, newest first, each once. */
async function changedSince(
  ports: ContextPorts,
  { cursor }: ContextRequest,
  where: ListRequest
): Promise<{ items: readonly MemoryItem[]; isCut: boolean }> {
  if (cursor === undefined) return { items: [], isCut: false }
  const from = parseCursor(cursor)
  const start = Math.max(from, ports.newest - CHANGES_READ_MAX)
  const isBeyond = from > ports.newest
  const page = { cursor: isBeyond ? cursor : String(start), limit: CHANGES_READ_MAX, only: tellsSomething }
  const { changes } = await readChanges(ports, page, ports.newest)
  const places = new Map<string, { space: string; id: string }>()
  for (const { space, records } of changes.toReversed()) {
    for (const id of records) if (!places.has(space + id)) places.set(space + id, { space, id })
  }
  const items = await ports.reads.among([...places.values()], { ...where, limit: SECTION_ITEMS_MAX + 1 })
  return { items: items.slice(0, SECTION_ITEMS_MAX), isCut: start > from || items.length > SECTION_ITEMS_MAX }
}

/** Being read, or being told where one came from, changes no memory. */
function tellsSomething(delta: VerifiedDelta): boolean {
  return delta.ops.some(({ op }) => op !== 'access' && op !== 'origin')
}

function plainHits(items: readonly MemoryItem[]): SearchHit[] {
  return items.map((item) => ({ ...item, score: 1 }))
}

/** What matters most first; the list is newest first, and stays so among equals. */
function byImportance({ items }: { readonly items: readonly MemoryItem[] }): SearchHit[] {
  return plainHits(items).sort((a, b) => (b.importance?.effective ?? 0.5) - (a.importance?.effective ?? 0.5))
}

/** The text while it is filled. */
class Page {
  readonly budgetTokens: number
  readonly sections: Readonly<Record<Section, SearchHit[]>> = { pinned: [], open: [], changes: [], relevant: [] }
  readonly #nowMs: number
  readonly #placed = new Set<string>()
  /** Never less than what the text will cost: each part is rounded up by itself. */
  #tokens = tokensOf(FENCE_HEADER) + FENCE_TOKENS

  constructor(nowMs: number, budgetTokens: number) {
    this.#nowMs = nowMs
    this.budgetTokens = budgetTokens
  }

  get isEmpty(): boolean {
    return this.#placed.size === 0
  }

  get shown(): readonly SearchHit[] {
    return SECTIONS.flatMap((section) => this.sections[section])
  }

  /** Takes the memory if it is not told yet and fits the part of the budget, 0 to 1, that is open so far. */
  offer(section: Section, hit: SearchHit, part: number): void {
    if (this.#placed.has(hit.space + hit.id)) return
    if (this.#tokens + this.#cost(section, hit) <= this.budgetTokens * part) this.put(section, hit)
  }

  put(section: Section, hit: SearchHit): void {
    this.#tokens += this.#cost(section, hit)
    this.#placed.add(hit.space + hit.id)
    this.sections[section].push(hit)
  }

  leftOut(candidates: Readonly<Record<Section, readonly SearchHit[]>>): boolean {
    return SECTIONS.some((section) => candidates[section].some((hit) => !this.#placed.has(hit.space + hit.id)))
  }

  text(): string {
    return fenced(SECTIONS.flatMap((section) => this.sections[section].map((hit) => this.#entry(section, hit))))
  }

  #cost(section: Section, hit: SearchHit): number {
    const title = this.sections[section].length === 0 ? tokensOf(`## ${TITLES[section]}\n`) : 0
    return title + tokensOf(`${fencedItem(this.#entry(section, hit))}\n`)
  }

  #entry(section: Section, hit: SearchHit): FencedItem {
    const { id, kind, contentPeer, content, trust, flags, spaceName, updatedAt, path } = hit
    const author = contentPeer.slice(-PEER_DIGITS)
    const ageMs = Math.max(0, this.#nowMs - updatedAt)
    const notes = [spaceName, ...(path === null ? [] : [path]), ...flags]
    return { id, kind, author, tier: trust.tier, ageMs, content: content ?? '', notes, section: TITLES[section] }
  }
}
