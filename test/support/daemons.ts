/**
 * Real daemons for tests that must not trust anything but processes: each is the program behind bin/chrysalis in a
 * process of its own, on loopback, without multicast, in a home below one temporary folder.
 *
 * A yard owns the folder and everything started in it. Whatever happens to the test, `withYard` ends each process it
 * started, by its own handle, and removes the folder. A daemon that does not start fails the test with the end of its
 * log.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { systemRandom } from '../../src/adapters/system/random.ts'
import { initHome } from '../../src/daemon/home.ts'
import { plannedSocketPath, readRunFile } from '../../src/daemon/socket-path.ts'
import { launcherPath } from '../../src/daemon/spawn.ts'
import { connect, type Client, type ClientOptions } from '../../src/rpc/client.ts'

/** Generous: a busy machine with two cores must not fail by the clock. */
const START_MS_MAX = 120_000
const POLL_MS = 10
const LOG_LINES_SHOWN = 12
const TICKET_USES = 1_000

export interface StartOptions {
  /** Configuration by dotted key, over the preset `local`. */
  readonly set?: Readonly<Record<string, string>>
  /** For Node itself, as `--cpu-prof`. */
  readonly nodeArguments?: readonly string[]
  /** A command line that executes the rest of it somewhere else, as `nsenter` does. */
  readonly entrance?: readonly string[]
}

/** One daemon, from the moment its process was started. */
export class DaemonProcess {
  readonly home: string
  readonly child: ChildProcess
  readonly #log: string
  readonly #startedMs = performance.now()
  readonly #clients: Client[] = []
  readonly #exit: Promise<number | null>
  #socket: string | undefined
  #answeredMs: number | undefined

