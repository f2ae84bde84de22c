/**
 * Two replicas reduced to what reconciliation sees of them, a set of keys and records found by key, and a wire between
 * their machines. What a machine asks of its store is answered at once or, with `shuffle`, in any order and as late as
 * the seed likes, while frames go on coming: machines must not care.
 */
import { createHash } from 'node:crypto'
import assert from 'node:assert/strict'
import { toHex, uintBytes } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { DeltaSet, type SetSnapshot } from '../../../src/sync/delta-set.ts'
import { decodeReconFrame, type Frame } from '../../../src/sync/recon-codec.ts'
import type {
  RecordReader,
  SessionAction,
  SessionBounds,
  SessionEvent,
  SessionOutcome
} from '../../../src/sync/recon-session.ts'
import type { RangeTreeView } from '../../../src/sync/range-tree.ts'
import { Initiator, Responder } from '../../../src/sync/reconciler.ts'

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

/** Reads the records of `recordOf`. */
export const reader: RecordReader = {
  ms: (record) => (record.length < 38 ? undefined : Number(`0x${toHex(record.subarray(0, 6))}`)),
  key: keyOf
}

/** Keys spread over a day that ended an hour ago. */
export function someKeys(seed: string, count: number, spreadMs = 86_400_000): Uint8Array[] {
  const random = new SeededRandom(seed)
  return Array.from({ length: count }, (_, i) => key(NOW_MS - 3_600_000 - random.below(spreadMs), `${seed}/${i}`))
}

export interface SideOptions {
  readonly nowMs?: number
  readonly settlingMs?: number
  readonly expectEqual?: boolean
  readonly prefix?: string
  readonly sketch?: boolean
  readonly bounds?: Partial<SessionBounds>
  /** A fixed one; else never the same. */
  readonly nonce?: Uint8Array
}

let nonces = 0

/** Another one each time, and the same ones again in the next run. */
function freshNonce(): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`nonce ${nonces++}`).digest()).subarray(0, 16)
}

export class Side {
  readonly set = new DeltaSet(hasher)
  readonly records = new Map<string, Uint8Array>()
  readonly #byShort = new Map<string, string[]>()

  constructor(keys: readonly Uint8Array[] = [], padding = 200) {
    for (const one of keys) this.add(recordOf(one, padding))
  }

  get tree(): DeltaSet['tree'] {
    return this.set.tree
  }

  snapshot(sketch = true): SetSnapshot {
    const snapshot = this.set.snapshot()
    return sketch ? snapshot : { tree: snapshot.tree, sketch: undefined }
  }

  add(record: Uint8Array): boolean {
    this.remember(record)
    return this.set.insert(keyOf(record) as Uint8Array)
  }

  /** Into the store, not into the set. */
  remember(record: Uint8Array): void {
    const own = toHex(keyOf(record) as Uint8Array)
    const short = own.slice(12, 28)
    if (!this.records.has(own)) this.#byShort.set(short, [...(this.#byShort.get(short) ?? []), own])
    this.records.set(own, record)
  }

  load(keys: readonly Uint8Array[]): Uint8Array[] {
    assert.ok(keys.length > 0 && keys.length <= LIMITS.reconLoadKeysMax)
    return keys.flatMap((one) => this.records.get(toHex(one)) ?? [])
  }

  loadShort(shorts: readonly Uint8Array[]): Uint8Array[] {
    assert.ok(shorts.length > 0 && shorts.length <= LIMITS.reconLoadKeysMax)
    return shorts.flatMap((short) =>
      (this.#byShort.get(toHex(short)) ?? []).slice(0, 4).flatMap((one) => this.records.get(one) ?? [])
    )
  }

  deliver(records: readonly Uint8Array[]): { accepted: number; known: number; refused: number } {
    const accepted = records.filter((record) => this.add(record)).length
    return { accepted, known: records.length - accepted, refused: 0 }
  }

  initiator(options: SideOptions = {}): Initiator {
    const { sketch, nonce, nowMs, ...rest } = options
    return new Initiator({
      space: SPACE,
      set: this.snapshot(sketch),
      hasher,
      records: reader,
      nonce: nonce ?? freshNonce(),
      nowMs: nowMs ?? NOW_MS,
      ...rest
    })
  }

  responder(options: SideOptions = {}): Responder {
    return new Responder({
      find: (space) => (space === SPACE ? this.snapshot(options.sketch) : undefined),
      hasher,
      records: reader,
      nonce: () => options.nonce ?? freshNonce(),
      nowMs: () => options.nowMs ?? NOW_MS,
      ...(options.bounds === undefined ? {} : { bounds: options.bounds })
    })
  }
}

/** What a liar shows: a set of 2^52 keys, with digests that are never twice the same, and none of them to be had. */
export function bottomless(): RangeTreeView {
  let next = 0
  const digest = (): Uint8Array => hasher.sha384(new Uint8Array([next >> 16, next >> 8, next++]))
  const fake: Pick<RangeTreeView, 'count' | 'countAt' | 'at' | 'branch' | 'list' | 'keysUnder' | 'has'> = {
    count: 2 ** 52,
    keysUnder: () => [],
    has: () => false,
    countAt: (prefix) => 16 ** Math.max(0, 13 - prefix.length),
    at: (prefix) => ({ count: fake.countAt(prefix), digest: digest() }),
    branch: (prefix) => ({
      prefix,
      children: Array.from({ length: 16 }, (_, digit) => {
        return { digit, count: fake.countAt(`${prefix}0`), digest: digest() }
      })
    }),
    list: () => digest().subarray(0, 38)
  }
  return fake as RangeTreeView
}

export interface Machine {
  handle(event: SessionEvent): SessionAction[]
}

/** What the store of `side` answers to an action that asks for something. */
export function answerOf(side: Side, action: SessionAction): SessionEvent | undefined {
  switch (action.action) {
    case 'load':
      return { event: 'loaded', token: action.token, records: side.load(action.keys) }
    case 'load-short':
      return { event: 'loaded', token: action.token, records: side.loadShort(action.shorts) }
    case 'deliver':
      return { event: 'delivered', token: action.token, result: side.deliver(action.records) }
    default:
      return undefined
  }
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
    else if (action.action === 'done') {
      assert.equal(outcome, undefined, 'the end comes once')
      outcome = action.outcome
    } else queue.push(...machine.handle(answerOf(side, action) as SessionEvent))
  }
  return { frames, outcome }
}

