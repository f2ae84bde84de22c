/**
 * Outgoing deltas: from ranges of a frozen view to pages of records that fit a frame, in (time, id) order. Keys are
 * expanded and records fetched a few at a time, so that a range of a million keys costs no more memory than a page.
 * Used by the responder for what is wanted and by the initiator for what the peer lacks.
 */
import { toHex, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { isSettling, type SettlingWindow } from './recon-session.ts'
import { paddedKey, rangeKeyMs } from './range-nodes.ts'
import type { RangeTreeView } from './range-tree.ts'

export interface OutgoingRange {
  readonly prefix: Hex
  /** Prefixes below it that are left out. */
  readonly except: readonly Hex[]
  /** Named by the peer itself: sent however young it is. */
  readonly explicit: boolean
}

export interface Page {
  readonly records: readonly Uint8Array[]
  readonly keys: readonly Uint8Array[]
  /** Keys left out since the last page because of the settling window; those dated too far ahead count as one. */
  readonly skipped: number
  readonly more: boolean
}

export type PageStep =
  { readonly step: 'load'; readonly keys: readonly Uint8Array[] } | { readonly step: 'page'; readonly page: Page }

/** Head of a frame, and of one record in it, in CBOR. */
const FRAME_HEAD_BYTES = 32
const RECORD_HEAD_BYTES = 5

interface Loaded {
  readonly key: Uint8Array
  readonly record: Uint8Array
}

export class OutgoingPages {
  readonly #view: RangeTreeView
  readonly #ranges: readonly OutgoingRange[]
  readonly #window: SettlingWindow
  readonly #keyOf: (record: Uint8Array) => Uint8Array | undefined
  #range = 0
  #after: Uint8Array | undefined = undefined
  #buffer: Loaded[] = []
  #skipped = 0

  /** `ranges` ascend and do not overlap. */
  constructor(
    view: RangeTreeView,
    ranges: readonly OutgoingRange[],
    window: SettlingWindow,
    keyOf: (record: Uint8Array) => Uint8Array | undefined
  ) {
    this.#view = view
    this.#ranges = ranges
    this.#window = window
    this.#keyOf = keyOf
  }

  /** What to do next. A page of no records is the last one. At most `deltasMax` records go into the page. */
  next(deltasMax: number): PageStep {
    const fitting = this.#fitting(deltasMax)
    if (fitting === this.#buffer.length && fitting < deltasMax) {
      const keys = this.#nextKeys()
      if (keys.length > 0) return { step: 'load', keys }
    }
    const taken = this.#buffer.slice(0, fitting)
    this.#buffer = this.#buffer.slice(fitting)
    const page: Page = {
      records: taken.map((one) => one.record),
      keys: taken.map((one) => one.key),
      skipped: this.#skipped,
      more: this.#buffer.length > 0 || this.#range < this.#ranges.length
    }
    this.#skipped = 0
    return { step: 'page', page }
  }

  /** The records of the last `load`, in key order or not. One whose bytes are damaged is left out. */
  loaded(records: readonly Uint8Array[]): void {
    for (const record of records) {
      const key = this.#keyOf(record)
      if (key !== undefined) this.#buffer.push({ key, record })
    }
  }

  /** How many buffered records fit one frame. */
  #fitting(deltasMax: number): number {
    let bytes = FRAME_HEAD_BYTES
    let count = 0
    for (const { record } of this.#buffer) {
      bytes += RECORD_HEAD_BYTES + record.length
      if (bytes > LIMITS.reconFrameBytesMax || count === deltasMax) break
      count++
    }
    return count
  }

  #nextKeys(): Uint8Array[] {
    const keys: Uint8Array[] = []
    while (keys.length < LIMITS.reconLoadKeysMax) {
      const range = this.#ranges[this.#range]
      if (range === undefined) break
      const wanted = LIMITS.reconLoadKeysMax - keys.length
      const found = this.#view.keysUnder(range.prefix, this.#after, wanted)
      const jumped = this.#sift(range, found, keys)
      if (!jumped && found.length < wanted) {
        this.#range++
        this.#after = undefined
      }
    }
    return keys
  }

  /** Keeps what goes out. True when the rest of something large was jumped over instead of being read to its end. */
  #sift(range: OutgoingRange, found: readonly Uint8Array[], keys: Uint8Array[]): boolean {
    for (const key of found) {
      const hex = range.except.length === 0 ? '' : toHex(key)
      const exception = range.except.find((prefix) => hex.startsWith(prefix))
      if (exception !== undefined) {
        this.#after = paddedKey(exception, 'f')
        return true
      }
      this.#after = key
      if (range.explicit || !isSettling(this.#window, key)) {
        keys.push(key)
        continue
      }
      this.#skipped++
      if (rangeKeyMs(key) > this.#window.untilMs) {
        // Keys ascend: everything from here on is dated even later.
        this.#range = this.#ranges.length
        return true
      }
    }
    return false
  }
}
