import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { authorToPeerId } from '../../../src/base/peer-id.ts'
import { compileFilters, isCurrent } from '../../../src/recall/filters.ts'
import type { RecallDoc, RecallFilters } from '../../../src/recall/recall-doc.ts'
import { authorOf, docOf, NOW_MS, OTHER_SPACE, SPACE } from './doc.ts'

const passes = (filters: RecallFilters, fields: Partial<RecallDoc>): boolean =>
  compileFilters(filters, NOW_MS)(docOf(1, fields))

describe('compileFilters', () => {
  it('lets through exactly what each filter names', () => {
    const cases: [RecallFilters, Partial<RecallDoc>, Partial<RecallDoc>][] = [
      [{ spaces: [SPACE] }, {}, { space: OTHER_SPACE }],
      [{ kinds: ['fact', 'note'] }, { kind: 'fact' }, { kind: 'task' }],
      [{ memoryTypes: ['semantic'] }, { memoryType: 'semantic' }, { memoryType: null }],
      [{ documentTypes: ['bead'] }, { documentType: 'bead' }, {}],
      [{ tagsAll: ['a', 'b'] }, { tags: ['b', 'c', 'a'] }, { tags: ['a'] }],
      [{ tagsAny: ['a', 'b'] }, { tags: ['b'] }, { tags: ['c'] }],
      [{ tagsAny: ['Deploy'] }, { tags: ['Deploy'] }, { tags: ['deploy'] }],
      [{ authors: [authorOf(7)] }, { author: authorOf(7) }, { author: authorOf(8) }],
      [{ authors: [authorToPeerId(authorOf(7))] }, { author: authorOf(7) }, { author: authorOf(8) }],
      [{ sinceMs: 5 }, { createdAt: 5 }, { createdAt: 4 }],
      [{ untilMs: 5 }, { createdAt: 5 }, { createdAt: 6 }],
      [{ minImportance: 0.7 }, { importance: 0.7 }, { importance: 0.69 }],
      [{ minImportance: 0.1 }, { importance: 0.1 }, { importance: null }],
      [{ validatedOnly: true }, { validated: true }, { validated: false }],
      [{ pinnedOnly: true }, { pinned: true }, { pinned: false }],
      [{ path: 'a/b' }, { path: 'a/b' }, { path: 'a/bc' }],
      [{ path: 'a/b/' }, { path: 'a/b/c' }, { path: 'a' }],
      [{ path: '/' }, { path: '/x' }, { path: null }],
      [{}, { retracted: false }, { retracted: true }],
      [{}, { documentType: 'metadata', path: 'notes' }, { documentType: 'metadata', path: 'chrysalis/consolidation' }],
      [{}, { path: 'chrysalis/consolidation' }, { documentType: 'metadata', path: 'chrysalis/x' }],
      [{ path: 'chrysalis' }, { documentType: 'metadata', path: 'chrysalis/x' }, {}],
      [{ documentTypes: ['metadata'] }, { documentType: 'metadata', path: 'chrysalis/x' }, {}],
      [{}, { expiresAt: NOW_MS + 1 }, { expiresAt: NOW_MS }],
      [{}, { validFrom: NOW_MS }, { validFrom: NOW_MS + 1 }],
      [{}, { validTo: NOW_MS }, { validTo: NOW_MS - 1 }]
    ]
    for (const [filters, good, bad] of cases) {
      const said = JSON.stringify([filters, good, bad])
      assert.equal(passes(filters, good), true, said)
      assert.equal(passes(filters, bad), false, said)
    }
  })

  it('shows what is history when asked', () => {
    assert.equal(passes({ includeRetracted: true }, { retracted: true }), true)
    assert.equal(passes({ includeExpired: true }, { expiresAt: 1, validTo: 1 }), true)
    assert.equal(passes({ includeExpired: true }, { retracted: true }), false)
  })

  it('needs every filter at once', () => {
    const filters: RecallFilters = { kinds: ['fact'], tagsAll: ['a'], sinceMs: 1 }
    assert.equal(passes(filters, { kind: 'fact', tags: ['a'] }), true)
    assert.equal(passes(filters, { kind: 'fact', tags: [] }), false)
    assert.equal(passes(filters, { kind: 'note', tags: ['a'] }), false)
  })

  it('takes an empty list for "none of", except for tags that must all be there', () => {
    for (const name of ['spaces', 'kinds', 'authors', 'tagsAny'] as const)
      assert.equal(passes({ [name]: [] }, {}), false)
    assert.equal(passes({ tagsAll: [] }, {}), true)
  })

  it('matches nobody by a name that is no author', () => {
    assert.equal(passes({ authors: ['nobody'] }, {}), false)
  })

  it('counts an open validity as current', () => {
    assert.equal(isCurrent(docOf(1), NOW_MS), true)
  })
})
