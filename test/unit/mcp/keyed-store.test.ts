/** Batches, patience and turns: what stands between a tool call and the many writes it may need. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import type { Caller } from '../../../src/mcp/profile.ts'
import { batches, KeyedStore, type NewRecord } from '../../../src/mcp/profiles/keyed-store.ts'
import { Turns } from '../../../src/mcp/turns.ts'

const record = (key: string, length = 10): NewRecord => ({ key, content: 'x'.repeat(length) })

test('a batch holds as many items as one request may, and no more bytes than one delta', () => {
  const exactly = Array.from({ length: LIMITS.addManyItemsMax }, (_, i) => record(`k${i}`, 1))
  const small = batches([...exactly.slice(0, 100), record('one more', 1)])
  assert.deepEqual(
    small.map((batch) => batch.length),
    [101]
  )
  const many = batches([...exactly, ...exactly])
  assert.ok(many.every((batch) => batch.length <= LIMITS.addManyItemsMax))
  assert.deepEqual(many.flat(), [...exactly, ...exactly], 'all of them, in order')
  const large = batches(Array.from({ length: 4 }, (_, i) => record(`k${i}`, LIMITS.contentBytesMax)))
  assert.deepEqual(
    large.map((batch) => batch.length),
    [1, 1, 1, 1]
  )
  const bytes = (batch: readonly NewRecord[]): number => batch.reduce((sum, { content }) => sum + content.length, 0)
  assert.ok(many.concat(large).every((batch) => bytes(batch) < LIMITS.deltaBodyBytesMax))
  assert.deepEqual(batches([]), [])
})

const SPACE = 'a1'.repeat(16)

/** A door that lists one space and answers writes as it is told. */
function door(write: (method: string, params: object) => void): Caller {
  return {
    async call(method, params) {
      if (method === 'space.list') return { spaces: [{ id: SPACE, name: 'shared', isDefault: true }] } as never
      write(method, params)
      return {} as never
    }
  }
}

const tooFast = (retryMs: number): ChrysalisError =>
  new ChrysalisError('rate_limited', 'too fast', { data: { retryMs } })

test('a write that comes too fast waits for its turn, and each is done once', async () => {
  let refusals = 3
  const written: object[] = []
  const caller = door((_, params) => {
    if (refusals-- > 0) throw tooFast(1)
    written.push(params)
  })
  const store = await KeyedStore.open({ caller, space: undefined, nowMs: () => 0 })
  await store.put([record('a')], new Map())
  assert.deepEqual(written, [{ items: [{ ...record('a'), space: SPACE, dedupe: 'allow' }] }])
})

test('it does not wait for ever, and says when a part is written already', async () => {
  let nowMs = 0
  let allowed = 0
  const caller = door(() => {
    if (allowed-- <= 0) throw tooFast(15_000)
    nowMs += 10_000
  })
  const open = () => KeyedStore.open({ caller, space: 'shared', nowMs: () => nowMs })
  const store = await open()
  nowMs += 10_000
  const isRefused = (stateTouched: boolean) => (error: unknown) =>
    error instanceof ChrysalisError && error.code === 'rate_limited' && error.stateTouched === stateTouched
  await assert.rejects(store.put([record('a')], new Map()), isRefused(false))
  allowed = 1
  const other = await open()
  const two = [record('a', LIMITS.contentBytesMax), record('b', LIMITS.contentBytesMax)]
  await assert.rejects(other.put(two, new Map()), isRefused(true))
})

test('an error that waiting does not help is passed on at once', async () => {
  const caller = door(() => {
    throw new ChrysalisError('read_only', 'the disk is full')
  })
  const store = await KeyedStore.open({ caller, space: undefined, nowMs: () => 0 })
  await assert.rejects(store.retract(['x'], 'gone'), /the disk is full/)
})

test('acts that share a name take turns, others run side by side, and a failed one holds up nobody', async () => {
  const turns = new Turns()
  const log: string[] = []
  let release = (): void => undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  const act = (name: string, wait?: Promise<void>) => async () => {
    log.push(`${name} begins`)
    await wait
    log.push(`${name} ends`)
  }
  const first = turns.take(['a', 'b'], act('first', held))
  const second = turns.take(['b', 'c'], act('second'))
  const failing = turns.take(['c'], () => Promise.reject(new Error('it failed')))
  const third = turns.take(['c', 'a', 'c'], act('third'))
  await turns.take(['d'], act('apart'))
  assert.deepEqual(log, ['first begins', 'apart begins', 'apart ends'])
  release()
  await assert.rejects(failing, /it failed/)
  await Promise.all([first, second, third])
  assert.deepEqual(log.slice(3), ['first ends', 'second begins', 'second ends', 'third begins', 'third ends'])
  assert.equal(turns.size, 0, 'nothing is kept of those who are done')
})
