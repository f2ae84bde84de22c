/**
 * Gossip in rounds, as textbooks and the specification describe it: time is a counter, targets are uniformly random, and
 * nothing takes any time on the way. Three protocols of fanout f:
 *
 *   infect-and-die  who has just learned tells f random others once, and falls silent. It ends at the root of
 *                   z = 1 − e^(−f z): 94.05 % for f = 3.
 *   push-forever    whoever knows tells f random others every round (the SI model; Pittel 1987: log_(f+1) N + ln N / f
 *                   rounds). It reaches everybody, and never stops sending.
 *   specification   infect-and-die, and every ten rounds (500 ms rounds, comparisons every 5 s) each node compares with
 *                   one random other, both ways.
 *
 * They are here to be compared with: the daemon does none of them.
 */
import { SeededRandom } from '../../src/base/prng.ts'
import { shuffled } from './mesh.ts'

export type RoundProtocol = 'infect-and-die' | 'push-forever' | 'specification'

export interface RoundOptions {
  readonly protocol: RoundProtocol
  readonly seed: string
  readonly nodes: number
  readonly fanout: number
  /** Share of messages lost. */
  readonly loss?: number
  /** Share of nodes that receive and do nothing else. */
  readonly droppers?: number
}

export interface RoundResult {
  /** Share of the honest that had it after each round; entry 0 is the beginning. */
  readonly coverage: readonly number[]
  /** Rounds until that share of the honest had it; null: never. */
  readonly to99: number | null
  readonly to100: number | null
  readonly rounds: number
  /** Messages sent for each delivery. */
  readonly copies: number
}

/** Comparisons of the specification: every 5 s, in rounds of 500 ms. */
const COMPARE_ROUNDS = 10
const ROUNDS_MAX = 1_000

/** Ends when every honest node has it, or when nothing more can happen. */
export function runRounds(options: RoundOptions): RoundResult {
  return new Rounds(options).run()
}

class Rounds {
  readonly #options: RoundOptions
  readonly #random: SeededRandom
  readonly #has: Uint8Array
  /** Had it when the round began: what is learned in a round is told in the next. */
  readonly #had: Uint8Array
  readonly #droppers: Uint8Array
  readonly #phase: Uint8Array
  readonly #honest: number
  #fresh: number[] = [0]
  #next: number[] = []
  #covered = 1
  #sent = 0

  constructor(options: RoundOptions) {
    const { nodes, seed } = options
    this.#options = options
    this.#random = new SeededRandom(`rounds/${options.protocol}/${seed}`)
    this.#has = new Uint8Array(nodes)
    this.#had = new Uint8Array(nodes)
    this.#has[0] = 1
    this.#droppers = new Uint8Array(nodes)
    const count = Math.min(nodes - 1, Math.round(nodes * (options.droppers ?? 0)))
    const order = shuffled(nodes - 1, this.#random.fork('droppers')).subarray(0, count)
    for (const node of order) this.#droppers[node + 1] = 1
    this.#honest = nodes - count
    const phases = this.#random.fork('phases')
    this.#phase = Uint8Array.from({ length: nodes }, () => phases.below(COMPARE_ROUNDS))
  }

  run(): RoundResult {
    const coverage = [1 / this.#honest]
    let round = 0
    while (this.#covered < this.#honest && round < ROUNDS_MAX) {
      round++
      this.#round(round)
      coverage.push(this.#covered / this.#honest)
      this.#fresh = this.#next
      this.#next = []
      if (this.#options.protocol === 'infect-and-die' && this.#fresh.length === 0) break
    }
    const to = (share: number): number | null => {
      const at = coverage.findIndex((covered) => covered >= share - 1e-12)
      return at < 0 ? null : at
    }
    const deliveries = Math.max(1, this.#covered - 1)
    return { coverage, to99: to(0.99), to100: to(1), rounds: round, copies: this.#sent / deliveries }
  }

  #round(round: number): void {
    const { protocol, nodes } = this.#options
    if (protocol === 'push-forever') {
      this.#had.set(this.#has)
      for (let u = 0; u < nodes; u++) if (this.#had[u] === 1) this.#push(u)
      return
    }
    for (const u of this.#fresh) this.#push(u)
    if (protocol === 'specification') this.#compare(round)
  }

  #push(u: number): void {
    if (this.#droppers[u] === 1) return
    const { fanout, nodes, loss = 0 } = this.#options
    for (let sent = 0; sent < fanout && nodes > 1; sent++) {
      this.#sent++
      const v = this.#other(u)
      if (loss > 0 && this.#random.unit() < loss) continue
      this.#give(v)
    }
  }

  #compare(round: number): void {
    const { nodes, loss = 0 } = this.#options
    this.#had.set(this.#has)
    for (let u = 0; u < nodes; u++) {
      if (this.#phase[u] !== round % COMPARE_ROUNDS || this.#droppers[u] === 1 || nodes === 1) continue
      const v = this.#other(u)
      if (this.#droppers[v] === 1 || this.#had[u] === this.#had[v]) continue
      // A request and its answer: either may be lost.
      if (loss > 0 && (this.#random.unit() < loss || this.#random.unit() < loss)) continue
      this.#sent++
      this.#give(this.#had[u] === 1 ? v : u)
    }
  }

  #give(v: number): void {
    if (this.#has[v] === 1) return
    this.#has[v] = 1
    this.#next.push(v)
    if (this.#droppers[v] === 0) this.#covered++
  }

  #other(u: number): number {
    const v = this.#random.below(this.#options.nodes - 1)
    return v >= u ? v + 1 : v
  }
}
