/**
 * Finds texts that are nearly the same among many without comparing all with all. A SimHash of 64 bits is cut into four
 * bands of 16: two that differ in at most three bits agree in at least one band, by the pigeonhole principle, so only
 * those are compared that share a band (Manku, Jain and Das Sarma 2007, §3).
 *
 * Texts are placed in an order that the caller chooses, and each learns of the first placed before it that is like it.
 * In a band shared by thousands only the first LIMITS.likenessComparedMax are compared with: a flood of one text with
 * small changes costs no more than that, and all of it is found to be like its first members.
 */
import { LIMITS } from '../base/limits.ts'
import { hammingDistance, NEAR_DUPLICATE_BITS, type SimHash } from './similarity.ts'

const BAND_BITS = 16
const BAND_MASK = 0xffff

export class NearIndex {
  readonly #hashes: SimHash[] = []
  /** Places by band number and band value. */
  readonly #buckets = new Map<number, number[]>()

  /** Texts placed so far. */
  get size(): number {
    return this.#hashes.length
  }

  /** The place of the first text before this one that is like it; undefined when there is none. */
  place(hash: SimHash): number | undefined {
    const place = this.#hashes.length
    let first: number | undefined
    for (const key of bandsOf(hash)) {
      const bucket = this.#buckets.get(key)
      if (bucket === undefined) {
        this.#buckets.set(key, [place])
        continue
      }
      for (const other of bucket) {
        if (first !== undefined && other >= first) break
        if (hammingDistance(hash, this.#hashes[other] as SimHash) <= NEAR_DUPLICATE_BITS) first = other
      }
      if (bucket.length < LIMITS.likenessComparedMax) bucket.push(place)
    }
    this.#hashes.push(hash)
    return first
  }
}

function bandsOf({ high, low }: SimHash): [number, number, number, number] {
  return [high >>> BAND_BITS, band(1, high), band(2, low >>> BAND_BITS), band(3, low)]
}

function band(number: number, bits: number): number {
  return (number << BAND_BITS) | (bits & BAND_MASK)
}
