/**
 * How far a memory may be believed, and why. The inputs (trust/tier.ts) are read off each record when it is indexed and
 * kept beside the index; the tier is worked out when somebody asks, so that an opinion that changes is felt at once.
 *
 * tier = the least of what is thought of the creator and of the author of the words now shown, of the origins these two
 * claim, and of the tiers of what it was made from: parents, and records named in its evidence. A ballot that validates
 * a memory lifts it above its origin and its lineage, and cuts off what lies behind it for those made from it; an author
 * who is blocked is felt through everything.
 *
 * A parent that is not on this daemon lowers nothing: whoever writes could name none at all, and a memory must not lose
 * its worth because something else was not sent yet. One that is here but not indexed yet does, until it is.
 *
 * Asked for each candidate of a search: a record with nothing special about it costs two look-ups, and lineages are
 * walked once until something in them changes.
 */
import { parseAuthor } from '../base/peer-id.ts'
import type { AuthorId, RecordId, SpaceId } from '../memory/ids.ts'
import type { MemoryView } from '../memory/memory-view.ts'
import type { RecordState } from '../memory/record.ts'
import type { RecallDoc } from '../recall/recall-doc.ts'
import { leastAbove, type Lineage } from '../trust/lineage.ts'
import { tierOfClasses, tierRank, TRUST_FACTOR, TRUST_TIERS, worstClass, type TrustTier } from '../trust/tier.ts'
import type { OriginClass } from '../memory/ops.ts'
import type { TrustVerdict } from './api.ts'
import type { Ballots } from './ballots.ts'
import type { TrustBook } from './trust-book.ts'

export interface TrustJudgePorts {
  readonly book: TrustBook
  readonly ballots: Ballots
  /** Every space of this daemon, for lineages that cross from the private one. */
  readonly spaces: () => readonly SpaceId[]
  /** What the index knows of a record. */
  readonly docOf: (space: SpaceId, id: RecordId) => RecallDoc | undefined
  /** Whether a record that is stored may still be on its way into the index. */
  readonly awaits: (space: SpaceId, id: RecordId) => boolean
}

/** What trust depends on beside the creator. Most records have nothing of it, and share one of a few objects. */
interface Inputs {
  /** Who wrote the words now shown; undefined when it is the creator. */
  readonly contentAuthor: AuthorId | undefined
  /** Worst class that creator and content author claim; undefined when neither claims any. */
  readonly origin: OriginClass | undefined
  readonly classRank: number
  /** Records it was made from. */
  readonly basis: readonly RecordId[]
}

interface Subject {
  readonly space: SpaceId
  readonly id: RecordId
  readonly author: AuthorId
  readonly validated: boolean
  readonly inputs: Inputs
}

const NO_RECORDS: readonly RecordId[] = []
const BLOCKED = tierRank('blocked')
const UNKNOWN = tierRank('unknown')
const TRUSTED = tierRank('trusted')
const VALIDATED = tierRank('validated')
const NOTHING_SPECIAL: Inputs = { contentAuthor: undefined, origin: undefined, classRank: TRUSTED, basis: NO_RECORDS }
const ID_DIGITS = 64
/** Stands in a lineage for a record that is stored but not indexed yet. */
const NOT_YET = 'not yet'
const RECORD_ID = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g
/** Records of a lineage that are looked at to say why. */
const REASONS_MAX = 10_000

export class TrustJudge {
  readonly #ports: TrustJudgePorts
  readonly #inputs = new Map<SpaceId, Map<RecordId, Inputs>>()
  /** Inputs that many records have word for word. */
  readonly #common = new Map<OriginClass, Inputs>()
  /** Answers of walks, by node; empty when something they rest on has changed. */
  readonly #tiers = new Map<string, number>()
  readonly #blocks = new Map<string, number>()
  /** Records that a walk looked for in vain. */
  readonly #missed = new Set<RecordId>()
  /** Records that somebody disputes or flags, by node. */
  readonly #disputed = new Set<string>()
  #metNotYet = false
  #forgotten: () => void = () => undefined

