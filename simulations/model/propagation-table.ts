/**
 * The project's goals for propagation, figure by figure, beside what is measured now: by the abstract model (tier T0, up
 * to 100,000 nodes) and by the real gossipsub in virtual time (tier T1, 1,000 nodes). Nothing is left out that is missed.
 *
 * Faults are frames dropped (not delayed) and nodes that are silent: they forward, announce and answer nothing, and hold up
 * whoever opens a session with them for as long as the daemon lets them. A network in use is assumed, so sessions come at
 * their full pace. Two more rows say what the goals leave open: a network whose members came one by one, in which meshes
 * do not lean to near peers.
 */
import { measurePropagation } from '../net/propagation.ts'
import { Model } from './model.ts'
import type { ModelInput } from './options.ts'
import { runRounds } from './rounds.ts'
import { infectAndDieShare, treeRounds } from './theory.ts'

export type Tier = 'T0' | 'T1'

export interface PropagationRow {
  readonly tier: Tier
  readonly nodes: number
  /** The world: healthy, or what is wrong with it. */
  readonly world: string
  /** What was measured, with its unit. */
  readonly figure: string
  /** At most this; null: no goal is set, for comparison only. */
  readonly goal: number | null
  /** Mean over messages; null when some message never got that far. */
  readonly measured: number | null
  readonly verdict: 'met' | 'MISSED' | '–'
}

export interface PropagationTableOptions {
  readonly tiers: readonly Tier[]
  /** Worlds of 1,000 nodes for each row; of 100,000 there is one for every four, and of the real code one for every two. */
  readonly seeds: number
  /** Where lines go. Default: nowhere. */
  readonly print?: (line: string) => void
  /** Sizes; smaller in tests. Default 1,000 and 100,000. */
  readonly sizes?: readonly [small: number, large: number]
}

type Figure = 't99Ms' | 't100Ms' | 'copies' | 'announcementBytesPerDelivery' | 'controlBytesPerDelivery' | 'missed'

interface Wanted {
  readonly tier: Tier
  readonly size: 'small' | 'large'
  readonly world: string
  readonly input: Partial<ModelInput>
  readonly goals: readonly (readonly [Figure, number | null])[]
}

const MESSAGES = 4
const LIGHT_FAULTS = { loss: 0.05, droppers: 0.1 }
const HEAVY_FAULTS = { loss: 0.2, droppers: 0.3 }
const GROWN = { diallingMs: 60_000 }

const FIGURES: Readonly<Record<Figure, string>> = {
  t99Ms: 'to 99 %, ms',
  t100Ms: 'to all, ms',
  copies: 'copies a delivery',
  announcementBytesPerDelivery: 'announcements and requests, bytes a delivery',
  controlBytesPerDelivery: 'the same and envelopes of copies, bytes a delivery',
  missed: 'honest nodes that never got it'
}

/** The figures are those of the project's goals: where one is not met, the code is to change, not the number. */
const WANTED: readonly Wanted[] = [
  {
    ...{ tier: 'T0', size: 'small', world: 'healthy', input: {} },
    goals: [
      ['t99Ms', 400],
      ['t100Ms', 500],
      ['copies', 4],
      ['announcementBytesPerDelivery', 250],
      ['controlBytesPerDelivery', null],
      ['missed', 0]
    ]
  },
  {
    ...{ tier: 'T0', size: 'small', world: 'healthy, came one by one', input: GROWN },
    goals: [
      ['t99Ms', null],
      ['t100Ms', null]
    ]
  },
  {
    ...{ tier: 'T0', size: 'small', world: '5 % loss, 10 % droppers', input: LIGHT_FAULTS },
    goals: [
      ['t100Ms', 1_000],
      ['missed', 0]
    ]
  },
  { ...{ tier: 'T0', size: 'small', world: 'LAN', input: { network: 'lan' } }, goals: [['t100Ms', 25]] },
  {
    ...{ tier: 'T0', size: 'large', world: 'healthy', input: {} },
    goals: [
      ['t99Ms', 500],
      ['t100Ms', 800],
      ['copies', 4],
      ['announcementBytesPerDelivery', 250],
      ['missed', 0]
    ]
  },
  {
    ...{ tier: 'T0', size: 'large', world: 'healthy, came one by one', input: GROWN },
    goals: [
      ['t99Ms', null],
      ['t100Ms', null]
    ]
  },
  {
    ...{ tier: 'T0', size: 'large', world: '5 % loss, 10 % droppers', input: LIGHT_FAULTS },
    goals: [
      ['t100Ms', 2_000],
      ['missed', 0]
    ]
  },
  {
    ...{ tier: 'T0', size: 'large', world: '20 % loss, 30 % droppers', input: HEAVY_FAULTS },
    goals: [
      ['t99Ms', 1_500],
      ['t100Ms', 6_000],
      ['missed', 0]
    ]
  },
  {
    ...{ tier: 'T1', size: 'small', world: 'healthy', input: {} },
    goals: [
      ['t99Ms', 400],
      ['t100Ms', 500],
      ['copies', 4],
      ['controlBytesPerDelivery', null],
      ['missed', 0]
    ]
  }
]

