/** Compositions one after the other: which of them may repair the database. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { repeatedly, type Beginning, type Ending } from '../../../src/daemon/process.ts'

async function play(endings: readonly Ending[]): Promise<{ status: number; seen: Beginning[] }> {
  const seen: Beginning[] = []
  const status = await repeatedly((how) => {
    seen.push(how)
    return Promise.resolve(endings[seen.length - 1] ?? 0)
  })
  return { status, seen }
}

test('an exit status ends it, a join composes anew', async () => {
  const { status, seen } = await play(['restart', 'restart', 7])
  assert.equal(status, 7)
  assert.deepEqual(seen, Array(3).fill({ suspect: false, maySalvage: true }))
})

test('after damage the next composition suspects the database, and only the next', async () => {
  const { seen } = await play(['salvage', 'restart', 0])
  assert.deepEqual(
    seen.map(({ suspect }) => suspect),
    [false, true, false]
  )
})

test('damage that comes back is repaired so often and not once more', async () => {
  const { seen } = await play(Array<Ending>(LIMITS.storeSalvagesMax).fill('salvage'))
  assert.deepEqual(
    seen.map(({ maySalvage }) => maySalvage),
    [...Array<boolean>(LIMITS.storeSalvagesMax).fill(true), false]
  )
})
