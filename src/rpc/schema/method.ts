/**
 * What one row of the method table looks like, and the types read off it. The table is the only description of the
 * door: the server validates with it, the client's types are inferred from it, `rpc.discover` and docs/RPC.md print it.
 */
import type { z } from 'zod'

/** read: changes nothing · write: signs or sends something · admin: changes who takes part, or stops the daemon. */
export type Access = 'read' | 'write' | 'admin'

export interface Method<P extends z.ZodObject = z.ZodObject, R extends z.ZodType = z.ZodType> {
  /** One sentence. */
  readonly summary: string
  readonly access: Access
  readonly params: P
  readonly result: R
  /** Notifications follow the answer. */
  readonly stream?: true
}

/** What is wrong with parameters, as the schema library says it. */
export type ParameterError = z.ZodError

/** Keeps the exact types of one row. */
export function method<P extends z.ZodObject, R extends z.ZodType>(row: Method<P, R>): Method<P, R> {
  return row
}

export type DeepReadonly<T> = T extends readonly (infer U)[]
  ? readonly DeepReadonly<U>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T
