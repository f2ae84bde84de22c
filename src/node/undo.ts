/**
 * Takes back what was done: a retraction, or one whole action of consolidation. What an action did is read from the
 * signed deltas that wrote its record, not from its words: each of their effects is reversed exactly, by the dot or the
 * stamp it left, so that what anybody has changed since stays as they left it.
 *
 * Links, evidence and claims are sets that only grow: those stay, and the answer counts them. What was brought back is
 * not coalesced again (node/census.ts).
 */
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { composeRestore, composeRetract } from '../memory/compose.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import { dotOf, type RecordId } from '../memory/ids.ts'
import { resolveTarget } from '../memory/names.ts'
import type { KnownOp, Op } from '../memory/ops.ts'
import type { RecordState } from '../memory/record.ts'
import type { UndoAnswer, WriteOptions, WriteReceipt } from './api.ts'
import { ACTION_KEY, ACTION_PATH, fitsOneDelta } from './consolidation-ops.ts'
import { readHistory, type DeltaReader } from './deltas.ts'
import type { Reads } from './reads.ts'
import type { Records } from './records.ts'
import type { Place } from './spaces.ts'
import type { Writes } from './writes.ts'

export interface UndoPorts extends DeltaReader {
  readonly records: Records
  readonly reads: Reads
  readonly writes: Writes
}

/** One effect of an action on another record, and the mark it left there. */
interface Effect {
  readonly id: RecordId
  readonly op: KnownOp
  readonly delta: string
  readonly index: number
}

export async function restoreMemory(
  ports: UndoPorts,
  request: { id: string; space?: string },
  options: WriteOptions | undefined
): Promise<WriteReceipt> {
  const { space, id } = await ports.reads.resolve(request.id, request.space)
  const record = await ports.records.get(space.id, id)
  if (typeof record?.state.fields.get('retracted')?.value !== 'string') {
    throw new ChrysalisError('invalid_state', `memory ${id.slice(0, 12)} is not retracted; nothing was written`, {
      hint: 'Only a retraction is taken back. `chrysalis get ID` shows whether there is one.',
      data: { id }
    })
  }
  return ports.writes.apply(space, composeRestore(id), id, options)
}

export async function undoAction(
  ports: UndoPorts,
  request: { id: string; space?: string },
  options: WriteOptions | undefined
): Promise<UndoAnswer> {
  const place = await ports.reads.resolve(request.id, request.space)
  const { space, id } = place
  const record = await ports.records.get(space.id, id)
  checkAction(id, record?.state)
  const effects = await effectsOf(ports, place)
  const marks = new Set(effects.map((effect) => effect.delta))
  const reversal = { ops: [] as Op[], restored: [] as RecordId[], overtaken: new Set<RecordId>(), untagged: 0, kept: 0 }
  for (const [touched, some] of byRecord(effects)) {
    const state = (await ports.records.get(space.id, touched))?.state
    if (state !== undefined) reverse(reversal, state, some, marks)
  }
  // The record of the action last: should it come to several deltas, the action counts as undone when all are written.
  for (const ops of deltas([...reversal.ops, ...composeRetract(id, 'undone')])) {
    await ports.writes.apply(space, ops, id, options)
  }
  const { restored, overtaken, untagged, kept } = reversal
  return { id, space: space.id, restored: restored.sort(), untagged, kept, overtaken: [...overtaken].sort() }
}

function checkAction(id: RecordId, state: RecordState | undefined): void {
  const isAction =
    state?.created?.value.documentType === 'metadata' &&
    state.key?.startsWith(ACTION_KEY) === true &&
    state.fields.get('path')?.value === ACTION_PATH
  if (!isAction) {
    throw new ChrysalisError('invalid_state', `${id.slice(0, 12)} is no action of consolidation; nothing was written`, {
      hint: `List them with \`chrysalis list --path ${ACTION_PATH}\`. A retraction is taken back with \`chrysalis restore ID\`.`,
      data: { id }
    })
  }
  if (typeof state.fields.get('retracted')?.value === 'string') {
    throw new ChrysalisError('invalid_state', `action ${id.slice(0, 12)} was undone before; nothing was written`, {
      hint: 'Its history says by whom: `chrysalis history ID`.',
      data: { id }
    })
  }
}

/** What the deltas that created the record of the action did to other records. */
async function effectsOf(ports: UndoPorts, { space, id }: Place): Promise<Effect[]> {
  const history = await readHistory(ports, space.id, id, LIMITS.consolidationHistoryDeltasMax)
  return history.flatMap((delta) => (creates(ports, delta, id) ? effectsIn(ports, delta, id) : []))
}

function creates(ports: UndoPorts, delta: VerifiedDelta, id: RecordId): boolean {
  return delta.ops.some((op) => op.op === 'create' && targetOf(ports, delta, op) === id)
}

function effectsIn(ports: UndoPorts, delta: VerifiedDelta, action: RecordId): Effect[] {
  return delta.ops.flatMap((op, index) => {
    if (op.op === 'unknown') return []
    const id = targetOf(ports, delta, op)
    return id === action ? [] : [{ id, op, delta: delta.id, index }]
  })
}

function targetOf(ports: UndoPorts, delta: VerifiedDelta, op: KnownOp): RecordId {
  return resolveTarget(ports.crypto, delta.header.space, delta.id, op.target)
}

function byRecord(effects: readonly Effect[]): Map<RecordId, Effect[]> {
  const records = new Map<RecordId, Effect[]>()
  for (const effect of effects) {
    const list = records.get(effect.id)
    if (list === undefined) records.set(effect.id, [effect])
    else list.push(effect)
  }
  return records
}

/** `marks`: the deltas whose effects these are. What another delta wrote over since is left as it is. */
function reverse(
  into: { ops: Op[]; restored: RecordId[]; overtaken: Set<RecordId>; untagged: number; kept: number },
  state: RecordState,
  effects: readonly Effect[],
  marks: ReadonlySet<string>
): void {
  const target = { by: 'id', id: state.id } as const
  const fields = new Set<string>()
  for (const { op, delta, index } of effects) {
    if (op.op === 'tag') {
      const dot = dotOf(delta, index)
      if (state.tags.get(op.tag)?.live.has(dot) !== true) continue
      into.ops.push({ op: 'untag', target, tag: op.tag, dots: [dot] })
      into.untagged++
    } else if (op.op !== 'set') into.kept++
    else if (!fields.has(op.field)) {
      fields.add(op.field)
      const now = state.fields.get(op.field)
      if (now === undefined || !marks.has(now.stamp.delta)) into.overtaken.add(state.id)
      else if (op.field === 'retracted') {
        into.ops.push(...composeRestore(state.id))
        into.restored.push(state.id)
      } else if (op.field === 'pinned') into.ops.push({ op: 'set', target, field: 'pinned', value: false })
    }
  }
}

/** In their order, each part fit for one delta. */
function deltas(ops: readonly Op[]): (readonly Op[])[] {
  if (ops.length < 2 || fitsOneDelta(ops)) return [ops]
  const middle = Math.ceil(ops.length / 2)
  return [...deltas(ops.slice(0, middle)), ...deltas(ops.slice(middle))]
}
