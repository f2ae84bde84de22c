/**
 * The inbox and its single writer. Inputs of all spaces queue here; one group at a time goes through the machines and
 * onto the disk, and whatever arrives meanwhile makes the next group. So a lone write waits for nobody, and a hundred
 * concurrent ones share one fsync (group commit).
 *
 * What was written here and what others wrote queue apart and take turns: a write never waits behind a whole catch-up,
 * and foreign deltas, which nobody waits for one by one and which need no sync, make larger groups.
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

/** What became of an input, or why it could not be taken. */
export type Settled = Outcome | ChrysalisError

/** Inputs submitted together, answered together. */
interface Call {
  readonly settled: Settled[]
  left: number
  readonly done: (settled: readonly Settled[]) => void
}

interface Item {
  readonly space: Space
  readonly input: Input
  readonly call: Call
  readonly place: number
}

/** Rows of one chain read at once to look for rivals. */
const RIVAL_ROWS_MAX = 1_024

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
  /** Signatures that the machines left to be made: awaited before anything of a group is written. */
  readonly signer?: { finish(): Promise<void> }
}

export class Writer {
  readonly #ports: WriterPorts
  readonly #hooks: WriterHooks
  readonly #durable: boolean
  readonly #windowMs: number
  readonly #workingSets = new Map<string, WorkingSet>()
  /** Written here, and ticks. */
  readonly #own: Item[] = []
  /** Written elsewhere. */
  readonly #foreign: Item[] = []
  /** Whose turn the last group was. */
  #lastWasOwn = false
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
    return this.#own.length + this.#foreign.length
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
    return new Promise((resolve, reject) => {
      this.#enqueue(space, [input], ([settled]) => {
        if (settled instanceof ChrysalisError) reject(settled)
        else if (settled !== undefined) resolve(settled)
      })
    })
  }

  /** Many inputs at once, in their order; answers, in that order, once all of them are stored or refused. Never rejects. */
  submitAll(space: Space, inputs: readonly Input[]): Promise<readonly Settled[]> {
    return new Promise((resolve) => this.#enqueue(space, inputs, resolve))
  }

  #enqueue(space: Space, inputs: readonly Input[], done: Call['done']): void {
    const refusal = this.#refusal(inputs.length)
    if (refusal !== undefined || inputs.length === 0) {
      done(inputs.map(() => refusal as ChrysalisError))
      return
    }
    const call: Call = { settled: [], left: inputs.length, done }
    inputs.forEach((input, place) => {
      const queue = input.input === 'delta' ? this.#foreign : this.#own
      queue.push({ space, input, call, place })
    })
    this.#running ??= this.#run()
  }

  #refusal(count: number): ChrysalisError | undefined {
    if (this.#closed !== undefined) return this.#closed
    if (this.queued + count <= LIMITS.inboxInputsMax) return undefined
    this.#ports.metrics.count('chrysalis_node_inbox_refused_total', count)
    return new ChrysalisError('rate_limited', 'too many writes are waiting; this one was not taken', {
      hint: 'Wait a moment and try again, or send several memories in one memory.addMany.'
    })
  }

  async #run(): Promise<void> {
    // One turn of the microtask queue, so that writes issued together travel together.
    await Promise.resolve()
    while (this.queued > 0) {
      if (this.#windowMs > 0 && this.queued < LIMITS.groupCommitInputsMax) await this.#window()
      await this.#commit(this.#nextGroup())
    }
    this.#running = undefined
  }

  #nextGroup(): Item[] {
    const own = this.#own.length > 0 && (this.#foreign.length === 0 || !this.#lastWasOwn)
    this.#lastWasOwn = own
    return own
      ? this.#own.splice(0, LIMITS.groupCommitInputsMax)
      : this.#foreign.splice(0, LIMITS.groupCommitForeignMax)
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
      await this.#ports.signer?.finish()
      await persist(group, this.#ports.store, { durable: this.#durable })
    } catch (error) {
      // The machines have moved, the disk has not: positions handed out are handed out again after the restore.
      this.#lastArrival = arrivalBefore
      const failure = storageError(error)
      if (this.#closed === undefined) {
        this.#closed = readOnly(failure)
        this.#hooks.failed(error)
      }
      for (const item of items) settle(item, failure)
      return
    } finally {
      for (const set of this.#workingSets.values()) set.reset()
    }
    this.#storedArrival = this.#lastArrival
    this.#publishStates(group)
    for (const { item, outcome } of outcomes) settle(item, outcome)
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
      settle(item, error)
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
        settle(item, error)
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
      space.replica.touches(input, ids)
    }
    for (const [space, ids] of wanted) await this.workingSet(space.id).fetch(ids, this.#ports.records)
    const rivals = await this.#rivals(items)
    return items.map(({ space, input }) => {
      if (input.input === 'delta') {
        const known = rivals?.get(input.delta.id)
        return known === undefined ? input : { ...input, rivals: known }
      }
      return input.input === 'tick' && rivals !== undefined ? { ...input, rivals: ofHeld(space, rivals) } : input
    })
  }

  /**
   * Stored deltas that stand where one of these inputs claims to stand. Only a delta not beyond the head of its chain can
   * have any, which most are; parts of one chain that arrive out of order are looked up with one scan.
   */
  async #rivals(items: readonly Item[]): Promise<ReadonlyMap<DeltaId, readonly DeltaId[]> | undefined> {
    const chains = new Map<string, { space: Space; deltas: VerifiedDelta[] }>()
    const consider = (space: Space, delta: VerifiedDelta): void => {
      if (!this.#mayHaveRivals(space, delta)) return
      const name = `${space.id}:${delta.header.author}:${delta.header.epoch}`
      const chain = chains.get(name)
      if (chain === undefined) chains.set(name, { space, deltas: [delta] })
      else chain.deltas.push(delta)
    }
    for (const { space, input } of items) {
      if (input.input === 'delta') consider(space, input.delta)
      else if (input.input === 'tick') {
        for (const delta of space.replica.heldDue(this.#ports.clock.nowMs())) consider(space, delta)
      }
    }
    if (chains.size === 0) return undefined
    const rivals = new Map<DeltaId, readonly DeltaId[]>()
    for (const { space, deltas } of chains.values()) await this.#rivalsInChain(space, deltas, rivals)
    return rivals
  }

  /** An unknown chain has no rivals, unless the table of chains is full and has forgotten some. */
  #mayHaveRivals(space: Space, { header: { author, epoch, seq } }: VerifiedDelta): boolean {
    const head = space.replica.chainHead(author, epoch)
    return head === undefined ? space.replica.chainCount >= LIMITS.authorHeadsMax : seq <= head.seq
  }

  /** All `deltas` are of one chain. One scan from the first to the last of them, unless too much lies between. */
  async #rivalsInChain(
    space: Space,
    deltas: readonly VerifiedDelta[],
    rivals: Map<DeltaId, readonly DeltaId[]>
  ): Promise<void> {
    const seqs = deltas.map((delta) => delta.header.seq)
    const rows = await this.#authorRows(space, deltas, Math.min(...seqs), Math.max(...seqs), RIVAL_ROWS_MAX)
    if (rows.length < RIVAL_ROWS_MAX || deltas.length === 1) {
      const bySeq = new Map<number, DeltaId[]>()
      for (const { seq, id } of rows) {
        const ids = bySeq.get(seq)
        if (ids === undefined) bySeq.set(seq, [id])
        else if (ids.length <= LIMITS.proofIdsMax) ids.push(id)
      }
      for (const { id, header } of deltas) rivals.set(id, bySeq.get(header.seq) ?? [])
      return
    }
    for (const delta of deltas) {
      const { seq } = delta.header
      const found = await this.#authorRows(space, [delta], seq, seq, LIMITS.proofIdsMax + 1)
      rivals.set(
        delta.id,
        found.map((row) => row.id)
      )
    }
  }

  async #authorRows(
    space: Space,
    [first]: readonly VerifiedDelta[],
    fromSeq: number,
    toSeq: number,
    limit: number
  ): Promise<{ seq: number; id: DeltaId }[]> {
    if (first === undefined) return []
    const { author, epoch } = first.header
    const gte = authorPrefix(space.id, author, epoch, fromSeq)
    const lt = prefixEnd(authorPrefix(space.id, author, epoch, toSeq))
    const rows = await this.#ports.store.scan('author', { gte, limit, ...(lt === undefined ? {} : { lt }) })
    return rows.map((row) => parseAuthorKey(row.key))
  }

  #publishStates(group: Group): void {
    for (const [space, records] of group.records) {
      for (const [id, record] of records) this.#ports.records.replace(space.id, id, record, group.durable)
    }
  }
}

