/**
 * Frames of the local door: one JSON text per line, newline-delimited, UTF-8. Everything hostile about a frame is
 * decided on its bytes, before any parser runs: its length while it arrives, its UTF-8, and the depth of its nesting
 * (a parser fed a million brackets blocks for a second; counting them takes a millisecond).
 *
 * It knows nothing of JSON-RPC; rpc/messages.ts does.
 */
import { fromUtf8 } from '../base/bytes.ts'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'

const NEWLINE = 0x0a
const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** Cuts a byte stream into lines. A line's bytes are kept as the chunks they came in and joined once. */
export class LineFramer {
  readonly #bytesMax: number
  #chunks: Uint8Array[] = []
  #held = 0

  /** `bytesMax` bounds one line, its newline excluded. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Bytes of the unfinished line. */
  get heldBytes(): number {
    return this.#held
  }

  /**
   * Lines finished by this chunk, newline excluded; blank lines are left out. Throws `too_large` when a line is longer
   * than the bound: the stream cannot be understood from there on and must be closed.
   */
  push(chunk: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = []
    let start = 0
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start)
      const part = chunk.subarray(start, end === -1 ? chunk.length : end)
      if (this.#held + part.length > this.#bytesMax) {
        this.#chunks = []
        this.#held = 0
        throw new ChrysalisError('too_large', `A frame is longer than ${this.#bytesMax} bytes.`, {
          hint: 'Send less at once, or ask for fewer items with `limit`.'
        })
      }
      if (part.length > 0) this.#chunks.push(part)
      this.#held += part.length
      if (end === -1) return lines
      if (this.#held > 0) lines.push(this.#take())
      start = end + 1
    }
  }

  #take(): Uint8Array {
    const [first, ...others] = this.#chunks
    const line = others.length === 0 && first !== undefined ? first : Buffer.concat(this.#chunks, this.#held)
    this.#chunks = []
    this.#held = 0
    return line
  }
}

/** Whether arrays and objects nest at most `depthMax` deep, brackets inside strings not counted. */
export function nestsWithin(line: Uint8Array, depthMax: number): boolean {
  let depth = 0
  let inString = false
  for (let i = 0; i < line.length; i++) {
    const byte = line[i]
    if (inString) {
      if (byte === BACKSLASH) i++
      else if (byte === QUOTE) inString = false
    } else if (byte === QUOTE) inString = true
    else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      if (++depth > depthMax) return false
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) depth--
  }
  return true
}

export type ParsedFrame =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string }

/** One line to a JSON value. Never throws. */
export function parseFrame(line: Uint8Array): ParsedFrame {
  if (!nestsWithin(line, LIMITS.rpcDepthMax)) {
    return { ok: false, problem: `The frame nests more than ${LIMITS.rpcDepthMax} levels deep.` }
  }
  let text: string
  try {
    text = fromUtf8(line)
  } catch {
    return { ok: false, problem: 'The frame is not valid UTF-8.' }
  }
  try {
    return { ok: true, value: JSON.parse(text) as unknown }
  } catch {
    return { ok: false, problem: 'The frame is not JSON.' }
  }
}

/** One line, newline included. JSON escapes every newline inside, so none can break the frame. */
export function encodeFrame(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`)
}
