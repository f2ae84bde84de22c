/**
 * The shared read index against two oracles that know nothing of its rows: the recall index in memory, and a textbook
 * BM25 over plain maps. On random corpora, through any sequence of puts, changes and removals, all three must find the
 * same memories with the same scores.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/base/prng.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { SharedEntry, SharedMemory } from '../../src/ports/shared-index.ts'
import { KeywordIndex } from '../../src/recall/keyword-index.ts'
import { SHARED_TERMS, sharedQueryWords } from '../../src/recall/shared-terms.ts'
import { TRUST_FACTOR, TRUST_TIERS } from '../../src/trust/tier.ts'
import { entryOf, idOf, memoryOf, ReaderProcess, Shelves, shortText, TRUSTED } from '../support/shared-index.ts'

const WANTED = 15

interface Known {
  readonly memory: SharedMemory
  readonly tier: number
  readonly superseded: boolean
}

/** BM25 as the books have it; every word of these corpora has one form only, so each counts in the form of the query. */
function textbook(known: ReadonlyMap<string, Known>, words: readonly string[]): Map<string, number> {
  const texts = new Map([...known].map(([id, { memory }]) => [id, SHARED_TERMS.ofMemory(memory).terms]))
  const average = [...texts.values()].reduce((sum, terms) => sum + terms.length, 0) / texts.size
  const scores = new Map<string, number>()
  for (const word of words) {
    const holders = [...texts].filter(([, terms]) => terms.includes(word))
    const idf = Math.log(1 + (texts.size - holders.length + 0.5) / (holders.length + 0.5))
    for (const [id, terms] of holders) {
      const tf = terms.filter((term) => term === word).length
      const part = (1.35 * idf * tf * 1.7) / (tf + 0.7 * (1 - 0.75 + (0.75 * terms.length) / average))
      scores.set(id, (scores.get(id) ?? 0) + part)
    }
  }
  return scores
}

function jaccardOf(memory: SharedMemory, words: readonly string[]): number {
  const terms = new Set(SHARED_TERMS.ofMemory(memory).terms)
  const shared = words.filter((word) => terms.has(word)).length
  return shared / (words.length + terms.size - shared)
}

interface Scored {
  readonly id: string
  readonly score: number
}

/** Equal scores may come in any order, and any of them may stand at the edge. */
function assertSame(actual: readonly Scored[], all: ReadonlyMap<string, number>, about: string): void {
  const expected = [...all.values()].sort((a, b) => b - a).slice(0, WANTED)
  assert.equal(actual.length, expected.length, about)
  actual.forEach(({ id, score }, i) => {
    assert.ok(Math.abs(score - (expected[i] as number)) < 1e-9, `${about}: score ${i} is ${score}, not ${expected[i]}`)
    assert.ok(Math.abs(score - (all.get(id) ?? NaN)) < 1e-9, `${about}: ${id} has another score`)
  })
}

