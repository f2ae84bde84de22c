/** A shared read index in memory: what was published can be looked at, and writing can be made to fail. */
import { ChrysalisError } from '../../src/base/errors.ts'
import type { SharedChange, SharedEntry, SharedIndex, SharedShelf, SharedSpace } from '../../src/ports/shared-index.ts'

/** One index as it would be on disk: it outlives the engine that wrote it. */
export class MemoryShelf implements SharedShelf {
  readonly entries = new Map<string, SharedEntry>()
  readonly changes: SharedChange[] = []
  generation = 0
  complete = false
  intact = true
  source = ''
  #stampsHold = false

  get size(): number {
    return this.entries.size
  }

  opened(source: string): void {
    this.#stampsHold = this.source === source
    this.source = source
  }

  isIntact(): boolean {
    return this.intact
  }

  differing(states: readonly { id: string; stamp: number }[]): string[] {
    return states.flatMap(({ id, stamp }) => (this.#stampsHold && this.entries.get(id)?.stamp === stamp ? [] : [id]))
  }

  ids(after: string | undefined, limit: number): string[] {
    const all = [...this.entries.keys()].sort()
    return all.filter((id) => after === undefined || id > after).slice(0, limit)
  }

  write(change: SharedChange): Promise<number> {
    this.changes.push(change)
    for (const id of change.removes) this.entries.delete(id)
    for (const entry of change.puts) this.entries.set(entry.id, entry)
    for (const { id, tier, superseded } of change.marks) {
      const known = this.entries.get(id)
      if (known !== undefined) this.entries.set(id, { ...known, tier, superseded })
    }
    if (change.complete === true) this.complete = this.#stampsHold = true
    return Promise.resolve(++this.generation)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** What a search would find: neither superseded ones nor any word of what was removed. */
  texts(): string[] {
    return [...this.entries.values()].flatMap(({ memory, superseded }) => (superseded ? [] : [memory.content])).sort()
  }
}

export class MemoryIndex implements SharedIndex {
  readonly shelves = new Map<string, MemoryShelf>()
  /** While set, no index can be opened. */
  failure: string | undefined
  opened = 0
  kept: readonly string[] = []

  open({ id }: SharedSpace, source: string): Promise<SharedShelf> {
    this.opened++
    if (this.failure !== undefined) return Promise.reject(new ChrysalisError('disk_full', this.failure))
    let shelf = this.shelves.get(id)
    if (shelf?.intact !== true) this.shelves.set(id, (shelf = new MemoryShelf()))
    shelf.opened(source)
    return Promise.resolve(shelf)
  }

  keepOnly(spaces: readonly string[]): Promise<void> {
    this.kept = spaces
    return Promise.resolve()
  }

  shelf(id: string): MemoryShelf {
    const shelf = this.shelves.get(id)
    if (shelf === undefined) throw new Error(`nothing was published of ${id}`)
    return shelf
  }
}
