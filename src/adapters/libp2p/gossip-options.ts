/**
 * How this daemon gossips. One number of ours, the fanout, becomes the dozen that gossipsub wants, and the relations
 * between them are asserted here because gossipsub checks none of them (gossipsub v1.1 specification, "Parameters").
 * A fanout of f means a mesh degree of f + 1: a message arrives on one link and leaves on f.
 *
 * It decides nothing about single messages; that is gossip-channel.ts.
 */
import { createHash } from 'node:crypto'
import type { GossipsubOpts, Message } from '@libp2p/gossipsub'
import { createTopicScoreParams, type TopicScoreParams } from '@libp2p/gossipsub/score'
import { ChrysalisError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'

/** The degrees and histories that must stand in order. Heartbeats in milliseconds, histories in heartbeats. */
export interface MeshParameters {
  /** Links a topic's mesh aims for. */
  readonly D: number
  /** Below this the mesh looks for more links. */
  readonly Dlo: number
  /** Above this it drops some. */
  readonly Dhi: number
  /** Of the kept links, how many are kept for their score. */
  readonly Dscore: number
  /** Links that we dialled ourselves, so that nobody can surround a daemon by dialling it. */
  readonly Dout: number
  /** Peers outside the mesh that are told the ids of recent messages at each heartbeat. */
  readonly Dlazy: number
  readonly heartbeatInterval: number
  /** Heartbeats for which ids are told; the message itself is kept for mcacheLength. */
  readonly mcacheGossip: number
  readonly mcacheLength: number
}

export interface GossipTuning {
  readonly fanout: number
  readonly heartbeatMs: number
  /** How long a message id is remembered. Default 120 s; shorter only in tests of what happens after it. */
  readonly seenMs?: number
}

/** Ten heartbeats: a verdict that takes longer than 5 s on a drowning machine no longer forwards. */
const HISTORY_HEARTBEATS = 10
const SEEN_MS = 120_000

/**
 * Mesh parameters for a fanout. Throws `config` when the result breaks a relation of the gossipsub specification, which
 * happens for a fanout below 2 or above 12, or for a heartbeat below 100 ms.
 */
export function meshParameters(tuning: GossipTuning): MeshParameters {
  const { fanout, heartbeatMs } = tuning
  const D = fanout + 1
  const parameters: MeshParameters = {
    D,
    Dlo: Math.max(2, D - 1),
    Dhi: D + Math.max(2, Math.floor(D / 2)),
    Dscore: Math.max(1, Math.floor(D / 2)),
    Dout: Math.min(Math.max(1, Math.floor(D / 4)), Math.max(2, D - 1) - 1),
    Dlazy: 3,
    heartbeatInterval: heartbeatMs,
    mcacheGossip: 2,
    mcacheLength: HISTORY_HEARTBEATS
  }
  if (!Number.isInteger(fanout) || fanout < 2 || fanout > 12) {
    throw refuse(`fanout is ${fanout}`, 'Choose a whole number from 2 to 12; 3 suits most networks.')
  }
  if (!Number.isInteger(heartbeatMs) || heartbeatMs < 100 || heartbeatMs > 10_000) {
    throw refuse(
      `heartbeatMs is ${heartbeatMs}`,
      'Choose whole milliseconds from 100 to 10000; 500 suits most networks.'
    )
  }
  assertMesh(parameters)
  return parameters
}

/** The relations of the specification. Throws `config` naming the one that is broken. */
export function assertMesh(p: MeshParameters): void {
  const relations: readonly [boolean, string][] = [
    [p.Dlo <= p.D, 'Dlo <= D'],
    [p.D <= p.Dhi, 'D <= Dhi'],
    [p.Dout < p.Dlo, 'Dout < Dlo'],
    [p.Dout <= p.D / 2, 'Dout <= D / 2'],
    [p.Dscore <= p.D, 'Dscore <= D'],
    [p.Dlazy >= 1, 'Dlazy >= 1'],
    [p.mcacheGossip <= p.mcacheLength, 'mcacheGossip <= mcacheLength']
  ]
  for (const [holds, relation] of relations) {
    if (!holds) throw refuse(`the mesh parameters break ${relation}`, 'Set network.fanout back to 3.')
  }
}

function refuse(what: string, hint: string): ChrysalisError {
  return new ChrysalisError('config', `The gossip settings cannot work: ${what}. Nothing was started.`, { hint })
}

/**
 * The id of a message: the first 20 bytes of SHA-256 over its data. Content alone decides, so the same frame arriving
 * from two sides is one message, whoever sent it.
 */
export function messageId(data: Uint8Array): Uint8Array {
  return createHash('sha256').update(data).digest().subarray(0, 20)
}

/** Ids are Map keys inside gossipsub; latin1 is the cheapest text that keeps them apart. */
function idText(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1')
}

/**
 * Score parameters of one topic. Only forwarding what nobody honest forwards counts (P4). Time in the mesh (P1) would
 * outweigh it, and delivery quotas (P3) prune peers for the crime of having nothing to say.
 */
export function topicScore(): TopicScoreParams {
  return createTopicScoreParams({
    topicWeight: 1,
    timeInMeshWeight: 0,
    firstMessageDeliveriesWeight: 0,
    meshMessageDeliveriesWeight: 0,
    meshFailurePenaltyWeight: 0,
    invalidMessageDeliveriesWeight: -10,
    invalidMessageDeliveriesDecay: 0.9
  })
}

/**
 * Everything gossipsub is told. `appScore` is the daemon's own opinion of a peer (0 or less), so that the mesh avoids
 * whom we distrust. Throws `config`.
 */
export function gossipOptions(tuning: GossipTuning, appScore: (peer: string) => number): Partial<GossipsubOpts> {
  return {
    ...meshParameters(tuning),
    gossipFactor: 0,
    seenTTL: tuning.seenMs ?? SEEN_MS,
    // A publisher that floods all its neighbours makes the fanout a fiction on the first hop.
    floodPublish: false,
    fallbackToFloodsub: false,
    emitSelf: false,
    doPX: false,
    // Frames carry signed deltas; a second signature over the frame would be checked for every duplicate as well.
    globalSignaturePolicy: 'StrictNoSign',
    msgIdFn: (message: Message) => messageId(message.data),
    msgIdToStrFn: idText,
    asyncValidation: true,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    maxInboundDataLength: LIMITS.gossipRpcBytesMax,
    maxOutboundBufferSize: LIMITS.gossipOutboundBytesMax,
    maxTopicBytesPerPeer: LIMITS.topicsMax * 2_048,
    decodeRpcLimits: {
      maxSubscriptions: LIMITS.topicsMax,
      maxMessages: LIMITS.gossipRpcItemsMax,
      maxIhaveMessageIDs: LIMITS.gossipRpcItemsMax,
      maxIwantMessageIDs: LIMITS.gossipRpcItemsMax,
      maxIdontwantMessageIDs: 512,
      maxControlMessages: LIMITS.topicsMax,
      maxPeerInfos: 0
    },
    // Announcing "do not send me this" costs a packet a link: worth it above a whole frame only, that is never.
    idontwantMinDataSize: LIMITS.gossipFrameBytesMax + 1,
    // Slow honest peers break promises; the library's 3 s and no tolerance drove them below zero.
    gossipsubIWantFollowupMs: 30_000,
    scoreParams: {
      topics: {},
      // Many daemons share one host or one NAT; punishing that silences the whole network.
      IPColocationFactorWeight: 0,
      behaviourPenaltyThreshold: 6,
      behaviourPenaltyWeight: -1,
      behaviourPenaltyDecay: 0.9,
      appSpecificScore: (peer: string) => Math.min(0, appScore(peer)),
      appSpecificWeight: 1,
      retainScore: 600_000
    }
  }
}
