/**
 * The door without a socket: a call goes through the same table, the same checks and the same handlers as one that came
 * by the wire, so that a caller inside the daemon can do exactly what a client can, and is refused in the same words.
 * Who the caller is has been decided before: the node that comes in is already the one this caller may see.
 *
 * Streams of events need a connection; `onEvent` of the node is what serves callers in here.
 */
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { NodeApi } from '../node/api.ts'
import type { Control } from './control.ts'
import { perform, prepare, type Call } from './dispatch.ts'
import type { Session } from './handlers.ts'
import { isObject } from './messages.ts'
import type { MethodName, Params, Result } from './schema/methods.ts'

export interface Caller {
  /** Rejects with ChrysalisError only, as a client would. */
  call<M extends MethodName>(method: M, params: Params<M>, options?: { timeoutMs?: number }): Promise<Result<M>>
}

/** For each call, unless it says otherwise. */
const DEFAULT_TIMEOUT_MS = 30_000

export function localCaller(node: NodeApi, control: Control): Caller {
  return {
    async call<M extends MethodName>(
      method: M,
      params: Params<M>,
      { timeoutMs = DEFAULT_TIMEOUT_MS }: { timeoutMs?: number } = {}
    ): Promise<Result<M>> {
      if (!isObject(params)) throw new ChrysalisError('invalid_argument', `${method}: parameters are passed by name.`)
      const bounded = Math.max(1, Math.min(Math.floor(timeoutMs), LIMITS.rpcTimeoutMsMax))
      const prepared = prepare({ id: undefined, method, params: { ...params, timeoutMs: bounded } })
      if (!prepared.ok) throw prepared.error
      // The handler answers with what the table says of this method.
      return (await inTime(prepared.call, bounded, node, control)) as Result<M>
    }
  }
}

/** The caller is answered in time; what had begun goes on, as it does behind the socket. */
function inTime(call: Call, timeoutMs: number, node: NodeApi, control: Control): Promise<unknown> {
  const after: (() => void)[] = []
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(tooLate(call, timeoutMs)), timeoutMs)
    perform(call, session(node, control, after))
      .then(
        (result) => {
          resolve(result)
          for (const act of after) setImmediate(act)
        },
        (error: unknown) => reject(error instanceof Error ? error : new Error(String(error)))
      )
      .finally(() => clearTimeout(timer))
  })
}

function session(node: NodeApi, control: Control, after: (() => void)[]): Session {
  return {
    node,
    control,
    cancel: () => false,
    openEvents: () =>
      Promise.reject(
        new ChrysalisError('invalid_argument', 'Events are streamed over a connection; there is none here.', {
          hint: 'Read memory.changes from a cursor instead.'
        })
      ),
    closeEvents: () => false,
    afterAnswer: (act) => after.push(act)
  }
}

function tooLate(call: Call, timeoutMs: number): ChrysalisError {
  return new ChrysalisError('timeout', `${call.method} took longer than ${timeoutMs} ms.`, {
    hint: 'What it had begun may still complete: read before writing again, or allow more time.',
    stateTouched: call.access !== 'read'
  })
}
