/**
 * One replica of one space: the single door through which every delta enters, whether written here, gossiped, fetched
 * by reconciliation or held back until due. A pure machine: `handle(input, nowMs)` changes the state in memory and
 * says what must be done in the world; time arrives as an argument, chance and keys as ports.
 *
 * Invariants, each with the test that guards it (test/unit/sync/replica.test.ts, test/property/replica.test.ts):
 *   1. The set of admitted deltas only grows, and the records are a function of that set alone.
 *   2. A delta is applied at most once, however often and by whatever way it arrives.
 *   3. Own (epoch, seq) are contiguous and never used twice; own times strictly increase and exceed all times seen.
 *   4. A delta dated more than LIMITS.clockLeadMsMax ahead is held: it is in no tree, no record, and moves no clock.
 *   5. Nothing is refused for a reason that another honest daemon would not compute alike, capacity excepted, and then
 *      the delta is simply not here yet: reconciliation will bring it again.
 *
 * It does not read the store: records come from the RecordSource the caller filled beforehand (see `touches`).
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { compareText, fromHex, toHex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { createHybridClock, type HybridClock } from '../crdt/hybrid-clock.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import { hlcMs, type AuthorId, type DeltaId, type Epoch, type Hlc, type RecordId, type SpaceId } from '../memory/ids.ts'
import { rangeKey, recordIdOfKey, resolveTarget } from '../memory/names.ts'
import type { Op } from '../memory/ops.ts'
import { applyOp, type RecordState } from '../memory/record.ts'
import { sealDelta } from '../memory/seal.ts'
import type { Hasher, Signer } from '../ports/crypto.ts'
import type { Random } from '../ports/random.ts'
import { admit, type SpaceFacts } from '../trust/admit.ts'
import { deriveEquivocation } from '../trust/equivocation.ts'
import { DeltaSet } from './delta-set.ts'
import type { Effect, Input } from './effect.ts'
import type { RangeTree } from './range-tree.ts'

/** Record states fetched before `handle`, owned by the machine until the group is stored. */
export interface RecordSource {
  /** The state of the record, an empty one when there is none. Always the same object within one group. */
  take(id: RecordId): RecordState
}

export interface ReplicaOptions {
  readonly facts: SpaceFacts
  /** The epoch to write under; drawn by the caller after judging the sentinel. */
  readonly epoch: Epoch
}

export interface ReplicaPorts {
  readonly crypto: Hasher & Signer
  readonly random: Random
  readonly records: RecordSource
}

interface ChainHead {
  readonly seq: number
  readonly id: DeltaId
}

/** Causal heads kept as candidate parents; only eight are ever cited. */
const HEADS_MAX = 64
const RECENT_CHAIN_MAX = 4_096
const CITED_MAX = 10_000

export class Replica {
  readonly space: SpaceId
  readonly author: AuthorId
  readonly #facts: SpaceFacts
  readonly #ports: ReplicaPorts
  readonly #clock: HybridClock
  /** `${author}:${epoch}` → the highest sequence number seen. */
  readonly #chains = new BoundedMap<string, ChainHead>(LIMITS.authorHeadsMax)
  /** Recently admitted `${author}:${epoch}:${seq}` → ids, for rivals that arrive within one group. */
  readonly #recentChain = new BoundedMap<string, readonly DeltaId[]>(RECENT_CHAIN_MAX)
  /** Admitted deltas that nobody cites yet → their time. */
  readonly #heads = new Map<DeltaId, Hlc>()
  /** Cited before they arrived: no heads once they do. */
  readonly #cited = new BoundedMap<DeltaId, true>(CITED_MAX)
  readonly #held = new Map<DeltaId, VerifiedDelta>()
  #set: DeltaSet
  #epoch: Epoch
  #own: ChainHead | undefined

  constructor(options: ReplicaOptions, ports: ReplicaPorts) {
    this.space = options.facts.space
    this.author = toHex(ports.crypto.publicKey)
    this.#facts = options.facts
    this.#ports = ports
    this.#epoch = options.epoch
    this.#clock = createHybridClock(LIMITS.clockLeadMsMax)
    // A private space is compared with nobody.
    this.#set = new DeltaSet(ports.crypto, options.facts.policy === 'private' ? { sketch: null } : {})
  }

