/** The bytes of the tables are on disks: they are checked against literals, not against the code that makes them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  logicalKey,
  physicalKey,
  RETIRED_TABLE_BYTES,
  TABLE_BYTES,
  tableEnd
} from '../../../../src/adapters/level/keyspace.ts'
import { openRow, sealRow } from '../../../../src/adapters/level/sealed-rows.ts'
import { compareBytes, fromHex, toHex, utf8 } from '../../../../src/base/bytes.ts'
import { TABLES } from '../../../../src/ports/store.ts'

test('every table has the byte it always had', () => {
  assert.deepEqual(TABLE_BYTES, {
    meta: 1,
    delta: 2,
    range: 3,
    arrival: 4,
    author: 5,
    record: 6,
    history: 7,
    link: 8,
    pending: 9,
    proof: 10,
    receipt: 11,
    audit: 12,
    leaf: 13,
    quarantine: 14,
    embedding: 15
  })
  for (const table of TABLES) assert.ok(!RETIRED_TABLE_BYTES.includes(TABLE_BYTES[table]))
})

test('a physical key is the table byte and the key, and comes apart again', () => {
  assert.equal(toHex(physicalKey('author', fromHex('00ff'))), '0500ff')
  assert.equal(toHex(physicalKey('meta', utf8('schema'))), '01736368656d61')
  assert.equal(toHex(logicalKey(fromHex('0500ff'))), '00ff')
  // A view into a larger buffer, as a database may hand out.
  assert.equal(logicalKey(Buffer.from('aa0500ffbb', 'hex').subarray(1, 4)).buffer.byteLength, 2)
})

test('the end of a table lies above its rows and not above the next table', () => {
  for (const table of TABLES) {
    const highest = physicalKey(table, new Uint8Array(100).fill(255))
    assert.ok(compareBytes(highest, tableEnd(table)) < 0)
    assert.equal(tableEnd(table)[0], TABLE_BYTES[table] + 1)
  }
})

test('a stored value is the checksum over physical key and payload, then the payload', () => {
  const physical = physicalKey('meta', utf8('schema'))
  // Worked out in docs/WIRE.md §9.1.
  assert.equal(toHex(sealRow(physical, fromHex('00000001'))), 'd016eb938ae3575f00000001')
  const empty = sealRow(physical, new Uint8Array(0))
  assert.equal(empty.length, 8)
  assert.deepEqual(openRow(physical, empty), new Uint8Array(0))
})

test('no flipped bit, cut row or other key opens', () => {
  const physical = physicalKey('record', fromHex('0102'))
  const row = sealRow(physical, utf8('payload'))
  assert.deepEqual(openRow(physical, row), utf8('payload'))
  for (let bit = 0; bit < row.length * 8; bit++) {
    const flipped = row.slice()
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    assert.equal(openRow(physical, flipped), undefined)
  }
  for (let length = 0; length < row.length; length++) assert.equal(openRow(physical, row.slice(0, length)), undefined)
  assert.equal(openRow(physicalKey('record', fromHex('0103')), row), undefined)
  assert.equal(openRow(physicalKey('history', fromHex('0102')), row), undefined)
})
