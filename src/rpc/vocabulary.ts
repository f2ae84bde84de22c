/**
 * Words that clients and the command line need as values, without loading the schema (zod takes longer to load than a
 * recall takes to answer).
 */
export { KINDS, MEMORY_TYPES, RELATIONS, VERDICTS } from '../memory/ops.ts'
export type { BallotVerdict, Kind, MemoryType, Relation } from '../memory/ops.ts'
export const RANKINGS = ['fused', 'collective', 'jaccard'] as const
export const EVENT_TOPICS = ['memory', 'peer', 'sync', 'node', 'catch-up'] as const
/** Of the local door; sent in rpc.hello. */
export const CLIENT_PROTOCOL = '1'
