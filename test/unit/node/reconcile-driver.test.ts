import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeDelta } from '../../../src/memory/delta-codec.ts'
import { hlcOf } from '../../../src/memory/ids.ts'
import { rangeKey } from '../../../src/memory/names.ts'
import { sealDelta } from '../../../src/memory/seal.ts'
import { runInitiator, runResponder, type SessionPorts } from '../../../src/node/reconcile-driver.ts'
import type { Channel } from '../../../src/ports/network.ts'
import { RangeTree } from '../../../src/sync/range-tree.ts'
import { draft, identity, note, SPACE } from '../../support/sealed.ts'

const NOW_MS = 1_800_000_000_000

/** A clock whose only timer is fired by hand. */
class HandClock {
  fire: () => void = () => undefined
  cancelled = 0
  delayMs = 0
  nowMs = (): number => NOW_MS
  monotonicMs = (): number => 0
  setTimer(delayMs: number, action: () => void): () => void {
    this.delayMs = delayMs
    this.fire = action
    return () => {
      this.cancelled++
    }
  }
}

class End implements Channel {
  readonly peer = 'the other end'
  other: End | undefined
  readonly #inbox: (Uint8Array | undefined)[] = []
  #waiting: ((frame: Uint8Array | undefined) => void) | undefined
  closed = 0
  aborted: string | undefined

  send(frame: Uint8Array): Promise<void> {
    this.other?.take(frame)
    return Promise.resolve()
  }

