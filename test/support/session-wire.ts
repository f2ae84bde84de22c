/**
 * Two reconciliation machines on one wire, without a network: frames are handed over in order, the stores answer at once,
 * and everything is counted. Sets may be of real deltas, or of crafted keys whose records are the key and some padding,
 * so that a test can choose ids that nobody could hash.
 */
import assert from 'node:assert/strict'
import { toHex } from '../../src/base/bytes.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { Hasher } from '../../src/ports/crypto.ts'
import type { DeltaSet, SetSnapshot } from '../../src/sync/delta-set.ts'
import { rangeKeyMs, RANGE_KEY_BYTES } from '../../src/sync/range-nodes.ts'
import { decodeReconFrame } from '../../src/sync/recon-codec.ts'
import type {
  Delivered,
  RecordReader,
  SessionAction,
  SessionEvent,
  SessionOutcome
} from '../../src/sync/recon-session.ts'
import { Initiator, Responder } from '../../src/sync/reconciler.ts'

export const WIRE_SPACE = 'ab'.repeat(16)

/** What a machine needs of the world. */
export interface Shelf {
  load(keys: readonly Uint8Array[]): Uint8Array[]
  loadShort(shorts: readonly Uint8Array[]): Uint8Array[]
  deliver(records: readonly Uint8Array[]): Delivered
}

/** Records that begin with their own key. */
export const keyReader: RecordReader = {
  ms: (record) => (record.length < RANGE_KEY_BYTES ? undefined : rangeKeyMs(record)),
  key: (record) => (record.length < RANGE_KEY_BYTES ? undefined : record.slice(0, RANGE_KEY_BYTES))
}

const SHORT_AT = 6
const SHORT_BYTES = 8
const PER_SHORT_MAX = 4

/** Records by key and by short id. What is delivered is kept apart until `take`: a session compares snapshots. */
export class KeyShelf implements Shelf {
  readonly #records = new Map<string, Uint8Array>()
  readonly #byShort = new Map<string, string[]>()
  readonly delivered: Uint8Array[] = []

