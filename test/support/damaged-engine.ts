/** Engines on disks that go bad, and stores that hold every kind of row. */
import { encodeDelta, encodeFrame } from '../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../src/memory/delta.ts'
import { topicOf } from '../../src/memory/names.ts'
import type { Disk } from './damage.ts'
import { at, FaultyStore, type Bench, type Engine, type EngineOptions } from './engine.ts'
import { Author } from './replica-bench.ts'
import { note, SPACE } from './sealed.ts'

export interface DamagedEngine extends Engine {
  readonly disk: Disk
}

export async function startOn(bench: Bench, disk: Disk, setup: EngineOptions): Promise<DamagedEngine> {
  const engine = await bench.start({ store: new FaultyStore(disk.store), ...setup })
  return { ...engine, disk }
}

/** The engine again on the same disk, as after a restart. */
export async function restart(
  bench: Bench,
  engine: DamagedEngine,
  changes: Partial<EngineOptions> = {}
): Promise<DamagedEngine> {
  return { ...(await bench.restart(engine, changes)), disk: engine.disk }
}

export async function hear(bench: Bench, engine: Engine, ...deltas: readonly VerifiedDelta[]): Promise<void> {
  const stranger = bench.air.create('a stranger')
  for (const delta of deltas) {
    await engine.network.hearNow(topicOf(SPACE), encodeFrame([encodeDelta(delta)]), stranger)
  }
  await engine.node.idle()
}

/** Rows in every table that deltas lead to: records of one and of many deltas, links, tags, votes, a fork. */
export async function fill(bench: Bench, engine: Engine, memories = 6): Promise<string[]> {
  const { node } = engine
  const ids: string[] = []
  for (let i = 0; i < memories; i++) {
    const { id } = await node.add({ content: `memory ${i}`, key: `k${i}`, tags: [`t${i}`], importance: 0.3 })
    ids.push(id)
  }
  await node.revise({ id: ids[0] ?? '', content: 'memory 0, revised', tagsRemove: ['t0'], tagsAdd: ['again'] })
  await node.link({ from: ids[1] ?? '', to: ids[0] ?? '', relation: 'parents' })
  await node.link({ from: ids[2] ?? '', to: ids[0] ?? '', relation: 'related' })
  await node.vote({ id: ids[0] ?? '', verdict: 'confirm', confidence: 0.9 })
  const receipts = await node.addMany([{ content: 'bulk a' }, { content: 'bulk b' }, { content: 'bulk c' }])
  ids.push(...receipts.map((receipt) => receipt.id))
  const [two, three] = [new Author(202), new Author(203)]
  const base = two.write(at(0), note('foreign'))
  await hear(bench, engine, base, two.write(at(1)), three.write(at(2), note('joins'), [base.id]))
  await hear(bench, engine, three.forge({ hlc: at(3), ops: note('twin') }))
  return ids
}
