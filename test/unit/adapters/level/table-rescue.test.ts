/** Tables of LevelDB: what their checksums show, and what is brought back of a damaged one. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openLevelStore } from '../../../../src/adapters/level/level-store.ts'
import { rescueTable } from '../../../../src/adapters/level/table-rescue.ts'
import { checkTable } from '../../../../src/adapters/level/table-scan.ts'
import { uintBytes } from '../../../../src/base/bytes.ts'
import { SeededRandom } from '../../../../src/base/prng.ts'

const ROWS = 1_200
let directory: string
let scratch: string
let table: Uint8Array
let blocks = 0

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'chrysalis-table-'))
  scratch = join(directory, 'scratch.ldb')
  const random = new SeededRandom('table')
  const data = join(directory, 'data')
  const store = await openLevelStore(data)
  for (let i = 0; i < ROWS; i++) {
    // Half of each value compresses, so both kinds of block are made; one row is larger than a block.
    const value = new Uint8Array(i === 600 ? 30_000 : 300)
    value.set(random.bytes(value.length >> 1))
    await store.batch([{ table: i % 3 === 0 ? 'history' : 'delta', key: uintBytes(i, 4), value }], { durable: false })
  }
  await store.close()
  await (await openLevelStore(data)).close()
  const name = (await readdir(data)).find((file) => file.endsWith('.ldb')) as string
  table = new Uint8Array(await readFile(join(data, name)))
  await writeFile(scratch, table)
  blocks = (await checkTable(scratch, table.length, 'whole')).blocks?.length ?? 0
})
after(() => rm(directory, { recursive: true, force: true }))

const check = async (bytes: Uint8Array, depth: 'ends' | 'whole' = 'whole') => {
  await writeFile(scratch, bytes)
  return checkTable(scratch, undefined, depth)
}

const flipped = (at: number): Uint8Array => {
  const bytes = table.slice()
  bytes[at]! ^= 1 << (at & 7)
  return bytes
}

test('a sound table has nothing wrong with it, at both depths', async () => {
  assert.ok(blocks > 50, `${blocks} blocks`)
  for (const depth of ['ends', 'whole'] as const) {
    const { lost, badBlocks } = await check(table, depth)
    assert.deepEqual([lost, badBlocks], [undefined, []])
  }
})

test('a flipped bit anywhere is found: one bad block, or no way into the table', async () => {
  // The footer is padded with bytes that nobody reads.
  for (let at = 0; at < table.length - 48; at += 499) {
    const { lost, badBlocks } = await check(flipped(at))
    assert.ok(lost !== undefined || badBlocks.length === 1, `bit at ${at}`)
  }
  for (const at of [table.length - 1, table.length - 8, table.length - 48]) {
    assert.ok((await check(flipped(at))).lost !== undefined, `bit at ${at}`)
  }
})

test('the small look passes data blocks over and finds everything else', async () => {
  assert.equal((await check(flipped(1_000), 'ends')).lost, undefined)
  assert.match((await check(flipped(table.length - 100), 'ends')).lost ?? '', /index|filter/)
  await writeFile(scratch, table.subarray(0, table.length - 1))
  assert.match((await checkTable(scratch, table.length, 'ends')).lost ?? '', /bytes instead of/)
  assert.match((await check(new Uint8Array(20))).lost ?? '', /too short/)
  assert.match((await check(new Uint8Array(500))).lost ?? '', /does not end as a table/)
})

test('without its index every block is found again', async () => {
  for (const damaged of [table.subarray(0, table.length - 100), flipped(table.length - 20), table]) {
    const rescued = rescueTable(damaged, undefined)
    assert.equal(rescued?.blocks, blocks)
    const { lost, badBlocks, blocks: found } = await check(rescued.bytes)
    assert.deepEqual([lost, badBlocks, found?.length], [undefined, [], blocks])
  }
})

test('with its index a bad block is left out and the others stay', async () => {
  const handles = (await check(table)).blocks
  const rescued = rescueTable(flipped(1_000), handles)
  assert.equal(rescued?.blocks, blocks - 1)
  assert.deepEqual((await check(rescued.bytes)).badBlocks, [])
  assert.equal(rescueTable(table.subarray(0, table.length >> 1), handles)?.blocks, rescueHalf())
})

function rescueHalf(): number | undefined {
  return rescueTable(table.subarray(0, table.length >> 1), undefined)?.blocks
}

test('of what is no table nothing is made', () => {
  for (const nothing of [new Uint8Array(0), new Uint8Array(10_000), table.subarray(0, 100)]) {
    assert.equal(rescueTable(nothing, undefined), undefined)
  }
})
