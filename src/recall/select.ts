/**
 * The best few of many, without sorting the many. Scores are first counted in buckets of equal width, which tells where
 * the best few begin; what lies above goes through a heap of the wanted size with the worst of the kept at its root
 * (Knuth 1998, §5.2.3). Equal scores may fill a bucket: the heap then takes one comparison for each.
 */

const BUCKETS = 1_024
/** Counting pays when so many times more are there than are wanted. */
const COUNTING_RATIO = 4

/** Orders numbers of equal score: negative when `a` comes first, never 0. */
export type TieOrder = (a: number, b: number) => number

/** A heap that keeps its memory between selections. */
export class BestFew {
  #numbers = new Uint32Array(64)
  #scores = new Float64Array(64)
  #size = 0
  readonly #counts = new Uint32Array(BUCKETS)
  /** Those in or above the lowest bucket that is needed; the scores of all. */
  #above = new Uint32Array(1_024)
  #all = new Float64Array(1_024)

  /** The `limit` numbers with the greatest scores among the first `count`, best first. Scores are by number. */
  of(numbers: Uint32Array, count: number, limit: number, scores: Float64Array, ties: TieOrder): Uint32Array {
    if (count >= COUNTING_RATIO * limit && limit > 0) {
      const above = this.#aboveThreshold(numbers, count, limit, scores)
      return this.#heaped(this.#above, above, limit, scores, ties)
    }
    return this.#heaped(numbers, count, limit, scores, ties)
  }

  /** Puts at least the best `limit` into `#above`, in their order. Answers how many those are. */
  #aboveThreshold(numbers: Uint32Array, count: number, limit: number, scores: Float64Array): number {
    if (count > this.#all.length) {
      this.#above = new Uint32Array(2 * count)
      this.#all = new Float64Array(2 * count)
    }
    const all = this.#all
    let least = Infinity
    let greatest = -Infinity
    for (let i = 0; i < count; i++) {
      const score = scores[numbers[i] as number] as number
      all[i] = score
      if (score < least) least = score
      if (score > greatest) greatest = score
    }
    const scale = greatest > least ? (BUCKETS - 1) / (greatest - least) : 0
    const counts = this.#counts.fill(0)
    for (let i = 0; i < count; i++) {
      const bucket = (((all[i] as number) - least) * scale) | 0
      counts[bucket] = (counts[bucket] as number) + 1
    }
    let lowest = BUCKETS - 1
    for (let sum = counts[lowest] as number; sum < limit; sum += counts[lowest] as number) lowest--
    const above = this.#above
    let size = 0
    for (let i = 0; i < count; i++) {
      if (((((all[i] as number) - least) * scale) | 0) >= lowest) above[size++] = numbers[i] as number
    }
    return size
  }

  #heaped(numbers: Uint32Array, count: number, limit: number, scores: Float64Array, ties: TieOrder): Uint32Array {
    const size = Math.min(count, limit)
    if (size > this.#numbers.length) {
      this.#numbers = new Uint32Array(2 * size)
      this.#scores = new Float64Array(2 * size)
    }
    this.#size = size
    for (let i = 0; i < size; i++) {
      const number = numbers[i] as number
      this.#numbers[i] = number
      this.#scores[i] = scores[number] as number
    }
    for (let place = (size >> 1) - 1; place >= 0; place--) this.#sink(place, ties)
    let least = this.#scores[0] as number
    for (let i = size; i < count; i++) {
      const number = numbers[i] as number
      const score = scores[number] as number
      if (score < least || (score === least && ties(number, this.#numbers[0] as number) > 0)) continue
      this.#numbers[0] = number
      this.#scores[0] = score
      this.#sink(0, ties)
      least = this.#scores[0] as number
    }
    return this.#sorted(size, ties)
  }

  /** Takes the worst off the heap, one by one, and puts each behind those that are left. */
  #sorted(size: number, ties: TieOrder): Uint32Array {
    const numbers = this.#numbers
    const scores = this.#scores
    for (let last = size - 1; last > 0; last--) {
      const worst = numbers[0] as number
      numbers[0] = numbers[last] as number
      scores[0] = scores[last] as number
      this.#size = last
      this.#sink(0, ties)
      numbers[last] = worst
    }
    return numbers.slice(0, size)
  }

  /** Restores the heap below `place`: nothing stands above what is worse. */
  #sink(from: number, ties: TieOrder): void {
    const numbers = this.#numbers
    const scores = this.#scores
    const size = this.#size
    const number = numbers[from] as number
    const score = scores[from] as number
    let place = from
    for (let child = 2 * place + 1; child < size; child = 2 * place + 1) {
      let least = scores[child] as number
      if (child + 1 < size) {
        const other = scores[child + 1] as number
        if (other < least || (other === least && ties(numbers[child + 1] as number, numbers[child] as number) > 0)) {
          child++
          least = other
        }
      }
      if (least > score || (least === score && ties(numbers[child] as number, number) < 0)) break
      numbers[place] = numbers[child] as number
      scores[place] = least
      place = child
    }
    numbers[place] = number
    scores[place] = score
  }
}
