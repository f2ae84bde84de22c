/**
 * Every key a scenario file may have: what it takes, between which bounds, and what it is when left out. The table is the
 * only place that knows; a key that is not here is refused, because a mistyped fault is a fault that does not happen.
 */
import { SOMETIMES } from '../checkers/checker.ts'
import { FAULT_NAMES } from '../faults/plan.ts'
import { LIAR_KINDS } from '../liars/liar.ts'
import { NETWORK_MODELS } from '../net/latency.ts'
import { CALM_AIR } from '../world/sim-air.ts'

export type KeyKind =
  | { readonly takes: 'text' }
  | { readonly takes: 'flag' }
  | { readonly takes: 'choice'; readonly of: readonly string[] }
  | { readonly takes: 'choices'; readonly of: readonly string[] }
  | { readonly takes: 'number' | 'whole' | 'span' | 'wholes'; readonly min: number; readonly max: number }

export interface KeySpec {
  readonly is: KeyKind
  /** undefined: the key may be left out, and then nothing is said; `required` otherwise. */
  readonly fallback?: unknown
  readonly required?: true
  readonly means: string
}

export type Section = Readonly<Record<string, KeySpec>>

const NODES_MAX = 1_000
const MODEL_NODES_MAX = 1_000_000
const WRITES_MAX = 100_000
const HOUR_MS = 3_600_000
const SHARE = { takes: 'number', min: 0, max: 1 } as const
const MILLISECONDS = { takes: 'whole', min: 0, max: HOUR_MS } as const

export const TOP: Section = {
  shows: { is: { takes: 'text' }, required: true, means: 'what the scenario shows, in one line' },
  tier: { is: { takes: 'choice', of: ['engine', 'model'] }, fallback: 'engine', means: 'what runs' }
}