  put(key: Uint8Array, record: Uint8Array): void {
    const name = toHex(key)
    if (this.#records.has(name)) return
    this.#records.set(name, record)
    const short = toHex(key.subarray(SHORT_AT, SHORT_AT + SHORT_BYTES))
    this.#byShort.set(short, [...(this.#byShort.get(short) ?? []), name])
  }

  load(keys: readonly Uint8Array[]): Uint8Array[] {
    assert.ok(keys.length <= LIMITS.reconLoadKeysMax, 'loads are bounded')
    return keys.flatMap((key) => this.#records.get(toHex(key)) ?? [])
  }

  loadShort(shorts: readonly Uint8Array[]): Uint8Array[] {
    assert.ok(shorts.length <= LIMITS.reconLoadKeysMax, 'loads are bounded')
    return shorts.flatMap((short) =>
      (this.#byShort.get(toHex(short)) ?? []).slice(0, PER_SHORT_MAX).flatMap((name) => this.#records.get(name) ?? [])
    )
  }

  deliver(records: readonly Uint8Array[]): Delivered {
    this.delivered.push(...records)
    return { accepted: records.length, known: 0, refused: 0 }
  }
}

export interface WireOptions {
  readonly hasher: Hasher
  readonly records: RecordReader
  readonly nowMs: number
  /** A label for the nonces of both sides: sessions with the same one have the same salt. */
  readonly salt: string
  readonly space?: string
  readonly settlingMs?: number
  readonly expectEqual?: boolean
  /** May put something else in the place of a frame; `code` is its first byte. */
  readonly tamper?: (frame: Uint8Array, from: Role) => Uint8Array
}

export type Role = 'initiator' | 'responder'

/** One session, as seen from the wire. */
export interface WireLog {
  readonly initiator: SessionOutcome
  readonly responder: SessionOutcome
  /** Codes of all frames in order. */
  readonly codes: readonly number[]
  /** Bytes of all frames both ways but for the delta records themselves: for finding, and for moving, what differs. */
  readonly compareBytes: number
  readonly transferBytes: number
  /** Changes of direction in the comparison, halved and rounded up. */
  readonly roundTrips: number
  /** Processor time of both machines together. */
  readonly compareCpuMs: number
  readonly transferCpuMs: number
}

const DELTAS_CODE = 9
const ACK_CODE = 10

export function isTransferFrame(frame: Uint8Array): boolean {
  return frame[0] === DELTAS_CODE || frame[0] === ACK_CODE
}

/** Runs one session to its end on both sides. */
export function wireSession(
  near: { readonly set: SetSnapshot; readonly shelf: Shelf },
  far: { readonly set: SetSnapshot; readonly shelf: Shelf },
  options: WireOptions
): WireLog {
  const { hasher, records, nowMs, salt, settlingMs, expectEqual } = options
  const space = options.space ?? WIRE_SPACE
  const nonceOf = (role: Role): Uint8Array => hasher.sha384(new TextEncoder().encode(`${role}/${salt}`)).slice(0, 16)
  const initiator = new Initiator({
    space,
    set: near.set,
    hasher,
    records,
    nonce: nonceOf('initiator'),
    nowMs,
    ...(settlingMs === undefined ? {} : { settlingMs }),
    ...(expectEqual === undefined ? {} : { expectEqual })
  })
  const responder = new Responder({
    hasher,
    records,
    find: (wanted) => (wanted === space ? far.set : undefined),
    nonce: () => nonceOf('responder'),
    nowMs: () => nowMs
  })
  const log = new Books()
  const ends: { [R in Role]?: SessionOutcome } = {}
  const queue: { readonly to: Role; readonly bytes: Uint8Array }[] = []

  const take = (role: Role, first: SessionEvent): void => {
    const machine = role === 'initiator' ? initiator : responder
    const shelf = role === 'initiator' ? near.shelf : far.shelf
    const actions = log.time(first, () => machine.handle(first))
    for (let action = actions.shift(); action !== undefined; action = actions.shift()) {
      if (action.action === 'done') ends[role] ??= action.outcome
      else if (action.action === 'send') {
        const bytes = options.tamper?.(action.frame, role) ?? action.frame
        log.frame(bytes, role)
        queue.push({ to: role === 'initiator' ? 'responder' : 'initiator', bytes })
      } else {
        const event = answered(action, shelf)
        actions.push(...log.time(event, () => machine.handle(event)))
      }
    }
  }

  take('initiator', { event: 'start' })
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    take(next.to, { event: 'frame', bytes: next.bytes })
  }
  for (const role of ['initiator', 'responder'] as const) {
    if (ends[role] === undefined) take(role, { event: 'closed', reason: 'the wire fell silent' })
  }
  assert.ok(ends.initiator !== undefined && ends.responder !== undefined, 'both sides came to an end')
  return { initiator: ends.initiator, responder: ends.responder, ...log.figures() }
}

/** What the store answers to anything but a frame or the end. */
export function answered(action: Exclude<SessionAction, { action: 'send' | 'done' }>, shelf: Shelf): SessionEvent {
  const { token } = action
  switch (action.action) {
    case 'load':
      return { event: 'loaded', token, records: shelf.load(action.keys) }
    case 'load-short':
      return { event: 'loaded', token, records: shelf.loadShort(action.shorts) }
    case 'deliver':
      return { event: 'delivered', token, result: shelf.deliver(action.records) }
  }
}

class Books {
  readonly #codes: number[] = []
  #compareBytes = 0
  #transferBytes = 0
  #flights = 0
  #lastFrom: Role | undefined = undefined
  #compareCpuMs = 0
  #transferCpuMs = 0

  frame(bytes: Uint8Array, from: Role): void {
    assert.ok(bytes.length <= LIMITS.reconFrameBytesMax, 'every frame is bounded')
    this.#codes.push(bytes[0] ?? -1)
    if (isTransferFrame(bytes)) {
      const page = decodeReconFrame(bytes)
      const records = page?.frame === 'deltas' ? page.records : []
      this.#transferBytes += bytes.length - records.reduce((sum, record) => sum + record.length, 0)
      return
    }
    this.#compareBytes += bytes.length
    if (from !== this.#lastFrom) this.#flights++
    this.#lastFrom = from
  }

  time<T>(event: SessionEvent, act: () => T): T {
    const started = process.cpuUsage()
    const result = act()
    const { user, system } = process.cpuUsage(started)
    const ms = (user + system) / 1_000
    if (event.event === 'start' || (event.event === 'frame' && !isTransferFrame(event.bytes))) this.#compareCpuMs += ms
    else this.#transferCpuMs += ms
    return result
  }

  figures(): Omit<WireLog, Role> {
    return {
      codes: this.#codes,
      compareBytes: this.#compareBytes,
      transferBytes: this.#transferBytes,
      roundTrips: Math.ceil(this.#flights / 2),
      compareCpuMs: this.#compareCpuMs,
      transferCpuMs: this.#transferCpuMs
    }
  }
}

/** Adds a crafted key to a set, and its record to the shelf. */
export function addKey(set: DeltaSet, shelf: KeyShelf, key: Uint8Array, padding = 200): void {
  set.insert(key)
  const record = new Uint8Array(key.length + padding)
  record.set(key)
  shelf.put(key, record)
}
