/**
 * Decompression of the raw Snappy format (google/snappy, format_description.txt), as far as LevelDB uses it for the
 * blocks of its tables: a length, then literals and copies from what was already written. Node has none of its own.
 *
 * It does not compress, and it reads no framing.
 */

/** The bytes that were compressed, or undefined when `input` is no whole Snappy text of at most `bytesMax` bytes. */
export function snappyDecode(input: Uint8Array, bytesMax: number): Uint8Array | undefined {
  let at = 0
  let length = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = input[at++]
    if (byte === undefined || scale > 2 ** 28) return undefined
    length += (byte & 127) * scale
    if (byte < 128) break
  }
  if (length > bytesMax) return undefined
  const output = new Uint8Array(length)
  let written = 0
  while (at < input.length) {
    const tag = input[at++] as number
    const kind = tag & 3
    if (kind === 0) {
      let count = tag >>> 2
      if (count >= 60) {
        const width = count - 59
        if (at + width > input.length) return undefined
        count = little(input, at, width)
        at += width
      }
      count++
      if (at + count > input.length || written + count > length) return undefined
      output.set(input.subarray(at, at + count), written)
      at += count
      written += count
      continue
    }
    const width = kind === 1 ? 1 : kind === 2 ? 2 : 4
    if (at + width > input.length) return undefined
    const count = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
    const offset = kind === 1 ? ((tag >>> 5) << 8) | (input[at] as number) : little(input, at, width)
    at += width
    if (offset === 0 || offset > written || written + count > length) return undefined
    // A copy may overlap what it writes: that is how runs are told.
    for (let i = 0; i < count; i++, written++) output[written] = output[written - offset] as number
  }
  return written === length ? output : undefined
}

function little(bytes: Uint8Array, at: number, width: number): number {
  let value = 0
  for (let i = width - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] as number)
  return value
}
