/**
 * A Map that forgets what has not been asked for lately, for look-ups so frequent that keeping an order of use would cost
 * more than they do (for the exact order see bounded-map.ts). There are two generations: when the young one is half of
 * what may be kept it becomes the old one, and the old one is forgotten; what is asked for in the old one is young again.
 * So an entry stays at least until `max / 2` others were used after it.
 */
export class GenerationMap<K, V> {
  #young = new Map<K, V>()
  #old = new Map<K, V>()
  readonly #half: number

  constructor(max: number) {
    this.#half = Math.max(1, Math.floor(max / 2))
  }

  /** At most `max`. */
  get size(): number {
    let size = this.#young.size
    for (const key of this.#old.keys()) if (!this.#young.has(key)) size++
    return size
  }

  get(key: K): V | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: K, value: V): void {
    if (this.#young.size >= this.#half && !this.#young.has(key)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }
}
