/**
 * The rows of the table `embedding`: which vector a model gave to a text (docs/WIRE.md §9). A row is found by what the
 * model is and what the text is, so a text that comes back, or stands in ten records, is embedded once, and the vectors
 * of two models can never meet.
 *
 * Components are halves: against floats the disk holds half as much, and what they lose, about 0.0005 of a cosine, is
 * less than models of one family differ by.
 */
import { concatBytes, toHex, utf8, type Bytes, type Hex } from '../base/bytes.ts'
import { fromHalves, toHalves } from '../base/half-float.ts'
import { LIMITS } from '../base/limits.ts'
import type { Hasher } from '../ports/crypto.ts'

/** Bytes of the name of a model, and of that of a text. */
const NAME_BYTES = 16

/** 16 bytes of the hash of whatever decides what the vectors mean, in hexadecimal. */
export function modelName(hasher: Hasher, identity: string): Hex {
  return toHex(hasher.sha384(utf8(identity)).subarray(0, NAME_BYTES))
}

/** 16 bytes of the hash of a text as it is embedded, in hexadecimal. */
export function textName(hasher: Hasher, text: string): Hex {
  return toHex(hasher.sha384(utf8(text)).subarray(0, NAME_BYTES))
}

/** The part of a content that is embedded: its beginning, never half a character. */
export function embeddedText(content: string): string {
  // A character takes at most three bytes for each unit of its string.
  if (3 * content.length <= LIMITS.embedTextBytesMax) return content
  const bytes = utf8(content)
  if (bytes.length <= LIMITS.embedTextBytesMax) return content
  let end = LIMITS.embedTextBytesMax
  while (((bytes[end] as number) & 0xc0) === 0x80) end--
  return new TextDecoder().decode(bytes.subarray(0, end))
}

export function embeddingKey(model: Bytes, text: Bytes): Bytes {
  return concatBytes(model, text)
}

/** Undefined when it is spelled as no such key is. */
export function parseEmbeddingKey(key: Bytes): { model: Hex; text: Hex } | undefined {
  if (key.length !== 2 * NAME_BYTES) return undefined
  return { model: toHex(key.subarray(0, NAME_BYTES)), text: toHex(key.subarray(NAME_BYTES)) }
}

export function encodeEmbedding(vector: Float32Array): Bytes {
  const bytes = new Uint8Array(2 + 2 * vector.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, vector.length)
  for (const [index, half] of toHalves(vector).entries()) view.setUint16(2 + 2 * index, half)
  return bytes
}

/** Undefined when the row holds no vector that can be used. Of length 1, to the precision of halves. */
export function decodeEmbedding(value: Bytes): Float32Array | undefined {
  if (value.length < 4) return undefined
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  const dimensions = view.getUint16(0)
  if (dimensions === 0 || value.length !== 2 + 2 * dimensions) return undefined
  const halves = new Uint16Array(dimensions)
  for (let i = 0; i < dimensions; i++) halves[i] = view.getUint16(2 + 2 * i)
  const vector = fromHalves(halves)
  return vector.every((component) => Number.isFinite(component)) ? vector : undefined
}
