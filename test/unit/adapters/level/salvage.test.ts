/** Repair before opening brings back what opening would have thrown away. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { openLevelStore } from '../../../../src/adapters/level/level-store.ts'
import { inspectFiles } from '../../../../src/adapters/level/inspect.ts'
import { salvageDatabase } from '../../../../src/adapters/level/salvage.ts'
import { uintBytes } from '../../../../src/base/bytes.ts'
import { isChrysalisError } from '../../../../src/base/errors.ts'

const ROWS = 1_500

async function makeDatabase(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'chrysalis-salvage-'))
  context.after(() => rm(directory, { recursive: true, force: true }))
  const data = join(directory, 'data')
  const store = await openLevelStore(data, { writeBufferBytes: 65_536 })
  for (let i = 0; i < ROWS; i++) {
    const value = new Uint8Array(500).map((_, at) => (i * 131 + at * at) & 255)
    await store.batch([{ table: 'delta', key: uintBytes(i, 4), value }], { durable: false })
  }
  await store.close()
  return data
}

async function salvage(data: string, copy: string): Promise<void> {
  await salvageDatabase(data, copy, await inspectFiles(data, { wholeBytesMax: Number.POSITIVE_INFINITY }))
}

async function countRows(data: string): Promise<number> {
  const store = await openLevelStore(data, { mustExist: true })
  const rows = await store.scan('delta', { limit: ROWS + 1 })
  await store.close()
  return rows.length
}

async function cutManifest(data: string): Promise<void> {
  const manifest = join(data, String((await readdir(data)).find((name) => name.startsWith('MANIFEST-'))))
  await truncate(manifest, (await readFile(manifest)).length >> 1)
}

test('a cut MANIFEST: opening loses rows without a word, salvaging first loses none', async (context) => {
  const opened = await makeDatabase(context)
  await cutManifest(opened)
  assert.ok((await countRows(opened)) < ROWS, 'the trap is real')

  const salvaged = await makeDatabase(context)
  await cutManifest(salvaged)
  const before = await readdir(salvaged)
  await salvage(salvaged, `${salvaged}.kept`)
  assert.equal(await countRows(salvaged), ROWS)
  assert.deepEqual((await readdir(`${salvaged}.kept`)).sort(), before.filter((name) => name !== 'LOCK').sort())
  if (process.platform !== 'win32') assert.equal((await stat(`${salvaged}.kept`)).mode & 0o777, 0o700)
})

test('a lost CURRENT: refused as it is, whole after salvaging', async (context) => {
  const data = await makeDatabase(context)
  await rm(join(data, 'CURRENT'))
  await assert.rejects(openLevelStore(data), (error: unknown) => isChrysalisError(error, 'corrupt'))
  await salvage(data, `${data}.kept`)
  assert.equal(await countRows(data), ROWS)
})

test('an earlier copy is never overwritten, and then nothing is repaired', async (context) => {
  const data = await makeDatabase(context)
  await salvage(data, `${data}.kept`)
  // Sorted: the order of a directory is the file system's own business.
  const names = async (): Promise<string[][]> => [(await readdir(data)).sort(), (await readdir(`${data}.kept`)).sort()]
  const before = await names()
  await assert.rejects(salvage(data, `${data}.kept`), (error: unknown) => isChrysalisError(error))
  assert.deepEqual(await names(), before)
  assert.equal(await countRows(data), ROWS)
})
