/**
 * What every Store must do, whatever lies underneath. A pane that passes may stand in for the daemon's own store in
 * tests and simulations.
 *
 * The suite knows only ports/store.ts. The one look below is `tamper`: flip a stored byte behind the store's back.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { compareBytes, equalBytes, toHex, utf8 } from '../../src/base/bytes.ts'
import { isChrysalisError } from '../../src/base/errors.ts'
import { keyAfter, prefixEnd, TABLES, type Store, type StoreEntry, type Table } from '../../src/ports/store.ts'

export interface StorePane {
  readonly store: Store
  /** Flips one bit of the stored row and returns the store to read it with. */
  readonly tamper: (table: Table, key: Uint8Array) => Promise<Store>
  /** Closes and removes everything. Must not mind a store that is closed already. */
  dispose(): Promise<void>
}

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values)
const put = (table: Table, key: Uint8Array, value: Uint8Array) => ({ table, key, value })
const durable = { durable: true }
const quick = { durable: false }

/** Keys that trip over sign, terminators and length: order must be that of unsigned bytes, shorter first. */
const AWKWARD = [
  bytes(),
  bytes(0),
  bytes(0, 0),
  bytes(0, 255),
  bytes(1),
  bytes(10, 13),
  bytes(127),
  bytes(128),
  bytes(255),
  bytes(255, 0),
  bytes(255, 255)
]

function keysOf(rows: readonly StoreEntry[]): string[] {
  return rows.map((row) => toHex(row.key))
}

/** Registers the suite under `name`. `factory` is called once a test and gives an empty store. */
export function storeSuite(name: string, factory: () => Promise<StorePane>): void {
  const test: Register = (title, body) => {
    it(title, async () => {
      const pane = await factory()
      try {
        await body(pane.store, pane)
      } finally {
        await pane.dispose()
      }
    })
  }

  describe(`store: ${name}`, () => {
    describe('rows', () => rowTests(test))
    describe('scans', () => scanTests(test))
    describe('life', () => lifeTests(test))
    describe('checksums', () => checksumTests(test))
  })
}

type Register = (title: string, body: (store: Store, pane: StorePane) => Promise<void>) => void