  /** Use `Yard.launch`. */
  constructor(home: string, log: string, options: StartOptions) {
    this.home = home
    this.#log = log
    const output = openSync(log, 'a', 0o600)
    const settings = Object.entries({ 'log.level': 'warn', ...options.set }).flatMap(([key, value]) => [
      '--set',
      `${key}=${value}`
    ])
    const [program, ...words] = [...(options.entrance ?? []), process.execPath]
    const command = [launcherPath(), '--home', home, 'daemon', '--preset', 'local', ...settings]
    this.child = spawn(program as string, [...words, ...(options.nodeArguments ?? []), ...command], {
      stdio: ['ignore', 'ignore', output],
      env: { ...process.env, CHRYSALIS_MDNS: '0' }
    })
    closeSync(output)
    this.#exit = new Promise((resolve) => this.child.once('exit', resolve))
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the daemon process could not be started')
    return this.child.pid
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** The first client; every further one comes from `connect`. */
  get client(): Client {
    const [client] = this.#clients
    if (client === undefined) throw new Error('the daemon has not answered yet')
    return client
  }

  /** Milliseconds from the start of the process to its first answer. */
  get answeredMs(): number {
    if (this.#answeredMs === undefined) throw new Error('the daemon has not answered yet')
    return this.#answeredMs
  }

  /** Resolves once the daemon answers. Rejects with the end of its log when it ended, or took two minutes. */
  async answered(): Promise<Client> {
    while (performance.now() - this.#startedMs < START_MS_MAX) {
      if (!this.running) throw new Error(`the daemon ended before it answered:\n${this.logTail()}`)
      const socket = this.#listensOn()
      if (socket !== undefined) {
        this.#socket = socket
        try {
          const client = await this.connect()
          this.#answeredMs ??= performance.now() - this.#startedMs
          return client
        } catch {
          // The run file names the socket just before the process may die: the loop finds out which it was.
        }
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
    throw new Error(`the daemon did not answer in ${START_MS_MAX} ms:\n${this.logTail()}`)
  }

  /** As the run file says; on a full disk there is none, and then the socket is where it is by default. */
  #listensOn(): string | undefined {
    const run = readRunFile(this.home)
    if (run?.pid === this.child.pid) return run?.socket
    return this.logTail().includes('the run file could not be written') ? plannedSocketPath(this.home) : undefined
  }

  /** One more connection, closed with the daemon. */
  async connect(options: ClientOptions = {}): Promise<Client> {
    if (this.#socket === undefined) throw new Error('the daemon has not answered yet')
    const client = await connect(this.#socket, options)
    this.#clients.push(client)
    return client
  }

  /** SIGKILL; resolves when the process is gone. Calls in flight reject. */
  async kill(): Promise<void> {
    if (this.running) this.child.kill('SIGKILL')
    await this.#exit
    await this.#closeClients()
  }

  /** Asks it to stop and waits until it has. Rejects when it ended with another status than 0. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM')
    await this.#closeClients()
    const status = await this.#exit
    if (status !== 0) throw new Error(`the daemon stopped with status ${String(status)}:\n${this.logTail()}`)
  }

  /** Closes the connections after the process was ended by somebody else. */
  async ended(): Promise<void> {
    await this.#exit
    await this.#closeClients()
  }

  logTail(): string {
    return readFileSync(this.#log, 'utf8').trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n')
  }

  async #closeClients(): Promise<void> {
    for (const client of this.#clients.splice(0)) await client.close()
  }
}

export class Yard {
  readonly root: string
  readonly #daemons: DaemonProcess[] = []
  #homes = 0

  /** Use `withYard`. */
  constructor(root: string) {
    this.root = root
  }

  /** A home in a network of its own. Answers its path. */
  newHome(name = 'daemon', below: string = this.root): Promise<string> {
    return this.#init(name, below, undefined)
  }

  /** A home in the network and the shared space of a daemon that runs. */
  async joinHome(inviter: DaemonProcess, name = 'daemon', below: string = this.root): Promise<string> {
    const { ticket } = await inviter.client.call('space.invite', { uses: TICKET_USES })
    return this.#init(name, below, ticket)
  }

  async #init(name: string, below: string, ticket: string | undefined): Promise<string> {
    const home = path.join(below, `${name}-${++this.#homes}`)
    await initHome({ home, name, ticket }, { random: systemRandom, nowMs: Date.now() })
    return home
  }

  /** Starts a process and does not wait for it. */
  launch(home: string, options: StartOptions = {}): DaemonProcess {
    const daemon = new DaemonProcess(home, path.join(this.root, `${path.basename(home)}.log`), options)
    this.#daemons.push(daemon)
    return daemon
  }

  /** Starts a process and waits until it answers. */
  async start(home: string, options: StartOptions = {}): Promise<DaemonProcess> {
    const daemon = this.launch(home, options)
    await daemon.answered()
    return daemon
  }

  /** For the end of the harness itself: nothing may be awaited then. */
  killNow(): void {
    for (const daemon of this.#daemons) if (daemon.running) daemon.child.kill('SIGKILL')
  }

  /** Ends every process that still runs. */
  async killAll(): Promise<void> {
    for (const daemon of this.#daemons) await daemon.kill()
  }
}

/** Gives a yard to `act` and clears it away afterwards, whatever happened. `below`: where the folder is made. */
export async function withYard<T>(
  label: string,
  act: (yard: Yard) => Promise<T>,
  below: string = tmpdir()
): Promise<T> {
  const yard = new Yard(await mkdtemp(path.join(below, `chrysalis-${label}-`)))
  const onExit = (): void => {
    yard.killNow()
    rmSync(yard.root, { recursive: true, force: true })
  }
  const onSignal = (): void => process.exit(130)
  process.once('exit', onExit)
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  try {
    return await act(yard)
  } finally {
    await yard.killAll()
    await rm(yard.root, { recursive: true, force: true })
    process.off('exit', onExit)
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

/** Asks until the answer is true. Rejects, naming what was waited for, after `timeoutMs`. */
export async function until(
  what: string,
  isDone: () => Promise<boolean>,
  options: { readonly timeoutMs?: number; readonly everyMs?: number } = {}
): Promise<void> {
  const { timeoutMs = START_MS_MAX, everyMs = 25 } = options
  const startedMs = performance.now()
  while (!(await isDone())) {
    if (performance.now() - startedMs > timeoutMs) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

/** Resolves once the daemon has this many connected peers. */
export async function untilConnected(daemon: DaemonProcess, peers = 1): Promise<void> {
  await until(`${peers} peers are connected`, async () => (await daemon.client.status()).peers.connected >= peers)
}

/** Deltas that the daemon holds in the space agents write to. */
export async function sharedDeltas(daemon: DaemonProcess): Promise<number> {
  const { spaces } = await daemon.client.status()
  return spaces.find((space) => space.isDefault)?.deltas ?? 0
}