export interface SessionLog {
  readonly initiator: SessionOutcome
  readonly responder: SessionOutcome
  /** Names of all frames in order. */
  readonly frames: Frame['frame'][]
  /** All frames in order, as sent, and who sent them. */
  readonly bytes: Uint8Array[]
  readonly from: ('initiator' | 'responder')[]
}

export interface WireOptions extends SideOptions {
  /** Of the responder, when they differ. */
  readonly there?: SideOptions
  /** May replace a frame on the wire; undefined drops it. */
  readonly tamper?: (frame: Uint8Array, index: number) => Uint8Array | undefined
  /** Answers of the stores, and frames of the two directions, come in an order drawn from it. */
  readonly shuffle?: SeededRandom
}

interface Post {
  readonly to: 'initiator' | 'responder'
  readonly event: SessionEvent
  /** Posts of one lane arrive in order. */
  readonly lane: string
}

/** Runs one session to its end. */
export function session(near: Side, far: Side, options: WireOptions = {}): SessionLog {
  const ends = {
    initiator: {
      machine: near.initiator(options) as Machine,
      side: near,
      outcome: undefined as SessionOutcome | undefined
    },
    responder: {
      machine: far.responder({ ...options, ...options.there }) as Machine,
      side: far,
      outcome: undefined as SessionOutcome | undefined
    }
  }
  const frames: Frame['frame'][] = []
  const bytes: Uint8Array[] = []
  const from: SessionLog['from'] = []
  const posts: Post[] = [{ to: 'initiator', event: { event: 'start' }, lane: 'start' }]
  let answers = 0
  const take = (): Post | undefined => {
    if (options.shuffle === undefined) return posts.shift()
    const first = posts.filter((post, i) => posts.findIndex((other) => other.lane === post.lane) === i)
    const chosen = first[options.shuffle.below(Math.max(1, first.length))]
    return chosen === undefined ? undefined : posts.splice(posts.indexOf(chosen), 1)[0]
  }
  for (let post = take(); post !== undefined; post = take()) {
    const end = ends[post.to]
    const over = end.outcome !== undefined
    for (const action of end.machine.handle(post.event)) {
      assert.ok(!over, 'nothing is asked after the end')
      if (action.action === 'done') {
        assert.equal(end.outcome, undefined, 'the end comes once')
        end.outcome = action.outcome
      } else if (action.action === 'send') {
        assert.ok(action.frame.length <= LIMITS.reconFrameBytesMax, 'every frame is bounded')
        const decoded = decodeReconFrame(action.frame)
        assert.ok(decoded !== undefined, 'every frame decodes')
        frames.push(decoded.frame)
        bytes.push(action.frame)
        from.push(post.to)
        const sent = options.tamper === undefined ? action.frame : options.tamper(action.frame, frames.length - 1)
        const other = post.to === 'initiator' ? 'responder' : 'initiator'
        if (sent !== undefined) posts.push({ to: other, event: { event: 'frame', bytes: sent }, lane: `to ${other}` })
      } else {
        const event = answerOf(end.side, action) as SessionEvent
        posts.push({ to: post.to, event, lane: options.shuffle === undefined ? 'store' : `store ${answers++}` })
      }
    }
  }
  for (const end of Object.values(ends)) {
    if (end.outcome === undefined) {
      const done = end.machine.handle({ event: 'closed', reason: 'the wire fell silent' })[0]
      assert.ok(done?.action === 'done')
      end.outcome = done.outcome
    }
    assert.deepEqual(end.machine.handle({ event: 'start' }), [], 'after the end nothing happens')
    assert.ok(end.outcome.metadataBytes <= LIMITS.reconSessionMetadataBytesMax + LIMITS.reconFrameBytesMax)
    assert.ok(end.outcome.received <= LIMITS.reconSessionDeltasMax + LIMITS.reconFrameBytesMax / 39)
    assert.ok(end.outcome.sent <= LIMITS.reconSessionDeltasMax)
  }
  const { initiator, responder } = ends
  return {
    initiator: initiator.outcome as SessionOutcome,
    responder: responder.outcome as SessionOutcome,
    frames,
    bytes,
    from
  }
}
