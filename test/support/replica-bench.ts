/**
 * Replicas without an engine: a machine, the records it works on, and what its effects would have stored. Sealed deltas
 * of other authors come from `Author`, which keeps a chain as an honest daemon does but lets a test bend every field.
 */
import { compareText, toHex } from '../../src/base/bytes.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import type { VerifiedDelta } from '../../src/memory/delta.ts'
import type { DeltaId, Hlc, RecordId } from '../../src/memory/ids.ts'
import { rangeKey } from '../../src/memory/names.ts'
import type { Op } from '../../src/memory/ops.ts'
import { encodeRecord } from '../../src/memory/record-codec.ts'
import { emptyRecord, type RecordState } from '../../src/memory/record.ts'
import { sealDelta, type DeltaDraft } from '../../src/memory/seal.ts'
import type { Crypto } from '../../src/ports/crypto.ts'
import type { Effect, Input } from '../../src/sync/effect.ts'
import { Replica } from '../../src/sync/replica.ts'
import type { SpaceFacts } from '../../src/trust/admit.ts'
import { EPOCH, identity, note, SPACE } from './sealed.ts'

export const FACTS: SpaceFacts = { space: SPACE, policy: 'open', creator: toHex(identity(1).publicKey) }

/** Signs deltas one after the other. */
export class Author {
  readonly id: string
  readonly #crypto: Crypto
  readonly #epoch: string
  #seq = 0
  #prev: DeltaId | null = null

  constructor(byte: number, epoch = EPOCH) {
    this.#crypto = identity(byte)
    this.#epoch = epoch
    this.id = toHex(this.#crypto.publicKey)
  }

  /** The next delta of the chain. */
  write(hlc: Hlc, ops: readonly Op[] = note('hello'), parents: readonly DeltaId[] = []): VerifiedDelta {
    const delta = this.forge({ seq: this.#seq, prev: this.#prev, hlc, ops, parents })
    this.#seq++
    this.#prev = delta.id
    return delta
  }

  /** Any delta; the chain does not notice. */
  forge(changes: Partial<DeltaDraft>): VerifiedDelta {
    const draft = { space: SPACE, epoch: this.#epoch, seq: 0, prev: null, hlc: 0n, parents: [], ops: note('forged') }
    return sealDelta({ ...draft, ...changes }, this.#crypto)
  }
}

export interface Machine {
  readonly replica: Replica
  readonly records: Map<RecordId, RecordState>
  /** What the store would hold: admitted deltas by id. */
  readonly admitted: Map<DeltaId, VerifiedDelta>
  readonly held: Map<DeltaId, VerifiedDelta>
  write(nowMs: number, ops?: readonly Op[]): Effect[]
  receive(delta: VerifiedDelta, nowMs: number, via?: 'gossip' | 'recon', rivals?: readonly DeltaId[]): Effect[]
  tick(nowMs: number): Effect[]
}

export interface MachineOptions {
  readonly byte?: number
  readonly epoch?: string
  readonly facts?: SpaceFacts
  readonly random?: string
}

export function machine(options: MachineOptions = {}): Machine {
  const records = new Map<RecordId, RecordState>()
  const admitted = new Map<DeltaId, VerifiedDelta>()
  const held = new Map<DeltaId, VerifiedDelta>()
  const replica = new Replica(
    { facts: options.facts ?? FACTS, epoch: options.epoch ?? EPOCH },
    {
      crypto: identity(options.byte ?? 1),
      random: new SeededRandom(options.random ?? 'replica'),
      records: {
        take(id) {
          let record = records.get(id)
          if (record === undefined) records.set(id, (record = emptyRecord(id)))
          return record
        }
      }
    }
  )
  const apply = (input: Input, nowMs: number): Effect[] => {
    const effects = replica.handle(input, nowMs)
    for (const effect of effects) {
      if (effect.effect === 'admit') admitted.set(effect.delta.id, effect.delta)
      if (effect.effect === 'hold') held.set(effect.delta.id, effect.delta)
      if (effect.effect === 'release') held.delete(effect.delta.id)
    }
    return effects
  }
  return {
    replica,
    records,
    admitted,
    held,
    write: (nowMs, ops = note('own')) => apply({ input: 'write', ops }, nowMs),
    receive: (delta, nowMs, via = 'gossip', rivals = []) => apply({ input: 'delta', delta, via, rivals }, nowMs),
    tick: (nowMs) => apply({ input: 'tick' }, nowMs)
  }
}

/** Another machine on what the first one would have stored, as after a restart. */
export function restarted(before: Machine, options: MachineOptions = {}): Machine {
  const after = machine({ epoch: before.replica.epoch, ...options })
  let newest = 0n
  for (const delta of [...before.admitted.values()].sort((a, b) => compareText(a.id, b.id))) {
    after.replica.restoreKey(rangeKey(delta.header.hlc, delta.id))
    if (delta.header.hlc > newest) newest = delta.header.hlc
    const head = before.replica.chainHead(delta.header.author, delta.header.epoch)
    if (head !== undefined) after.replica.restoreChain(delta.header.author, delta.header.epoch, head.seq, head.id)
    after.admitted.set(delta.id, delta)
  }
  after.replica.restoreClock(newest)
  after.replica.restoreHeads(before.replica.headTimes())
  for (const delta of before.held.values()) {
    after.replica.restoreHeld(delta)
    after.held.set(delta.id, delta)
  }
  for (const [id, state] of before.records) after.records.set(id, state)
  return after
}

/** Kinds of effects, in order. */
export function kinds(effects: readonly Effect[]): string[] {
  return effects.map((effect) => effect.effect)
}

export function find<K extends Effect['effect']>(
  effects: readonly Effect[],
  kind: K
): Extract<Effect, { effect: K }> | undefined {
  return effects.find((effect): effect is Extract<Effect, { effect: K }> => effect.effect === kind)
}

/** Everything two replicas must agree on: the root, and the canonical bytes of every record. */
export function fingerprintOf(one: Machine): { root: string; records: Record<string, string> } {
  const records: Record<string, string> = {}
  for (const id of [...one.records.keys()].sort(compareText)) {
    records[id] = toHex(encodeRecord(one.records.get(id) as RecordState))
  }
  return { root: toHex(one.replica.tree.root()), records }
}
