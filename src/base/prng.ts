/**
 * A seeded generator (xoshiro128**, Blackman and Vigna 2018) for simulations and tests. It has the shape of
 * ports/random without importing it. Not for keys or nonces.
 */
export class SeededRandom {
  readonly #state = new Uint32Array(4)

  /** `seed` is any text; equal seeds give equal sequences on every machine. */
  constructor(seed: string) {
    let hash = 0x9e3779b9
    for (let word = 0; word < 4; word++) {
      for (let i = 0; i < seed.length; i++) hash = mix(hash ^ (seed.charCodeAt(i) + word * 0x85ebca6b))
      hash = mix(hash + 0x6d2b79f5)
      this.#state[word] = hash === 0 ? 1 : hash
    }
    this.#seed = seed
  }

  readonly #seed: string

  #next(): number {
    const s = this.#state
    const s0 = s[0] as number
    const s1 = s[1] as number
    const s2 = s[2] as number
    const s3 = s[3] as number
    const product = Math.imul(s1, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0
    const t = s1 << 9
    const n2 = s2 ^ s0
    const n3 = s3 ^ s1
    s[1] = s1 ^ n2
    s[0] = s0 ^ n3
    s[2] = n2 ^ t
    s[3] = (n3 << 11) | (n3 >>> 21)
    return result
  }

  /** A float in [0, 1). */
  unit(): number {
    return this.#next() / 0x100000000
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.unit() * bound)
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i++) bytes[i] = this.#next() >>> 24
    return bytes
  }

  /** An independent stream: adding one component never shifts the dice of another. */
  fork(label: string): SeededRandom {
    return new SeededRandom(`${this.#seed}/${label}`)
  }
}

function mix(value: number): number {
  let x = value >>> 0
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
  return (x ^ (x >>> 15)) >>> 0
}
