/**
 * Random histories of one record: deltas by a few authors, under a few epochs, at times that often tie, each with
 * several operations. Whatever a test does with them, one (delta, index) names one operation, as a hash guarantees in
 * earnest. Tags, keys and times come from small pools, so that histories collide as much as possible.
 */
import fc from 'fast-check'
import { dotOf, hlcOf, type Epoch, type Stamp } from '../../src/memory/ids.ts'
import {
  BASIS_POINTS,
  DOCUMENT_TYPES,
  KINDS,
  MEMORY_TYPES,
  ORIGIN_CLASSES,
  RELATIONS,
  VERDICTS,
  type KnownOp,
  type Target
} from '../../src/memory/ops.ts'
import { applyOp, emptyRecord, type RecordState } from '../../src/memory/record.ts'

export interface PlacedOp {
  readonly op: KnownOp
  readonly stamp: Stamp
  readonly epoch: Epoch
}

export const RECORD = 'f'.repeat(64)
/** 32 bytes that end in `n`. */
export const id32 = (n: number): string => n.toString(16).padStart(64, '0')
export const epoch8 = (n: number): string => n.toString(16).padStart(16, '0')

const DELTAS = 8
const OPS = 4

/** Two keys for one id: no honest pair of daemons sees that, but the fold must not depend on it. */
const target = fc.constantFrom<Target>({ by: 'id', id: RECORD }, { by: 'key', key: 'k' }, { by: 'key', key: 'j' })
const tag = fc.constantFrom('a', 'b', 'é', '\uffee', '😀', '\ufeffmarked')
const text = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 12 }), fc.constantFrom('', '\ufeff', 'x'.repeat(300)))
/** A slash in a name must not be taken for the one before it. */
const agentName = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
const textOrNull = fc.option(text, { nil: null })
const basisPoints = fc.integer({ min: 0, max: BASIS_POINTS })
const wallMs = fc.option(fc.integer({ min: 0, max: 2 ** 48 - 1 }), { nil: null })
const recordId = fc.integer({ min: 100, max: 104 }).map(id32)
const dot = fc
  .tuple(fc.integer({ min: 0, max: DELTAS - 1 }), fc.integer({ min: 0, max: OPS - 1 }))
  .map(([delta, index]) => dotOf(id32(delta), index))

/** One operation on the record. */
export const knownOp: fc.Arbitrary<KnownOp> = fc.oneof(
  fc.record({
    op: fc.constant('create' as const),
    target,
    documentType: fc.constantFrom(...DOCUMENT_TYPES),
    memoryType: fc.option(fc.constantFrom(...MEMORY_TYPES), { nil: null }),
    source: textOrNull
  }),
  fc.record({ op: fc.constant('set' as const), target, field: fc.constant('content' as const), value: text }),
  fc.record({
    op: fc.constant('set' as const),
    target,
    field: fc.constant('kind' as const),
    value: fc.constantFrom(...KINDS)
  }),
  fc.record({
    op: fc.constant('set' as const),
    target,
    field: fc.constantFrom('path' as const, 'retracted' as const),
    value: textOrNull
  }),
  fc.record({ op: fc.constant('set' as const), target, field: fc.constant('pinned' as const), value: fc.boolean() }),
  fc.record({
    op: fc.constant('set' as const),
    target,
    field: fc.constantFrom('validFrom' as const, 'validTo' as const, 'expiresAt' as const),
    value: wallMs
  }),
  fc.record({ op: fc.constant('tag' as const), target, tag }),
  fc.record({ op: fc.constant('untag' as const), target, tag, dots: fc.array(dot, { maxLength: 4 }) }),
  fc.record({ op: fc.constant('link' as const), target, relation: fc.constant('evidence' as const), value: text }),
  fc.record({
    op: fc.constant('link' as const),
    target,
    relation: fc.constantFrom(...RELATIONS.slice(1)),
    value: recordId
  }),
  fc.record({ op: fc.constantFrom('importance' as const, 'confidence' as const), target, value: basisPoints }),
  fc.record({ op: fc.constant('access' as const), target, total: fc.nat(Number.MAX_SAFE_INTEGER) }),
  fc.record({
    op: fc.constant('vote' as const),
    target,
    verdict: fc.constantFrom(...VERDICTS),
    confidence: basisPoints,
    reason: textOrNull
  }),
  fc.record({
    op: fc.constant('origin' as const),
    target,
    origin: fc.constantFrom(...ORIGIN_CLASSES),
    agent: fc.option(fc.oneof(agentName, fc.constantFrom('a/b', '/', '0/x')), { nil: null })
  })
)

/** Every operation of up to eight deltas, in the order of writing. */
export const history: fc.Arbitrary<PlacedOp[]> = fc
  .uniqueArray(
    fc.record({
      delta: fc.integer({ min: 0, max: DELTAS - 1 }),
      author: fc.integer({ min: 50, max: 52 }),
      epoch: fc.integer({ min: 0, max: 1 }),
      ms: fc.constantFrom(0, 1, 1_700_000_000_000, 1_700_000_000_001),
      ops: fc.array(knownOp, { minLength: 1, maxLength: OPS })
    }),
    { selector: (delta) => delta.delta, maxLength: DELTAS }
  )
  .map((deltas) =>
    deltas.flatMap(({ delta, author, epoch, ms, ops }) =>
      ops.map((op, index) => ({
        op,
        stamp: { hlc: hlcOf(ms), author: id32(author), delta: id32(delta), index },
        epoch: epoch8(epoch)
      }))
    )
  )

/** The fold of the operations, in the order given. */
export function fold(ops: readonly PlacedOp[], into: RecordState = emptyRecord(RECORD)): RecordState {
  for (const { op, stamp, epoch } of ops) applyOp(into, op, stamp, epoch)
  return into
}
