/**
 * Many growing lists of 32-bit numbers, for few bytes each. Half of all words occur once, so a list of one number lives
 * in a shared column; only from the second number on does it get an array of its own, which then grows by half.
 *
 * A row is a dense number given out by `addRow`. Values are appended and filtered, never inserted.
 */

const ROWS_FIRST = 1_024
const LIST_FIRST = 4

export class PostingLists {
  #counts = new Uint32Array(ROWS_FIRST)
  /** The only value of a row whose count is 1 and that never had two. */
  #single = new Uint32Array(ROWS_FIRST)
  readonly #lists: (Uint32Array | undefined)[] = []

  get rows(): number {
    return this.#lists.length
  }

  /** A new empty row, by its number. */
  addRow(): number {
    const row = this.#lists.push(undefined) - 1
    if (row === this.#counts.length) {
      this.#counts = grown(this.#counts, 2 * row)
      this.#single = grown(this.#single, 2 * row)
    }
    return row
  }

  count(row: number): number {
    return this.#counts[row] ?? 0
  }

  append(row: number, value: number): void {
    const count = this.#counts[row] as number
    this.#counts[row] = count + 1
    let list = this.#lists[row]
    if (list === undefined) {
      if (count === 0) {
        this.#single[row] = value
        return
      }
      list = new Uint32Array(LIST_FIRST)
      list[0] = this.#single[row] as number
      this.#lists[row] = list
    } else if (count === list.length) {
      list = grown(list, count + (count >> 1))
      this.#lists[row] = list
    }
    list[count] = value
  }

  /**
   * An array that holds the values of a row in its first `count(row)` places. It belongs to this object and is valid
   * until the next append.
   */
  values(row: number): Uint32Array {
    return this.#lists[row] ?? this.#single.subarray(row, row + 1)
  }

  /** Keeps only the values whose upper 24 bits name a place of `alive` that is not 0, in their order. */
  retain(row: number, alive: Uint8Array): void {
    const values = this.values(row)
    const count = this.#counts[row] as number
    let kept = 0
    for (let i = 0; i < count; i++) {
      const value = values[i] as number
      if (alive[value >>> 8] !== 0) values[kept++] = value
    }
    this.#counts[row] = kept
  }
}

/** A longer copy; the new places are 0. */
export function grown<T extends Uint8Array | Uint16Array | Uint32Array>(array: T, length: number): T {
  const longer = new (array.constructor as new (length: number) => T)(length)
  longer.set(array)
  return longer
}
