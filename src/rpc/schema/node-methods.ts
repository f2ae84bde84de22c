/**
 * rpc.*, events.*, node.*, config.*, peer.*, space.* and gossip.*: the door itself, the daemon behind it, and the
 * company it keeps.
 */
import { z } from 'zod'
import { LIMITS } from '../../base/limits.ts'
import type { NodeStatus, PeerInfo, SpaceInfo } from '../../node/api.ts'
import { cursor, space } from './fields.ts'
import { method } from './method.ts'
import * as views from './views.ts'

/** The only protocol so far. Fields are added within it; removing one needs the next. */
export const PROTOCOL = '1'

const ms = z.number()
const peerName = z.string().min(1).max(128).describe('Peer id')
const none = z.strictObject({})

const spaceInfo = z.object({
  id: z.string(),
  name: z.string(),
  shared: z.boolean(),
  isDefault: z.boolean(),
  creator: z.string(),
  policy: z.enum(['open', 'private']),
  deltas: z.number(),
  records: z.number(),
  pending: z.number(),
  authors: z.number(),
  root: z.string(),
  mode: z.enum(['streaming', 'batched', 'periodic'])
}) satisfies z.ZodType<SpaceInfo>

const statusAnswer = z.object({
  version: z.string(),
  peer: z.string(),
  name: z.string().nullable(),
  home: z.string(),
  uptimeMs: ms,
  startedAtMs: ms,
  epoch: z.string(),
  state: z.enum(['ready', 'starting', 'read-only']),
  reasons: z.array(z.string()),
  addresses: z.array(z.string()),
  peers: z.object({ connected: z.number(), known: z.number() }),
  spaces: z.array(spaceInfo),
  index: views.index,
  disk: z.object({ freeBytes: z.number(), floorBytes: z.number(), ballastBytes: z.number() }).nullable(),
  durability: z.enum(['fsync', 'memory']),
  queues: z.record(z.string(), z.number()),
  refusals: z.record(z.string(), z.number()),
  memory: z.object({ rssBytes: z.number(), heapBytes: z.number() })
}) satisfies z.ZodType<NodeStatus>

const peerInfo = z.object({
  peer: z.string(),
  addresses: z.array(z.string()),
  connected: z.boolean(),
  topics: z.array(z.string()),
  direction: z.enum(['inbound', 'outbound', 'none']),
  score: z.number(),
  bannedUntilMs: ms,
  source: z.enum(['connected', 'saved', 'mdns', 'dht', 'bootstrap'])
}) satisfies z.ZodType<PeerInfo>

const configEntry = z.object({
  key: z.string(),
  value: z.unknown(),
  source: z.enum(['default', 'file', 'environment', 'flag'])
})

const requestId = z.union([z.string().max(128), z.number()])

export const TOPICS = ['memory', 'peer', 'sync', 'node', 'catch-up'] as const

export const DOOR_METHODS = {
  'rpc.hello': method({
    summary: 'Agrees on the protocol; a client sends it first.',
    access: 'read',
    params: z.strictObject({
      protocol: z.string().max(16),
      client: z.strictObject({ name: z.string().max(128), version: z.string().max(64) }).exactOptional(),
      token: z.string().max(256).exactOptional().describe('As `chrysalis token add` printed it; the owner needs none'),
      session: z
        .string()
        .min(1)
        .max(128)
        .exactOptional()
        .describe('Names a conversation that goes on over several connections; each is one of its own when omitted')
    }),
    result: z.object({ protocol: z.string(), protocols: z.array(z.string()), version: z.string(), peer: z.string() })
  }),
  'rpc.discover': method({
    summary: 'This table: every method with its parameters and result as JSON Schema.',
    access: 'read',
    params: none,
    result: z.object({
      protocol: z.string(),
      methods: z.array(
        z.object({
          name: z.string(),
          summary: z.string(),
          access: z.enum(['read', 'write', 'admin']),
          stream: z.boolean(),
          params: z.record(z.string(), z.unknown()),
          result: z.record(z.string(), z.unknown())
        })
      )
    })
  }),
  'rpc.cancel': method({
    summary: 'Answers a request of this connection with `cancelled`; what it had begun may still complete.',
    access: 'read',
    params: z.strictObject({ id: requestId.describe('Of the request') }),
    result: z.object({ cancelled: z.boolean() })
  }),
  'events.open': method({
    summary: 'Subscribes; memory events resume from a cursor with nothing lost and nothing twice.',
    access: 'read',
    params: z.strictObject({
      topics: z.array(z.enum(TOPICS)).min(1).exactOptional().describe('All when omitted'),
      spaces: z.array(space).max(LIMITS.spacesMax).exactOptional().describe('All when omitted'),
      cursor: cursor.exactOptional().describe('Of the last memory event seen; from now on when omitted')
    }),
    result: z.object({ subscription: z.string(), cursor: z.string() }),
    stream: true
  }),
  'events.close': method({
    summary: 'Ends a subscription.',
    access: 'read',
    params: z.strictObject({ subscription: z.string().max(64) }),
    result: z.object({ closed: z.boolean() })
  })
}

