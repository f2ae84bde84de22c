/**
 * Composition root: the only place where the parts are made and handed to each other. Home and configuration in,
 * a running daemon out; no container, no order but the one written here.
 *
 * Opening is careful, because opening a damaged LevelDB can destroy what a repair would need: the sentinel is read
 * first, a database whose files changed behind our back is copied aside and repaired, and only then is it opened.
 */
import { createNetwork } from '../adapters/libp2p/network.ts'
import { identityOf, markFiles } from '../adapters/level/file-marks.ts'
import { openLevelStore } from '../adapters/level/level-store.ts'
import { migrate, SCHEMA } from '../adapters/level/migrations.ts'
import { salvageDatabase } from '../adapters/level/salvage.ts'
import {
  inspectClosedDatabase,
  judgeSentinel,
  readSentinel,
  writeSentinel,
  type Sentinel
} from '../adapters/level/sentinel.ts'
import { writeFileAtomic } from '../adapters/system/atomic-file.ts'
import { systemClock } from '../adapters/system/clock.ts'
import { createMetrics } from '../adapters/system/counters.ts'
import { createCrypto } from '../adapters/system/crypto.ts'
import type { SystemLogger } from '../adapters/system/logger.ts'
import { systemRandom } from '../adapters/system/random.ts'
import { toHex } from '../base/bytes.ts'
import { isChrysalisError, messageOf } from '../base/errors.ts'
import { parseAuthor } from '../base/peer-id.ts'
import type { Progress } from '../node/hooks.ts'
import { Node } from '../node/node.ts'
import type { NodeOptions } from '../node/options.ts'
import type { Network } from '../ports/network.ts'
import type { Store } from '../ports/store.ts'
import { startRpcServer, type RpcServer } from '../rpc/server.ts'
import type { LoadedConfig } from './config.ts'
import { createControl } from './control.ts'
import { openHome, type OpenHome } from './home.ts'
import { Invitations } from './invitations.ts'
import { plannedSocketPath, prepareSocketDirectory, removeRunFile, writeRunFile } from './socket-path.ts'
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
  readonly onRestart: () => void
  readonly onCrash: (error: unknown) => void
}

/**
 * Rejects with `not_initialised`, `permissions`, `passphrase`, `home_locked`, `corrupt`, `disk_full`,
 * `unsupported_version`, `address_in_use` or `config`; whatever was opened is closed again.
 */
export async function composeDaemon(options: ComposeOptions): Promise<Daemon> {
  const home = await openHome(options.home, { passphrase: options.passphrase })
  const opened = await openStore(home, options.logger)
  const closers: (() => Promise<void>)[] = [() => opened.store.close()]
  try {
    return await assemble(options, home, opened, closers)
  } catch (error) {
    for (const close of closers.reverse()) await close().catch(() => undefined)
    throw error
  }
}

const LOCK_WAIT_MS = 3_000
const LOCK_POLL_MS = 100

interface OpenedStore {
  readonly store: Store
  readonly sentinel: Sentinel | undefined
  readonly notices: readonly string[]
}

async function openStore(home: OpenHome, logger: SystemLogger): Promise<OpenedStore> {
  const { paths } = home
  const notices: string[] = []
  const sentinel = await readSentinel(paths.home)
  const { mustExist, damage } = await inspectClosedDatabase(sentinel, paths.data)
  const salvage = async (reasons: readonly string[]): Promise<void> => {
    const copy = `${paths.data}.damaged-${systemClock.nowMs()}`
    for (const reason of reasons) logger.log('warn', 'the database is damaged and will be repaired', { reason, copy })
    await salvageDatabase(paths.data, copy)
    notices.push(`the database was repaired at start (${reasons.join('; ')}); a copy of what was found is in ${copy}`)
  }
  if (damage.length > 0) await salvage(damage)
  let store: Store
  try {
    store = await openWhenFree(paths.data, mustExist)
  } catch (error) {
    // A locked or full home is no damage; only what LevelDB itself cannot read is.
    if (!isChrysalisError(error, 'corrupt') || damage.length > 0) throw error
    await salvage([error.message])
    store = await openLevelStore(paths.data, { mustExist })
  }
  try {
    await migrate(store)
  } catch (error) {
    await store.close()
    throw error
  }
  return { store, sentinel, notices }
}

/** A daemon that is stopping has closed its door already and still holds the store for a moment. */
async function openWhenFree(directory: string, mustExist: boolean): Promise<Store> {
  const deadlineMs = systemClock.monotonicMs() + LOCK_WAIT_MS
  for (;;) {
    try {
      return await openLevelStore(directory, { mustExist })
    } catch (error) {
      if (!isChrysalisError(error, 'home_locked') || systemClock.monotonicMs() > deadlineMs) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS))
  }
}