for (const seed of ['one', 'two', 'three']) {
  test(`finds what the recall index and the textbook find, corpus ${seed}`, async () => {
    const random = new SeededRandom(`shared-index/${seed}`)
    const shelves = new Shelves()
    const shelf = await shelves.open()
    const known = new Map<string, Known>()
    const keywords = new KeywordIndex<{ key: string }>()
    const reader = new ReaderProcess(shelves.directory)
    try {
      for (let round = 0; round < 12; round++) {
        const puts: SharedEntry[] = []
        const removes: string[] = []
        const marks: { id: string; tier: number; superseded: boolean }[] = []
        const changed = new Set<string>()
        for (let i = 0; i < 120; i++) {
          const n = random.below(900)
          const id = idOf(n)
          if (changed.has(id)) continue
          changed.add(id)
          const lot = random.below(10)
          if (known.has(id) && lot < 2) removes.push(id)
          else if (known.has(id) && lot < 4)
            marks.push({ id, tier: random.below(6), superseded: random.below(4) === 0 })
          else {
            const memory = memoryOf(n, shortText(random, 3 + random.below(40)), { pinned: random.below(9) === 0 })
            puts.push(entryOf(memory, { stamp: round, tier: random.below(6) }))
          }
        }
        await shelf.write({ puts, removes, marks })
        for (const id of removes) {
          known.delete(id)
          keywords.remove(id)
        }
        for (const { id, tier, superseded } of marks) known.set(id, { ...(known.get(id) as Known), tier, superseded })
        for (const { memory, tier } of puts) {
          known.set(memory.id, { memory, tier, superseded: false })
          keywords.add({ key: memory.id }, memory.content)
        }
        assert.equal((await reader.figures()).indexed, known.size)
        for (let q = 0; q < 12; q++) {
          const query = shortText(random, 1 + random.below(5))
          const words = sharedQueryWords(query).map(({ term }) => term)
          const shown = ({ tier, superseded }: Known): number =>
            superseded ? 0 : (TRUST_FACTOR[TRUST_TIERS[tier] as 'known'] ?? 0)

          const plain = [...textbook(known, words)]
          const weighted = plain.map(([id, score]) => [id, score * shown(known.get(id) as Known)] as const)
          const bm25 = await reader.search(query, { limit: WANTED })
          const found = bm25.hits.map(({ memory, score }) => ({ id: memory.id, score }))
          assertSame(found, new Map(weighted.filter(([, score]) => score > 0)), `bm25 "${query}"`)
          assert.equal(bm25.matches, weighted.filter(([, score]) => score > 0).length)

          const index = keywords.search(
            query,
            LIMITS.recallCandidatesMax,
            ({ key }) => shown(known.get(key) as Known) > 0
          )
          const theirs = index.map(
            ({ document, score }) => [document.key, score * shown(known.get(document.key) as Known)] as const
          )
          if (index.length < LIMITS.recallCandidatesMax) assertSame(found, new Map(theirs), `recall index "${query}"`)

          const jaccards = plain.flatMap(([id]) => {
            const one = known.get(id) as Known
            const score = (jaccardOf(one.memory, words) + (one.memory.pinned ? 1 : 0)) * shown(one)
            return score > 0 ? [[id, score] as const] : []
          })
          const jaccard = await reader.search(query, { limit: WANTED, jaccard: true })
          assertSame(
            jaccard.hits.map(({ memory, score }) => ({ id: memory.id, score })),
            new Map(jaccards),
            `jaccard "${query}"`
          )
        }
      }
      for (const [id, { memory, tier }] of known) assert.deepEqual(await reader.ask('get', id), { memory, tier })
    } finally {
      await reader.kill()
      await shelves.remove()
    }
  })
}

test('stop words count when a query has nothing else', async () => {
  const shelves = new Shelves()
  const shelf = await shelves.open()
  await shelf.write({
    puts: [entryOf(memoryOf(1, 'to be or not to be')), entryOf(memoryOf(2, 'the ship'))],
    removes: [],
    marks: []
  })
  const keywords = new KeywordIndex<{ key: string }>()
  keywords.add({ key: idOf(1) }, 'to be or not to be')
  keywords.add({ key: idOf(2) }, 'the ship')
  const reader = new ReaderProcess(shelves.directory)
  try {
    for (const query of ['to be', 'the']) {
      const [hit] = (await reader.search(query, { stopWords: true })).hits
      const [theirs] = keywords.search(query, 1)
      assert.equal(hit?.memory.id, theirs?.document.key)
      assert.equal(hit?.tier, TRUSTED)
      assert.ok(
        Math.abs((hit?.bm25 ?? NaN) - (theirs?.score ?? NaN)) < 1e-12,
        `${query}: ${hit?.bm25} ${theirs?.score}`
      )
      assert.ok(Math.abs((hit?.jaccard ?? NaN) - (theirs?.jaccard ?? NaN)) < 1e-12)
    }
  } finally {
    await reader.kill()
    await shelves.remove()
  }
})

test('the form of a word counts as in the recall index, and so do repetition, case and tags', async () => {
  const shelves = new Shelves()
  const shelf = await shelves.open()
  const keywords = new KeywordIndex<{ key: string }>()
  const contents = [
    'caches are cold',
    'Caching, caching and caching',
    'one cached page of the book',
    'CACHE '.repeat(40)
  ]
  for (const [n, content] of contents.entries()) {
    const memory = memoryOf(n, content, { tags: n === 2 ? ['cache', 'team-a'] : [], key: n === 0 ? 'cache-key' : null })
    await shelf.write({ puts: [entryOf(memory)], removes: [], marks: [] })
    keywords.add({ key: memory.id }, [content, memory.key ?? '', '', ...memory.tags].join('\n'))
  }
  const reader = new ReaderProcess(shelves.directory)
  try {
    for (const query of ['caching', 'cache', 'cached caches']) {
      const { hits } = await reader.search(query)
      const theirs = keywords.search(query, 10)
      assert.deepEqual(
        hits.map(({ memory }) => memory.id),
        theirs.map(({ document }) => document.key),
        query
      )
      for (const [i, { bm25, jaccard }] of hits.entries()) {
        assert.ok(Math.abs(bm25 - (theirs[i]?.score ?? NaN)) < 1e-12, `${query} ${i}: ${bm25} ${theirs[i]?.score}`)
        assert.ok(Math.abs(jaccard - (theirs[i]?.jaccard ?? NaN)) < 1e-12, query)
      }
    }
  } finally {
    await reader.kill()
    await shelves.remove()
  }
})