/** Runs the worlds of the wanted tiers, prints a line a figure as it is known, and returns all of them. */
export async function propagationTable(options: PropagationTableOptions): Promise<PropagationRow[]> {
  const { tiers, seeds, print = () => undefined, sizes = [1_000, 100_000] } = options
  const rows: PropagationRow[] = []
  print(line(['tier', 'nodes', 'world', 'figure', 'goal', 'measured', '']))
  for (const wanted of WANTED.filter(({ tier }) => tiers.includes(tier))) {
    const nodes = wanted.size === 'small' ? sizes[0] : sizes[1]
    const worlds = Math.max(
      1,
      Math.floor(wanted.tier === 'T1' ? seeds / 2 : wanted.size === 'large' ? seeds / 4 : seeds)
    )
    const figures = wanted.tier === 'T1' ? await real(nodes, worlds) : modelled(nodes, worlds, wanted.input)
    for (const [figure, goal] of wanted.goals) {
      const measured = figures[figure] ?? null
      const verdict = goal === null ? '–' : measured !== null && measured <= goal ? 'met' : 'MISSED'
      const row = {
        tier: wanted.tier,
        nodes,
        world: wanted.world,
        figure: FIGURES[figure],
        goal,
        measured,
        verdict
      } as const
      rows.push(row)
      print(line([row.tier, `${nodes}`, row.world, row.figure, shown(goal), shown(measured), verdict]))
    }
  }
  return rows
}

type Figures = Partial<Record<Figure, number | null>>

function modelled(nodes: number, worlds: number, input: Partial<ModelInput>): Figures {
  const results = Array.from({ length: worlds }, (_, seed) => {
    const model = new Model({ seed: `table/${seed}`, nodes, ...input })
    return Array.from({ length: MESSAGES }, () => model.broadcast())
  }).flat()
  return {
    t99Ms: mean(results.map(({ t99Ms }) => t99Ms)),
    t100Ms: mean(results.map(({ t100Ms }) => t100Ms)),
    copies: mean(results.map(({ copies }) => copies)),
    announcementBytesPerDelivery: mean(results.map(({ announcementBytesPerDelivery: bytes }) => bytes)),
    controlBytesPerDelivery: mean(results.map(({ controlBytesPerDelivery: bytes }) => bytes)),
    missed: results.reduce((sum, { honest, reached }) => sum + honest - reached, 0)
  }
}

async function real(nodes: number, worlds: number): Promise<Figures> {
  const results = []
  for (let seed = 0; seed < worlds; seed++) {
    results.push(...(await measurePropagation({ seed: `table/${seed}`, nodes, network: 'wan8', messages: MESSAGES })))
  }
  return {
    t99Ms: mean(results.map(({ t99Ms }) => t99Ms)),
    t100Ms: mean(results.map(({ t100Ms }) => t100Ms)),
    copies: mean(results.map(({ copies }) => copies)),
    controlBytesPerDelivery: mean(results.map(({ controlBytesPerDelivery: bytes }) => bytes)),
    missed: results.reduce((sum, { coverage }) => sum + Math.round((1 - coverage) * (nodes - 1)), 0)
  }
}

export interface RoundsRow {
  readonly nodes: number
  /** The specification's ⌈log₃ N⌉. */
  readonly tree: number
  /** Mean rounds to 99 % and to all of push-forever, and of the specification's own protocol. */
  readonly pushForever: { readonly to99: number | null; readonly to100: number | null; readonly copies: number }
  readonly specification: { readonly to99: number | null; readonly to100: number | null; readonly copies: number }
  /** Share reached by telling three others once, and its limit for large networks. */
  readonly infectAndDie: number
  readonly infectAndDieLimit: number
}

/**
 * Rounds to 99 % and to 100 % at fanout 3, beside the specification's ⌈log₃ N⌉. Sizes of 100,000 take a second each.
 */
export function roundsTable(
  sizes: readonly number[],
  seeds: number,
  print: (line: string) => void = () => undefined
): RoundsRow[] {
  print(line(['', 'nodes', 'rounds at fanout 3', '⌈log₃ N⌉', 'to 99 %', 'to all', 'copies']))
  return sizes.map((nodes) => {
    const runs = (protocol: 'push-forever' | 'specification' | 'infect-and-die'): ReturnType<typeof runRounds>[] =>
      Array.from({ length: seeds }, (_, seed) => runRounds({ protocol, seed: `table/${seed}`, nodes, fanout: 3 }))
    const summed = (results: ReturnType<typeof runRounds>[]): RoundsRow['pushForever'] => ({
      to99: mean(results.map(({ to99 }) => to99)),
      to100: mean(results.map(({ to100 }) => to100)),
      copies: mean(results.map(({ copies }) => copies)) as number
    })
    const row: RoundsRow = {
      nodes,
      tree: treeRounds(nodes, 3),
      pushForever: summed(runs('push-forever')),
      specification: summed(runs('specification')),
      infectAndDie: mean(runs('infect-and-die').map(({ coverage }) => coverage.at(-1) as number)) as number,
      infectAndDieLimit: infectAndDieShare(3)
    }
    for (const [name, { to99, to100, copies }] of [
      ['push for ever', row.pushForever],
      ['the specification', row.specification]
    ] as const) {
      print(line(['', `${nodes}`, name, `${row.tree}`, shown(to99), shown(to100), copies.toFixed(1)]))
    }
    return row
  })
}

/** null as soon as one is. */
function mean(values: readonly (number | null | undefined)[]): number | null {
  let sum = 0
  for (const value of values) {
    if (value === null || value === undefined) return null
    sum += value
  }
  return sum / values.length
}

function shown(value: number | null): string {
  if (value === null) return '–'
  return Number.isInteger(value) || value >= 100 ? `${Math.round(value)}` : value.toFixed(1)
}

const WIDTHS = [4, 8, 26, 50, 9, 9, 7]

function line(cells: readonly string[]): string {
  return cells
    .map((cell, i) => (i === 0 || i === 2 || i === 3 || i === 6 ? cell.padEnd(WIDTHS[i]!) : cell.padStart(WIDTHS[i]!)))
    .join('  ')
    .trimEnd()
}
