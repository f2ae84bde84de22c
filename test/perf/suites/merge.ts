/** Merging: one delta into a record, and two grow-only sets. Pure computation, no disk and no network. */
import { createCrypto } from '../../../src/adapters/system/crypto.ts'
import { joinGSetInto } from '../../../src/crdt/g-set.ts'
import { composeAdd, composeRevise } from '../../../src/memory/compose.ts'
import { hlcOf, type Stamp } from '../../../src/memory/ids.ts'
import type { KnownOp, Op } from '../../../src/memory/ops.ts'
import { applyOp, emptyRecord, type RecordState } from '../../../src/memory/record.ts'
import { memory } from '../corpus.ts'
import { GOALS } from '../goals.ts'
import { median, microsPerCall } from '../measure.ts'
import type { SuiteContext } from '../world.ts'

const BATCH = 20_000
const SET = 1_000
const SET_ROUNDS = 300
const RECORD = 'f'.repeat(64)
const EPOCH = 'e0'.repeat(8)

const id = (n: number): string => n.toString(16).padStart(64, '0')

export async function merge({ report }: SuiteContext): Promise<void> {
  const learn = known(composeAdd(memory(0), 0))
  const fresh = (): RecordState => {
    const record = emptyRecord(RECORD)
    apply(record, learn, 0)
    return record
  }
  // A new record now and then, so that its version set stays as large as that of a memory often revised.
  let record = fresh()
  const revise = known(composeRevise(fresh(), { content: memory(1).content }))
  const revisedMicros = microsPerCall(
    (i) => {
      if (i % 50 === 0) record = fresh()
      apply(record, revise, i + 1)
    },
    { batch: BATCH }
  )
  report('merge of one delta into a record', revisedMicros, 'µs', {
    params: { operations: revise.length, what: 'a revision of the content' },
    goal: GOALS.mergeDeltaMicros
  })
  const learnMicros = microsPerCall((i) => apply(emptyRecord(RECORD), learn, i + 1), { batch: BATCH })
  report('merge of a whole new memory', learnMicros, 'µs', {
    params: { operations: learn.length, what: 'create, content, kind, two tags, importance, into an empty record' }
  })
  gSets(report)
  return Promise.resolve()
}

function known(ops: readonly Op[]): KnownOp[] {
  return ops.filter((op): op is KnownOp => op.op !== 'unknown')
}

/** What the replica does with an admitted delta, once for each operation. */
function apply(record: RecordState, ops: readonly KnownOp[], n: number): void {
  const delta = id(n)
  ops.forEach((op, index) => {
    const stamp: Stamp = { hlc: hlcOf(1_700_000_000_000 + n), author: id(7), delta, index }
    applyOp(record, op, stamp, EPOCH)
  })
}

/** A set of 1,000 record ids takes in a delta of 1,000: none of them known, then half of them known. */
function gSets(report: SuiteContext['report']): void {
  const { sha384 } = createCrypto(new Uint8Array(32).fill(1))
  const ids = Array.from({ length: 2 * SET }, (_, n) => Buffer.from(sha384(Buffer.from(id(n)))).toString('hex', 0, 32))
  for (const shared of [0, SET / 2]) {
    const delta = new Set(ids.slice(SET - shared, 2 * SET - shared))
    const times: number[] = []
    for (let round = 0; round < SET_ROUNDS; round++) {
      const into = new Set(ids.slice(0, SET))
      const startedMs = performance.now()
      joinGSetInto(into, delta)
      times.push((performance.now() - startedMs) * 1_000)
    }
    report(`G-Set merge 1,000 + 1,000, ${shared} in both`, median(times.slice(SET_ROUNDS / 3)), 'µs', {
      params: { rounds: SET_ROUNDS, elements: 'ids of 64 digits' },
      goal: GOALS.mergeGSetMicros
    })
  }
}
