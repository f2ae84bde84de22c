/** Opinions about other authors: kept, bounded, and never more generous for having been lost. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { authorToPeerId } from '../../../src/base/peer-id.ts'
import { utf8 } from '../../../src/base/bytes.ts'
import { META } from '../../../src/node/rows.ts'
import { TrustBook } from '../../../src/node/trust-book.ts'
import { authorOf, Bench, codeOf, FaultyStore } from '../../support/engine.ts'

const bench = new Bench()
after(() => bench.stop())

const SELF = authorOf(1)
const THEM = authorOf(2)
const THIRD = authorOf(3)

interface Made {
  readonly book: TrustBook
  readonly store: FaultyStore
  readonly changes: () => number
  readonly log: string[]
}

async function open(store = new FaultyStore(), newcomers: 'known' | 'unknown' = 'known'): Promise<Made> {
  let changes = 0
  const log: string[] = []
  const clock = { nowMs: () => 5, monotonicMs: () => 0, setTimer: () => () => undefined }
  const logger = { log: (_level: string, message: string) => void log.push(message) }
  const book = new TrustBook({ self: SELF, newcomers }, { store, clock, logger, changed: () => changes++ })
  await book.load()
  return { book, store, changes: () => changes, log }
}

describe('trust book', () => {
  it('keeps what the owner thinks over a restart, and takes it back', async () => {
    const { book, store, changes } = await open()
    assert.deepEqual([book.opinionOf(SELF), book.opinionOf(THEM)], ['trusted', 'known'])
    const before = changes()
    await book.set(authorToPeerId(THEM), 'blocked', 'it lies')
    assert.ok(changes() > before, 'those who work with opinions are told')
    assert.deepEqual([book.opinionOf(THEM), book.blocksAny, book.isSet(THEM)], ['blocked', true, true])
    const again = (await open(store)).book
    const peer = authorToPeerId(THEM)
    const entry = { peer, author: THEM, tier: 'blocked', atMs: 5, reason: 'it lies' }
    assert.deepEqual(again.list(), { newcomers: 'known', entries: [entry] })
    await again.set(THEM, null)
    assert.deepEqual([again.opinionOf(THEM), again.blocksAny], ['known', false])
    assert.deepEqual((await open(store, 'unknown')).book.opinionOf(THEM), 'unknown')
  })

  it('changes made at once are all kept', async () => {
    const { book, store } = await open()
    await Promise.all([book.set(THEM, 'trusted'), book.set(THIRD, 'untrusted')])
    const again = (await open(store)).book
    assert.deepEqual([again.opinionOf(THEM), again.opinionOf(THIRD)], ['trusted', 'untrusted'])
  })

  it('has no opinion of itself or of what is no peer', async () => {
    const { book } = await open()
    assert.equal(await codeOf(book.set(SELF, 'blocked')), 'invalid_argument')
    assert.equal(await codeOf(book.set('__proto__', 'blocked')), 'invalid_argument')
    assert.deepEqual(book.list().entries, [])
  })

  it('that cannot be written changes nothing', async () => {
    const { book, store } = await open()
    store.failWith = 'disk_full'
    assert.equal(await codeOf(book.set(THEM, 'blocked')), 'disk_full')
    assert.equal(book.opinionOf(THEM), 'known')
  })

  it('that is lost makes nobody trusted: all others are unknown until it is written anew', async () => {
    for (const value of [utf8(''), utf8('{}'), utf8('[["x"]]'), utf8('[[1,2,3]]'), new Uint8Array([0xff])]) {
      const { book, store, log } = await open()
      await store.batch([{ table: 'meta', key: META.trust, value }], { durable: true })
      await book.load()
      assert.deepEqual([book.opinionOf(SELF), book.opinionOf(THEM)], ['trusted', 'unknown'])
      assert.match(book.reasons()[0] ?? '', /chrysalis trust/)
      assert.deepEqual([book.list().newcomers, log.length], ['unknown', 1])
      await book.set(THEM, 'trusted')
      assert.deepEqual([book.opinionOf(THEM), book.opinionOf(THIRD), book.reasons()], ['trusted', 'known', []])
    }
    const broken = new FaultyStore()
    broken.get = () => Promise.reject(new ChrysalisError('corrupt', 'a row is damaged'))
    assert.equal((await open(broken)).book.opinionOf(THEM), 'unknown')
  })

  it('holds so many opinions and no more', async () => {
    const { book, store } = await open()
    const author = (n: number): string => n.toString(16).padStart(64, '0')
    const rows = Array.from({ length: LIMITS.trustBookPeersMax }, (_, n) => [author(n + 1), 'untrusted', 1, null])
    const value = utf8(JSON.stringify(rows))
    await store.batch([{ table: 'meta', key: META.trust, value }], { durable: true })
    await book.load()
    assert.equal(await codeOf(book.set(THEM, 'blocked')), 'quota')
    await book.set(author(1), 'blocked')
    await book.set(author(2), null)
    await book.set(THEM, 'blocked')
    assert.equal(book.list().entries.length, LIMITS.trustBookPeersMax)
  })

  it('a daemon that has lost it says so, and recalls nobody else by default', async () => {
    const engine = await bench.start({ seed: 1 })
    await engine.node.trustPeer({ peer: THEM, tier: 'trusted' })
    await engine.store.batch([{ table: 'meta', key: META.trust, value: new Uint8Array(0) }], { durable: true })
    const again = await bench.restart(engine)
    assert.match(again.node.status().reasons.join(), /trust book/)
    assert.equal(again.node.trustList().newcomers, 'unknown')
  })
})
