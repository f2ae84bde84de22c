/**
 * The deltas a liar shows in sessions: a set as honest daemons keep it, so that the honest machines of both sides can run
 * over it, and records for some of its keys. A key without a record is a promise nobody will keep. Bounded: what does not
 * fit is not learnt.
 */
import { toHex, type Bytes } from '../../src/base/bytes.ts'
import type { SpaceId } from '../../src/memory/ids.ts'
import type { SessionPorts } from '../../src/node/session-pump.ts'
import type { Hasher } from '../../src/ports/crypto.ts'
import { DeltaSet, type SetSnapshot } from '../../src/sync/delta-set.ts'
import { deltaReader } from '../../src/sync/recon-session.ts'

const RECORDS_MAX = 5_000
const SHORT_FROM = 6
const SHORT_BYTES = 8

export class Hoard {
  readonly space: SpaceId
  readonly hasher: Hasher
  readonly #set: DeltaSet
  readonly #records = new Map<string, Bytes>()
  /** Whether what it is asked for is handed over. */
  readonly #generous: boolean

  constructor(space: SpaceId, hasher: Hasher, options: { readonly generous?: boolean } = {}) {
    this.space = space
    this.hasher = hasher
    this.#set = new DeltaSet(hasher)
    this.#generous = options.generous ?? true
  }

  snapshot(): SetSnapshot {
    return this.#set.snapshot()
  }

  get size(): number {
    return this.#records.size
  }

  /** Takes a record in, unread but for its head. False when it is no record of this space, is known, or does not fit. */
  add(record: Bytes): boolean {
    const key = deltaReader(this.hasher).key(record, this.space)
    if (key === undefined || this.#records.size >= RECORDS_MAX || !this.#set.insert(key)) return false
    this.#records.set(toHex(key), record.slice())
    return true
  }

  /** Claims a delta that does not exist. */
  claim(key: Bytes): void {
    this.#set.insert(key)
  }

  /** What a session of it reads and writes. */
  ports(clock: SessionPorts['clock'], heard: (record: Bytes) => void = () => undefined): SessionPorts {
    return {
      clock,
      load: (keys) => Promise.resolve(this.#generous ? keys.flatMap((key) => this.#records.get(toHex(key)) ?? []) : []),
      loadShort: (_, shorts) => Promise.resolve(this.#generous ? this.#byShort(shorts) : []),
      deliver: (records) => {
        let accepted = 0
        for (const record of records) {
          if (!this.add(record)) continue
          accepted++
          heard(record)
        }
        return Promise.resolve({ accepted, known: records.length - accepted, refused: 0 })
      }
    }
  }

  #byShort(shorts: readonly Bytes[]): Bytes[] {
    const wanted = new Set(shorts.map(toHex))
    const found: Bytes[] = []
    for (const [key, record] of this.#records) {
      if (wanted.has(key.slice(2 * SHORT_FROM, 2 * (SHORT_FROM + SHORT_BYTES)))) found.push(record)
    }
    return found
  }
}
