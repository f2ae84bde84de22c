/** How our own tools are written: typed arguments in, data and text out. */
import type { z } from 'zod'
import type { Tool, ToolAnswer, ToolContext } from './profile.ts'

interface Definition<I extends z.ZodObject, O extends z.ZodObject> {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly input: I
  readonly output: O
  readonly effect: keyof typeof EFFECTS
  readonly aliases?: Readonly<Record<string, string>>
  run(args: z.output<I>, context: ToolContext): Promise<{ structured: z.output<O>; text: string }>
}

/** What a host may tell the person who is asked for permission. Nothing here leaves the daemon's own world. */
const EFFECTS = {
  read: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  /** Writing the same twice leaves what writing it once did. */
  add: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  change: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  hide: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false }
} as const

export function tool<I extends z.ZodObject, O extends z.ZodObject>(definition: Definition<I, O>): Tool {
  const { name, title, description, input, output, effect, aliases } = definition
  return {
    name,
    title,
    description,
    input,
    output,
    annotations: EFFECTS[effect],
    ...(aliases === undefined ? {} : { aliases }),
    // The runner has parsed the arguments with `input`, so they are what the schema says.
    run: (args, context): Promise<ToolAnswer> => definition.run(args as z.output<I>, context)
  }
}
