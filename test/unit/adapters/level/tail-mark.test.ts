/** TAIL: what is written is read, damage is nothing, and it never stands in the way. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { newestArrival, readTail, removeTail, TailMark } from '../../../../src/adapters/level/tail-mark.ts'
import { uintBytes } from '../../../../src/base/bytes.ts'

async function place(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'chrysalis-tail-'))
  context.after(() => rm(directory, { recursive: true, force: true }))
  return join(directory, 'TAIL')
}

test('it says how far was synced and how far was stored', async (context) => {
  const path = await place(context)
  assert.equal(await readTail(path), undefined)
  const mark = new TailMark(path)
  mark.begin(5)
  assert.deepEqual(await readTail(path), { synced: 5, newest: 5 })
  mark.note(7, false)
  assert.deepEqual(await readTail(path), { synced: 5, newest: 7 })
  // The log of LevelDB is synced as a whole: with 8 also 6 and 7 are on the disk.
  mark.note(8, true)
  assert.deepEqual(await readTail(path), { synced: 8, newest: 8 })
  mark.note(3, true)
  assert.deepEqual(await readTail(path), { synced: 8, newest: 8 })
  mark.close()
  const next = new TailMark(path)
  next.begin(2)
  next.close()
  assert.deepEqual(await readTail(path), { synced: 2, newest: 2 }, 'a new beginning may be lower')
  assert.equal((await stat(path)).size, 24)
  if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o777, 0o600)
  await removeTail(path)
  await removeTail(path)
  assert.equal(await readTail(path), undefined)
})

test('a damaged mark says nothing', async (context) => {
  const path = await place(context)
  const mark = new TailMark(path)
  mark.begin(1_000)
  mark.close()
  const bytes = await readFile(path)
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Uint8Array.from(bytes)
    damaged[at]! ^= 1
    await writeFile(path, damaged)
    assert.equal(await readTail(path), undefined, `byte ${at}`)
  }
  await writeFile(path, bytes.subarray(0, 23))
  assert.equal(await readTail(path), undefined)
})

test('where it cannot be written nothing happens', () => {
  const mark = new TailMark('/nowhere/at/all/TAIL')
  mark.begin(1)
  mark.note(2, true)
  mark.close()
})

test('only rows of the arrival log count, and not their deletion', () => {
  const arrival = (position: number, value: Uint8Array | null = new Uint8Array(1)) =>
    ({ table: 'arrival', key: uintBytes(position, 8), value }) as const
  assert.equal(newestArrival([]), undefined)
  assert.equal(newestArrival([{ table: 'range', key: uintBytes(9, 8), value: new Uint8Array(1) }]), undefined)
  assert.equal(newestArrival([arrival(3), arrival(12), arrival(4), arrival(20, null)]), 12)
})
