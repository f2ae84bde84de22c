/** Where candidates come from, asked through the index. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import type { RecallDoc } from '../../../src/recall/recall-doc.ts'
import { RecallIndex, type RecallAnswer, type RecallRequest } from '../../../src/recall/recall-index.ts'
import { authorOf, docOf, idOf, NOW_MS, OTHER_SPACE, SPACE } from './doc.ts'

type Row = [n: number, text: string, fields?: Partial<RecallDoc>]

function indexOf(...rows: Row[]): RecallIndex {
  const index = new RecallIndex()
  for (const [n, text, fields] of rows) index.upsert(docOf(n, fields), text)
  return index
}

const ask = (index: RecallIndex, query: string, rest: Partial<RecallRequest> = {}): RecallAnswer =>
  index.search({ query, limit: 10, nowMs: NOW_MS, explain: true, ...rest })
const numbers = ({ hits }: RecallAnswer): number[] => hits.map((hit) => Number.parseInt(hit.id, 16))
const found = (index: RecallIndex, query: string, rest: Partial<RecallRequest> = {}): number[] =>
  numbers(ask(index, query, rest))
const whyOf = (answer: RecallAnswer, n: number): Readonly<Record<string, number>> =>
  answer.hits.find((hit) => hit.id === idOf(n))?.why ?? {}
const inOrder = (numbersFound: number[]): number[] => numbersFound.sort((a, b) => a - b)
const near = (n: number, similarity: number, space = SPACE) => ({ id: idOf(n), space, similarity })

describe('relevance', () => {
  const rows: Row[] = [
    [1, 'the zeppelin hangar keeps its keys behind the reception desk'],
    [2, 'the hangar keeps the keys of all cars behind the desk', { importance: 1 }],
    [3, 'keys of the desk are kept in the drawer', { importance: 1 }],
    [4, 'the desk of the reception', { importance: 1 }]
  ]

  it('is not overtaken by importance when one text holds the very word', () => {
    assert.equal(found(indexOf(...rows), 'zeppelin keys behind the desk')[0], 1)
  })

  it('leaves a tie to importance, however many are tied', () => {
    const tied = Array.from({ length: 30 }, (_, i): Row => [i, `rotate key number${i}`])
    tied[17] = [17, 'rotate key number17', { importance: 1 }]
    tied[3] = [3, 'rotate key number3', { importance: 0 }]
    const answer = ask(indexOf(...tied), 'rotate key', { limit: 30, mmr: 1 })
    assert.equal(numbers(answer)[0], 17)
    assert.equal(numbers(answer).at(-1), 3)
    assert.equal(whyOf(answer, 17)['bm25Rank'], 1)
    assert.equal(whyOf(answer, 29)['bm25Rank'], 1)
  })
})

describe('vector hits', () => {
  const index = indexOf([1, 'when may we ship?'], [2, 'deploys are frozen on fridays'], [3, 'cats sleep all day'])

  it('bring in what shares no word, and say so', () => {
    const answer = ask(index, 'release calendar', { vectorHits: [near(2, 0.8), near(3, 0.2)] })
    assert.deepEqual(numbers(answer), [2, 3])
    const why = whyOf(answer, 2)
    assert.deepEqual([why['vector'], why['vectorRank'], why['bm25']], [0.8, 1, undefined])
    assert.equal(whyOf(answer, 3)['vectorRank'], 2)
  })

  it('add to what words found', () => {
    const rest = { vectorHits: [near(2, 0.9), near(1, 0.85)] }
    assert.deepEqual(inOrder(found(index, 'may we ship on fridays', rest).slice(0, 2)), [1, 2])
    const alone = ask(index, 'fridays', { vectorHits: [near(3, 0.9), near(2, 0.89)] })
    assert.deepEqual(numbers(alone), [2, 3])
    assert.equal(whyOf(alone, 2)['bm25Rank'], 1)
  })

  it('are filtered, known, positive and counted once', () => {
    const hits = [near(2, 0.9), near(2, 0.8), near(9, 0.7), near(1, 0.6, OTHER_SPACE), near(3, 0), near(1, Number.NaN)]
    assert.deepEqual(found(index, 'zzz', { vectorHits: hits }), [2])
    assert.deepEqual(found(index, 'zzz', { vectorHits: hits, filters: { spaces: [OTHER_SPACE] } }), [])
  })

  it('count in the collective ranking as likeness', () => {
    const answer = ask(index, 'zzz', { vectorHits: [near(2, 0.5), near(3, 0.25)], ranking: 'collective' })
    assert.deepEqual([whyOf(answer, 2)['similarity'], whyOf(answer, 3)['similarity']], [1, 0.5])
  })
})

describe('neighbours in the graph', () => {
  const rows: Row[] = [
    [1, 'the outage of march', { related: [idOf(2)], parents: [idOf(3)] }],
    [2, 'the pager was silent'],
    [3, 'a disk had died'],
    [4, 'so we bought a second pager', { parents: [idOf(1)] }],
    [5, 'lunch is at noon'],
    [6, 'forged neighbour', { space: OTHER_SPACE, parents: [idOf(1)] }]
  ]

  it('come along with a good hit, up, aside and down, after it', () => {
    const answer = ask(indexOf(...rows), 'outage')
    assert.equal(numbers(answer)[0], 1)
    assert.deepEqual(inOrder(numbers(answer)), [1, 2, 3, 4])
    assert.ok((whyOf(answer, 4)['graphRank'] ?? 0) > 0)
    assert.equal(whyOf(answer, 4)['strength'], 0.25)
  })

  it('are filtered like everything else', () => {
    const hidden = indexOf(...rows.map(([n, text, fields]): Row => [n, text, { ...fields, retracted: n === 2 }]))
    assert.deepEqual(inOrder(found(hidden, 'outage')), [1, 3, 4])
  })

  it('are looked at up to the bound, whoever links a thousand', () => {
    const crowd = Array.from({ length: 3 * LIMITS.recallNeighboursMax }, (_, i): Row => [
      i + 10,
      `unlike anything said${i} before${i}`,
      { related: [idOf(1)] }
    ])
    const answer = ask(indexOf([1, 'the outage of march'], ...crowd), 'outage', { limit: 200 })
    assert.equal(answer.hits.length, 1 + LIMITS.recallNeighboursMax)
  })
})

describe('modes', () => {
  const index = indexOf(
    [1, 'alpha words', { related: [idOf(2)] }],
    [2, 'beta words', { tags: ['gamma'] }],
    [3, 'delta', { key: 'alpha' }]
  )
  const vectorHits = [near(3, 0.9)]

  it('leave out the sources that are not named', () => {
    assert.deepEqual(inOrder(found(index, 'alpha', { modes: ['keyword'], vectorHits })), [1, 3])
    assert.deepEqual(found(index, 'words', { modes: ['vector'], vectorHits }), [3])
    assert.deepEqual(inOrder(found(index, 'words', { modes: ['keyword', 'vector'], vectorHits })), [1, 2, 3])
    assert.deepEqual(found(index, 'words', { modes: ['graph'], vectorHits }), [])
  })

  it('always look up what is named outright', () => {
    assert.deepEqual(found(index, 'alpha', { modes: ['vector'] }), [3])
    assert.deepEqual(found(index, '#gamma', { modes: ['vector'] }), [2])
  })
})

describe('one author against the others', () => {
  const SPAMMER = authorOf(66)

  it('gets three of the top ten at most with a thousand near duplicates', () => {
    const index = new RecallIndex()
    for (let n = 0; n < 1_000; n++) {
      index.upsert(docOf(n, { author: SPAMMER, importance: 1 }), `urgent deploy token policy policy policy v${n}`)
    }
    for (let n = 1_000; n < 1_012; n++) {
      index.upsert(
        docOf(n),
        `what host${n} says in passing, among quite a few other things, about the deploy of it${n}`
      )
    }
    const answer = ask(index, 'deploy token policy')
    assert.equal(answer.hits.length, 10)
    const spam = numbers(answer).filter((n) => n < 1_000)
    assert.ok(spam.length >= 1 && spam.length <= 3, `${spam.length} of ten`)
  })

  it('gets no more with a thousand different texts, unless it is fully trusted', () => {
    const index = new RecallIndex()
    for (let n = 0; n < 1_000; n++) {
      const fill = Array.from({ length: 8 }, (_, i) => `w${n * 8 + i}`).join(' ')
      index.upsert(docOf(n, { author: SPAMMER }), `deploy token policy ${fill}`)
    }
    for (let n = 1_000; n < 1_010; n++) index.upsert(docOf(n), `the deploy policy of host${n}, as told by it${n}`)
    const trustOf = ({ author }: RecallDoc): number => (author === SPAMMER ? 0.8 : 1)
    assert.equal(found(index, 'deploy token policy', { trustOf }).filter((n) => n < 1_000).length, 3)
    assert.equal(found(index, 'deploy token policy').filter((n) => n < 1_000).length, 10, 'it may be the owner')
    const alone = found(index, 'deploy token policy', { filters: { authors: [SPAMMER] } })
    assert.equal(alone.length, 10, 'and everything when nobody else is asked for')
  })

  it('is capped in the classic rankings, where what is pinned still comes first', () => {
    const index = new RecallIndex()
    for (let n = 0; n < 300; n++) index.upsert(docOf(n, { author: SPAMMER, confidence: 1 }), `deploy token text${n}`)
    for (let n = 300; n < 310; n++) index.upsert(docOf(n), `deploy token of other${n} hosts`)
    index.upsert(docOf(310, { pinned: true }), 'deploy, somewhere in a longer text about other matters entirely')
    const known = ({ author }: RecallDoc): number => (author === SPAMMER ? 0.8 : 1)
    for (const ranking of ['collective', 'jaccard'] as const) {
      const answer = found(index, 'deploy token', { ranking, trustOf: known })
      assert.equal(answer.filter((n) => n < 300).length, 3, ranking)
      if (ranking === 'jaccard') assert.equal(answer[0], 310)
    }
    const trustOf = (doc: RecallDoc): number => (doc.author === SPAMMER ? 0 : doc.pinned ? 0.1 : 1)
    const answer = ask(index, 'deploy token', { ranking: 'jaccard', trustOf })
    assert.notEqual(numbers(answer)[0], 310, 'trust weighs more than a pin')
    assert.ok(numbers(answer).every((n) => n >= 300))
  })
})

describe('hidden', () => {
  const index = indexOf(
    [1, 'port is 80'],
    [2, 'port is 66', { author: authorOf(66) }],
    [3, 'port is 67', { author: authorOf(66), retracted: true }],
    [4, 'nothing', { author: authorOf(66) }]
  )
  const trustOf = (doc: RecallDoc): number => (doc.author === authorOf(66) ? 0 : 1)

  it('counts matches that trust alone keeps out, once each', () => {
    const answer = ask(index, 'port', { trustOf, vectorHits: [near(2, 0.9)] })
    assert.deepEqual([numbers(answer), answer.hidden, answer.dropped], [[1], 1, 0])
    assert.equal(ask(index, ' ', { trustOf }).hidden, 2)
    assert.equal(ask(index, 'port').hidden, 0)
  })

  it('does not let a record that may not supersede hide another', () => {
    const rows = indexOf([1, 'port is 80'], [2, 'port is 66', { supersedes: [idOf(1)], author: authorOf(66) }])
    const maySupersede = (doc: RecallDoc): boolean => doc.author !== authorOf(66)
    assert.deepEqual(inOrder(found(rows, 'port', { maySupersede })), [1, 2])
    assert.deepEqual(found(rows, 'port'), [2])
  })

  it('ranks lower what gives orders', () => {
    const rows = indexOf([1, 'deploy on friday', { flags: ['imperative'] }], [2, 'deploy on friday never'])
    const answer = ask(rows, 'deploy on friday', { mmr: 1 })
    assert.equal(whyOf(answer, 1)['caution'], 0.7)
    assert.equal(numbers(answer)[0], 2)
  })
})
