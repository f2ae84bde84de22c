/**
 * Hurt delta records and hurt gossip frames, on the way every foreign delta takes: frame, record, hashes, key, signature.
 * Whatever comes out of it as a verified delta must be, byte for byte, one that its author made: anything else is forged.
 */
import { concatBytes, fromHex, toHex } from '../../src/base/bytes.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { SeededRandom } from '../../src/base/prng.ts'
import { encodeCanonical } from '../../src/memory/codec.ts'
import {
  decodeDelta,
  decodeFrame,
  encodeDelta,
  encodeFrame,
  encodeHeader,
  RECORD_BYTES_MAX
} from '../../src/memory/delta-codec.ts'
import type { DeltaHeader, VerifiedDelta } from '../../src/memory/delta.ts'
import { bodyHashOf, signedMessage } from '../../src/memory/fingerprint.ts'
import { hlcOf } from '../../src/memory/ids.ts'
import type { Op } from '../../src/memory/ops.ts'
import { sealDelta } from '../../src/memory/seal.ts'
import { verifyDelta } from '../../src/memory/verify.ts'
import { draft, FIRST, identity, note } from '../support/sealed.ts'
import { mutate, pick } from './mutate.ts'

/** Longer than any bound, so that the bounds themselves are met. */
const OVERLONG = 4_096
const AUTHORS = 5
const START_MS = 1_700_000_000_000

const verifier = identity(99)

/** What became of hurt bytes: how often each verdict was given, and what should never have been. */
export class Tally {
  readonly verdicts = new Map<string, number>()
  /** Bytes that verified although nobody wrote them, as hexadecimal text. */
  readonly forged: string[] = []
  /** What threw, with the bytes that made it throw. */
  readonly crashes: { readonly message: string; readonly bytes: string }[] = []

  count(verdict: string): void {
    this.verdicts.set(verdict, (this.verdicts.get(verdict) ?? 0) + 1)
  }

  crash(error: unknown, bytes: Uint8Array): void {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.crashes.push({ message, bytes: toHex(bytes.subarray(0, 2_048)) })
  }
}

/** Deltas by several authors, with every operation there is, and one of a later version's. */
export function someDeltas(count: number, random: SeededRandom): VerifiedDelta[] {
  const writers = Array.from({ length: AUTHORS }, (_, n) => ({
    crypto: identity(n + 1),
    last: undefined as VerifiedDelta | undefined
  }))
  const deltas: VerifiedDelta[] = []
  for (let n = 0; n < count; n++) {
    const writer = pick(writers, random)
    const { last, crypto } = writer
    const delta = sealDelta(
      draft({
        seq: last === undefined ? 0 : last.header.seq + 1,
        prev: last?.id ?? null,
        hlc: hlcOf(START_MS + 17 * n, n % 3),
        parents: deltas.length === 0 ? [] : [pick(deltas, random).id, pick(deltas, random).id],
        ops: someOps(n, deltas, random)
      }),
      crypto
    )
    writer.last = delta
    deltas.push(delta)
  }
  return deltas
}

function someOps(n: number, before: readonly VerifiedDelta[], random: SeededRandom): Op[] {
  const id = before.length === 0 ? 'ab'.repeat(32) : pick(before, random).id
  const target = { by: 'id', id } as const
  const choices: (() => Op[])[] = [
    () => note(`memory number ${n}, ${'word '.repeat(random.below(60))}`),
    () => [{ op: 'tag', target, tag: `tag ${n}` }],
    () => [{ op: 'untag', target, tag: 'a', dots: [`${id}.0`, `${id}.7`] }],
    () => [
      { op: 'link', target, relation: 'related', value: id },
      { op: 'link', target, relation: 'evidence', value: `https://example.org/${n}` }
    ],
    () => [
      { op: 'importance', target, value: random.below(10_001) },
      { op: 'access', target, total: Number.MAX_SAFE_INTEGER }
    ],
    () => [{ op: 'vote', target, verdict: 'confirm', confidence: 9_000, reason: 'seen' } as Op],
    () => [{ op: 'set', target: { by: 'key', key: `key/${n}` }, field: 'expiresAt', value: START_MS }],
    () => [{ op: 'unknown', code: 77, items: [n, fromHex(id), 'later', [true, null]] }],
    () => [{ op: 'set', target: FIRST, field: 'content', value: 'x'.repeat(random.below(4_000)) }]
  ]
  return pick(choices, random)()
}

/** The order of the Ed25519 group, little-endian: adding it to S gives a second signature that a lax verifier accepts. */
const GROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

