/** Which texts are shown by which records, held against a plain list of what every record shows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TextBook } from '../../../src/node/text-book.ts'

const name = (n: number): string => n.toString(16).padStart(32, '0')
const place = (n: number): { space: string; id: string } => ({
  space: n % 2 === 0 ? 'aa' : 'bb',
  id: `record ${n >> 1}`
})

test('after any changes it knows exactly the texts that are shown, and by whom', () => {
  const changes = fc.array(fc.tuple(fc.nat(7), fc.option(fc.nat(4), { nil: null })), {
    minLength: 20,
    maxLength: 60
  })
  fc.assert(
    fc.property(changes, (steps) => {
      const book = new TextBook()
      const shown = new Map<number, number>()
      for (const [record, text] of steps) {
        const before = new Set(shown.values())
        if (text === null) shown.delete(record)
        else shown.set(record, text)
        const after = new Set(shown.values())
        const { came, left } = book.show(place(record), text === null ? null : name(text))
        assert.deepEqual(came === undefined ? [] : [came.name], [...after].filter((t) => !before.has(t)).map(name))
        assert.deepEqual(left === undefined ? [] : [left.name], [...before].filter((t) => !after.has(t)).map(name))
      }
      assert.equal(book.size, new Set(shown.values()).size)
      assert.equal(book.waiting, book.size)
      for (const text of new Set(shown.values())) {
        const expected = [...shown].filter(([, t]) => t === text).map(([record]) => place(record))
        const found = book.get(name(text))?.places ?? []
        const key = (one: { space: string; id: string }): string => one.space + one.id
        assert.deepEqual(found.map(key).sort(), expected.map(key).sort())
        const label = book.get(name(text))?.label ?? -1
        assert.equal(book.labelled(label)?.name, name(text))
      }
    })
  )
})

test('the label is the beginning of the hash, and the next free one when two texts have the same', () => {
  const book = new TextBook()
  const one = book.show(place(0), `${'f'.repeat(13)}${'0'.repeat(19)}`).came
  const two = book.show(place(1), `${'f'.repeat(13)}${'1'.repeat(19)}`).came
  assert.equal(one?.label, 2 ** 52 - 1)
  assert.equal(two?.label, 0)
})

test('states are counted, and a text that has left is not', () => {
  const book = new TextBook()
  const { came: one } = book.show(place(0), name(1))
  const { came: two } = book.show(place(1), name(2))
  assert.ok(one && two)
  book.mark(one, 'indexed')
  book.mark(two, 'refused')
  assert.deepEqual([book.waiting, book.refused], [0, 1])
  book.failed(two)
  assert.equal(two.failures, 1)
  book.show(place(1), null)
  book.mark(two, 'waiting')
  assert.deepEqual([book.waiting, book.refused, book.size], [0, 0, 1])
})
