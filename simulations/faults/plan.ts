/**
 * What goes wrong, as data. A plan is a list of faults drawn from the seed before the world runs; applying it is somebody
 * else's business (apply.ts). Because it is a list, a failing run is shrunk by deleting from it, and a plan written by
 * hand is as good as a drawn one.
 *
 * How much goes wrong is drawn too (`drawAppetite`): each seed leaves most kinds out and exaggerates others. A hundred
 * seeds that each suffer a few things badly find more than a hundred that each suffer a little of everything
 * ("Swarm Testing", Groce et al., ISSTA 2012). The ranges are those of TigerBeetle's simulator where it has the fault.
 */
import type { Random } from '../../src/ports/random.ts'

/** What each kind does, and what `size` means for it. */
export const FAULT_KINDS = {
  crash: 'the power fails; unsynced batches from the end are lost; size 1: the batch being written is torn off as well',
  pause: 'the process stands still, as in a long collection of garbage, then does all that was due at once',
  flap: 'links of the targets break and come back; size: how often',
  reformat: 'the disk is wiped while the node is down; it comes back empty with the same identity',
  restore: 'the home is copied, and put back when the fault is over: what was written meanwhile is gone from the disk',
  clone: 'a second process runs on a copy of the disk with the same identity, then ends for good',
  'clock-jump': 'the wall clock jumps; size: milliseconds, and back when the fault is over',
  'clock-strobe': 'the wall clock jumps to and fro; size: milliseconds',
  'slow-disk': 'every write takes longer; size: milliseconds',
  'disk-full': 'no write succeeds until there is room again',
  'read-error': 'reads fail; size: share of the reads',
  partition: 'nothing passes between the targets and the rest',
  'one-way': 'nothing passes from the targets to the rest',
  clog: 'what the targets send is held back, then arrives in order',
  'swizzle-clog': 'the targets are clogged one by one and freed in another order',
  'slow-peer': 'all paths of the targets are slower; size: factor',
  loss: 'packets are lost everywhere; size: share',
  duplication: 'gossip arrives twice; size: share',
  straggling: 'packets take up to five times as long; size: share',
  'late-start': 'the targets start only now; before, they were not there',
  nat: 'the targets cannot be dialled',
  'other-version': 'the targets restart as another version of the program that speaks the same wire format'
} as const

export type FaultKind = keyof typeof FAULT_KINDS

export interface Fault {
  /** Virtual milliseconds after the world has started. */
  readonly atMs: number
  readonly kind: FaultKind
  /** Indexes into the nodes of the world; empty for faults of the air as a whole. */
  readonly target: readonly number[]
  /** Milliseconds until it is over. Absent: until the end of the safety phase. */
  readonly forMs?: number
  readonly size?: number
}

/** Expected number of faults of each kind in a run; kinds that are absent do not happen. */
export type FaultAppetite = Readonly<Partial<Record<FaultKind, number>>>

/** How one kind is drawn: for how long, how badly, and upon how many. */
interface Shape {
  readonly forMs?: readonly [min: number, max: number]
  readonly size?: readonly [min: number, max: number]
  /** one: a single node · some: a drawn number below all · all: the air as a whole. */
  readonly upon: 'one' | 'some' | 'all'
}

const SHAPES: Readonly<Record<FaultKind, Shape>> = {
  crash: { upon: 'one', forMs: [200, 8_000], size: [0, 1] },
  pause: { upon: 'one', forMs: [500, 8_000] },
  flap: { upon: 'some', forMs: [1_000, 6_000], size: [1, 4] },
  reformat: { upon: 'one', forMs: [200, 6_000] },
  restore: { upon: 'one', forMs: [1_000, 10_000] },
  clone: { upon: 'one', forMs: [3_000, 10_000] },
  'clock-jump': { upon: 'one', forMs: [1_000, 15_000], size: [-3_600_000, 90_000] },
  'clock-strobe': { upon: 'one', forMs: [500, 4_000], size: [50, 5_000] },
  'slow-disk': { upon: 'one', forMs: [1_000, 10_000], size: [5, 400] },
  'disk-full': { upon: 'one', forMs: [1_000, 8_000] },
  'read-error': { upon: 'one', forMs: [500, 5_000], size: [0, 0.1] },
  partition: { upon: 'some', forMs: [1_000, 12_000] },
  'one-way': { upon: 'some', forMs: [1_000, 12_000] },
  clog: { upon: 'some', forMs: [100, 5_000] },
  'swizzle-clog': { upon: 'some', forMs: [2_000, 8_000] },
  'slow-peer': { upon: 'one', forMs: [2_000, 15_000], size: [2, 30] },
  loss: { upon: 'all', forMs: [2_000, 15_000], size: [0, 0.3] },
  duplication: { upon: 'all', forMs: [2_000, 15_000], size: [0, 0.5] },
  straggling: { upon: 'all', forMs: [2_000, 15_000], size: [0.05, 0.5] },
  'late-start': { upon: 'one' },
  nat: { upon: 'one' },
  'other-version': { upon: 'one' }
}

