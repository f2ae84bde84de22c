/**
 * All derived tables made anew from the surviving delta rows: after the database was salvaged, or when the tables
 * contradict each other. What is not in a delta row is not in the set afterwards, and anti-entropy fetches it.
 *
 *   clear     everything derived: range, author, record, history, link, proof, leaf, quarantine, most of meta
 *   arrivals  the surviving arrival log, in its order: each delta it names gets its rows and is folded into its records
 *   strays    deltas the log did not name get a range row without a position …
 *   append    … and, in the order of that table (space, time, id), positions behind everything that was ever handed out
 *   proofs    two deltas at one place in a chain
 *   pending   held deltas that are damaged, or were admitted long ago and only came back with the salvage, go
 *   heads     of every space, and from which position the log goes on
 *
 * A step is one page: it reads, writes one batch, and the mark `rebuilding` in the same batch says where the next begins.
 * Killed half-way, the next start goes on there; memory is one page, whatever the store holds.
 *
 * Positions: what survives of the arrival log keeps its positions, so cursors and receipts stay true. A position that was
 * lost is never handed out again (LIMITS.arrivalGapMin are left free), so a reader's cursor skips nothing: what it had not
 * seen lies ahead of it, and some of what it had seen may come again.
 */
import { bytesToUint, fromHex, fromUtf8, isHex, toHex, utf8 } from '../base/bytes.ts'
import { isChrysalisError } from '../base/errors.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Store, StoreWrite } from '../ports/store.ts'
import { REBUILD_PHASES, type PhaseName, type Tally } from './rebuild-phases.ts'
import { META } from './rows.ts'

export interface RebuildOptions {
  /** Begin at the beginning, also when an earlier rebuild had come further: the store was salvaged since. */
  readonly fresh?: boolean
  /** Deltas read at once. Default 256; at their largest they take 16 MiB. */
  readonly pageRows?: number
  /** Told after each page. */
  readonly progress?: (progress: RebuildProgress) => void
}

export type RebuildProgress = Readonly<Tally> & { readonly phase: PhaseName }

interface Mark {
  phase: PhaseName
  /** Hexadecimal; null at the beginning of the phase. */
  after: string | null
  readonly tally: Tally
}

const PAGE_ROWS = 256
const NAMES = Object.keys(REBUILD_PHASES) as PhaseName[]

/** Whether a rebuild was begun and not finished, or is wanted. A mark that cannot be read is a mark. */
export async function isRebuildDue(store: Store): Promise<boolean> {
  try {
    return (await store.get('meta', META.rebuilding)) !== undefined
  } catch (error) {
    if (isChrysalisError(error, 'corrupt')) return true
    throw error
  }
}

/** The row that makes the next start begin with a rebuild. */
export function wantRebuild(): StoreWrite {
  return { table: 'meta', key: META.rebuilding, value: utf8('{}') }
}

/**
 * Rebuilds everything derived, for all spaces found on the disk and for `spaces`; nobody else may use the store
 * meanwhile. Goes on where an earlier run was killed. Rejects with the errors of the store, and then the mark stays.
 */
export async function rebuildFromDeltas(
  store: Store,
  crypto: Hasher,
  spaces: readonly SpaceId[],
  options: RebuildOptions = {}
): Promise<Readonly<Tally>> {
  const mark = (options.fresh === true ? undefined : await readMark(store)) ?? newMark()
  await store.batch([markRow(mark)], { durable: true })
  const { tally } = mark
  tally.newest = Math.max(tally.newest, (await readPositions(store)).floor)
  const context = { store, crypto, spaces, tally, pageRows: options.pageRows ?? PAGE_ROWS }
  for (let number = NAMES.indexOf(mark.phase); number < NAMES.length;) {
    const phase = NAMES[number] as PhaseName
    const step = await REBUILD_PHASES[phase](context, mark.after === null ? undefined : fromHex(mark.after))
    if (step.after === undefined) number++
    const next = NAMES[number]
    mark.after = step.after === undefined ? null : toHex(step.after)
    mark.phase = next ?? phase
    // The disk sees the batches in the order of these calls: only the last one has to wait for it.
    if (next === undefined) {
      await store.batch([...step.writes, { table: 'meta', key: META.rebuilding, value: null }], { durable: true })
    } else {
      await store.batch([...step.writes, markRow(mark)], { durable: false })
    }
    options.progress?.({ phase, ...tally })
  }
  return tally
}

/**
 * Where the arrival log goes on at least, and how many positions up to there belong to no delta. A store that was never
 * rebuilt leaves out no position.
 */
export async function readPositions(store: Store): Promise<{ floor: number; unused: number }> {
  let value: Uint8Array | undefined
  try {
    value = await store.get('meta', META.positions)
  } catch (error) {
    if (!isChrysalisError(error, 'corrupt')) throw error
  }
  return value === undefined ? { floor: 0, unused: 0 } : parsePositions(value)
}

function parsePositions(value: Uint8Array): { floor: number; unused: number } {
  if (value.length !== 16) return { floor: 0, unused: 0 }
  return { floor: Number(bytesToUint(value.subarray(0, 8))), unused: Number(bytesToUint(value.subarray(8))) }
}

function newMark(): Mark {
  return {
    phase: NAMES[0] as PhaseName,
    after: null,
    tally: { rows: 0, deltas: 0, appended: 0, dropped: 0, newest: 0 }
  }
}

function markRow(mark: Mark): StoreWrite {
  return { table: 'meta', key: META.rebuilding, value: utf8(JSON.stringify(mark)) }
}

/** Undefined when there is none, or none that says where to go on. */
async function readMark(store: Store): Promise<Mark | undefined> {
  try {
    const value = await store.get('meta', META.rebuilding)
    return value === undefined ? undefined : parseMark(JSON.parse(fromUtf8(value)))
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError || isChrysalisError(error, 'corrupt'))
      return undefined
    throw error
  }
}

function parseMark(value: unknown): Mark | undefined {
  const { phase, after, tally } = value as { readonly [field in keyof Mark]?: unknown }
  const known = NAMES.find((name) => name === phase)
  if (known === undefined || typeof tally !== 'object' || tally === null) return undefined
  if (after !== null && (typeof after !== 'string' || !isHex(after))) return undefined
  const parsed = newMark().tally
  for (const name of Object.keys(parsed) as (keyof Tally)[]) {
    const count = (tally as Record<string, unknown>)[name]
    if (!Number.isSafeInteger(count)) return undefined
    parsed[name] = count as number
  }
  return { phase: known, after, tally: parsed }
}
