/**
 * Scanning past damage. A row that fails its checksum is told apart from one that is not there, and what it means is left
 * to the caller.
 *
 * The key of a damaged row need not be in its place: where the damage is in the key itself, the database hands the row out
 * between keys that are less or greater. So a scan goes on behind the last sound row it saw, and never behind a damaged
 * one while there is another choice: a key that is too great would hide everything up to it.
 *
 * An error that is no single row (the database cannot read a block) is passed on: nothing here can step over it.
 */
import { toHex } from '../base/bytes.ts'
import { keyAfter, prefixEnd, type ScanOptions, type Store, type StoreEntry, type Table } from '../ports/store.ts'

export interface SoundPage {
  /** Sound rows, in the order of the scan. */
  readonly rows: readonly StoreEntry[]
  /** Keys of the damaged rows between them, in the order in which they were met. */
  readonly damaged: readonly Uint8Array[]
  /** Whether the range ended here. */
  readonly ended: boolean
}

/** Rows read beyond what was asked, so that a few damaged ones need no second look. */
const SPARE_ROWS = 16
/** Damaged rows in one page: a table of nothing else is taken in pieces too. */
const DAMAGED_MAX = 1_024

/** As Store.scan, but damaged rows do not count towards the limit and do not end it. */
export async function scanSound(store: Store, table: Table, options: ScanOptions): Promise<SoundPage> {
  const rows: StoreEntry[] = []
  const damaged = new Map<string, Uint8Array>()
  const reverse = options.reverse ?? false
  let { gte, lt } = options
  const result = (ended: boolean): SoundPage => ({ rows, damaged: [...damaged.values()], ended })
  for (;;) {
    const wanted = options.limit - rows.length
    if (wanted <= 0 || damaged.size >= DAMAGED_MAX) return result(false)
    const limit = wanted + SPARE_ROWS
    const met: { key: Uint8Array; before: number }[] = []
    const page = await store.scan(table, {
      ...(gte === undefined ? {} : { gte }),
      ...(lt === undefined ? {} : { lt }),
      reverse,
      limit,
      onDamaged: (key, before) => met.push({ key, before })
    })
    const ended = page.length + met.length < limit
    const isFull = page.length > wanted || (page.length === wanted && !ended)
    rows.push(...page.slice(0, wanted))
    for (const { key, before } of met) if (!isFull || before < wanted) damaged.set(toHex(key), key)
    if (isFull) return result(false)
    if (ended) return result(true)
    const last = page.at(-1)?.key ?? met.at(-1)?.key
    if (last === undefined) return result(true)
    if (reverse) lt = last
    else gte = keyAfter(last)
  }
}

const PAGE_ROWS = 1_000

/** All rows under `prefix`, forward, a page at a time; `from` goes on within it. */
export async function* soundPages(
  store: Store,
  table: Table,
  prefix: Uint8Array,
  options: { from?: Uint8Array | undefined; pageRows?: number } = {}
): AsyncGenerator<SoundPage> {
  const end = prefixEnd(prefix)
  const bounds = { limit: options.pageRows ?? PAGE_ROWS, ...(end === undefined ? {} : { lt: end }) }
  for (let gte = options.from ?? prefix; ;) {
    const page = await scanSound(store, table, { ...bounds, gte })
    yield page
    const last = pageEnd(page)
    if (page.ended || last === undefined) return
    gte = keyAfter(last)
  }
}

/** Behind this key the next page begins; undefined for a page of nothing. */
export function pageEnd(page: SoundPage): Uint8Array | undefined {
  return page.rows.at(-1)?.key ?? page.damaged.at(-1)
}