const LASTS_TO_THE_END = 0.25

/** Kinds that are counted in whole numbers of their size. */
const WHOLE_SIZE: ReadonlySet<FaultKind> = new Set(['crash', 'flap', 'clock-jump', 'clock-strobe'])

/**
 * What this seed will suffer, out of what the scenario allows: each kind is left out with probability one third, and
 * otherwise expected up to twice as often as the scenario says.
 */
export function drawAppetite(random: Random, allowed: FaultAppetite): FaultAppetite {
  const appetite: Partial<Record<FaultKind, number>> = {}
  for (const kind of kindsOf(allowed)) {
    // A stream of its own for each kind: allowing another one never changes the lot of this one.
    const dice = random.fork(`appetite/${kind}`)
    const wanted = dice.unit() < 1 / 3 ? 0 : dice.unit() * 2 * (allowed[kind] ?? 0)
    if (wanted > 0) appetite[kind] = wanted
  }
  return appetite
}

/**
 * The faults of a run of `spanMs`, in order of time. `nodes` is how many there are to choose from. Everything begins in
 * the first four fifths, so that there is time to see what came of it, and a quarter of it goes on to the end.
 */
export function drawFaults(random: Random, appetite: FaultAppetite, nodes: number, spanMs: number): Fault[] {
  const faults: Fault[] = []
  for (const kind of kindsOf(appetite)) {
    const dice = random.fork(`faults/${kind}`)
    const expected = appetite[kind] ?? 0
    const count = Math.floor(expected) + (dice.unit() < expected - Math.floor(expected) ? 1 : 0)
    for (let i = 0; i < count; i++) faults.push(drawFault(dice, kind, nodes, spanMs))
  }
  return inOrder(faults)
}

/** By time, then by kind, then by target: the order in which they are applied. */
export function inOrder(faults: readonly Fault[]): Fault[] {
  const rank = (fault: Fault): number => FAULT_NAMES.indexOf(fault.kind)
  return [...faults].sort((a, b) => a.atMs - b.atMs || rank(a) - rank(b) || (a.target[0] ?? -1) - (b.target[0] ?? -1))
}

export const FAULT_NAMES = Object.keys(FAULT_KINDS) as FaultKind[]

/** In the order of the table, whatever order the appetite was written in. */
function kindsOf(appetite: FaultAppetite): FaultKind[] {
  return FAULT_NAMES.filter((kind) => (appetite[kind] ?? 0) > 0)
}

function drawFault(dice: Random, kind: FaultKind, nodes: number, spanMs: number): Fault {
  const shape = SHAPES[kind]
  const atMs = Math.floor(dice.unit() * spanMs * 0.8)
  const target = drawTarget(dice, shape.upon, nodes)
  const lasting = shape.forMs === undefined ? undefined : Math.floor(between(dice, shape.forMs))
  // Some last until everything is healed at once: then there is something to heal.
  const forMs = lasting === undefined || dice.unit() < LASTS_TO_THE_END ? {} : { forMs: lasting }
  if (shape.size === undefined) return { atMs, kind, target, ...forMs }
  const drawn = between(dice, shape.size)
  const size = WHOLE_SIZE.has(kind) ? Math.round(drawn) : Math.round(drawn * 1_000) / 1_000
  return { atMs, kind, target, ...forMs, size }
}

/**
 * Isolating a single node is the case with its own bugs, and the even cut the other; so half of the draws of `some` are
 * of one node, and the rest of any number.
 */
function drawTarget(dice: Random, upon: Shape['upon'], nodes: number): number[] {
  if (upon === 'all') return []
  const count = upon === 'one' || dice.unit() < 0.5 ? 1 : 1 + dice.below(Math.max(1, nodes - 1))
  const target = new Set<number>()
  while (target.size < Math.min(count, nodes)) target.add(dice.below(nodes))
  return [...target]
}

function between(dice: Random, [min, max]: readonly [number, number]): number {
  return min + dice.unit() * (max - min)
}
