/**
 * What it costs two daemons to find out what differs: bytes, round trips and processor time for sets of 10 thousand to
 * 1 million deltas and 0 to 10,000 differences of three shapes. The machines of sync/ run on one wire, in this process; beside
 * them run the same machines without a sketch, and a plain range-based reconciliation (range-baseline.ts).
 *
 * Bytes are metadata, both ways: the frames that find the differences. The deltas themselves are left out everywhere, and
 * so is what their pages add around them (about two bytes a delta, told apart), because the plain protocol has none.
 */
import { createVerifier } from '../../../src/adapters/system/crypto.ts'
import { DeltaSet, type SetSnapshot } from '../../../src/sync/delta-set.ts'
import { KeyShelf, keyReader, wireSession, type WireLog } from '../../support/session-wire.ts'
import { GOALS } from '../goals.ts'
import { cpuMs, median, type Goal } from '../measure.ts'
import { RangeSet, reconcileRanges } from '../range-baseline.ts'
import { differences, KEY_BYTES, mergedKeys, NOW_MS, SHAPES, sharedKeys, type Shape } from '../recon-pairs.ts'
import type { SuiteContext } from '../world.ts'
import { reconAway } from './recon-away.ts'

const DIFFERENCES = [0, 1, 10, 100, 1_000, 10_000]
const SETS = [10_000, 100_000, 1_000_000]
/** Goals are stated for this many deltas. */
const GOAL_DELTAS = 1_000_000
/** Of a record around its key: what a short memory takes. It counts nowhere. */
const PADDING = 160
/** Differences of earlier runs become shared; a set that has grown by more than this part is made anew. */
const GROWTH_MAX = 0.02

const hasher = createVerifier()

const COLUMNS = ['shared', 'shape', 'd', 'method', 'bytes', 'trips', 'CPU ms', 'pages B', 'tree B', 'trips', 'CPU ms']
const PLAIN_COLUMNS = ['plain B', 'trips', 'CPU ms', 'plain/ours']
const WIDTHS = [9, 7, 6, 6, 9, 5, 8, 8, 9, 5, 8, 10, 5, 8, 10]

export async function recon(context: SuiteContext): Promise<void> {
  const { report, quick } = context
  console.log('  bytes: metadata both ways that finds the differences; deltas excluded, pages around them apart;')
  console.log(
    '  CPU: both sides; "tree": without a sketch; "plain": range-based, 16 buckets, 32-byte ids, sums mod 2^256;'
  )
  console.log(
    '  medians of several seeds, the plain one at its best; d = 0 expects equality, so that no cells are sent'
  )
  row([...COLUMNS, ...PLAIN_COLUMNS])
  row(WIDTHS.map((width) => '-'.repeat(width)))
  const judged: (() => void)[] = []
  for (const count of quick ? SETS.slice(0, 2) : SETS) {
    const pair = new Pair(count)
    for (const shape of SHAPES) {
      for (const d of DIFFERENCES) {
        const runs = Array.from({ length: seedsFor(d, quick) }, (_, seed) => pair.run(shape, d, seed))
        tell(report, { count, shape, d }, runs, judged)
      }
    }
  }
  for (const say of judged) say()
  unexpectedEqual(report)
  await reconAway(context)
}

function seedsFor(d: number, quick: boolean): number {
  if (d > 1_000) return 2
  return d > 100 || quick ? 3 : 5
}

interface Cost {
  readonly bytes: number
  readonly roundTrips: number
  readonly cpuMs: number
}

interface Run {
  readonly ours: Cost & { readonly pageBytes: number; readonly method: string }
  readonly tree: Cost
  readonly plain: Cost
}

/** Two sets that hold the same, but for what a run adds to each of them. */
class Pair {
  readonly #count: number
  #shared = new Uint8Array(0)
  #near = new DeltaSet(hasher)
  #far = new DeltaSet(hasher)
  #made = 0

  constructor(count: number) {
    this.#count = count
    this.#fill()
  }

