/** Two replicas reduced to what reconciliation sees of them: a range tree and records found by key. */
import { createHash } from 'node:crypto'
import assert from 'node:assert/strict'
import { toHex, uintBytes } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { decodeReconFrame } from '../../../src/sync/recon-codec.ts'
import type { SessionAction, SessionEvent, SessionOutcome } from '../../../src/sync/recon-session.ts'
import { Initiator, Responder } from '../../../src/sync/reconciler.ts'
import { RangeTree } from '../../../src/sync/range-tree.ts'

export const SPACE = 'ab'.repeat(16)
export const NOW_MS = 1_800_000_000_000

export const hasher = {
  sha384: (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha384').update(bytes).digest())
}

/** A key dated `ms` whose id is the hash of `label`. */
export function key(ms: number, label: string): Uint8Array {
  const whole = new Uint8Array(38)
  whole.set(uintBytes(ms, 6))
  whole.set(createHash('sha256').update(label).digest(), 6)
  return whole
}

/** Records of these tests are their key and some padding, so that no codec stands between a test and its point. */
export function recordOf(bytes: Uint8Array, padding = 200): Uint8Array {
  const record = new Uint8Array(bytes.length + padding)
  record.set(bytes)
  return record
}

export function keyOf(record: Uint8Array): Uint8Array | undefined {
  return record.length < 38 ? undefined : record.slice(0, 38)
}

/** Keys spread over a day that ended an hour ago. */
export function someKeys(seed: string, count: number, spreadMs = 86_400_000): Uint8Array[] {
  const random = new SeededRandom(seed)
  return Array.from({ length: count }, (_, i) => key(NOW_MS - 3_600_000 - random.below(spreadMs), `${seed}/${i}`))
}

export class Side {
  readonly tree = new RangeTree(hasher)
  readonly records = new Map<string, Uint8Array>()

  constructor(keys: readonly Uint8Array[] = [], padding = 200) {
    for (const one of keys) this.add(recordOf(one, padding))
  }

  add(record: Uint8Array): boolean {
    const own = keyOf(record) as Uint8Array
    this.records.set(toHex(own), record)
    return this.tree.insert(own)
  }

  load(keys: readonly Uint8Array[]): Uint8Array[] {
    assert.ok(keys.length <= LIMITS.reconLoadKeysMax)
    return keys.flatMap((one) => this.records.get(toHex(one)) ?? [])
  }

  deliver(records: readonly Uint8Array[]): { accepted: number; known: number; refused: number } {
    const accepted = records.filter((record) => this.add(record)).length
    return { accepted, known: records.length - accepted, refused: 0 }
  }

  initiator(options: { nowMs?: number; settlingMs?: number } = {}): Initiator {
    return new Initiator({ space: SPACE, tree: this.tree.snapshot(), hasher, keyOf, nowMs: NOW_MS, ...options })
  }

  responder(): Responder {
    return new Responder({ find: (space) => (space === SPACE ? this.tree.snapshot() : undefined), keyOf })
  }
}

export interface Machine {
  handle(event: SessionEvent): SessionAction[]
}

/** Answers what a machine asks of its store; what is left is frames and the outcome. */
export function settle(
  machine: Machine,
  side: Side,
  event: SessionEvent
): { frames: Uint8Array[]; outcome: SessionOutcome | undefined } {
  const frames: Uint8Array[] = []
  let outcome: SessionOutcome | undefined
  const queue: SessionAction[] = machine.handle(event)
  for (let action = queue.shift(); action !== undefined; action = queue.shift()) {
    if (action.action === 'send') frames.push(action.frame)
    else if (action.action === 'load') {
      queue.push(...machine.handle({ event: 'loaded', records: side.load(action.keys) }))
    } else if (action.action === 'deliver') {
      queue.push(...machine.handle({ event: 'delivered', result: side.deliver(action.records) }))
    } else outcome = action.outcome
  }
  return { frames, outcome }
}

export interface SessionLog {
  readonly initiator: SessionOutcome
  readonly responder: SessionOutcome
  /** Names of all frames in order. */
  readonly frames: string[]
}

/** Runs one session to its end. `tamper` may replace a frame on the wire. */
export function session(
  from: Side,
  to: Side,
  options: { nowMs?: number; settlingMs?: number; tamper?: (frame: Uint8Array, index: number) => Uint8Array } = {}
): SessionLog {
  const initiator = from.initiator(options)
  const responder = to.responder()
  const ends: { initiator?: SessionOutcome | undefined; responder?: SessionOutcome | undefined } = {}
  const frames: string[] = []
  const wire: { to: 'initiator' | 'responder'; bytes: Uint8Array }[] = []
  const take = (at: 'initiator' | 'responder', event: SessionEvent): void => {
    const result = at === 'initiator' ? settle(initiator, from, event) : settle(responder, to, event)
    ends[at] ??= result.outcome
    for (const bytes of result.frames) {
      assert.ok(bytes.length <= LIMITS.reconFrameBytesMax, 'every frame is bounded')
      const decoded = decodeReconFrame(bytes)
      assert.ok(decoded.ok, 'every frame decodes')
      frames.push(decoded.value.frame)
      const tampered = options.tamper?.(bytes, frames.length - 1) ?? bytes
      wire.push({ to: at === 'initiator' ? 'responder' : 'initiator', bytes: tampered })
    }
  }
  take('initiator', { event: 'start' })
  for (let next = wire.shift(); next !== undefined; next = wire.shift()) {
    take(next.to, { event: 'frame', bytes: next.bytes })
  }
  const closed: SessionEvent = { event: 'closed', reason: 'the wire fell silent' }
  if (ends.initiator === undefined) take('initiator', closed)
  if (ends.responder === undefined) take('responder', closed)
  assert.ok(ends.initiator !== undefined && ends.responder !== undefined, 'both sides ended')
  for (const end of [ends.initiator, ends.responder]) {
    assert.ok(end.metadataBytes <= LIMITS.reconSessionMetadataBytesMax + LIMITS.reconFrameBytesMax)
    assert.ok(end.received + end.sent <= LIMITS.reconSessionDeltasMax)
  }
  return { initiator: ends.initiator, responder: ends.responder, frames }
}
