/**
 * The durable store: ordered byte keys in numbered tables. The layout of every key and value is in docs/WIRE.md §9.
 *
 * Ownership: arrays handed in may be kept by the store; arrays handed out belong to the caller.
 * Errors: every method may reject (`getSync` throw) with ChrysalisError `disk_full`, `corrupt` or `unavailable`. After a
 * failed `batch` nothing of that batch is visible, and every later write fails until `reopen` has succeeded. `reopen` may
 * bring the failed batch back, whole, when the disk had taken it and only the sync failed: read again whatever depends on
 * its absence.
 */
export const TABLES = [
  'meta',
  'delta',
  'range',
  'arrival',
  'author',
  'record',
  'history',
  'link',
  'pending',
  'proof',
  'receipt',
  'audit',
  'leaf',
  'quarantine',
  'embedding'
] as const

export type Table = (typeof TABLES)[number]

export interface StoreWrite {
  readonly table: Table
  readonly key: Uint8Array
  /** null deletes the row. */
  readonly value: Uint8Array | null
}

export interface StoreEntry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export interface ScanOptions {
  /** Inclusive lower bound; from the first row of the table when omitted. */
  readonly gte?: Uint8Array
  /** Exclusive upper bound; to the last row of the table when omitted. */
  readonly lt?: Uint8Array
  readonly reverse?: boolean
  /** Rows returned at most; required, so that no scan is unbounded. */
  readonly limit: number
  /**
   * Told the key of every row that fails its checksum, and how many sound ones came before it. Such rows are left out and
   * count towards the limit; without it the scan rejects at the first one.
   */
  readonly onDamaged?: (key: Uint8Array, before: number) => void
}

export interface Store {
  get(table: Table, key: Uint8Array): Promise<Uint8Array | undefined>
  /**
   * As `get`, on the spot: it holds up everything else, so it is for single rows in the middle of a walk. Throws, and
   * with `unavailable` also while the store is still opening.
   */
  getSync(table: Table, key: Uint8Array): Uint8Array | undefined
  getMany(table: Table, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  /** Rows in key order. To page on, pass the successor of the last key as `gte`. */
  scan(table: Table, options: ScanOptions): Promise<StoreEntry[]>
  /** All or nothing. With `durable`, resolves only once the operating system has confirmed the write to disk. */
  batch(writes: readonly StoreWrite[], options: { durable: boolean }): Promise<void>
  /** Closes and opens again after a write failed. Rejects when the cause persists. */
  reopen(): Promise<void>
  close(): Promise<void>
}

/** The least key greater than every key that starts with `prefix`; undefined when there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  for (let i = prefix.length - 1; i >= 0; i--) {
    if ((prefix[i] as number) < 255) {
      const end = prefix.slice(0, i + 1)
      end[i] = (end[i] as number) + 1
      return end
    }
  }
  return undefined
}

/** The least key greater than `key`. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}
