/**
 * What every record should be, worked out a second time from the operations alone: for each part the rule of
 * docs/WIRE.md §6 in its plainest form, over the whole set at once and without any of the merge code. Tags (I8), claims
 * and counts (I9) and all the rest (I15) of what is stored must be equal to it.
 *
 * Beside that the merge code against itself: the same deltas in other orders and other groupings give the same bytes
 * (`shuffle`), and joins of partial states obey the laws of a lattice (I4).
 */
import { createHash } from 'node:crypto'
import { fromHex, toHex, type Hex } from '../../src/base/bytes.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import type { Delta } from '../../src/memory/delta.ts'
import type { RecordId, SpaceId, Stamp } from '../../src/memory/ids.ts'
import { resolveTarget } from '../../src/memory/names.ts'
import { RELATIONS, type KnownOp } from '../../src/memory/ops.ts'
import { originOf } from '../../src/memory/origin.ts'
import { decodeRecord, encodeRecord } from '../../src/memory/record-codec.ts'
import { applyOp, emptyRecord, joinRecords, type RecordState } from '../../src/memory/record.ts'
import type { Invariant, Violation } from './checker.ts'
import type { NodeView, Scene } from './inspect.ts'
import { short } from './stores.ts'

const hasher = { sha384: (bytes: Uint8Array) => new Uint8Array(createHash('sha384').update(bytes).digest()) }

/** One operation on one record, with its place in the total order. */
export interface Deed {
  readonly op: KnownOp
  readonly stamp: Stamp
  readonly epoch: string
}

/** Join laws are tried on this many records of a run, and this many shuffles. */
const SAMPLES = 12
const SHUFFLES = 2

export function checkReference(scene: Scene): Violation[] {
  const found: Violation[] = []
  // One node speaks for all that hold the same bytes; whoever differs has been reported by then, and is looked at too.
  const seen = new Set<string>()
  for (const view of scene.views) {
    const fingerprint = createHash('sha256')
    for (const [id, state] of view.records) fingerprint.update(id).update(state)
    for (const id of view.deltas.keys()) fingerprint.update(id)
    const name = fingerprint.digest('hex')
    if (seen.has(name)) continue
    seen.add(name)
    const deltas = [...view.deltas.keys()].flatMap((id) => scene.known.get(id)?.delta ?? [])
    const deeds = deedsOf(deltas, scene.space)
    const random = new SeededRandom(`${scene.evidence.options.seed}/checkers/${view.name}`)
    found.push(...checkRecords(view, deeds))
    found.push(...checkShuffle(view, deeds, random.fork('shuffle')))
    found.push(...checkLaws(view, deeds, random.fork('laws')))
  }
  return found
}

/** The record each operation of a delta touches, by its index; empty for operations of later versions. */
export function targetsOf(delta: Delta, space: SpaceId): RecordId[] {
  return delta.ops.map((op) => (op.op === 'unknown' ? '' : resolveTarget(hasher, space, delta.id, op.target)))
}

/** Everything done to each record, ascending by id of the delta: an order nobody ever saw. */
export function deedsOf(deltas: readonly Delta[], space: SpaceId): Map<RecordId, Deed[]> {
  const deeds = new Map<RecordId, Deed[]>()
  for (const delta of [...deltas].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const targets = targetsOf(delta, space)
    const { hlc, author, epoch } = delta.header
    delta.ops.forEach((op, index) => {
      const record = targets[index]
      if (op.op === 'unknown' || record === undefined) return
      const list = deeds.get(record) ?? []
      list.push({ op, stamp: { hlc, author, delta: delta.id, index }, epoch })
      deeds.set(record, list)
    })
  }
  return deeds
}

// --- against the recomputation

export function checkRecords(view: NodeView, deeds: ReadonlyMap<RecordId, readonly Deed[]>): Violation[] {
  const found: Violation[] = []
  for (const [id, done] of deeds) {
    const stored = view.records.get(id)
    if (stored === undefined) {
      found.push({ invariant: 'I15', node: view.name, what: `record ${short(id)} is not stored at all` })
      continue
    }
    const [should, is] = [recompute(done), shown(decodeRecord(fromHex(stored)))]
    for (const [part, expected] of Object.entries(should)) {
      const actual = is[part]
      if (actual === expected) continue
      const what = `${part} of record ${short(id)} is ${brief(actual)} and should be ${brief(expected)}`
      found.push({ invariant: INVARIANT_OF[part] ?? 'I15', node: view.name, what })
    }
  }
  const extra = [...view.records.keys()].filter((id) => !deeds.has(id)).length
  if (extra > 0) found.push({ invariant: 'I15', node: view.name, what: `${extra} stored records nobody ever wrote to` })
  return found
}