  /** The least over everything behind it; what a ballot has validated hides what lies behind that. */
  readonly #worth: Lineage = {
    own: (node) => (this.#isValidated(node) ? VALIDATED : this.#ownRank(node)),
    above: (node) => (this.#isValidated(node) ? NO_RECORDS : this.#above(node))
  }
  /** Whether anybody behind it is blocked, ballots or not. */
  readonly #company: Lineage = { own: (node) => this.#ownRank(node), above: (node) => this.#above(node) }

  constructor(ports: TrustJudgePorts) {
    this.#ports = ports
  }

  // --- what the indexer tells

  /** The record is about to be indexed with this view; call it before the index has the new state. */
  note(view: MemoryView, validated: boolean): void {
    const { space, id } = view
    const inputs = this.#inputsOf(view)
    const before = this.#ports.docOf(space, id)
    const changed =
      before === undefined
        ? this.#missed.has(id)
        : before.validated !== validated ||
          before.author !== view.author ||
          !sameInputs(this.#inputs.get(space)?.get(id) ?? NOTHING_SPECIAL, inputs)
    let known = this.#inputs.get(space)
    if (known === undefined) this.#inputs.set(space, (known = new Map()))
    if (inputs === NOTHING_SPECIAL) known.delete(id)
    else known.set(id, inputs)
    if (view.votes.some(({ verdict }) => verdict === 'dispute' || verdict === 'flag')) this.#disputed.add(id + space)
    else this.#disputed.delete(id + space)
    if (changed) this.forget()
  }

  /** The record is no longer in the index. */
  drop(space: SpaceId, id: RecordId): void {
    this.#inputs.get(space)?.delete(id)
    this.#disputed.delete(id + space)
    this.forget()
  }

  /** `listener` hears when answers given before may no longer hold. One listener; it must only take note. */
  onForgotten(listener: () => void): void {
    this.#forgotten = listener
  }

  /** An opinion has changed, or the index began anew: everything is worked out again when it is asked for. */
  forget(): void {
    this.#forgotten()
    this.#tiers.clear()
    this.#blocks.clear()
    this.#missed.clear()
  }

  // --- answers

  tierOf(doc: RecallDoc): TrustTier {
    const inputs = this.#inputs.get(doc.space)?.get(doc.id) ?? NOTHING_SPECIAL
    return TRUST_TIERS[this.#rankOf(doc, inputs)] as TrustTier
  }

  /** What the tier does to a score; 0 for what is blocked. */
  factorOf(doc: RecallDoc): number {
    return TRUST_FACTOR[this.tierOf(doc)]
  }

  /** Of a record whose state is at hand, indexed or not. */
  verdict(view: MemoryView, state: RecordState): TrustVerdict {
    const { space, id, author } = view
    return this.#explain({ space, id, author, validated: this.validated(state), inputs: this.#inputsOf(view) })
  }

  /** Whether somebody, of the roster or not, votes against it or has flagged it. */
  isDisputed(space: SpaceId, id: RecordId): boolean {
    return this.#disputed.size > 0 && this.#disputed.has(id + space)
  }

  /** Undefined for a record that is not in the index. */
  explain(space: SpaceId, id: RecordId): TrustVerdict | undefined {
    const doc = this.#ports.docOf(space, id)
    return doc === undefined ? undefined : this.#explain(this.#subject(doc))
  }

  validated(state: RecordState): boolean {
    return state.votes.size > 0 && this.#ports.ballots.count(state).status === 'validated'
  }

  // --- ranks

  #rankOf({ space, author, validated }: Omit<Subject, 'inputs'>, inputs: Inputs): number {
    const own = this.#rank(author, inputs)
    if (own === BLOCKED) return BLOCKED
    const above = inputs.basis.length === 0 ? NO_RECORDS : this.#present(space, inputs.basis)
    const answer = above.length === 0 ? (validated ? VALIDATED : own) : this.#rankWith(own, above, validated)
    if (this.#metNotYet) {
      // True for now only.
      this.#metNotYet = false
      this.#tiers.clear()
      this.#blocks.clear()
    }
    return answer
  }

  #rankWith(own: number, above: readonly string[], validated: boolean): number {
    if (this.#ports.book.blocksAny) {
      for (const node of above) if (leastAbove(node, this.#company, this.#blocks) === BLOCKED) return BLOCKED
    }
    if (validated) return VALIDATED
    let least = own
    for (const node of above) least = Math.min(least, leastAbove(node, this.#worth, this.#tiers))
    return least
  }

  #rank(author: AuthorId, { contentAuthor, classRank }: Inputs): number {
    const { book } = this.#ports
    const rank = Math.min(tierRank(book.opinionOf(author)), classRank)
    return contentAuthor === undefined ? rank : Math.min(rank, tierRank(book.opinionOf(contentAuthor)))
  }

  // --- nodes of a lineage: id and space in one text

  #ownRank(node: string): number {
    if (node === NOT_YET) return UNKNOWN
    const doc = this.#docOf(node)
    return doc === undefined ? TRUSTED : this.#rank(doc.author, this.#known(doc))
  }

  #isValidated(node: string): boolean {
    return node !== NOT_YET && this.#docOf(node)?.validated === true
  }

  #above(node: string): readonly string[] {
    if (node === NOT_YET) return NO_RECORDS
    const doc = this.#docOf(node)
    if (doc === undefined) return NO_RECORDS
    const { basis } = this.#known(doc)
    return basis.length === 0 ? NO_RECORDS : this.#present(doc.space, basis)
  }

  /** Those of the records that are here, in the space or, failing that, in another one. */
  #present(space: SpaceId, ids: readonly RecordId[]): string[] {
    const nodes: string[] = []
    for (const id of ids) {
      const spaces = [space, ...this.#ports.spaces().filter((other) => other !== space)]
      const home = spaces.find((one) => this.#ports.docOf(one, id) !== undefined)
      if (home !== undefined) nodes.push(id + home)
      else {
        this.#missed.add(id)
        if (!spaces.some((one) => this.#ports.awaits(one, id))) continue
        this.#metNotYet = true
        nodes.push(NOT_YET)
      }
    }
    return nodes
  }

  #docOf(node: string): RecallDoc | undefined {
    return this.#ports.docOf(node.slice(ID_DIGITS), node.slice(0, ID_DIGITS))
  }

  #known(doc: RecallDoc): Inputs {
    return this.#inputs.get(doc.space)?.get(doc.id) ?? NOTHING_SPECIAL
  }

  #subject(doc: RecallDoc): Subject {
    const { space, id, author, validated } = doc
    return { space, id, author, validated, inputs: this.#known(doc) }
  }

  // --- inputs

  #inputsOf(view: MemoryView): Inputs {
    const { peer, contentPeer, origins, parents, evidence, id } = view
    const contentAuthor = contentPeer === peer ? undefined : parseAuthor(contentPeer)
    // What others say about where this came from is theirs to say, and nothing to go by.
    const own = origins.filter((one) => one.peer === peer || one.peer === contentPeer)
    const origin = worstClass(own.map((one) => one.class))
    const basis = evidence.length === 0 ? parents : [...new Set([...parents, ...namedIn(evidence)])]
    const others = basis.filter((one) => one !== id)
    if (others.length > 0 || contentAuthor !== undefined) {
      const classRank = tierRank(tierOfClasses(origin === undefined ? [] : [origin]))
      return { contentAuthor, origin, classRank, basis: others.length === 0 ? NO_RECORDS : others }
    }
    return origin === undefined ? NOTHING_SPECIAL : this.#plain(origin)
  }

  #plain(origin: OriginClass): Inputs {
    let inputs = this.#common.get(origin)
    if (inputs === undefined) {
      const classRank = tierRank(tierOfClasses([origin]))
      inputs = { contentAuthor: undefined, origin, classRank, basis: NO_RECORDS }
      this.#common.set(origin, inputs)
    }
    return inputs
  }

