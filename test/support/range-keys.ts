/** Range keys and short ids for tests of the set: hashes of labels, so that they are spread like those of real deltas. */
import { createHash } from 'node:crypto'
import { uintBytes } from '../../src/base/bytes.ts'
import { SeededRandom } from '../../src/base/prng.ts'

export const hasher = {
  sha384: (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha384').update(bytes).digest())
}

/** A key dated `ms` whose id is the hash of `label`. */
export function keyOf(ms: number, label: string): Uint8Array {
  const whole = new Uint8Array(38)
  whole.set(uintBytes(ms, 6))
  whole.set(createHash('sha256').update(label).digest(), 6)
  return whole
}

/** `count` keys spread over `spreadMs`. */
export function keysOf(seed: string, count: number, spreadMs = 86_400_000): Uint8Array[] {
  const random = new SeededRandom(seed)
  return Array.from({ length: count }, (_, i) => keyOf(1_700_000_000_000 + random.below(spreadMs), `${seed}/${i}`))
}

/** `count` random short ids, 8 bytes each. */
export function shortIds(seed: string, count: number): Uint8Array[] {
  const random = new SeededRandom(seed)
  return Array.from({ length: count }, () => random.bytes(8))
}
