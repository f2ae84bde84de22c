/**
 * What it may cost. The figures are promises of the project for a network in which nothing goes wrong, so they are held
 * only against runs without liars, without loss or doubling in the air, and without faults; what a fault costs is the
 * repair's business, and shown in the report.
 */
import type { Violation } from './checker.ts'
import type { Scene } from './inspect.ts'

/** Copies of a published frame for each node it reaches: a node receives on its mesh links, four of them. */
export const COPIES_MAX = 4

/** Bytes of gossip beside payload: what a node may send each virtual second while nothing happens, and for each delivery. */
export const IDLE_BYTES_PER_NODE_SECOND_MAX = 200
export const CONTROL_BYTES_PER_DELIVERY_MAX = 250

export interface Costs {
  readonly payloadBytes: number
  readonly controlBytes: number
  /** Bytes of every delta, once for each node that received it from another. */
  readonly neededBytes: number
  readonly nodeSeconds: number
  /** Deltas times the nodes that received them from another. */
  readonly deliveries: number
}

export function checkBudgets(scene: Scene): Violation[] {
  const { world, liars, faults } = scene.evidence
  const { loss, duplication } = world.air.options
  if (liars.length > 0 || faults.length > 0 || loss > 0 || duplication > 0) return []
  const bytes = world.air.bytes()
  let neededBytes = 0
  for (const { delta } of scene.known.values()) neededBytes += delta.record.length * Math.max(0, scene.views.length - 1)
  return judgeCosts({
    payloadBytes: bytes['gossip-payload'],
    controlBytes: bytes['gossip-control'],
    neededBytes,
    nodeSeconds: (scene.views.length * world.queue.nowMs) / 1_000,
    deliveries: scene.known.size * Math.max(0, scene.views.length - 1)
  })
}

/** Frames have a few bytes around their deltas; a share for them, so that short memories are no breach. */
const FRAME_SHARE = 1.1

export function judgeCosts({ payloadBytes, controlBytes, neededBytes, nodeSeconds, deliveries }: Costs): Violation[] {
  const found: Violation[] = []
  const copies = neededBytes === 0 ? 0 : payloadBytes / neededBytes
  if (copies > COPIES_MAX * FRAME_SHARE) {
    found.push({ invariant: 'budget', what: `${copies.toFixed(2)} copies for each delivery, at most ${COPIES_MAX}` })
  }
  const allowed = nodeSeconds * IDLE_BYTES_PER_NODE_SECOND_MAX + deliveries * CONTROL_BYTES_PER_DELIVERY_MAX
  if (controlBytes > allowed) {
    const what = `${Math.round(controlBytes)} bytes of control in ${Math.round(nodeSeconds)} seconds of nodes`
    found.push({ invariant: 'budget', what: `${what}, at most ${Math.round(allowed)} for ${deliveries} deliveries` })
  }
  return found
}
