/**
 * What one side has to send: ranges of its frozen set, single keys, and short ids read off a sketch, in the order in which
 * they go out. Ranges are expanded a few keys at a time, so that one of a million keys costs no more memory than a handful.
 * Among ranges and keys the oldest goes first; short ids, whose dates nobody knows before they are read, go before all.
 *
 * It neither reads records nor sends: sync/recon-transfer.ts does, and tells it nothing back.
 */
import { compareBytes, compareText, toHex, type Bytes, type Hex } from '../base/bytes.ts'
import { MinHeap } from '../base/min-heap.ts'
import { paddedKey, rangeKeyMs } from './range-nodes.ts'
import type { RangeTreeView } from './range-tree.ts'
import { isSettling, type SettlingWindow } from './recon-session.ts'
import type { Finding } from './recon-walk.ts'
import { SHORT_ID_BYTES } from './sketch.ts'

/** Keys to read records by, or short ids of which the records tell their keys. */
export type Batch =
  | { readonly kind: 'keys'; readonly keys: readonly Bytes[] }
  | { readonly kind: 'shorts'; readonly shorts: readonly Bytes[] }

/** Where a finding has been gone through to: everything in it from `at` on is still to be sent. */
interface Entry {
  readonly finding: Finding
  at: Bytes
  /** Of a range: the last key that was taken. */
  after: Bytes | undefined
  /** Of keys: how many were taken. */
  taken: number
}

/** Bytes of the time in a range key; the id, and in front of it the short id, follow. */
const TIME_BYTES = 6

export class Outgoing {
  readonly #view: RangeTreeView
  readonly #window: SettlingWindow
  readonly #entries = new MinHeap<Entry>((a, b) => compareBytes(a.at, b.at))
  #shorts: Bytes[] = []
  #shortsTaken = 0
  /** Hexadecimal short ids sent because a sketch named them: the tree may find them once more. */
  readonly #named = new Set<Hex>()
  /** Of these: those the tree did find, and that were left out for it. */
  readonly #leftOut = new Set<Hex>()
  #skipped = 0

  /** `window`: what the receiver leaves to gossip, by its clock. */
  constructor(view: RangeTreeView, window: SettlingWindow) {
    this.#view = view
    this.#window = window
  }

  /** Nothing is left to be taken. */
  get empty(): boolean {
    return this.#entries.size === 0 && this.#shortsTaken === this.#shorts.length
  }

  offer(finding: Finding): void {
    const first = finding.kind === 'keys' ? finding.keys[0] : paddedKey(finding.prefix, '0')
    if (first !== undefined) this.#entries.push({ finding, at: first, after: undefined, taken: 0 })
  }

  /** Those offered before are left out; how many were not. */
  offerShorts(shorts: readonly Bytes[]): number {
    const before = this.#named.size
    for (const short of shorts) {
      const name = toHex(short)
      if (this.#named.has(name)) continue
      this.#named.add(name)
      this.#shorts.push(short)
    }
    return this.#named.size - before
  }

  /** Keys passed over since the last call because they are too young, or dated too far ahead; at least so many. */
  takeSkipped(): number {
    const skipped = this.#skipped
    this.#skipped = 0
    return skipped
  }

  /** Nothing was found under a short id. Whether something was left out because it was expected to be. */
  absent(short: Bytes): boolean {
    const name = toHex(short)
    this.#named.delete(name)
    return this.#leftOut.has(name)
  }

  /** Whether our snapshot holds the key of a record read by its short id. */
  holds(key: Bytes): boolean {
    return this.#view.has(key)
  }

  /** Whether it is to be sent, being neither too young nor dated too far ahead. */
  passes(key: Bytes): boolean {
    if (!isSettling(this.#window, key)) return true
    this.#skipped++
    return false
  }

  /** The next to be read, at most `max`; undefined when there is nothing for now. */
  next(max: number): Batch | undefined {
    if (this.#shortsTaken < this.#shorts.length) {
      const shorts = this.#shorts.slice(this.#shortsTaken, this.#shortsTaken + max)
      this.#shortsTaken += shorts.length
      if (this.#shortsTaken === this.#shorts.length) {
        this.#shorts = []
        this.#shortsTaken = 0
      }
      return { kind: 'shorts', shorts }
    }
    const keys: Bytes[] = []
    while (keys.length < max) {
      const entry = this.#entries.pop()
      if (entry === undefined) break
      // Ranges may lie in the gaps of others: go on with this one only as long as it has the oldest key.
      const until = this.#entries.peek()?.at
      const more =
        entry.finding.kind === 'keys'
          ? this.#takeKeys(entry, entry.finding.keys, until, max, keys)
          : this.#expand(entry, entry.finding, until, max, keys)
      if (more) this.#entries.push(entry)
    }
    return keys.length === 0 ? undefined : { kind: 'keys', keys }
  }

  /** True when the entry is not done. */
  #takeKeys(entry: Entry, all: readonly Bytes[], until: Bytes | undefined, max: number, keys: Bytes[]): boolean {
    for (;;) {
      const key = all[entry.taken]
      if (key === undefined) return false
      entry.at = key
      if (keys.length >= max || (until !== undefined && compareBytes(key, until) > 0)) return true
      entry.taken++
      if (!this.#sift(key, keys)) return false
    }
  }

  #expand(
    entry: Entry,
    range: Finding & { kind: 'range' },
    until: Bytes | undefined,
    max: number,
    keys: Bytes[]
  ): boolean {
    // One more than can be taken, to know whether the range goes on.
    const wanted = max - keys.length + 1
    const found = this.#view.keysUnder(range.prefix, entry.after, wanted)
    for (const key of found) {
      entry.at = key
      if (keys.length === max) return true
      if (until !== undefined && compareBytes(key, until) > 0) return true
      const gap = range.except.length === 0 ? undefined : gapAt(range.except, toHex(key))
      if (gap !== undefined) {
        // The rest of the gap is jumped over instead of being read to its end.
        entry.after = paddedKey(gap, 'f')
        entry.at = entry.after
        return true
      }
      entry.after = key
      if (!this.#sift(key, keys)) return false
    }
    // Of those read some may have been left out.
    return found.length === wanted
  }

  /** Keeps a key that goes out. False when it, and therefore all that follows, is dated too far ahead. */
  #sift(key: Bytes, keys: Bytes[]): boolean {
    if (this.#named.size > 0) {
      const name = toHex(shortIdOf(key))
      if (this.#named.has(name)) {
        this.#leftOut.add(name)
        return true
      }
    }
    if (!isSettling(this.#window, key)) {
      keys.push(key)
      return true
    }
    this.#skipped++
    return rangeKeyMs(key) <= this.#window.untilMs
  }
}

/** The prefix among ascending, disjoint ones that `key` begins with. */
function gapAt(prefixes: readonly Hex[], key: Hex): Hex | undefined {
  let low = 0
  let high = prefixes.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareText(prefixes[middle] as Hex, key) <= 0) low = middle + 1
    else high = middle
  }
  const before = prefixes[low - 1]
  return before !== undefined && key.startsWith(before) ? before : undefined
}

/** The part of a range key that a sketch knows it by; a view. */
export function shortIdOf(key: Bytes): Bytes {
  return key.subarray(TIME_BYTES, TIME_BYTES + SHORT_ID_BYTES)
}
