/** How a verb hangs in the program: the shapes every file of this folder uses. */
import type { Command } from 'commander'
import type { Context, Outcome } from '../context.ts'

/**
 * One verb: the arguments and options commander parsed, in its order. It comes back with an outcome to report, with the
 * exit status when it reported by itself, or with undefined when it was a stream and has ended.
 */
export type Verb<A extends unknown[]> = (context: Context, ...args: A) => Promise<Outcome | number | undefined>

/** Makes a commander action of a verb. */
export type Wrap = <A extends unknown[]>(verb: Verb<A>) => (...args: [...A, Command]) => Promise<void>
