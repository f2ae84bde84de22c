/** Verbs about the daemon itself: init, daemon, stop, status, id, doctor, demo, config. */
import { Option, type Command } from 'commander'
import { ChrysalisError, isChrysalisError } from '../../base/errors.ts'
import { Client } from '../../rpc/client.ts'
import type { Context, Outcome } from '../context.ts'
import { bytes, duration, fields, oneLine, table } from '../format.ts'
import type { CheckResult, ConfigFlags } from '../local-actions.ts'
import { collect, given, setting } from '../values.ts'
import type { Wrap } from './register.ts'

const PRESETS = ['local', 'lan', 'wan'] as const
const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
const STOP_POLL_MS = 50
const STOP_TIMEOUT_MS = 30_000

async function init(
  context: Context,
  flags: { name?: string; join?: string; passphraseStdin?: boolean }
): Promise<Outcome> {
  const passphrase =
    flags.passphraseStdin === true
      ? (await context.terminal.readInput()).split('\n')[0]
      : (context.io.env['CHRYSALIS_PASSPHRASE'] ?? undefined)
  const actions = await context.io.actions()
  const report = await actions.init({
    home: context.home,
    ...given({ name: flags.name, passphrase, ticket: flags.join })
  })
  const spaces = report.spaces.map((space) => `${space.name}${space.shared ? '' : ' (stays here)'}`)
  if (!report.created) context.terminal.note('The home existed and was left as it was.')
  const lines = fields([
    ['home', report.home],
    ['peer', report.peer],
    ['network', report.network],
    ['spaces', oneLine(spaces.join(', '))]
  ])
  return { data: report, lines }
}

interface DaemonFlags {
  listen?: string[]
  bootstrap?: string[]
  mdns: boolean
  dht: boolean
  preset?: string
  logLevel?: string
  set?: string[]
  detach?: boolean
}

/** Command line to configuration keys; only what was given is set, so that the files keep their say. */
export function configFlags(flags: Omit<DaemonFlags, 'detach' | 'preset'>): ConfigFlags {
  return {
    ...Object.fromEntries((flags.set ?? []).map(setting)),
    ...(flags.listen === undefined ? {} : { 'network.listen': flags.listen }),
    ...(flags.bootstrap === undefined ? {} : { 'network.bootstrap': flags.bootstrap }),
    ...(flags.mdns ? {} : { 'network.mdns': false }),
    ...(flags.dht ? {} : { 'network.dht': false }),
    ...(flags.logLevel === undefined ? {} : { 'log.level': flags.logLevel })
  }
}

async function daemon(context: Context, flags: DaemonFlags): Promise<Outcome | number> {
  const actions = await context.io.actions()
  const settings = configFlags(flags)
  if (flags.detach !== true) {
    return actions.daemon({ home: context.home, flags: settings, ...given({ preset: flags.preset }) })
  }
  const all = { ...settings, ...given({ preset: flags.preset }) }
  const { pid } = await context.terminal.during(
    'starting the daemon',
    actions.spawnDaemon({ home: context.home, flags: all })
  )
  return { data: { pid, home: context.home }, lines: [`started, process ${pid}`] }
}

async function stop(context: Context): Promise<Outcome> {
  const client = await context.running()
  const { peer } = await client.open()
  await client.stop()
  await client.close()
  await context.terminal.during('stopping', gone(context))
  return { data: { stopped: true, peer }, lines: ['stopped'] }
}

/** Resolves when nobody answers any more. Rejects with `timeout`. */
async function gone(context: Context): Promise<void> {
  const waitMs = context.timeoutMs ?? STOP_TIMEOUT_MS
  for (let waitedMs = 0; waitedMs < waitMs; waitedMs += STOP_POLL_MS) {
    const probe = new Client(context.io.socketPath(context.home), { connectMs: 1_000 })
    try {
      await probe.open()
    } catch (error) {
      if (isChrysalisError(error, 'daemon_unreachable')) return
    } finally {
      await probe.close()
    }
    await new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS))
  }
  const hint = 'It may still be writing; look again with chrysalis status.'
  throw new ChrysalisError('timeout', `The daemon still answers after ${duration(waitMs)}.`, {
    hint,
    stateTouched: true
  })
}

async function status(context: Context): Promise<Outcome> {
  const client = await context.running()
  const answer = await client.status()
  const { paint, columns } = context.terminal
  const state = answer.state === 'ready' ? paint.green(answer.state) : paint.yellow(answer.state)
  const about = fields([
    ['daemon', `${oneLine(answer.name ?? 'unnamed')} ${answer.version}, ${state}, up ${duration(answer.uptimeMs)}`],
    ...answer.reasons.map((reason) => ['reason', oneLine(reason)] as const),
    ['peer', answer.peer],
    ['home', answer.home],
    ['listens', answer.addresses.join(' ') || 'nowhere'],
    ['peers', `${answer.peers.connected} connected, ${answer.peers.known} known`],
    ['index', `${answer.index.state}, ${answer.index.indexed} of ${answer.index.records} records`],
    ['memory', bytes(answer.memory.rssBytes)],
    ...(answer.disk === null ? [] : [['disk', diskLine(answer.disk)] as const])
  ])
  const spaces = table(
    ['SPACE', 'DELTAS', 'RECORDS', 'PENDING', 'AUTHORS', 'MODE', 'ROOT'].map((title) => ({ title })),
    answer.spaces.map((space) => [
      space.name + (space.isDefault ? ' *' : ''),
      ...[space.deltas, space.records, space.pending, space.authors].map(String),
      space.shared ? space.mode : 'stays here',
      space.root.slice(0, 16)
    ]),
    columns
  )
  return { data: answer, lines: [...about, '', ...spaces] }
}

