/**
 * The engine: one store, one writer, one replica for each space, and everything that moves deltas between them and the
 * world. It is the same code under the daemon and under the simulator; only the panes behind the ports differ.
 *
 * Start: read the replicas back from disk, subscribe, serve, then let the index catch up behind. Stop: in the reverse
 * order, awaiting what is in flight. When the store fails the engine serves reads, refuses writes with the reason, and
 * tries to reopen the store until it succeeds. What the doors may ask of it is in node.ts.
 */
import { ChrysalisError, isChrysalisError, messageOf } from '../base/errors.ts'
import { fromHex, toHex } from '../base/bytes.ts'
import { topicOf } from '../memory/names.ts'
import type { Epoch } from '../memory/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Network } from '../ports/network.ts'
import type { Random } from '../ports/random.ts'
import type { Store } from '../ports/store.ts'
import { Outbox } from '../sync/outbox.ts'
import { Replica } from '../sync/replica.ts'
import type * as api from './api.ts'
import { equivocatorsOf } from './audit.ts'
import { Ballots } from './ballots.ts'
import { Events } from './events.ts'
import { Indexer } from './indexer.ts'
import { Intake } from './intake.ts'
import { Items } from './items.ts'
import type { NodeHooks, Progress } from './hooks.ts'
import type { NodeOptions, SpaceOptions } from './options.ts'
import type { Group } from './perform.ts'
import { ReadingCounts } from './reading-counts.ts'
import { Reads } from './reads.ts'
import { Receipts } from './receipts.ts'
import { Reconciliation } from './reconciliation.ts'
import { Records } from './records.ts'
import { lastArrival, restoreReplica } from './restore.ts'
import { META } from './rows.ts'
import { Sender } from './sender.ts'
import type { Space } from './space.ts'
import { Spaces } from './spaces.ts'
import { Storms } from './storms.ts'
import { tell, tellResurrected } from './tell.ts'
import { Unoffered } from './unoffered.ts'
import { Upkeep } from './upkeep.ts'
import { Writer } from './writer.ts'
import { Writes } from './writes.ts'

export interface NodePorts {
  readonly store: Store
  readonly network: Network
  readonly crypto: Crypto
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  /** Bytes of this process, for status. */
  readonly processMemory: () => { rssBytes: number; heapBytes: number }
}

const CHECKPOINT_DELTAS = 1_000
const REOPEN_MS = 2_000