function rowTests(test: Register): void {
  test('an absent row is undefined', async (store) => {
    assert.equal(await store.get('meta', utf8('nothing')), undefined)
    assert.deepEqual(await store.scan('meta', { limit: 10 }), [])
  })

  test("a row read on the spot is the row, absent ones are undefined, and it is the reader's own", async (store) => {
    const key = bytes(0, 255)
    await store.batch([put('leaf', key, bytes(1, 2)), put('range', key, bytes(9))], quick)
    assert.equal(store.getSync('meta', key), undefined)
    assert.deepEqual(store.getSync('leaf', key), bytes(1, 2))
    assert.equal(store.getSync('leaf', bytes(0)), undefined)
    const value = store.getSync('leaf', key)
    assert.equal(Object.getPrototypeOf(value), Uint8Array.prototype)
    value?.fill(7)
    assert.deepEqual(store.getSync('leaf', key), bytes(1, 2))
    await store.batch([{ table: 'leaf', key, value: null }], quick)
    assert.equal(store.getSync('leaf', key), undefined)
  })

  test('every table keeps its own rows under one key', async (store) => {
    const key = bytes(0, 255, 7)
    await store.batch(
      TABLES.map((table, i) => put(table, key, bytes(i))),
      durable
    )
    for (const [i, table] of TABLES.entries()) {
      assert.deepEqual(await store.get(table, key), bytes(i))
      assert.deepEqual(await store.scan(table, { limit: 10 }), [{ key, value: bytes(i) }])
    }
  })

  test('a later write replaces, null deletes, deleting nothing is no error', async (store) => {
    const key = utf8('k')
    await store.batch([put('meta', key, bytes(1))], durable)
    await store.batch([put('meta', key, bytes(2, 2))], quick)
    assert.deepEqual(await store.get('meta', key), bytes(2, 2))
    await store.batch([{ table: 'meta', key, value: null }], durable)
    assert.equal(await store.get('meta', key), undefined)
    await store.batch([{ table: 'meta', key, value: null }], durable)
  })

  test('within one batch the last write to a key wins', async (store) => {
    const key = utf8('k')
    const remove = { table: 'meta', key, value: null } as const
    await store.batch([put('meta', key, bytes(1)), put('meta', key, bytes(2))], durable)
    assert.deepEqual(await store.get('meta', key), bytes(2))
    await store.batch([put('meta', key, bytes(3)), remove], durable)
    assert.equal(await store.get('meta', key), undefined)
    await store.batch([remove, put('meta', key, bytes(4))], durable)
    assert.deepEqual(await store.get('meta', key), bytes(4))
  })

  test('an empty batch is a batch', async (store) => {
    await store.batch([], durable)
    await store.batch([], quick)
  })

  test('getMany answers in the order asked, with holes and repeats', async (store) => {
    await store.batch([put('record', bytes(1), bytes(11)), put('record', bytes(3), bytes(33))], durable)
    const answer = await store.getMany('record', [bytes(3), bytes(2), bytes(1), bytes(3)])
    assert.deepEqual(answer, [bytes(33), undefined, bytes(11), bytes(33)])
    assert.deepEqual(await store.getMany('record', []), [])
  })

  test('empty values and values of a megabyte come back as they were', async (store) => {
    const big = new Uint8Array(1_048_576).map((_, i) => (i * 31) & 255)
    await store.batch([put('delta', bytes(1), bytes()), put('delta', bytes(2), big)], durable)
    assert.deepEqual(await store.get('delta', bytes(1)), bytes())
    const again = await store.get('delta', bytes(2))
    assert.ok(again !== undefined && equalBytes(again, big))
  })

  test('what is handed out belongs to the caller, and is a plain array of its own', async (store) => {
    const key = bytes(5)
    await store.batch([put('meta', key, bytes(1, 2, 3))], durable)
    const value = await store.get('meta', key)
    assert.ok(value !== undefined)
    assert.equal(Object.getPrototypeOf(value), Uint8Array.prototype)
    assert.equal(value.buffer.byteLength, value.length)
    value.fill(9)
    const [many] = await store.getMany('meta', [key])
    many?.fill(9)
    const [row] = await store.scan('meta', { limit: 1 })
    assert.ok(row !== undefined)
    assert.equal(Object.getPrototypeOf(row.key), Uint8Array.prototype)
    row.value.fill(9)
    row.key.fill(9)
    assert.deepEqual(await store.get('meta', key), bytes(1, 2, 3))
    assert.deepEqual(keysOf(await store.scan('meta', { limit: 1 })), ['05'])
  })

  test('what is handed in may be reused once the batch is done', async (store) => {
    const key = bytes(5)
    const value = bytes(1, 2, 3)
    await store.batch([put('meta', key, value)], durable)
    key.fill(7)
    value.fill(7)
    assert.deepEqual(await store.get('meta', bytes(5)), bytes(1, 2, 3))
  })
}

