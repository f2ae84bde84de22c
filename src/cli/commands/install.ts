/**
 * `install`: puts this memory into the configuration of a program that speaks MCP, or takes it out. It shows a diff and
 * writes nothing, until it is told to --apply. What it adds is one entry; everything else in the file stays as it is.
 */
import { homedir } from 'node:os'
import path from 'node:path'
import { Argument, Option, type Command } from 'commander'
import { ChrysalisError } from '../../base/errors.ts'
import { asChrysalisError, type Context, type Outcome } from '../context.ts'
import { CLIENTS, isPresent, type Client, type Launch, type Place, type Scope } from '../install/clients.ts'
import { writeConfigFile } from '../install/config-file.ts'
import { planFor, type Plan } from '../install/plan.ts'
import { given, usage } from '../values.ts'
import type { Wrap } from './register.ts'

interface Flags {
  readonly all?: boolean
  readonly apply?: boolean
  readonly uninstall?: boolean
  readonly scope: Scope
  readonly profile?: string
  readonly space?: string
  readonly token?: string
  readonly command?: string
}

/** One client in the answer. */
interface Row {
  readonly client: string
  readonly file: string | null
  readonly change: Plan['change'] | 'failed'
  readonly applied: boolean
  /** The copy of the file as it was, when one was made now. */
  readonly backup: string | null
  readonly diff: readonly string[]
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string | null }
}

async function install(context: Context, names: readonly string[], flags: Flags): Promise<Outcome> {
  const place = placeOf(context)
  const clients = chosen(names, flags, place)
  const { parseToml } = await context.io.actions()
  const launch = flags.uninstall === true ? undefined : launchOf(context, flags)
  const rows: Row[] = []
  const lines: string[] = []
  const errors: ChrysalisError[] = []
  for (const client of clients) {
    try {
      const plan = planFor(client, place, { scope: flags.scope, launch }, parseToml)
      const isApplied = flags.apply === true && plan.change !== 'none'
      const backup = isApplied ? writeConfigFile(plan.config, plan.after) : null
      rows.push(rowOf(plan, isApplied, backup))
      lines.push(...plan.diff.map((line) => painted(context, line)))
      note(context, plan, isApplied, backup)
    } catch (thrown) {
      const error = asChrysalisError(thrown)
      // Of one client the error is the answer; of many the others are still worth doing.
      if (clients.length === 1) throw error
      errors.push(error)
      rows.push(failedRow(client, error))
      context.terminal.complain(`${client.title}: ${error.message}`)
    }
  }
  const isOpen = rows.some(({ change, applied }) => change !== 'none' && change !== 'failed' && !applied)
  if (isOpen) context.terminal.note('Nothing was written. Add --apply to write it.')
  const outcome = { data: { clients: rows }, lines }
  return errors.length === 0 ? outcome : { ...outcome, error: someFailed(errors, rows) }
}

function placeOf(context: Context): Place {
  const { env } = context.io
  const home = env['HOME']
  return {
    home: home !== undefined && path.isAbsolute(home) ? home : homedir(),
    project: process.cwd(),
    platform: process.platform,
    env
  }
}

function chosen(names: readonly string[], { all, scope }: Flags, place: Place): readonly Client[] {
  if (all === true) {
    if (names.length > 0) throw usage('--all names every client already.', 'Leave out the names, or --all.')
    const present = CLIENTS.filter((client) => client.file(place, scope) !== undefined && isPresent(client, place))
    if (present.length > 0) return present
    throw new ChrysalisError('not_found', 'No client was found on this machine; nothing was touched.', {
      hint: `Name one: ${CLIENTS.map(({ name }) => name).join(', ')}.`
    })
  }
  if (names.length > 0) return CLIENTS.filter(({ name }) => names.includes(name))
  const known = CLIENTS.map(({ name }) => name).join(', ')
  throw usage('Which client?', `Name one or more of: ${known}. Or say --all for those that are here.`)
}

/** The very program that runs now: a client started from a desktop has no PATH of ours, and may have no Node in its own. */
function launchOf(context: Context, { command, scope, profile, space, token }: Flags): Launch {
  const isDefaultHome = context.home === path.join(homedir(), '.chrysalis')
  if (token !== undefined && scope === 'project') {
    throw usage('A token does not belong into a file that a project shares.', 'Leave out --token or --scope project.')
  }
  const options = Object.entries(given({ profile, space })).flatMap(([name, value]) => [`--${name}`, value])
  // A project is shared with other people, on whose machines no path of this one leads anywhere.
  const home = isDefaultHome || scope === 'project' ? [] : ['--home', context.home]
  const args = [...home, 'mcp', ...options]
  const program = command ?? (scope === 'project' ? 'chrysalis' : undefined)
  if (program !== undefined) return { command: program, args, ...given({ token }) }
  const launcher = path.resolve(process.argv[1] ?? 'chrysalis')
  return { command: process.execPath, args: [launcher, ...args], ...given({ token }) }
}

function rowOf(plan: Plan, applied: boolean, backup: string | null): Row {
  const { client, config, change, diff } = plan
  return { client: client.name, file: config.file, change, applied, backup, diff }
}

function failedRow(client: Client, { code, message, hint }: ChrysalisError): Row {
  const error = { code, message, hint: hint ?? null }
  return { client: client.name, file: null, change: 'failed', applied: false, backup: null, diff: [], error }
}

function note(context: Context, { client, config, change, after }: Plan, isApplied: boolean, backup: string | null) {
  const say = (line: string): void => context.terminal.note(`${client.title}: ${line}`)
  if (change === 'none') return say('nothing to do.')
  if (!isApplied) return
  if (change === 'remove') say(after === undefined ? `${config.file} is gone.` : `taken out of ${config.file}.`)
  else say(`written to ${config.file}. Start the client anew to use it.`)
  if (backup !== null) say(`the file as it was is ${backup}.`)
}

function painted(context: Context, line: string): string {
  const { paint } = context.terminal
  if (line.startsWith('+')) return paint.green(line)
  if (line.startsWith('-')) return paint.red(line)
  return line.startsWith('@@') ? paint.cyan(line) : line
}

function someFailed(errors: readonly ChrysalisError[], rows: readonly Row[]): ChrysalisError {
  const [first] = errors
  return new ChrysalisError('partial', `${errors.length} of ${rows.length} clients could not be changed.`, {
    stateTouched: rows.some(({ applied }) => applied),
    ...(first?.hint === undefined ? {} : { hint: first.hint })
  })
}

export function registerInstallVerbs(program: Command, wrap: Wrap): void {
  program
    .command('install')
    .description('Add this memory to a program that speaks MCP: shows a diff, writes with --apply')
    .addArgument(new Argument('[client...]', 'which programs').choices(CLIENTS.map(({ name }) => name)))
    .option('--all', 'every client that is found on this machine')
    .option('--apply', 'write what the diff shows')
    .option('--uninstall', 'take the entry out again')
    .addOption(
      new Option('--scope <scope>', 'for yourself, or for the project in this folder')
        .choices(['user', 'project'])
        .default('user')
    )
    .option('--profile <names>', 'tools to offer, as core,team (default core)')
    .option('-s, --space <name>', 'space the client works in; the default space when omitted')
    .option('--token <token>', 'who the client is; see chrysalis token')
    .option('--command <program>', 'what the client shall start instead of this very program')
    .action(wrap(install))
}