export abstract class Engine {
  readonly peer: string
  readonly spaceTable: Spaces
  protected readonly options: NodeOptions
  protected readonly ports: NodePorts
  protected readonly hooks: NodeHooks
  protected readonly writer: Writer
  readonly #records: Records
  readonly #items: Items
  readonly #ballots: Ballots
  protected readonly indexer: Indexer
  protected readonly intake: Intake
  readonly #sender: Sender
  protected readonly events: Events
  protected readonly reads: Reads
  protected readonly writes: Writes
  protected readonly reconciliation: Reconciliation
  readonly #readingCounts: ReadingCounts
  readonly #storms: Storms
  readonly #upkeep: Upkeep
  protected readonly startedAtMs: number
  #unsubscribe: (() => void) | undefined
  protected state: api.NodeStatus['state'] = 'starting'
  protected failure: string | undefined
  #epoch: Epoch
  #sinceCheckpoint = 0
  #cancelReopen: (() => void) | undefined
  #reopening: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  /** `epoch`: what this home last wrote under, or a new one. */
  constructor(options: NodeOptions & { epoch: Epoch }, ports: NodePorts, hooks: NodeHooks = {}) {
    this.options = options
    this.ports = ports
    this.hooks = hooks
    this.#epoch = options.epoch
    this.peer = ports.network.self
    this.startedAtMs = ports.clock.nowMs()
    const { store, clock, metrics, logger, network, crypto, random } = ports
    this.#records = new Records(store)
    this.writer = new Writer(
      { durable: options.store.durability === 'fsync', windowMs: options.store.groupCommitWindowMs },
      { store, clock, metrics, records: this.#records },
      { stored: (group) => this.#stored(group), failed: (error) => this.#failed(error) }
    )
    this.spaceTable = new Spaces(options.spaces.map((space) => this.#makeSpace(space)))
    const spaces = this.spaceTable
    this.#ballots = new Ballots(options.ballot.voters)
    this.#items = new Items(
      { roster: options.ballot.voters, replicas: options.sync.replicas },
      { store, crypto, clock, records: this.#records }
    )
    const shared = { store, crypto, clock, random, logger, metrics, records: this.#records, items: this.#items, spaces }
    this.events = new Events({ clock, logger })
    this.indexer = new Indexer({ ...shared, ballots: this.#ballots })
    this.intake = new Intake({ crypto, writer: this.writer, network, metrics, logger })
    this.#sender = new Sender({ network, clock, metrics, logger }, (space, ids) => {
      for (const id of ids) space.unoffered.offered(id)
    })
    this.#readingCounts = new ReadingCounts({ records: this.#records, writer: this.writer, logger })
    this.reads = new Reads(
      { searchLimit: options.recall.limit },
      { ...shared, indexer: this.indexer, ballots: this.#ballots },
      (places) => this.#readingCounts.note(places)
    )
    this.reconciliation = new Reconciliation(options.sync, {
      ...shared,
      network,
      intake: this.intake,
      writer: this.writer,
      events: this.events
    })
    this.writes = new Writes(
      { replicas: options.sync.replicas, promotionThreshold: options.promotion.threshold },
      {
        crypto,
        items: this.#items,
        records: this.#records,
        spaces,
        writer: this.writer,
        reads: this.reads,
        awaitHolders: (space, arrival, count, timeoutMs) =>
          this.reconciliation.awaitHolders(space, arrival, count, timeoutMs)
      }
    )
    this.#storms = new Storms(options.storm)
    this.#upkeep = new Upkeep(
      { accessIntervalMs: options.access.intervalMs },
      { ...shared, writer: this.writer, readingCounts: this.#readingCounts, storms: this.#storms }
    )
  }

  #makeSpace(options: SpaceOptions): Space {
    const { sync } = this.options
    return {
      id: options.id,
      options,
      replica: this.#makeReplica(options),
      outbox: new Outbox(sync, { random: this.ports.random.fork(`outbox/${options.id}`) }),
      receipts: new Receipts(options.id),
      unoffered: new Unoffered()
    }
  }

  #makeReplica(space: SpaceOptions): Replica {
    const { crypto, random } = this.ports
    return new Replica(
      { facts: { space: space.id, policy: space.policy, creator: space.creator }, epoch: this.#epoch },
      { crypto, random: random.fork(`replica/${space.id}`), records: this.writer.workingSet(space.id) }
    )
  }

  async start(): Promise<void> {
    const { network } = this.ports
    await this.#restore()
    if ((await this.hooks.mayKeepEpoch?.(this.progress())) === false) this.#drawEpoch()
    await this.hooks.checkpoint?.(this.progress())
    await this.#storeEpoch()
    for (const space of this.spaceTable.all) {
      if (!space.options.shared) continue
      network.subscribe(topicOf(space.id), (bytes, from) => this.intake.gossip(space, bytes, from))
    }
    this.#unsubscribe = network.onEvent((event) => {
      if (event.type === 'peer-subscribed') this.#peerSubscribed(event.topic)
      else if (event.type === 'peer-connected') this.events.emit({ type: 'peer', peer: event.peer, what: 'connected' })
      else if (event.type === 'peer-disconnected')
        this.events.emit({ type: 'peer', peer: event.peer, what: 'disconnected' })
      else this.events.emit({ type: 'peer', peer: event.peer, what: 'banned' })
    })
    this.reconciliation.start()
    await network.start()
    this.#upkeep.start()
    this.indexer.rebuild(this.spaceTable.all)
    this.state = 'ready'
  }

  /** Disk to memory. Also after the store failed: the machines were ahead of it. */
  async #restore(): Promise<void> {
    const { store, crypto, logger } = this.ports
    this.writer.restoreArrival(await lastArrival(store))
    this.#records.clear()
    for (const space of this.spaceTable.all) {
      const replica = this.#makeReplica(space.options)
      await restoreReplica(replica, space.receipts, { store, crypto, logger })
      // Only when it is whole: a session that saw half a set would draw wrong conclusions about its peer.
      space.replica = replica
      for (const author of await equivocatorsOf(store, space)) this.#ballots.convict(author)
      if (space.options.shared) await this.#upkeep.offerUnheld(space)
    }
  }

  #drawEpoch(): void {
    this.#epoch = toHex(this.ports.random.bytes(8))
    for (const space of this.spaceTable.all) space.replica.startEpoch(this.#epoch)
  }

  async #storeEpoch(): Promise<void> {
    await this.ports.store.batch([{ table: 'meta', key: META.epoch, value: fromHex(this.#epoch) }], { durable: true })
  }

  progress(): Progress {
    const spaces = this.spaceTable.all.map((space) => ({
      id: space.id,
      deltas: space.replica.tree.count,
      root: toHex(space.replica.tree.root()),
      head: space.replica.ownHead
    }))
    return { deltas: spaces.reduce((sum, space) => sum + space.deltas, 0), epoch: this.#epoch, spaces }
  }

  /** The group is on disk and acknowledged. */
  #stored(group: Group): void {
    // The last one drawn counts for all spaces. The space that drew it keeps its place there: it may have written since.
    const epoch = group.epochs.at(-1)?.epoch
    if (epoch !== undefined) {
      this.#epoch = epoch
      for (const space of this.spaceTable.all) if (space.replica.epoch !== epoch) space.replica.startEpoch(epoch)
      this.#sinceCheckpoint = CHECKPOINT_DELTAS
    }
    tell(group, {
      ...this.ports,
      spaces: this.spaceTable,
      sender: this.#sender,
      reconciliation: this.reconciliation,
      indexer: this.indexer,
      storms: this.#storms,
      events: this.events,
      intake: this.intake,
      ballots: this.#ballots,
      upkeep: this.#upkeep
    })
    this.#sinceCheckpoint += group.admitted.length
    if (this.#sinceCheckpoint >= CHECKPOINT_DELTAS) {
      this.#sinceCheckpoint = 0
      void this.hooks
        .checkpoint?.(this.progress())
        .catch((error: unknown) => this.#note('the sentinel could not be written', error))
    }
  }

  #peerSubscribed(topic: string): void {
    for (const space of this.spaceTable.all) {
      if (topicOf(space.id) !== topic) continue
      space.outbox.wake(this.ports.clock.nowMs())
      this.#sender.schedule(space)
    }
    this.reconciliation.peerSubscribed(topic)
  }

  #note(message: string, error: unknown): void {
    this.ports.logger.log('warn', message, { error: messageOf(error) })
  }

  #failed(error: unknown): void {
    if (!isChrysalisError(error)) {
      this.hooks.crashed?.(error)
      return
    }
    this.state = 'read-only'
    this.failure =
      error.code === 'disk_full'
        ? 'the disk is full; writes are refused until there is room'
        : `the store failed: ${error.message}`
    this.ports.logger.log('error', 'the store refused a write; reads go on', {
      error: error.message,
      code: error.code
    })
    this.events.emit({ type: 'node', what: 'read-only', detail: this.failure })
    this.#scheduleReopen()
  }

  #scheduleReopen(): void {
    if (this.#stopping !== undefined) return
    this.#cancelReopen = this.ports.clock.setTimer(REOPEN_MS, () => {
      this.#reopening = this.#reopen()
    })
  }

  async #reopen(): Promise<void> {
    const acknowledged = this.writer.storedArrival
    try {
      await this.ports.store.reopen()
      await this.#restore()
      // What the failed batch may have left on disk must never be signed over.
      this.#drawEpoch()
      await this.hooks.checkpoint?.(this.progress())
      await this.#storeEpoch()
    } catch (error) {
      this.#note('the store cannot be reopened yet', error)
      this.#scheduleReopen()
      return
    }
    if (this.#stopping !== undefined) return
    this.writer.close(undefined)
    this.state = 'ready'
    this.failure = undefined
    const parts = { ...this.ports, spaces: this.spaceTable, indexer: this.indexer, events: this.events }
    await tellResurrected(acknowledged, this.writer.storedArrival, parts)
    this.#upkeep.scheduleRelease()
    for (const space of this.spaceTable.all) this.#sender.schedule(space)
    this.ports.logger.log('info', 'the store is open again; writes are accepted')
    this.events.emit({ type: 'node', what: 'ready', detail: 'writes are accepted again' })
  }

  /** Idempotent. Awaits what is in flight; the store is left open for its owner to close. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#cancelReopen?.()
    await this.#reopening
    await this.#upkeep.stop()
    // Sessions end when the network closes their channels: a peer that is silent must not hold up the stop.
    const sessions = this.reconciliation.stop()
    await this.#sender.stop()
    this.#unsubscribe?.()
    await this.ports.network.stop()
    await sessions
    this.writer.close(
      new ChrysalisError('unavailable', 'the daemon is stopping; nothing was written', {
        hint: 'Start it again and repeat the call.'
      })
    )
    await this.writer.idle()
    await this.#upkeep.writeStorms(true)
    await this.indexer.stop()
  }

  get epoch(): Epoch {
    return this.#epoch
  }

  /** Resolves once nothing is queued and the index has caught up; for tests and the simulator. */
  async idle(): Promise<void> {
    await this.writer.idle()
    await this.indexer.catchUp()
  }

  /** Resolves once the index holds every stored record. */
  async indexed(): Promise<void> {
    await this.indexer.whenComplete()
  }
}
