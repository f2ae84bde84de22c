/**
 * The public face of the package: a typed client of the daemon's local door, and the errors it rejects with.
 *
 *     import { connect } from 'chrysalis'
 *     const memory = await connect('/home/me/.chrysalis/run/rpc.sock')
 *     await memory.learn('Deploys freeze on Fridays after 15:00 UTC', { kind: 'decision', tags: ['deploy'] })
 *     const { items } = await memory.recall('when can I deploy')
 */
import './polyfill.ts'

export { ChrysalisError, ERRORS, isChrysalisError, type ErrorCode } from './base/errors.ts'
export { Client, connect, type CallOptions, type ClientOptions, type Daemon } from './rpc/client.ts'
export type { EmbedFunction } from './rpc/client-embedder.ts'
export type { ClientEvent, EventsRequest } from './rpc/event-stream.ts'
export type { EventMessage, GapMessage, MethodName, Params, Result } from './rpc/schema/methods.ts'
export {
  EVENT_TOPICS,
  KINDS,
  MEMORY_TYPES,
  MIN_TRUSTS,
  RANKINGS,
  RECALL_MODES,
  RELATIONS,
  VERDICTS
} from './rpc/vocabulary.ts'