const INVARIANT_OF: Readonly<Record<string, Invariant>> = {
  tags: 'I8',
  importance: 'I9',
  confidence: 'I9',
  access: 'I9'
}

/** Parts of a record as text, so that two of them can be compared and shown. */
type Parts = Record<string, string>

function recompute(deeds: readonly Deed[]): Parts {
  const adds = new Map<string, Set<string>>()
  const removals = new Map<string, Set<string>>()
  const sets = new Map<string, Set<string>>()
  const maxima = new Map<string, Map<string, number>>()
  const latest = new Map<string, { stamp: Stamp; text: string }>()
  let created: { stamp: Stamp; text: string } | undefined
  let updated: Stamp | undefined
  const into = (map: Map<string, Set<string>>, key: string): Set<string> => {
    const set = map.get(key) ?? new Set()
    map.set(key, set)
    return set
  }
  const raise = (part: string, actor: string, value: number): void => {
    const map = maxima.get(part) ?? new Map<string, number>()
    map.set(actor, Math.max(map.get(actor) ?? 0, value))
    maxima.set(part, map)
  }
  const write = (slot: string, stamp: Stamp, text: string): void => {
    const known = latest.get(slot)
    if (known === undefined || isLater(stamp, known.stamp)) latest.set(slot, { stamp, text })
  }
  for (const { op, stamp, epoch } of deeds) {
    if (updated === undefined || isLater(stamp, updated)) updated = stamp
    if (op.op === 'create') {
      const text = textOf([op.documentType, op.memoryType, op.source])
      if (created === undefined || isLater(created.stamp, stamp)) created = { stamp, text }
    } else if (op.op === 'set') {
      if (op.field === 'content') into(sets, 'contentDeltas').add(stamp.delta)
      write(`field ${op.field}`, stamp, textOf(op.value))
    } else if (op.op === 'tag') into(adds, op.tag).add(`${stamp.delta}.${stamp.index}`)
    else if (op.op === 'untag') for (const dot of op.dots) into(removals, op.tag).add(dot)
    else if (op.op === 'link') into(sets, op.relation).add(op.value)
    else if (op.op === 'vote') write(`vote ${stamp.author}`, stamp, textOf([op.verdict, op.confidence, op.reason]))
    else if (op.op === 'origin') into(sets, 'origins').add(originOf(stamp.author, op.origin, op.agent))
    else if (op.op === 'access') raise('access', `${stamp.author}:${epoch}`, op.total)
    else raise(op.op, stamp.author, op.value)
  }
  const tags = new Map<string, string>()
  for (const tag of new Set([...adds.keys(), ...removals.keys()])) {
    const removed = removals.get(tag) ?? new Set()
    const live = [...(adds.get(tag) ?? [])].filter((dot) => !removed.has(dot))
    tags.set(tag, `${live.sort().join(' ')} | ${[...removed].sort().join(' ')}`)
  }
  return {
    tags: lines(tags),
    importance: lines(maxima.get('importance') ?? new Map()),
    confidence: lines(maxima.get('confidence') ?? new Map()),
    access: lines(maxima.get('access') ?? new Map()),
    registers: lines(new Map([...latest].map(([slot, { stamp, text }]) => [slot, `${text} ${nameOf(stamp)}`]))),
    created: created === undefined ? '' : `${created.text} ${nameOf(created.stamp)}`,
    updated: updated === undefined ? '' : nameOf(updated),
    ...Object.fromEntries(SETS.map((part) => [part, [...(sets.get(part) ?? [])].sort().join(' ')]))
  }
}

const SETS = [...RELATIONS, 'contentDeltas', 'origins'] as const

/** The same parts of a stored state. */
function shown(state: RecordState): Parts {
  const registers = new Map<string, string>()
  for (const [field, { value, stamp }] of state.fields)
    registers.set(`field ${field}`, `${textOf(value)} ${nameOf(stamp)}`)
  for (const [voter, { value, stamp }] of state.votes) {
    registers.set(`vote ${voter}`, `${textOf([value.verdict, value.confidence, value.reason])} ${nameOf(stamp)}`)
  }
  const tags = new Map<string, string>()
  for (const [tag, { live, removed }] of state.tags) {
    tags.set(tag, `${[...live].sort().join(' ')} | ${[...removed].sort().join(' ')}`)
  }
  const { created, updated } = state
  const origin = created === null ? undefined : created.value
  return {
    tags: lines(tags),
    importance: lines(state.importance),
    confidence: lines(state.confidence),
    access: lines(state.access),
    registers: lines(registers),
    created:
      created === null || origin === undefined
        ? ''
        : `${textOf([origin.documentType, origin.memoryType, origin.source])} ${nameOf(created.stamp)}`,
    updated: updated === null ? '' : nameOf(updated),
    ...Object.fromEntries(SETS.map((part) => [part, [...state[part]].sort().join(' ')]))
  }
}