function scanTests(test: Register): void {
  const fill = async (store: Store): Promise<void> => {
    const shuffled = [...AWKWARD].reverse()
    await store.batch(
      shuffled.map((key) => put('range', key, key)),
      durable
    )
    // Neighbours on both sides, which no scan of `range` may show.
    await store.batch([put('delta', bytes(255, 255, 255), bytes(1)), put('arrival', bytes(), bytes(1))], durable)
  }
  const all = AWKWARD.map(toHex)

  test('rows come in the order of unsigned bytes, and none of the neighbouring tables', async (store) => {
    await fill(store)
    const rows = await store.scan('range', { limit: 100 })
    assert.deepEqual(keysOf(rows), all)
    for (const row of rows) assert.deepEqual(row.value, row.key)
  })

  test('reverse is the same rows backwards', async (store) => {
    await fill(store)
    assert.deepEqual(keysOf(await store.scan('range', { reverse: true, limit: 100 })), [...all].reverse())
    assert.deepEqual(keysOf(await store.scan('range', { reverse: true, limit: 1 })), ['ffff'])
    const bounded = await store.scan('range', { gte: bytes(1), lt: bytes(255), reverse: true, limit: 2 })
    assert.deepEqual(keysOf(bounded), ['80', '7f'])
  })

  test('the lower bound is inclusive, the upper exclusive', async (store) => {
    await fill(store)
    const rows = await store.scan('range', { gte: bytes(0, 255), lt: bytes(128), limit: 100 })
    assert.deepEqual(keysOf(rows), ['00ff', '01', '0a0d', '7f'])
    assert.deepEqual(await store.scan('range', { gte: bytes(128), lt: bytes(128), limit: 100 }), [])
    assert.deepEqual(await store.scan('range', { gte: bytes(200), lt: bytes(100), limit: 100 }), [])
    assert.deepEqual(keysOf(await store.scan('range', { gte: bytes(), limit: 1 })), [''])
    assert.deepEqual(await store.scan('range', { lt: bytes(), limit: 100 }), [])
  })

  test('the limit is exact, and zero is nothing', async (store) => {
    await fill(store)
    for (const limit of [0, 1, all.length - 1, all.length, all.length + 1]) {
      const rows = await store.scan('range', { limit })
      assert.deepEqual(keysOf(rows), all.slice(0, limit))
    }
  })

  test('paging with keyAfter meets every row once', async (store) => {
    await fill(store)
    const seen: string[] = []
    let gte: Uint8Array | undefined
    for (;;) {
      const rows: StoreEntry[] = await store.scan('range', { limit: 3, ...(gte === undefined ? {} : { gte }) })
      seen.push(...keysOf(rows))
      assert.ok(seen.length <= all.length, 'paging ends')
      const last = rows.at(-1)
      if (last === undefined) break
      gte = keyAfter(last.key)
    }
    assert.deepEqual(seen, all)
  })

  test('prefixEnd closes exactly the rows with a prefix', async (store) => {
    await fill(store)
    for (const prefix of AWKWARD) {
      const lt = prefixEnd(prefix)
      const rows = await store.scan('range', { gte: prefix, limit: 100, ...(lt === undefined ? {} : { lt }) })
      const expected = AWKWARD.filter((key) => equalBytes(key.subarray(0, prefix.length), prefix))
      assert.deepEqual(keysOf(rows), expected.map(toHex))
    }
  })

  test('more rows than one internal page', async (store) => {
    const writes = Array.from({ length: 2_500 }, (_, i) => put('history', bytes(i >> 8, i & 255), bytes(i & 255)))
    await store.batch(writes, quick)
    const rows = await store.scan('history', { limit: 2_400 })
    assert.equal(rows.length, 2_400)
    assert.ok(rows.every((row, i) => equalBytes(row.key, bytes(i >> 8, i & 255)) && row.value[0] === (i & 255)))
  })

  test('any set of keys scans like a sorted list', async (store) => {
    const key = fc.uint8Array({ maxLength: 3 })
    const scan = fc.record({
      keys: fc.array(key, { maxLength: 12 }),
      gte: fc.option(key, { nil: undefined }),
      lt: fc.option(key, { nil: undefined }),
      reverse: fc.boolean(),
      limit: fc.nat(14)
    })
    await fc.assert(
      fc.asyncProperty(scan, async ({ keys, gte, lt, reverse, limit }) => {
        const old = await store.scan('link', { limit: 1_000 })
        await store.batch(
          [
            ...old.map((row) => ({ table: 'link', key: row.key, value: null }) as const),
            ...keys.map((one) => put('link', one, one))
          ],
          quick
        )
        const expected = [...new Map(keys.map((one) => [toHex(one), one])).values()]
          .sort(compareBytes)
          .filter((one) => gte === undefined || compareBytes(one, gte) >= 0)
          .filter((one) => lt === undefined || compareBytes(one, lt) < 0)
        if (reverse) expected.reverse()
        const rows = await store.scan('link', {
          limit,
          reverse,
          ...(gte === undefined ? {} : { gte }),
          ...(lt === undefined ? {} : { lt })
        })
        assert.deepEqual(keysOf(rows), expected.slice(0, limit).map(toHex))
      }),
      { numRuns: 60, seed: 7 }
    )
  })
}

