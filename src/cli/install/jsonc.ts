/**
 * Where things stand in a JSON text that people edit: comments and trailing commas are allowed, as the editors that read
 * such files allow them. The text is never written anew from what was parsed; the tree holds offsets, so that an edit can
 * leave every other byte as it is.
 */
import { ChrysalisError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'

export interface Member {
  readonly key: string
  /** Offset of the quote that opens the key. */
  readonly start: number
  readonly value: JsonNode
  /** Offset of the comma behind the value, if there is one. */
  comma: number | undefined
}

export interface JsonNode {
  readonly start: number
  /** Just behind the last character. */
  readonly end: number
  /** What it says, comments gone. */
  readonly value: unknown
  /** Of an object, in order; undefined for anything else. */
  readonly members: readonly Member[] | undefined
}

/** Parses a whole text. Throws `config` with line and column; whoever calls says which file it is. */
export function parseJsonc(text: string): JsonNode {
  return new Parser(text).document()
}

/** Just behind white space and comments from `at`; with `sameLine`, only as far as the line goes, without its end. */
export function skipTrivia(text: string, at: number, sameLine = false): number {
  let here = at
  for (;;) {
    const blank = sameLine ? /[^\S\n\r]*/y : /\s*/y
    blank.lastIndex = here
    const next = here + (blank.exec(text)?.[0].length ?? 0)
    const comment = /\/\/[^\n\r]*|\/\*[^]*?\*\//y
    comment.lastIndex = next
    const found = comment.exec(text)?.[0]
    if (found === undefined) return sameLine ? here : next
    if (sameLine && found.includes('\n')) return here
    here = next + found.length
  }
}

class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): JsonNode {
    // A byte order mark is white space to editors and stays where it is.
    this.#skip()
    const root = this.#node(0)
    this.#skip()
    if (this.#at < this.#text.length) throw this.#broken('something follows the end of the document')
    return root
  }

  #node(depth: number): JsonNode {
    if (depth > LIMITS.clientConfigDepthMax) throw this.#broken('it nests too deep')
    const first = this.#text[this.#at]
    if (first === '{') return this.#object(depth)
    if (first === '[') return this.#array(depth)
    const start = this.#at
    const value = first === '"' ? this.#string() : this.#word()
    return { start, end: this.#at, value, members: undefined }
  }

  #object(depth: number): JsonNode {
    const start = this.#at++
    const members: Member[] = []
    for (;;) {
      this.#skip()
      if (this.#takes('}')) break
      if (members.length > 0 && members.at(-1)?.comma === undefined) throw this.#broken('a comma or } is missing')
      const at = this.#at
      if (this.#text[at] !== '"') throw this.#broken('a key in quotes is missing')
      const key = this.#string()
      this.#skip()
      if (!this.#takes(':')) throw this.#broken('a colon is missing')
      this.#skip()
      const value = this.#node(depth + 1)
      this.#skip()
      const comma = this.#at
      members.push({ key, start: at, value, comma: this.#takes(',') ? comma : undefined })
    }
    // A key such as __proto__ must be a key like any other.
    const value = Object.assign(Object.create(null) as Record<string, unknown>)
    for (const member of members) value[member.key] = member.value.value
    return { start, end: this.#at, value, members }
  }

  #array(depth: number): JsonNode {
    const start = this.#at++
    const value: unknown[] = []
    let closed = true
    for (;;) {
      this.#skip()
      if (this.#takes(']')) break
      if (!closed) throw this.#broken('a comma or ] is missing')
      value.push(this.#node(depth + 1).value)
      this.#skip()
      closed = this.#takes(',')
    }
    return { start, end: this.#at, value, members: undefined }
  }

  #string(): string {
    const quoted = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
    quoted.lastIndex = this.#at
    const found = quoted.exec(this.#text)?.[0]
    if (found === undefined) throw this.#broken('a text is not closed, or holds what a text may not')
    this.#at += found.length
    return JSON.parse(found) as string
  }

  #word(): unknown {
    const word = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
    word.lastIndex = this.#at
    const found = word.exec(this.#text)?.[0]
    if (found === undefined) throw this.#broken('a value is missing')
    this.#at += found.length
    return JSON.parse(found) as unknown
  }

  #takes(character: string): boolean {
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #skip(): void {
    this.#at = skipTrivia(this.#text, this.#at)
  }

  #broken(why: string): ChrysalisError {
    const before = this.#text.slice(0, this.#at).split(/\r\n|\n|\r/)
    const line = before.length
    const column = (before.at(-1)?.length ?? 0) + 1
    return new ChrysalisError('config', `line ${line}, column ${column}: ${why}`, { data: { line, column } })
  }
}
