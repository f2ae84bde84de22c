/**
 * Words that clients and the command line need as values, without loading the schema (zod takes longer to load than a
 * recall takes to answer).
 */
export { KINDS, MEMORY_TYPES, ORIGIN_CLASSES, RELATIONS, VERDICTS } from '../memory/ops.ts'
export type { BallotVerdict, Kind, MemoryType, OriginClass, Relation } from '../memory/ops.ts'
export { OPINIONS, type Opinion } from '../node/trust-api.ts'
export const DEDUPE = ['skip', 'report', 'allow'] as const
export const RANKINGS = ['fused', 'collective', 'jaccard'] as const
export const RECALL_MODES = ['keyword', 'vector', 'graph'] as const
/** The least tier that is shown, lowest first; `any` is all but blocked. */
export const MIN_TRUSTS = ['blocked', 'any', 'untrusted', 'unknown', 'known', 'trusted', 'validated'] as const
export const EVENT_TOPICS = ['memory', 'peer', 'sync', 'node', 'catch-up'] as const
/** Of the local door; sent in rpc.hello. */
export const CLIENT_PROTOCOL = '1'
