/**
 * The inbox and its single writer. Inputs of all spaces queue here; one group at a time goes through the machines and
 * onto the disk, and whatever arrives meanwhile makes the next group. So a lone write waits for nobody, and a hundred
 * concurrent ones share one fsync (group commit).
 *
 * When the store fails, nothing of the group is acknowledged, the engine turns read-only, and `onFailure` is told; the
 * machines are then ahead of the disk and must be read back from it before writing goes on.
 */
import { ChrysalisError, isChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import type { DeltaId } from '../memory/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { Metrics } from '../ports/metrics.ts'
import { prefixEnd, type Store } from '../ports/store.ts'
import type { Input } from '../sync/effect.ts'
import { collect, emptyGroup, persist, type Admitted, type Group } from './perform.ts'
import { WorkingSet, type Records } from './records.ts'
import { authorPrefix, META, parseAuthorKey, type Arrival } from './rows.ts'
import type { Space } from './space.ts'
import { fromHex } from '../base/bytes.ts'

/** What became of one input once its group was on disk. */
export interface Outcome {
  /** Deltas this input brought into the set: one for a write, none for a duplicate. */
  readonly admitted: readonly Admitted[]
  readonly refused: boolean
  readonly held: boolean
}

interface Item {
  readonly space: Space
  readonly input: Input
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}

export interface WriterHooks {
  /** After the group is on disk and acknowledged: send, then notify. Must not throw. */
  stored(group: Group): void
  /** The store refused a group. */
  failed(error: unknown): void
}

export interface WriterPorts {
  readonly store: Store
  readonly clock: Clock
  readonly metrics: Metrics
  readonly records: Records
}

export class Writer {
  readonly #ports: WriterPorts
  readonly #hooks: WriterHooks
  readonly #durable: boolean
  readonly #windowMs: number
  readonly #workingSets = new Map<string, WorkingSet>()
  readonly #queue: Item[] = []
  #running: Promise<void> | undefined
  /** The newest position handed out. */
  #lastArrival: Arrival = 0
  #storedArrival: Arrival = 0
  #closed: ChrysalisError | undefined

  constructor(options: { durable: boolean; windowMs: number }, ports: WriterPorts, hooks: WriterHooks) {
    this.#durable = options.durable
    this.#windowMs = options.windowMs
    this.#ports = ports
    this.#hooks = hooks
  }

  get queued(): number {
    return this.#queue.length
  }

  /** The newest position of the arrival log that is stored. */
  get storedArrival(): Arrival {
    return this.#storedArrival
  }

  restoreArrival(arrival: Arrival): void {
    this.#lastArrival = arrival
    this.#storedArrival = arrival
  }

  workingSet(space: string): WorkingSet {
    let set = this.#workingSets.get(space)
    if (set === undefined) {
      set = new WorkingSet(space)
      this.#workingSets.set(space, set)
    }
    return set
  }

  /** Refuses every further input with this error; undefined accepts again. */
  close(reason: ChrysalisError | undefined): void {
    this.#closed = reason
  }

  /** Resolves once everything queued so far is stored or refused. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  /** Rejects with `rate_limited` when the inbox is full, `read_only` or `disk_full` when nothing can be written. */
  submit(space: Space, input: Input): Promise<Outcome> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    if (this.#queue.length >= LIMITS.inboxInputsMax) {
      this.#ports.metrics.count('chrysalis_node_inbox_refused_total')
      return Promise.reject(
        new ChrysalisError('rate_limited', 'too many writes are waiting; this one was not taken', {
          hint: 'Wait a moment and try again, or send several memories in one memory.addMany.'
        })
      )
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ space, input, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  async #run(): Promise<void> {
    // One turn of the microtask queue, so that writes issued together travel together.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      if (this.#windowMs > 0 && this.#queue.length < LIMITS.groupCommitInputsMax) await this.#window()
      const items = this.#queue.splice(0, LIMITS.groupCommitInputsMax)
      await this.#commit(items)
    }
    this.#running = undefined
  }

  #window(): Promise<void> {
    return new Promise((resolve) => {
      this.#ports.clock.setTimer(this.#windowMs, resolve)
    })
  }

  async #commit(items: readonly Item[]): Promise<void> {
    const group = emptyGroup()
    const outcomes: { item: Item; outcome: Outcome }[] = []
    const arrivalBefore = this.#lastArrival
    try {
      if (this.#closed !== undefined) throw this.#closed
      const ready = await this.#prepareSound(items)
      const nowMs = this.#ports.clock.nowMs()
      for (const { item, input } of ready) {
        const outcome = this.#step(group, item, input, nowMs)
        if (outcome !== undefined) outcomes.push({ item, outcome })
      }
      for (const { epoch } of group.epochs) {
        group.writes.push({ table: 'meta', key: META.epoch, value: fromHex(epoch) })
      }
      await persist(group, this.#ports.store, { durable: this.#durable })
    } catch (error) {
      // The machines have moved, the disk has not: positions handed out are handed out again after the restore.
      this.#lastArrival = arrivalBefore
      const failure = storageError(error)
      if (this.#closed === undefined) {
        this.#closed = readOnly(failure)
        this.#hooks.failed(error)
      }
      for (const item of items) item.reject(failure)
      return
    } finally {
      for (const set of this.#workingSets.values()) set.reset()
    }
    this.#storedArrival = this.#lastArrival
    this.#publishStates(group)
    for (const { item, outcome } of outcomes) item.resolve(outcome)
    this.#hooks.stored(group)
  }

  /** One input through its machine. A refusal of this input alone leaves the others of the group untouched. */
  #step(group: Group, item: Item, input: Input, nowMs: number): Outcome | undefined {
    const from = group.admitted.length
    const heldBefore = group.held.length
    const refusedBefore = group.refusals.length
    let effects
    try {
      effects = item.space.replica.handle(input, nowMs)
    } catch (error) {
      if (!isChrysalisError(error)) throw error
      item.reject(error)
      return undefined
    }
    collect(group, item.space, effects, () => ++this.#lastArrival)
    return {
      admitted: group.admitted.slice(from),
      held: group.held.length > heldBefore,
      // Another delta may have been let go to make room for this one.
      refused: group.refusals
        .slice(refusedBefore)
        .some(({ delta }) => input.input === 'delta' && delta === input.delta.id)
    }
  }

  /** A damaged row stands in the way of the inputs that need it, and of no other. */
  async #prepareSound(items: readonly Item[]): Promise<{ item: Item; input: Input }[]> {
    try {
      const inputs = await this.#prepare(items)
      return items.map((item, index) => ({ item, input: inputs[index] as Input }))
    } catch (error) {
      if (!isChrysalisError(error, 'corrupt')) throw error
    }
    const ready: { item: Item; input: Input }[] = []
    for (const item of items) {
      try {
        for (const input of await this.#prepare([item])) ready.push({ item, input })
      } catch (error) {
        if (!isChrysalisError(error, 'corrupt')) throw error
        item.reject(error)
      }
    }
    return ready
  }

  /** Fetches what the machines will ask for: record states, and rivals of deltas that arrive late in their chain. */
  async #prepare(items: readonly Item[]): Promise<Input[]> {
    const wanted = new Map<Space, Set<string>>()
    for (const { space, input } of items) {
      let ids = wanted.get(space)
      if (ids === undefined) wanted.set(space, (ids = new Set()))
      for (const id of space.replica.touches(input)) ids.add(id)
    }
    for (const [space, ids] of wanted) await this.workingSet(space.id).fetch(ids, this.#ports.records)
    return Promise.all(items.map(({ space, input }) => this.#withRivals(space, input)))
  }

  async #withRivals(space: Space, input: Input): Promise<Input> {
    if (input.input === 'write') return input
    if (input.input === 'delta') return { ...input, rivals: await this.#rivalsOf(space, input.delta) }
    const rivals = new Map<DeltaId, DeltaId[]>()
    for (const delta of space.replica.heldDue(this.#ports.clock.nowMs())) {
      rivals.set(delta.id, await this.#rivalsOf(space, delta))
    }
    return { ...input, rivals }
  }

  async #rivalsOf(space: Space, delta: VerifiedDelta): Promise<DeltaId[]> {
    const { author, epoch, seq } = delta.header
    const head = space.replica.chainHead(author, epoch)
    // An unknown chain has no rivals, unless the table of chains is full and has forgotten some.
    const unrivalled = head === undefined ? space.replica.chainCount < LIMITS.authorHeadsMax : seq > head.seq
    if (unrivalled) return []
    const prefix = authorPrefix(space.id, author, epoch, seq)
    const end = prefixEnd(prefix)
    const rows = await this.#ports.store.scan('author', {
      gte: prefix,
      ...(end === undefined ? {} : { lt: end }),
      limit: LIMITS.proofIdsMax + 1
    })
    return rows.map((row) => parseAuthorKey(row.key).id)
  }

  #publishStates(group: Group): void {
    for (const [space, records] of group.records) {
      for (const [id, record] of records) this.#ports.records.replace(space.id, id, record)
    }
  }
}

function storageError(error: unknown): ChrysalisError {
  if (isChrysalisError(error)) return error
  return new ChrysalisError('unavailable', `the store refused a write: ${messageOf(error)}`, {
    hint: 'Nothing of this write was kept. See `chrysalis status` and the log.',
    cause: error
  })
}

/** What later writes are told, until the store is open again. A full disk keeps its own name: people know what to do. */
function readOnly(failure: ChrysalisError): ChrysalisError {
  if (failure.code === 'disk_full') return failure
  return new ChrysalisError('read_only', `the daemon is read-only since the store failed: ${failure.message}`, {
    hint: 'Nothing was written. It tries to reopen the store by itself; see `chrysalis status`.',
    cause: failure
  })
}
