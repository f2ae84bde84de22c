/** Outlines and single deltas, asked of a peer over a channel. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { requestDeltas, requestOutline } from '../../../src/node/reconcile-driver.ts'
import type { Frame } from '../../../src/sync/recon-codec.ts'
import { SPACE } from '../../support/sealed.ts'
import { channel, Holder, type End } from './recon-ends.ts'

suite('requests over a channel', () => {
  const outline = { space: SPACE, prefix: '', partDeltasMax: 10 }

  test('an outline tells how much there is under which prefix', async () => {
    const [near, far] = channel()
    const b = new Holder().write(1, 100)
    const [parts, served] = await Promise.all([requestOutline(near, outline, b), b.respond(far)])
    assert.equal(served, undefined, 'it was no session')
    assert.equal(
      parts.reduce((sum, part) => sum + part.count, 0),
      100
    )
    assert.ok(parts.length >= 10 && parts.every((part) => part.count <= 10))
    assert.deepEqual([near.closed, far.closed, near.aborted], [1, 1, undefined])
    b.leftNothing(near, far)
  })

  test('deltas by id come back in pages, those that are there', async () => {
    const [near, far] = channel()
    const b = new Holder().write(1, 60, SPACE, 20_000)
    const ids = [...b.ids.slice(5, 50), 'dd'.repeat(32)]
    const [records] = await Promise.all([requestDeltas(near, { space: SPACE, ids }, b), b.respond(far)])
    const sizes = [...b.records.values()].map((record) => record.length)
    assert.equal(records.length, 45)
    assert.ok(far.sent.length > 3 && far.sent.every((frame) => frame.length <= LIMITS.reconFrameBytesMax))
    assert.ok(records.every((record) => sizes.includes(record.length)))
    b.leftNothing(near, far)
  })

  test('as many ids as one request takes', async () => {
    const [near, far] = channel()
    const b = new Holder().write(1, LIMITS.reconFetchIdsMax)
    const [records] = await Promise.all([requestDeltas(near, { space: SPACE, ids: b.ids }, b), b.respond(far)])
    assert.equal(records.length, LIMITS.reconFetchIdsMax)
  })

  test('another delta with the same first bytes is not sent along', async () => {
    const [near, far] = channel()
    const b = new Holder().write(1, 4)
    const loadShort = b.loadShort.bind(b)
    b.loadShort = async (space, shorts) => [...(await loadShort(space, shorts)), ...b.records.values()]
    const ids = b.ids.slice(0, 1)
    const [records] = await Promise.all([requestDeltas(near, { space: SPACE, ids }, b), b.respond(far)])
    assert.equal(records.length, 1)
  })

  test('who is busy, has nothing of the space, hangs up or says nothing is unavailable', async () => {
    for (const found of ['busy', undefined] as const) {
      const [near, far] = channel()
      const b = new Holder()
      b.found = found
      const asked = requestOutline(near, outline, b)
      await assert.rejects(Promise.all([asked, b.answer(far)]), (error: ChrysalisError) => {
        return error.code === 'unavailable' && error.message.includes(found ?? 'unknown-space')
      })
    }
    const [near, far] = channel()
    const asked = requestDeltas(near, { space: SPACE, ids: ['aa'.repeat(32)] }, new Holder())
    await far.close()
    await assert.rejects(asked, { code: 'unavailable' })
    const [silent] = channel()
    const a = new Holder()
    const unanswered = requestOutline(silent, outline, a)
    const rejected = assert.rejects(unanswered, { code: 'unavailable' })
    await a.clock.pass(LIMITS.reconSessionMsMax)
    await rejected
    a.leftNothing(silent)
  })

  test('answers to another question are called by their name', async () => {
    const parts = (prefix: string): Frame => ({ frame: 'parts', parts: [{ prefix, count: 1 }] })
    const fetched = (last: boolean, count: number): Frame => {
      return { frame: 'fetched', last, records: Array.from({ length: count }, () => new Uint8Array(9)) }
    }
    const asks: [string, (end: End, ports: Holder) => Promise<unknown>, (Frame | Uint8Array)[]][] = [
      ['out-of-order', (end, ports) => requestOutline(end, outline, ports), [{ frame: 'equal' }]],
      ['malformed', (end, ports) => requestOutline(end, outline, ports), [new Uint8Array([12, 9])]],
      ['unasked', (end, ports) => requestOutline(end, { ...outline, prefix: '0a' }, ports), [parts('0b')]],
      [
        'unasked',
        (end, ports) => requestDeltas(end, { space: SPACE, ids: ['aa'.repeat(32)] }, ports),
        [fetched(true, 2)]
      ],
      [
        'no-progress',
        (end, ports) => requestDeltas(end, { space: SPACE, ids: ['aa'.repeat(32)] }, ports),
        [fetched(false, 0)]
      ],
      [
        'out-of-order',
        (end, ports) => requestDeltas(end, { space: SPACE, ids: ['aa'.repeat(32)] }, ports),
        [parts('0b')]
      ]
    ]
    for (const [violation, ask, answers] of asks) {
      const [near, far] = channel()
      const asked = ask(near, new Holder())
      for (const answer of answers) await (answer instanceof Uint8Array ? far.send(answer) : far.say(answer))
      await assert.rejects(asked, (error: ChrysalisError) => {
        assert.deepEqual(
          [error.code, error.data?.['violation'], error.hint !== undefined],
          ['failure', violation, true]
        )
        return true
      })
      assert.notEqual(near.aborted, undefined)
    }
  })
})
