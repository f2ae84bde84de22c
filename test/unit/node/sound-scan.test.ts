import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compareBytes } from '../../../src/base/bytes.ts'
import { ChrysalisError, isChrysalisError } from '../../../src/base/errors.ts'
import { keyAfter, type Store } from '../../../src/ports/store.ts'
import { pageEnd, scanSound, soundPages } from '../../../src/node/sound-scan.ts'
import { Disk } from '../../support/damage.ts'

const key = (n: number): Uint8Array => new Uint8Array([7, n])
const names = (keys: readonly Uint8Array[]): number[] => keys.map((one) => one[1] as number)

/** Rows 0 to 19 of a table, some of them damaged. */
async function disk(...damaged: readonly number[]): Promise<Disk> {
  const disk = new Disk()
  const writes = Array.from({ length: 20 }, (_, n) => ({ table: 'link' as const, key: key(n), value: key(n) }))
  await disk.store.batch(writes, { durable: false })
  for (const n of damaged) await disk.flipValue('link', key(n))
  return disk
}

describe('scanSound', () => {
  it('is a scan where nothing is damaged', async () => {
    const { store } = await disk()
    const page = await scanSound(store, 'link', { gte: key(3), lt: key(9), limit: 100 })
    assert.deepEqual([names(page.rows.map((row) => row.key)), page.damaged, page.ended], [[3, 4, 5, 6, 7, 8], [], true])
    const first = await scanSound(store, 'link', { limit: 5 })
    assert.deepEqual([first.rows.length, first.ended], [5, false])
  })

  for (const damaged of [[0], [19], [4], [4, 5, 6], [0, 1, 7, 18, 19], Array.from({ length: 20 }, (_, n) => n)]) {
    it(`passes over ${damaged.join()} in both directions and pages of every size`, async () => {
      const { store } = await disk(...damaged)
      const sound = Array.from({ length: 20 }, (_, n) => n).filter((n) => !damaged.includes(n))
      for (const reverse of [false, true]) {
        for (const limit of [1, 2, 3, 7, 20, 100]) {
          const rows: number[] = []
          const bad: number[] = []
          let bounds = {}
          for (;;) {
            const page = await scanSound(store, 'link', { ...bounds, reverse, limit })
            assert.ok(page.rows.length <= limit)
            assert.equal(page.ended || page.rows.length === limit, true)
            rows.push(...names(page.rows.map((row) => row.key)))
            bad.push(...names(page.damaged))
            if (page.ended) break
            const end = pageEnd(page)!
            bounds = reverse ? { lt: end } : { gte: keyAfter(end) }
          }
          assert.deepEqual(rows, reverse ? [...sound].reverse() : sound, `rows, ${reverse}, ${limit}`)
          assert.deepEqual(bad, reverse ? [...damaged].reverse() : damaged, `damaged, ${reverse}, ${limit}`)
        }
      }
    })
  }

  it('pages through a prefix to its end', async () => {
    const { store } = await disk(2, 9)
    const pages = []
    for await (const page of soundPages(store, 'link', new Uint8Array([7]), { pageRows: 6 })) pages.push(page)
    const lengths = pages.map((page) => page.rows.length)
    assert.deepEqual(lengths, [6, 6, 6])
    assert.equal(pages.flatMap((page) => page.rows).length, 18)
    const from = soundPages(store, 'link', new Uint8Array([7]), { from: key(15), pageRows: 100 })
    assert.equal((await from.next()).value?.rows.length, 5)
  })

  it('goes on behind the last sound row, not behind a damaged one whose key is out of place', async () => {
    const rows = [1, 2, 3, 4, 5, 6].map((n) => ({ key: key(n), value: key(n) }))
    // As a database does whose file says 9 where 3 was written: the bounds end it where the wrong key is beyond them.
    const scan: Store['scan'] = (_table, { gte = key(0), lt = key(255), limit, onDamaged }) => {
      const found: typeof rows = []
      let read = 0
      for (const row of rows) {
        const at = row.key[1] === 3 ? key(9) : row.key
        if (compareBytes(at, gte) < 0) continue
        if (compareBytes(at, lt) >= 0 || read++ === limit) break
        if (at === row.key) found.push(row)
        else onDamaged?.(at, found.length)
      }
      return Promise.resolve(found)
    }
    const page = await scanSound({ scan } as unknown as Store, 'link', { limit: 2 })
    assert.deepEqual([names(page.rows.map((row) => row.key)), names(page.damaged)], [[1, 2], []])
    const next = await scanSound({ scan } as unknown as Store, 'link', { gte: key(3), limit: 2 })
    assert.deepEqual(
      [names(next.rows.map((row) => row.key)), names(next.damaged), pageEnd(next)],
      [[4, 5], [9], key(5)]
    )
  })

  it('keeps to the sound rows also when the misplaced ones fill a page', async () => {
    // Twenty rows that should be 0 to 19 say 200 to 219; what follows them is sound.
    const rows = Array.from({ length: 40 }, (_, n) => ({ key: key(n < 20 ? 200 + n : n), isSound: n >= 20 }))
    const scan: Store['scan'] = (_table, { gte = key(0), limit, onDamaged }) => {
      const found: { key: Uint8Array; value: Uint8Array }[] = []
      const from = rows.findIndex((row) => compareBytes(row.key, gte) >= 0 && (row.isSound || gte[1] === 0))
      for (const row of from < 0 ? [] : rows.slice(from, from + limit)) {
        if (row.isSound) found.push({ key: row.key, value: row.key })
        else onDamaged?.(row.key, found.length)
      }
      return Promise.resolve(found)
    }
    const page = await scanSound({ scan } as unknown as Store, 'link', { limit: 10 })
    assert.deepEqual(names(page.rows.map((row) => row.key)), [20, 21, 22, 23, 24, 25, 26, 27, 28, 29])
    assert.equal(page.damaged.length, 20)
  })

  it('takes a table of nothing but damage in pieces', async () => {
    const all = Array.from({ length: 2_500 }, (_, n) => new Uint8Array([n >> 8, n & 255]))
    const scan: Store['scan'] = (_table, { gte = key(0), limit, onDamaged }) => {
      const from = all.findIndex((one) => compareBytes(one, gte) >= 0)
      for (const one of from < 0 ? [] : all.slice(from, from + limit)) onDamaged?.(one, 0)
      return Promise.resolve([])
    }
    const pages = []
    for (let gte: Uint8Array = new Uint8Array([0]); ;) {
      const page = await scanSound({ scan } as unknown as Store, 'link', { gte, limit: 100 })
      pages.push(page)
      if (page.ended) break
      gte = keyAfter(pageEnd(page)!)
    }
    assert.equal(pages.flatMap((page) => page.damaged).length, 2_500)
    assert.ok(pages.length >= 2 && pages.every((page) => page.damaged.length < 1_500))
  })

  it('passes on what is no single row', async () => {
    for (const code of ['corrupt', 'unavailable'] as const) {
      const scan = (): Promise<never> => Promise.reject(new ChrysalisError(code, 'a block cannot be read'))
      const failed = scanSound({ scan } as unknown as Store, 'link', { limit: 3 })
      await assert.rejects(failed, (error) => isChrysalisError(error, code))
    }
  })
})