function diskLine({
  freeBytes,
  floorBytes,
  ballastBytes
}: NonNullable<Awaited<ReturnType<Client['status']>>['disk']>): string {
  const floor = floorBytes === 0 ? 'no floor' : `nothing is written below ${bytes(floorBytes)}`
  return `${bytes(freeBytes)} free, ${floor}, ballast ${ballastBytes === 0 ? 'none' : bytes(ballastBytes)}`
}

async function id(context: Context): Promise<Outcome> {
  const client = await context.running()
  const answer = await client.call('node.id', {})
  return { data: answer, lines: [answer.peer] }
}

async function doctor(context: Context): Promise<Outcome> {
  const actions = await context.io.actions()
  const checks = [...(await actions.doctorFiles(context.home)), await askDaemon(context)]
  const { paint } = context.terminal
  const lines = checks.flatMap((check) => [
    `${check.ok ? paint.green('ok  ') : paint.red('FAIL')}  ${check.check}: ${oneLine(check.detail)}`,
    ...(check.ok || check.hint === null ? [] : [`      ${check.hint}`])
  ])
  const failed = checks.filter((check) => !check.ok).length
  if (failed === 0) return { data: { checks }, lines }
  const hint = 'Each failed check above says what to do.'
  return { data: { checks }, lines, error: new ChrysalisError('failure', `${failed} checks failed.`, { hint }) }
}

/** No daemon is no fault: most checks are about a home at rest. */
async function askDaemon(context: Context): Promise<CheckResult> {
  let client: Client
  try {
    client = await context.running()
  } catch (error) {
    const { message, hint } = error as ChrysalisError
    const ok = isChrysalisError(error, 'daemon_unreachable')
    return { check: 'daemon', ok, detail: ok ? 'not running' : message, hint: hint ?? null }
  }
  const health = await client.call('node.health', {})
  const detail = [...(health.ready ? ['answers and is ready'] : []), ...health.reasons].join('; ')
  return { check: 'daemon', ok: health.ready, detail, hint: health.ready ? null : 'chrysalis status says more.' }
}

async function config(context: Context, key: string | undefined, flags: { preset?: string; running?: boolean }) {
  const inForce = async () => (await (await context.running()).call('config.get', given({ key }))).entries
  const onDisk = async () => {
    const actions = await context.io.actions()
    const all = actions.config({ home: context.home, flags: {}, ...given({ preset: flags.preset }) })
    return all.filter((entry) => key === undefined || entry.key === key || entry.key.startsWith(`${key}.`))
  }
  const entries = flags.running === true ? await inForce() : await onDisk()
  if (entries.length === 0) {
    const hint = 'chrysalis config print lists them all.'
    throw new ChrysalisError('not_found', `There is no configuration key ${oneLine(key ?? '', 80)}.`, { hint })
  }
  const rows = entries.map((entry) => [entry.key, JSON.stringify(entry.value), entry.source])
  const columns = ['KEY', 'VALUE', 'SOURCE'].map((title) => ({ title }))
  return { data: { entries }, lines: table(columns, rows, context.terminal.columns) }
}

function registerDaemon(program: Command, wrap: Wrap): void {
  program
    .command('daemon')
    .description('Run the daemon until it is stopped')
    .option('--detach', 'in the background; returns once it answers')
    .option('--listen <multiaddr>', 'address to listen on, repeatable', collect)
    .option('--bootstrap <multiaddr>', 'peer to dial, repeatable', collect)
    .option('--no-mdns', 'do not look for peers on the local network')
    .option('--no-dht', 'do not look for peers in the distributed hash table')
    .addOption(new Option('--preset <name>', 'set of defaults').choices(PRESETS))
    .addOption(new Option('--log-level <level>', 'how much is logged').choices(LOG_LEVELS))
    .option('--set <key=value>', 'any configuration key, repeatable', collect)
    .action(wrap(daemon))
}

export function registerLifecycleVerbs(program: Command, wrap: Wrap): void {
  program
    .command('init')
    .description('Make a home: identity, network key, spaces')
    .option('--name <name>', 'name of this daemon')
    .option('--join <ticket>', 'join a network and a space with a ticket')
    .option('--passphrase-stdin', 'read a passphrase for the identity key from stdin (or set CHRYSALIS_PASSPHRASE)')
    .action(wrap(init))
  registerDaemon(program, wrap)
  program.command('stop').description('Stop the daemon').action(wrap(stop))
  program.command('status').description('Who the daemon is and how it stands; starts none').action(wrap(status))
  program.command('id').description('Peer id of the daemon; starts none').action(wrap(id))
  program.command('doctor').description('Check the home, and the daemon if one runs').action(wrap(doctor))
  program
    .command('demo')
    .description('Two daemons on this machine: one learns, the other recalls')
    .option('--keep', 'leave their homes behind to look at')
    .action(
      wrap(async (context, { keep }: { keep?: boolean }) => {
        const { demo } = await context.io.actions()
        return demo({ json: context.json, keep: keep === true, print: (line) => context.terminal.print(line) })
      })
    )
  program
    .command('config')
    .description('The configuration and where each value comes from')
    .command('print')
    .description('Print it')
    .argument('[key]', 'a dotted path or a section')
    .addOption(new Option('--preset <name>', 'as if started with it').choices(PRESETS))
    .option('--running', 'ask the running daemon')
    .action(wrap(config))
}
