/** A record for tests of recall: everything absent but what a test names. */
import type { RecallDoc } from '../../../src/recall/recall-doc.ts'

export const SPACE = '01'.repeat(16)
export const OTHER_SPACE = '02'.repeat(16)
export const DAY_MS = 86_400_000
export const NOW_MS = 1_000 * DAY_MS

/** The n-th id. */
export const idOf = (n: number): string => n.toString(16).padStart(64, '0')
export const authorOf = (n: number): string => n.toString(16).padStart(64, 'a')

export function docOf(n: number, fields: Partial<RecallDoc> = {}): RecallDoc {
  return {
    id: idOf(n),
    space: SPACE,
    key: null,
    documentType: 'memory',
    memoryType: null,
    kind: 'note',
    path: null,
    tags: [],
    author: authorOf(n),
    createdAt: NOW_MS,
    updatedAt: NOW_MS,
    importance: null,
    confidence: null,
    accessCount: 0,
    pinned: false,
    validFrom: null,
    validTo: null,
    expiresAt: null,
    retracted: false,
    validated: false,
    supersedes: [],
    parents: [],
    related: [],
    flags: [],
    ...fields
  }
}
