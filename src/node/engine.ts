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
import type { DeltaSet } from '../sync/delta-set.ts'
import { Outbox } from '../sync/outbox.ts'
import { Replica } from '../sync/replica.ts'
import type * as api from './api.ts'
import { equivocatorsOf } from './audit.ts'
import { Ballots } from './ballots.ts'
import { CloneWatch } from './clone-watch.ts'
import { Care } from './care.ts'
import { Checkpoints } from './checkpoint.ts'
import { Events } from './events.ts'
import { Frontiers } from './frontiers.ts'
import { GroupSigner } from './group-signer.ts'
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
import { readPositions } from './rebuild.ts'
import { Records } from './records.ts'
import { lastArrival, restoreReplica } from './restore.ts'
import { restoreSets } from './restore-sets.ts'
import { META } from './rows.ts'
import type { ScrubReport } from './scrub.ts'
import { Sender } from './sender.ts'
import { Soundness, type SoundnessPorts } from './soundness.ts'
import type { Space } from './space.ts'
import { Spaces } from './spaces.ts'
import { Storms } from './storms.ts'
import { makeTrust, type Trust } from './trust.ts'
import { tell, tellResurrected } from './tell.ts'
import { Unoffered } from './unoffered.ts'
import { Upkeep } from './upkeep.ts'
import { Publisher, type SharedPanes } from './publisher.ts'
import { Vectors, type VectorPanes } from './vectors.ts'
import { notHeld, Waiting } from './waiting.ts'
import { readOnly, Writer } from './writer.ts'
import { Writes } from './writes.ts'

export interface NodePorts extends SoundnessPorts {
  /** Absent: recall goes by words alone. */
  readonly vectors?: VectorPanes
  /** Absent: no other process searches what this daemon knows. */
  readonly shared?: SharedPanes
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
  protected readonly soundness: Soundness
  readonly #signer: GroupSigner
  protected readonly writer: Writer
  protected readonly records: Records
  protected readonly items: Items
  protected readonly trust: Trust
  readonly #ballots: Ballots
  protected readonly vectors: Vectors | undefined
  protected readonly publisher: Publisher | undefined
  protected readonly indexer: Indexer
  protected readonly intake: Intake
  readonly #sender: Sender
  protected readonly events: Events
  protected readonly clones: CloneWatch
  protected readonly reads: Reads
  protected readonly writes: Writes
  protected readonly care: Care
  protected readonly reconciliation: Reconciliation
  protected readonly waiting: Waiting
  protected readonly frontiers: Frontiers
  readonly #readingCounts: ReadingCounts
  readonly #storms: Storms
  readonly #upkeep: Upkeep
  readonly #checkpoints: Checkpoints
  protected readonly startedAtMs: number
  #unsubscribe: (() => void) | undefined
  protected state: api.NodeStatus['state'] = 'starting'
  protected failure: string | undefined
  #epoch: Epoch
  #sinceCheckpoint = 0
  #cancelReopen: (() => void) | undefined
  #reopening: Promise<void> | undefined
  #reopenFailure: string | undefined
  #stopping: Promise<void> | undefined

