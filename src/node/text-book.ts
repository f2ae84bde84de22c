/**
 * Which texts want a vector, and which records say them. A text is known by its hash, has a label for the index, and is
 * of use as long as one record shows it; what no record shows any more is handed back, to be forgotten everywhere.
 */
import type { Hex } from '../base/bytes.ts'
import type { RecordId, SpaceId } from '../memory/ids.ts'

export interface TextPlace {
  readonly space: SpaceId
  readonly id: RecordId
}

export interface Text {
  readonly name: Hex
  /** Below 2^52. */
  readonly label: number
  /** Records that show it; none: it is of no use any more. */
  readonly places: readonly TextPlace[]
  /** waiting: no vector yet · indexed · refused: the embedder takes every text but this one. */
  readonly state: 'waiting' | 'indexed' | 'refused'
  /** How often the embedder failed on it while others went through. */
  readonly failures: number
}

type Entry = { -readonly [K in keyof Text]: K extends 'places' ? TextPlace[] : Text[K] }

/** Digits of the hash that make the label: 52 bits. */
const LABEL_DIGITS = 13
const LABELS = 2 ** 52

export class TextBook {
  readonly #byName = new Map<Hex, Entry>()
  readonly #byLabel = new Map<number, Entry>()
  /** What a record shows, and where in its list of places the record stands. */
  readonly #byPlace = new Map<string, { readonly entry: Entry; at: number }>()
  #waiting = 0
  #refused = 0

  get size(): number {
    return this.#byName.size
  }

  get waiting(): number {
    return this.#waiting
  }

  get refused(): number {
    return this.#refused
  }

  get(name: Hex): Text | undefined {
    return this.#byName.get(name)
  }

  labelled(label: number): Text | undefined {
    return this.#byLabel.get(label)
  }

  all(): Iterable<Text> {
    return this.#byName.values()
  }

  /**
   * The record shows this text, or none. `came`: a text that nobody showed before; `left`: one that nobody shows any
   * more, and that is in the book no longer.
   */
  show(place: TextPlace, name: Hex | null): { readonly came?: Text; readonly left?: Text } {
    const key = place.space + place.id
    const before = this.#byPlace.get(key)?.entry
    if (before?.name === name || (before === undefined && name === null)) return {}
    const left = this.#leave(key)
    if (name === null) return left === undefined ? {} : { left }
    const known = this.#byName.get(name)
    const entry = known ?? this.#enter(name)
    this.#byPlace.set(key, { entry, at: entry.places.length })
    entry.places.push({ space: place.space, id: place.id })
    return { ...(known === undefined ? { came: entry } : {}), ...(left === undefined ? {} : { left }) }
  }

  /** Nothing happens to a text that has left meanwhile. */
  mark(text: Text, state: Text['state']): void {
    const entry = this.#byName.get(text.name)
    if (entry !== text || entry.state === state) return
    this.#count(entry.state, -1)
    entry.state = state
    this.#count(state, 1)
  }

  failed(text: Text): void {
    const entry = this.#byName.get(text.name)
    if (entry === text) entry.failures++
  }

  #enter(name: Hex): Entry {
    let label = parseInt(name.slice(0, LABEL_DIGITS), 16)
    // Two texts of one label: once in a hundred million stores of a million texts.
    while (this.#byLabel.has(label)) label = (label + 1) % LABELS
    const entry: Entry = { name, label, places: [], state: 'waiting', failures: 0 }
    this.#byName.set(name, entry)
    this.#byLabel.set(label, entry)
    this.#count('waiting', 1)
    return entry
  }

  #leave(key: string): Entry | undefined {
    const shown = this.#byPlace.get(key)
    if (shown === undefined) return undefined
    const { entry, at } = shown
    this.#byPlace.delete(key)
    const last = entry.places.pop()
    if (last !== undefined && at < entry.places.length) {
      // The last one fills the hole: thousands of records may show one text.
      entry.places[at] = last
      const moved = this.#byPlace.get(last.space + last.id)
      if (moved !== undefined) moved.at = at
    }
    if (entry.places.length > 0) return undefined
    this.#byName.delete(entry.name)
    this.#byLabel.delete(entry.label)
    this.#count(entry.state, -1)
    return entry
  }

  #count(state: Text['state'], by: number): void {
    if (state === 'waiting') this.#waiting += by
    else if (state === 'refused') this.#refused += by
  }
}
