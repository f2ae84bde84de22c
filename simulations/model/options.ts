/**
 * What a run of the model is told, and what it takes for granted otherwise: the daemon's own settings, read from the
 * daemon's own code, so that the model cannot drift from it unnoticed.
 */
import { meshParameters } from '../../src/adapters/libp2p/gossip-options.ts'
import { ChrysalisError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { NODE_DEFAULTS } from '../../src/node/options.ts'
import { RETRY_MS } from '../../src/sync/pace.ts'
import { SETTLING_MS } from '../../src/sync/recon-session.ts'
import type { NetworkModelName } from '../net/latency.ts'
import type { MeshDegrees } from './mesh.ts'

export interface AntiEntropyOptions {
  readonly intervalMs: number
  readonly intervalMsMax: number
  /** Part of an interval by which it varies either way. */
  readonly jitter: number
  /** What is younger is in flight, and left alone. */
  readonly settlingMs: number
  /** A session that came to nothing is followed by another within this time. */
  readonly retryMs: number
  /** How long a partner that opens a session and then says nothing holds up whoever asked it. */
  readonly silentMs: number
  /** The network was idle before: everybody compares at the longest interval. False: other writes keep the pace up. */
  readonly quiet: boolean
}

export interface ModelOptions {
  readonly seed: string
  readonly nodes: number
  readonly network: NetworkModelName
  readonly degrees: MeshDegrees
  /** Connections that each node starts; it has about twice as many. */
  readonly dials: number
  /** All nodes start at once, and dial within this time. */
  readonly diallingMs: number
  /** Share of gossip frames lost; sessions run on streams, where a loss is a delay. */
  readonly loss: number
  readonly lossMode: 'drop' | 'tcp'
  /** Share of nodes that receive and neither forward, nor announce, nor answer. */
  readonly droppers: number
  readonly heartbeatMs: number
  /** Peers told of an id at each heartbeat, and at how many heartbeats. */
  readonly lazyDegree: number
  readonly announceHeartbeats: number
  /** From the arrival of a message until it is forwarded. */
  readonly processingMs: number
  readonly antiEntropy: AntiEntropyOptions | false
  /** The run is given up then. */
  readonly patienceMs: number
}

export type ModelInput = Pick<ModelOptions, 'seed' | 'nodes'> &
  Partial<Omit<ModelOptions, 'antiEntropy' | 'degrees'>> & {
    readonly fanout?: number
    readonly near?: number
    readonly antiEntropy?: Partial<AntiEntropyOptions> | false
  }

const FANOUT = 3
const HEARTBEAT_MS = 500
/** As the pace of src/sync/pace.ts. */
const JITTER = 0.2
/** Verifying, decoding and storing one delta. */
const PROCESSING_MS = 1
const DIALS = 6
const DIALLING_MS = 200
const NODES_MAX = 1_000_000

/** The daemon's defaults under what is given. Throws `invalid_argument` for an impossible world. */
export function modelOptions(input: ModelInput): ModelOptions {
  const { fanout = FANOUT, near = 0, antiEntropy = {}, ...rest } = input
  const heartbeatMs = input.heartbeatMs ?? HEARTBEAT_MS
  const mesh = meshParameters({ fanout, heartbeatMs })
  const options: ModelOptions = {
    network: 'wan8',
    dials: DIALS,
    diallingMs: DIALLING_MS,
    loss: 0,
    lossMode: 'drop',
    droppers: 0,
    lazyDegree: mesh.Dlazy,
    announceHeartbeats: mesh.mcacheGossip,
    processingMs: PROCESSING_MS,
    patienceMs: 300_000,
    ...rest,
    heartbeatMs,
    degrees: { D: mesh.D, Dlo: mesh.Dlo, Dhi: mesh.Dhi, near },
    antiEntropy: antiEntropy === false ? false : { ...ANTI_ENTROPY, ...antiEntropy }
  }
  check('nodes', options.nodes, 1, NODES_MAX, true)
  check('dials', options.dials, 1, 64, true)
  check('loss', options.loss, 0, 0.9, false)
  check('droppers', options.droppers, 0, 0.9, false)
  return options
}

const ANTI_ENTROPY: AntiEntropyOptions = {
  intervalMs: NODE_DEFAULTS.sync.reconcileIntervalMs,
  intervalMsMax: NODE_DEFAULTS.sync.reconcileIntervalMsMax,
  jitter: JITTER,
  settlingMs: SETTLING_MS,
  retryMs: RETRY_MS,
  silentMs: LIMITS.reconAnswerMsMax,
  quiet: false
}

function check(name: string, value: number, min: number, max: number, whole: boolean): void {
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return
  const kind = whole ? 'a whole number' : 'a number'
  throw new ChrysalisError('invalid_argument', `The model cannot run with ${name} ${value}. Nothing was run.`, {
    hint: `Give ${name} as ${kind} from ${min} to ${max}.`,
    data: { name, value, min, max }
  })
}
