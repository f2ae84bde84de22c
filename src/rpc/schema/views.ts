/**
 * What answers look like. Each shape is checked by the compiler against the engine's own type, so neither side can
 * change alone. Answers are not validated while serving (the engine is trusted and the time is the caller's); the tests
 * parse every answer strictly. Later versions may add fields, and a reader must ignore what it does not know.
 */
import { z } from 'zod'
import type {
  ChangeEntry,
  ChangesAnswer,
  Claimed,
  ContextAnswer,
  DigestAnswer,
  EstimateAnswer,
  HealthAnswer,
  HistoryEntry,
  IndexState,
  LineageNode,
  ListAnswer,
  MemoryItem,
  SearchAnswer,
  SearchHit,
  StatsAnswer,
  TallyAnswer,
  VerifyReport,
  WriteReceipt
} from '../../node/api.ts'
import { documentType, kind, memoryType, originClass, relation, trustTier, verdict } from './fields.ts'

const id = z.string()
const ms = z.number()
const ids = z.array(id)
const numbers = z.record(z.string(), z.number())

const claimed = z.object({ max: z.number(), effective: z.number() }) satisfies z.ZodType<Claimed>

const vote = z.object({
  voter: z.string(),
  verdict,
  confidence: z.number(),
  reason: z.string().nullable(),
  atMs: ms
})

export const memoryItem = z.object({
  id,
  space: id,
  spaceName: z.string(),
  key: z.string().nullable(),
  documentType,
  memoryType: memoryType.nullable(),
  kind,
  content: z.string().nullable(),
  path: z.string().nullable(),
  pinned: z.boolean(),
  tags: z.array(z.string()),
  evidence: z.array(z.string()),
  related: ids,
  parents: ids,
  supersedes: ids,
  origins: z.array(z.object({ peer: z.string(), class: originClass, agent: z.string().nullable() })),
  importance: claimed.nullable(),
  confidence: claimed.nullable(),
  accessCount: z.number(),
  votes: z.array(vote),
  validFrom: ms.nullable(),
  validTo: ms.nullable(),
  expiresAt: ms.nullable(),
  retracted: z.string().nullable(),
  expired: z.boolean(),
  author: id,
  peer: z.string(),
  source: z.string().nullable(),
  createdBy: id,
  createdAt: ms,
  updatedAt: ms,
  contentPeer: z.string(),
  contentBy: id,
  version: z.number(),
  syncState: z.enum(['local', 'pending', 'synced']),
  holders: z.number(),
  fingerprint: z.string(),
  verified: z.boolean(),
  trust: z.object({ tier: trustTier, because: z.string() }),
  flags: z.array(z.string())
}) satisfies z.ZodType<MemoryItem>

export const receipt = z.object({
  id,
  delta: id,
  fingerprint: z.string(),
  space: id,
  atMs: ms,
  syncState: z.enum(['local', 'pending', 'synced']),
  created: z.boolean(),
  duplicateOf: id.exactOptional(),
  similar: z.array(z.object({ id, score: z.number(), content: z.string() })).exactOptional(),
  flags: z.array(z.string()),
  promoted: id.exactOptional()
}) satisfies z.ZodType<WriteReceipt>

export const receipts = z.object({ receipts: z.array(receipt) })

export const index = z.object({
  state: z.enum(['complete', 'partial']),
  indexed: z.number(),
  records: z.number(),
  vector: z.enum(['off', 'on', 'stale', 'unavailable'])
}) satisfies z.ZodType<IndexState>

const searchHit = memoryItem.extend({
  score: z.number(),
  why: numbers.exactOptional()
}) satisfies z.ZodType<SearchHit>

export const searchAnswer = z.object({
  items: z.array(searchHit),
  index,
  dropped: z.number(),
  hidden: z.number(),
  usedTokens: z.number(),
  overflow: z.boolean()
}) satisfies z.ZodType<SearchAnswer>

