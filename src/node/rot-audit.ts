/**
 * The report on rot: what of a space has gone stale, double or doubtful, counted, with the first ids of each kind. It
 * changes nothing and decides nothing; what each kind means, and what can be done about it, is said beside it.
 *
 * Everything follows from one walk over the records (node/census.ts) and from the trust that the index knows of. What is
 * retracted is not rot: somebody has seen it. A parent is missing when no space of this daemon has it; of memories that
 * others promoted the private source is always missing here.
 */
import { compareText } from '../base/bytes.ts'
import type { RecordId } from '../memory/ids.ts'
import type { MemoryView } from '../memory/memory-view.ts'
import { recordExists } from '../memory/record.ts'
import { NearIndex } from '../recall/near-index.ts'
import { hammingDistance, NEAR_DUPLICATE_BITS, type SimHash } from '../recall/similarity.ts'
import { contentFlags } from '../trust/content-flags.ts'
import { secretIn } from '../trust/secrets.ts'
import { reaches } from '../trust/tier.ts'
import { slices, takeCensus, type Census, type CensusPorts, type Fact } from './census.ts'
import { groupsBy } from './consolidation-plan.ts'
import { contradictionsOf, type ContradictionPorts } from './contradictions.ts'
import type { Indexer } from './indexer.ts'
import { WORKING_TAG } from './promotion.ts'
import type { Records } from './records.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { TrustJudge } from './trust-judge.ts'
import type { RotFinding, RotKind, RotReport } from './upkeep-api.ts'

export interface RotPorts extends CensusPorts, ContradictionPorts {
  readonly spaces: Spaces
  readonly records: Records
  readonly indexer: Indexer
  readonly judge: TrustJudge
}

/** Ids shown of each kind when the caller names no limit. */
const SHOWN_DEFAULT = 20
/** After this long a working memory that nobody needed twice is worth a look. */
const OLD_WORKING_DAYS = 30
const DAY_MS = 86_400_000

const MEANINGS: Readonly<Record<RotKind, string>> = {
  duplicate: 'The same words again. `chrysalis consolidate` makes one of those by one author and links the others.',
  'near-duplicate': 'Nearly the same words as an earlier memory. Consolidating links them; merging them is for you.',
  contradiction: 'They cannot all hold. `chrysalis consolidate --dry-run` says why; retract or supersede one of them.',
  expired: 'Past their time and no longer shown. Consolidating retracts the working ones among them.',
  'superseded-but-cited':
    'Replaced, and still a source of memories that are shown. Those may rest on what is no longer so.',
  untrusted: 'Worth less than `known` and left out of recall by default: by author, by origin or by lineage.',
  flagged: 'They give orders to the reader or hold characters nobody sees. Look before you believe them.',
  'recall-loop': 'They nearly repeat one of their own parents: recalled and learned again, which proves nothing.',
  secret: 'They look like they hold a password or key. Retracting hides it, but copies stay: change it.',
  'old-working': `Working memories older than ${OLD_WORKING_DAYS} days that were neither promoted nor given an end.`,
  orphan: 'Some of what they were made from is not here: it has not arrived, or was private where it was written.'
}
const KINDS = Object.keys(MEANINGS) as RotKind[]

/** Rejects with `not_found` for an unknown space. */
export async function rotOf(ports: RotPorts, request: { space?: string; limit?: number }): Promise<RotReport> {
  await ports.indexer.catchUp()
  const found = new Map<RotKind, Suspect[]>(KINDS.map((kind) => [kind, []]))
  let records = 0
  let unseen = 0
  for (const space of ports.spaces.among(request.space)) {
    const walk = new Walk(ports, space, found)
    const census = await takeCensus(ports, space, (view) => walk.see(view))
    await walk.compare(census)
    records += census.records
    unseen += census.unseen
  }
  const limit = request.limit ?? SHOWN_DEFAULT
  return { records, findings: KINDS.map((kind) => finding(kind, found.get(kind) ?? [], limit)), unseen }
}

interface Suspect {
  readonly id: RecordId
  readonly createdAt: number
}

function finding(kind: RotKind, suspects: readonly Suspect[], limit: number): RotFinding {
  const distinct = [...new Map(suspects.map((one) => [one.id, one])).values()]
  distinct.sort((a, b) => a.createdAt - b.createdAt || compareText(a.id, b.id))
  return { kind, count: distinct.length, ids: distinct.slice(0, limit).map((one) => one.id), meaning: MEANINGS[kind] }
}

