/** Logs as LevelDB writes them: whole, torn by a crash, and damaged. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { openLevelStore } from '../../../../src/adapters/level/level-store.ts'
import { LOG_BLOCK_BYTES, scanLog, writeLog } from '../../../../src/adapters/level/log-scan.ts'
import { equalBytes, uintBytes } from '../../../../src/base/bytes.ts'
import { SeededRandom } from '../../../../src/base/prng.ts'

const random = new SeededRandom('log scan')
/** Of many sizes, one of them over three blocks. */
const PAYLOADS = [0, 10, 500, 3, 100_000, 700, 32_761, 32_760, 1, 900, 900, 900, 900].map((size) => random.bytes(size))
const LOG = writeLog(PAYLOADS)

function read(bytes: Uint8Array): { payloads: Uint8Array[]; damage: readonly string[]; tornAt: number | undefined } {
  const payloads: Uint8Array[] = []
  const { damage, tornAt, records } = scanLog(bytes, (payload) => payloads.push(payload.slice()))
  assert.equal(records, payloads.length)
  return { payloads, damage, tornAt }
}

test('what is written is read, and nothing is wrong with it', () => {
  assert.deepEqual(read(LOG), { payloads: PAYLOADS, damage: [], tornAt: undefined })
  assert.deepEqual(read(new Uint8Array(0)), { payloads: [], damage: [], tornAt: undefined })
})

test('a log of LevelDB itself is read to its end', async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'chrysalis-log-'))
  context.after(() => rm(directory, { recursive: true, force: true }))
  const store = await openLevelStore(directory)
  for (let i = 0; i < 300; i++) {
    await store.batch([{ table: 'delta', key: uintBytes(i, 4), value: random.bytes(i * 5) }], { durable: false })
  }
  await store.close()
  const name = (await readdir(directory)).find((file) => file.endsWith('.log')) as string
  const bytes = new Uint8Array(await readFile(join(directory, name)))
  const { payloads, damage, tornAt } = read(bytes)
  assert.deepEqual([payloads.length, damage, tornAt], [300, [], undefined])
  assert.ok(equalBytes(writeLog(payloads), bytes), 'and written again it is the same')
})

test('cut anywhere, it is torn and not damaged, and loses only what was cut', () => {
  for (let at = 0; at < LOG.length; at += 911) {
    const { payloads, damage } = read(LOG.subarray(0, at))
    assert.deepEqual(damage, [], `cut at ${at}`)
    assert.deepEqual(payloads, PAYLOADS.slice(0, payloads.length))
  }
  const last = read(LOG.subarray(0, LOG.length - 1))
  assert.deepEqual([last.payloads.length, last.tornAt], [PAYLOADS.length - 1, LOG.length - 907])
})

test('zeros after the end, as a power cut leaves them, are torn and not damage', () => {
  for (const zeros of [1, 6, 7, 100, LOG_BLOCK_BYTES, 3 * LOG_BLOCK_BYTES]) {
    const { payloads, damage } = read(new Uint8Array([...LOG, ...new Uint8Array(zeros)]))
    assert.deepEqual([payloads.length, damage], [PAYLOADS.length, []], `${zeros} zeros`)
  }
})

test('one flipped bit anywhere but in the last record is damage, and costs the record it hits alone', () => {
  for (let at = 0; at < LOG.length - 907; at += 613) {
    const damaged = LOG.slice()
    damaged[at]! ^= 1 << (at & 7)
    const { payloads, damage, tornAt } = read(damaged)
    assert.equal(payloads.length, PAYLOADS.length - 1, `bit at ${at}`)
    assert.ok(payloads.every((payload) => PAYLOADS.some((one) => equalBytes(one, payload))))
    assert.equal(damage.length, 1, `bit at ${at}`)
    assert.match(damage[0] ?? '', /^bytes \d+ to \d+ are damaged/)
    assert.equal(tornAt, undefined)
  }
})

test('in the last record a flipped bit looks like a crash', () => {
  const damaged = LOG.slice()
  damaged[LOG.length - 400]! ^= 4
  assert.deepEqual(read(damaged), { payloads: PAYLOADS.slice(0, -1), damage: [], tornAt: LOG.length - 907 })
})

test('a length that lies is found out', () => {
  for (const lie of [0, 0xffff, 60]) {
    const damaged = LOG.slice()
    // The third record, after one of no and one of ten bytes.
    new DataView(damaged.buffer).setUint16(7 + 17 + 4, lie, true)
    assert.equal(read(damaged).payloads.length, PAYLOADS.length - 1, `${lie}`)
    assert.equal(read(damaged).damage.length, 1)
  }
})

test('a block of zeros in the middle costs what was in it', () => {
  const small = Array.from({ length: 60 }, () => random.bytes(900))
  const log = writeLog(small)
  log.fill(0, 20_000, 24_096)
  const { payloads, damage } = read(log)
  assert.ok(payloads.length >= 54 && payloads.length < 60, `${payloads.length}`)
  assert.equal(damage.length, 1)
})

test('any records are read back, and any damage is survived', () => {
  const payload = fc.nat(40_000).map((size) => new Uint8Array(size).fill(size & 255))
  fc.assert(
    fc.property(fc.array(payload, { maxLength: 8 }), fc.nat(), fc.nat(255), (payloads, place, byte) => {
      const log = writeLog(payloads)
      assert.deepEqual(read(log).payloads, payloads)
      if (log.length === 0) return
      log[place % log.length] = byte
      assert.ok(read(log).payloads.length >= payloads.length - 1)
    }),
    { numRuns: 40, seed: 3 }
  )
})
