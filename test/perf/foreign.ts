/** Deltas as strangers write them: sealed, chained, packed into gossip frames. Made before any clock runs. */
import { createCrypto } from '../../src/adapters/system/crypto.ts'
import { composeAdd } from '../../src/memory/compose.ts'
import { encodeDelta, encodeFrame } from '../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../src/memory/delta.ts'
import { hlcOf } from '../../src/memory/ids.ts'
import { sealDelta } from '../../src/memory/seal.ts'
import { memory } from './corpus.ts'

/** Deltas in one frame at most. */
export const FRAME_DELTAS = 64
/** Below the bound of a frame, with room for one more record of this corpus. */
const FRAME_BYTES = 60_000
/** Milliseconds between two deltas of the story they tell. */
const STEP_MS = 3

/** `count` deltas by `authors` strangers in turn, each chain contiguous, in the order of their times. */
export function foreignDeltas(space: string, count: number, authors: number): VerifiedDelta[] {
  const writers = Array.from({ length: authors }, (_, n) => ({
    crypto: createCrypto(new Uint8Array(32).fill(n + 1)),
    epoch: (n + 1).toString(16).padStart(16, '0'),
    last: undefined as VerifiedDelta | undefined
  }))
  const firstMs = Date.now() - count * STEP_MS - 10_000
  const deltas: VerifiedDelta[] = []
  for (let n = 0; n < count; n++) {
    const writer = writers[n % authors] as (typeof writers)[number]
    const { crypto, epoch, last } = writer
    const delta = sealDelta(
      {
        space,
        epoch,
        seq: last === undefined ? 0 : last.header.seq + 1,
        prev: last?.id ?? null,
        hlc: hlcOf(firstMs + n * STEP_MS),
        parents: [],
        ops: composeAdd(memory(n), 0)
      },
      crypto
    )
    writer.last = delta
    deltas.push(delta)
  }
  return deltas
}

export function framesOf(deltas: readonly VerifiedDelta[]): Uint8Array[] {
  const frames: Uint8Array[] = []
  let records: Uint8Array[] = []
  let bytes = 0
  for (const delta of deltas) {
    const record = encodeDelta(delta)
    records.push(record)
    bytes += record.length
    if (records.length < FRAME_DELTAS && bytes + record.length < FRAME_BYTES) continue
    frames.push(encodeFrame(records))
    records = []
    bytes = 0
  }
  if (records.length > 0) frames.push(encodeFrame(records))
  return frames
}
