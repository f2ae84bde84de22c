/**
 * Liars in reconciliation. The withholder names what it never hands over: deltas that exist and deltas that do not, so
 * that nobody ever comes to an end with it. The other one runs the honest machines and alters what they say on its way
 * out: bytes of digests, counts, whole frames; or says things out of turn, or rubbish, or the same thing again and again.
 */
import { encodeReconFrame, type Frame } from '../../src/sync/recon-codec.ts'
import type { Delta } from '../../src/memory/delta.ts'
import { joinRangeKey } from '../../src/sync/replica.ts'
import { toHex } from '../../src/base/bytes.ts'
import type { Channel, Verdict } from '../../src/ports/network.ts'
import type { Random } from '../../src/ports/random.ts'
import { Actor, hasher, type Stage } from './actor.ts'
import { Hoard } from './hoard.ts'

/** Phantoms in all: enough to fill several leaves of a tree. */
const PHANTOMS_MAX = 300
const PHANTOMS_EACH = 10

export class Withholder extends Actor {
  readonly kind = 'withholder'
  #hoard: Hoard | undefined = undefined
  #phantoms = 0

  protected override get intervalMs(): number {
    return 2_000
  }

  protected override prepare(stage: Stage): void {
    const hoard = new Hoard(stage.outsider.space.id, hasher, { generous: false })
    this.#hoard = hoard
    this.serve(stage, () => hoard)
  }

  /** It knows of everything and passes on nothing. */
  protected override judge(records: readonly Delta[]): Verdict {
    for (const { record } of records) this.#hoard?.add(record)
    return 'ignore'
  }

  protected async act(stage: Stage): Promise<void> {
    const { random, outsider } = stage
    for (let i = 0; i < PHANTOMS_EACH && this.#phantoms < PHANTOMS_MAX; i++) {
      this.#phantoms++
      // Old enough that a peer misses it at once.
      this.#hoard?.claim(joinRangeKey(outsider.clock.nowMs() - 5_000 - random.below(60_000), toHex(random.bytes(32))))
    }
    const peer = this.somePeer(stage)
    if (peer !== undefined && this.#hoard !== undefined) await this.meet(stage, peer, this.#hoard)
  }
}

export class ReconLiar extends Actor {
  readonly kind = 'recon-liar'
  #hoard: Hoard | undefined = undefined

  protected override prepare(stage: Stage): void {
    const { outsider, random } = stage
    const hoard = new Hoard(outsider.space.id, hasher)
    this.#hoard = hoard
    this.serve(
      stage,
      () => hoard,
      (channel) => distorted(channel, random)
    )
  }

  protected override judge(records: readonly Delta[]): Verdict {
    for (const { record } of records) this.#hoard?.add(record)
    return records.length > 0 ? 'accept' : 'ignore'
  }

  protected async act(stage: Stage): Promise<void> {
    const { random } = stage
    const hoard = this.#hoard
    const peer = this.somePeer(stage)
    if (peer === undefined || hoard === undefined) return
    // Ever new claims: trees that differ in other places each time are asked into again and again.
    for (let i = 0; i < PHANTOMS_EACH; i++) {
      hoard.claim(joinRangeKey(stage.outsider.clock.nowMs() - 5_000 - random.below(60_000), toHex(random.bytes(32))))
    }
    await this.meet(stage, peer, hoard, (channel) => distorted(channel, random))
  }
}

/** Of a hundred frames about forty go out as they are: a liar that never tells the truth is found out too soon. */
function distorted(channel: Channel, random: Random): Channel {
  const send = async (frame: Uint8Array): Promise<void> => {
    const lie = random.unit()
    if (lie < 0.4) await channel.send(frame)
    else if (lie < 0.65) await channel.send(bent(frame, random))
    else if (lie < 0.75) await channel.send(frame.slice(0, random.below(frame.length) + 1))
    else if (lie < 0.85) for (let i = 0; i < 3; i++) await channel.send(frame)
    else if (lie < 0.95) await channel.send(encodeReconFrame(outOfTurn(random)))
    else await channel.send(random.bytes(1 + random.below(200)))
  }
  return {
    peer: channel.peer,
    send,
    receive: () => channel.receive(),
    close: () => channel.close(),
    abort: (reason) => channel.abort(reason)
  }
}

/** A few bytes changed behind the code: digests, counts, ids. */
function bent(frame: Uint8Array, random: Random): Uint8Array {
  const copy = frame.slice()
  for (let i = 0; i < 3 && copy.length > 1; i++) copy[1 + random.below(copy.length - 1)] = random.below(256)
  return copy
}

function outOfTurn(random: Random): Frame {
  switch (random.below(5)) {
    case 0:
      return { frame: 'equal' }
    case 1:
      return { frame: 'deltas', last: false, cut: false, skipped: 1_000_000, records: [] }
    case 2:
      return { frame: 'diff', greeting: { count: 2 ** 40, nowMs: 0 }, complete: true, pushes: 5_000, wants: [] }
    case 3:
      return { frame: 'ack', accepted: 1_000, known: 1_000, refused: 1_000 }
    default:
      return { frame: 'tree', greeting: undefined, nonce: random.bytes(16), estimate: 2 ** 30, body: random.bytes(64) }
  }
}
