import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Links, recallKey } from '../../../src/recall/links.ts'
import { docOf, idOf, OTHER_SPACE, SPACE } from './doc.ts'

const key = (n: number, space = SPACE): string => recallKey(idOf(n), space)

describe('Links', () => {
  const child = docOf(1, { parents: [idOf(2), idOf(3)], related: [idOf(3), idOf(4)], supersedes: [idOf(5), idOf(1)] })
  const other = docOf(6, { related: [idOf(1)] })
  const links = new Links()
  links.add(key(1), child)
  links.add(key(6), other)

  it('lead up, aside and down, each neighbour once and never to itself', () => {
    assert.deepEqual([...links.neighbours(key(1), child, 9)], [key(2), key(3), key(5), key(4), key(6)])
    assert.deepEqual([...links.neighbours(key(5), docOf(5), 9)], [key(1)])
    assert.deepEqual([...links.neighbours(key(3), docOf(3), 9)], [key(1)])
    assert.deepEqual([...links.superseders(key(5))], [key(1)])
    assert.deepEqual([...links.superseders(key(4))], [])
  })

  it('are the same few, whoever linked first', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 2, max: 40 })), fc.integer({ min: 1, max: 8 }), (numbers, count) => {
        const many = new Links()
        for (const n of numbers) many.add(key(n), docOf(n, { related: [idOf(1)] }))
        const first = numbers.toSorted((a, b) => a - b).slice(0, count)
        assert.deepEqual(
          many.neighbours(key(1), docOf(1), count),
          first.map((n) => key(n))
        )
      })
    )
  })

  it('stay in their space', () => {
    assert.deepEqual([...links.neighbours(key(2, OTHER_SPACE), docOf(2, { space: OTHER_SPACE }), 9)], [])
  })

  it('are gone when the record is', () => {
    const short = new Links()
    assert.equal(short.isEmpty, true)
    short.add(key(1), child)
    assert.equal(short.isEmpty, false)
    short.remove(key(1), child)
    assert.equal(short.isEmpty, true)
    assert.deepEqual([...short.neighbours(key(2), docOf(2), 9)], [])
  })
})
