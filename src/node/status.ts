/** What the engine says of itself. Everything is read from where it lives; nothing is kept here. */
import { toHex } from '../base/bytes.ts'
import { authorToPeerId } from '../base/peer-id.ts'
import type { Clock } from '../ports/clock.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Network } from '../ports/network.ts'
import type { NodeStatus, SpaceInfo } from './api.ts'
import type { Indexer } from './indexer.ts'
import type { Intake } from './intake.ts'
import type { NodeOptions } from './options.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { Writer } from './writer.ts'

export interface StatusParts {
  readonly options: NodeOptions
  readonly ports: {
    readonly clock: Clock
    readonly network: Network
    readonly metrics: Metrics
    readonly processMemory: () => { rssBytes: number; heapBytes: number }
  }
  readonly spaces: Spaces
  readonly indexer: Indexer
  readonly index: NodeStatus['index']
  readonly intake: Intake
  readonly writer: Writer
  /** Memories on their way into the shared index; undefined where there is none. */
  readonly publishing: number | undefined
  readonly state: NodeStatus['state']
  readonly failure: string | undefined
  readonly notices: readonly string[]
  readonly disk: NodeStatus['disk']
  readonly startedAtMs: number
  readonly epoch: string
  readonly peer: string
}

export function spaceInfo(space: Space, indexer: Indexer, options: NodeOptions): SpaceInfo {
  return {
    id: space.id,
    name: space.options.name,
    shared: space.options.shared,
    isDefault: space.options.isDefault,
    creator: authorToPeerId(space.options.creator),
    policy: space.options.policy,
    deltas: space.replica.tree.count,
    records: indexer.recordCount(space.id),
    pending: space.replica.heldCount,
    authors: space.replica.authors().size,
    root: toHex(space.replica.tree.root()),
    mode: options.sync.mode
  }
}

export function statusOf(parts: StatusParts): NodeStatus {
  const { options, ports, spaces, indexer, intake, writer } = parts
  const peers = ports.network.peers()
  const nowMs = ports.clock.nowMs()
  let outbox = 0
  for (const space of spaces.all) outbox += space.outbox.size
  return {
    version: options.version,
    peer: parts.peer,
    name: options.name,
    home: options.home,
    uptimeMs: Math.max(0, nowMs - parts.startedAtMs),
    startedAtMs: parts.startedAtMs,
    epoch: parts.epoch,
    state: parts.state,
    reasons: reasonsOf(parts),
    addresses: ports.network.addresses(),
    peers: { connected: peers.filter((peer) => peer.connected).length, known: peers.length },
    spaces: spaces.all.map((space) => spaceInfo(space, indexer, options)),
    index: parts.index,
    disk: parts.disk,
    durability: options.store.durability === 'fsync' ? 'fsync' : 'memory',
    queues: {
      ...{ inbox: writer.queued, outbox, verifying: intake.verifying, indexing: indexer.behind },
      ...(parts.publishing === undefined ? {} : { publishing: parts.publishing })
    },
    refusals: { ...intake.refusals },
    memory: ports.processMemory()
  }
}

/** One sentence for each thing a person should know. */
function reasonsOf({ state, failure, notices, spaces, index }: StatusParts): string[] {
  const reasons: string[] = [...notices]
  if (state === 'starting') reasons.push('the daemon is starting')
  if (failure !== undefined) reasons.push(failure)
  if (index.state === 'partial') reasons.push('the index is being rebuilt: recall may miss older memories')
  for (const space of spaces.all) {
    const held = space.replica.heldCount
    if (held > 0) {
      reasons.push(
        `${held} deltas in ${space.options.name} are dated ahead of this machine's clock and are held until due: check the clocks`
      )
    }
  }
  return reasons
}