  /** `epoch`: what this home last wrote under, or a new one. */
  constructor(options: NodeOptions & { epoch: Epoch }, ports: NodePorts, hooks: NodeHooks = {}) {
    this.options = options
    this.soundness = this.#makeSoundness(ports)
    this.ports = { ...ports, store: this.soundness.store }
    this.hooks = hooks
    this.#epoch = options.epoch
    this.peer = ports.network.self
    this.startedAtMs = ports.clock.nowMs()
    const { store, clock, metrics, logger, network, crypto, random } = this.ports
    const watch = this.soundness
    this.records = new Records(store)
    this.#signer = new GroupSigner(crypto)
    this.writer = new Writer(
      { durable: options.store.durability === 'fsync', windowMs: options.store.groupCommitWindowMs },
      { store, clock, metrics, records: this.records, signer: this.#signer },
      { stored: (group) => this.#stored(group), failed: (error) => this.#failed(error) }
    )
    this.spaceTable = new Spaces(options.spaces.map((space) => this.#makeSpace(space)))
    const spaces = this.spaceTable
    this.#ballots = new Ballots(options.ballot.voters)
    this.trust = makeTrust(
      { self: toHex(crypto.publicKey), peer: this.peer, newcomers: options.trust.newcomers },
      { store, clock, logger, records: this.records, ballots: this.#ballots, spaces, indexer: () => this.indexer }
    )
    const { judge, repeats, echoes } = this.trust
    this.items = new Items(
      { roster: options.ballot.voters, replicas: options.sync.replicas },
      { store, crypto, clock, records: this.records, judge, watch }
    )
    const { records, items } = this
    const shared = { store, crypto, clock, random, logger, metrics, records, items, spaces, judge, watch }
    this.events = new Events({ clock, logger })
    const { startedAtMs } = this
    this.clones = new CloneWatch(
      { author: toHex(crypto.publicKey), startedAtMs },
      { logger, metrics, events: this.events }
    )
    const isBusy = (): boolean => this.writer.queued + this.intake.delivering > 0
    this.vectors = ports.vectors && new Vectors(ports.vectors, { ...shared, isBusy })
    this.publisher = ports.shared && new Publisher(ports.shared, { ...shared, events: this.events, isBusy })
    const listeners = { texts: this.vectors, states: this.publisher }
    this.indexer = new Indexer({ ...shared, ...listeners, repeats, ballots: this.#ballots, isBusy })
    this.intake = new Intake({ crypto, writer: this.writer, network, metrics, logger })
    this.#sender = new Sender({ network, clock, metrics, logger }, (space, ids) => {
      for (const id of ids) space.unoffered.offered(id)
    })
    this.#readingCounts = new ReadingCounts({ records: this.records, writer: this.writer, logger })
    this.reads = new Reads(
      { searchLimit: options.recall.limit },
      { ...shared, indexer: this.indexer, ballots: this.#ballots, ...(this.vectors && { vectors: this.vectors }) },
      (places, session) => {
        this.#readingCounts.note(places)
        this.care.recalled(places, session)
        echoes.note(places, session)
      }
    )
    const { intake, writer, events } = this
    this.reconciliation = new Reconciliation(options.sync, { ...shared, network, intake, writer, events })
    this.waiting = new Waiting({ clock, reconciliation: this.reconciliation })
    this.frontiers = new Frontiers({ store, spaces })
    this.writes = new Writes(
      { replicas: options.sync.replicas },
      {
        ...{ ...shared, repeats, echoes, indexer: this.indexer, writer: this.writer, reads: this.reads },
        promote: (place, to, how) => this.care.written(place, to, how),
        awaitHolders: (space, arrival, count, timeoutMs) => this.#awaitHolders(space, arrival, count, timeoutMs)
      }
    )
    const care = { indexer: this.indexer, writer: this.writer, reads: this.reads, writes: this.writes }
    this.care = new Care(options, { ...shared, ...care })
    this.#checkpoints = new Checkpoints(options.tree ?? {}, {
      ...shared,
      spaces: () => this.spaceTable.all,
      storedArrival: () => this.writer.storedArrival
    })
    this.#storms = new Storms(options.storm)
    this.#upkeep = new Upkeep(
      { accessIntervalMs: options.access.intervalMs },
      { ...shared, writer: this.writer, readingCounts: this.#readingCounts, storms: this.#storms }
    )
  }

  async #awaitHolders(space: Space, arrival: number, count: number, timeoutMs: number): Promise<void> {
    const goals = [{ space, through: arrival }]
    if (await this.waiting.until(goals, { minPeers: count }, timeoutMs)) return
    const hint = 'It is on this disk and will spread when peers are reachable; see `chrysalis sync`.'
    throw notHeld(goals, { minPeers: count }, timeoutMs, { hint, stateTouched: true })
  }

  /** The parts it speaks to are made later, and asked only when the engine runs. */
  #makeSoundness(ports: NodePorts): Soundness {
    return new Soundness(ports, {
      spaces: () => this.spaceTable.all,
      isIdle: () => this.state === 'ready' && this.writer.queued + this.intake.verifying + this.indexer.behind === 0,
      deliver: (space, record, from) => this.intake.deliver(space, [record], from),
      submit: (space, delta) => this.writer.submit(space, { input: 'delta', delta, via: 'recon', rivals: [] }),
      rewritten: (space, record) => {
        this.records.forget(space.id, record)
        this.indexer.note(space, record)
      },
      announce: (what, detail) => this.events.emit({ type: 'node', what, detail })
    })
  }

  #makeSpace(options: SpaceOptions): Space {
    const { sync } = this.options
    return {
      id: options.id,
      options,
      replica: this.#makeReplica(options),
      // Without gossip nothing waits to be published: reconciliation alone carries it.
      outbox: new Outbox(sync.gossip ? sync : { ...sync, mode: 'periodic' }, {
        random: this.ports.random.fork(`outbox/${options.id}`)
      }),
      receipts: new Receipts(options.id),
      unoffered: new Unoffered()
    }
  }

  #makeReplica(space: SpaceOptions): Replica {
    const { random } = this.ports
    return new Replica(
      { facts: { space: space.id, policy: space.policy, creator: space.creator }, epoch: this.#epoch },
      { crypto: this.#signer, random: random.fork(`replica/${space.id}`), records: this.writer.workingSet(space.id) }
    )
  }

  async start(): Promise<void> {
    const { network } = this.ports
    const rebuilt = await this.soundness.prepare(this.options.salvaged ?? [])
    await this.#restore()
    await this.trust.book.load()
    // Tables made anew prove nothing about what was lost: the own log may be shorter than it was.
    if ((await this.hooks.mayKeepEpoch?.(this.progress())) === false || rebuilt) this.#drawEpoch()
    const full = await this.#recordStart()
    for (const space of this.spaceTable.all) {
      if (!space.options.shared || !this.options.sync.gossip) continue
      network.subscribe(topicOf(space.id), (bytes, from) => this.intake.gossip(space, bytes, from))
    }
    this.#unsubscribe = network.onEvent((event) => {
      if (event.type === 'peer-subscribed') this.#peerSubscribed(event.peer, event.topic)
      else if (event.type === 'peer-connected') {
        this.reconciliation.peerConnected(event.peer)
        this.events.emit({ type: 'peer', peer: event.peer, what: 'connected' })
      } else if (event.type === 'peer-disconnected') {
        this.reconciliation.peerDisconnected(event.peer)
        this.events.emit({ type: 'peer', peer: event.peer, what: 'disconnected' })
      } else this.events.emit({ type: 'peer', peer: event.peer, what: 'banned' })
    })
    this.reconciliation.start()
    await network.start()
    this.#upkeep.start()
    await this.care.start()
    this.indexer.rebuild(this.spaceTable.all)
    this.vectors?.start(this.indexer)
    this.publisher?.start(this.indexer, [this.#epoch, ...this.options.ballot.voters].join(' '))
    await this.soundness.start()
    if (full !== undefined) this.storeFailed(full)
    if (this.failure === undefined) this.state = 'ready'
  }

  /** A full disk must not keep a daemon from answering: the error is returned, and writing is refused with it. */
  async #recordStart(): Promise<ChrysalisError | undefined> {
    try {
      await this.hooks.checkpoint?.(this.progress())
      await this.#storeEpoch()
      return undefined
    } catch (error) {
      if (!isChrysalisError(error, 'disk_full')) throw error
      return error
    }
  }

  /** Somebody else than the writer found out that the store cannot be written, or not be trusted. */
  storeFailed(error: ChrysalisError): void {
    if (this.failure !== undefined || this.#stopping !== undefined) return
    this.writer.close(readOnly(error))
    this.#failed(error)
  }

  /** Disk to memory. Also after the store failed: the machines were ahead of it. */
  async #restore(): Promise<void> {
    const { store, crypto, logger } = this.ports
    const position = Math.max(await lastArrival(store), (await readPositions(store)).floor)
    this.writer.restoreArrival(position)
    this.records.clear()
    const { sets, ledger } = await restoreSets(this.options.spaces, position, this.ports, {
      ...this.options.tree,
      damaged: (set, error) => this.#setDamaged(set, error)
    })
    for (const space of this.spaceTable.all) {
      const replica = this.#makeReplica(space.options)
      await restoreReplica(replica, sets.get(space.id) ?? replica.set, space.receipts, { store, crypto, logger })
      // Only when it is whole: a session that saw half a set would draw wrong conclusions about its peer.
      space.replica = replica
      this.frontiers.restore(space)
      for (const author of await equivocatorsOf(store, space)) this.#ballots.convict(author)
      if (space.options.shared) await this.#upkeep.offerUnheld(space)
    }
    await this.#checkpoints.begin(ledger)
  }

  /** A row of a set that is still in use: what is on disk is read back, as after any other failure of the store. */
  #setDamaged(set: DeltaSet, error: ChrysalisError): void {
    if (this.spaceTable.all.some((space) => space.replica.set === set)) this.storeFailed(error)
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
      frontiers: this.frontiers,
      indexer: this.indexer,
      storms: this.#storms,
      events: this.events,
      intake: this.intake,
      ballots: this.#ballots,
      upkeep: this.#upkeep,
      clones: this.clones
    })
    this.#checkpoints.noted(group.admitted.length)
    this.#sinceCheckpoint += group.admitted.length
    if (this.#sinceCheckpoint >= CHECKPOINT_DELTAS) {
      this.#sinceCheckpoint = 0
      void this.hooks
        .checkpoint?.(this.progress())
        .catch((error: unknown) => this.#note('the sentinel could not be written', error))
    }
  }

  #peerSubscribed(peer: string, topic: string): void {
    for (const space of this.spaceTable.all) {
      if (topicOf(space.id) !== topic) continue
      space.outbox.wake(this.ports.clock.monotonicMs())
      this.#sender.schedule(space)
    }
    this.reconciliation.peerSubscribed(peer, topic)
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
        ? `writes are refused until there is room: ${error.message}`
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
      // Once for each reason: on a full disk a line every two seconds makes it no emptier.
      if (messageOf(error) !== this.#reopenFailure) this.#note('the store cannot be reopened yet', error)
      this.#reopenFailure = messageOf(error)
      this.#scheduleReopen()
      return
    }
    if (this.#stopping !== undefined) return
    this.writer.close(undefined)
    this.state = 'ready'
    this.failure = undefined
    this.#reopenFailure = undefined
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
    await this.care.stop()
    await this.#upkeep.stop()
    // Sessions end when the network closes their channels: a peer that is silent must not hold up the stop.
    this.waiting.stop()
    const sessions = this.reconciliation.stop()
    const repairs = this.soundness.stop()
    await this.#sender.stop()
    this.#unsubscribe?.()
    await this.ports.network.stop()
    await sessions
    await repairs
    this.writer.close(
      new ChrysalisError('unavailable', 'the daemon is stopping; nothing was written', {
        hint: 'Start it again and repeat the call.'
      })
    )
    await this.writer.idle()
    await this.#checkpoints.stop()
    await this.#upkeep.writeStorms(true)
    await this.indexer.stop()
    await this.vectors?.stop()
    await this.publisher?.stop()
  }

  get epoch(): Epoch {
    return this.#epoch
  }

  /** Checks the whole store now, beside everything else. What was found is mended, or in the quarantine. */
  scrub(): Promise<ScrubReport> {
    return this.soundness.scrub()
  }

  /** Resolves once nothing is queued and the index has caught up; for tests and the simulator. */
  async idle(): Promise<void> {
    await this.writer.idle()
    await this.indexer.settled()
    await this.vectors?.settled()
  }

  /** Resolves once the index holds every stored record. */
  async indexed(): Promise<void> {
    await this.indexer.whenComplete()
  }
}
