import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { concatBytes } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeCanonical } from '../../../src/memory/codec.ts'
import { encodeDelta, encodeFrame } from '../../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../../src/memory/delta.ts'
import { topicOf } from '../../../src/memory/names.ts'
import type { SignatureCheck } from '../../../src/ports/crypto.ts'
import type { Verdict } from '../../../src/ports/network.ts'
import { Intake } from '../../../src/node/intake.ts'
import type { Space } from '../../../src/node/space.ts'
import { Records } from '../../../src/node/records.ts'
import { deltaKey } from '../../../src/node/rows.ts'
import { Writer } from '../../../src/node/writer.ts'
import { at, Bench, quickIdentity, START_MS, type Engine } from '../../support/engine.ts'
import { Author } from '../../support/replica-bench.ts'
import { identity, note, recordWith, SPACE } from '../../support/sealed.ts'
import { hlcOf } from '../../../src/memory/ids.ts'

const bench = new Bench()
after(() => bench.stop())
const stranger = bench.air.create('a stranger')

async function hear(engine: Engine, frame: Uint8Array): Promise<Verdict> {
  const verdict = await engine.network.hearNow(topicOf(SPACE), frame, stranger)
  await engine.node.idle()
  return verdict
}
const frameOf = (...deltas: readonly VerifiedDelta[]): Uint8Array => encodeFrame(deltas.map(encodeDelta))
const deltasOf = (engine: Engine): number => engine.node.spaces()[0]?.deltas ?? 0

let seed = 20
const start = (): Promise<Engine> => bench.start({ seed: seed++ })

