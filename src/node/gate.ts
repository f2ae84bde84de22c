/**
 * Back-pressure for those who hand over many things at once: at most so many are inside, and who brings more waits in
 * line until there is room. A bound, not a lock: what is inside goes on at the same time.
 */

export class Gate {
  readonly #max: number
  readonly #line: { readonly count: number; readonly enter: () => void }[] = []
  #inside = 0

  constructor(max: number) {
    this.#max = max
  }

  get inside(): number {
    return this.#inside
  }

  /** Resolves once `count` more fit, first come first served. More than the bound at once go in when nothing else is. */
  enter(count: number): Promise<void> {
    if (this.#line.length === 0 && this.#fits(count)) {
      this.#inside += count
      return Promise.resolve()
    }
    return new Promise((resolve) => this.#line.push({ count, enter: resolve }))
  }

  /** `count` of those inside have left. */
  leave(count: number): void {
    this.#inside -= count
    for (let next = this.#line[0]; next !== undefined && this.#fits(next.count); next = this.#line[0]) {
      this.#line.shift()
      this.#inside += next.count
      next.enter()
    }
  }

  #fits(count: number): boolean {
    return this.#inside === 0 || this.#inside + count <= this.#max
  }
}
