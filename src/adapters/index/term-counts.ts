/**
 * How often, and in which forms, each term occurs in a memory, as postings and columns want it: the same counts as those
 * of the recall index (recall/keyword-index.ts). Tags are terms beside the words.
 */
import { LIMITS } from '../../base/limits.ts'
import type { SharedMemory, SharedTerms } from '../../ports/shared-index.ts'
import { tagTerm } from './layout.ts'

/** The low bits of a posting: forms << 4 | frequency. */
export const FORMS_SHIFT = 4
export const FREQUENCY_MAX = (1 << FORMS_SHIFT) - 1
const LENGTH_MAX = 65_535

export interface Counted {
  /** By term: what its posting says. */
  readonly details: ReadonlyMap<string, number>
  /** Words that are no stop words: all of them, and distinct ones; and distinct words of all kinds. */
  readonly length: number
  readonly telling: number
  readonly distinct: number
}

/** Beyond LIMITS.documentTermsMax distinct words, new ones are left out. */
export function countTerms(by: SharedTerms, memory: SharedMemory): Counted {
  const counts = new Map<string, { frequency: number; forms: number }>()
  const { terms, forms } = by.ofMemory(memory)
  terms.forEach((term, i) => {
    const known = counts.get(term)
    if (known !== undefined) {
      known.frequency++
      known.forms |= forms[i] as number
    } else if (counts.size < LIMITS.documentTermsMax) counts.set(term, { frequency: 1, forms: forms[i] as number })
  })
  const details = new Map<string, number>()
  let length = 0
  let telling = 0
  for (const [term, count] of counts) {
    details.set(term, (count.forms << FORMS_SHIFT) | Math.min(count.frequency, FREQUENCY_MAX))
    if (by.isStopWord(term)) continue
    length += count.frequency
    telling++
  }
  for (const tag of memory.tags) details.set(tagTerm(tag), 1)
  return { details, length: Math.min(length, LENGTH_MAX), telling, distinct: counts.size }
}