/** Those of `rivals` that belong to held deltas of the space. */
function ofHeld(
  space: Space,
  rivals: ReadonlyMap<DeltaId, readonly DeltaId[]>
): ReadonlyMap<DeltaId, readonly DeltaId[]> {
  return new Map([...rivals].filter(([id]) => space.replica.holds(id)))
}

/** The first word counts: an input refused alone stays so, whatever happens to its group. */
function settle({ call, place }: Item, settled: Settled): void {
  if (call.settled[place] !== undefined) return
  call.settled[place] = settled
  if (--call.left === 0) call.done(call.settled)
}

function storageError(error: unknown): ChrysalisError {
  if (isChrysalisError(error)) return error
  return new ChrysalisError('unavailable', `the store refused a write: ${messageOf(error)}`, {
    hint: 'Nothing of this write was kept. See `chrysalis status` and the log.',
    cause: error
  })
}

/** What later writes are told, until the store is open again. A full disk keeps its own name: people know what to do. */
export function readOnly(failure: ChrysalisError): ChrysalisError {
  if (failure.code === 'disk_full') return failure
  return new ChrysalisError('read_only', `the daemon is read-only since the store failed: ${failure.message}`, {
    hint: 'Nothing was written. It tries to reopen the store by itself; see `chrysalis status`.',
    cause: failure
  })
}
