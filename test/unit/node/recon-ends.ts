/** A channel of two ends in one process, a clock moved by hand, and somebody who holds sealed deltas. */
import assert from 'node:assert/strict'
import { toHex } from '../../../src/base/bytes.ts'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeDelta } from '../../../src/memory/delta-codec.ts'
import { hlcOf, type DeltaId } from '../../../src/memory/ids.ts'
import { rangeKey } from '../../../src/memory/names.ts'
import { sealDelta } from '../../../src/memory/seal.ts'
import {
  runInitiator,
  runResponder,
  type InitiatorSession,
  type SessionOutcome,
  type SessionPorts
} from '../../../src/node/reconcile-driver.ts'
import type { Channel } from '../../../src/ports/network.ts'
import { DeltaSet, type SetSnapshot } from '../../../src/sync/delta-set.ts'
import { decodeReconFrame, encodeReconFrame, type Frame } from '../../../src/sync/recon-codec.ts'
import { draft, identity, note, SPACE } from '../../support/sealed.ts'

export const NOW_MS = 1_800_000_000_000

/** A clock on which nothing happens until it is told to. */
export class HandClock {
  now = 0
  readonly timers = new Set<{ readonly atMs: number; readonly action: () => void }>()
  nowMs = (): number => NOW_MS
  monotonicMs = (): number => this.now
  setTimer(delayMs: number, action: () => void): () => void {
    const timer = { atMs: this.now + delayMs, action }
    this.timers.add(timer)
    return () => {
      this.timers.delete(timer)
    }
  }

  /** Lets time pass, and with it whatever is due, first things first. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.now + ms
    for (;;) {
      await settled()
      const due = [...this.timers].filter((timer) => timer.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (due === undefined) break
      this.now = due.atMs
      this.timers.delete(due)
      due.action()
    }
    this.now = untilMs
    await settled()
  }
}

/** Everything that can happen without time has happened. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

export class End implements Channel {
  readonly peer = 'the other end'
  other: End | undefined
  readonly #inbox: (Uint8Array | undefined)[] = []
  #waiting: { resolve: (frame: Uint8Array | undefined) => void; reject: (error: Error) => void } | undefined
  closed = 0
  aborted: string | undefined
  readonly sent: Uint8Array[] = []

  send(frame: Uint8Array): Promise<void> {
    if (this.aborted !== undefined) return Promise.reject(new ChrysalisError('unavailable', this.aborted))
    this.sent.push(frame)
    this.other?.take(frame)
    return Promise.resolve()
  }

  take(frame: Uint8Array | undefined): void {
    if (this.#waiting === undefined) this.#inbox.push(frame)
    else {
      this.#waiting.resolve(frame)
      this.#waiting = undefined
    }
  }

  get listening(): boolean {
    return this.#waiting !== undefined
  }

  receive(): Promise<Uint8Array | undefined> {
    assert.equal(this.#waiting, undefined, 'one reader')
    if (this.aborted !== undefined) return Promise.reject(new ChrysalisError('unavailable', this.aborted))
    if (this.#inbox.length > 0) return Promise.resolve(this.#inbox.shift())
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  close(): Promise<void> {
    if (this.closed++ === 0) this.other?.take(undefined)
    return Promise.resolve()
  }

  abort(reason: string): void {
    if (this.aborted !== undefined) return
    this.aborted = reason
    this.#waiting?.reject(new ChrysalisError('unavailable', reason))
    this.#waiting = undefined
    this.other?.abort(`the other end gave up: ${reason}`)
  }

  say(frame: Frame): Promise<void> {
    return this.send(encodeReconFrame(frame))
  }

  async hear(): Promise<Frame | undefined> {
    const bytes = await this.receive()
    return bytes === undefined ? undefined : decodeReconFrame(bytes)
  }
}

export function channel(): [End, End] {
  const [a, b] = [new End(), new End()]
  a.other = b
  b.other = a
  return [a, b]
}

/** Sealed deltas of a few authors. */
export class Holder implements SessionPorts {
  readonly clock = new HandClock()
  readonly set = new DeltaSet(identity())
  readonly records = new Map<string, Uint8Array>()
  readonly ids: DeltaId[] = []
  found: SetSnapshot | 'busy' | undefined

  write(author: number, count: number, space = SPACE, size = 10): this {
    for (let i = 0; i < count; i++) {
      const prev = i === 0 ? null : 'aa'.repeat(32)
      const hlc = hlcOf(1_700_000_000_000 + i * 1_000 + author)
      const ops = note(`${author}/${i}/`.padEnd(size, '.'))
      const delta = sealDelta(draft({ space, seq: i, prev, hlc, ops }), identity(author))
      this.set.insert(rangeKey(delta.header.hlc, delta.id))
      this.records.set(toHex(rangeKey(delta.header.hlc, delta.id)), encodeDelta(delta))
      this.ids.push(delta.id)
    }
    return this
  }

  load(keys: readonly Uint8Array[]): Promise<Uint8Array[]> {
    return Promise.resolve(keys.flatMap((key) => this.records.get(toHex(key)) ?? []))
  }

  loadShort(space: string, shorts: readonly Uint8Array[]): Promise<Uint8Array[]> {
    assert.equal(space, SPACE)
    assert.ok(shorts.length <= LIMITS.reconLoadKeysMax)
    const wanted = new Set(shorts.map(toHex))
    return Promise.resolve(
      [...this.records].flatMap(([key, record]) => (wanted.has(key.slice(12, 28)) ? [record] : []))
    )
  }

  delivered = 0

  deliver(records: readonly Uint8Array[]): Promise<{ accepted: number; known: number; refused: number }> {
    this.delivered += records.length
    return Promise.resolve({ accepted: records.length, known: 0, refused: 0 })
  }

  initiate(end: Channel, more: Partial<InitiatorSession> = {}): Promise<SessionOutcome> {
    const session = { space: SPACE, set: this.set.snapshot(), hasher: identity(), nonce: new Uint8Array(16).fill(1) }
    return runInitiator(end, { ...session, ...more }, this)
  }

  respond(end: Channel): Promise<SessionOutcome | undefined> {
    this.found = this.set.snapshot()
    return this.answer(end)
  }

  answer(end: Channel): Promise<SessionOutcome | undefined> {
    const find = (space: string): SetSnapshot | 'busy' | undefined => (space === SPACE ? this.found : undefined)
    return runResponder(end, { find, hasher: identity(), nonce: () => new Uint8Array(16).fill(2) }, this)
  }

  /** Nothing waits for this clock any more. */
  leftNothing(...ends: End[]): void {
    assert.equal(this.clock.timers.size, 0, 'no timer is left')
    for (const end of ends)
      assert.ok(!end.listening && (end.closed > 0 || end.aborted !== undefined), 'the channel is left')
  }
}