describe('intake: gossip', () => {
  it('accepts what is new, ignores what is known', async () => {
    const engine = await start()
    const author = new Author(2)
    const [a, b] = [author.write(at(0)), author.write(at(1))]
    assert.equal(await hear(engine, frameOf(a)), 'accept')
    assert.equal(await hear(engine, frameOf(a)), 'ignore')
    assert.equal(await hear(engine, frameOf(a, b)), 'accept', 'one of them is new')
    assert.equal(await hear(engine, frameOf(a, b)), 'ignore')
    assert.equal(deltasOf(engine), 2)
    assert.deepEqual(engine.network.reports, [])
    assert.equal(engine.metrics.snapshot()['chrysalis_gossip_duplicates_total'], 4)
  })

  it('takes one delta once, though one frame holds it twice and two frames arrive together', async () => {
    const engine = await start()
    const delta = new Author(2).write(at(0))
    await Promise.all([1, 2, 3].map(() => hear(engine, frameOf(delta, delta))))
    assert.equal(deltasOf(engine), 1)
    assert.equal((await engine.node.changes({})).changes.length, 1)
  })

  const good = (): VerifiedDelta => new Author(2).write(at(0), note('good'))
  const bytes = (): Uint8Array => frameOf(good())
  const forged = (): Uint8Array => {
    const record = encodeDelta(good())
    // The signature follows three bytes of heads and the header; its last byte lies before the body's head.
    const delta = good()
    const signature = delta.signature.slice()
    signature[5] = (signature[5] as number) ^ 1
    assert.ok(record.length > 0)
    return encodeFrame([encodeDelta({ ...delta, signature })])
  }
  const bad: readonly (readonly [what: string, reason: string, frame: () => Uint8Array])[] = [
    ['no CBOR', 'not-cbor', () => new Uint8Array([0x1c])],
    ['nothing at all', 'not-cbor', () => new Uint8Array(0)],
    ['a truncated frame', 'not-cbor', () => bytes().subarray(0, bytes().length - 3)],
    ['bytes behind the frame', 'not-cbor', () => concatBytes(bytes(), new Uint8Array([0]))],
    ['a frame that is no array', 'shape', () => encodeCanonical('frame')],
    ['a frame of a later version', 'unsupported-version', () => encodeCanonical([2, []])],
    ['an empty frame', 'shape', () => encodeCanonical([1, []])],
    ['a frame that is too long', 'too-large', () => new Uint8Array(LIMITS.gossipFrameBytesMax + 1)],
    [
      'too many records',
      'too-large',
      () => encodeCanonical([1, Array.from({ length: LIMITS.gossipFrameDeltasMax + 1 }, () => new Uint8Array([1]))])
    ],
    ['a record that is no delta', 'shape', () => encodeFrame([encodeCanonical([1, 2])])],
    ['a truncated record', 'not-cbor', () => encodeFrame([encodeDelta(good()).subarray(0, 60)])],
    ['a wrong signature', 'bad-signature', forged],
    [
      'a signature by somebody else',
      'bad-signature',
      () => encodeFrame([encodeDelta({ ...good(), signature: identity(3).sign(new Uint8Array(8)) })])
    ],
    [
      'a delta of another space',
      'wrong-space',
      () => frameOf(new Author(2).forge({ space: '01'.repeat(16), hlc: at(0) }))
    ],
    ['a key that is none', 'bad-key', () => encodeFrame([recordWith({ author: '00'.repeat(32), hlc: at(0) })])],
    ['a chain that cannot be', 'chain-shape', () => encodeFrame([recordWith({ seq: 4, prev: null, hlc: at(0) })])],
    ['a body that is another', 'body-hash', () => encodeFrame([recordWith({ bodyHash: 'ab'.repeat(32), hlc: at(0) })])]
  ]
  for (const [what, reason, frame] of bad) {
    it(`rejects ${what} and counts it as ${reason}; the verdict alone is held against the peer`, async () => {
      const engine = await start()
      assert.equal(await hear(engine, frame()), 'reject')
      assert.equal(deltasOf(engine), 0)
      assert.deepEqual(engine.node.status().refusals, { [reason]: 1 })
      assert.equal(engine.metrics.snapshot()[`chrysalis_refused_${reason.replaceAll('-', '_')}_total`], 1)
      assert.deepEqual(engine.network.reports, [], 'a rejection is not reported a second time')
    })
  }

  it('refuses a frame that is not in canonical form', async () => {
    const engine = await start()
    // The same frame with the length of its array written in one byte more than it needs.
    const canonical = bytes()
    assert.equal(canonical[0], 0x82)
    const longer = concatBytes(new Uint8Array([0x98, 0x02]), canonical.subarray(1))
    assert.equal(await hear(engine, longer), 'reject')
    assert.equal(deltasOf(engine), 0)
    assert.equal(Object.values(engine.node.status().refusals).length, 1)
  })

  it('keeps the sound deltas of a frame with a bad one, but does not forward the frame', async () => {
    const engine = await start()
    const author = new Author(2)
    const [a, b] = [author.write(at(0)), author.write(at(1))]
    const bent = { ...b, signature: b.signature.map((byte) => byte ^ 1) }
    assert.equal(await hear(engine, encodeFrame([encodeDelta(a), encodeDelta(bent)])), 'reject')
    assert.equal(deltasOf(engine), 1)
    assert.equal(await hear(engine, frameOf(b)), 'accept', 'the true one is still welcome')
  })

  it('holds what is dated too far ahead, says so in status, and admits it when due', async () => {
    const engine = await start()
    const early = new Author(2).write(hlcOf(engine.clock.nowMs() + LIMITS.clockLeadMsMax + 5_000), note('early bird'))
    assert.equal(await hear(engine, frameOf(early)), 'accept')
    assert.equal(await hear(engine, frameOf(early)), 'ignore')
    assert.equal(deltasOf(engine), 0)
    assert.equal(engine.node.spaces()[0]?.pending, 1)
    assert.match(engine.node.status().reasons.join(), /1 deltas in shared are dated ahead/)
    assert.equal((await engine.node.search({ query: 'bird' })).items.length, 0)
    await bench.pass(4_900)
    assert.equal(deltasOf(engine), 0)
    await bench.pass(200)
    await engine.node.idle()
    assert.equal(deltasOf(engine), 1)
    assert.deepEqual(engine.node.status().reasons, [])
    assert.equal((await engine.node.search({ query: 'bird' })).items.length, 1)
    assert.deepEqual(await engine.store.rows.scan('pending', { limit: 1 }), [])
  })

  it('does not spin while held deltas are due and the disk is full', async () => {
    const engine = await start()
    const early = new Author(2).write(hlcOf(engine.clock.nowMs() + LIMITS.clockLeadMsMax + 1_000))
    await hear(engine, frameOf(early))
    engine.store.failWith = 'disk_full'
    engine.store.reopenFails = true
    await engine.node.add({ content: 'x' }).catch(() => undefined)
    const before = bench.queue.ran
    await bench.pass(60_000)
    assert.ok(bench.queue.ran - before < 1_000, `${bench.queue.ran - before} timers in a minute`)
    engine.store.failWith = undefined
    engine.store.reopenFails = false
    await bench.pass(10_000)
    await engine.node.idle()
    assert.equal(deltasOf(engine), 1, 'and it is admitted once there is room')
  })

  it('proves an equivocation against a rival that was stored long before', async () => {
    const first = await start()
    const author = new Author(2)
    const a = author.forge({ hlc: at(0), ops: note('one') })
    const b = author.forge({ hlc: at(1), ops: note('other') })
    const late = author.forge({ hlc: hlcOf(bench.queue.nowMs + START_MS + LIMITS.clockLeadMsMax + 1_000) })
    await hear(first, frameOf(a))
    const second = await bench.restart(first)
    await hear(second, frameOf(b))
    assert.deepEqual((await second.node.verify({})).equivocators.length, 1)
    assert.equal((await second.store.rows.scan('proof', { limit: 9 }))[0]?.value.length, 64)
    await hear(second, frameOf(late))
    const third = await bench.restart(second)
    await bench.pass(12_000)
    await third.node.idle()
    assert.equal(deltasOf(third), 3)
    assert.equal((await third.store.rows.scan('proof', { limit: 9 }))[0]?.value.length, 96)
  })
})

