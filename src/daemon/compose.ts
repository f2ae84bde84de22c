/**
 * Composition root: the only place where the parts are made and handed to each other. Home and configuration in,
 * a running daemon out; no container, no order but the one written here.
 *
 * The store is opened first (home-store.ts): what it finds decides under which epoch the node writes.
 */
import { createNetwork } from '../adapters/libp2p/network.ts'
import { systemClock } from '../adapters/system/clock.ts'
import { createMetrics } from '../adapters/system/counters.ts'
import { createCrypto } from '../adapters/system/crypto.ts'
import type { SystemLogger } from '../adapters/system/logger.ts'
import { systemRandom } from '../adapters/system/random.ts'
import { toHex } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import { parseAuthor } from '../base/peer-id.ts'
import type { NodeHooks } from '../node/hooks.ts'
import { Node } from '../node/node.ts'
import type { NodeOptions } from '../node/options.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Network } from '../ports/network.ts'
import type { Control } from '../rpc/control.ts'
import { startRpcServer, type RpcServer } from '../rpc/server.ts'
import type { LoadedConfig } from './config.ts'
import { createControl } from './control.ts'
import { vectorPanes } from './embedding.ts'
import { EpochGuard } from './epoch-guard.ts'
import { diskNotices, HomeStore } from './home-store.ts'
import { openHome, type OpenHome } from './home.ts'
import { Invitations } from './invitations.ts'
import { startMcpDoor, type McpDoor } from './mcp-door.ts'
import { plannedSocketPath, prepareSocketDirectory, removeRunFile, writeRunFile } from './socket-path.ts'
import { sharedPanes } from './sharing.ts'
import { StopWitness } from './stop-witness.ts'
import { TokenFile } from './tokens.ts'
import { VERSION } from './version.ts'

export interface Daemon {
  readonly node: Node
  readonly socket: string
  /** Closes everything in reverse order and leaves a clean sentinel. Idempotent. */
  stop(): Promise<void>
}

export interface ComposeOptions {
  readonly home: string
  readonly loaded: LoadedConfig
  readonly passphrase?: string | undefined
  readonly logger: SystemLogger
  readonly env: Readonly<Record<string, string | undefined>>
  /** Somebody asked through the local door. */
  readonly onStop: () => void
  /** The home has changed, or its database must be repaired: compose anew, in the second case with `suspect`. */
  readonly onRestart: (options?: { readonly suspect: boolean }) => void
  /** The database was found damaged by the run before. */
  readonly suspect?: boolean
  readonly onCrash: (error: unknown) => void
}

/**
 * Rejects with `not_initialised`, `permissions`, `passphrase`, `home_locked`, `corrupt`, `disk_full`,
 * `unsupported_version`, `address_in_use` or `config`; whatever was opened is closed again.
 */
export async function composeDaemon(options: ComposeOptions): Promise<Daemon> {
  const home = await openHome(options.home, { passphrase: options.passphrase })
  const { loaded, logger, suspect = false } = options
  const opened = await HomeStore.open(home.paths, loaded.config.store, logger, { suspect })
  const closers: (() => Promise<void>)[] = [() => opened.close()]
  try {
    return await assemble(options, home, opened, closers)
  } catch (error) {
    for (const close of closers.reverse()) await close().catch(() => undefined)
    throw error
  }
}

async function assemble(
  options: ComposeOptions,
  home: OpenHome,
  opened: HomeStore,
  closers: (() => Promise<void>)[]
): Promise<Daemon> {
  const { logger, loaded, env } = options
  const { config } = loaded
  const clock = systemClock
  const crypto = createCrypto(home.identity.seed, { signsOffLoop: true })
  const metrics = createMetrics()
  const network = makeNetwork(home, loaded, { clock, random: systemRandom, logger, metrics })
  const notices: string[] = []
  const tokens = await TokenFile.open({
    file: home.paths.tokens,
    required: config.rpc.tokensRequired,
    nowMs: () => clock.nowMs()
  })
  const invitations = new Invitations(home, { network, crypto, clock, logger })
  const guard = new EpochGuard({ paths: home.paths, store: opened, notices, logger, stops: new StopWitness(env) })
  const vectors = vectorPanes(home.paths.vectors, config.embed, { env, clock, logger })
  const shared = await sharedPanes(home.paths.index, config.index, { logger, notices })
  const node = new Node(
    {
      ...nodeOptions(home, loaded),
      salvaged: opened.salvaged,
      epoch: opened.witness.sentinel?.epoch ?? toHex(systemRandom.bytes(8))
    },
    {
      ...{ store: opened.store, network, crypto, clock, random: systemRandom, logger, metrics, processMemory },
      ...(vectors && { vectors }),
      ...(shared && { shared })
    },
    {
      mayKeepEpoch: (found) => guard.mayKeep(found),
      checkpoint: (progress) => guard.write(progress, false),
      crashed: options.onCrash,
      disk: () => diskOf(opened),
      notices: () => [
        ...opened.notices(),
        ...notices,
        ...diskNotices(opened.disk()),
        ...invitations.notices(),
        ...tokens.notices()
      ]
    }
  )
  closers.push(() => node.stop())
  opened.onDamage((error) => {
    node.storeFailed(error)
    options.onRestart({ suspect: true })
  })
  invitations.start()
  await node.start()
  const socket = plannedSocketPath(home.paths.home, { configured: config.rpc.socket, env })
  prepareSocketDirectory(socket)
  const control = createControl({
    home,
    node,
    loaded,
    invitations,
    tokens,
    onStop: options.onStop,
    onRestart: () => options.onRestart()
  })
  const rpc = await startRpcServer({ path: socket, node, control, logger, metrics })
  closers.push(() => rpc.close())
  const mcp = config.mcp.enabled ? await openMcpDoor(options, home, node, control, metrics) : undefined
  closers.push(async () => mcp?.close())
  await announce(home, { socket, ...(mcp === undefined ? {} : { mcpSocket: mcp.path }) }, logger)
  opened.start()
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => (stopping ??= shutDown({ home, node, rpc, mcp, opened, guard, logger }))
  return { node, socket, stop }
}

