/**
 * A home with a database of known rows, half in tables and half in the log, and the faults that can befall its files
 * while no daemon runs: every one that was measured to lose or change rows in silence when LevelDB opens it as it is.
 */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { identityOf, markFiles } from '../../src/adapters/level/file-marks.ts'
import { openLevelStore } from '../../src/adapters/level/level-store.ts'
import { migrate } from '../../src/adapters/level/migrations.ts'
import { writeSentinel } from '../../src/adapters/level/sentinel.ts'
import { TailMark } from '../../src/adapters/level/tail-mark.ts'
import { writeFileAtomic } from '../../src/adapters/system/atomic-file.ts'
import { equalBytes, uintBytes } from '../../src/base/bytes.ts'
import { isChrysalisError } from '../../src/base/errors.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { homePaths, type HomePaths } from '../../src/daemon/home-files.ts'
import type { Store } from '../../src/ports/store.ts'

export const ROWS = 1_500
/** Rows up to here are in tables, the others in the log. */
const TABLE_ROWS = 1_000
const PAYLOAD_BYTES = 400
/** So small that there are several tables. */
const WRITE_BUFFER_BYTES = 131_072

/** How the last run ended: with STATE as an orderly stop leaves it, as a kill does, or without any. */
export type Ending = 'clean' | 'killed' | 'no STATE'
export const ENDINGS: readonly Ending[] = ['clean', 'killed', 'no STATE']

const keyOf = (i: number): Uint8Array => new Uint8Array([...new Uint8Array(44), ...uintBytes(i, 4)])
const payloads = new SeededRandom('damaged home').bytes(ROWS + PAYLOAD_BYTES)
const valueOf = (i: number): Uint8Array => payloads.subarray(i, i + PAYLOAD_BYTES)

let template: string | undefined

/** A private folder with a home in it, whose database is closed. Remove it with `rmSync`. */
export async function damagedHome(ending: Ending): Promise<HomePaths> {
  template ??= await makeTemplate()
  const home = mkdtempSync(path.join(tmpdir(), 'chrysalis-damaged-'))
  cpSync(template, home, { recursive: true, preserveTimestamps: true })
  const paths = homePaths(home)
  if (ending === 'no STATE') return paths
  const identity = await identityOf(paths.data)
  if (identity === undefined) throw new Error('the copy has no database')
  const clean = ending === 'clean'
  const files = clean ? await markFiles(paths.data) : null
  const sentinel = {
    schema: 1,
    deltas: ROWS,
    spaces: {},
    epoch: 'e0'.repeat(8),
    clean,
    stopId: null,
    identity,
    files,
    writtenAtMs: 1
  }
  await writeSentinel(home, sentinel, writeFileAtomic)
  return paths
}

async function makeTemplate(): Promise<string> {
  const home = mkdtempSync(path.join(tmpdir(), 'chrysalis-template-'))
  process.once('exit', () => rmSync(home, { recursive: true, force: true }))
  const paths = homePaths(home)
  const mark = new TailMark(paths.tail)
  for (const [from, to] of [
    [0, TABLE_ROWS],
    [TABLE_ROWS, ROWS]
  ] as const) {
    // LevelDB turns the log into a table when it opens a database.
    const store = await openLevelStore(paths.data, to === ROWS ? {} : { writeBufferBytes: WRITE_BUFFER_BYTES })
    await migrate(store)
    for (let i = from; i < to; i++) {
      await store.batch(
        [
          { table: 'delta', key: keyOf(i), value: valueOf(i) },
          { table: 'arrival', key: uintBytes(i + 1, 8), value: keyOf(i) }
        ],
        { durable: false }
      )
      mark.note(i + 1, true)
    }
    await store.close()
  }
  mark.close()
  return home
}

export interface Count {
  readonly right: number
  readonly missing: number
  /** Refused as damaged: told, not served. */
  readonly refused: number
  readonly wrong: number
}

/** What is left of the delta rows. */
export async function countRows(store: Store): Promise<Count> {
  const count = { right: 0, missing: 0, refused: 0, wrong: 0 }
  for (let i = 0; i < ROWS; i++) {
    try {
      const value = await store.get('delta', keyOf(i))
      if (value === undefined) count.missing++
      else if (equalBytes(value, valueOf(i))) count.right++
      else count.wrong++
    } catch (error) {
      if (!isChrysalisError(error, 'corrupt')) throw error
      count.refused++
    }
  }
  return count
}

export interface Fault {
  readonly name: string
  /** Rows lost at most, when the fault is met with care. */
  readonly lossMax: number
  readonly strike: (paths: HomePaths) => void
}

type Act = (file: string) => void

