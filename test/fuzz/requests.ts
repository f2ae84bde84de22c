/**
 * The small conversations of the reconciliation protocol, an outline and deltas by id, with one side hurt: a daemon that is
 * asked nonsense answers or hangs up, one that is answered nonsense has an error to show; neither waits for ever.
 */
import { toHex } from '../../src/base/bytes.ts'
import { isChrysalisError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { SeededRandom } from '../../src/base/prng.ts'
import { encodeDelta } from '../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../src/memory/delta.ts'
import { rangeKey } from '../../src/memory/names.ts'
import { requestDeltas, requestOutline, runResponder, type SessionPorts } from '../../src/node/reconcile-driver.ts'
import type { Channel } from '../../src/ports/network.ts'
import { DeltaSet } from '../../src/sync/delta-set.ts'
import { encodeReconFrame } from '../../src/sync/recon-codec.ts'
import { identity, SPACE } from '../support/sealed.ts'
import { KeyShelf } from '../support/session-wire.ts'
import type { DeltaFuzz, Tally } from './deltas.ts'
import { mutate, pick } from './mutate.ts'

const NOW_MS = 1_700_000_000_000 + 3_600_000
const OVERLONG = 4_096
const hasher = identity(97)

/** Frames said beforehand; then the peer is gone. */
class Script implements Channel {
  readonly peer = 'a stranger'
  readonly sent: Uint8Array[] = []
  readonly #frames: Uint8Array[]

  constructor(frames: readonly Uint8Array[]) {
    this.#frames = [...frames]
  }

  send(frame: Uint8Array): Promise<void> {
    this.sent.push(frame)
    return Promise.resolve()
  }

  receive(): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#frames.shift())
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  abort(): void {
    this.#frames.length = 0
  }
}

export class RequestFuzz {
  readonly #tally: Tally
  readonly #set = new DeltaSet(hasher)
  readonly #ids: string[]
  readonly #ports: SessionPorts
  readonly #requests: Uint8Array[]
  readonly #answers: Uint8Array[]
  readonly #judge: (record: Uint8Array) => string

  constructor(deltas: readonly VerifiedDelta[], fuzz: DeltaFuzz, tally: Tally) {
    this.#tally = tally
    this.#judge = (record) => fuzz.judge(record)
    const shelf = new KeyShelf()
    for (const delta of deltas) {
      const key = rangeKey(delta.header.hlc, delta.id)
      this.#set.insert(key)
      shelf.put(key, encodeDelta(delta))
    }
    this.#ids = deltas.map(({ id }) => id).sort()
    this.#ports = {
      // Nothing here takes time; a timer that would have to fire is a conversation without an end, and shows as one.
      clock: { nowMs: () => NOW_MS, monotonicMs: () => 0, setTimer: () => () => undefined },
      load: (keys) => Promise.resolve(shelf.load(keys)),
      loadShort: (_space, shorts) => Promise.resolve(shelf.loadShort(shorts)),
      deliver: (records) => Promise.resolve({ accepted: 0, known: records.length, refused: 0 })
    }
    const ids = this.#ids.slice(0, 40)
    this.#requests = [
      encodeReconFrame({ frame: 'outline', space: SPACE, prefix: '', partDeltasMax: 10 }),
      encodeReconFrame({ frame: 'outline', space: SPACE, prefix: '018', partDeltasMax: 1 }),
      encodeReconFrame({ frame: 'fetch', space: SPACE, ids })
    ]
    this.#answers = [
      encodeReconFrame({ frame: 'parts', parts: [{ prefix: '018b', count: 7 }] }),
      encodeReconFrame({ frame: 'refused', reason: 'busy' }),
      encodeReconFrame({
        frame: 'fetched',
        last: true,
        records: deltas.filter(({ id }) => ids.includes(id)).map(encodeDelta)
      })
    ]
  }

  /** One conversation; answers how many hurt frames were in it. */
  async run(corpus: readonly Uint8Array[], random: SeededRandom): Promise<number> {
    const asked = random.below(2) === 0
    const from = asked ? this.#requests : this.#answers
    const count = asked ? 1 : 1 + random.below(3)
    const frames = Array.from({ length: count }, () =>
      mutate(pick(from, random), random.below(2) === 0 ? from : corpus, random, LIMITS.reconFrameBytesMax + OVERLONG)
    )
    const channel = new Script(frames)
    try {
      if (asked) await this.#answer(channel)
      else await this.#ask(channel, random)
    } catch (error) {
      this.#tally.crash(error, frames[0] ?? new Uint8Array(0))
    }
    for (const frame of channel.sent) {
      if (frame.length > LIMITS.reconFrameBytesMax) this.#tally.crash(new Error('a frame too long'), frame)
    }
    return count
  }

  async #answer(channel: Script): Promise<void> {
    const find = (): ReturnType<DeltaSet['snapshot']> => this.#set.snapshot()
    const outcome = await runResponder(channel, { find, nonce: () => new Uint8Array(16), hasher }, this.#ports)
    const verdict = outcome === undefined ? 'answered' : (outcome.violation ?? outcome.result)
    this.#tally.count(`request: ${verdict}`)
  }

  async #ask(channel: Script, random: SeededRandom): Promise<void> {
    try {
      if (random.below(2) === 0) {
        const request = { space: SPACE, prefix: '', partDeltasMax: 10 }
        const parts = await requestOutline(channel, request, this.#ports)
        if (parts.length > LIMITS.reconPartsMax) throw new Error('more parts than there may be')
      } else {
        const records = await requestDeltas(channel, { space: SPACE, ids: this.#ids.slice(0, 40) }, this.#ports)
        if (records.length > 40) throw new Error('more records than were asked for')
        for (const record of records) this.#tally.count(`fetched record: ${this.#judge(record)}`)
      }
      this.#tally.count('answer: taken')
    } catch (error) {
      if (!isChrysalisError(error)) throw error
      const violation = error.data?.['violation']
      this.#tally.count(`answer: ${typeof violation === 'string' ? violation : error.code}`)
    }
  }

  /** For the record of a run: which set was asked about. */
  get root(): string {
    return toHex(this.#set.tree.root())
  }
}
