/**
 * Exact names: which records carry a tag, a key or a path. A query that says such a name outright should find its
 * records even when the name means nothing as a word (`#v2`, `🚀`, `services/api/deploy`).
 *
 * Names are compared folded (tokenize.ts), since nobody remembers capitals; filters compare tags exactly and do not
 * come here. A name that more than LIMITS.recallCandidatesMax records carry says too little to be worth a list: its
 * words are in the keyword index like all others.
 */
import { LIMITS } from '../base/limits.ts'
import type { RecallDoc } from './recall-doc.ts'
import { fold } from './tokenize.ts'

/** Marks and brackets around a name in a sentence. */
const EDGES = /^[#@"'`([{<]+|[.,;:!?"'`)\]}>]+$/g

export interface ExactMatches {
  /** Records whose id or key is what the whole query says. */
  readonly named: readonly string[]
  /** Records with a tag or path in the query → how many of them. */
  readonly mentioned: ReadonlyMap<string, number>
}

export class TagIndex {
  readonly #ids = new NameTable()
  readonly #keys = new NameTable()
  readonly #tags = new NameTable()
  readonly #paths = new NameTable()

  /** Files a document under its names. `entry` names the record across spaces. */
  add(entry: string, doc: RecallDoc): void {
    this.#ids.add(doc.id, entry)
    if (doc.key !== null) this.#keys.add(fold(doc.key), entry)
    if (doc.path !== null) this.#paths.add(pathName(doc.path), entry)
    for (const tag of doc.tags) this.#tags.add(fold(tag), entry)
  }

  /** Undoes `add` with the same document. */
  remove(entry: string, doc: RecallDoc): void {
    this.#ids.remove(doc.id, entry)
    if (doc.key !== null) this.#keys.remove(fold(doc.key), entry)
    if (doc.path !== null) this.#paths.remove(pathName(doc.path), entry)
    for (const tag of doc.tags) this.#tags.remove(fold(tag), entry)
  }

  /**
   * Reads a query as names: the whole of it, each word of it, and the explicit forms `key:NAME`, `tag:NAME` and
   * `path:NAME`.
   */
  match(query: string): ExactMatches {
    const whole = fold(query).trim()
    const named = new Set([...this.#ids.get(whole), ...this.#keys.get(whole), ...this.#keys.get(after(whole, 'key:'))])
    const mentioned = new Map<string, number>()
    const words = whole.split(/\s+/u).slice(0, LIMITS.queryTermsMax)
    for (const name of new Set([whole, ...words])) {
      const bare = name.replace(EDGES, '')
      const tags = new Set([name, bare, after(bare, 'tag:')])
      const paths = new Set([pathName(bare), pathName(after(bare, 'path:'))])
      const found = new Set<string>()
      for (const tag of tags) for (const entry of this.#tags.get(tag)) found.add(entry)
      for (const path of paths) for (const entry of this.#paths.get(path)) found.add(entry)
      for (const entry of found) mentioned.set(entry, (mentioned.get(entry) ?? 0) + 1)
    }
    return { named: [...named], mentioned }
  }
}

function pathName(path: string): string {
  const folded = fold(path)
  return folded.endsWith('/') ? folded.slice(0, -1) : folded
}

/** What follows `prefix`; the empty text, which is no name, without it. */
function after(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : ''
}

/** Name → entries. Most names have one entry, which then needs no set of its own. */
class NameTable {
  readonly #entries = new Map<string, string | Set<string>>()

  add(name: string, entry: string): void {
    const known = this.#entries.get(name)
    if (known === undefined) this.#entries.set(name, entry)
    else if (typeof known !== 'string') known.add(entry)
    else if (known !== entry) this.#entries.set(name, new Set([known, entry]))
  }

  remove(name: string, entry: string): void {
    const known = this.#entries.get(name)
    if (known === undefined) return
    if (typeof known !== 'string') known.delete(entry)
    if (known === entry || (typeof known !== 'string' && known.size === 0)) this.#entries.delete(name)
  }

  /** The entries of a name, none when it is unknown, empty or too common. */
  get(name: string): Iterable<string> {
    const known = name === '' ? undefined : this.#entries.get(name)
    if (known === undefined) return []
    if (typeof known === 'string') return [known]
    return known.size > LIMITS.recallCandidatesMax ? [] : known
  }
}