  /** What was admitted. */
  get set(): DeltaSet {
    return this.#set
  }

  get tree(): RangeTree {
    return this.#set.tree
  }

  get epoch(): Epoch {
    return this.#epoch
  }

  /** Own newest delta of the current epoch. */
  get ownHead(): { epoch: Epoch; seq: number; id: DeltaId } | null {
    return this.#own === undefined ? null : { epoch: this.#epoch, ...this.#own }
  }

  get heldCount(): number {
    return this.#held.size
  }

  get chainCount(): number {
    return this.#chains.size
  }

  /** The newest delta of every chain that is known, as `author:epoch` and its head. */
  chainHeads(): IterableIterator<[string, ChainHead]> {
    return this.#chains.entries()
  }

  authors(): Set<AuthorId> {
    const authors = new Set<AuthorId>()
    for (const [chain] of this.#chains.entries()) authors.add(chain.slice(0, 64))
    return authors
  }

  heads(): readonly DeltaId[] {
    return [...this.#heads.keys()]
  }

  chainHead(author: AuthorId, epoch: Epoch): ChainHead | undefined {
    return this.#chains.get(`${author}:${epoch}`)
  }

  has(hlc: Hlc, id: DeltaId): boolean {
    return this.tree.has(rangeKey(hlc, id))
  }

  holds(id: DeltaId): boolean {
    return this.#held.has(id)
  }

  /** When the next held delta falls due, in wall milliseconds. */
  nextDueMs(): number | undefined {
    let due: number | undefined
    for (const delta of this.#held.values()) {
      const ms = hlcMs(delta.header.hlc) - LIMITS.clockLeadMsMax
      if (due === undefined || ms < due) due = ms
    }
    return due
  }

  // --- restart: the same state again, from rows. Order does not matter.

  restoreKey(key: Uint8Array): void {
    this.#set.insert(key)
  }

  /** The whole set at once, in place of key by key. */
  restoreSet(set: DeltaSet): void {
    this.#set = set
  }

  restoreChain(author: AuthorId, epoch: Epoch, seq: number, id: DeltaId): void {
    this.#chains.set(`${author}:${epoch}`, { seq, id })
    if (author === this.author && epoch === this.#epoch) this.#own = { seq, id }
  }

  restoreHeads(heads: readonly { id: DeltaId; hlc: Hlc }[]): void {
    for (const head of heads) this.#heads.set(head.id, head.hlc)
  }

  restoreHeld(delta: VerifiedDelta): void {
    this.#held.set(delta.id, delta)
  }

  /** The latest time seen, so that own times go on increasing. */
  restoreClock(hlc: Hlc): void {
    this.#clock.restore(hlc)
  }

  headTimes(): readonly { id: DeltaId; hlc: Hlc }[] {
    return [...this.#heads].map(([id, hlc]) => ({ id, hlc }))
  }

  /** Records whose state must be in the RecordSource before `handle` is called with this input; added to `ids`. */
  touches(input: Input, ids = new Set<RecordId>()): Set<RecordId> {
    if (input.input === 'write') {
      for (const op of input.ops) {
        if (op.op === 'unknown') continue
        // A record that this very delta creates by ordinal cannot exist yet.
        if (op.target.by === 'id') ids.add(op.target.id)
        if (op.target.by === 'key') ids.add(recordIdOfKey(this.#ports.crypto, this.space, op.target.key))
      }
    } else if (input.input === 'delta') {
      this.#touchedBy(input.delta, ids)
    } else {
      for (const delta of this.#held.values()) this.#touchedBy(delta, ids)
    }
    return ids
  }

  #touchedBy(delta: VerifiedDelta, ids: Set<RecordId>): void {
    for (const op of delta.ops) {
      if (op.op !== 'unknown') ids.add(resolveTarget(this.#ports.crypto, this.space, delta.id, op.target))
    }
  }

  /** The one door. */
  handle(input: Input, nowMs: number): Effect[] {
    switch (input.input) {
      case 'write':
        return this.#write(input.ops, nowMs)
      case 'delta':
        return this.#receive(input, nowMs)
      case 'tick':
        return this.#releaseDue(nowMs, input.rivals)
    }
  }

  #write(ops: readonly Op[], nowMs: number): Effect[] {
    const delta = sealDelta(
      {
        space: this.space,
        epoch: this.#epoch,
        seq: this.#own === undefined ? 0 : this.#own.seq + 1,
        prev: this.#own?.id ?? null,
        hlc: this.#clock.tick(nowMs),
        parents: this.#chooseParents(),
        ops
      },
      this.#ports.crypto
    )
    const effects: Effect[] = []
    this.#admit(delta, 'write', [], effects)
    effects.push({ effect: 'announce', delta, own: true })
    return effects
  }

  /** The newest heads, own previous delta excluded (it is cited by `prev`). */
  #chooseParents(): DeltaId[] {
    const candidates = [...this.#heads].filter(([id]) => id !== this.#own?.id)
    if (candidates.length > LIMITS.deltaParentsMax) {
      candidates.sort((a, b) => (a[1] === b[1] ? compareText(a[0], b[0]) : a[1] < b[1] ? 1 : -1))
    }
    return candidates
      .slice(0, LIMITS.deltaParentsMax)
      .map(([id]) => id)
      .sort(compareText)
  }

  #receive(input: Input & { input: 'delta' }, nowMs: number): Effect[] {
    const { delta, via } = input
    const { header } = delta
    if (this.has(header.hlc, delta.id) || this.#held.has(delta.id)) return []
    const verdict = admit(header, this.#facts)
    if (!verdict.ok) {
      return [{ effect: 'refuse', delta: delta.id, author: header.author, reason: verdict.reason }]
    }
    if (hlcMs(header.hlc) > nowMs + LIMITS.clockLeadMsMax) return this.#hold(delta)
    const effects: Effect[] = []
    this.#admitForeign(delta, via, input.rivals, nowMs, effects)
    // Gossip forwards by itself what it delivered. What reconciliation recovered is announced again while others may
    // still be missing it for the same reason; a newcomer's whole catch-up is old news to everyone.
    const isNews = hlcMs(header.hlc) > nowMs - LIMITS.reannounceAgeMsMax
    if (via === 'recon' && isNews) effects.push({ effect: 'announce', delta, own: false })
    return effects
  }

  #admitForeign(
    delta: VerifiedDelta,
    via: 'gossip' | 'recon' | 'held',
    rivals: readonly DeltaId[],
    nowMs: number,
    effects: Effect[]
  ): void {
    const { header } = delta
    this.#clock.observe(header.hlc, nowMs)
    this.#admit(delta, via, rivals, effects)
    if (header.author === this.author && header.epoch === this.#epoch) {
      // Our signature under our epoch, on a delta this log does not have: never write under that epoch again.
      this.startEpoch(toHex(this.#ports.random.bytes(8)))
      effects.push({ effect: 'epoch', epoch: this.#epoch, because: delta.id })
    }
  }

  startEpoch(epoch: Epoch): void {
    this.#epoch = epoch
    this.#own = undefined
  }

  #hold(delta: VerifiedDelta): Effect[] {
    const effects: Effect[] = []
    if (this.#held.size >= LIMITS.pendingDeltasMax) {
      let latest = delta
      for (const held of this.#held.values()) if (held.header.hlc > latest.header.hlc) latest = held
      effects.push({ effect: 'refuse', delta: latest.id, author: latest.header.author, reason: 'pending-full' })
      if (latest === delta) return effects
      this.#held.delete(latest.id)
      effects.push({ effect: 'release', delta: latest })
    }
    this.#held.set(delta.id, delta)
    effects.push({ effect: 'hold', delta })
    return effects
  }

  /** Held deltas that may be admitted at `nowMs`, in no order. */
  heldDue(nowMs: number): VerifiedDelta[] {
    return [...this.#held.values()].filter((delta) => hlcMs(delta.header.hlc) <= nowMs + LIMITS.clockLeadMsMax)
  }

  #releaseDue(nowMs: number, rivals: ReadonlyMap<DeltaId, readonly DeltaId[]> = new Map()): Effect[] {
    const due = this.heldDue(nowMs)
    due.sort((a, b) => (a.header.hlc === b.header.hlc ? compareText(a.id, b.id) : a.header.hlc < b.header.hlc ? -1 : 1))
    const effects: Effect[] = []
    for (const delta of due) {
      this.#held.delete(delta.id)
      effects.push({ effect: 'release', delta })
      this.#admitForeign(delta, 'held', rivals.get(delta.id) ?? [], nowMs, effects)
      effects.push({ effect: 'announce', delta, own: false })
    }
    return effects
  }

  #admit(
    delta: VerifiedDelta,
    via: 'gossip' | 'recon' | 'write' | 'held',
    rivals: readonly DeltaId[],
    effects: Effect[]
  ): void {
    const { header } = delta
    this.#set.insert(rangeKey(header.hlc, delta.id))
    this.#linkHeads(delta)
    this.#advanceChain(delta, rivals, effects)

    const touched = new Map<RecordId, RecordState>()
    delta.ops.forEach((op, index) => {
      if (op.op === 'unknown') return
      const id = resolveTarget(this.#ports.crypto, this.space, delta.id, op.target)
      const record = touched.get(id) ?? this.#ports.records.take(id)
      touched.set(id, record)
      applyOp(record, op, { hlc: header.hlc, author: header.author, delta: delta.id, index }, header.epoch)
    })
    const own = header.author === this.author
    effects.push({ effect: 'admit', delta, records: [...touched.keys()], own: via === 'write' && own, via })
    for (const [id, state] of touched) effects.push({ effect: 'record', id, state })
  }

  #advanceChain(delta: VerifiedDelta, rivals: readonly DeltaId[], effects: Effect[]): void {
    const { author, epoch, seq } = delta.header
    const chain = `${author}:${epoch}`
    const place = `${chain}:${seq}`
    const proof = deriveEquivocation([...rivals, ...(this.#recentChain.get(place) ?? [])], delta)
    if (proof !== undefined) effects.push({ effect: 'proof', proof })
    this.#recentChain.set(place, proof?.ids ?? [delta.id])
    const head = this.#chains.get(chain)
    if (head === undefined || seq > head.seq) this.#chains.set(chain, { seq, id: delta.id })
    if (author === this.author && epoch === this.#epoch && seq > (this.#own?.seq ?? -1)) {
      this.#own = { seq, id: delta.id }
    }
  }

  #linkHeads(delta: VerifiedDelta): void {
    const { prev, parents, hlc } = delta.header
    for (const id of prev === null ? parents : [prev, ...parents]) {
      if (!this.#heads.delete(id)) this.#cited.set(id, true)
    }
    if (this.#cited.delete(delta.id)) return
    this.#heads.set(delta.id, hlc)
    if (this.#heads.size > HEADS_MAX) {
      let oldest: DeltaId | undefined
      let oldestTime: Hlc | undefined
      for (const [id, time] of this.#heads) {
        if (oldestTime === undefined || time < oldestTime) [oldest, oldestTime] = [id, time]
      }
      if (oldest !== undefined) this.#heads.delete(oldest)
    }
  }
}

/** The range key of a delta as text: what Maps and logs use. */
export function rangeKeyText(hlc: Hlc, id: DeltaId): string {
  return toHex(rangeKey(hlc, id))
}

/** Splits a 38-byte range key into wall milliseconds and delta id. */
export function splitRangeKey(key: Uint8Array): { ms: number; id: DeltaId } {
  let ms = 0
  for (let i = 0; i < 6; i++) ms = ms * 256 + (key[i] as number)
  return { ms, id: toHex(key.subarray(6, 38)) }
}

/** 38 bytes from wall milliseconds and id. */
export function joinRangeKey(ms: number, id: DeltaId): Uint8Array {
  const key = new Uint8Array(38)
  let rest = ms
  for (let i = 5; i >= 0; i--) {
    key[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  key.set(fromHex(id), 6)
  return key
}
