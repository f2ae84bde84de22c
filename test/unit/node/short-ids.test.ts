import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { deltaKey } from '../../../src/node/rows.ts'
import { recordsByShortIds } from '../../../src/node/short-ids.ts'
import { createMemoryStore } from '../../support/memory-store.ts'

const SPACE = '5a'.repeat(16)
const OTHER = '5b'.repeat(16)
const idOf = (short: string, n: number): string => short + n.toString(16).padStart(48, '0')

suite('records by short id', () => {
  test('each short id finds the rows of its space, and no others', async () => {
    const store = createMemoryStore()
    const [low, high] = ['00'.repeat(8), 'ff'.repeat(8)]
    const rows: [string, string, number][] = [
      [SPACE, idOf(low, 1), 1],
      [SPACE, idOf('0000000000000001', 1), 2],
      [SPACE, idOf(high, 1), 3],
      [OTHER, idOf(low, 1), 4]
    ]
    await store.batch(
      rows.map(([space, id, n]) => ({ table: 'delta', key: deltaKey(space, id), value: new Uint8Array([n]) })),
      { durable: false }
    )
    const found = async (space: string, ...shorts: string[]): Promise<string[]> =>
      (await recordsByShortIds(store, space, shorts.map(fromHex))).map(toHex)
    assert.deepEqual(await found(SPACE, low, high), ['01', '03'])
    assert.deepEqual(await found(OTHER, low, high), ['04'])
    assert.deepEqual(await found(SPACE, '1111111111111111'), [])
    await store.close()
  })

  test('of more deltas than the bound with one short id, as many as the bound', async () => {
    for (const count of [LIMITS.reconShortMatchesMax, LIMITS.reconShortMatchesMax + 1]) {
      const store = createMemoryStore()
      const short = 'ab'.repeat(8)
      await store.batch(
        Array.from({ length: count }, (_, n) => {
          return { table: 'delta' as const, key: deltaKey(SPACE, idOf(short, n)), value: new Uint8Array([n]) }
        }),
        { durable: false }
      )
      const found = await recordsByShortIds(store, SPACE, [fromHex(short)])
      assert.equal(found.length, LIMITS.reconShortMatchesMax)
      await store.close()
    }
  })
})
