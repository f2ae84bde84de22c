/**
 * What can happen to the files of a stopped daemon: one flipped bit, a cut, zeroed or missing file, one damaged row. Each
 * fault strikes once and says exactly what it did, so that a case can be repeated by hand.
 *
 * The list is every kind of file there is: LevelDB's log (what was written last), tables, MANIFEST and CURRENT, and the
 * daemon's own files; then one row of each table, damaged the way memory or a disk without checksums would do it, where
 * LevelDB itself sees nothing wrong.
 */
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Level } from 'level'
import { markFiles } from '../../src/adapters/level/file-marks.ts'
import { physicalKey, tableEnd } from '../../src/adapters/level/keyspace.ts'
import { readSentinel, writeSentinel } from '../../src/adapters/level/sentinel.ts'
import { writeFileAtomic } from '../../src/adapters/system/atomic-file.ts'
import type { SeededRandom } from '../../src/base/prng.ts'
import type { HomePaths } from '../../src/daemon/home-files.ts'
import type { Table } from '../../src/ports/store.ts'

/** Chance picks the bit, and in later rounds also the file and the place. */
export interface Aim {
  readonly random: SeededRandom
  /** The first round strikes where the fault's name says, the others anywhere. */
  readonly firstRound: boolean
}

export interface Fault {
  readonly name: string
  /** Damages a stopped home and says what was done; undefined when there is nothing of that kind to damage. */
  readonly strike: (paths: HomePaths, aim: Aim) => Promise<string | undefined>
  /** The daemon must refuse to start: what is damaged cannot be made anew and must not be guessed. */
  readonly refused?: true
}

const LOG = /^\d+\.log$/
const TABLE = /^\d+\.(ldb|sst)$/
const MANIFEST = /^MANIFEST-\d+$/
const CURRENT = /^CURRENT$/

type Act = (file: string, share: number, aim: Aim) => string

const flip: Act = (file, share, { random }) => {
  const bytes = readFileSync(file)
  const at = Math.min(bytes.length - 1, Math.floor(bytes.length * share))
  const bit = random.below(8)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
  writeFileSync(file, bytes)
  return `bit ${bit} of byte ${at} of ${bytes.length} in ${path.basename(file)}`
}

const zero: Act = (file, share) => {
  const bytes = readFileSync(file)
  const at = Math.floor(bytes.length * share)
  writeFileSync(file, bytes.fill(0, at, at + 4_096))
  return `zeros from byte ${at} of ${bytes.length} in ${path.basename(file)}`
}

const cutTo: Act = (file, share) => {
  const { size } = statSync(file)
  truncateSync(file, Math.floor(size * share))
  return `${path.basename(file)} cut from ${size} to ${Math.floor(size * share)} bytes`
}

const cutLast =
  (bytes: number): Act =>
  (file) => {
    const { size } = statSync(file)
    truncateSync(file, Math.max(0, size - bytes))
    return `${path.basename(file)} cut from ${size} to ${Math.max(0, size - bytes)} bytes`
  }

const emptied: Act = (file) => {
  truncateSync(file, 0)
  return `${path.basename(file)} emptied`
}

const remove: Act = (file) => {
  rmSync(file)
  return `${path.basename(file)} deleted`
}

/** On one file of the database: the newest log, the oldest table; any table in later rounds. */
function onData(pattern: RegExp, share: number, act: Act): Fault['strike'] {
  return async ({ data }, aim) => {
    const names = namesIn(data, pattern)
    const chosen = pattern === LOG ? names.at(-1) : names[aim.firstRound ? 0 : aim.random.below(names.length)]
    if (chosen === undefined) return undefined
    return act(path.join(data, chosen), aim.firstRound ? share : aim.random.unit(), aim)
  }
}

/** A bit in each of three tables, or in three places of fewer. */
const flipInThree: Fault['strike'] = async ({ data }, aim) => {
  const names = namesIn(data, TABLE)
  if (names.length === 0) return undefined
  const shares = [0.5, 0.3, 0.7].map((share) => (aim.firstRound ? share : aim.random.unit()))
  return shares.map((share, n) => flip(path.join(data, names[n % names.length] as string), share, aim)).join('; ')
}

const namesIn = (directory: string, pattern: RegExp): string[] =>
  readdirSync(directory)
    .filter((name) => pattern.test(name))
    .sort()

