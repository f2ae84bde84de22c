/** The number of the layout: written once, raised step by step, never lowered. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { migrate, SCHEMA, SCHEMA_KEY, type Migration } from '../../../../src/adapters/level/migrations.ts'
import { toHex, uintBytes, utf8 } from '../../../../src/base/bytes.ts'
import { isChrysalisError } from '../../../../src/base/errors.ts'
import type { Store, StoreWrite } from '../../../../src/ports/store.ts'
import { createMemoryStore } from '../../../support/memory-store.ts'

const one = new Uint8Array([1])

function stepTo(to: number, writes: readonly StoreWrite[] = []): Migration {
  return { to, title: `step ${to}`, plan: () => Promise.resolve(writes) }
}

async function schemaOf(store: Store): Promise<string | undefined> {
  const value = await store.get('meta', SCHEMA_KEY)
  return value === undefined ? undefined : toHex(value)
}

/** Notes each batch, and fails the one with the given number. */
function watched(store: Store, failAt = -1): { store: Store; batches: { rows: number; durable: boolean }[] } {
  const batches: { rows: number; durable: boolean }[] = []
  const batch: Store['batch'] = async (writes, options) => {
    if (batches.length === failAt) throw new Error('power cut')
    batches.push({ rows: writes.length, durable: options.durable })
    await store.batch(writes, options)
  }
  const get: Store['get'] = (table, key) => store.get(table, key)
  return { store: { ...store, get, scan: (table, options) => store.scan(table, options), batch }, batches }
}

test('a new store gets the current number, durably, and is left alone afterwards', async () => {
  const inner = createMemoryStore()
  const { store, batches } = watched(inner)
  assert.deepEqual(await migrate(store), { from: undefined, to: SCHEMA, applied: [], wasLost: false })
  assert.equal(await schemaOf(inner), '00000001')
  assert.deepEqual(await migrate(store), { from: 1, to: 1, applied: [], wasLost: false })
  assert.deepEqual(batches, [{ rows: 1, durable: true }])
})

test('an older store runs the steps it lacks, in order, each in one durable batch', async () => {
  const inner = createMemoryStore()
  await migrate(inner)
  await inner.batch([{ table: 'receipt', key: utf8('old'), value: one }], { durable: true })
  const seen: (string | undefined)[] = []
  const move: Migration = {
    to: 2,
    title: 'move the row',
    plan: async (store) => {
      seen.push(await schemaOf(store))
      return [
        { table: 'receipt', key: utf8('old'), value: null },
        { table: 'receipt', key: utf8('new'), value: one }
      ]
    }
  }
  const check: Migration = {
    to: 3,
    title: 'see the move',
    plan: async (store) => {
      seen.push(await schemaOf(store))
      assert.deepEqual(await store.get('receipt', utf8('new')), one)
      return []
    }
  }
  const { store, batches } = watched(inner)
  const report = await migrate(store, [move, check])
  assert.deepEqual(report, { from: 1, to: 3, applied: ['move the row', 'see the move'], wasLost: false })
  assert.deepEqual(seen, ['00000001', '00000002'])
  assert.deepEqual(batches, [
    { rows: 3, durable: true },
    { rows: 1, durable: true }
  ])
  assert.equal(await inner.get('receipt', utf8('old')), undefined)
  // A store in the middle runs only what is left.
  assert.deepEqual((await migrate(inner, [move, check, stepTo(4)])).applied, ['step 4'])
})

test('a crash between steps leaves the finished ones done and goes on from there', async () => {
  const inner = createMemoryStore()
  await migrate(inner)
  const steps = [stepTo(2, [{ table: 'meta', key: utf8('two'), value: one }]), stepTo(3)]
  await assert.rejects(migrate(watched(inner, 1).store, steps), /power cut/)
  assert.equal(await schemaOf(inner), '00000002')
  assert.deepEqual(await inner.get('meta', utf8('two')), one)
  assert.deepEqual(await migrate(inner, steps), { from: 2, to: 3, applied: ['step 3'], wasLost: false })
})

test('a newer store is refused with both numbers, and not touched', async () => {
  const inner = createMemoryStore()
  await inner.batch([{ table: 'meta', key: SCHEMA_KEY, value: uintBytes(7, 4) }], { durable: true })
  const { store, batches } = watched(inner)
  await assert.rejects(migrate(store), (error: unknown) => {
    assert.ok(isChrysalisError(error, 'unsupported_version'))
    assert.match(error.message, /schema 7.*up to 1/)
    assert.equal(error.stateTouched, false)
    return true
  })
  assert.deepEqual(batches, [])
  assert.equal(await schemaOf(inner), '00000007')
})

test('rows without a number, or an unreadable number, are `corrupt` and not touched', async () => {
  const isCorrupt = (error: unknown): boolean => isChrysalisError(error, 'corrupt')
  const nameless = createMemoryStore()
  await nameless.batch([{ table: 'audit', key: one, value: one }], { durable: true })
  await assert.rejects(migrate(nameless), isCorrupt)
  assert.equal(await schemaOf(nameless), undefined)
  for (const value of [new Uint8Array(0), uintBytes(1, 8), uintBytes(0, 4)]) {
    const odd = createMemoryStore()
    await odd.batch([{ table: 'meta', key: SCHEMA_KEY, value }], { durable: true })
    await assert.rejects(migrate(odd), isCorrupt)
  }
})

test('a list of steps with a gap is a programmer error', async () => {
  await assert.rejects(migrate(createMemoryStore(), [stepTo(3)]), /numbered/)
})

test('a lost number is taken from the witness, and the steps go on from there', async () => {
  const ran: number[] = []
  const step = (to: number): Migration => ({
    ...stepTo(to),
    plan: () => {
      ran.push(to)
      return Promise.resolve([])
    }
  })
  const store = createMemoryStore()
  await store.batch([{ table: 'delta', key: one, value: one }], { durable: true })
  assert.deepEqual(await migrate(store, [step(2), step(3)], 2), { from: 2, to: 3, applied: ['step 3'], wasLost: true })
  assert.deepEqual(ran, [3])
  assert.equal(await schemaOf(store), '00000003')
  // A witness of the present layout has the number written again, and a sound number needs no witness.
  await store.batch([{ table: 'meta', key: SCHEMA_KEY, value: utf8('nonsense') }], { durable: true })
  assert.equal((await migrate(store, [step(2), step(3)], 3)).wasLost, true)
  assert.equal((await migrate(store, [step(2), step(3)], 1)).wasLost, false)
  assert.equal(await schemaOf(store), '00000003')
})
