/**
 * `chrysalis sim …`: the simulator from the shell. The same manners as the rest of the command line: data on stdout, all
 * else on stderr, one JSON object with --json, errors as one line that says what is wrong and one that says what to do.
 *
 * Exit status: 0 held · 1 violated, or got worse · 2 failed to test, or wrong usage · 130 interrupted; other errors by
 * their row in base/errors.
 */
import { Command, CommanderError, Option } from 'commander'
import type { Readable, Writable } from 'node:stream'
import { ChrysalisError, ERRORS, isChrysalisError, messageOf } from '../src/base/errors.ts'
import { registerLive } from './commands/live.ts'
import { registerMutants } from './commands/mutants.ts'
import { registerPictures } from './commands/pictures.ts'
import { registerRepeats } from './commands/repeats.ts'
import { registerRuns } from './commands/runs.ts'

export type OutputStream = Writable & { readonly isTTY?: boolean }

export interface SimIo {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly stdin?: Readable
  /** Real milliseconds, for progress. */
  readonly nowMs: () => number
  /** Processors to use unless told otherwise. */
  readonly processors: number
  readonly signal?: AbortSignal
}

/** What a command comes back with. */
export interface SimOutcome {
  readonly data: unknown
  readonly lines: readonly string[]
  readonly exit: number
}

export interface SimContext {
  readonly io: SimIo
  readonly json: boolean
  /** A line for the person beside the data. */
  note(line: string): void
}

/** Makes a commander action of a command. */
export type WrapSim = <A extends unknown[]>(
  verb: (context: SimContext, ...args: A) => Promise<SimOutcome>
) => (...args: [...A, Command]) => Promise<void>

const EXAMPLES = `
Examples:
  $ chrysalis sim run partition-heals --seed 7 --nodes 12
  $ chrysalis sim sweep --seeds 1..2000 --out sweep
  $ chrysalis sim plot sweep
  $ chrysalis sim replay crash-restart 17
  $ chrysalis sim shrink crash-restart 17

Exit status: 0 held, 1 violated, 2 failed to test or wrong usage, 130 interrupted.`

export function createSimProgram(wrap: WrapSim): Command {
  const program = new Command('chrysalis sim')
    .description('Run the very code of the daemon in worlds of virtual time, under faults and liars.')
    .addOption(new Option('--json', 'machine-readable output: one object'))
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, writeOut: () => undefined })
  registerRuns(program, wrap)
  registerRepeats(program, wrap)
  registerPictures(program, wrap)
  registerMutants(program, wrap)
  registerLive(program, wrap)
  return program
}

/** Runs one command line, without `sim` itself; resolves with the exit status and never rejects. */
export async function runSim(argv: readonly string[], io: SimIo): Promise<number> {
  const json = argv.includes('--json')
  let status = 0
  let name = argv.find((word) => !word.startsWith('-')) ?? ''
  const context: SimContext = { io, json, note: (line) => void io.stderr.write(`${line}\n`) }
  const wrap: WrapSim =
    <A extends unknown[]>(verb: (of: SimContext, ...args: A) => Promise<SimOutcome>) =>
    async (...all: [...A, Command]) => {
      // Commander hands over the arguments, the options, and last the command itself.
      const args = all.slice(0, -1) as unknown as A
      name = (all.at(-1) as Command).name()
      status = finish(io, json, name, await verb(context, ...args))
    }
  const program = createSimProgram(wrap)
  const help: string[] = []
  for (const command of [program, ...program.commands]) command.configureOutput({ writeOut: (text) => help.push(text) })
  if (argv.length === 0) {
    io.stdout.write(`${program.helpInformation().trimEnd()}\n${EXAMPLES}\n`)
    return 0
  }
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) {
      io.stdout.write(help.join(''))
      return 0
    }
    return fail(io, json, name, error)
  }
}

function finish(io: SimIo, json: boolean, command: string, { data, lines, exit }: SimOutcome): number {
  // Said already, by a process that this one started.
  if (data === undefined && lines.length === 0) return exit
  if (json) io.stdout.write(`${JSON.stringify({ ok: exit === 0, command: `sim ${command}`, data, v: 1 })}\n`)
  else for (const line of lines) io.stdout.write(`${line}\n`)
  return exit
}

function fail(io: SimIo, json: boolean, command: string, thrown: unknown): number {
  const error = asError(thrown, command)
  const { code, message, hint, retryable, stateTouched } = error
  const { exit } = ERRORS[code]
  if (json) {
    const said = { code, message, ...(hint === undefined ? {} : { hint }), retryable, stateTouched, exit }
    io.stdout.write(`${JSON.stringify({ ok: false, command: `sim ${command}`, error: said, v: 1 })}\n`)
  } else {
    io.stderr.write(`chrysalis: ${message}\n`)
    if (hint !== undefined) io.stderr.write(`hint: ${hint}\n`)
  }
  return exit
}

function asError(thrown: unknown, command: string): ChrysalisError {
  if (isChrysalisError(thrown)) return thrown
  if (thrown instanceof CommanderError) {
    const [first = '', ...more] = thrown.message.split('\n')
    const meant = more
      .join(' ')
      .trim()
      .replace(/^\(|\)$/g, '')
    const hint = `${meant} See: chrysalis sim ${command === '' ? '' : `${command} `}--help`.trim()
    return new ChrysalisError('usage', `${first.replace(/^error: /, '').replace(/\.$/, '')}. Nothing was run.`, {
      hint
    })
  }
  return new ChrysalisError('failure', `The simulator failed: ${messageOf(thrown)}`, {
    hint: 'This is a defect of the simulator, not of what it was testing.',
    cause: thrown
  })
}
