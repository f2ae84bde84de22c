/**
 * How liars make deltas. A pen signs soundly for one identity and keeps a chain of its own, whose place it can be told to
 * forget; `forge` puts a record together from whatever header, signature and body it is given, sound or not.
 */
import { toHex, type Bytes, type Hex } from '../../src/base/bytes.ts'
import { encodeDelta, encodeHeader } from '../../src/memory/delta-codec.ts'
import type { Delta, DeltaHeader } from '../../src/memory/delta.ts'
import { bodyHashOf } from '../../src/memory/fingerprint.ts'
import { hlcOf, type DeltaId, type RecordId, type SpaceId } from '../../src/memory/ids.ts'
import { encodeBody } from '../../src/memory/ops-codec.ts'
import type { Op, Target } from '../../src/memory/ops.ts'
import { sealDelta } from '../../src/memory/seal.ts'
import type { Crypto, Hasher } from '../../src/ports/crypto.ts'
import type { Random } from '../../src/ports/random.ts'

/** A place in a chain. */
export interface Place {
  readonly seq: number
  readonly prev: DeltaId | null
}

export interface Penmanship {
  /** Wall milliseconds of its date; the time it is given otherwise. */
  readonly dateMs?: number
  readonly counter?: number
  readonly parents?: readonly DeltaId[]
  /** Instead of the next place of the chain, which then does not move. */
  readonly place?: Place
  readonly space?: SpaceId
}

export class Pen {
  readonly crypto: Crypto
  readonly #space: SpaceId
  readonly #epoch: Hex
  #place: Place = { seq: 0, prev: null }

  constructor(crypto: Crypto, space: SpaceId, random: Random) {
    this.crypto = crypto
    this.#space = space
    this.#epoch = toHex(random.bytes(8))
  }

  /** Where the next delta goes. */
  get place(): Place {
    return this.#place
  }

  /** From here on it continues at a place where it may have been before. */
  goBackTo(place: Place): void {
    this.#place = place
  }

  write(ops: readonly Op[], nowMs: number, how: Penmanship = {}): Delta {
    const { seq, prev } = how.place ?? this.#place
    const delta = sealDelta(
      {
        space: how.space ?? this.#space,
        epoch: this.#epoch,
        seq,
        prev,
        hlc: hlcOf(how.dateMs ?? nowMs, how.counter ?? 0),
        parents: how.parents ?? [],
        ops
      },
      this.crypto
    )
    if (how.place === undefined) this.#place = { seq: seq + 1, prev: delta.id }
    return delta
  }
}

/** A record that nobody would seal. The hash of the body is that of `ops` unless the header names another. */
export function forge(
  header: Omit<DeltaHeader, 'bodyHash' | 'bodyLength'> & { readonly bodyHash?: Hex },
  ops: readonly Op[],
  hasher: Hasher,
  sign: (headerBytes: Bytes) => Bytes
): Bytes {
  const bodyBytes = encodeBody(ops)
  const headerBytes = encodeHeader({
    ...header,
    bodyHash: header.bodyHash ?? bodyHashOf(hasher, bodyBytes),
    bodyLength: bodyBytes.length
  })
  return encodeDelta({ headerBytes, signature: sign(headerBytes), bodyBytes })
}

// --- what they write

const FIRST: Target = { by: 'ordinal', ordinal: 0 }

/** A memory of its own. */
export function note(content: string): Op[] {
  return [
    { op: 'create', target: FIRST, documentType: 'memory', memoryType: null, source: null },
    { op: 'set', target: FIRST, field: 'content', value: content },
    { op: 'tag', target: FIRST, tag: 'lies' }
  ]
}

/** Meddles with a memory of others. */
export function meddle(id: RecordId, content: string): Op[] {
  const target: Target = { by: 'id', id }
  return [
    { op: 'set', target, field: 'content', value: content },
    { op: 'tag', target, tag: 'lies' },
    { op: 'importance', target, value: 10_000 }
  ]
}

export function vote(id: RecordId, verdict: 'confirm' | 'flag', confidence: number): Op[] {
  return [{ op: 'vote', target: { by: 'id', id }, verdict, confidence, reason: null }]
}
