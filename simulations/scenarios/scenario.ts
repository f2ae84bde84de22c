/**
 * What a scenario is: a world, what its agents do, what goes wrong, and what has to come of it. The .toml files beside
 * this one are scenarios; keys.ts says what may stand in them and parse.ts reads them. Wherever a pair of numbers stands,
 * each seed draws its own between the two.
 */
import type { FaultAppetite, FaultKind } from '../faults/plan.ts'
import type { Sometimes } from '../checkers/checker.ts'
import type { LiarKind } from '../liars/liar.ts'
import type { NetworkModelName } from '../net/latency.ts'
import type { AirOptions, OverlayKind } from '../world/sim-air.ts'

export type Span = readonly [min: number, max: number]

export interface Scenario {
  /** The name of its file. */
  readonly name: string
  /** What it shows, in one line. */
  readonly shows: string
  /** engine: the daemon's own code in virtual time · model: the abstract model, for sizes the engine cannot reach. */
  readonly tier: 'engine' | 'model'
  readonly nodes: Span
  readonly world: ScenarioWorld
  readonly work: Work
  /** Drawn anew for each seed (faults/plan.ts). */
  readonly faults: FaultAppetite
  /** Whether each seed draws which of `faults` it suffers, and how much. */
  readonly swarm: boolean
  /** Faults that happen in every run, in addition. */
  readonly planned: readonly PlannedFault[]
  readonly liars: PlannedLiars
  readonly heal: Healing
  readonly seeds: SeedShares
  /** Only with tier model. */
  readonly model?: ModelScenario
}

export interface ScenarioWorld {
  readonly overlay: OverlayKind
  /** Absent: delays are uniform between the two of `air.delayMs`. */
  readonly network?: NetworkModelName
  readonly air: Partial<AirOptions>
  readonly dials: number
  readonly clockSkewMs: number
}

/** What agents do during the safety phase. Shares are of all writes; what they leave over are new memories. */
export interface Work {
  /** Attempted, by all agents together. */
  readonly writes: Span
  /** Milliseconds during which agents write and faults happen. */
  readonly writingMs: number
  /** Of the new memories: written under one of a few keys that all agents use. */
  readonly shared: number
  readonly revise: number
  readonly tag: number
  readonly retract: number
  readonly vote: number
  readonly link: number
  /** Several memories in one delta. */
  readonly bulk: number
  /** Reads that are counted and told to the others, as a share of the writes. */
  readonly reads: number
  /** Share of all writes that fall into one tenth of the time. */
  readonly burst: number
}

export interface Healing {
  /** Everyone must have converged so many milliseconds after the last fault was healed. */
  readonly withinMs: number
  /** A world that has not converged by then never will. */
  readonly patienceMs: number
  /** What some seed of a sweep must have seen; else the sweep has failed to test. */
  readonly reaches: readonly Sometimes[]
}

/** Shares of the seeds, 0 to 1. */
export interface SeedShares {
  /** With real Ed25519 instead of the fast stand-in. */
  readonly ed25519: number
  /** With reconciliation sessions that do not push, or do not pull: redundant repair hides bugs. */
  readonly pushOff: number
  readonly pullOff: number
}

export interface PlannedFault {
  readonly kind: FaultKind
  readonly atMs: number
  readonly forMs?: number
  readonly size?: number
  /** Indexes, or the share of all nodes that is drawn; both absent: the air as a whole. */
  readonly nodes?: readonly number[]
  readonly share?: number
}

/** Who lies: so many, or this share of the honest nodes, their kinds drawn for each seed without repeating one. */
export interface PlannedLiars {
  readonly kinds: readonly LiarKind[]
  readonly count: Span
  readonly share: number
  /** Index of the node that dials nobody but them. */
  readonly surround?: number
}

/** Propagation of single messages through one network of the abstract model; see simulations/model. */
export interface ModelScenario {
  readonly nodes: number
  readonly network: NetworkModelName
  readonly fanout: number
  readonly loss: number
  readonly lossMode: 'drop' | 'tcp'
  /** Share of nodes that receive and never forward. */
  readonly droppers: number
  readonly messages: number
  /** Bounds on the figures; broken ones are violations. Absent: not asked for. */
  readonly t99MsMax?: number
  readonly t100MsMax?: number
  readonly copiesMax?: number
}