function diskOf(opened: HomeStore): ReturnType<NonNullable<NodeHooks['disk']>> {
  const report = opened.disk()
  if (report === undefined) return undefined
  return { freeBytes: report.freeBytes, floorBytes: report.floorBytes, ballastBytes: report.ballastHeldBytes }
}

function openMcpDoor(
  { env, loaded, logger }: ComposeOptions,
  home: OpenHome,
  node: Node,
  control: Control,
  metrics: Metrics
): Promise<McpDoor> {
  const path = plannedSocketPath(home.paths.home, { env, door: 'mcp' })
  const { writesPerSecond } = loaded.config.mcp
  const nowMs = (): number => systemClock.nowMs()
  return startMcpDoor({ path, node, control, version: VERSION, nowMs, writesPerSecond, logger, metrics })
}

/** Without the file others find the socket where it is by default: a full disk must not keep a daemon from answering. */
async function announce(
  home: OpenHome,
  sockets: { readonly socket: string; readonly mcpSocket?: string },
  logger: SystemLogger
): Promise<void> {
  const run = { pid: process.pid, version: VERSION, ...sockets, startedAtMs: systemClock.nowMs() }
  try {
    await writeRunFile(home.paths.home, run)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
    logger.log('warn', 'the disk is full: the run file could not be written', { error: error.message })
  }
}

interface Running {
  readonly home: OpenHome
  readonly node: Node
  readonly rpc: RpcServer
  readonly mcp: McpDoor | undefined
  readonly opened: HomeStore
  readonly guard: EpochGuard
  readonly logger: SystemLogger
}

async function shutDown({ home, node, rpc, mcp, opened, guard, logger }: Running): Promise<void> {
  await Promise.all([rpc.close(), mcp?.close()])
  removeRunFile(home.paths.home, process.pid)
  await node.stop()
  const progress = node.progress()
  const healthy = node.health().ready
  await opened.close()
  try {
    // After a failure the files may say less than the machine believes: leave the sentinel unclean then.
    await guard.write(progress, healthy)
  } catch (error) {
    logger.log('warn', 'the sentinel could not be written; the next start will draw a new epoch', {
      error: messageOf(error)
    })
  }
}

function makeNetwork(home: OpenHome, { config }: LoadedConfig, ports: Parameters<typeof createNetwork>[1]): Network {
  const { network } = config
  return createNetwork(
    {
      seed: home.identity.seed,
      psk: home.networkKey,
      listen: network.listen,
      announce: network.announce,
      fanout: network.fanout,
      heartbeatMs: network.heartbeatMs,
      mdns: network.mdns,
      dht: network.dht,
      bootstrap: [...new Set([...network.bootstrap, ...home.bootstrap])],
      savedPeersFile: home.paths.peers,
      inboundConnectionsPerSecond: network.inboundConnectionsPerSecond,
      connectionsMax: network.connectionsMax
    },
    ports
  )
}

function nodeOptions(home: OpenHome, { config }: LoadedConfig): NodeOptions {
  return {
    version: VERSION,
    name: config.name,
    home: home.paths.home,
    spaces: home.spaces.map(({ id, name, shared, isDefault, creator, policy }) => ({
      id,
      name,
      shared,
      isDefault,
      creator,
      policy
    })),
    sync: config.sync,
    store: { durability: config.store.durability, groupCommitWindowMs: config.store.groupCommitWindowMs },
    ballot: { voters: config.ballot.voters.flatMap((voter) => parseAuthor(voter) ?? []) },
    trust: config.trust,
    access: config.access,
    storm: config.storm,
    recall: config.recall,
    promotion: config.promotion,
    consolidation: config.consolidation
  }
}

function processMemory(): { rssBytes: number; heapBytes: number } {
  const { rss, heapUsed } = process.memoryUsage()
  return { rssBytes: rss, heapBytes: heapUsed }
}
