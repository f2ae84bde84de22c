/** One restart on the home named on the command line, told as a line of JSON. Its index is left to itself. */
import '../../src/polyfill.ts'
import { openLevelStore } from '../../src/adapters/level/level-store.ts'
import { createCrypto } from '../../src/adapters/system/crypto.ts'
import { toHex } from '../../src/base/bytes.ts'
import { openHome } from '../../src/daemon/home.ts'
import { lastArrival } from '../../src/node/restore.ts'
import { restoreSets } from '../../src/node/restore-sets.ts'
import { META } from '../../src/node/rows.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import { openEngine } from './engine.ts'
import { cpuMs } from './measure.ts'

export interface Restart {
  readonly deltas: number
  readonly root: string
  /** The set alone, from the checkpoint, with all its checks; the database was open. */
  readonly setMs: number
  readonly setCpuMs: number
  /** The engine, from its home to the moment it answers. */
  readonly readyMs: number
  readonly readyCpuMs: number
  /** The set alone, without a checkpoint. */
  readonly rowsMs: number
  readonly rootFromRows: string
}

async function measured<T>(act: () => Promise<T>): Promise<{ value: T; ms: number; cpu: number }> {
  const [startedMs, before] = [performance.now(), cpuMs()]
  const value = await act()
  return { value, ms: performance.now() - startedMs, cpu: cpuMs() - before }
}

const home = process.argv[2] ?? ''
const opened = await openHome(home)
const crypto = createCrypto(opened.identity.seed)
const here = opened.spaces.find((space) => space.isDefault)?.id ?? ''

async function setsOf(withCheckpoint: boolean) {
  const store = await openLevelStore(opened.paths.data)
  const mark = await store.get('meta', META.checkpoint)
  const put = (value: Uint8Array | null) =>
    store.batch([{ table: 'meta', key: META.checkpoint, value }], { durable: false })
  if (!withCheckpoint) await put(null)
  const position = await lastArrival(store)
  const restored = await measured(() => restoreSets(opened.spaces, position, { store, crypto, logger: silentLogger }))
  if (!withCheckpoint) await put(mark ?? null)
  await store.close()
  const root = restored.value.sets.get(here)?.tree.root() ?? new Uint8Array(0)
  const deltas = [...restored.value.sets.values()].reduce((sum, set) => sum + set.count, 0)
  return { ms: restored.ms, cpu: restored.cpu, root: toHex(root), deltas }
}

// First, so that nothing is warm.
const set = await setsOf(true)
const ready = await measured(() => openEngine(home))
await ready.value.close()
const rows = await setsOf(false)
const restart: Restart = {
  deltas: set.deltas,
  root: set.root,
  setMs: set.ms,
  setCpuMs: set.cpu,
  readyMs: ready.ms,
  readyCpuMs: ready.cpu,
  rowsMs: rows.ms,
  rootFromRows: rows.root
}
console.log(JSON.stringify(restart))
