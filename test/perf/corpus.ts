/**
 * Memories that look like memories: sentences over a vocabulary whose word frequencies follow Zipf's law, with kinds,
 * tags, numbers and identifiers strewn in. Text of equal words or of uniform noise makes every index look fast; natural
 * frequencies have a few words that nearly every text contains and a long tail that few do.
 *
 * Everything follows from the seed: memory `n` is the same in every run and on every machine. CHRYSALIS_BENCH_TEXT names a
 * file of real text to take in its place, one memory a line (real-text/lines.ts).
 */
import { SeededRandom } from '../../src/base/prng.ts'
import type { AddRequest } from '../../src/node/api.ts'
import { textCorpus, type Corpus } from './real-text/lines.ts'

export const SEED = 'chrysalis/perf/1'
const VOCABULARY = 30_000
const EXPONENT = 1.07
const WORDS_MIN = 10
const WORDS_MAX = 52
/** Ranks below this are the grammar of the language: hardly anyone asks for them. */
const TELLING_RANK = 60

const TEXT_FILE = process.env['CHRYSALIS_BENCH_TEXT'] ?? ''

const MADE_UP = `Zipf s=${EXPONENT}, ${VOCABULARY} words, ${WORDS_MIN}-${WORDS_MAX} words a memory, seed ${SEED}`

const ONSETS = [
  'b',
  'br',
  'c',
  'ch',
  'd',
  'dr',
  'f',
  'g',
  'gr',
  'h',
  'k',
  'l',
  'm',
  'n',
  'p',
  'pl',
  'r',
  's',
  'st',
  't',
  'tr',
  'v',
  'w'
]
const VOWELS = ['a', 'e', 'i', 'o', 'u', 'ea', 'ou', 'ai']
const ENDS = ['', '', 'n', 'r', 's', 't', 'l', 'nd', 'ck', 'm']
const KINDS = ['note', 'fact', 'decision', 'procedure', 'observation'] as const

const words: string[] = []
/** Cumulative share of the words up to each rank. */
const cumulative = new Float64Array(VOCABULARY)

function fillVocabulary(): void {
  const random = new SeededRandom(`${SEED}/vocabulary`)
  const pick = (from: readonly string[]): string => from[random.below(from.length)] as string
  const known = new Set<string>()
  while (words.length < VOCABULARY) {
    // Frequent words are short, as in any language.
    const syllables = 1 + Math.min(3, Math.floor(Math.log10(words.length + 1) / 1.4)) + random.below(2)
    let word = ''
    for (let i = 0; i < syllables; i++) word += pick(ONSETS) + pick(VOWELS)
    word += pick(ENDS)
    if (known.has(word)) continue
    known.add(word)
    words.push(word)
  }
  let sum = 0
  for (let rank = 0; rank < VOCABULARY; rank++) cumulative[rank] = sum += (rank + 1) ** -EXPONENT
  for (let rank = 0; rank < VOCABULARY; rank++) cumulative[rank] = (cumulative[rank] as number) / sum
}
fillVocabulary()

function rankAt(share: number): number {
  let low = 0
  let high = VOCABULARY - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((cumulative[middle] as number) < share) low = middle + 1
    else high = middle
  }
  return low
}

function madeUpMemory(n: number): AddRequest {
  const random = new SeededRandom(`${SEED}/memory/${n}`)
  const length = WORDS_MIN + random.below(WORDS_MAX - WORDS_MIN + 1)
  const text: string[] = []
  for (let i = 0; i < length; i++) text.push(words[rankAt(random.unit())] as string)
  if (random.below(3) === 0) text.push(`v${random.below(9)}.${random.below(40)}`)
  if (random.below(4) === 0) text.push(`srv-${random.below(400)}`)
  return {
    content: `${text.join(' ')}.`,
    kind: KINDS[random.below(KINDS.length)] as (typeof KINDS)[number],
    tags: [`team-${random.below(40)}`, `topic-${random.below(300)}`],
    importance: random.below(100) / 100
  }
}

/**
 * About memories below `count`: mostly two to four of the less common words of one memory, as a
 * person or model would ask for it; one in ten is a single common word, the dear case.
 */
function madeUpQuestion(n: number, count: number): string {
  const random = new SeededRandom(`${SEED}/question/${n}`)
  if (random.below(10) === 0) return words[TELLING_RANK + random.below(200)] as string
  const common = new Set(words.slice(0, TELLING_RANK))
  const telling = madeUpMemory(random.below(count))
    .content.slice(0, -1)
    .split(' ')
    .filter((word) => !common.has(word))
  if (telling.length === 0) return words[TELLING_RANK + random.below(200)] as string
  const wanted = 2 + random.below(3)
  const chosen: string[] = []
  while (chosen.length < wanted && telling.length > 0)
    chosen.push(telling.splice(random.below(telling.length), 1)[0] as string)
  return chosen.join(' ')
}

const corpus: Corpus =
  TEXT_FILE === '' ? { label: MADE_UP, memory: madeUpMemory, question: madeUpQuestion } : textCorpus(TEXT_FILE, SEED)

/** Said beside every figure that depends on it. */
export const CORPUS = corpus.label

/** Memory number `n`. */
export const memory = (n: number): AddRequest => corpus.memory(n)

/** Question number `n` about memories below `count`. */
export const question = (n: number, count: number): string => corpus.question(n, count)
