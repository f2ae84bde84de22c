/**
 * From a request to a handler: the method is looked up, the parameters are checked against the table, and what is wrong
 * is said in one sentence that names the nearest thing that would have been right.
 */
import { ChrysalisError } from '../base/errors.ts'
import { HANDLERS, type Session } from './handlers.ts'
import { METHOD_NOT_FOUND, type Request } from './messages.ts'
import { nearest } from './nearest.ts'
import type { Method, ParameterError } from './schema/method.ts'
import { commonParams, isMethod, METHODS, type MethodName } from './schema/methods.ts'

/** A request that names a method and carries parameters the table allows. */
export interface Call {
  readonly method: MethodName
  readonly access: Method['access']
  readonly params: unknown
  readonly timeoutMs: number | undefined
}

export type Prepared =
  | { readonly ok: true; readonly call: Call }
  | { readonly ok: false; readonly error: ChrysalisError; readonly code?: number }

/** Never throws. */
export function prepare(request: Request): Prepared {
  const { method } = request
  if (!isMethod(method)) return { ok: false, code: METHOD_NOT_FOUND, error: unknownMethod(method) }
  const { timeoutMs, ...own } = request.params
  const common = commonParams.safeParse(timeoutMs === undefined ? {} : { timeoutMs })
  if (!common.success) return { ok: false, error: explain(method, common.error, []) }
  const row: Method = METHODS[method]
  const params = row.params.safeParse(own)
  if (!params.success) return { ok: false, error: explain(method, params.error, Object.keys(row.params.shape)) }
  return { ok: true, call: { method, access: row.access, params: params.data, timeoutMs: common.data.timeoutMs } }
}

/** Rejects with whatever the handler rejects with. */
export async function perform(call: Call, session: Session): Promise<unknown> {
  // The row that validated `params` is the row that types this handler; the compiler cannot see that the two agree.
  const handler = HANDLERS[call.method] as (params: unknown, session: Session, timeoutMs?: number) => unknown
  return await handler(call.params, session, call.timeoutMs)
}

function unknownMethod(method: string): ChrysalisError {
  const meant = nearest(method, Object.keys(METHODS))
  return new ChrysalisError('invalid_argument', `There is no method ${method.slice(0, 80)}.`, {
    hint: meant === undefined ? 'rpc.discover lists the methods.' : `Did you mean ${meant}?`
  })
}

function explain(method: string, error: ParameterError, known: readonly string[]): ChrysalisError {
  const issue = error.issues[0]
  if (issue === undefined) return new ChrysalisError('invalid_argument', `${method}: the parameters are not valid.`)
  const place = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') return unknownParameter(method, place, issue.keys, known)
  return new ChrysalisError('invalid_argument', `${method}: ${place === '' ? '' : `${place}: `}${issue.message}.`, {
    hint: 'Nothing was done. docs/RPC.md and rpc.discover describe the parameters.',
    data: { parameter: place }
  })
}

function unknownParameter(method: string, place: string, keys: readonly string[], known: readonly string[]) {
  const key = keys[0] ?? ''
  const meant = place === '' ? nearest(key, [...known, 'timeoutMs']) : undefined
  const list = known.length === 0 ? 'It takes none.' : `It takes ${known.join(', ')}.`
  const hint = place === '' ? list : 'rpc.discover describes what is allowed there.'
  return new ChrysalisError('invalid_argument', `${method}: unknown parameter ${join(place, key.slice(0, 80))}.`, {
    hint: meant === undefined ? hint : `Did you mean ${meant}?`,
    data: { parameter: join(place, key.slice(0, 80)) }
  })
}

function join(place: string, key: string): string {
  return place === '' ? key : `${place}.${key}`
}