export const NODE_METHODS = {
  'node.status': method({
    summary: 'Who this daemon is, what it holds and how it feels.',
    access: 'read',
    params: none,
    result: statusAnswer
  }),
  'node.health': method({
    summary: 'Whether it lives and is ready, and why not.',
    access: 'read',
    params: none,
    result: views.healthAnswer
  }),
  'node.id': method({
    summary: 'The identity that signs everything this daemon writes.',
    access: 'read',
    params: none,
    result: z.object({
      peer: z.string(),
      author: z.string(),
      name: z.string().nullable(),
      epoch: z.string(),
      addresses: z.array(z.string()),
      version: z.string()
    })
  }),
  'node.stop': method({
    summary: 'Stops the daemon once requests in flight are answered.',
    access: 'admin',
    params: none,
    result: z.object({ stopping: z.boolean() })
  }),
  'config.get': method({
    summary: 'The configuration in force and where each value came from.',
    access: 'read',
    params: z.strictObject({
      key: z.string().max(128).exactOptional().describe('A dotted path or a section; everything when omitted')
    }),
    result: z.object({ entries: z.array(configEntry) })
  }),
  'peer.list': method({
    summary: 'Peers known and connected.',
    access: 'read',
    params: none,
    result: z.object({ peers: z.array(peerInfo) })
  }),
  'peer.connect': method({
    summary: 'Dials an address and keeps the peer.',
    access: 'admin',
    params: z.strictObject({ address: z.string().min(1).max(512).describe('Multiaddr ending in /p2p/PEER') }),
    result: z.object({ peer: z.string() })
  }),
  'peer.disconnect': method({
    summary: 'Closes the connections to a peer.',
    access: 'admin',
    params: z.strictObject({ peer: peerName }),
    result: z.object({ disconnected: z.boolean() })
  }),
  'space.list': method({
    summary: 'Spaces this daemon belongs to.',
    access: 'read',
    params: none,
    result: z.object({ spaces: z.array(spaceInfo) })
  }),
  'space.invite': method({
    summary: 'Makes a ticket that lets another daemon into a space.',
    access: 'admin',
    params: z.strictObject({
      space: space.exactOptional(),
      expiresInMs: z
        .int()
        .min(1_000)
        .max(366 * 86_400_000)
        .exactOptional(),
      uses: z.int().min(1).max(1_000_000).exactOptional()
    }),
    result: z.object({ ticket: z.string(), space: z.string(), expiresAtMs: ms, uses: z.number() })
  }),
  'space.join': method({
    summary: 'Uses a ticket.',
    access: 'admin',
    params: z.strictObject({
      ticket: z.string().min(1).max(LIMITS.ticketBytesMax),
      force: z.boolean().exactOptional().describe('Leave the present network even when others are in it')
    }),
    result: z.object({
      space: z.object({ name: z.string(), id: z.string() }),
      addresses: z.array(z.string()),
      restarting: z.boolean()
    })
  }),
  'gossip.estimate': method({
    summary: 'Rounds and time until a change has reached a number of nodes: the specification, and a simulated model.',
    access: 'read',
    params: z.strictObject({
      nodes: z.int().min(1).max(1_000_000_000),
      fanout: z.int().min(2).max(64).exactOptional(),
      linkMs: z.number().min(0.001).max(60_000).exactOptional().describe('Mean one-way delay of a link'),
      loss: z.number().min(0).max(0.2).exactOptional().describe('Share of gossip frames that are lost'),
      droppers: z.number().min(0).max(0.3).exactOptional().describe('Share of nodes that pass nothing on')
    }),
    result: views.estimateAnswer
  })
}