export const contextAnswer = z.object({
  pinned: z.array(searchHit),
  open: z.array(searchHit),
  changes: z.array(searchHit),
  relevant: z.array(searchHit),
  text: z.string(),
  usedTokens: z.number(),
  overflow: z.boolean(),
  cursor: z.string(),
  index
}) satisfies z.ZodType<ContextAnswer>

export const listAnswer = z.object({
  items: z.array(memoryItem),
  cursor: z.string().nullable()
}) satisfies z.ZodType<ListAnswer>

export const change = z.object({
  cursor: z.string(),
  space: id,
  delta: id,
  peer: z.string(),
  atMs: ms,
  records: ids
}) satisfies z.ZodType<ChangeEntry>

export const changesAnswer = z.object({
  changes: z.array(change),
  cursor: z.string(),
  more: z.boolean()
}) satisfies z.ZodType<ChangesAnswer>

const historyEntry = z.object({
  delta: id,
  fingerprint: z.string(),
  peer: z.string(),
  atMs: ms,
  seq: z.number(),
  epoch: z.string(),
  operations: z.array(z.string()),
  lamport: z.number(),
  concurrentWith: ids
}) satisfies z.ZodType<HistoryEntry>

export const historyAnswer = z.object({ id, entries: z.array(historyEntry) })

const lineageNode = z.object({
  id,
  content: z.string().nullable(),
  peer: z.string(),
  depth: z.number(),
  relation: z.union([relation, z.literal('self')]),
  direction: z.enum(['up', 'down', 'self']),
  present: z.boolean()
}) satisfies z.ZodType<LineageNode>

export const lineageAnswer = z.object({ id, nodes: z.array(lineageNode) })

export const verifyReport = z.object({
  checked: z.number(),
  valid: z.number(),
  invalid: z.array(z.object({ delta: id, reason: z.string() })),
  pruned: z.number(),
  equivocators: z.array(z.string())
}) satisfies z.ZodType<VerifyReport>

const writeStorm = z.object({
  record: id,
  space: id,
  writes: z.number(),
  authors: z.array(z.string()),
  version: z.number(),
  startedAtMs: ms,
  endedAtMs: ms
})

export const statsAnswer = z.object({
  deltas: z.number(),
  records: z.number(),
  authors: z.number(),
  uniqueContexts: z.number(),
  tags: z.number(),
  byKind: numbers,
  byAuthor: numbers,
  diversity: z.number(),
  growthLastDay: z.number(),
  writeStorms: z.array(writeStorm),
  counters: numbers
}) satisfies z.ZodType<StatsAnswer>

export const tallyAnswer = z.object({
  id,
  electorate: z.number(),
  cast: z.number(),
  confirm: z.number(),
  dispute: z.number(),
  abstain: z.number(),
  flag: z.number(),
  uncounted: z.number(),
  quorum: z.boolean(),
  status: z.enum(['unverified', 'validated', 'disputed', 'split']),
  mean: z.number().exactOptional(),
  median: z.number().exactOptional(),
  trimmedMean: z.number().exactOptional(),
  trimmedPerSide: z.number().exactOptional()
}) satisfies z.ZodType<TallyAnswer>

export const digestAnswer = z.object({
  space: id,
  name: z.string(),
  deltas: z.number(),
  records: z.number(),
  root: z.string(),
  state: z.string()
}) satisfies z.ZodType<DigestAnswer>

export const healthAnswer = z.object({
  live: z.boolean(),
  ready: z.boolean(),
  reasons: z.array(z.string())
}) satisfies z.ZodType<HealthAnswer>

export const estimateAnswer = z.object({
  nodes: z.number(),
  fanout: z.number(),
  loss: z.number(),
  droppers: z.number(),
  specification: z.object({ rounds: z.number(), ms }),
  hops: z.number(),
  t50Ms: ms,
  t99Ms: ms,
  ms,
  copies: z.number(),
  infectAndDieCoverage: z.number(),
  assumptions: z.array(z.string())
}) satisfies z.ZodType<EstimateAnswer>
