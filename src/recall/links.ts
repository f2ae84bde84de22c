/**
 * Who names whom: the edges of the records in the index, read backwards. A record lists its own `parents`, `related` and
 * `supersedes`; here stands which records list it, present or not, so that a good hit leads to both its neighbours up
 * and down.
 *
 * Edges never cross spaces: whoever writes into one space can name any id there.
 */
import { compareText } from '../base/bytes.ts'
import type { RecallDoc } from './recall-doc.ts'

/** Names a record across spaces. Both parts have a fixed length, so it is unambiguous; its order is by id, then space. */
export function recallKey(id: string, space: string): string {
  return `${id}${space}`
}

const NOBODY: ReadonlySet<string> = new Set()

export class Links {
  /** Named record → records that name it. */
  readonly #superseders = new Map<string, Set<string>>()
  readonly #namers = new Map<string, Set<string>>()

  /** Files the edges of a document. `entry` names the record across spaces. */
  add(entry: string, doc: RecallDoc): void {
    for (const id of doc.supersedes) insert(this.#superseders, recallKey(id, doc.space), entry)
    for (const id of doc.parents) insert(this.#namers, recallKey(id, doc.space), entry)
    for (const id of doc.related) insert(this.#namers, recallKey(id, doc.space), entry)
  }

  /** Undoes `add` with the same document. */
  remove(entry: string, doc: RecallDoc): void {
    for (const id of doc.supersedes) drop(this.#superseders, recallKey(id, doc.space), entry)
    for (const id of doc.parents) drop(this.#namers, recallKey(id, doc.space), entry)
    for (const id of doc.related) drop(this.#namers, recallKey(id, doc.space), entry)
  }

  /** Whether no record names another. */
  get isEmpty(): boolean {
    return this.#superseders.size === 0 && this.#namers.size === 0
  }

  /** Records that say they supersede this one. */
  superseders(entry: string): ReadonlySet<string> {
    return this.#superseders.get(entry) ?? NOBODY
  }

  /**
   * Records one edge away, those this one names first; some may not be in the index. Each once, never itself, and not
   * more than `count` of each direction: of records that name this one the first in the order of their keys.
   */
  neighbours(entry: string, doc: RecallDoc, count: number): string[] {
    const found = new Set<string>()
    const named = [...doc.parents, ...doc.supersedes, ...doc.related].slice(0, count)
    for (const id of named) found.add(recallKey(id, doc.space))
    for (const key of leastOf(this.superseders(entry), count)) found.add(key)
    for (const key of leastOf(this.#namers.get(entry) ?? NOBODY, count)) found.add(key)
    found.delete(entry)
    return [...found]
  }
}

/** The first few in order, without sorting the many that somebody may have linked. */
function leastOf(keys: ReadonlySet<string>, count: number): string[] {
  if (keys.size <= count) return [...keys].sort(compareText)
  const least: string[] = []
  for (const key of keys) {
    const last = least[count - 1]
    if (last !== undefined && compareText(key, last) >= 0) continue
    let at = Math.min(least.length, count - 1)
    while (at > 0 && compareText(least[at - 1] as string, key) > 0) at--
    least.splice(at, 0, key)
    least.length = Math.min(least.length, count)
  }
  return least
}

function insert(table: Map<string, Set<string>>, key: string, entry: string): void {
  const known = table.get(key)
  if (known === undefined) table.set(key, new Set([entry]))
  else known.add(entry)
}

function drop(table: Map<string, Set<string>>, key: string, entry: string): void {
  const known = table.get(key)
  known?.delete(entry)
  if (known?.size === 0) table.delete(key)
}
