/**
 * A profile: a set of tools a model is offered together, with the few sentences that go with them. Tools speak to the
 * daemon through a Caller and through nothing else, so that what a model may do is what its connection may do.
 */
import type { z } from 'zod'
import type { Caller } from '../rpc/local.ts'
import type { MethodName, Params, Result } from '../rpc/schema/methods.ts'

export type { Caller, MethodName, Params, Result }

export interface ToolContext {
  readonly caller: Caller
  /** Name or id of the space this connection works in; the daemon's default when undefined. */
  readonly space: string | undefined
  readonly nowMs: () => number
}

export interface ToolAnswer {
  /** Data, as the output schema says it. */
  readonly structured: Record<string, unknown>
  /** The same for a reader, memories fenced (base/fence.ts). */
  readonly text: string
}

export interface Tool {
  readonly name: string
  readonly title?: string
  readonly description: string
  readonly input: z.ZodObject
  readonly output: z.ZodObject
  readonly annotations: {
    readonly readOnlyHint: boolean
    readonly destructiveHint: boolean
    readonly idempotentHint: boolean
    readonly openWorldHint: false
  }
  /** Other names models reach for → the right one; applied before validation. */
  readonly aliases?: Readonly<Record<string, string>>
  /** `args` have passed `input`. A ChrysalisError becomes an error result with its message and hint. */
  run(args: Record<string, unknown>, context: ToolContext): Promise<ToolAnswer>
}

/** A document with a fixed address that comes with a profile. It may change with every memory of the space. */
export interface ProfileResource {
  readonly uri: string
  readonly name: string
  readonly title: string
  readonly description: string
  readonly mimeType: string
  read(context: ToolContext): Promise<string>
}

export interface Profile {
  readonly name: string
  /** What the model is told when it connects. Never text of a memory. */
  readonly instructions?: string
  readonly tools: readonly Tool[]
  readonly resources?: readonly ProfileResource[]
}
