/**
 * What stands in the way of packets, put there by a scenario and taken away by the function it got: cuts, through which
 * nothing passes; clogs, which hold everything back and let it go in order; and slow peers. They may overlap, and what
 * was put twice has to be taken away twice.
 */
import type { PeerId } from '../../src/ports/network.ts'

type Path = (from: PeerId, to: PeerId) => boolean

interface Clog {
  readonly holds: Path
  /** In the order of their arrival. */
  readonly waiting: (() => void)[]
}

export class Obstacles {
  readonly #cuts = new Set<Path>()
  readonly #clogs = new Set<Clog>()
  readonly #slow = new Set<{ readonly peer: PeerId; readonly factor: number }>()

  /** From any of `from` to any of `to`, and back when `symmetric`. */
  cut(from: ReadonlySet<PeerId>, to: ReadonlySet<PeerId>, symmetric: boolean): () => void {
    const path: Path = (a, b) => (from.has(a) && to.has(b)) || (symmetric && from.has(b) && to.has(a))
    this.#cuts.add(path)
    return () => {
      this.#cuts.delete(path)
    }
  }

  isCut(from: PeerId, to: PeerId): boolean {
    for (const cut of this.#cuts) if (cut(from, to)) return true
    return false
  }

  /** Holds back what arrives on these paths until the returned function is called. */
  clog(from: ReadonlySet<PeerId>, to: ReadonlySet<PeerId>): () => void {
    const clog: Clog = { holds: (a, b) => from.has(a) && to.has(b), waiting: [] }
    this.#clogs.add(clog)
    return () => {
      if (!this.#clogs.delete(clog)) return
      for (const go of clog.waiting) go()
    }
  }

  /** Calls `go` as soon as no clog holds the path: at once when there is none. */
  pass(from: PeerId, to: PeerId, go: () => void): void {
    for (const clog of this.#clogs) {
      if (!clog.holds(from, to)) continue
      clog.waiting.push(() => {
        this.pass(from, to, go)
      })
      return
    }
    go()
  }

  /** Everything to and from the peer takes `factor` times as long. */
  slow(peer: PeerId, factor: number): () => void {
    const one = { peer, factor }
    this.#slow.add(one)
    return () => {
      this.#slow.delete(one)
    }
  }

  /** How much longer packets take on this path now. */
  factor(from: PeerId, to: PeerId): number {
    let product = 1
    for (const { peer, factor } of this.#slow) if (peer === from || peer === to) product *= factor
    return product
  }
}
