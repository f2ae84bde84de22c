/**
 * When the sketch is worth using, and how many of its cells to ask for: the judgement of the responder, which subtracts the
 * initiator's cells from its own and reads off the difference (docs/WIRE.md §8.7).
 *
 * The sketch names differences that lie scattered for about 18 bytes each. It cannot name more than its cells hold, and
 * it is a waste where one side was simply away: then what it lacks is a stretch of time, which the tree tells in a few
 * hundred bytes however much it is. The first cells say how many differences there seem to be, and the counts of the
 * two sets how many of them lie on one side; on a wrong guess the other way is open and costs one round trip.
 *
 * Whatever is read off a sketch is a proposal. Nothing read although the roots differ, or more asked than it can answer,
 * ends in the tree.
 */
import { LIMITS } from '../base/limits.ts'
import type { Bytes } from '../base/bytes.ts'
import type { SketchView } from './sketch.ts'
import { SketchDecoder } from './sketch-decoder.ts'

/** Cells in a HELLO: enough for about 15 differences, and for an estimate of any number. 416 bytes. */
export const HELLO_CELLS = 32
/** Sets this small are listed in less than the first cells take. */
export const SKETCH_KEYS_MIN = LIMITS.rangeListKeysMax + 1
/** Fewer differences than this on one side are cheap to name one by one. */
const ONE_SIDED_MIN = 64
/** The estimate may exceed the difference of the counts by this factor and still pass for one-sided. */
const ONE_SIDED_FACTOR = 1.5
/** Cells a difference takes in the long run, and what is added for few of them: 95 of 100 sketches then decode. */
const CELLS_EACH = 1.36
const CELLS_SPREAD = 3.2
/**
 * Part of what the first estimate suggests that is asked for: it is rough, and too many cells are wasted for good. The
 * cells asked for make the next one better.
 */
const FIRST_PART = 0.75
/** A further request asks for this many times the cells that were not enough, at least. */
const GROWTH_MIN = 1.2
/** What is added to a later estimate for its own error, divided by the root of the cells it comes from. */
const ERROR_SPREAD = 1.5
/** The first request asks for no more than these: an estimate from so many cells is within a tenth. */
const FIRST_CELLS_MAX = 1_024
/** An estimate from fewer cells may be this much too high. */
const UNSURE_FACTOR = 2
/** Requests made of one initiator after its first cells; one more than these is in LIMITS.reconMoresMax. */
const MORES_MAX = LIMITS.reconMoresMax - 1
/** The sketch is tried again when more ranges than this are open, and the keys in them exceed the differences so far. */
const SPREAD_RANGES_MIN = 5
const SPREAD_FACTOR = 2.5

/** What was read off: short ids that only the one or only the other side holds. */
export interface Peeled {
  readonly ours: readonly Bytes[]
  readonly theirs: readonly Bytes[]
}

export type SketchVerdict =
  /** All of the difference. */
  | { readonly say: 'diff'; readonly peeled: Peeled }
  /** Cells the initiator should have sent in all. */
  | { readonly say: 'more'; readonly cells: number }
  /** What was read is a part, or nothing. */
  | { readonly say: 'tree'; readonly peeled: Peeled; readonly estimate: number }

/** Cells with which `differences` of them are read off in 95 cases of 100. */
export function cellsFor(differences: number): number {
  return Math.ceil(differences * (CELLS_EACH + CELLS_SPREAD / Math.sqrt(Math.max(1, differences)))) + 1
}

/** Cells to ask for on the strength of a first, rough estimate, when `had` of them were not enough. */
export function cellsAtFirst(estimate: number, had: number): number {
  const wanted = Math.min(Math.ceil(cellsFor(estimate) * FIRST_PART), FIRST_CELLS_MAX)
  return Math.max(wanted, Math.ceil(had * GROWTH_MIN))
}

/**
 * Whether an initiator that has seen the first node of the tree should go on with the sketch: the differences lie
 * scattered, and a sketch can hold them. `estimate`: as the responder told it, 0 for unknown.
 */
export function isSpread(openRanges: number, keysInOpen: number, estimate: number): boolean {
  if (estimate === 0 || cellsFor(estimate) > LIMITS.sketchCellsMax) return false
  return openRanges >= SPREAD_RANGES_MIN && keysInOpen > SPREAD_FACTOR * estimate
}

export class SketchTalk {
  readonly #decoder: SketchDecoder
  readonly #cellsMax: number
  readonly #countDifference: number
  #mores = 0
  /** The other side has looked at the tree, and chose the sketch. */
  #chosen = false

  /** `countDifference`: their number of deltas minus ours. */
  constructor(own: SketchView, countDifference: number) {
    this.#decoder = new SketchDecoder(own, countDifference)
    this.#cellsMax = Math.min(own.length, LIMITS.sketchCellsMax)
    this.#countDifference = countDifference
  }

  /** Cells received so far. */
  get received(): number {
    return this.#decoder.received
  }

  /** Cells beyond our own sketch are passed over. */
  receive(cells: Bytes): void {
    this.#decoder.receive(cells)
  }

  /** From here on a one-sided difference is no reason to leave the sketch. */
  choose(): void {
    this.#chosen = true
  }

  /** What to do after the cells received so far. */
  decide(): SketchVerdict {
    if (this.received === 0) return this.#more(HELLO_CELLS)
    const { complete, ours, theirs } = this.#decoder.decode()
    const peeled = { ours, theirs }
    if (complete && ours.length + theirs.length > 0) return { say: 'diff', peeled }
    // The sketches are equal and the sets are not: only the tree can tell these apart.
    if (complete) return { say: 'tree', peeled, estimate: 0 }
    const estimate = this.#decoder.estimate()
    const known = ours.length + theirs.length
    const first = this.#mores === 0
    const least = Math.max(Math.ceil(this.received * GROWTH_MIN), cellsFor(known))
    const hopeless = least > this.#cellsMax || CELLS_EACH * estimate > this.#cellsMax * (first ? UNSURE_FACTOR : 1)
    if (hopeless || this.#mores >= MORES_MAX || this.#isOneSided(estimate)) {
      return { say: 'tree', peeled, estimate }
    }
    if (first) return this.#more(Math.max(least, cellsAtFirst(estimate, this.received)))
    const wanted = Math.ceil(cellsFor(estimate) * (1 + ERROR_SPREAD / Math.sqrt(this.received)))
    return this.#more(Math.max(least, wanted))
  }

  #more(cells: number): SketchVerdict {
    if (this.received > 0) this.#mores++
    return { say: 'more', cells: Math.min(cells, this.#cellsMax) }
  }

  #isOneSided(estimate: number): boolean {
    const onOneSide = Math.abs(this.#countDifference)
    return !this.#chosen && onOneSide >= ONE_SIDED_MIN && estimate <= ONE_SIDED_FACTOR * onOneSide
  }
}