  #fill(): void {
    this.#shared = Uint8Array.from(sharedKeys('recon', this.#count))
    this.#near = new DeltaSet(hasher)
    this.#far = new DeltaSet(hasher)
    this.#made = this.#count
    for (let at = 0; at < this.#shared.length; at += KEY_BYTES) {
      const key = this.#shared.subarray(at, at + KEY_BYTES)
      this.#near.insert(key)
      this.#far.insert(key)
    }
  }

  run(shape: Shape, d: number, seed: number): Run {
    if (this.#made > this.#count * (1 + GROWTH_MAX)) this.#fill()
    const added = differences(this.#shared, shape, d, seed)
    const [near, far] = [sideOf(this.#near, added.near), sideOf(this.#far, added.far)]
    const session = { hasher, records: keyReader, nowMs: NOW_MS, settlingMs: 0, expectEqual: d === 0 }
    const salt = `${shape}/${d}/${seed}`
    const ours = wireSession(near, far, { ...session, salt })
    if (near.shelf.delivered.splice(0).length + far.shelf.delivered.splice(0).length !== d || ours.initiator.cut)
      throw new Error(`one session did not find ${d} differences, ${shape}`)
    const tree = this.#byTreeAlone(near, far, (round) => ({ ...session, salt: `${salt}/${round}` }))
    const plain = plainCost(mergedKeys(this.#shared, added.near), mergedKeys(this.#shared, added.far), d)
    this.#settle([...added.near, ...added.far])
    return {
      ours: { ...costOf(ours), pageBytes: ours.transferBytes, method: ours.initiator.method },
      tree,
      plain
    }
  }

  /** Sessions until both are equal: without a sketch the budget of one does not last for ten thousand differences. */
  #byTreeAlone(near: Side, far: Side, options: (round: number) => Parameters<typeof wireSession>[2]): Cost {
    let sum: Cost = { bytes: 0, roundTrips: 0, cpuMs: 0 }
    for (let round = 0; ; round++) {
      const log = wireSession(
        { set: { tree: this.#near.tree.snapshot(), sketch: undefined }, shelf: near.shelf },
        { set: { tree: this.#far.tree.snapshot(), sketch: undefined }, shelf: far.shelf },
        options(round)
      )
      const cost = costOf(log)
      sum = {
        bytes: sum.bytes + cost.bytes,
        roundTrips: sum.roundTrips + cost.roundTrips,
        cpuMs: sum.cpuMs + cost.cpuMs
      }
      for (const record of near.shelf.delivered.splice(0)) this.#near.insert(record.slice(0, KEY_BYTES))
      for (const record of far.shelf.delivered.splice(0)) this.#far.insert(record.slice(0, KEY_BYTES))
      if (Buffer.compare(this.#near.tree.root(), this.#far.tree.root()) === 0) return sum
      if (!log.initiator.cut) throw new Error('the tree did not find everything')
    }
  }

  /** Both take in what the other had: they are equal again. */
  #settle(added: readonly Uint8Array[]): void {
    for (const key of added) {
      this.#near.insert(key)
      this.#far.insert(key)
    }
    this.#made += added.length
    if (added.length > 0) this.#shared = Uint8Array.from(mergedKeys(this.#shared, added))
  }
}

interface Side {
  readonly set: SetSnapshot
  readonly shelf: KeyShelf
}

/** Digests are made beforehand: keeping them is the upkeep of the set, and measured by another suite. */
function sideOf(set: DeltaSet, added: readonly Uint8Array[]): Side {
  const shelf = new KeyShelf()
  for (const key of added) {
    set.insert(key)
    const record = new Uint8Array(KEY_BYTES + PADDING)
    record.set(key)
    shelf.put(key, record)
  }
  set.tree.root()
  return { set: set.snapshot(), shelf }
}

const costOf = ({ compareBytes, roundTrips, compareCpuMs }: WireLog): Cost => ({
  bytes: compareBytes,
  roundTrips,
  cpuMs: compareCpuMs
})

function plainCost(near: Uint8Array, far: Uint8Array, d: number): Cost {
  const [a, b] = [new RangeSet(near), new RangeSet(far)]
  const startedMs = cpuMs()
  const { bytes, messages, missing, surplus } = reconcileRanges(a, b)
  const spentMs = cpuMs() - startedMs
  if (missing.size + surplus.size !== d) throw new Error(`the plain protocol found ${missing.size + surplus.size}`)
  return { bytes, roundTrips: Math.ceil(messages / 2), cpuMs: spentMs }
}

interface Case {
  readonly count: number
  readonly shape: Shape
  readonly d: number
}

/** One row of the table, its figures for the record, and for after the table those that have a goal. */
function tell(
  report: SuiteContext['report'],
  { count, shape, d }: Case,
  runs: readonly Run[],
  judged: (() => void)[]
): void {
  const of = (pick: (run: Run) => number): number => median(runs.map(pick))
  const cost = (which: 'ours' | 'tree'): Cost => ({
    bytes: of((run) => run[which].bytes),
    roundTrips: of((run) => run[which].roundTrips),
    cpuMs: of((run) => run[which].cpuMs)
  })
  const [ours, tree] = [cost('ours'), cost('tree')]
  // A block on the side that opens costs it little, one on the other side the list of all its ids.
  const plain = runs.map((run) => run.plain).reduce((best, next) => (next.bytes < best.bytes ? next : best))
  const pageBytes = of((run) => run.ours.pageBytes)
  const method = [...new Set(runs.map((run) => run.ours.method))].join('|')
  const cells = ({ bytes, roundTrips, cpuMs: ms }: Cost): string[] => [whole(bytes), String(roundTrips), ms.toFixed(1)]
  const [bytes, trips, cpu] = cells(ours) as [string, string, string]
  row([
    whole(count),
    shape,
    whole(d),
    method,
    bytes,
    trips,
    cpu,
    whole(pageBytes),
    ...cells(tree),
    ...cells(plain),
    `${(plain.bytes / ours.bytes).toFixed(1)}×`
  ])

  const params = {
    deltas: count,
    differences: d,
    shape,
    method,
    seeds: runs.length,
    excluded: 'the deltas and their pages'
  }
  const worst = Math.max(...runs.map((run) => run.ours.bytes))
  const name = `${whole(d)} ${shape} differences in ${whole(count)}`
  const figures: [string, number, string, Goal | undefined][] = [
    [`metadata, ${name}`, ours.bytes, 'bytes', bytesGoal({ count, shape, d })],
    [`round trips, ${name}`, ours.roundTrips, 'trips', goalAt(GOALS.reconRoundTrips, { count, shape, d })],
    [
      `CPU of both sides, ${name}`,
      ours.cpuMs,
      'ms',
      isGoal({ count, shape, d }, 100) ? GOALS.reconHundredCpuMs : undefined
    ],
    [
      `metadata, tree only, ${name}`,
      tree.bytes,
      'bytes',
      isGoal({ count, shape, d }, 100) ? GOALS.reconTreeBytes : undefined
    ],
    [
      `round trips, tree only, ${name}`,
      tree.roundTrips,
      'trips',
      isGoal({ count, shape, d }, 100) ? GOALS.reconTreeRoundTrips : undefined
    ],
    [`CPU of both sides, tree only, ${name}`, tree.cpuMs, 'ms', undefined],
    [`pages around the deltas, ${name}`, pageBytes, 'bytes', undefined],
    [`metadata, plain ranges, ${name}`, plain.bytes, 'bytes', undefined],
    [`round trips, plain ranges, ${name}`, plain.roundTrips, 'trips', undefined],
    [`CPU of both sides, plain ranges, ${name}`, plain.cpuMs, 'ms', undefined]
  ]
  for (const [title, value, unit, goal] of figures) {
    const more = { params: { ...params, worstBytes: worst }, ...(goal === undefined ? {} : { goal }) }
    if (goal === undefined) report(title, value, unit, { ...more, inTable: true })
    else judged.push(() => report(title, value, unit, more))
  }
}

function bytesGoal(at: Case): Goal | undefined {
  if (at.count === GOAL_DELTAS && at.shape === 'block' && at.d === 10_000) return GOALS.reconBlockBytes
  return goalAt(GOALS.reconBytes, at)
}

function goalAt(goals: Readonly<Record<number, Goal>>, at: Case): Goal | undefined {
  return isGoal(at, at.d) ? goals[at.d] : undefined
}

const isGoal = ({ count, shape, d }: Case, wanted: number): boolean =>
  count === GOAL_DELTAS && shape === 'uniform' && d === wanted

/** Equal sets, but the side that opens thinks they differ and sends its first cells at once. */
function unexpectedEqual(report: SuiteContext['report']): void {
  const [smallest = 0] = SETS
  const set = new DeltaSet(hasher)
  const keys = sharedKeys('recon', smallest)
  for (let at = 0; at < keys.length; at += KEY_BYTES) set.insert(keys.subarray(at, at + KEY_BYTES))
  const side = sideOf(set, [])
  const log = wireSession(side, side, { hasher, records: keyReader, nowMs: NOW_MS, salt: 'equal' })
  report('metadata, equal sets, the first cells sent in vain', log.compareBytes, 'bytes', {
    params: { deltas: smallest }
  })
}

function row(cells: readonly string[]): void {
  console.log(`  | ${cells.map((cell, i) => cell.padStart(WIDTHS[i] ?? 0)).join(' | ')} |`)
}

const whole = (value: number): string => Math.round(value).toLocaleString('en-US')