  take(frame: Uint8Array | undefined): void {
    if (this.#waiting === undefined) this.#inbox.push(frame)
    else {
      this.#waiting(frame)
      this.#waiting = undefined
    }
  }

  receive(): Promise<Uint8Array | undefined> {
    if (this.#inbox.length > 0) return Promise.resolve(this.#inbox.shift())
    return new Promise((resolve) => {
      this.#waiting = resolve
    })
  }

  close(): Promise<void> {
    this.closed++
    this.other?.take(undefined)
    return Promise.resolve()
  }

  abort(reason: string): void {
    this.aborted = reason
    this.other?.take(undefined)
  }
}

function channel(): [End, End] {
  const [a, b] = [new End(), new End()]
  a.other = b
  b.other = a
  return [a, b]
}

/** Sealed deltas of one author. */
class Holder implements SessionPorts {
  readonly clock = new HandClock()
  readonly tree = new RangeTree(identity())
  readonly records = new Map<string, Uint8Array>()

  write(author: number, count: number, space = SPACE): this {
    for (let i = 0; i < count; i++) {
      const prev = i === 0 ? null : 'aa'.repeat(32)
      const hlc = hlcOf(1_700_000_000_000 + i * 1_000 + author)
      const delta = sealDelta(draft({ space, seq: i, prev, hlc, ops: note(`${author}/${i}`) }), identity(author))
      this.keep(encodeDelta(delta), rangeKey(delta.header.hlc, delta.id))
    }
    return this
  }

  keep(record: Uint8Array, key: Uint8Array): void {
    this.tree.insert(key)
    this.records.set(toHex(key), record)
  }

  load(keys: readonly Uint8Array[]): Promise<Uint8Array[]> {
    return Promise.resolve(keys.flatMap((key) => this.records.get(toHex(key)) ?? []))
  }

  delivered = 0

  deliver(records: readonly Uint8Array[]): Promise<{ accepted: number; known: number; refused: number }> {
    this.delivered += records.length
    return Promise.resolve({ accepted: records.length, known: 0, refused: 0 })
  }

  initiate(end: Channel): ReturnType<typeof runInitiator> {
    return runInitiator(end, { space: SPACE, tree: this.tree.snapshot(), hasher: identity() }, this)
  }

  respond(end: Channel): ReturnType<typeof runResponder> {
    const find = (space: string): ReturnType<RangeTree['snapshot']> | undefined =>
      space === SPACE ? this.tree.snapshot() : undefined
    return runResponder(end, { find, hasher: identity() }, this)
  }
}

suite('reconcile driver', () => {
  test('two daemons exchange sealed deltas and part politely', async () => {
    const [near, far] = channel()
    const [a, b] = [new Holder().write(1, 30), new Holder().write(2, 20)]
    const [ours, theirs] = await Promise.all([a.initiate(near), b.respond(far)])
    assert.deepEqual([ours.result, ours.received, ours.sent, ours.peerHoldsAll], ['repaired', 20, 30, true])
    assert.deepEqual([theirs.result, theirs.received, theirs.sent], ['repaired', 30, 20])
    assert.deepEqual([a.delivered, b.delivered], [20, 30])
    assert.deepEqual([near.closed, near.aborted, far.aborted], [1, undefined, undefined])
    assert.deepEqual([a.clock.cancelled, b.clock.cancelled], [1, 1])
    assert.equal(a.clock.delayMs, LIMITS.reconSessionMsMax)
  })

  test('a delta of another space is a violation, and the channel is aborted', async () => {
    const [near, far] = channel()
    const foreign = new Holder().write(3, 1, 'ee'.repeat(16))
    const [ours, theirs] = await Promise.all([new Holder().initiate(near), foreign.respond(far)])
    assert.equal(theirs.sent, 0, 'it does not even leave an honest daemon')
    assert.deepEqual([ours.result, ours.withheld], ['partial', 1])
    const [start, end] = channel()
    const liar = new Holder()
    const record = [...foreign.records.values()][0] as Uint8Array
    const session = new Holder().initiate(start)
    const { encodeReconFrame } = await import('../../../src/sync/recon-codec.ts')
    await end.send(encodeReconFrame({ frame: 'welcome', count: 1, root: liar.write(4, 1).tree.root() }))
    await end.send(encodeReconFrame({ frame: 'deltas', more: false, skipped: 0, records: [record] }))
    assert.equal((await session).violation, 'record')
    assert.match(start.aborted ?? '', /record/)
  })

  test('the deadline ends a silent session', async () => {
    const [near] = channel()
    const a = new Holder().write(1, 1)
    const session = a.initiate(near)
    a.clock.fire()
    const outcome = await session
    assert.deepEqual([outcome.result, outcome.peerHoldsAll], ['failed', false])
    assert.match(outcome.detail ?? '', /too long/)
    assert.notEqual(near.aborted, undefined)
  })

  test('a peer that hangs up early leaves a sentence, not an exception', async () => {
    const [near, far] = channel()
    const session = new Holder().initiate(near)
    await far.close()
    assert.match((await session).detail ?? '', /closed the channel/)
  })

  test('whatever breaks on this side becomes the outcome', async () => {
    for (const broken of ['load', 'deliver'] as const) {
      const [near, far] = channel()
      const [a, b] = [new Holder().write(1, 3), new Holder().write(2, 3)]
      const fail = (): Promise<never> => Promise.reject(new ChrysalisError('corrupt', 'a row is damaged'))
      if (broken === 'load') a.load = fail
      else a.deliver = fail
      const [ours, theirs] = await Promise.all([a.initiate(near), b.respond(far)])
      assert.equal(ours.detail, 'a row is damaged', broken)
      assert.notEqual(theirs.result, 'repaired')
    }
    const [near] = channel()
    near.send = () => Promise.reject(new ChrysalisError('unavailable', 'the line is dead'))
    assert.deepEqual([(await new Holder().initiate(near)).detail], ['the line is dead'])
  })

  test('counts that do not add up on this side end the session, not the daemon', async () => {
    const [near, far] = channel()
    const b = new Holder()
    b.deliver = () => Promise.resolve({ accepted: 0, known: 0, refused: 0 })
    const [, theirs] = await Promise.all([new Holder().write(1, 2).initiate(near), b.respond(far)])
    assert.match(theirs.detail ?? '', /accounted for/)
  })

  test('a farewell that does not get through takes nothing back', async () => {
    const [near, far] = channel()
    const a = new Holder().write(1, 2)
    const send = near.send.bind(near)
    near.send = (frame) => (frame.length === 3 ? Promise.reject(new Error('gone')) : send(frame))
    const [ours] = await Promise.all([a.initiate(near), new Holder().respond(far)])
    assert.deepEqual([ours.result, ours.peerHoldsAll], ['repaired', true])
  })
})
