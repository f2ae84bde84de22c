/** The inbox of the writer: its bound, pages of others in large groups, and nobody kept waiting by them. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import type { Space } from '../../../src/node/space.ts'
import { Records } from '../../../src/node/records.ts'
import { Writer } from '../../../src/node/writer.ts'
import { at, Bench, codeOf, type Engine } from '../../support/engine.ts'
import { Author } from '../../support/replica-bench.ts'
import { note } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())

const start = (): Promise<Engine> => bench.start({ seed: 1 })
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Holds back every batch until the returned function is called. */
function hold({ store }: Engine): () => void {
  let open: () => void = () => undefined
  store.gate = new Promise((resolve) => {
    open = resolve
  })
  return () => {
    open()
  }
}

async function arrivals(engine: Engine): Promise<number[]> {
  const rows = await engine.store.rows.scan('arrival', { limit: 10_000 })
  return rows.map((row) => Number(BigInt(`0x${toHex(row.key)}`)))
}

describe('writer: pages of foreign deltas', () => {
  for (const extra of [0, 1]) {
    const count = LIMITS.groupCommitForeignMax + extra
    it(`${count} deltas of others, handed over together, make ${extra === 0 ? 'one group' : 'two groups'}`, async () => {
      const engine = await start()
      const { writer } = engine.node as unknown as { writer: Writer }
      const author = new Author(9)
      const inputs = Array.from({ length: count }, (_, i) => {
        const delta = author.write(at(i), note(`foreign ${i}`))
        return { input: 'delta', delta, via: 'recon', rivals: [] } as const
      })
      const settled = await writer.submitAll(engine.node.spaceTable.all[0] as Space, inputs)
      assert.equal(settled.length, count)
      assert.ok(settled.every((one) => !(one instanceof Error) && one.admitted.length === 1))
      assert.equal(engine.store.deltaBatches().length, 1 + extra)
      assert.deepEqual(
        await arrivals(engine),
        Array.from({ length: count }, (_, i) => i + 1)
      )
    })
  }

  it('lets a write pass a queue of foreign deltas, and those pass a queue of writes', async () => {
    const engine = await start()
    const { writer } = engine.node as unknown as { writer: Writer }
    const space = engine.node.spaceTable.all[0] as Space
    const author = new Author(9)
    const page = (): Promise<unknown> =>
      writer.submitAll(
        space,
        Array.from({ length: LIMITS.groupCommitForeignMax }, (_, i) => {
          const delta = author.write(at(i), note('foreign'))
          return { input: 'delta', delta, via: 'recon', rivals: [] } as const
        })
      )
    const order: string[] = []
    const open = hold(engine)
    const all = [page().then(() => order.push('page 1')), page().then(() => order.push('page 2'))]
    await turn()
    for (let i = 0; i < LIMITS.groupCommitInputsMax + 1; i++) {
      const isLast = i === LIMITS.groupCommitInputsMax
      all.push(engine.node.add({ content: `own ${i}` }).then(() => (isLast ? order.push('last write') : 0)))
    }
    all.push(page().then(() => order.push('page 3')))
    open()
    await Promise.all(all)
    assert.deepEqual(order, ['page 1', 'page 2', 'last write', 'page 3'])
    const own = engine.store.deltaBatches().map((batch) => batch.durable)
    assert.deepEqual(own, [false, true, false, true, false], 'they take turns')
  })

  it('finds rivals of many late deltas of one chain, in and beyond what is read at once', async () => {
    const engine = await start()
    const { writer } = engine.node as unknown as { writer: Writer }
    const space = engine.node.spaceTable.all[0] as Space
    const author = new Author(9)
    const submit = (deltas: readonly ReturnType<Author['write']>[]): Promise<unknown> =>
      writer.submitAll(
        space,
        deltas.map((delta) => ({ input: 'delta', delta, via: 'recon', rivals: [] }) as const)
      )
    const chain = Array.from({ length: 1_200 }, (_, i) => author.write(at(i), note(`n ${i}`)))
    await submit(chain)
    const second = await bench.restart(engine)
    const again = (second.node as unknown as { writer: Writer }).writer
    const forks = [3, 4, 900, 1_199].map((seq) =>
      author.forge({ seq, prev: seq === 0 ? null : 'ee'.repeat(32), hlc: at(5_000 + seq), ops: note('fork') })
    )
    await again.submitAll(
      second.node.spaceTable.all[0] as Space,
      forks.map((delta) => ({ input: 'delta', delta, via: 'recon', rivals: [] }) as const)
    )
    const proofs = await second.store.rows.scan('proof', { limit: 100 })
    assert.deepEqual(
      proofs.map((row) => Number(BigInt(`0x${toHex(row.key.subarray(56, 64))}`))),
      [3, 4, 900, 1_199]
    )
  })
})

describe('writer: the inbox', () => {
  it('takes inputs until the inbox is full, then says so', async () => {
    const engine = await start()
    const space = engine.node.spaceTable.all[0] as Space
    const ports = { store: engine.store, clock: engine.clock, metrics: engine.metrics }
    const writer = new Writer(
      { durable: true, windowMs: 2 },
      { ...ports, records: new Records(engine.store) },
      { stored: () => undefined, failed: () => undefined }
    )
    const tick = (): Promise<unknown> => writer.submit(space, { input: 'tick' })
    const taken = Array.from({ length: LIMITS.inboxInputsMax - 1 }, tick)
    taken.push(tick())
    assert.equal(writer.queued, LIMITS.inboxInputsMax)
    assert.equal(await codeOf(tick()), 'rate_limited')
    assert.equal(engine.metrics.snapshot()['chrysalis_node_inbox_refused_total'], 1)
    const settled = await bench.finish(Promise.allSettled(taken))
    assert.ok(settled.every((one) => one.status === 'fulfilled'))
    assert.equal(await codeOf(bench.finish(tick())), 'resolved')
  })
})
