/**
 * The keyspace: which rows share the one LevelDB database, told apart by the first byte of the physical key.
 *
 * One database rather than one a table, because a LevelDB batch is atomic only within one database, and a delta, its
 * indexes and its author head must appear together or not at all. The table is meant to be read like a map; docs/WIRE.md
 * §9 gives the same layout for other implementations. Modelled on the bucket list of Lodestar (db/buckets.ts).
 *
 * It does not build or parse the keys inside a table: those belong to the rooms that own the rows.
 */
import { assert } from '../../base/assert.ts'
import { TABLES, type Table } from '../../ports/store.ts'

/*
 * Notation: `space16` is 16 raw bytes, `‖` concatenation, integers are unsigned and big-endian so that byte order is
 * numeric order. The table byte in front of every key, and the checksum in front of every value, are left out.
 */
export const TABLE_BYTES: Readonly<Record<Table, number>> = {
  /** ascii name → bytes; each name fixes its own layout. `schema` → number of the layout, 4 bytes. */
  meta: 0x01,
  /** space16 ‖ id32 → delta record bytes (docs/WIRE.md §3) */
  delta: 0x02,
  /** space16 ‖ ms6 ‖ id32 → arrival8. In the order of the range tree. */
  range: 0x03,
  /** arrival8 → space16 ‖ ms6 ‖ id32. In the order in which this daemon learned of them, over all spaces. */
  arrival: 0x04,
  /** space16 ‖ author32 ‖ epoch8 ‖ seq8 ‖ id32 → empty. Two rows of one seq are a fork. */
  author: 0x05,
  /** space16 ‖ record32 → record state */
  record: 0x06,
  /** space16 ‖ record32 ‖ hlc8 ‖ id32 → empty. The deltas that touched a record, in time order. */
  history: 0x07,
  /** space16 ‖ toRecord32 ‖ relation1 ‖ fromRecord32 → empty. Links backwards: who points at a record. */
  link: 0x08,
  /** space16 ‖ ms6 ‖ id32 → delta record bytes. Dated ahead of the clock, held until due. */
  pending: 0x09,
  /** space16 ‖ author32 ‖ epoch8 ‖ seq8 → canonical ids. Proof that an author signed two deltas with one seq. */
  proof: 0x0a,
  /** space16 ‖ peer id utf8 → held-through. How far a peer is known to hold everything. */
  receipt: 0x0b,
  /** atMs8 ‖ n4 → JSON. The audit log. */
  audit: 0x0c,
  /** space16 ‖ digits1 ‖ prefix, two digits a byte → packed range keys. A leaf of the range tree as last checkpointed. */
  leaf: 0x0d,
  /** space16 ‖ id32 → JSON. A delta whose row failed its hash and is being asked back from peers. */
  quarantine: 0x0e,
  /** model16 ‖ text16 → number of components (2), components (2 each). The vector a model gave a text. */
  embedding: 0x0f
}

/**
 * Numbers that once meant something and must never mean anything else, because an old database may still hold such
 * rows. None so far.
 */
export const RETIRED_TABLE_BYTES: readonly number[] = []

/** The physical key of a row: table byte, then the key. A fresh array. */
export function physicalKey(table: Table, key: Uint8Array): Uint8Array {
  const physical = new Uint8Array(key.length + 1)
  physical[0] = TABLE_BYTES[table]
  physical.set(key, 1)
  return physical
}

/** The key of a row within its table. A fresh array, whatever kind of view the database handed out. */
export function logicalKey(physical: Uint8Array): Uint8Array {
  const key = new Uint8Array(physical.length - 1)
  key.set(physical.subarray(1))
  return key
}

/** The least physical key above every row of a table. */
export function tableEnd(table: Table): Uint8Array {
  return new Uint8Array([TABLE_BYTES[table] + 1])
}

const used = [...Object.values(TABLE_BYTES), ...RETIRED_TABLE_BYTES]
assert(Object.keys(TABLE_BYTES).length === TABLES.length, 'every table has a byte')
assert(new Set(used).size === used.length, 'no byte is used twice')
assert(
  used.every((byte) => Number.isInteger(byte) && byte > 0 && byte < 255),
  'a table byte leaves room for its end'
)
