import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LIMITS } from '../../../src/base/limits.ts'
import {
  opposed,
  Opposites,
  SAME_STATEMENT_MIN,
  sameness,
  statementOf,
  type Statement
} from '../../../src/recall/opposites.ts'

const said = (text: string): Statement => {
  const statement = statementOf(text)
  assert.ok(statement, text)
  return statement
}

/** What two texts of one topic are to each other. */
function between(a: string, b: string): string | undefined {
  const pairs = new Opposites()
  for (const text of [a, b]) pairs.count(said(text))
  assert.deepEqual(pairs.meet(said(a), ''), [])
  return pairs.meet(said(b), '')[0]?.kind
}

describe('opposites', () => {
  it('tells a denial from its statement', () => {
    assert.equal(between('Deploys freeze on Friday', 'Deploys do not freeze on Friday'), 'negation')
    assert.equal(between('The API allows retries', "The API doesn't allow retries"), 'negation')
    assert.equal(between('Never use tabs in this repository', 'Use tabs in this repository'), 'negation')
    assert.equal(between('We cannot ship on Monday', 'We can’t ship on Monday'), undefined, 'both deny')
    assert.equal(between('It is not never used here', 'It is used here'), undefined, 'a double negation asserts')
  })

  it('tells other numbers, times and days from the same', () => {
    assert.equal(between('The server listens on port 8080', 'The server listens on port 9090'), 'values')
    assert.equal(between('Deploys freeze on Fridays after 15:00', 'Deploys freeze on Fridays after 16:00'), 'values')
    assert.equal(between('Deploys freeze on Fridays', 'Deploys freeze on Monday'), 'values')
    assert.equal(between('Deploys freeze on Fridays', 'Deploys freeze on friday'), undefined)
    assert.equal(
      between('Deploys freeze at 15:00', 'Deploys freeze at 15:00 in room 4'),
      undefined,
      'says more, not other'
    )
    assert.equal(between('Use sha256 for checksums', 'Use sha384 for checksums'), 'values')
  })

  it('leaves alone what speaks of something else', () => {
    assert.equal(between('The server listens on port 8080', 'The cat has 9 lives and sleeps all day'), undefined)
    const pairs = new Opposites()
    const [one, other] = [said('the port is 8080'), said('the port is 9090')]
    pairs.count(one)
    pairs.count(other)
    pairs.meet(one, 'east')
    assert.deepEqual(pairs.meet(other, 'west'), [], 'two places of the tree')
  })

  it('passes over texts too short or too long to judge', () => {
    assert.equal(statementOf('port 8080'), undefined)
    const words = (count: number): string =>
      Array.from({ length: count }, (_, i) => `w${'abcdefghij'[i % 10]}${'klmnopqrst'[Math.floor(i / 10)]}`).join(' ')
    assert.equal(said(words(LIMITS.statementWordsMax)).words.length, LIMITS.statementWordsMax)
    assert.equal(statementOf(words(LIMITS.statementWordsMax + 1)), undefined)
  })

  it('finds every pair that comparing all with all finds', () => {
    const word = fc.constantFrom('alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'not', '1', '2', '3')
    const text = fc.array(word, { minLength: 2, maxLength: 9 }).map((words) => words.join(' '))
    fc.assert(
      fc.property(fc.array(text, { maxLength: 20 }), (texts) => {
        const statements = texts.flatMap((one) => statementOf(one) ?? [])
        const pairs = new Opposites()
        for (const one of statements) pairs.count(one)
        statements.forEach((one, place) => {
          const expected = statements.slice(0, place).flatMap((other, earlier) => {
            const kind = opposed(one, other)
            return kind !== undefined && sameness(one.words, other.words) >= SAME_STATEMENT_MIN
              ? [{ kind, earlier }]
              : []
          })
          assert.deepEqual(pairs.meet(one, ''), expected)
        })
      }),
      { numRuns: 500 }
    )
  })

  it('keeps no more of one word than the bound', () => {
    const pairs = new Opposites()
    const texts = Array.from({ length: LIMITS.likenessComparedMax + 1 }, (_, i) => said(`the port is ${i}`))
    for (const one of texts) pairs.count(one)
    for (const one of texts) pairs.meet(one, '')
    assert.equal(pairs.meet(said('the port is other1'), '').length, LIMITS.likenessComparedMax)
  })
})
