/**
 * From text to terms, the same on every machine: Unicode properties and normal forms only, never a locale.
 *
 * Text is folded (lower case, compatibility forms, accents of European scripts dropped, ß to ss, final sigma), cut into
 * runs of letters, marks and digits (UAX #29 in spirit), and each run becomes: its stem, for a word; overlapping pairs
 * of characters, for scripts that write without spaces; for `camelCase` the whole and each part, since agents remember
 * identifiers. A term longer than LIMITS.termBytesMax is cut there, so that a pasted blob costs one term.
 *
 * Order and repetition are kept: counting is the index's business. Stop words are kept as well, since a question may
 * consist of nothing else.
 */
import { utf8 } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { FORM_BARE, formOf, stem } from './stem.ts'

const ASCII = /^[\0-\x7f]*$/
const RUN = /[\p{L}\p{N}\p{M}]+/gu
/** Scripts without spaces between words. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u
const UNSPACED_PARTS =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{M}ー]+|[^\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}ー]+/gu
/** Every hump has one; most words have none, and looking for one letter is cheaper than looking for a hump. */
const CAPITAL = /\p{Lu}/u
/** A capital behind a small letter or digit, or the last capital of an acronym before a small letter. */
const HUMP = /(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u

/** English words so common that they say nothing beside any other; in stemmed form. */
const STOP_WORDS = new Set(
  (
    'a an and any are as at be been but by can could did do does for from had has have he her here him his how i if in ' +
    'into is it its just me my no not of on or our out she should so some such than that the their them then there ' +
    'these they this those to too us was we were what when where which who why will with would you your about am'
  )
    .split(' ')
    .map(stem)
)

/** Whether a term, as `tokenize` gives it, is one of the small list of English stop words. */
export function isStopWord(term: string): boolean {
  return STOP_WORDS.has(term)
}

/** Case, width, accent and ligature do not matter afterwards. Answers NFC text. */
export function fold(text: string): string {
  const lower = text.toLowerCase()
  if (ASCII.test(lower)) return lower
  return lower
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, '')
    .replaceAll('ß', 'ss')
    .replaceAll('ς', 'σ')
    .normalize('NFC')
}

/** A text cut into terms. Both lists are equally long. */
export interface Tokens {
  readonly terms: readonly string[]
  /** In which form the text has each term, a bit of stem.ts. */
  readonly forms: readonly number[]
}

/** All terms of `text` in order, repetitions included. */
export function tokenize(text: string): string[] {
  return cutterOf(text).terms
}

/** The same, and in which form the text has each of them. */
export function tokensOf(text: string): Tokens {
  return cutterOf(text)
}

function cutterOf(text: string): Cutter {
  const cutter = new Cutter()
  for (const run of text.normalize('NFKC').match(RUN) ?? []) {
    if (ASCII.test(run) || !UNSPACED.test(run)) cutter.addWord(run)
    else for (const part of run.match(UNSPACED_PARTS) ?? []) cutter.addPart(part)
  }
  return cutter
}

class Cutter implements Tokens {
  readonly terms: string[] = []
  readonly forms: number[] = []

  addPart(part: string): void {
    if (!UNSPACED.test(part)) return this.addWord(part)
    const characters = [...fold(part)]
    if (characters.length === 1) this.#push(characters[0] as string, FORM_BARE)
    for (let i = 1; i < characters.length; i++) {
      this.#push(`${characters[i - 1] as string}${characters[i] as string}`, FORM_BARE)
    }
  }

  addWord(run: string): void {
    this.#addFolded(fold(run))
    if (!CAPITAL.test(run)) return
    const parts = run.split(HUMP)
    if (parts.length === 1) return
    for (const part of parts) this.#addFolded(fold(part))
  }

  #addFolded(word: string): void {
    this.#push(cut(stem(word)), formOf(word))
  }

  #push(term: string, form: number): void {
    this.terms.push(term)
    this.forms.push(form)
  }
}

/** UTF-8 spends at most three bytes on one UTF-16 unit, so short terms need no measuring. */
function cut(term: string): string {
  if (3 * term.length <= LIMITS.termBytesMax) return term
  let bytes = 0
  let end = 0
  for (const character of term) {
    bytes += utf8(character).length
    if (bytes > LIMITS.termBytesMax) break
    end += character.length
  }
  return term.slice(0, end)
}
