/**
 * Frames of reconciliation hurt by somebody who knows the protocol: they decode, and say something that is not so. Blind
 * mutation rarely gets past the decoder; these meet the walk, the sketch, the windows and the books behind it.
 */
import { concatBytes, toHex } from '../../src/base/bytes.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { SeededRandom } from '../../src/base/prng.ts'
import { decodeReconFrame, encodeReconFrame, type Frame } from '../../src/sync/recon-codec.ts'
import { SHORT_ID_BYTES, SKETCH_CELL_BYTES } from '../../src/sync/sketch.ts'
import { mutate, pick } from './mutate.ts'

const WALL_MS_MAX = 2 ** 48 - 1
/** Room for what is put into a frame that was full. */
const RECORDS_MAX = 64

/** Numbers where something usually ends. */
function number(near: number, random: SeededRandom): number {
  const choices = [
    0,
    1,
    near + 1,
    Math.max(0, near - 1),
    2 * near,
    31,
    32,
    33,
    16_384,
    2 ** 31,
    Number.MAX_SAFE_INTEGER
  ]
  return random.below(4) === 0 ? random.below(1_000) : pick(choices, random)
}

/** Some of them, some twice, in another order, and now and then one from elsewhere. */
function shuffled<T>(items: readonly T[], elsewhere: (random: SeededRandom) => T, random: SeededRandom): T[] {
  const made: T[] = []
  for (const item of items) {
    if (random.below(12) === 0) continue
    made.splice(random.below(3) === 0 ? random.below(made.length + 1) : made.length, 0, item)
    if (random.below(12) === 0) made.push(item)
    if (random.below(12) === 0) made.push(elsewhere(random))
  }
  if (random.below(4) === 0) made.push(elsewhere(random))
  return made
}

/** Whole cells, of which a few say something else. */
function cellsLike(cells: Uint8Array, random: SeededRandom): Uint8Array {
  const made = cells.slice()
  const count = made.length / SKETCH_CELL_BYTES
  for (let n = random.below(8); n > 0 && count > 0; n--) {
    const at = random.below(count) * SKETCH_CELL_BYTES
    if (random.below(2) === 0) made.set(random.bytes(SKETCH_CELL_BYTES), at)
    else made[at + random.below(SKETCH_CELL_BYTES)] = random.below(256)
  }
  if (random.below(6) === 0) return made.subarray(0, random.below(count + 1) * SKETCH_CELL_BYTES)
  if (random.below(6) === 0) return concatBytes(made, random.bytes(random.below(200) * SKETCH_CELL_BYTES))
  return made
}

/** A digest or a bit map here and there; the shape mostly stays. */
function bodyLike(body: Uint8Array, random: SeededRandom): Uint8Array {
  if (random.below(3) === 0) return mutate(body, [body], random, LIMITS.reconFrameBytesMax - 64)
  const made = body.slice()
  for (let n = random.below(3); n >= 0 && made.length > 0; n--) {
    const at = random.below(random.below(2) === 0 ? Math.min(8, made.length) : made.length)
    made[at] = random.below(4) === 0 ? 0 : random.below(256)
  }
  return made
}

function ascending(shorts: Uint8Array[], random: SeededRandom): Uint8Array[] {
  if (random.below(4) === 0) return shorts
  const named = new Map(shorts.map((short) => [toHex(short), short]))
  return [...named.keys()].sort().map((name) => named.get(name) ?? new Uint8Array(SHORT_ID_BYTES))
}

/** Undefined where the bytes are no frame, or what came of it cannot be written. `records`: whatever may pass for one. */
export function hurtKnowingly(
  bytes: Uint8Array,
  records: readonly Uint8Array[],
  random: SeededRandom
): Uint8Array | undefined {
  const frame = decodeReconFrame(bytes)
  if (frame === undefined) return undefined
  try {
    return encodeReconFrame(changed(frame, records, random))
  } catch {
    return undefined
  }
}

function changed(frame: Frame, records: readonly Uint8Array[], random: SeededRandom): Frame {
  const maybe = <T>(value: T, other: () => T): T => (random.below(3) === 0 ? other() : value)
  const ms = (near: number): number => Math.min(WALL_MS_MAX, number(near, random))
  const greetingOf = <G extends { count: number; nowMs: number } | undefined>(greeting: G): G | undefined =>
    greeting === undefined || random.below(10) === 0
      ? undefined
      : {
          ...greeting,
          count: maybe(greeting.count, () => number(greeting.count, random)),
          nowMs: maybe(greeting.nowMs, () => ms(greeting.nowMs))
        }
  switch (frame.frame) {
    case 'hello': {
      const { count, nowMs, settlingMs, prefix, cells, root } = frame
      return {
        ...frame,
        count: maybe(count, () => number(count, random)),
        nowMs: maybe(nowMs, () => ms(nowMs)),
        settlingMs: maybe(settlingMs, () => number(settlingMs, random) % (LIMITS.reconSettlingMsMax + 1)),
        prefix: maybe(prefix, () => (cells === undefined ? toHex(random.bytes(20)).slice(0, random.below(40)) : '')),
        root: maybe(root, () => random.bytes(root.length)),
        cells: cells === undefined ? undefined : maybe(cells, () => cellsLike(cells, random))
      }
    }
    case 'more':
      return { ...frame, greeting: greetingOf(frame.greeting), cells: number(frame.cells, random) }
    case 'cells':
      return { ...frame, cells: cellsLike(frame.cells, random) }
    case 'diff': {
      const wants = shuffled(frame.wants, (dice) => dice.bytes(SHORT_ID_BYTES), random)
      return {
        ...frame,
        greeting: greetingOf(frame.greeting),
        complete: maybe(frame.complete, () => !frame.complete),
        pushes: maybe(frame.pushes, () => number(frame.pushes, random)),
        wants: ascending(wants, random)
      }
    }
    case 'tree':
      return {
        ...frame,
        greeting: greetingOf(frame.greeting),
        nonce: maybe(frame.nonce, () => random.bytes(frame.nonce.length)),
        estimate: maybe(frame.estimate, () => number(frame.estimate, random)),
        body: bodyLike(frame.body, random)
      }
    case 'step':
      return { ...frame, body: bodyLike(frame.body, random) }
    case 'deltas': {
      const some = shuffled(frame.records.slice(0, RECORDS_MAX), (dice) => pick(records, dice), random)
      return {
        ...frame,
        last: maybe(frame.last, () => !frame.last),
        cut: maybe(frame.cut, () => !frame.cut),
        skipped: maybe(frame.skipped, () => number(frame.skipped, random)),
        records: some.map((record) => (random.below(20) === 0 ? mutate(record, records, random, 65_536) : record))
      }
    }
    case 'ack':
      return {
        ...frame,
        accepted: maybe(frame.accepted, () => number(frame.accepted, random)),
        known: maybe(frame.known, () => number(frame.accepted, random)),
        refused: maybe(frame.refused, () => number(frame.accepted, random))
      }
    case 'equal':
    case 'refused':
    case 'outline':
    case 'parts':
    case 'fetch':
    case 'fetched':
      return { frame: 'ack', accepted: number(4, random), known: 0, refused: 0 }
  }
}
