/** The MANIFEST of a real database, and what is noticed of one that is not whole. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { openLevelStore } from '../../../../src/adapters/level/level-store.ts'
import { writeLog } from '../../../../src/adapters/level/log-scan.ts'
import { encodeEdit, putVarint, readManifest } from '../../../../src/adapters/level/manifest.ts'
import { uintBytes } from '../../../../src/base/bytes.ts'

async function realManifest(context: TestContext): Promise<{ data: string; bytes: Uint8Array }> {
  const data = await mkdtemp(join(tmpdir(), 'chrysalis-manifest-'))
  context.after(() => rm(data, { recursive: true, force: true }))
  for (let run = 0; run < 2; run++) {
    const store = await openLevelStore(data, { writeBufferBytes: 65_536 })
    for (let i = 0; i < 400; i++) {
      const value = new Uint8Array(800).map((_, at) => (i * 7 + at * at) & 255)
      await store.batch([{ table: 'delta', key: uintBytes(run * 1_000 + i, 4), value }], { durable: false })
    }
    await store.close()
  }
  const name = (await readdir(data)).find((file) => file.startsWith('MANIFEST')) as string
  return { data, bytes: new Uint8Array(await readFile(join(data, name))) }
}

test('it names the tables that are there, with their sizes, and the log', async (context) => {
  const { data, bytes } = await realManifest(context)
  const { tables, logNumber, nextFile, damage } = readManifest(bytes)
  assert.deepEqual(damage, [])
  assert.ok(tables.size > 2)
  for (const [number, entry] of tables) {
    assert.equal((await stat(join(data, `${String(number).padStart(6, '0')}.ldb`))).size, entry.bytes)
    assert.ok(number < nextFile)
  }
  assert.ok((await readdir(data)).includes(`${String(logNumber).padStart(6, '0')}.log`))
})

test('an edit behind it takes tables out and puts others in', async (context) => {
  const { bytes } = await realManifest(context)
  const before = readManifest(bytes)
  const [[number, entry]] = [...before.tables] as [[number, NonNullable<ReturnType<typeof before.tables.get>>]]
  const edit = encodeEdit(new Map([[number, entry]]), new Map([[500, { ...entry, bytes: 77 }]]), 501)
  const after = readManifest(writeLog([...before.edits, edit]))
  assert.deepEqual(after.damage, [])
  assert.equal(after.tables.has(number), false)
  assert.deepEqual(after.tables.get(500), { ...entry, bytes: 77 })
  assert.deepEqual([after.tables.size, after.nextFile, after.logNumber], [before.tables.size, 501, before.logNumber])
})

test('one that is cut, empty or written in another language says so', async (context) => {
  const { bytes } = await realManifest(context)
  assert.match(readManifest(bytes.subarray(0, 60)).damage.join(), /no log number/)
  assert.match(readManifest(new Uint8Array(0)).damage.join(), /no next file number/)
  const whole = readManifest(bytes).edits
  assert.match(readManifest(writeLog([...whole, Uint8Array.of(99, 1)])).damage.join(), /cannot be read/)
  assert.match(readManifest(writeLog([...whole, Uint8Array.of(1, 200, 1)])).damage.join(), /cannot be read/)
  const flipped = bytes.slice()
  flipped[20]! ^= 1
  assert.match(readManifest(flipped).damage.join(), /damaged, and sound records follow/)
})

test('numbers are LevelDB varints', () => {
  const bytes: number[] = []
  for (const value of [0, 127, 128, 300, 2 ** 40]) putVarint(bytes, value)
  assert.deepEqual(bytes, [0, 127, 128, 1, 172, 2, 128, 128, 128, 128, 128, 32])
})
