/**
 * A light English stem. It only joins the forms of one word that people mix up when they ask: plural and singular
 * ("s-stemmer", Harman 1991), -ed and -ing, and a final e, which -ed and -ing swallow. Stems are index keys, not
 * words: `cache`, `caches`, `cached` and `caching` all become `cach`.
 *
 * Heavier stemmers join more and confuse more (`universe`, `university`); what this one misses is found by near terms
 * (near-terms.ts). Words with anything but a to z are left alone.
 */

const VOWEL = /[aeiouy]/
const PLAIN = /^[a-z]+$/
/** Doubled by English spelling before -ed and -ing (running, stopped); ll, ss and zz belong to the word. */
const DOUBLED = /([bdfgmnprt])\1$/

/** `word` is already folded to lower case. Idempotence is not promised: stem once. */
export function stem(word: string): string {
  if (word.length < 4 || !PLAIN.test(word)) return word
  // Twice, because a stem may end like a suffix: `embedding` has to meet `embed`.
  return dropFinalE(dropSuffix(dropSuffix(singular(word))))
}

function singular(word: string): string {
  if (!word.endsWith('s') || word.endsWith('ss') || word.endsWith('us') || word.endsWith('is')) return word
  if (word.endsWith('ies')) return word.length > 4 ? `${word.slice(0, -3)}y` : word.slice(0, -1)
  if (/(?:ch|sh|ss|x|zz)es$/.test(word)) return word.slice(0, -2)
  return word.slice(0, -1)
}

function dropSuffix(word: string): string {
  if (word.endsWith('ied') && word.length > 4) return `${word.slice(0, -3)}y`
  const cut = word.endsWith('ing') ? 3 : word.endsWith('ed') && !word.endsWith('eed') ? 2 : 0
  if (cut === 0) return word
  const rest = word.slice(0, -cut)
  if (rest.length < 3 || !VOWEL.test(rest)) return word
  return DOUBLED.test(rest) ? rest.slice(0, -1) : rest
}

function dropFinalE(word: string): string {
  return word.length > 3 && word.endsWith('e') && !word.endsWith('ee') ? word.slice(0, -1) : word
}

/** Which form of a word a text has, as one bit: bare, plural, past, -ing. The bits of several add up. */
export const FORM_BARE = 1
const FORM_PLURAL = 2
const FORM_PAST = 4
const FORM_ING = 8

/**
 * By the ending alone, whether or not the stem drops it: two texts that write a word alike then agree, and nothing more
 * is asked. `word` is folded to lower case.
 */
export function formOf(word: string): number {
  if (word.length < 4) return FORM_BARE
  if (word.endsWith('ing')) return FORM_ING
  if (word.endsWith('ed')) return FORM_PAST
  return word.endsWith('s') && !word.endsWith('ss') ? FORM_PLURAL : FORM_BARE
}
