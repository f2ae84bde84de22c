/**
 * Turns: acts that touch the same things wait for each other, acts that share nothing run side by side. A tool that
 * reads before it writes takes turns, so that two clients of one daemon cannot both find a name free and both take it.
 *
 * All names of an act are claimed at once, so no two acts can wait for each other. Other daemons take no part: between
 * them, records converge by their own rules.
 */
export class Turns {
  readonly #tails = new Map<string, Promise<unknown>>()

  /** Acts once everyone who named one of `names` before is done, however that ended. Settles as `act` does. */
  async take<T>(names: readonly string[], act: () => Promise<T>): Promise<T> {
    const claimed = [...new Set(names)]
    const before = claimed.flatMap((name) => this.#tails.get(name) ?? [])
    const turn = Promise.allSettled(before).then(act)
    for (const name of claimed) this.#tails.set(name, turn)
    try {
      return await turn
    } finally {
      for (const name of claimed) if (this.#tails.get(name) === turn) this.#tails.delete(name)
    }
  }

  /** Names somebody holds or waits for. */
  get size(): number {
    return this.#tails.size
  }
}
