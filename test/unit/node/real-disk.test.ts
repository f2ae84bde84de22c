/**
 * The same on real LevelDB files: one bit is flipped somewhere in a table, and every row is read. LevelDB checks none of
 * it: it hands out what it finds, in whatever place, or cannot read the block at all, which is for whoever opened it.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { EventQueue } from '../../../simulations/world/event-queue.ts'
import { SimClock } from '../../../simulations/world/sim-clock.ts'
import { openLevelStore } from '../../../src/adapters/level/level-store.ts'
import { createMetrics } from '../../../src/adapters/system/counters.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { toHex } from '../../../src/base/bytes.ts'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { encodeRecord } from '../../../src/memory/record-codec.ts'
import { readRows } from '../../../src/node/derive.ts'
import { Mender } from '../../../src/node/mend.ts'
import { rebuildFromDeltas } from '../../../src/node/rebuild.ts'
import { refoldRecord } from '../../../src/node/refold.ts'
import { parseRecordValue } from '../../../src/node/rows.ts'
import { scanSound } from '../../../src/node/sound-scan.ts'
import { SoundStore } from '../../../src/node/sound-store.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { TABLES, type Store } from '../../../src/ports/store.ts'
import { Disk } from '../../support/damage.ts'
import { fill, startOn } from '../../support/damaged-engine.ts'
import { Bench } from '../../support/engine.ts'
import { identity, SPACE } from '../../support/sealed.ts'

const CASES = 8
const EVERYTHING = 100_000
const DERIVED = ['range', 'arrival', 'author', 'record', 'history', 'link', 'proof'] as const

const bench = new Bench()
const root = mkdtempSync(path.join(tmpdir(), 'chrysalis-real-disk-'))
const template = path.join(root, 'template')
let truth: Record<string, string> = {}

before(async () => {
  const disk = new Disk()
  const engine = await startOn(bench, disk, { seed: 1 })
  await fill(bench, engine, 120)
  await bench.finish(engine.node.stop())
  truth = await disk.dump()
  const store = await openLevelStore(template, { writeBufferBytes: 65_536 })
  for (const table of TABLES) {
    for (const row of await disk.rows(table)) await store.batch([{ table, ...row }], { durable: false })
  }
  await store.close()
  // Opening turns what is left in the log into a table.
  await (await openLevelStore(template, { mustExist: true })).close()
})

after(async () => {
  await bench.stop()
  rmSync(root, { recursive: true, force: true })
})

/** Flips one bit in the tables, as if they were one file; leaves the footers alone, without which nothing opens. */
function flip(directory: string, random: SeededRandom): void {
  const tables = readdirSync(directory).filter((name) => name.endsWith('.ldb'))
  const file = path.join(directory, tables[random.below(tables.length)] as string)
  const bytes = readFileSync(file)
  const at = random.below(bytes.length - 256)
  bytes[at] = (bytes[at] as number) ^ (1 << random.below(8))
  writeFileSync(file, bytes)
}

function guard(store: Store): SoundStore {
  const nothing = (): undefined => undefined
  const mender = new Mender({ store, crypto: identity(), suspect: nothing, expects: () => false })
  const clock = new SimClock(new EventQueue())
  const ports = { store, mender, clock, metrics: createMetrics(), logger: silentLogger }
  return new SoundStore({ ...ports, suspect: nothing, misplaced: nothing, rewritten: nothing })
}

/** Every row that can be read is one that was written. Returns how many cannot, or undefined when a block cannot. */
async function lost(store: Store): Promise<number | undefined> {
  const sound = guard(store)
  let seen = 0
  try {
    for (const table of TABLES) {
      for (const { key, value } of await sound.scan(table, { limit: EVERYTHING })) {
        const known = truth[`${table} ${toHex(key)}`]
        // The heads are computed again from the newest deltas, in any order.
        if (table !== 'meta') assert.equal(toHex(value), known, `${table} ${toHex(key)}`)
        seen++
      }
    }
  } catch (error) {
    if (isChrysalisError(error, 'corrupt')) return undefined
    throw error
  }
  await sound.mended()
  return Object.keys(truth).length - seen
}

/** After a rebuild everything follows from the deltas that are left, and nothing is damaged any more. */
async function assertRebuilt(store: Store): Promise<void> {
  await rebuildFromDeltas(store, identity(), [SPACE])
  for (const table of TABLES) {
    // A row under a wrong key stands where nothing can delete it, until LevelDB rewrites the file; it is in nobody's way.
    for (const key of (await scanSound(store, table, { limit: EVERYTHING })).damaged) {
      assert.equal(await store.get(table, key), undefined, table)
    }
  }
  const deltas = await store.scan('delta', { limit: EVERYTHING })
  for (const { key, value } of deltas) assert.equal(toHex(value), truth[`delta ${toHex(key)}`])
  const ids = deltas.map(({ key }) => toHex(key.subarray(16)))
  assert.ok((await readRows({ store, crypto: identity() }, SPACE, ids)).every((row) => row.row === 'sound'))
  assert.equal((await store.scan('range', { limit: EVERYTHING })).length, deltas.length)
  const suspect = (): void => assert.fail('every delta that is named is there')
  for (const { key, value } of await store.scan('record', { limit: EVERYTHING })) {
    const ports = { store, crypto: identity(), suspect, expects: () => false }
    const refolded = await refoldRecord(ports, SPACE, toHex(key.subarray(16)))
    assert.ok(refolded.refolded === 'whole')
    assert.equal(toHex(encodeRecord(refolded.record.state)), toHex(parseRecordValue(value).state))
  }
  const rows = await Promise.all(DERIVED.map(async (table) => (await store.scan(table, { limit: EVERYTHING })).length))
  assert.ok(rows.every((count) => count > 0))
}

describe('real LevelDB files', () => {
  it('show what was written while they are whole', async () => {
    const store = await openLevelStore(template, { mustExist: true })
    assert.equal(await lost(store), 0)
    await store.close()
  })

  it(`with one bit flipped, ${CASES} times: nothing is shown that was not written, and a rebuild leaves it whole`, async () => {
    const random = new SeededRandom('real disk')
    const figures = { read: 0, unreadable: 0, touched: 0 }
    for (let n = 0; n < CASES; n++) {
      const directory = path.join(root, `case ${n}`)
      cpSync(template, directory, { recursive: true })
      flip(directory, random)
      const store = await openLevelStore(directory, { mustExist: true })
      const missing = await lost(store)
      if (missing === undefined) figures.unreadable++
      else {
        figures.read++
        if (missing > 0) figures.touched++
        await assertRebuilt(store)
      }
      await store.close()
      rmSync(directory, { recursive: true })
    }
    assert.ok(figures.read > CASES / 4, JSON.stringify(figures))
  })
})
