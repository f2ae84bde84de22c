/**
 * Records in the order of their creation. Almost everything arrives in order and is appended; what arrives late waits
 * in a list of its own until someone asks, and is then sorted in at once. A removed item stays until half of the list
 * is gone.
 */
import { compareText } from '../base/bytes.ts'
import type { ListPosition } from './recall-doc.ts'

/** What is kept in order. Its place in the order must not change; it says itself whether it was removed. */
export interface Ordered {
  readonly doc: ListPosition
  removed: boolean
}

/** Behind every space in byte order, since spaces are hexadecimal. */
const LAST_SPACE = '~'

export class RecencyOrder<T extends Ordered> {
  /** Oldest first. */
  #sorted: T[] = []
  #late: T[] = []
  #removed = 0

  /** Takes an item whose position will not change. */
  add(item: T): void {
    const last = this.#sorted[this.#sorted.length - 1]
    if (last === undefined || compareOldestFirst(last.doc, item.doc) <= 0) this.#sorted.push(item)
    else this.#late.push(item)
  }

  remove(item: T): void {
    item.removed = true
    this.#removed++
    if (this.#removed * 2 <= this.#sorted.length + this.#late.length) return
    this.#sorted = this.#sorted.filter((kept) => !kept.removed)
    this.#late = this.#late.filter((kept) => !kept.removed)
    this.#removed = 0
  }

  /** Newest first, equal times by id; from just behind `after` when it is given. Nothing may change during the walk. */
  *newestFirst(after?: ListPosition): Generator<T> {
    this.#settle()
    let index = after === undefined ? this.#sorted.length : this.#countBefore(after)
    while (--index >= 0) {
      const item = this.#sorted[index] as T
      if (!item.removed) yield item
    }
  }

  #settle(): void {
    if (this.#late.length === 0) return
    this.#sorted = [...this.#sorted, ...this.#late].sort((a, b) => compareOldestFirst(a.doc, b.doc))
    this.#late = []
  }

  /** Items that come strictly before `position` in the list, that is after it in a walk. */
  #countBefore(position: ListPosition): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareOldestFirst((this.#sorted[middle] as T).doc, position) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Read backwards this is: newest first, then id, then space in byte order. */
function compareOldestFirst(a: ListPosition, b: ListPosition): number {
  return (
    a.createdAt - b.createdAt || compareText(b.id, a.id) || compareText(b.space ?? LAST_SPACE, a.space ?? LAST_SPACE)
  )
}