function malleated(signature: Uint8Array): Uint8Array {
  const s = BigInt(`0x${toHex(signature.slice(32).reverse())}`) + GROUP_ORDER
  return concatBytes(signature.subarray(0, 32), fromHex(s.toString(16).padStart(64, '0')).reverse())
}

/** Well-formed all through, and not what anybody signed: a header with one field changed, parts of different deltas. */
function forgery(x: VerifiedDelta, y: VerifiedDelta, random: SeededRandom): Uint8Array {
  const bodyBytes = random.below(3) === 0 ? y.bodyBytes : x.bodyBytes
  const body = bodyBytes ?? new Uint8Array(0)
  const changes: (() => Partial<DeltaHeader>)[] = [
    () => ({}),
    () => ({ author: y.header.author }),
    () => ({ epoch: toHex(random.bytes(8)) }),
    () => ({ seq: x.header.seq + 1 + random.below(3), prev: y.id }),
    () => ({ hlc: hlcOf(START_MS + random.below(100_000), random.below(65_536)) }),
    () => ({ parents: x.header.parents.slice(1) }),
    () => ({ parents: [y.id] }),
    () => ({ bodyHash: bodyHashOf(verifier, body), bodyLength: body.length }),
    () => ({ flags: random.below(2 ** 32) }),
    () => ({ space: toHex(random.bytes(16)) })
  ]
  const signatures: (() => Uint8Array)[] = [
    () => x.signature,
    () => y.signature,
    () => malleated(x.signature),
    () => verifier.sign(signedMessage(fromHex(x.fingerprint))),
    () => random.bytes(64),
    () => new Uint8Array(64)
  ]
  const headerBytes = encodeHeader({ ...x.header, ...pick(changes, random)() })
  return encodeCanonical([headerBytes, pick(signatures, random)(), random.below(20) === 0 ? null : bodyBytes])
}

/** The bytes as text, as quickly as may be. */
function nameOf(record: Uint8Array): string {
  return Buffer.from(record.buffer, record.byteOffset, record.byteLength).toString('latin1')
}

export class DeltaFuzz {
  readonly #deltas: readonly VerifiedDelta[]
  readonly #records: readonly Uint8Array[]
  readonly #frames: readonly Uint8Array[]
  /** The only records that may ever verify. */
  readonly #genuine: ReadonlySet<string>
  readonly #tally: Tally

  constructor(deltas: readonly VerifiedDelta[], tally: Tally, random: SeededRandom) {
    this.#deltas = deltas
    this.#records = deltas.map(encodeDelta)
    this.#genuine = new Set(this.#records.map(nameOf))
    this.#frames = Array.from({ length: 40 }, () =>
      encodeFrame(Array.from({ length: 1 + random.below(8) }, () => pick(this.#records, random)))
    )
    this.#tally = tally
  }

  record(random: SeededRandom): void {
    const bytes =
      random.below(3) === 0
        ? forgery(pick(this.#deltas, random), pick(this.#deltas, random), random)
        : mutate(pick(this.#records, random), this.#records, random, RECORD_BYTES_MAX + OVERLONG)
    this.#try(bytes, () => this.#tally.count(`record: ${this.judge(bytes)}`))
  }

  frame(random: SeededRandom): void {
    const corpus = random.below(4) === 0 ? this.#records : this.#frames
    const bytes =
      random.below(8) === 0
        ? this.#forgedFrame(random)
        : mutate(pick(this.#frames, random), corpus, random, LIMITS.gossipFrameBytesMax + OVERLONG)
    this.#try(bytes, () => {
      const frame = decodeFrame(bytes)
      this.#tally.count(`gossip: ${frame.ok ? 'opened' : frame.reason}`)
      if (frame.ok) for (const record of frame.value) this.#tally.count(`gossiped record: ${this.judge(record)}`)
    })
  }

  /** What a daemon would say to a record; anything that verifies and is not genuine is noted as forged. */
  judge(record: Uint8Array): string {
    // That genuine records are sound was seen when they were made.
    if (this.#genuine.has(nameOf(record))) return 'genuine'
    const delta = decodeDelta(record, verifier)
    if (!delta.ok) return delta.reason
    const verified = verifyDelta(delta.value, verifier)
    if (!verified.ok) return verified.reason
    this.#tally.forged.push(toHex(record))
    return 'FORGED'
  }

  /** Genuine records around one that is not. */
  #forgedFrame(random: SeededRandom): Uint8Array {
    const records = Array.from({ length: random.below(4) }, () => pick(this.#records, random))
    records.push(forgery(pick(this.#deltas, random), pick(this.#deltas, random), random))
    return encodeFrame(records)
  }

  #try(bytes: Uint8Array, act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#tally.crash(error, bytes)
    }
  }
}
