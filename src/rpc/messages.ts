/**
 * JSON-RPC 2.0 messages (https://www.jsonrpc.org/specification) and how errors cross the door. Protocol faults keep the
 * standard negative numbers; an operating error becomes the positive number of its code in base/errors, with
 * `data: {kind, hint, retryable, stateTouched}`, and is the same ChrysalisError again on the other side.
 *
 * Batches are not spoken: memory.addMany does what one would want of them.
 */
import { ChrysalisError, ERRORS, isChrysalisError, messageOf, type ErrorCode } from '../base/errors.ts'
import { parseFrame } from './framing.ts'

export type RequestId = string | number

export const PARSE_ERROR = -32700
export const INVALID_REQUEST = -32600
export const METHOD_NOT_FOUND = -32601
export const INVALID_PARAMS = -32602

/** Longest id echoed back. */
const ID_LENGTH_MAX = 128

export interface WireError {
  readonly code: number
  readonly message: string
  readonly data?: {
    readonly kind: string
    readonly hint?: string
    readonly retryable: boolean
    readonly stateTouched: boolean
    readonly details?: Record<string, unknown>
  }
}

export interface Request {
  /** undefined on a notification. */
  readonly id: RequestId | undefined
  readonly method: string
  readonly params: Readonly<Record<string, unknown>>
}

export type Incoming =
  | { readonly ok: true; readonly request: Request }
  | { readonly ok: false; readonly id: RequestId | null; readonly error: WireError }

/** Reads one line as a request. Never throws; a fault comes back as the error to answer with. */
export function readRequest(line: Uint8Array): Incoming {
  const frame = parseFrame(line)
  if (!frame.ok) return fault(null, PARSE_ERROR, frame.problem, 'Send one JSON-RPC 2.0 request a line, in UTF-8.')
  const value = frame.value
  if (Array.isArray(value)) {
    return fault(null, INVALID_REQUEST, 'Batches are not supported.', 'Use memory.addMany to learn many at once.')
  }
  if (!isObject(value)) return fault(null, INVALID_REQUEST, 'The frame is not a JSON object.')
  const id = value['id']
  const answerTo = isRequestId(id) ? id : null
  if (value['jsonrpc'] !== '2.0') {
    return fault(answerTo, INVALID_REQUEST, 'The member `jsonrpc` is not "2.0".')
  }
  if (id !== undefined && answerTo === null) {
    return fault(null, INVALID_REQUEST, `The id is not a number or a text of at most ${ID_LENGTH_MAX} characters.`)
  }
  const method = value['method']
  if (typeof method !== 'string') return fault(answerTo, INVALID_REQUEST, 'The member `method` is not a text.')
  const params = value['params'] ?? {}
  if (!isObject(params)) {
    return fault(answerTo, INVALID_PARAMS, 'Parameters are passed by name.', 'Send `params` as an object.')
  }
  return { ok: true, request: { id: answerTo ?? undefined, method, params } }
}

function fault(id: RequestId | null, code: number, message: string, hint?: string): Incoming {
  const data = { kind: 'invalid_argument', ...(hint === undefined ? {} : { hint }), retryable: false }
  return { ok: false, id, error: { code, message, data: { ...data, stateTouched: false } } }
}

function isRequestId(value: unknown): value is RequestId {
  return typeof value === 'number' ? Number.isFinite(value) : typeof value === 'string' && value.length <= ID_LENGTH_MAX
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function resultFrame(id: RequestId, result: unknown): object {
  return { jsonrpc: '2.0', id, result }
}

export function errorFrame(id: RequestId | null, error: WireError): object {
  return { jsonrpc: '2.0', id, error }
}

export function notificationFrame(method: string, params: unknown): object {
  return { jsonrpc: '2.0', method, params }
}

/** An error for the wire. Anything but a ChrysalisError is a fault of the daemon and says no more than its message. */
export function toWireError(error: unknown, code?: number): WireError {
  const known = isChrysalisError(error)
    ? error
    : new ChrysalisError('failure', `The daemon failed: ${messageOf(error)}`, {
        hint: 'Look into the log of the daemon. Read before writing again: it is not known what had been done.',
        stateTouched: true
      })
  return {
    code: code ?? ERRORS[known.code].rpc,
    message: known.message,
    data: {
      kind: known.code,
      ...(known.hint === undefined ? {} : { hint: known.hint }),
      retryable: known.retryable,
      stateTouched: known.stateTouched,
      ...(known.data === undefined ? {} : { details: known.data })
    }
  }
}

/** The error a caller meets, from whatever the other side sent. Never throws. */
export function fromWireError(wire: unknown): ChrysalisError {
  const error = isObject(wire) ? wire : {}
  const data = isObject(error['data']) ? error['data'] : {}
  const message = typeof error['message'] === 'string' ? error['message'] : 'The daemon refused without saying why.'
  const code = codeOf(data['kind'], error['code'])
  return new ChrysalisError(code, message, {
    ...(typeof data['hint'] === 'string' ? { hint: data['hint'] } : {}),
    stateTouched: data['stateTouched'] === true,
    ...(typeof data['retryable'] === 'boolean' ? { retryable: data['retryable'] } : {}),
    ...(isObject(data['details']) ? { data: data['details'] } : {})
  })
}

/** A newer daemon may use a kind unknown here; its number still says more than nothing. */
function codeOf(kind: unknown, number: unknown): ErrorCode {
  if (typeof kind === 'string' && Object.hasOwn(ERRORS, kind)) return kind as ErrorCode
  for (const [code, row] of Object.entries(ERRORS)) if (row.rpc === number) return code as ErrorCode
  return 'failure'
}