function lines(map: ReadonlyMap<string, string | number>): string {
  return [...map]
    .map(([key, value]) => `${key} = ${value}`)
    .sort()
    .join('\n')
}

function textOf(value: unknown): string {
  return JSON.stringify(value)
}

function nameOf({ hlc, author, delta, index }: Stamp): string {
  return `${hlc}/${author}/${delta}/${index}`
}

/** The total order of docs/WIRE.md §6, spelled out once more. */
function isLater(a: Stamp, b: Stamp): boolean {
  if (a.hlc !== b.hlc) return a.hlc > b.hlc
  if (a.author !== b.author) return a.author > b.author
  if (a.delta !== b.delta) return a.delta > b.delta
  return a.index > b.index
}

function brief(text: string | undefined): string {
  if (text === undefined || text === '') return 'empty'
  return text.length <= 160 ? text : `${text.slice(0, 160)}…`
}

// --- the merge code against itself

/** Orders and groupings: applied one by one in a drawn order, and as two halves that are then joined. */
export function checkShuffle(
  view: NodeView,
  deeds: ReadonlyMap<RecordId, readonly Deed[]>,
  random: SeededRandom
): Violation[] {
  const found: Violation[] = []
  for (const [id, done] of deeds) {
    const stored = view.records.get(id)
    if (stored === undefined) continue
    const others = new Set<Hex>([stored])
    for (let i = 0; i < SHUFFLES; i++) others.add(bytesOf(folded(id, shuffled(done, random))))
    const mixed = shuffled(done, random)
    const half = Math.ceil(mixed.length / 2)
    others.add(bytesOf(joinRecords(folded(id, mixed.slice(half)), folded(id, mixed.slice(0, half)))))
    others.add(bytesOf(folded(id, [...mixed, ...mixed.slice(0, half)])))
    if (others.size > 1) {
      const what = `record ${short(id)} comes out in ${others.size} ways, by order and grouping of ${done.length} operations`
      found.push({ invariant: 'shuffle', node: view.name, what })
    }
  }
  return found
}

/** I4: three partial states of one record, joined in every way the laws speak of. */
export function checkLaws(
  view: NodeView,
  deeds: ReadonlyMap<RecordId, readonly Deed[]>,
  random: SeededRandom,
  join: typeof joinRecords = joinRecords
): Violation[] {
  const found: Violation[] = []
  const busiest = [...deeds].sort((a, b) => b[1].length - a[1].length || (a[0] < b[0] ? -1 : 1)).slice(0, SAMPLES)
  for (const [id, done] of busiest) {
    const [a, b, c] = [part(id, done, random), part(id, done, random), part(id, done, random)] as const
    const same = (one: RecordState, other: RecordState): boolean => bytesOf(one) === bytesOf(other)
    const laws = [
      [same(join(a, b), join(b, a)), 'the order of two states shows in their join'],
      [same(join(join(a, b), c), join(a, join(b, c))), 'the grouping of three states shows in their join'],
      [same(join(a, a), a), 'a state joined with itself is another'],
      [same(join(join(a, b), a), join(a, b)), 'a join forgets what it was made of'],
      [same(join(a, emptyRecord(id)), a), 'the empty state is not neutral']
    ] as const
    for (const [holds, what] of laws) {
      if (!holds) found.push({ invariant: 'I4', node: view.name, what: `${what}: record ${short(id)}` })
    }
  }
  return found
}

function part(id: RecordId, deeds: readonly Deed[], random: SeededRandom): RecordState {
  return folded(
    id,
    shuffled(deeds, random).filter(() => random.unit() < 0.6)
  )
}

function folded(id: RecordId, deeds: readonly Deed[]): RecordState {
  const record = emptyRecord(id)
  for (const { op, stamp, epoch } of deeds) applyOp(record, op, stamp, epoch)
  return record
}

function bytesOf(record: RecordState): Hex {
  return toHex(encodeRecord(record))
}

function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  const mixed = [...items]
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const [a, b] = [mixed[i] as T, mixed[j] as T]
    mixed[i] = b
    mixed[j] = a
  }
  return mixed
}
