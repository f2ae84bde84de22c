/** sync.*: how replication stands, comparing now, waiting until others hold something, and who wrote how much. */
import { z } from 'zod'
import { LIMITS } from '../../base/limits.ts'
import type { CatchUpProgress, FrontiersAnswer, SyncNowAnswer, SyncStatus, SyncWaitAnswer } from '../../node/api.ts'
import { cursor, reference, space } from './fields.ts'
import { method } from './method.ts'

const ms = z.number()
const peerName = z.string().min(1).max(128).describe('Peer id')
const result = z.enum(['equal', 'repaired', 'failed'])
const how = z.enum(['none', 'sketch', 'tree', 'both'])

export const catchUp = z.object({
  space: z.string(),
  have: z.number(),
  target: z.number(),
  perSecond: z.number(),
  etaMs: ms.nullable(),
  peers: z.number()
}) satisfies z.ZodType<CatchUpProgress>

const session = {
  result,
  method: how,
  received: z.number(),
  sent: z.number(),
  bytes: z.number(),
  metadataBytes: z.number(),
  compareBytes: z.number(),
  roundTrips: z.number(),
  tookMs: ms,
  detail: z.string().nullable()
}

const syncStatus = z.object({
  spaces: z.array(
    z.object({
      space: z.string(),
      name: z.string(),
      local: z.number(),
      pending: z.number(),
      synced: z.number(),
      outbox: z.number(),
      root: z.string(),
      catchUp: catchUp.nullable()
    })
  ),
  peers: z.array(
    z.object({
      peer: z.string(),
      space: z.string(),
      lastSessionMs: ms.nullable(),
      lastResult: result.nullable(),
      received: z.number(),
      sent: z.number(),
      heldThrough: z.string(),
      failures: z.number(),
      session: z.object({ ...session, atMs: ms, startedHere: z.boolean() }).nullable(),
      ownHead: z.object({ epoch: z.string(), seq: z.number() }).nullable(),
      missingHere: z.number().nullable(),
      missingThere: z.number().nullable(),
      behind: z.number(),
      lastEqualMs: ms.nullable(),
      stuck: z.boolean()
    })
  )
}) satisfies z.ZodType<SyncStatus>

const syncNowAnswer = z.object({
  sessions: z.array(z.object({ ...session, peer: z.string(), space: z.string() }))
}) satisfies z.ZodType<SyncNowAnswer>

const syncWaitAnswer = z.object({
  cursor: z.string(),
  memories: z.number(),
  spaces: z.array(z.object({ space: z.string(), name: z.string(), holders: z.array(z.string()) })),
  waitedMs: ms
}) satisfies z.ZodType<SyncWaitAnswer>

const frontiersAnswer = z.object({
  frontiers: z.array(
    z.object({
      space: z.string(),
      peer: z.string(),
      epoch: z.string(),
      seq: z.number(),
      missing: z.number().nullable(),
      lastSeenMs: ms.nullable(),
      equivocated: z.boolean()
    })
  ),
  cursor: z.string().nullable()
}) satisfies z.ZodType<FrontiersAnswer>

export const SYNC_METHODS = {
  'sync.status': method({
    summary: 'What only this daemon holds, what peers are known to hold, and how the last rounds went.',
    access: 'read',
    params: z.strictObject({}),
    result: syncStatus
  }),
  'sync.now': method({
    summary: 'Reconciles at once with one peer, or with every connected one.',
    access: 'write',
    params: z.strictObject({
      space: space.exactOptional(),
      peer: peerName.exactOptional(),
      wait: z.boolean().exactOptional().describe('Again until every session ends in agreement, or until `timeoutMs`')
    }),
    result: syncNowAnswer
  }),
  'sync.wait': method({
    summary:
      'Answers once enough peers, or the named ones, hold some memories, or everything up to a cursor or to now.',
    access: 'write',
    params: z.strictObject({
      ids: z
        .array(reference)
        .min(1)
        .max(LIMITS.addManyItemsMax)
        .exactOptional()
        .describe('Memories, each with all that touched it up to now; not together with `cursor`'),
      cursor: cursor.exactOptional().describe('As memory.changes gives it; everything up to now when omitted'),
      space: space.exactOptional().describe('Every shared space when omitted'),
      minPeers: z
        .int()
        .min(1)
        .max(LIMITS.savedPeersMax)
        .exactOptional()
        .describe('sync.replicas of the configuration when neither this nor `peers` is given'),
      peers: z.array(peerName).min(1).max(LIMITS.connectionsMax).exactOptional().describe('Each of them must hold it')
    }),
    result: syncWaitAnswer
  }),
  'sync.frontiers': method({
    summary: 'Known authors: how far each has written, how much of it is missing here, and when it was last heard of.',
    access: 'read',
    params: z.strictObject({
      space: space.exactOptional().describe('Every space when omitted'),
      cursor: z.string().max(128).exactOptional().describe('From a previous answer'),
      limit: z.int().min(1).max(LIMITS.rpcPageItemsMax).exactOptional()
    }),
    result: frontiersAnswer
  })
}
