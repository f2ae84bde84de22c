import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { propagationTable, roundsTable } from '../../../../simulations/model/propagation-table.ts'

describe('propagationTable', () => {
  it('gives every figure of the goals a verdict, and prints what it returns', async () => {
    const lines: string[] = []
    const rows = await propagationTable({
      tiers: ['T0'],
      seeds: 2,
      sizes: [100, 300],
      print: (line) => lines.push(line)
    })
    assert.equal(lines.length, rows.length + 1)
    assert.equal(rows.filter(({ goal }) => goal !== null).length, 18)
    for (const { goal, measured, verdict } of rows) {
      assert.ok(measured !== null)
      assert.equal(verdict, goal === null ? '–' : measured <= goal ? 'met' : 'MISSED')
    }
    // Small worlds are fast, and announcements of a lone message cost what they cost in any world.
    const figures = new Map(rows.map(({ nodes, world, figure, verdict }) => [`${nodes} ${world} ${figure}`, verdict]))
    assert.equal(figures.get('100 healthy to 99 %, ms'), 'met')
    assert.equal(figures.get('100 LAN to all, ms'), 'met')
    assert.ok(rows.filter(({ figure }) => figure.startsWith('honest')).every(({ measured }) => measured === 0))
  })

  it('runs only the tiers it is asked for', async () => {
    const rows = await propagationTable({ tiers: [], seeds: 1 })
    assert.deepEqual(rows, [])
  })
})

describe('roundsTable', () => {
  it('stands beside the rounds of a perfect tree', () => {
    const [ten, thousand] = roundsTable([10, 1_000], 5)
    assert.deepEqual([ten?.tree, thousand?.tree], [3, 7])
    const to100 = thousand?.pushForever.to100 ?? 0
    assert.ok(to100 > 7 && to100 < 10, `${to100}`)
    assert.ok((thousand?.specification.to100 ?? 0) > to100)
    assert.ok((thousand?.specification.copies ?? 9) < 3.5)
    assert.ok(Math.abs((thousand?.infectAndDie ?? 0) - 0.94) < 0.02)
  })
})
