/**
 * The convergent state of one memory, and the table that says how each part of it merges. A record is the fold of all
 * operations that name it; every part is a join-semilattice, so the fold is the same in whatever order, grouping or
 * number the operations arrive, and a merge by itself never changes a counter or a time.
 *
 * Each last-writer-wins field has a stamp of its own. One stamp for the whole document is not associative: a newer
 * write to one field would re-date the older values of all others. The rules are normative in docs/WIRE.md §6.
 *
 * It checks no signature, membership or bound (a delta has passed those before), reads no clock, and knows nothing of
 * what a reader sees; memory/view.ts derives that.
 */
import { assert, AssertionError, unreachable } from '../base/assert.ts'
import { emptyGCounter, gCounterLattice, raiseTotal, type GCounter } from '../crdt/g-counter.ts'
import { addElement, emptyGSet, gSetLattice, type GSet } from '../crdt/g-set.ts'
import { mapLattice, optional, type Lattice, type Semilattice } from '../crdt/lattice.ts'
import { laterOf, lwwRegister, reversed, type LwwRegister } from '../crdt/lww-register.ts'
import { emptyMaxMap, maxMapLattice, raise, type MaxMap } from '../crdt/max-register.ts'
import { addDot, emptyOrSet, orSetLattice, removeDots, type OrSet } from '../crdt/or-set.ts'
import { compareCodePoints } from '../crdt/text-order.ts'
import { compareStamps, dotOf, type AuthorId, type DeltaId, type Epoch, type RecordId, type Stamp } from './ids.ts'
import { originOf, type OriginElement } from './origin.ts'
import type { BallotVerdict, DocumentType, Field, FieldValue, KnownOp, MemoryType } from './ops.ts'

export interface Creation {
  readonly documentType: DocumentType
  readonly memoryType: MemoryType | null
  readonly source: string | null
}

export interface Vote {
  readonly verdict: BallotVerdict
  /** Basis points. */
  readonly confidence: number
  readonly reason: string | null
}

export type Register<V> = LwwRegister<V, Stamp>

/** Everything that merges. applyOp changes it in place; a reader treats it as read-only. */
export interface RecordParts {
  key: string | null
  created: Register<Creation> | null
  fields: Map<Field, Register<FieldValue>>
  tags: OrSet<string>
  evidence: GSet<string>
  related: GSet<RecordId>
  parents: GSet<RecordId>
  supersedes: GSet<RecordId>
  importance: MaxMap
  confidence: MaxMap
  access: GCounter
  votes: Map<AuthorId, Register<Vote>>
  contentDeltas: GSet<DeltaId>
  origins: GSet<OriginElement>
  updated: Stamp | null
}

export interface RecordState extends RecordParts {
  readonly id: RecordId
}

/** The key is a hash preimage of the id, so two honest texts never differ; the lesser one stays if they ever do. */
const lesserText: Semilattice<string> = {
  join: (a, b) => (compareCodePoints(a, b) <= 0 ? a : b),
  equals: (a, b) => a === b
}

const laterStamp: Semilattice<Stamp> = {
  join: (a, b) => (compareStamps(a, b) >= 0 ? a : b),
  equals: (a, b) => compareStamps(a, b) === 0
}

/** Of two creations the one that comes first in the total order stays. */
const firstCreation = reversed(compareStamps)

/**
 * The merge table: what each part is, and therefore how it merges. This is the whole of it; no other code decides how
 * two states of a record become one.
 */
export const MERGE_TABLE: { readonly [P in keyof RecordParts]: Lattice<RecordParts[P]> } = {
  /** Kept once known. */
  key: optional(lesserText),
  /** First writer wins: origin is not rewritten by later claims to it. */
  created: optional(lwwRegister<Creation, Stamp>(firstCreation)),
  /** One last-writer-wins register for each field, by (hlc, author, delta, index). Lossy between concurrent writers. */
  fields: mapLattice(lwwRegister<FieldValue, Stamp>(compareStamps)),
  /** Observed-remove set, dot = (delta, index): a concurrent add wins over a removal. */
  tags: orSetLattice<string>(),
  /** Grow-only sets: evidence and links are never taken back. */
  evidence: gSetLattice<string>(),
  related: gSetLattice<RecordId>(),
  parents: gSetLattice<RecordId>(),
  supersedes: gSetLattice<RecordId>(),
  /** The highest claim of each author, in basis points. No author raises another's. */
  importance: maxMapLattice,
  confidence: maxMapLattice,
  /** Totals by `author:epoch`: an author who lost its log counts on under a new epoch instead of from a lower total. */
  access: gCounterLattice,
  /** Last vote of each voter. */
  votes: mapLattice(lwwRegister<Vote, Stamp>(compareStamps)),
  /** The deltas that ever set the content; the version is their number. */
  contentDeltas: gSetLattice<DeltaId>(),
  /** Grow-only: a claim once made stands, so that nobody writes a better one over it. */
  origins: gSetLattice<OriginElement>(),
  /** The latest stamp of any operation. */
  updated: optional(laterStamp)
}

const PARTS = Object.keys(MERGE_TABLE) as (keyof RecordParts)[]

/** The parts that are collections. */
type Collection = Exclude<keyof RecordParts, 'key' | 'created' | 'updated'>