/** Acts on the file that matches; of several the newest, which is the largest number. */
function on(pattern: RegExp, act: Act, which: 'newest' | 'oldest' | 'all' = 'newest') {
  return ({ data }: HomePaths): void => {
    const files = readdirSync(data)
      .filter((name) => pattern.test(name))
      .sort()
    if (files.length === 0) throw new Error(`no file matches ${String(pattern)}`)
    const chosen = which === 'all' ? files : [which === 'newest' ? (files.at(-1) as string) : (files[0] as string)]
    for (const file of chosen) act(path.join(data, file))
  }
}

function change(file: string, alter: (bytes: Uint8Array) => void): void {
  // A new file: template and copies must never share one.
  const bytes = readFileSync(file)
  alter(bytes)
  rmSync(file)
  writeFileSync(file, bytes, { mode: 0o600 })
}

export const flip =
  (share: number): Act =>
  (file) =>
    change(file, (bytes) => {
      const at = Math.min(bytes.length - 1, Math.floor(bytes.length * share))
      bytes[at] = (bytes[at] as number) ^ 0x10
    })
const zero: Act = (file) => change(file, (bytes) => bytes.fill(0, bytes.length >> 1, (bytes.length >> 1) + 4_096))
const cutBytes =
  (bytes: number): Act =>
  (file) =>
    truncateSync(file, statSync(file).size - bytes)
const cutHalf: Act = (file) => truncateSync(file, statSync(file).size >> 1)
const empty: Act = (file) => truncateSync(file, 0)
const remove: Act = (file) => rmSync(file)

const LOG = /^\d+\.log$/
const TABLE = /\.ldb$/
const MANIFEST = /^MANIFEST/
const CURRENT = /^CURRENT$/
/** Rows of 400 random bytes in a block of 4 KiB, and those of its neighbours in the log. */
const FEW = 12
/** Rows in one table of 128 KiB. */
const TABLE_LOSS = 320

export const FAULTS: readonly Fault[] = [
  { name: 'log: a bit at 10 %', lossMax: 1, strike: on(LOG, flip(0.1)) },
  { name: 'log: a bit at 50 %', lossMax: 1, strike: on(LOG, flip(0.5)) },
  { name: 'log: a bit at the end', lossMax: 1, strike: on(LOG, flip(0.999)) },
  { name: 'log: 4 KiB of zeros', lossMax: FEW, strike: on(LOG, zero) },
  { name: 'log: the last 3 bytes cut', lossMax: 1, strike: on(LOG, cutBytes(3)) },
  { name: 'log: cut in half', lossMax: 251, strike: on(LOG, cutHalf) },
  { name: 'log: gone', lossMax: ROWS - TABLE_ROWS, strike: on(LOG, remove) },
  { name: 'table: a bit in one', lossMax: FEW, strike: on(TABLE, flip(0.4)) },
  { name: 'table: a bit in all', lossMax: 8 * FEW, strike: on(TABLE, flip(0.3), 'all') },
  { name: 'table: a bit in the filter or index', lossMax: 0, strike: on(TABLE, flip(0.99)) },
  { name: 'table: a bit in the footer', lossMax: 0, strike: on(TABLE, flip(1)) },
  { name: 'table: 100 bytes cut', lossMax: 0, strike: on(TABLE, cutBytes(100)) },
  { name: 'table: cut in half', lossMax: TABLE_LOSS, strike: on(TABLE, cutHalf) },
  { name: 'table: gone', lossMax: TABLE_LOSS, strike: on(TABLE, remove, 'oldest') },
  { name: 'manifest: a bit', lossMax: 0, strike: on(MANIFEST, flip(0.5)) },
  { name: 'manifest: a bit at the end', lossMax: 0, strike: on(MANIFEST, flip(0.98)) },
  { name: 'manifest: cut in half', lossMax: 0, strike: on(MANIFEST, cutHalf) },
  { name: 'manifest: gone', lossMax: 0, strike: on(MANIFEST, remove) },
  { name: 'CURRENT: empty', lossMax: 0, strike: on(CURRENT, empty) },
  { name: 'CURRENT: a bit', lossMax: 0, strike: on(CURRENT, flip(0.3)) },
  { name: 'CURRENT: gone', lossMax: 0, strike: on(CURRENT, remove) },
  {
    name: 'a log, a table and the manifest at once',
    lossMax: 3 * FEW,
    strike: (paths) => {
      on(LOG, flip(0.5))(paths)
      on(TABLE, flip(0.4))(paths)
      on(MANIFEST, flip(0.5))(paths)
    }
  }
]

/** Copies that a salvage left behind. */
export function copiesOf(paths: HomePaths): string[] {
  if (!existsSync(paths.home)) return []
  return readdirSync(paths.home).filter((name) => name.startsWith('data.damaged-'))
}