describe('intake: bounds and sessions', () => {
  const quick = quickIdentity(1)

  function bare(
    engine: Engine,
    verifyAsync: (check: SignatureCheck) => Promise<boolean>
  ): { intake: Intake; space: Space } {
    const { store, clock, metrics, network } = engine
    const writer = new Writer(
      { durable: true, windowMs: 0 },
      { store, clock, metrics, records: new Records(store) },
      { stored: () => undefined, failed: () => undefined }
    )
    const logger = { log: () => undefined }
    const intake = new Intake({ crypto: { ...quick, verifyAsync }, writer, network, metrics, logger })
    return { intake, space: engine.node.spaceTable.all[0] as Space }
  }

  it('sheds frames while too many signatures are being checked, and not one too early', async () => {
    const engine = await start()
    let answer: (valid: boolean) => void = () => undefined
    const checked = new Promise<boolean>((resolve) => {
      answer = resolve
    })
    const { intake, space } = bare(engine, () => checked)
    const author = new Author(2)
    const frames = Array.from({ length: 17 }, (_, i) =>
      frameOf(...Array.from({ length: 63 }, (_, j) => author.write(at(i * 64 + j), note(`${i} ${j}`))))
    )
    const started = frames.slice(0, 16).map((frame) => intake.gossip(space, frame, 'peer'))
    assert.equal(intake.verifying, 16 * 63)
    const room = LIMITS.verifyInFlightMax - 16 * 63
    const filler = (count: number): Uint8Array =>
      frameOf(...Array.from({ length: count }, (_, i) => author.write(at(9_000 + i), note('filler'))))
    assert.equal(await intake.gossip(space, filler(room + 1), 'peer'), 'ignore')
    assert.equal(engine.metrics.snapshot()['chrysalis_gossip_shed_total'], room + 1)
    const last = intake.gossip(space, filler(room), 'peer')
    assert.equal(intake.verifying, LIMITS.verifyInFlightMax)
    assert.equal(await intake.gossip(space, frames[16] as Uint8Array, 'peer'), 'ignore')
    answer(true)
    assert.deepEqual(new Set(await Promise.all([...started, last])), new Set(['accept']))
    assert.equal(intake.verifying, 0)
    assert.deepEqual(engine.network.reports, [], 'a busy daemon blames nobody')
  })

  it('takes no more from sessions at once than its bound, and all of it in the end', async () => {
    const engine = await start()
    const checks: ((valid: boolean) => void)[] = []
    const { intake, space } = bare(engine, () => new Promise<boolean>((resolve) => checks.push(resolve)))
    const author = new Author(2)
    const count = LIMITS.sessionDeltasInFlightMax + 64
    const records = Array.from({ length: count }, (_, i) => encodeDelta(author.write(at(i), note(`${i}`))))
    const half = records.length / 2
    const deliveries = [records.slice(0, half), records.slice(half)].map((page) => intake.deliver(space, page, 'peer'))
    const turns = async (): Promise<void> => {
      for (let n = 0; n < 50; n++) await new Promise((resolve) => setImmediate(resolve))
    }
    await turns()
    assert.equal(checks.length, LIMITS.sessionDeltasInFlightMax, 'the last part has not even been decoded')
    assert.equal(intake.delivering, count)
    const frame = frameOf(new Author(3).write(at(0)))
    const gossiped = intake.gossip(space, frame, 'peer')
    assert.equal(checks.length, LIMITS.sessionDeltasInFlightMax + 1, 'gossip has a bound of its own')
    for (const answer of checks) answer(true)
    await turns()
    for (const answer of checks) answer(true)
    assert.deepEqual(
      await Promise.all(deliveries),
      [half, half].map((accepted) => ({ accepted, known: 0, refused: 0 }))
    )
    assert.equal(await gossiped, 'accept')
    assert.equal(intake.delivering, 0)
  })

  it('keeps nothing of the buffer a page came in', async () => {
    const engine = await start()
    const { intake, space } = bare(engine, quick.verifyAsync)
    const author = new Author(2)
    const deltas = [author.write(at(0), note('a')), author.write(at(1), note('b'))]
    const page = concatBytes(...deltas.map(encodeDelta))
    const cut = (deltas[0] as VerifiedDelta).record.length
    await intake.deliver(space, [page.subarray(0, cut), page.subarray(cut)], 'peer')
    page.fill(0)
    for (const delta of deltas) {
      const row = await engine.store.rows.get('delta', deltaKey(SPACE, delta.id))
      assert.deepEqual(row, delta.record)
    }
  })

  it('accounts for every record of a session, however it fares', async () => {
    const engine = await start()
    const { intake, space } = bare(engine, quick.verifyAsync)
    const author = new Author(2)
    const [a, b, c] = [author.write(at(0)), author.write(at(1)), author.write(at(2))]
    const held = new Author(3).write(hlcOf(engine.clock.nowMs() + LIMITS.clockLeadMsMax + 1))
    const bent = { ...c, signature: c.signature.map((byte) => byte ^ 1) }
    const first = await intake.deliver(space, [a, b].map(encodeDelta), 'peer')
    assert.deepEqual(first, { accepted: 2, known: 0, refused: 0 })
    const second = await intake.deliver(space, [a, bent, c, c, held].map(encodeDelta), 'peer')
    assert.deepEqual(second, { accepted: 2, known: 2, refused: 1 })
    assert.deepEqual(await intake.deliver(space, [encodeDelta(held)], 'peer'), { accepted: 0, known: 1, refused: 0 })
    assert.deepEqual(
      engine.network.reports.map((report) => report.offence),
      ['invalid']
    )
  })
})
