/** A disk that fills up: writes are refused with `disk_full`, reads go on, and after freeing space a reopen heals. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openLevelStore } from '../../../../src/adapters/level/level-store.ts'
import { uintBytes } from '../../../../src/base/bytes.ts'
import { isChrysalisError } from '../../../../src/base/errors.ts'

const DISK_BYTES = 6 * 1_048_576
const BALLAST_BYTES = 2 * 1_048_576
const WRITE_BUFFER_BYTES = 262_144

/** Mounts a small tmpfs on the directory and says why not when it cannot. */
function mountSmallDisk(directory: string): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux'
  if (process.getuid?.() !== 0) return 'needs root, to mount a small disk'
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', directory], { stdio: 'pipe' })
    return undefined
  } catch {
    return 'mounting is not allowed here'
  }
}

test('a full disk costs writes, not reads and not acknowledged rows', async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'chrysalis-full-'))
  const whyNot = mountSmallDisk(directory)
  if (whyNot !== undefined) {
    await rm(directory, { recursive: true })
    context.skip(whyNot)
    return
  }
  try {
    await fillAndHeal(directory)
  } finally {
    execFileSync('umount', ['-l', directory])
    await rm(directory, { recursive: true })
  }
})

async function fillAndHeal(directory: string): Promise<void> {
  const isFull = (error: unknown): boolean => isChrysalisError(error, 'disk_full')
  const ballast = join(directory, 'ballast')
  await writeFile(ballast, new Uint8Array(BALLAST_BYTES))
  const store = await openLevelStore(join(directory, 'data'), { writeBufferBytes: WRITE_BUFFER_BYTES })
  const value = (i: number): Uint8Array => new Uint8Array([...uintBytes(i, 4), ...payload])
  const payload = randomBytes(2_000)
  const put = (i: number): Promise<void> =>
    store.batch([{ table: 'delta', key: uintBytes(i, 4), value: value(i) }], { durable: true })
  const countRight = async (rows: number): Promise<number> => {
    const found = await store.getMany(
      'delta',
      Array.from({ length: rows }, (_, i) => uintBytes(i, 4))
    )
    return found.filter((row, i) => row !== undefined && Buffer.compare(row, value(i)) === 0).length
  }

  let acknowledged = 0
  let failure: unknown
  while (failure === undefined && acknowledged < 10_000) {
    try {
      await put(acknowledged)
      acknowledged++
    } catch (error) {
      failure = error
    }
  }
  assert.ok(isFull(failure), String(failure))
  assert.ok(acknowledged > 100, `${acknowledged} rows before the disk was full`)
  assert.equal(await countRight(acknowledged), acknowledged, 'reads work on a full disk')
  await assert.rejects(put(acknowledged), isFull)

  await assert.rejects(store.reopen(), isFull, 'no room to reopen')
  assert.equal(await countRight(acknowledged), acknowledged, 'and asking did not cost the reads')

  await unlink(ballast)
  await assert.rejects(put(acknowledged), isFull, 'still refused: the store was not reopened')
  await store.reopen()
  assert.equal(await countRight(acknowledged), acknowledged, 'nothing acknowledged was lost')
  const [inDoubt] = await store.getMany('delta', [uintBytes(acknowledged, 4)])
  assert.ok(
    inDoubt === undefined || Buffer.compare(inDoubt, value(acknowledged)) === 0,
    'the failed row is whole or absent'
  )
  for (let i = acknowledged; i < acknowledged + 20; i++) await put(i)
  assert.equal(await countRight(acknowledged + 20), acknowledged + 20)
  await store.close()
}