function onFile(which: keyof HomePaths, share: number, act: Act): Fault['strike'] {
  return async (paths, aim) => act(paths[which], aim.firstRound ? share : aim.random.unit(), aim)
}

const VIEWS = { keyEncoding: 'view', valueEncoding: 'view' } as const
const ROWS_SEEN_MAX = 5_000

/**
 * One bit of the value of one row, written by LevelDB, so that its own checksums agree with the damage. An orderly stop
 * has listed the files in STATE; the list is made anew, for a fault like this one does not show in it.
 */
function onRow(table: Table): Fault['strike'] {
  return async ({ data, home }, { random }) => {
    const database = new Level<Uint8Array, Uint8Array>(data, { ...VIEWS, createIfMissing: false })
    await database.open()
    let done: string
    try {
      const range = { gte: physicalKey(table, new Uint8Array(0)), lt: tableEnd(table), limit: ROWS_SEEN_MAX }
      const rows = await database.iterator(range).all()
      if (rows.length === 0) return undefined
      const chosen = random.below(rows.length)
      const [key, value] = rows[chosen] as [Uint8Array, Uint8Array]
      const damaged = Uint8Array.from(value)
      const at = random.below(damaged.length)
      const bit = random.below(8)
      damaged[at] = (damaged[at] ?? 0) ^ (1 << bit)
      await database.put(key, damaged, { sync: true })
      done = `bit ${bit} of byte ${at} of ${damaged.length} in row ${chosen} of ${rows.length} of table ${table}`
    } finally {
      await database.close()
    }
    const sentinel = await readSentinel(home)
    if (sentinel !== undefined && sentinel.files !== null) {
      await writeSentinel(home, { ...sentinel, files: await markFiles(data) }, writeFileAtomic)
    }
    return done
  }
}

const ROWS: readonly Table[] = [
  'meta',
  'delta',
  'range',
  'arrival',
  'author',
  'record',
  'history',
  'link',
  'receipt',
  'leaf'
]

/** Were a home without damage called damaged too, what is said of the others would prove nothing. */
export const UNHARMED: Fault = { name: 'no fault at all', strike: () => Promise.resolve('nothing') }

export const FAULTS: readonly Fault[] = [
  { name: 'log: one bit at 10 %', strike: onData(LOG, 0.1, flip) },
  { name: 'log: one bit at 50 %', strike: onData(LOG, 0.5, flip) },
  { name: 'log: 4 KiB of zeros', strike: onData(LOG, 0.5, zero) },
  { name: 'log: last 3 bytes cut', strike: onData(LOG, 1, cutLast(3)) },
  { name: 'log: gone', strike: onData(LOG, 1, remove) },
  { name: 'table: one bit', strike: onData(TABLE, 0.3, flip) },
  { name: 'three tables: one bit each', strike: flipInThree },
  { name: 'table: last 100 bytes cut', strike: onData(TABLE, 1, cutLast(100)) },
  { name: 'table: gone', strike: onData(TABLE, 1, remove) },
  { name: 'manifest: one bit', strike: onData(MANIFEST, 0.5, flip) },
  { name: 'manifest: cut in half', strike: onData(MANIFEST, 0.5, cutTo) },
  { name: 'manifest: gone', strike: onData(MANIFEST, 1, remove) },
  { name: 'CURRENT: empty', strike: onData(CURRENT, 1, emptied) },
  { name: 'CURRENT: gone', strike: onData(CURRENT, 1, remove) },
  { name: 'STATE: one bit', strike: onFile('state', 0.5, flip) },
  { name: 'STATE: cut in half', strike: onFile('state', 0.5, cutTo) },
  { name: 'STATE: gone', strike: onFile('state', 1, remove) },
  { name: 'TAIL: one bit', strike: onFile('tail', 0.5, flip) },
  { name: 'TAIL: gone', strike: onFile('tail', 1, remove) },
  { name: 'peers.json: cut in half', strike: onFile('peers', 0.5, cutTo) },
  ...ROWS.map((row): Fault => ({ name: `row of ${row}: one bit`, strike: onRow(row) })),
  { name: 'identity.key: one bit', strike: onFile('identity', 0.5, flip), refused: true },
  { name: 'identity.key: gone', strike: onFile('identity', 1, remove), refused: true },
  { name: 'network.key: cut in half', strike: onFile('networkKey', 0.5, cutTo), refused: true },
  { name: 'spaces.json: cut in half', strike: onFile('spaces', 0.5, cutTo), refused: true }
]
