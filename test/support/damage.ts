/**
 * Disks that go bad: a store on an in-memory database whose rows can be damaged underneath, the way a disk does it, a bit
 * at a time. The store above does not know; its checksums find out.
 */
import assert from 'node:assert/strict'
import { createLevelStore, type LevelDatabase } from '../../src/adapters/level/level-store.ts'
import { physicalKey } from '../../src/adapters/level/keyspace.ts'
import { toHex } from '../../src/base/bytes.ts'
import { scanSound } from '../../src/node/sound-scan.ts'
import { TABLES, type Store, type StoreEntry, type Table } from '../../src/ports/store.ts'
import { createMemoryDatabase } from './memory-store.ts'

const VIEWS = { keyEncoding: 'view', valueEncoding: 'view' } as const
const EVERYTHING = 1_000_000

export class Disk {
  readonly store: Store
  readonly #database: LevelDatabase

  constructor() {
    this.#database = createMemoryDatabase()
    this.store = createLevelStore(this.#database, { name: 'memory' })
  }

  /** All rows of a table; fails when one of them is damaged. */
  rows(table: Table): Promise<StoreEntry[]> {
    return this.store.scan(table, { limit: EVERYTHING })
  }

  /** Every row of the tables, as text that can be compared. */
  async dump(tables: readonly Table[] = TABLES): Promise<Record<string, string>> {
    const dump: Record<string, string> = {}
    for (const table of tables) {
      for (const { key, value } of await this.rows(table)) dump[`${table} ${toHex(key)}`] = toHex(value)
    }
    return dump
  }

  /** Flips one bit of what is stored under the key: of the value, or of the checksum in front of it. */
  async flipValue(table: Table, key: Uint8Array, bit = 3): Promise<void> {
    const physical = physicalKey(table, key)
    const row = (await this.#database.get(physical, VIEWS))?.slice()
    assert.ok(row !== undefined, `there is no such row of ${table}`)
    row[Math.floor(bit / 8) % row.length] = (row[Math.floor(bit / 8) % row.length] as number) ^ (1 << (bit % 8))
    await this.#database.batch([{ type: 'put', key: physical, value: row }], { ...VIEWS, sync: false })
  }

  /** Flips one bit of the key: the row is gone from its place and stands, damaged, in another. */
  async flipKey(table: Table, key: Uint8Array, bit: number): Promise<Uint8Array> {
    const physical = physicalKey(table, key)
    const row = await this.#database.get(physical, VIEWS)
    assert.ok(row !== undefined, `there is no such row of ${table}`)
    const moved = key.slice()
    moved[Math.floor(bit / 8)] = (moved[Math.floor(bit / 8)] as number) ^ (1 << (bit % 8))
    await this.#database.batch(
      [
        { type: 'del', key: physical },
        { type: 'put', key: physicalKey(table, moved), value: row }
      ],
      { ...VIEWS, sync: false }
    )
    return moved
  }

  /** The row vanishes. */
  async remove(table: Table, key: Uint8Array): Promise<void> {
    await this.store.batch([{ table, key, value: null }], { durable: false })
  }

  /** Rows that fail their checksum, as `table key`. */
  async damaged(tables: readonly Table[] = TABLES): Promise<string[]> {
    const damaged: string[] = []
    for (const table of tables) {
      const page = await scanSound(this.store, table, { limit: EVERYTHING })
      damaged.push(...page.damaged.map((key) => `${table} ${toHex(key)}`))
    }
    return damaged
  }
}
