/**
 * A block that LevelDB cannot read while the database is open. LevelDB steps over it in a scan and says so only at the
 * end of the range: no page may pass for whole that is not, wherever it ends.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openLevelStore } from '../../../../src/adapters/level/level-store.ts'
import { checkTable } from '../../../../src/adapters/level/table-scan.ts'
import { bytesToUint, uintBytes } from '../../../../src/base/bytes.ts'
import { isChrysalisError, type ChrysalisError } from '../../../../src/base/errors.ts'
import type { Store } from '../../../../src/ports/store.ts'

const ROWS = 400
let directory: string
let store: Store
const damage: ChrysalisError[] = []
/** Rows that can still be read one by one. */
const readable: number[] = []
const unreadable: number[] = []
const isCorrupt = (error: unknown): boolean => isChrysalisError(error, 'corrupt')

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'chrysalis-block-'))
  const made = await openLevelStore(directory)
  for (let i = 0; i < ROWS; i++) {
    await made.batch([{ table: 'delta', key: uintBytes(i, 4), value: new Uint8Array(300).fill(i & 255) }], {
      durable: false
    })
  }
  await made.batch([{ table: 'meta', key: new Uint8Array(1), value: new Uint8Array(1) }], { durable: true })
  await made.close()
  await (await openLevelStore(directory)).close()
  const table = join(directory, (await readdir(directory)).find((name) => name.endsWith('.ldb')) as string)
  const { blocks } = await checkTable(table, undefined, 'whole')
  const middle = blocks?.[Math.floor(blocks.length / 2)]
  assert.ok(middle !== undefined && (blocks?.length ?? 0) > 4)
  const bytes = await readFile(table)
  // A kind of compression that LevelDB does not know: it cannot read the block at all.
  bytes[middle.offset + middle.bytes] = 0x77
  await writeFile(table, bytes)
  store = await openLevelStore(directory, { mustExist: true, onDamage: (error) => damage.push(error) })
  for (let i = 0; i < ROWS; i++) {
    await store.get('delta', uintBytes(i, 4)).then(
      () => readable.push(i),
      () => unreadable.push(i)
    )
  }
})
after(async () => {
  await store.close()
  await rm(directory, { recursive: true, force: true })
})

test('single reads fail by name where the block is, and the keeper of the store is told', async () => {
  assert.ok(unreadable.length > 0 && readable.length > unreadable.length)
  const key = unreadable[0] as number
  await assert.rejects(store.get('delta', uintBytes(key, 4)), (error: unknown) => {
    assert.ok(isChrysalisError(error, 'corrupt'))
    assert.deepEqual([error.data?.['table'], error.data?.['key']], ['delta', key.toString(16).padStart(8, '0')])
    return true
  })
  assert.ok(damage.length >= unreadable.length)
  assert.ok(damage.every((error) => error.code === 'corrupt'))
  await assert.rejects(store.getMany('delta', [uintBytes(0, 4), uintBytes(key, 4)]), isCorrupt)
})

test('no page of any length, forward or backward, leaves the block out in silence', async () => {
  for (const reverse of [false, true]) {
    for (let limit = 1; limit <= ROWS; limit += 7) {
      const rows = await store.scan('delta', { limit, reverse }).catch((error: unknown) => {
        assert.ok(isCorrupt(error))
        return undefined
      })
      if (rows === undefined) continue
      const found = rows.map((row) => Number(bytesToUint(row.key)))
      const expected = Array.from({ length: limit }, (_, i) => (reverse ? ROWS - 1 - i : i))
      assert.deepEqual(found, expected, `${limit} rows${reverse ? ' backward' : ''}`)
    }
  }
})

test('pages before and behind the block are read, and the table beside it', async () => {
  const first = unreadable[0] as number
  const last = unreadable.at(-1) as number
  assert.equal((await store.scan('delta', { lt: uintBytes(first - 20, 4), limit: ROWS })).length, first - 20)
  assert.equal((await store.scan('delta', { gte: uintBytes(last + 20, 4), limit: ROWS })).length, ROWS - last - 20)
  assert.equal((await store.scan('delta', { limit: first - 20 })).length, first - 20, 'a full page as well')
  assert.equal((await store.scan('meta', { limit: 10 })).length, 1)
})
