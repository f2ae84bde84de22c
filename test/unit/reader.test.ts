/** The reader library: which index it opens, what it refuses, what an answer holds. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { createSharedIndex } from '../../src/adapters/index/writer.ts'
import { isChrysalisError, type ErrorCode } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { KINDS } from '../../src/memory/ops.ts'
import { openReader, sharedSpaces } from '../../src/reader.ts'
import { SHARED_TERMS, sharedQueryWords } from '../../src/recall/shared-terms.ts'
import { TRUST_TIERS } from '../../src/trust/tier.ts'
import { entryOf, idOf, memoryOf } from '../support/shared-index.ts'

const TEAM = { id: '1a'.repeat(16), name: 'team', isDefault: false }
const OTHER = { id: '2b'.repeat(16), name: 'other', isDefault: false }

/** A home whose daemon published these spaces and stopped. */
async function withHome(
  spaces: readonly (typeof TEAM)[],
  run: (home: string) => void | Promise<void>,
  memories = [memoryOf(1, 'Deploys freeze on Fridays', { kind: 'decision', tags: ['deploy'] })]
): Promise<void> {
  const home = mkdtempSync(path.join(tmpdir(), 'chrysalis-reader-'))
  try {
    const index = createSharedIndex(path.join(home, 'index'), SHARED_TERMS)
    for (const space of spaces) {
      const shelf = await index.open(space, 'store')
      const puts = memories.map((memory) =>
        entryOf(memory, { kind: KINDS.indexOf(memory.kind as 'note'), tier: TRUST_TIERS.indexOf('known') })
      )
      await shelf.write({ puts, removes: [], marks: [], complete: true })
      await shelf.close()
    }
    await run(home)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

function refuses(code: ErrorCode, act: () => unknown): void {
  assert.throws(act, (error) => {
    assert.ok(isChrysalisError(error, code), String(error))
    return (error.hint ?? '') !== ''
  })
}

test('the only space, the default one, or the one that is named', async () => {
  await withHome([TEAM], (home) => {
    const reader = openReader({ home })
    assert.equal(reader.spaceName, 'team')
    reader.close()
    refuses('not_found', () => openReader({ home, space: 'nobody' }))
  })
  await withHome([TEAM, OTHER], (home) => {
    refuses('ambiguous_id', () => openReader({ home }))
    for (const space of ['other', OTHER.id]) {
      const reader = openReader({ home, space })
      assert.equal(reader.space, OTHER.id)
      reader.close()
    }
    assert.deepEqual(
      sharedSpaces({ home }).map(({ name }) => name),
      ['other', 'team']
    )
  })
  await withHome([TEAM, { ...OTHER, isDefault: true }], (home) => {
    const reader = openReader({ home })
    assert.equal(reader.spaceName, 'other')
    reader.close()
  })
  await withHome([], (home) => {
    refuses('not_found', () => openReader({ home }))
    mkdirSync(path.join(home, 'index', TEAM.id), { recursive: true })
    writeFileSync(path.join(home, 'index', 'notes.txt'), 'not an index')
    assert.deepEqual(sharedSpaces({ home }), [])
    refuses('not_found', () => openReader({ home }))
  })
})

test('an answer holds the memory, its tier, and why when asked', () =>
  withHome([TEAM], (home) => {
    const reader = openReader({ home })
    try {
      const { hits, dropped, index } = reader.search('friday deploys', { explain: true })
      assert.deepEqual([dropped, index.state, index.indexed], [0, 'complete', 1])
      const [hit] = hits
      assert.equal(hit?.tier, 'known')
      assert.equal(hit?.why?.['trust'], 0.8)
      assert.equal(hit?.why?.['sharedWords'], 2)
      assert.ok(Math.abs((hit?.score ?? 0) - 0.8 * (hit?.why?.['bm25'] ?? NaN)) < 1e-12)
      assert.equal(reader.search('friday', { mode: 'jaccard', explain: true }).hits[0]?.why?.['pinned'], 0)
      assert.equal(reader.search('friday', { minTrust: 'trusted' }).hits.length, 0)
      assert.equal(reader.search('friday', { kinds: ['decision'], tagsAll: ['deploy'] }).hits.length, 1)
      assert.equal(reader.search('friday', { kinds: ['note'] }).hits.length, 0)
      assert.equal(reader.search('   ').hits.length, 0)
      assert.equal(reader.get(idOf(1))?.content, 'Deploys freeze on Fridays')
      assert.equal(reader.get(idOf(2)), undefined)
      assert.equal(reader.state().generation, 1)
    } finally {
      reader.close()
    }
  }))

test('what cannot be asked is refused by name, and limits are kept', () =>
  withHome(
    [TEAM],
    (home) => {
      const reader = openReader({ home })
      try {
        refuses('invalid_argument', () => reader.get('abc'))
        refuses('invalid_argument', () => reader.search('x', { authors: ['nobody'] }))
        refuses('too_large', () => reader.search('x'.repeat(LIMITS.queryBytesMax + 1)))
        assert.equal(reader.search('x'.repeat(LIMITS.queryBytesMax)).hits.length, 0)
        assert.equal(reader.search('kbd', { limit: 10_000 }).hits.length, LIMITS.recallResultsMax)
        assert.equal(reader.search('kbd', { limit: 10_000 }).dropped, 20)
        assert.equal(reader.search('kbd', { limit: -3 }).hits.length, 1)
      } finally {
        reader.close()
      }
    },
    Array.from({ length: LIMITS.recallResultsMax + 20 }, (_, n) => memoryOf(n, 'kbd'))
  ))

test('as many words of a query are looked at as in recall', () => {
  const words = Array.from({ length: LIMITS.queryTermsMax + 5 }, (_, n) => `w${n}`)
  assert.equal(sharedQueryWords(words.join(' ')).length, LIMITS.queryTermsMax)
  assert.deepEqual(
    sharedQueryWords('the deploys of the day').map(({ term }) => term),
    ['deploy', 'day']
  )
  assert.deepEqual(
    sharedQueryWords('to be').map(({ term }) => term),
    ['to', 'be']
  )
})
