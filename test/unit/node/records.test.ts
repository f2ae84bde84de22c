/** Record states between the store and the machine: what is cached is never older than what is stored. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hlcOf } from '../../../src/memory/ids.ts'
import { encodeRecord } from '../../../src/memory/record-codec.ts'
import { applyOp, emptyRecord, type RecordState } from '../../../src/memory/record.ts'
import { Records, WorkingSet, type StoredRecord } from '../../../src/node/records.ts'
import { recordKey, recordValue } from '../../../src/node/rows.ts'
import { FaultyStore } from '../../support/engine.ts'
import { SPACE } from '../../support/sealed.ts'

const ID = 'ab'.repeat(32)

function state(content: string, ms: number): RecordState {
  const record = emptyRecord(ID)
  const stamp = { hlc: hlcOf(ms), author: '0a'.repeat(32), delta: ms.toString(16).padStart(64, '0'), index: 0 }
  const target = { by: 'id', id: ID } as const
  applyOp(record, { op: 'set', target, field: 'content', value: content }, stamp, '0e'.repeat(8))
  return record
}

async function store(rows: FaultyStore, record: StoredRecord): Promise<void> {
  const value = recordValue(record.lastArrival, encodeRecord(record.state))
  await rows.batch([{ table: 'record', key: recordKey(SPACE, ID), value }], { durable: false })
}

const contentOf = (record: StoredRecord | undefined): unknown => record?.state.fields.get('content')?.value

describe('records', () => {
  it('keeps what was written here, and of others only what was read', async () => {
    const rows = new FaultyStore()
    const records = new Records(rows)
    const first = { state: state('first', 1), lastArrival: 1 }
    await store(rows, first)
    records.replace(SPACE, ID, first, false)
    assert.notEqual(await records.get(SPACE, ID), first, 'read from its row')
    const second = { state: state('second', 2), lastArrival: 2 }
    records.replace(SPACE, ID, second, false)
    assert.equal(await records.get(SPACE, ID), second, 'in the place of an older one')
    records.clear()
    const third = { state: state('third', 3), lastArrival: 3 }
    records.replace(SPACE, ID, third, true)
    assert.equal(await records.get(SPACE, ID), third)
  })

  it('does not cache an old row over a state that was stored while it was being read', async () => {
    const rows = new FaultyStore()
    const records = new Records(rows)
    await store(rows, { state: state('old', 1), lastArrival: 1 })
    // The row is read, and before the answer arrives somebody else's delta is stored.
    const getMany = rows.getMany.bind(rows)
    rows.getMany = async (table, keys) => {
      const values = await getMany(table, keys)
      rows.getMany = getMany
      const newer = { state: state('new', 2), lastArrival: 2 }
      await store(rows, newer)
      records.replace(SPACE, ID, newer, false)
      return values
    }
    assert.equal(contentOf(await records.get(SPACE, ID)), 'new')
    assert.equal(contentOf(await records.get(SPACE, ID)), 'new')
    const set = new WorkingSet(SPACE)
    await set.fetch([ID], records)
    assert.equal(set.take(ID).fields.get('content')?.value, 'new', 'the next write starts from it')
  })

  it('forgets what was stored meanwhile once nobody reads', async () => {
    const rows = new FaultyStore()
    const records = new Records(rows)
    await store(rows, { state: state('on disk', 1), lastArrival: 1 })
    rows.getMany = () => Promise.reject(new Error('no disk'))
    await assert.rejects(records.get(SPACE, ID), /no disk/)
    records.replace(SPACE, ID, { state: state('never cached', 2), lastArrival: 2 }, false)
    rows.getMany = FaultyStore.prototype.getMany.bind(rows)
    assert.equal(contentOf(await records.get(SPACE, ID)), 'on disk')
  })
})
