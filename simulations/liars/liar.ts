/**
 * Actors that break the rules on purpose (the ten of the threat model, and some of their relatives). Each works through
 * the same network port as a daemon does, with an identity of its own and no engine behind it: what it can do to the
 * others a stranger inside the network can do as well. None of them ever holds the key of an honest daemon.
 *
 * A liar draws all its chance from the stream it is given and all its time from the world's queue.
 */
import type { Random } from '../../src/ports/random.ts'
import type { SimOutsider } from '../world/sim-outsider.ts'
import type { World } from '../world/world.ts'
import { Dropper } from './droppers.ts'
import { Equivocator, RollbackClone } from './double-signers.ts'
import { BadSigner, MixedOrderSigner } from './forgers.ts'
import { OrphanFlooder, Replayer, TimeLiar, VoteStuffer } from './spammers.ts'
import { ReconLiar, Withholder } from './session-liars.ts'

export const LIAR_KINDS = {
  'bad-signature': 'sends deltas unsigned, signed by the wrong key, altered after signing, or with another body',
  equivocator: 'signs twins with its own key and tells one half of the peers this and the other half that',
  replayer: 'repeats old frames, in the same and in other frames, and frames of another network and another space',
  withholder: 'names deltas in sessions and never hands them over',
  'recon-liar': 'opens and answers sessions with false digests, false counts, endless splits and plain rubbish',
  'orphan-flooder': 'sends soundly signed deltas by the hundred whose parents nobody has ever written',
  'time-liar': 'dates its deltas years ahead, just within the lead, and long ago',
  'vote-stuffer': 'votes under a crowd of identities it made up, and twice under its own',
  'mixed-order-key': 'signs with keys of small and of mixed order, on which careless verifiers disagree',
  'rollback-clone': 'goes back to an older state of its own log and writes its next numbers a second time',
  dropper: 'takes part in gossip and forwards nothing; answers no session',
  'covert-flash': 'is a model citizen for some time; then, at one moment with all others of its kind, a dropper'
} as const

export type LiarKind = keyof typeof LIAR_KINDS

export interface Liar {
  readonly kind: LiarKind
  /** Resolves once it has begun; what it does goes on in virtual time. The outsider is not started yet. */
  start(outsider: SimOutsider, world: World, random: Random): Promise<void>
  /** No more lies. The outsider leaves the network. Idempotent. */
  stop(): Promise<void>
}

export function createLiar(kind: LiarKind): Liar {
  switch (kind) {
    case 'bad-signature':
      return new BadSigner()
    case 'equivocator':
      return new Equivocator()
    case 'replayer':
      return new Replayer()
    case 'withholder':
      return new Withholder()
    case 'recon-liar':
      return new ReconLiar()
    case 'orphan-flooder':
      return new OrphanFlooder()
    case 'time-liar':
      return new TimeLiar()
    case 'vote-stuffer':
      return new VoteStuffer()
    case 'mixed-order-key':
      return new MixedOrderSigner()
    case 'rollback-clone':
      return new RollbackClone()
    case 'dropper':
    case 'covert-flash':
      return new Dropper(kind)
  }
}