/** One space: what each record shows by itself, then what they show together. */
class Walk {
  readonly #ports: RotPorts
  readonly #space: Space
  readonly #found: ReadonlyMap<RotKind, Suspect[]>
  /** Memories with parents, related or evidence, for the questions about others. */
  readonly #citing: { view: Suspect; parents: readonly RecordId[]; cited: readonly RecordId[] }[] = []

  constructor(ports: RotPorts, space: Space, found: ReadonlyMap<RotKind, Suspect[]>) {
    this.#ports = ports
    this.#space = space
    this.#found = found
  }

  see(view: MemoryView): void {
    const { content } = view
    if (view.retracted !== null || view.documentType === 'metadata' || content === null) return
    if (view.expired) this.#note('expired', view)
    if (contentFlags(content).length > 0) this.#note('flagged', view)
    if (secretIn(content) !== undefined) this.#note('secret', view)
    const doc = this.#ports.indexer.index.get(view.id, this.#space.id)
    if (doc !== undefined && !reaches(this.#ports.judge.tierOf(doc), 'known')) this.#note('untrusted', view)
    const bornMs = this.#ports.clock.nowMs() - OLD_WORKING_DAYS * DAY_MS
    if (view.tags.includes(WORKING_TAG) && view.expiresAt === null && view.createdAt < bornMs) {
      this.#note('old-working', view)
    }
    if (view.expired || (view.parents.length === 0 && view.related.length === 0)) return
    const { id, createdAt, parents } = view
    this.#citing.push({ view: { id, createdAt }, parents, cited: [...parents, ...view.related] })
  }

  async compare(census: Census): Promise<void> {
    const facts = new Map(census.facts.map((fact) => [fact.id, fact]))
    const live = census.facts.filter((fact) => fact.standing === 'live')
    const firsts: Fact[] = []
    for (const [first, ...others] of await groupsBy(this.#ports, live, (fact) => fact.sameness)) {
      if (first !== undefined) firsts.push(first)
      for (const other of others) this.#note('duplicate', other)
    }
    await this.#nearDuplicates(firsts)
    for (const { ids } of await contradictionsOf(this.#ports, this.#space, census)) {
      for (const id of ids) this.#note('contradiction', facts.get(id))
    }
    await this.#citations(facts)
  }

  async #nearDuplicates(firsts: readonly Fact[]): Promise<void> {
    const near = new NearIndex()
    const pace = slices(this.#ports)
    for (const fact of firsts) {
      if (fact.simHash !== undefined && near.place(fact.simHash) !== undefined) this.#note('near-duplicate', fact)
      await pace()
    }
  }

  async #citations(facts: ReadonlyMap<RecordId, Fact>): Promise<void> {
    for (const { view, parents, cited } of this.#citing) {
      const own = facts.get(view.id)
      for (const id of cited) {
        const other = facts.get(id)
        const isReplacement = own?.supersedes.includes(id) === true
        if (other?.standing === 'superseded' && !isReplacement) this.#note('superseded-but-cited', other)
      }
      if (own === undefined) continue
      if (parents.some((id) => isAlike(own.simHash, facts.get(id)?.simHash))) this.#note('recall-loop', view)
      if (await this.#isOrphan(parents, facts)) this.#note('orphan', view)
    }
  }

  async #isOrphan(parents: readonly RecordId[], facts: ReadonlyMap<RecordId, Fact>): Promise<boolean> {
    for (const id of parents) {
      if (facts.has(id)) continue
      let isHere = false
      for (const space of this.#ports.spaces.all) {
        const record = await this.#ports.records.get(space.id, id)
        isHere ||= record !== undefined && recordExists(record.state)
      }
      if (!isHere) return true
    }
    return false
  }

  #note(kind: RotKind, suspect: Suspect | undefined): void {
    if (suspect !== undefined) this.#found.get(kind)?.push({ id: suspect.id, createdAt: suspect.createdAt })
  }
}

function isAlike(a: SimHash | undefined, b: SimHash | undefined): boolean {
  return a !== undefined && b !== undefined && hammingDistance(a, b) <= NEAR_DUPLICATE_BITS
}