async function assemble(
  options: ComposeOptions,
  home: OpenHome,
  opened: OpenedStore,
  closers: (() => Promise<void>)[]
): Promise<Daemon> {
  const { logger, loaded, env } = options
  const { config } = loaded
  const clock = systemClock
  const crypto = createCrypto(home.identity.seed)
  const metrics = createMetrics()
  const network = makeNetwork(home, loaded, { clock, random: systemRandom, logger, metrics })
  const notices = [...opened.notices]
  const invitations = new Invitations(home, { network, crypto, clock, logger })
  const guard = new EpochGuard(home, opened.sentinel, notices, logger)
  const node = new Node(
    { ...nodeOptions(home, loaded), epoch: opened.sentinel?.epoch ?? toHex(systemRandom.bytes(8)) },
    { store: opened.store, network, crypto, clock, random: systemRandom, logger, metrics, processMemory },
    {
      mayKeepEpoch: (found) => guard.mayKeep(found),
      checkpoint: (progress) => guard.write(progress, false),
      crashed: options.onCrash,
      notices: () => [...notices, ...invitations.notices()]
    }
  )
  closers.push(() => node.stop())
  invitations.start()
  await node.start()
  const socket = plannedSocketPath(home.paths.home, { configured: config.rpc.socket, env })
  prepareSocketDirectory(socket)
  const control = createControl({
    home,
    node,
    loaded,
    invitations,
    onStop: options.onStop,
    onRestart: options.onRestart
  })
  const rpc = await startRpcServer({ path: socket, node, control, logger, metrics })
  closers.push(() => rpc.close())
  await writeRunFile(home.paths.home, { pid: process.pid, version: VERSION, socket, startedAtMs: clock.nowMs() })
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => (stopping ??= shutDown({ home, node, rpc, opened, guard, logger }))
  return { node, socket, stop }
}

interface Running {
  readonly home: OpenHome
  readonly node: Node
  readonly rpc: RpcServer
  readonly opened: OpenedStore
  readonly guard: EpochGuard
  readonly logger: SystemLogger
}

async function shutDown({ home, node, rpc, opened, guard, logger }: Running): Promise<void> {
  await rpc.close()
  removeRunFile(home.paths.home, process.pid)
  await node.stop()
  const progress = node.progress()
  const healthy = node.health().ready
  await opened.store.close()
  try {
    // After a failure the files may say less than the machine believes: leave the sentinel unclean then.
    await guard.write(progress, healthy)
  } catch (error) {
    logger.log('warn', 'the sentinel could not be written; the next start will draw a new epoch', {
      error: messageOf(error)
    })
  }
}

/** Judges at start whether the own log is complete, and writes down how far it has come (adapters/level/sentinel.ts). */
class EpochGuard {
  readonly #home: OpenHome
  readonly #sentinel: Sentinel | undefined
  readonly #notices: string[]
  readonly #logger: SystemLogger
  #writing: Promise<void> = Promise.resolve()

  constructor(home: OpenHome, sentinel: Sentinel | undefined, notices: string[], logger: SystemLogger) {
    this.#home = home
    this.#sentinel = sentinel
    this.#notices = notices
    this.#logger = logger
  }

  async mayKeep(found: Progress): Promise<boolean> {
    const identity = await identityOf(this.#home.paths.data)
    if (identity === undefined) return false
    const heads = Object.fromEntries(found.spaces.map((space) => [space.id, space.head]))
    const judgement = judgeSentinel(this.#sentinel, { identity, deltas: found.deltas, heads })
    if (judgement.fresh) return true
    for (const reason of judgement.reasons) this.#logger.log('info', 'a new epoch begins', { reason })
    if (judgement.lostTail) {
      this.#notices.push(
        `rows that were recorded are missing from the store: ${judgement.reasons.join('; ')}; peers will restore what they hold`
      )
    }
    return judgement.keepEpoch
  }

  /** One at a time, so that an older count never replaces a newer one. */
  write(progress: Progress, clean: boolean): Promise<void> {
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#write(progress, clean))
    return this.#writing
  }

  async #write(progress: Progress, clean: boolean): Promise<void> {
    const { paths } = this.#home
    const identity = await identityOf(paths.data)
    if (identity === undefined) return
    const spaces = Object.fromEntries(progress.spaces.map(({ id, deltas, root, head }) => [id, { deltas, root, head }]))
    const files = clean ? await markFiles(paths.data) : null
    await writeSentinel(
      paths.home,
      {
        schema: SCHEMA,
        deltas: progress.deltas,
        spaces,
        epoch: progress.epoch,
        clean,
        identity,
        files,
        writtenAtMs: systemClock.nowMs()
      },
      (path, bytes, mode) => writeFileAtomic(path, bytes, mode)
    )
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
    access: config.access,
    storm: config.storm,
    recall: config.recall,
    promotion: config.promotion
  }
}

function processMemory(): { rssBytes: number; heapBytes: number } {
  const { rss, heapUsed } = process.memoryUsage()
  return { rssBytes: rss, heapBytes: heapUsed }
}
