/**
 * How much a text costs a model, estimated. Tokenizers differ by model and none is at hand here; a token of English
 * prose is close to four bytes of UTF-8 in all of them, other scripts come out dearer, which errs on the safe side.
 *
 * It is for budgets, not for bills.
 */
import { utf8 } from './bytes.ts'

const BYTES_PER_TOKEN = 4
/** What is shown beside the content of one memory: id, kind, author, tier, age and the marks around them. */
const PROVENANCE_TOKENS = 16

/** Estimated tokens of a text: its bytes of UTF-8 by four, rounded up. */
export function tokensOf(text: string): number {
  return Math.ceil(utf8(text).length / BYTES_PER_TOKEN)
}

/** Estimated tokens of one memory as it is shown: its content and one line of provenance. */
export function itemTokens(content: string | null): number {
  return tokensOf(content ?? '') + PROVENANCE_TOKENS
}