/** Tables that stand once. */
export const SECTIONS: Readonly<Record<string, Section>> = {
  world: {
    nodes: { is: { takes: 'span', min: 1, max: NODES_MAX }, fallback: [5, 9], means: 'honest daemons' },
    overlay: {
      is: { takes: 'choice', of: ['gossipsub', 'mesh'] },
      fallback: 'gossipsub',
      means: 'how gossip travels: the real thing, or a model of it'
    },
    network: { is: { takes: 'choice', of: NETWORK_MODELS }, means: 'latency model' },
    dials: { is: { takes: 'whole', min: 1, max: 64 }, fallback: 3, means: 'connections each node starts' },
    clockSkewMs: { is: MILLISECONDS, fallback: 200, means: 'how far clocks are apart, either way' },
    delayMs: {
      is: { takes: 'span', min: 0, max: 60_000 },
      fallback: CALM_AIR.delayMs,
      means: 'one-way milliseconds where there is no latency model'
    },
    straggling: { is: SHARE, fallback: 0.05, means: 'packets that take up to five times as long' },
    loss: { is: { takes: 'number', min: 0, max: 0.9 }, fallback: 0, means: 'packets lost' },
    lossMode: {
      is: { takes: 'choice', of: ['drop', 'tcp'] },
      fallback: 'drop',
      means: 'whether a lost gossip frame is gone or late'
    },
    duplication: { is: SHARE, fallback: 0.01, means: 'gossip frames that arrive twice' },
    degree: { is: { takes: 'whole', min: 1, max: 64 }, fallback: 4, means: 'mesh links of a node' },
    bandwidthBytesPerS: {
      is: { takes: 'whole', min: 0, max: 1e10 },
      fallback: 0,
      means: 'what a node can send; 0 is no limit'
    }
  },
  work: {
    writes: { is: { takes: 'span', min: 0, max: WRITES_MAX }, fallback: [40, 100], means: 'writes attempted' },
    writingMs: {
      is: { takes: 'whole', min: 1_000, max: HOUR_MS },
      fallback: 25_000,
      means: 'how long agents write and faults happen'
    },
    shared: { is: SHARE, fallback: 0.3, means: 'new memories under keys that all agents use' },
    revise: { is: SHARE, fallback: 0.2, means: 'writes that revise' },
    tag: { is: SHARE, fallback: 0.15, means: 'writes that add or remove tags' },
    retract: { is: SHARE, fallback: 0.05, means: 'writes that retract' },
    vote: { is: SHARE, fallback: 0.05, means: 'writes that vote' },
    link: { is: SHARE, fallback: 0.05, means: 'writes that link two memories' },
    bulk: { is: SHARE, fallback: 0.05, means: 'writes of several memories at once' },
    reads: { is: { takes: 'number', min: 0, max: 10 }, fallback: 0.2, means: 'counted reads for each write' },
    burst: { is: SHARE, fallback: 0, means: 'writes that fall into one tenth of the time' }
  },
  heal: {
    withinMs: { is: MILLISECONDS, fallback: 40_000, means: 'time to converge after the last fault' },
    patienceMs: { is: MILLISECONDS, fallback: 240_000, means: 'when to give up' },
    reaches: { is: { takes: 'choices', of: SOMETIMES }, fallback: [], means: 'what some seed of a sweep must see' }
  },
  seeds: {
    ed25519: { is: SHARE, fallback: 0.1, means: 'seeds with real signatures' },
    pushOff: { is: SHARE, fallback: 0.1, means: 'seeds whose sessions do not push' },
    pullOff: { is: SHARE, fallback: 0.1, means: 'seeds whose sessions do not pull' }
  },
  faults: {
    swarm: { is: { takes: 'flag' }, fallback: true, means: 'whether each seed draws its own appetite' },
    ...Object.fromEntries(
      FAULT_NAMES.map((kind) => [
        kind,
        { is: { takes: 'number', min: 0, max: 100 }, means: 'expected number' } as const
      ])
    )
  },
  liars: {
    kinds: { is: { takes: 'choices', of: Object.keys(LIAR_KINDS) }, fallback: [], means: 'what to draw liars from' },
    count: { is: { takes: 'span', min: 0, max: NODES_MAX }, fallback: [0, 0], means: 'how many' },
    share: { is: SHARE, fallback: 0, means: 'how many, for each honest node' },
    surround: { is: { takes: 'whole', min: 0, max: NODES_MAX - 1 }, means: 'the node that dials nobody but them' }
  },
  model: {
    nodes: { is: { takes: 'whole', min: 1, max: MODEL_NODES_MAX }, required: true, means: 'nodes of the model' },
    network: { is: { takes: 'choice', of: NETWORK_MODELS }, fallback: 'wan8', means: 'latency model' },
    fanout: { is: { takes: 'whole', min: 1, max: 32 }, fallback: 3, means: 'mesh links a node forwards on' },
    loss: { is: { takes: 'number', min: 0, max: 0.9 }, fallback: 0, means: 'gossip frames lost' },
    lossMode: { is: { takes: 'choice', of: ['drop', 'tcp'] }, fallback: 'drop', means: 'gone, or late' },
    droppers: { is: { takes: 'number', min: 0, max: 0.9 }, fallback: 0, means: 'nodes that never forward' },
    messages: { is: { takes: 'whole', min: 1, max: 1_000 }, fallback: 10, means: 'messages, one after the other' },
    t99MsMax: { is: MILLISECONDS, means: 'bound on the median time to 99 %' },
    t100MsMax: { is: MILLISECONDS, means: 'bound on the median time to everyone' },
    copiesMax: { is: { takes: 'number', min: 1, max: 64 }, means: 'bound on copies for each delivery' }
  }
}

/** Tables that may stand several times. */
export const LISTS: Readonly<Record<string, Section>> = {
  fault: {
    kind: { is: { takes: 'choice', of: FAULT_NAMES }, required: true, means: 'what goes wrong' },
    atMs: { is: MILLISECONDS, required: true, means: 'when' },
    forMs: { is: MILLISECONDS, means: 'for how long; to the end of writing when left out' },
    size: { is: { takes: 'number', min: -HOUR_MS, max: HOUR_MS }, means: 'how badly; see faults/plan.ts' },
    nodes: { is: { takes: 'wholes', min: 0, max: NODES_MAX - 1 }, means: 'which nodes, from 0' },
    share: { is: SHARE, means: 'of the nodes, drawn' }
  }
}
