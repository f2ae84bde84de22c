/** A record folded again from its history is byte for byte the one that was stored, or is not shown at all. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { encodeRecord } from '../../../src/memory/record-codec.ts'
import { parseHistoryKey } from '../../../src/node/derive.ts'
import { refoldRecord, type RefoldPorts } from '../../../src/node/refold.ts'
import { deltaKey, parseRecordValue } from '../../../src/node/rows.ts'
import { Disk } from '../../support/damage.ts'
import { fill, startOn } from '../../support/damaged-engine.ts'
import { Bench } from '../../support/engine.ts'
import { identity, SPACE } from '../../support/sealed.ts'

const bench = new Bench()
after(() => bench.stop())

interface Suspicion {
  readonly id: string
  readonly ms: number
}

function portsOf(disk: Disk, suspected: Suspicion[] = [], expected: readonly string[] = []): RefoldPorts {
  return {
    store: disk.store,
    crypto: identity(),
    suspect: (_space, id, ms) => suspected.push({ id, ms }),
    expects: (_space, id) => expected.includes(id)
  }
}

describe('refold', () => {
  it('gives every record back as it was stored, with the position of its newest delta', async () => {
    const disk = new Disk()
    const engine = await startOn(bench, disk, { seed: 1 })
    await fill(bench, engine)
    const rows = await disk.rows('record')
    assert.ok(rows.length >= 12)
    for (const { key, value } of rows) {
      const refolded = await refoldRecord(portsOf(disk), SPACE, toHex(key.subarray(16)))
      assert.equal(refolded.refolded, 'whole')
      if (refolded.refolded !== 'whole') continue
      const stored = parseRecordValue(value)
      assert.equal(toHex(encodeRecord(refolded.record.state)), toHex(stored.state))
      assert.equal(refolded.record.lastArrival, stored.lastArrival)
    }
  })

  it('folds a history longer than a page', async () => {
    const disk = new Disk()
    const { node } = await startOn(bench, disk, { seed: 2 })
    const { id } = await node.add({ content: 'first' })
    for (let i = 0; i < 260; i++) await node.revise({ id, content: `version ${i}` })
    const refolded = await refoldRecord(portsOf(disk), SPACE, id)
    assert.ok(refolded.refolded === 'whole')
    assert.equal(refolded.record.state.contentDeltas.size, 261)
    const [row] = await disk.rows('record')
    assert.equal(toHex(encodeRecord(refolded.record.state)), toHex(parseRecordValue(row!.value).state))
  })

  it('knows no record that no delta touched', async () => {
    const disk = new Disk()
    await startOn(bench, disk, { seed: 3 })
    assert.deepEqual(await refoldRecord(portsOf(disk), SPACE, '00'.repeat(32)), { refolded: 'none' })
  })

  it('shows nothing rather than a part, and names the deltas that are missing', async () => {
    const disk = new Disk()
    const { node } = await startOn(bench, disk, { seed: 4 })
    const { id, delta } = await node.add({ content: 'first' })
    const second = await node.revise({ id, content: 'second' })
    await disk.flipValue('delta', deltaKey(SPACE, second.delta), 300)
    const suspected: Suspicion[] = []
    assert.deepEqual(await refoldRecord(portsOf(disk, suspected), SPACE, id), {
      refolded: 'torn',
      lacking: [second.delta]
    })
    assert.deepEqual(suspected, [{ id: second.delta, ms: second.atMs }])
    await disk.remove('delta', deltaKey(SPACE, delta))
    const both = await refoldRecord(portsOf(disk), SPACE, id)
    assert.deepEqual(both, { refolded: 'torn', lacking: [delta, second.delta] })
  })

  it('looks at the delta when a row of its history is damaged', async () => {
    const disk = new Disk()
    const { node } = await startOn(bench, disk, { seed: 5 })
    const { id } = await node.add({ content: 'first' })
    const { delta } = await node.revise({ id, content: 'second' })
    const stored = parseRecordValue((await disk.rows('record'))[0]!.value)
    const rows = await disk.rows('history')
    const row = rows.find(({ key }) => parseHistoryKey(key).id === delta)!
    await disk.flipValue('history', row.key)
    const refolded = await refoldRecord(portsOf(disk), SPACE, id)
    assert.ok(refolded.refolded === 'whole')
    assert.equal(toHex(encodeRecord(refolded.record.state)), toHex(stored.state))
    // Damaged, and its delta is not there: only somebody who knows the set can tell what that means.
    await disk.remove('delta', deltaKey(SPACE, delta))
    const without = await refoldRecord(portsOf(disk), SPACE, id)
    assert.ok(without.refolded === 'whole')
    assert.equal(without.record.state.contentDeltas.size, 1)
    assert.equal((await refoldRecord(portsOf(disk, [], [delta]), SPACE, id)).refolded, 'torn')
  })

  it('counts as newest of all what has lost its position', async () => {
    const disk = new Disk()
    const { node } = await startOn(bench, disk, { seed: 6 })
    const { id } = await node.add({ content: 'first' })
    await node.add({ content: 'another' })
    const range = (await disk.rows('range'))[0]!
    await disk.flipValue('range', range.key, 70)
    const refolded = await refoldRecord(portsOf(disk), SPACE, id)
    assert.ok(refolded.refolded === 'whole')
    assert.equal(refolded.record.lastArrival, 2)
  })
})
