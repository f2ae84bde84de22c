/**
 * Pairs of key sets for measuring reconciliation: many shared keys, and differences of three shapes. `uniform` spreads
 * them over the whole day, as if gossip lost a frame now and then; `recent` puts them among the newest keys, as after a
 * bad minute; `block` gives the newest keys to one side alone, as after an absence. Everything follows from the seed.
 *
 * Ids are random bytes, which is what hashes look like to everything measured here.
 */
import { SeededRandom } from '../../src/base/prng.ts'

export const SHAPES = ['uniform', 'recent', 'block'] as const
export type Shape = (typeof SHAPES)[number]

export const KEY_BYTES = 38
const MS_BYTES = 6
const SPAN_MS = 86_400_000
/** The last shared key is older than any settling window. */
export const END_MS = 1_800_000_000_000
/** Milliseconds between two keys of a block. */
const BLOCK_STEP_MS = 86
/** Room between the shared keys and the clock of a session for all the blocks of one run. */
export const NOW_MS = END_MS + 7_200_000

/** `count` packed keys in ascending order, spread evenly over one day. */
export function sharedKeys(seed: string, count: number): Uint8Array {
  const random = new SeededRandom(`${seed}/shared/${count}`)
  const times = new Float64Array(count)
  for (let i = 0; i < count; i++) times[i] = END_MS - SPAN_MS + random.below(SPAN_MS)
  times.sort()
  const packed = Buffer.from(random.bytes(count * KEY_BYTES).buffer)
  for (let i = 0; i < count; i++) {
    packed.writeUIntBE(times[i] as number, i * KEY_BYTES, MS_BYTES)
    // Keys of one millisecond are in the order of their ids: few, so that insertion is quick.
    for (
      let j = i;
      j > 0 && packed.compare(packed, (j - 1) * KEY_BYTES, j * KEY_BYTES, j * KEY_BYTES, (j + 1) * KEY_BYTES) < 0;
      j--
    )
      swap(packed, j)
  }
  return packed
}

function swap(packed: Buffer, index: number): void {
  const key = Buffer.from(packed.subarray(index * KEY_BYTES, (index + 1) * KEY_BYTES))
  packed.copy(packed, index * KEY_BYTES, (index - 1) * KEY_BYTES, index * KEY_BYTES)
  key.copy(packed, (index - 1) * KEY_BYTES)
}

/** Keys that only the side that opens holds, and keys that only the other holds. */
export interface Differences {
  readonly near: readonly Uint8Array[]
  readonly far: readonly Uint8Array[]
}

/**
 * `count` keys that are not among the shared ones, half on each side; a block is on one side, in turn by the seed, and
 * begins behind the last shared key.
 */
export function differences(shared: Uint8Array, shape: Shape, count: number, seed: number): Differences {
  const random = new SeededRandom(`${shape}/${shared.length}/${count}/${seed}`)
  const sharedCount = shared.length / KEY_BYTES
  const recent = Math.min(sharedCount, Math.max(20 * count, 1_000))
  const sinceMs = shape === 'recent' ? msAt(shared, sharedCount - recent) : END_MS - SPAN_MS
  const lastMs = msAt(shared, sharedCount - 1)
  const near: Uint8Array[] = []
  const far: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    const ms = shape === 'block' ? lastMs + (i + 1) * BLOCK_STEP_MS : sinceMs + random.below(END_MS - sinceMs)
    const key = Buffer.from(random.bytes(KEY_BYTES).buffer)
    key.writeUIntBE(ms, 0, MS_BYTES)
    const side = shape === 'block' ? seed : i
    ;(side % 2 === 0 ? far : near).push(key)
  }
  return { near, far }
}

function msAt(packed: Uint8Array, index: number): number {
  return Buffer.from(packed.buffer, packed.byteOffset + index * KEY_BYTES, MS_BYTES).readUIntBE(0, MS_BYTES)
}

/** The packed, ascending union of packed keys and some more. */
export function mergedKeys(packed: Uint8Array, more: readonly Uint8Array[]): Uint8Array {
  const sorted = [...more].sort((a, b) => Buffer.compare(a, b))
  const merged = new Uint8Array(packed.length + more.length * KEY_BYTES)
  let read = 0
  let write = 0
  for (const key of sorted) {
    const stop = placeOf(packed, key) * KEY_BYTES
    merged.set(packed.subarray(read, stop), write)
    write += stop - read
    merged.set(key, write)
    write += KEY_BYTES
    read = stop
  }
  merged.set(packed.subarray(read), write)
  return merged
}

function placeOf(packed: Uint8Array, key: Uint8Array): number {
  let low = 0
  let high = packed.length / KEY_BYTES
  while (low < high) {
    const middle = (low + high) >>> 1
    if (Buffer.compare(packed.subarray(middle * KEY_BYTES, (middle + 1) * KEY_BYTES), key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
