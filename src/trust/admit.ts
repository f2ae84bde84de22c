/**
 * Who may write in a space: the one admission function. It is a pure function of a delta's header and of the facts the
 * space was founded with, so that every daemon that holds the space decides alike and at any time; a clock, a quota, a
 * score or an opinion never enters here. What it refuses is counted and shown by the caller, never thrown away unseen.
 *
 * `open` admits every author: the network itself is closed by its key, and who got in may speak. `private` admits only
 * the founder, and such a space never leaves the daemon that made it. A membership list is one more case of the switch
 * below, with its certificates as further facts.
 *
 * Encoding, sizes, hashes and signature are not looked at here (memory/verify.ts did), nor who is to be believed.
 */
import { unreachable } from '../base/assert.ts'
import { refuse, type DeltaHeader, type RejectReason } from '../memory/delta.ts'
import type { AuthorId, SpaceId } from '../memory/ids.ts'
import type { SpacePolicy } from '../memory/names.ts'

/** What the genesis of a space says, and everything admission may depend on. */
export interface SpaceFacts {
  readonly space: SpaceId
  readonly policy: SpacePolicy
  /** The author who founded the space. In a private space that is this daemon itself. */
  readonly creator: AuthorId
}

export type Admission =
  { readonly ok: true } | { readonly ok: false; readonly reason: RejectReason; readonly detail: string }

const ADMITTED: Admission = { ok: true }

/** Whether a delta with this header belongs in the space of `facts`. A refusal is final: the same header is refused everywhere. */
export function admit(header: DeltaHeader, facts: SpaceFacts): Admission {
  if (header.space !== facts.space) {
    return refuse('wrong-space', `the delta is of space ${header.space}, not of ${facts.space}`)
  }
  switch (facts.policy) {
    case 'open':
      return ADMITTED
    case 'private':
      if (header.author === facts.creator) return ADMITTED
      return refuse('wrong-space', `the space is private: only ${facts.creator} writes in it, not ${header.author}`)
    default:
      return unreachable(facts.policy)
  }
}