/**
 * Most collections of most records are empty for ever, and an empty Set takes 200 bytes: all records share these until
 * something is put in. They refuse whoever forgets `ownPart`, for what one record learned would be in all others.
 */
const NOTHING: Readonly<Pick<RecordParts, Collection>> = {
  fields: untouchable(new Map()),
  tags: untouchable(emptyOrSet()),
  evidence: untouchable(emptyGSet()),
  related: untouchable(emptyGSet()),
  parents: untouchable(emptyGSet()),
  supersedes: untouchable(emptyGSet()),
  importance: untouchable(emptyMaxMap()),
  confidence: untouchable(emptyMaxMap()),
  access: untouchable(emptyGCounter()),
  votes: untouchable(new Map()),
  contentDeltas: untouchable(emptyGSet()),
  origins: untouchable(emptyGSet())
}

function untouchable<C extends object>(collection: C): C {
  const refuse = (): never => {
    throw new AssertionError('a shared empty part of a record is never filled')
  }
  for (const method of ['add', 'set']) Object.defineProperty(collection, method, { value: refuse })
  return collection
}

/** The part of a record for putting something in: its own, no longer the shared empty one. */
export function ownPart<P extends Collection>(record: RecordParts, part: P): RecordParts[P] {
  if (record[part] === NOTHING[part]) record[part] = MERGE_TABLE[part].bottom()
  return record[part]
}

/** A record nobody has said anything about. */
export function emptyRecord(id: RecordId): RecordState {
  return { id, key: null, created: null, ...NOTHING, updated: null }
}

/** Whether some create has arrived. Operations may come before it; until then there is nothing to show. */
export function recordExists(record: RecordState): boolean {
  return record.created !== null
}

/**
 * Joins one operation into the record, in place. The operation must target this record (memory/names.ts resolves that).
 * Inflationary, idempotent and commutative: order and repetition do not matter.
 */
export function applyOp(record: RecordState, op: KnownOp, stamp: Stamp, epoch: Epoch): void {
  if (op.target.by === 'key' && record.key !== op.target.key) {
    record.key = record.key === null ? op.target.key : lesserText.join(record.key, op.target.key)
  }
  if (record.updated === null || compareStamps(stamp, record.updated) > 0) record.updated = stamp
  switch (op.op) {
    case 'create': {
      const { documentType, memoryType, source } = op
      record.created = laterOf(record.created, { value: { documentType, memoryType, source }, stamp }, firstCreation)
      return
    }
    case 'set':
      if (op.field === 'content') addElement(ownPart(record, 'contentDeltas'), stamp.delta)
      setField(ownPart(record, 'fields'), op.field, { value: op.value, stamp })
      return
    case 'tag':
      addDot(ownPart(record, 'tags'), op.tag, dotOf(stamp.delta, stamp.index))
      return
    case 'untag':
      removeDots(ownPart(record, 'tags'), op.tag, op.dots)
      return
    case 'link':
      addElement(ownPart(record, op.relation), op.value)
      return
    case 'importance':
      raise(ownPart(record, 'importance'), stamp.author, op.value)
      return
    case 'confidence':
      raise(ownPart(record, 'confidence'), stamp.author, op.value)
      return
    case 'access':
      raiseTotal(ownPart(record, 'access'), `${stamp.author}:${epoch}`, op.total)
      return
    case 'vote': {
      const { verdict, confidence, reason } = op
      const vote = { value: { verdict, confidence, reason }, stamp }
      const votes = ownPart(record, 'votes')
      votes.set(stamp.author, laterOf(votes.get(stamp.author), vote, compareStamps))
      return
    }
    case 'origin':
      addElement(ownPart(record, 'origins'), originOf(stamp.author, op.origin, op.agent))
      return
    default:
      unreachable(op)
  }
}

function setField(fields: RecordParts['fields'], field: Field, write: Register<FieldValue>): void {
  fields.set(field, laterOf(fields.get(field), write, compareStamps))
}

/** The least state above both. Both must be states of one record; neither is changed or shared with the result. */
export function joinRecords(a: RecordState, b: RecordState): RecordState {
  assert(a.id === b.id, 'only states of one record are joined')
  const joined = emptyRecord(a.id)
  for (const part of PARTS) joinPart(part, joined, a, b)
  return joined
}

function joinPart<P extends keyof RecordParts>(part: P, into: RecordParts, a: RecordParts, b: RecordParts): void {
  // What neither knows anything of stays shared.
  if (a[part] === into[part] && b[part] === into[part]) return
  into[part] = MERGE_TABLE[part].join(a[part], b[part])
}

/** A copy that shares no mutable part: joining with the empty record is what copying means for a lattice. */
export function cloneRecord(record: RecordState): RecordState {
  return joinRecords(record, emptyRecord(record.id))
}

/** Whether both states know exactly the same; their encodings are then byte-identical. */
export function equalRecords(a: RecordState, b: RecordState): boolean {
  return a.id === b.id && PARTS.every((part) => equalPart(part, a, b))
}

function equalPart<P extends keyof RecordParts>(part: P, a: RecordParts, b: RecordParts): boolean {
  return MERGE_TABLE[part].equals(a[part], b[part])
}
