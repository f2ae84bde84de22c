/**
 * The command line: every verb, the global options, and how a run ends. It depends on nothing but the RPC door and the
 * actions it is handed (cli/local-actions.ts), so a `recall` never loads the network.
 *
 * Data goes to stdout and all else to stderr. With --json stdout holds exactly one object `{ok, command, data | error,
 * v}` (one a line for streams), errors included. The exit status is that of the error's row in base/errors.
 */
import { Command, CommanderError } from 'commander'
import { ChrysalisError, ERRORS } from '../base/errors.ts'
import { commandPath, Context, type GlobalOptions, type Outcome } from './context.ts'
import { registerAboutVerbs } from './commands/about.ts'
import { registerCompanyVerbs } from './commands/company.ts'
import { registerHookVerbs } from './commands/hook.ts'
import { registerInstallVerbs } from './commands/install.ts'
import { registerEmbedVerb } from './commands/embed.ts'
import { registerLifecycleVerbs } from './commands/lifecycle.ts'
import { registerMcpVerb } from './commands/mcp.ts'
import { registerReadVerbs } from './commands/read.ts'
import { registerSharedVerb } from './commands/shared.ts'
import type { Verb, Wrap } from './commands/register.ts'
import { registerTrustVerbs } from './commands/trust.ts'
import { registerUpkeepVerbs } from './commands/upkeep.ts'
import { registerWriteVerbs } from './commands/write.ts'
import type { CliIo } from './terminal.ts'

/** These end by themselves when told to: watch and mcp end their streams, daemon and demo handle signals. */
const UNINTERRUPTED = new Set(['daemon', 'demo', 'watch', 'mcp'])

const EXAMPLES = `
Examples:
  $ chrysalis init --name alpha
  $ chrysalis learn "Deploys freeze on Fridays after 15:00 UTC" -k decision -t deploy
  $ chrysalis recall "when can I deploy" --explain
  $ chrysalis invite                       # prints a ticket for another machine

Exit status: 0 ok, 1 failure, 2 usage, 3 no daemon, 4 not found, 5 denied, 6 timeout, 7 conflict,
8 partial, 9 verification failed, 10 not initialised, 11 home locked, 12 version mismatch, 130 interrupted.`

/** The whole tree of commands, each verb wrapped by `wrap`. */
export function createProgram(version: string, wrap: Wrap): Command {
  const program = new Command('chrysalis')
    .description('One shared, signed, convergent memory for autonomous agents, with no server in the middle.')
    .option('--home <dir>', 'home of the daemon (CHRYSALIS_HOME, default ~/.chrysalis)')
    .option('--json', 'machine-readable output: one object, or one a line for streams')
    .option('-q, --quiet', 'say nothing but data and errors')
    .option('--timeout <duration>', 'longest wait for the daemon, as 500ms, 5s or 2m (default 30s)')
    .option('--no-autostart', 'do not start a daemon when none runs')
    .option('--no-color', 'no colours (also NO_COLOR)')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    // What commander would print is printed by `runCli`, in the form that was asked for.
    .configureOutput({ writeErr: () => undefined, writeOut: () => undefined })
  registerLifecycleVerbs(program, wrap)
  registerWriteVerbs(program, wrap)
  registerReadVerbs(program, wrap)
  registerSharedVerb(program, wrap)
  registerUpkeepVerbs(program, wrap)
  registerTrustVerbs(program, wrap)
  registerEmbedVerb(program, wrap)
  registerCompanyVerbs(program, wrap)
  registerMcpVerb(program, wrap)
  registerInstallVerbs(program, wrap)
  registerHookVerbs(program, wrap)
  registerAboutVerbs(program, wrap)
  return program
}

/** Runs one command line; resolves with the exit status and never rejects. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  let status = 0
  const wrap: Wrap =
    <A extends unknown[]>(verb: Verb<A>) =>
    async (...all: [...A, Command]) => {
      // Commander hands over the arguments, the options, and last the command itself.
      const command = all.at(-1) as Command
      const args = all.slice(0, -1) as unknown as A
      status = await runVerb(io, command, (context) => verb(context, ...args))
    }
  const program = createProgram(io.version, wrap)
  const help: string[] = []
  for (const command of everyCommand(program)) command.configureOutput({ writeOut: (text) => help.push(text) })
  if (argv.length === 0) {
    io.stdout.write(`${program.helpInformation().trimEnd()}\n`)
    return 0
  }
  try {
    await program.parseAsync(argv, { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) {
      io.stdout.write(help.join(''))
      return 0
    }
    return badUsage(io, argv, error)
  }
}

function* everyCommand(command: Command): Generator<Command> {
  yield command
  for (const child of command.commands) yield* everyCommand(child)
}

async function runVerb(
  io: CliIo,
  command: Command,
  verb: (context: Context) => Promise<Outcome | number | undefined>
): Promise<number> {
  const name = commandPath(command)
  const globals = command.optsWithGlobals<GlobalOptions>()
  let context: Context
  try {
    context = new Context(io, name, globals)
  } catch (error) {
    return badUsage(io, globals.json === true ? ['--json', name] : [name], error)
  }
  try {
    const work = verb(context)
    const outcome = UNINTERRUPTED.has(name) ? await work : await Promise.race([work, context.interrupted()])
    if (typeof outcome === 'number') return outcome
    if (outcome === undefined) return context.io.signal?.aborted === true ? ERRORS.cancelled.exit : 0
    return context.finish(outcome)
  } catch (error) {
    return context.fail(error)
  } finally {
    await context.close()
  }
}

/** One line that says what is wrong and one that says what to do, or the object. */
function badUsage(io: CliIo, argv: readonly string[], thrown: unknown): number {
  const name = argv.find((word) => !word.startsWith('-')) ?? ''
  const json = argv.includes('--json')
  const context = new Context(io, name, { json, color: true, autostart: false })
  if (!(thrown instanceof CommanderError)) return context.fail(thrown)
  const [first = '', ...more] = thrown.message.split('\n')
  const message = first.replace(/^error: /, '')
  const meant = more
    .join(' ')
    .trim()
    .replace(/^\(|\)$/g, '')
  const known = /^[a-z]+$/.test(name) && !message.startsWith('unknown command')
  const look = known ? `See: chrysalis help ${name}` : 'See: chrysalis help'
  const hint = meant === '' ? look : `${meant} ${look}`
  return context.fail(new ChrysalisError('usage', `${message}.`.replace(/\.\.$/, '.'), { hint }))
}