  // --- reasons

  #explain(subject: Subject): TrustVerdict {
    const rank = this.#rankOf(subject, subject.inputs)
    const tier = TRUST_TIERS[rank] as TrustTier
    if (rank === VALIDATED) return { tier, because: 'a ballot of the roster validated it' }
    return { tier, because: this.#because(subject, rank) }
  }

  /** The nearest in the lineage that is worth no more than the whole. */
  #because(subject: Subject, rank: number): string {
    if (this.#rank(subject.author, subject.inputs) === rank) return `its ${this.#cause(subject, rank)}`
    const seen = new Set<string>()
    let frontier: readonly string[] = this.#present(subject.space, subject.inputs.basis)
    while (frontier.length > 0 && seen.size < REASONS_MAX) {
      const next: string[] = []
      for (const node of frontier) {
        if (seen.has(node)) continue
        seen.add(node)
        if (node === NOT_YET) continue
        const doc = this.#docOf(node)
        if (doc === undefined) continue
        const cause = rank === BLOCKED || !doc.validated ? this.#subject(doc) : undefined
        if (cause !== undefined && this.#ownRank(node) === rank) {
          const who = doc.space === subject.space ? doc.id.slice(0, 8) : 'a memory of another space'
          return `it descends from ${who}, whose ${this.#cause(cause, rank)}`
        }
        if (cause !== undefined) next.push(...this.#above(node))
      }
      frontier = next
    }
    this.#metNotYet = false
    return 'some of what it was made from is not indexed yet'
  }

  #cause({ author, inputs }: Subject, rank: number): string {
    const { book } = this.#ports
    const { contentAuthor, origin, classRank } = inputs
    const isTold = (one: AuthorId): boolean => tierRank(book.opinionOf(one)) === rank
    // Of two reasons the one that names more: what was said of the author, then the origin, then that nothing was said.
    if (isTold(author) && book.isSet(author)) return `author is set to ${book.opinionOf(author)} here`
    if (contentAuthor !== undefined && isTold(contentAuthor) && book.isSet(contentAuthor)) {
      return `present words are by an author who is set to ${book.opinionOf(contentAuthor)} here`
    }
    if (classRank === rank && origin !== undefined && classRank < TRUSTED) return `origin is "${origin}"`
    if (isTold(author)) return rank === TRUSTED ? 'author is this daemon' : 'author is a newcomer here'
    return 'present words are by an author who is a newcomer here'
  }
}

/** Ids of records in texts of evidence. A hash of anything else looks the same, and names no record that is here. */
function namedIn(evidence: readonly string[]): RecordId[] {
  return evidence.flatMap((text) => text.match(RECORD_ID) ?? [])
}

function sameInputs(a: Inputs, b: Inputs): boolean {
  return (
    a === b ||
    (a.contentAuthor === b.contentAuthor &&
      a.origin === b.origin &&
      a.basis.length === b.basis.length &&
      a.basis.every((id, index) => id === b.basis[index]))
  )
}
