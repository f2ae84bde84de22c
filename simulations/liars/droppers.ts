/**
 * Those who take and do not give. A dropper sits in the mesh, receives every frame and forwards none, and answers no
 * session: gossip has to find ways around it, and anti-entropy has to live with partners that never answer. The covert
 * ones behave for a while, so that others come to rely on them, and then all turn at one moment.
 *
 * Several droppers around one node, which then has no other links, eclipse it; who links to whom is up to the scenario.
 */
import type { Delta } from '../../src/memory/delta.ts'
import type { Verdict } from '../../src/ports/network.ts'
import { RECON_PROTOCOL } from '../../src/sync/recon-codec.ts'
import { Actor, hasher, type Stage } from './actor.ts'
import { Hoard } from './hoard.ts'

/** All that are covert turn at this time of the world, virtual milliseconds. */
export const TURN_AT_MS = 12_000

export class Dropper extends Actor {
  readonly kind: 'dropper' | 'covert-flash'
  #stage: Stage | undefined = undefined
  #hoard: Hoard | undefined = undefined

  constructor(kind: 'dropper' | 'covert-flash') {
    super()
    this.kind = kind
  }

  protected override prepare(stage: Stage): void {
    const hoard = new Hoard(stage.outsider.space.id, hasher)
    this.#stage = stage
    this.#hoard = hoard
    if (this.kind === 'dropper') {
      // Accepts the channel and falls silent: worse than a refusal, which would be over at once.
      stage.outsider.network.serve(RECON_PROTOCOL, () => this.ended)
      return
    }
    this.serve(
      stage,
      () => hoard,
      (channel) => (this.#honest ? channel : { ...silent(channel), peer: channel.peer })
    )
  }

  get #honest(): boolean {
    return this.kind === 'covert-flash' && (this.#stage?.world.queue.nowMs ?? 0) < TURN_AT_MS
  }

  protected override judge(records: readonly Delta[]): Verdict {
    if (!this.#honest) return 'ignore'
    for (const { record } of records) this.#hoard?.add(record)
    return records.length > 0 ? 'accept' : 'ignore'
  }

  protected act(): void {
    // It only ever reacts.
  }
}

function silent(
  channel: Parameters<Parameters<Stage['outsider']['network']['serve']>[1]>[0]
): Omit<typeof channel, 'peer'> {
  return {
    send: () => Promise.resolve(),
    receive: () => channel.receive(),
    close: () => channel.close(),
    abort: (reason) => channel.abort(reason)
  }
}