function lifeTests(test: Register): void {
  test('concurrent batches are each applied whole', async (store) => {
    const width = 8
    const rounds = Array.from({ length: 40 }, (_, round) =>
      store.batch(
        Array.from({ length: width }, (_, i) => put('record', bytes(i), bytes(round))),
        { durable: round % 2 === 0 }
      )
    )
    const looks = Array.from({ length: 40 }, async () => {
      const rows = await store.scan('record', { limit: 100 })
      assert.ok(rows.length === 0 || rows.length === width)
      assert.equal(new Set(rows.map((row) => row.value[0])).size, rows.length === 0 ? 0 : 1)
    })
    await Promise.all([...rounds, ...looks])
    assert.equal((await store.scan('record', { limit: 100 })).length, width)
  })

  test('reopen keeps every row, and writing goes on', async (store) => {
    await store.batch([put('meta', bytes(1), bytes(1))], durable)
    await store.batch([put('meta', bytes(2), bytes(2))], quick)
    await Promise.all([store.reopen(), store.reopen()])
    await store.batch([put('meta', bytes(3), bytes(3))], durable)
    assert.deepEqual(keysOf(await store.scan('meta', { limit: 10 })), ['01', '02', '03'])
  })

  test('a closed store refuses everything with `unavailable`; closing again is no error', async (store) => {
    await store.batch([put('meta', bytes(1), bytes(1))], durable)
    await store.close()
    await store.close()
    const isUnavailable = (error: unknown): boolean => isChrysalisError(error, 'unavailable')
    await assert.rejects(store.get('meta', bytes(1)), isUnavailable)
    assert.throws(() => store.getSync('meta', bytes(1)), isUnavailable)
    await assert.rejects(store.getMany('meta', [bytes(1)]), isUnavailable)
    await assert.rejects(store.scan('meta', { limit: 1 }), isUnavailable)
    await assert.rejects(store.batch([put('meta', bytes(1), bytes(1))], durable), isUnavailable)
    await assert.rejects(store.reopen(), isUnavailable)
  })
}

function checksumTests(test: Register): void {
  test('a row that changed underneath is `corrupt`, named and never returned', async (_, pane) => {
    const [before, victim, after] = [bytes(1), bytes(2, 0, 255), bytes(3)] as const
    const writes = [before, victim, after].map((key) => put('record', key, bytes(7, 7)))
    await pane.store.batch(writes, durable)
    const store = await pane.tamper('record', victim)
    const isNamed = (error: unknown): boolean =>
      isChrysalisError(error, 'corrupt') && error.data?.['table'] === 'record' && error.data['key'] === '0200ff'
    await assert.rejects(store.get('record', victim), isNamed)
    assert.throws(() => store.getSync('record', victim), isNamed)
    await assert.rejects(store.getMany('record', [before, victim]), isNamed)
    await assert.rejects(store.scan('record', { limit: 10 }), isNamed)
    assert.deepEqual(await store.getMany('record', [before, after]), [bytes(7, 7), bytes(7, 7)])
    assert.equal((await store.scan('record', { lt: victim, limit: 10 })).length, 1)
    assert.equal((await store.scan('record', { gte: after, limit: 10 })).length, 1)
    // Damage is not a reason to stop writing: the row can be written again, from a peer's copy.
    await store.batch([put('record', victim, bytes(8))], durable)
    assert.deepEqual(await store.get('record', victim), bytes(8))
  })
}
