/**
 * Who has this value? Range rows say the position at which a delta arrived, arrival rows say which delta arrived at a
 * position: each table is the other one turned round, so a damaged row of one is found by reading the other from end to
 * end. Whatever is asked before a walk begins shares it: sixty damaged rows of one page cost as much as one.
 */
import { toHex } from '../base/bytes.ts'
import type { Store } from '../ports/store.ts'
import { soundPages } from './sound-scan.ts'

type Searched = 'range' | 'arrival'

interface Walk {
  readonly wanted: Set<string>
  readonly found: Map<string, Uint8Array>
  done: Promise<void>
}

const EVERYTHING = new Uint8Array(0)

export class PositionSearch {
  readonly #store: Store
  /** The walk that has not begun yet, and the one before it. */
  readonly #next: { [table in Searched]?: Walk } = {}
  readonly #last: Record<Searched, Promise<void>> = { range: Promise.resolve(), arrival: Promise.resolve() }

  constructor(store: Store) {
    this.#store = store
  }

  /** The key of the sound row of `table` that has this value; undefined when none has. Rejects with the store's errors. */
  async find(table: Searched, value: Uint8Array): Promise<Uint8Array | undefined> {
    const name = toHex(value)
    const walk = (this.#next[table] ??= this.#prepare(table))
    walk.wanted.add(name)
    await walk.done
    return walk.found.get(name)
  }

  #prepare(table: Searched): Walk {
    const walk: Walk = { wanted: new Set(), found: new Map(), done: Promise.resolve() }
    walk.done = this.#last[table].then(() => {
      delete this.#next[table]
      return this.#walk(table, walk)
    })
    this.#last[table] = walk.done.catch(() => undefined)
    return walk
  }

  async #walk(table: Searched, { wanted, found }: Walk): Promise<void> {
    for await (const page of soundPages(this.#store, table, EVERYTHING)) {
      for (const { key, value } of page.rows) {
        const name = toHex(value)
        if (wanted.has(name)) found.set(name, key)
      }
      if (found.size === wanted.size) return
    }
  }
}
