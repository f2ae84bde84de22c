/** Sessions over a channel: who waits for whom, what breaks, and that nothing is left behind. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { SPACE } from '../../support/sealed.ts'
import { channel, Holder, NOW_MS, settled } from './recon-ends.ts'

suite('sessions over a channel', () => {
  test('two daemons exchange sealed deltas and part politely', async () => {
    const [near, far] = channel()
    const [a, b] = [new Holder().write(1, 130), new Holder().write(2, 20)]
    const [ours, theirs] = await Promise.all([a.initiate(near), b.respond(far)])
    assert.deepEqual([ours.result, ours.received, ours.sent, ours.peerHoldsAll], ['repaired', 20, 130, true])
    assert.deepEqual([theirs?.result, theirs?.received, theirs?.sent], ['repaired', 130, 20])
    assert.deepEqual([a.delivered, b.delivered], [20, 130])
    assert.deepEqual([near.aborted, far.aborted], [undefined, undefined])
    a.leftNothing(near)
    b.leftNothing(far)
  })

  test('differences found by a sketch are loaded by their short ids', async () => {
    const [near, far] = channel()
    const [a, b] = [new Holder().write(1, 200), new Holder().write(1, 200).write(2, 3)]
    const [ours, theirs] = await Promise.all([a.initiate(near), b.respond(far)])
    assert.deepEqual([ours.method, ours.result, ours.received], ['sketch', 'repaired', 3])
    assert.equal(theirs?.lacked.length, 3)
    a.leftNothing(near)
    b.leftNothing(far)
  })

  test('equal sets, a busy peer and a stranger part politely as well', async () => {
    for (const [found, result, refusal] of [
      [undefined, 'failed', 'unknown-space'],
      ['busy', 'failed', 'busy'],
      ['set', 'equal', undefined]
    ] as const) {
      const [near, far] = channel()
      const [a, b] = [new Holder().write(1, 3), new Holder().write(1, 3)]
      b.found = found === 'set' ? b.set.snapshot() : found
      const [ours, theirs] = await Promise.all([a.initiate(near), b.answer(far)])
      for (const end of [ours, theirs]) assert.deepEqual([end?.result, end?.refusal], [result, refusal])
      assert.deepEqual([near.aborted, far.aborted, near.closed, far.closed], [undefined, undefined, 1, 1])
      a.leftNothing(near)
      b.leftNothing(far)
    }
  })

  test('pages are delivered while the one before is being stored, in order, and four at most', async () => {
    const [near, far] = channel()
    const [a, b] = [new Holder(), new Holder().write(1, 60, SPACE, 40_000)]
    const open: (() => void)[] = []
    let [inFlight, most] = [0, 0]
    const order: number[] = []
    a.deliver = async (records) => {
      order.push(records.length)
      most = Math.max(most, ++inFlight)
      await new Promise<void>((resolve) => open.push(resolve))
      inFlight--
      return { accepted: records.length, known: 0, refused: 0 }
    }
    const ends = Promise.all([a.initiate(near), b.respond(far)])
    for (let i = 0; i < 40; i++) {
      await settled()
      // The newest first: acknowledgements have to wait for the oldest all the same.
      open.pop()?.()
    }
    const [ours, theirs] = await ends
    assert.deepEqual([ours.result, ours.accepted, theirs?.taken], ['repaired', 60, 60])
    assert.equal(most, LIMITS.reconWindowPagesMax)
    assert.ok(order.length > 8)
  })

  test('a record of another space is a violation, and the channel is given up', async () => {
    const [near, far] = channel()
    const liar = new Holder().write(3, 1, 'ee'.repeat(16))
    const a = new Holder()
    const session = a.initiate(near)
    await far.hear()
    const greeting = { count: 1, nowMs: NOW_MS }
    const body = new Uint8Array([1, 1, 2, 3, 4, 5, 6])
    await far.say({ frame: 'tree', greeting, nonce: new Uint8Array(16), estimate: 0, body })
    await far.say({ frame: 'deltas', last: true, cut: false, skipped: 0, records: [...liar.records.values()] })
    assert.equal((await session).violation, 'record')
    assert.match(near.aborted ?? '', /record/)
    assert.equal(a.delivered, 0)
    a.leftNothing(near)
  })

  test('a silent peer is given up when nothing has moved for the still time', async () => {
    const [near] = channel()
    const a = new Holder().write(1, 1)
    const session = a.initiate(near)
    await a.clock.pass(LIMITS.reconStillMsMax - 1)
    assert.equal(near.aborted, undefined)
    await a.clock.pass(1)
    const outcome = await session
    assert.deepEqual([outcome.result, outcome.peerHoldsAll, outcome.violation], ['failed', false, undefined])
    assert.match(outcome.detail ?? '', /nothing moved/)
    assert.notEqual(near.aborted, undefined)
    a.leftNothing(near)
  })

  test('a peer that moves just often enough is given up when the session has taken too long', async () => {
    const [near, far] = channel()
    const a = new Holder()
    const session = a.initiate(near)
    await far.hear()
    const tree = { frame: 'tree', nonce: new Uint8Array(16), estimate: 0 } as const
    await far.say({ ...tree, greeting: { count: 9, nowMs: NOW_MS }, body: new Uint8Array([1, 1, 2, 3, 4, 5, 6]) })
    const records = [...new Holder().write(1, 9).records.values()]
    const everyMs = LIMITS.reconStillMsMax - 1_000
    let at = 0
    for (; at + everyMs < LIMITS.reconSessionMsMax; at += everyMs) {
      await a.clock.pass(everyMs)
      assert.equal(near.aborted, undefined, `after ${at} ms`)
      const record = records.shift() as Uint8Array
      await far.say({ frame: 'deltas', last: false, cut: false, skipped: 0, records: [record] })
    }
    await a.clock.pass(LIMITS.reconSessionMsMax - at)
    const outcome = await session
    assert.match(outcome.detail ?? '', /too long/)
    assert.deepEqual([outcome.result, outcome.accepted], ['partial', a.delivered])
    a.leftNothing(near)
  })

  test('a peer that hangs up early leaves a sentence, not an exception', async () => {
    for (const role of ['initiate', 'respond'] as const) {
      const [near, far] = channel()
      const a = new Holder()
      const session = a[role](near)
      await far.close()
      const outcome = await session
      assert.match(outcome?.detail ?? '', /closed the channel/)
      assert.deepEqual([outcome?.result, outcome?.violation], ['failed', undefined])
    }
    const [near, far] = channel()
    const session = new Holder().respond(near)
    far.abort('no more')
    assert.match((await session)?.detail ?? '', /no more/)
  })

  test('what came before a peer hung up is still stored and counted', async () => {
    const [near, far] = channel()
    const a = new Holder()
    let store = (): void => undefined
    a.deliver = async (records) => {
      await new Promise<void>((resolve) => {
        store = resolve
      })
      return { accepted: records.length, known: 0, refused: 0 }
    }
    const session = a.initiate(near)
    await far.hear()
    const body = new Uint8Array([1, 1, 2, 3, 4, 5, 6])
    await far.say({
      frame: 'tree',
      greeting: { count: 9, nowMs: NOW_MS },
      nonce: new Uint8Array(16),
      estimate: 0,
      body
    })
    const records = [...new Holder().write(1, 4).records.values()]
    await far.say({ frame: 'deltas', last: false, cut: false, skipped: 0, records })
    await far.close()
    await settled()
    store()
    const outcome = await session
    assert.deepEqual([outcome.result, outcome.accepted], ['partial', 4])
    a.leftNothing(near)
  })

  test('whatever breaks on this side becomes the outcome', async () => {
    for (const broken of ['load', 'loadShort', 'deliver'] as const) {
      const [near, far] = channel()
      const [a, b] = [new Holder().write(1, 100).write(4, 3), new Holder().write(1, 100).write(2, 3)]
      Object.assign(a, { [broken]: () => Promise.reject(new ChrysalisError('corrupt', 'a row is damaged')) })
      const walks = broken === 'load' ? { set: { tree: a.set.snapshot().tree, sketch: undefined } } : {}
      const [ours, theirs] = await Promise.all([a.initiate(near, walks), b.respond(far)])
      assert.equal(ours.detail, 'a row is damaged', broken)
      assert.notEqual(theirs?.result, 'repaired')
      a.leftNothing(near)
      b.leftNothing(far)
    }
    const [near] = channel()
    near.send = () => Promise.reject(new ChrysalisError('unavailable', 'the line is dead'))
    const a = new Holder()
    assert.equal((await a.initiate(near)).detail, 'the line is dead')
    a.leftNothing(near)
  })

  test('a port that throws on the spot breaks the session, not the daemon', async () => {
    const [near, far] = channel()
    const [a, b] = [new Holder().write(1, 2), new Holder()]
    a.load = () => {
      throw new Error('thrown')
    }
    const [ours] = await Promise.all([a.initiate(near), b.respond(far)])
    assert.equal(ours.detail, 'thrown')
  })

  test('counts that do not add up on this side end the session, not the daemon', async () => {
    const [near, far] = channel()
    const b = new Holder()
    b.deliver = () => Promise.resolve({ accepted: 0, known: 0, refused: 0 })
    const [, theirs] = await Promise.all([new Holder().write(1, 2).initiate(near), b.respond(far)])
    assert.match(theirs?.detail ?? '', /accounted for/)
  })

  test('a peer that has everything and does not finish is not waited for', async () => {
    const [near, far] = channel()
    const [a, b] = [new Holder(), new Holder().write(1, 2)]
    // It never learns that we are through: its last acknowledgement to come is swallowed.
    far.close = () => Promise.resolve()
    const session = a.initiate(near)
    const other = b.respond(far)
    await a.clock.pass(60_000)
    assert.equal((await session).result, 'repaired')
    a.leftNothing(near)
    near.abort('enough')
    await b.clock.pass(60_000)
    await other
  })

  test('a peer that says something after the end hears nothing more', async () => {
    const [near, far] = channel()
    const [a, b] = [new Holder(), new Holder().write(1, 2)]
    far.close = () => far.say({ frame: 'equal' })
    const [ours] = await Promise.all([a.initiate(near), b.respond(far)])
    assert.equal(ours.result, 'repaired')
    assert.notEqual(near.aborted, undefined)
    a.leftNothing(near)
  })
})
