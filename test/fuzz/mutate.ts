/**
 * Hurting bytes: the ways in which a frame can be wrong that a decoder might not have thought of. Blind ones (flipped
 * bits, cuts, splices) find what nobody imagined; knowing ones (extremes of integers, enormous counts) go where decoders
 * usually break. Everything follows from the dice handed in.
 */
import { concatBytes, fromHex } from '../../src/base/bytes.ts'
import type { SeededRandom } from '../../src/base/prng.ts'

const FLIPS_MAX = 4
const GARBAGE_BYTES_MAX = 48

/** Numbers at the edges, in both ways of writing them that the wire knows. */
const EXTREMES: readonly Uint8Array[] = [
  // Little-endian groups of seven bits: 0, 127, 128, 2^14, 2^32 - 1, 2^32, 2^53 - 1, 2^53, 2^64 - 1, padded, endless.
  '00',
  '7f',
  '8001',
  '808001',
  'ffffffff0f',
  '8080808010',
  'ffffffffffffff0f',
  '8080808080808010',
  'ffffffffffffffffff01',
  '808000',
  '80'.repeat(20),
  // CBOR heads: the greatest integer, byte strings, texts and arrays of 2^32 - 1 and 2^64 - 1, indefinite ones, a map.
  '1bffffffffffffffff',
  '5affffffff',
  '5bffffffffffffffff',
  '7affffffff',
  '9affffffff',
  '9bffffffffffffffff',
  '9f',
  '5f',
  'bb00000000ffffffff',
  // Plain big-endian widths.
  'ffffffff',
  '7fffffffffffffff',
  '0000000000000000'
].map(fromHex)

type Mutation = (bytes: Uint8Array, random: SeededRandom, other: Uint8Array) => Uint8Array

/** `other` is some other whole frame of the corpus. */
const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'flip bits': (bytes, random) => {
    const changed = bytes.slice()
    for (let n = random.below(FLIPS_MAX); n >= 0 && changed.length > 0; n--) {
      const at = random.below(changed.length)
      changed[at] = (changed[at] as number) ^ (1 << random.below(8))
    }
    return changed
  },
  'cut short': (bytes, random) => bytes.slice(0, random.below(bytes.length + 1)),
  'cut the head': (bytes, random) => bytes.slice(random.below(bytes.length + 1)),
  'take out': (bytes, random) => {
    const [from, to] = slice(bytes, random)
    return concatBytes(bytes.subarray(0, from), bytes.subarray(to))
  },
  repeat: (bytes, random) => {
    const [from, to] = slice(bytes, random)
    return concatBytes(bytes.subarray(0, to), bytes.subarray(from))
  },
  'repeat often': (bytes, random) => {
    const [from, to] = slice(bytes, random)
    const piece = bytes.subarray(from, Math.min(to, from + 64))
    const times = 1 + random.below(200)
    return concatBytes(bytes.subarray(0, to), ...new Array<Uint8Array>(times).fill(piece), bytes.subarray(to))
  },
  'exchange two places': (bytes, random) => {
    const changed = bytes.slice()
    const width = 1 + random.below(40)
    if (changed.length < 2 * width) return changed
    const from = random.below(changed.length - width)
    const to = random.below(changed.length - width)
    changed.copyWithin(from, to, to + width)
    changed.set(bytes.subarray(from, from + width), to)
    return changed
  },
  splice: (bytes, random, other) =>
    concatBytes(bytes.subarray(0, random.below(bytes.length + 1)), other.subarray(random.below(other.length + 1))),
  'insert another': (bytes, random, other) => {
    const at = random.below(bytes.length + 1)
    return concatBytes(bytes.subarray(0, at), other, bytes.subarray(at))
  },
  'put garbage in': (bytes, random) => {
    const at = random.below(bytes.length + 1)
    return concatBytes(bytes.subarray(0, at), random.bytes(random.below(GARBAGE_BYTES_MAX)), bytes.subarray(at))
  },
  'an extreme over': (bytes, random) => {
    const changed = bytes.slice()
    const extreme = pick(EXTREMES, random)
    // Most numbers that matter stand near the head.
    const reach = random.below(2) === 0 ? Math.min(changed.length, 64) : changed.length
    const at = random.below(reach + 1)
    changed.set(extreme.subarray(0, changed.length - at), at)
    return changed
  },
  'an extreme for one byte': (bytes, random) => {
    const reach = random.below(2) === 0 ? Math.min(bytes.length, 64) : bytes.length
    const at = random.below(reach + 1)
    return concatBytes(bytes.subarray(0, at), pick(EXTREMES, random), bytes.subarray(at + 1))
  },
  'another code': (bytes, random) => {
    const changed = bytes.slice()
    if (changed.length > 0) changed[0] = random.below(random.below(2) === 0 ? 20 : 256)
    return changed
  },
  'another frame': (_bytes, _random, other) => other.slice(),
  'only garbage': (_bytes, random) => random.bytes(random.below(4 * GARBAGE_BYTES_MAX)),
  'all alike': (bytes, random) => bytes.slice().fill([0, 0x80, 0xff, 0x81][random.below(4)] as number)
}

export const MUTATION_NAMES: readonly string[] = Object.keys(MUTATIONS)

/** A hurt copy of `bytes`; now and then it was hurt twice, rarely it comes out as it went in. Never longer than `bytesMax`. */
export function mutate(
  bytes: Uint8Array,
  corpus: readonly Uint8Array[],
  random: SeededRandom,
  bytesMax: number
): Uint8Array {
  let hurt = bytes
  do {
    const mutation = MUTATIONS[pick(MUTATION_NAMES, random)] as Mutation
    hurt = mutation(hurt, random, pick(corpus, random))
  } while (random.below(4) === 0)
  return hurt.length > bytesMax ? hurt.slice(0, bytesMax) : hurt
}

export function pick<T>(from: readonly T[], random: SeededRandom): T {
  return from[random.below(from.length)] as T
}

/** A place in the bytes, mostly a short one. */
function slice(bytes: Uint8Array, random: SeededRandom): [number, number] {
  const from = random.below(bytes.length + 1)
  const reach = random.below(2) === 0 ? Math.min(40, bytes.length - from) : bytes.length - from
  return [from, from + random.below(reach + 1)]
}
