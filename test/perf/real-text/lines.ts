/**
 * Memories from a text file, one a line, in place of the made-up ones: real words have inflections, names, misspellings and
 * a longer tail. A file shorter than the home is used again, its lines cut in two and joined crosswise, so that no two
 * memories are the same; what is a fair question is drawn as for the made-up corpus.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { LIMITS } from '../../../src/base/limits.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import type { AddRequest } from '../../../src/node/api.ts'

export interface Corpus {
  /** Said beside every figure that depends on it. */
  readonly label: string
  /** Memory number `n`, the same in every run. */
  memory(n: number): AddRequest
  /** Question number `n` about memories below `count`. */
  question(n: number, count: number): string
}

const CHARACTERS_MIN = 20
/** Lines that are counted to learn which words are common. */
const SAMPLE_LINES = 5_000
/** A word in more than this share of the lines is grammar. */
const GRAMMAR_SHARE = 0.05
/** Ranks of frequent words that somebody might ask for alone. */
const COMMON_WORDS = 200

/** Fails when the file has fewer than ten usable lines. */
export function textCorpus(file: string, seed: string): Corpus {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.trim().slice(0, LIMITS.contentBytesMax >> 2))
    .filter((line) => line.length >= CHARACTERS_MIN)
  if (lines.length < 10) throw new Error(`${file} has fewer than ten lines of ${CHARACTERS_MIN} characters`)
  const { grammar, common } = frequencies(lines)

  const contentOf = (n: number): string => {
    const round = Math.floor(n / lines.length)
    const line = lines[n % lines.length] as string
    if (round === 0) return line
    const other = lines[(n * 7_919 + round) % lines.length] as string
    return `${firstHalf(line)} ${other.slice(firstHalf(other).length).trim()}`
  }
  return {
    label: `${lines.length} lines of ${path.basename(file)}, joined crosswise beyond`,
    memory: (n) => ({ content: contentOf(n), kind: 'note', tags: [`topic-${n % 300}`] }),
    question(n, count) {
      const random = new SeededRandom(`${seed}/question/${n}`)
      const commonWord = (): string => common[random.below(common.length)] as string
      if (random.below(10) === 0) return commonWord()
      const telling = wordsOf(contentOf(random.below(count))).filter((word) => !grammar.has(word))
      const chosen: string[] = []
      for (let wanted = 2 + random.below(3); wanted > 0 && telling.length > 0; wanted--) {
        chosen.push(telling.splice(random.below(telling.length), 1)[0] as string)
      }
      return chosen.length === 0 ? commonWord() : chosen.join(' ')
    }
  }
}

const wordsOf = (line: string): string[] => line.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? []

/** At a space near the middle. */
function firstHalf(line: string): string {
  const space = line.indexOf(' ', line.length >> 1)
  return line.slice(0, space < 0 ? line.length >> 1 : space)
}

function frequencies(lines: readonly string[]): { grammar: ReadonlySet<string>; common: readonly string[] } {
  const counts = new Map<string, number>()
  const sample = lines.slice(0, SAMPLE_LINES)
  for (const line of sample) for (const word of new Set(wordsOf(line))) counts.set(word, (counts.get(word) ?? 0) + 1)
  const ranked = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
  const grammar = ranked.filter(([, n]) => n > GRAMMAR_SHARE * sample.length).map(([word]) => word)
  return {
    grammar: new Set(grammar),
    common: ranked.slice(grammar.length, grammar.length + COMMON_WORDS).map(([word]) => word)
  }
}
