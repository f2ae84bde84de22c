/**
 * What the shared read index finds a memory by: the same terms as the recall index in memory, so that both find the same
 * memories. Writer and readers are different processes, perhaps of different versions of this program; `version` is
 * derived from what the tokenizer makes of a text with everything in it, so that nobody has to remember to raise it.
 */
import { LIMITS } from '../base/limits.ts'
import { hashText } from './similarity.ts'
import { isStopWord, tokensOf, type Tokens } from './tokenize.ts'

/** Raised when the choice of what is searched changes, which the sample cannot show. */
const CHOICE = 1
const SAMPLE =
  'Deploys are frozen on Fridays; caching, caches and cached queries of parseHttpURLs2 ran in Straße and Ærøskøbing, ' +
  'naïve ﬁles, 東京都の記憶 ภาษาไทย ΟΔΥΣΣΕΥΣ 3.14159 snake_case kebab-case e-mail@example.org bodies running stopped ' +
  'embedding agreed the a not what universities analyses classes boxes buzzes tries dying is_a v2.0.1 ' +
  'x'.repeat(2 * LIMITS.termBytesMax)

/** The parts of a record that are searched. */
export interface Searched {
  readonly content: string
  readonly key: string | null
  readonly path: string | null
  readonly tags: readonly string[]
}

export const SHARED_TERMS = {
  version: versionOf(),
  ofMemory: ({ content, key, path, tags }: Searched): Tokens =>
    tokensOf([content, key ?? '', path ?? '', ...tags].join('\n')),
  isStopWord
}

/** A word of a query, with the bits of all forms it has there. */
export interface QueryWord {
  readonly term: string
  readonly forms: number
}

/** Distinct words of a query in order of first appearance; without stop words, unless there is nothing else. */
export function sharedQueryWords(query: string): QueryWord[] {
  const { terms, forms } = tokensOf(query.slice(0, LIMITS.queryBytesMax))
  const words = new Map<string, number>()
  terms.forEach((term, i) => words.set(term, (words.get(term) ?? 0) | (forms[i] as number)))
  const all = [...words].map(([term, bits]) => ({ term, forms: bits }))
  const telling = all.filter(({ term }) => !isStopWord(term))
  return (telling.length > 0 ? telling : all).slice(0, LIMITS.queryTermsMax)
}

function versionOf(): string {
  const { terms, forms } = tokensOf(SAMPLE)
  const stops = terms.map((term) => (isStopWord(term) ? '1' : '0'))
  const { high, low } = hashText([...terms, ...forms, ...stops].join(' '))
  return `${CHOICE}.${(high >>> 0).toString(16)}${(low >>> 0).toString(16).padStart(8, '0')}`
}
