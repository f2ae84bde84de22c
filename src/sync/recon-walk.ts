/**
 * The initiator's walk down the two trees. Both sets are the same function of their keys, so ranges whose digests agree
 * are equal and are never looked into; where they differ, the walk asks on, oldest first and depth first, until each
 * difference is a key or a whole range that one side lacks. What we lack becomes wants, what the peer lacks becomes
 * outgoing ranges; both are ranges as long as possible, so that a long absence costs a few bytes, not a list of ids.
 *
 * Nothing the peer says is believed further than it can be checked: a list must hash to the digest that was claimed for
 * it, and a branch must differ from ours somewhere.
 */
import { compareText, equalBytes, fromHex, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { Hasher } from '../ports/crypto.ts'
import { RECON_DIGEST_BYTES, type Answer } from './recon-codec.ts'
import type { OutgoingRange } from './recon-pages.ts'
import { isSettling, type SessionLedger, type SettlingWindow, type Violation } from './recon-session.ts'
import { rangeLeafDigest, type RangeTreeView } from './range-tree.ts'

/** A range held by both sides, differently. */
interface Open {
  readonly prefix: Hex
  /** The first 16 bytes of the peer's digest, as it claims. */
  readonly claimed: Uint8Array
}

export interface Wants {
  /** Ranges of which we hold nothing. */
  readonly ranges: Hex[]
  readonly keys: Hex[]
}

export class RangeWalk {
  readonly #view: RangeTreeView
  readonly #hasher: Hasher
  readonly #window: SettlingWindow
  readonly #ledger: SessionLedger
  /** Descending, so that the oldest range is taken from the end. */
  readonly #frontier: Open[] = []
  #asked: Open[] = []
  readonly #wantRanges: Hex[] = []
  readonly #wantKeys: Hex[] = []
  readonly #lacking: OutgoingRange[] = []

  /** Keys passed over because they are so young are booked in `ledger`. */
  constructor(view: RangeTreeView, hasher: Hasher, window: SettlingWindow, ledger: SessionLedger) {
    this.#view = view
    this.#hasher = hasher
    this.#window = window
    this.#ledger = ledger
  }

  /** Ranges still to be asked about. */
  get open(): number {
    return this.#frontier.length
  }

  get wants(): number {
    return this.#wantRanges.length + this.#wantKeys.length
  }

  /** Whether a frame of wants is full. */
  get wantsFull(): boolean {
    return this.#wantRanges.length >= LIMITS.reconPrefixesMax || this.#wantKeys.length >= LIMITS.reconIdsMax
  }

  /** The peer's count and 48-byte root, from its welcome. */
  begin(count: number, root: Uint8Array): Violation | undefined {
    const empty = equalBytes(root, rangeLeafDigest(this.#hasher, new Uint8Array(0)))
    if (empty !== (count === 0) || equalBytes(root, this.#view.root())) return 'contradiction'
    if (empty) this.#lacks('', [])
    else if (this.#view.count === 0) this.#wantRanges.push('')
    else this.#frontier.push({ prefix: '', claimed: root.slice(0, RECON_DIGEST_BYTES) })
    return undefined
  }

  /** The next prefixes to ask for, at most `max`. */
  ask(max: number): Hex[] {
    const count = Math.min(max, LIMITS.reconPrefixesMax, this.#frontier.length)
    this.#asked = this.#frontier.splice(this.#frontier.length - count).reverse()
    return this.#asked.map((range) => range.prefix)
  }

  /** Answers to the first of the prefixes asked for; the others are asked again. */
  answer(answers: readonly Answer[]): Violation | undefined {
    if (answers.length > this.#asked.length) return 'unasked'
    const deeper: Open[] = []
    for (const [index, answer] of answers.entries()) {
      const range = this.#asked[index] as Open
      const violation = answer.kind === 'list' ? this.#list(range, answer.keys) : this.#node(range, answer, deeper)
      if (violation !== undefined) return violation
    }
    this.#frontier.push(...this.#asked.slice(answers.length).reverse(), ...deeper.reverse())
    this.#asked = []
    return undefined
  }

  /** Takes the oldest wants, at most `keysMax` keys, in ascending order. */
  takeWants(keysMax: number): Wants {
    const byText = (a: Hex, b: Hex): number => compareText(a, b)
    this.#wantRanges.sort(byText)
    this.#wantKeys.sort(byText)
    return {
      ranges: this.#wantRanges.splice(0, LIMITS.reconPrefixesMax),
      keys: this.#wantKeys.splice(0, Math.min(keysMax, LIMITS.reconIdsMax))
    }
  }

  /** Ranges of ours that the peer lacks, ascending. Ask once, when the walk is over. */
  lacking(): OutgoingRange[] {
    return this.#lacking.sort((a, b) => compareText(a.prefix, b.prefix))
  }

  #list(range: Open, keys: readonly Hex[]): Violation | undefined {
    if (keys.some((key) => !key.startsWith(range.prefix))) return 'unasked'
    const digest = rangeLeafDigest(this.#hasher, fromHex(keys.join('')))
    if (!equalBytes(digest.subarray(0, RECON_DIGEST_BYTES), range.claimed)) return 'contradiction'
    let common = 0
    for (const key of keys) {
      const bytes = fromHex(key)
      if (this.#view.has(bytes)) common++
      else if (isSettling(this.#window, bytes)) this.#ledger.settling++
      else this.#wantKeys.push(key)
    }
    if (this.#view.countAt(range.prefix) > common) this.#lacks(range.prefix, keys)
    return undefined
  }

  #node(range: Open, node: Answer & { kind: 'node' }, deeper: Open[]): Violation | undefined {
    if (!node.prefix.startsWith(range.prefix)) return 'unasked'
    let differs = false
    if (this.#view.countAt(range.prefix) > this.#view.countAt(node.prefix)) {
      this.#lacksBeside(range.prefix, node.prefix)
      differs = true
    }
    const theirs = new Map(node.children.map((child) => [child.digit, child.digest]))
    for (let digit = 0; digit < 16; digit++) {
      const prefix = node.prefix + digit.toString(16)
      const claimed = theirs.get(digit)
      const own = this.#view.at(prefix)
      if (claimed === undefined) {
        if (own === undefined) continue
        this.#lacks(prefix, [])
      } else if (own === undefined) this.#wantRanges.push(prefix)
      else if (equalBytes(own.digest.subarray(0, RECON_DIGEST_BYTES), claimed)) continue
      else deeper.push({ prefix, claimed })
      differs = true
    }
    return differs ? undefined : 'contradiction'
  }

  /**
   * The peer has nothing below `outer` but what begins with `inner`: every branch of ours that leaves the way between the
   * two is lacking. Branch by branch, because what lies below `inner` is walked on its own, and ranges must not overlap.
   */
  #lacksBeside(outer: Hex, inner: Hex): void {
    for (let length = outer.length; length < inner.length; length++) {
      for (let digit = 0; digit < 16; digit++) {
        const beside = inner.slice(0, length) + digit.toString(16)
        if (!inner.startsWith(beside) && this.#view.countAt(beside) > 0) this.#lacks(beside, [])
      }
    }
  }

  #lacks(prefix: Hex, except: readonly Hex[]): void {
    this.#lacking.push({ prefix, except, explicit: false })
  }
}
