/**
 * Who is at the door, and what that one may do. A connection without a token is the owner of the daemon: whoever can
 * open the socket is the user who started it. A token narrows that down for one agent: to some spaces, some kinds of
 * acts, some origins and a pace. What follows from an identity is enforced in one place, rpc/guarded-node.ts.
 */
import { ChrysalisError } from '../base/errors.ts'
import { ORIGIN_CLASSES, type OriginClass } from '../memory/ops.ts'
import type { Pace } from './pace.ts'

export const VERBS = ['read', 'write', 'admin'] as const
export type Verb = (typeof VERBS)[number]

/** `r` reads, `rw` writes as well. */
export type SpaceRight = 'r' | 'rw'

export interface Identity {
  /** The name of the token; null for the owner. Signed into what it writes. */
  readonly agent: string | null
  /** What it may see, by space id or name; null: every space, to read and write. */
  readonly spaces: ReadonlyMap<string, SpaceRight> | null
  /** Origins it may claim. What is worth less than the best of them it may always claim. The first is its default. */
  readonly origins: readonly OriginClass[]
  readonly verbs: readonly Verb[]
  /** null: as fast as it can. */
  readonly writesPerSecond: number | null
  /** Names the conversation: what was shown in it is known to have been shown. */
  readonly session: string
  /** Shared by all who show the same token; a pace of its own when absent. */
  readonly pace?: Pace
  /** Asked at every request: a token that is taken back is worth nothing from then on. */
  readonly revoked?: () => boolean
}

/** The user who started the daemon. */
export const OWNER: Identity = {
  agent: null,
  spaces: null,
  origins: ['self', ...ORIGIN_CLASSES.filter((origin) => origin !== 'self')],
  verbs: VERBS,
  writesPerSecond: null,
  session: 'owner'
}

/** Somebody who has not shown the token that is asked for. */
export const NOBODY: Identity = {
  agent: null,
  spaces: new Map(),
  origins: [],
  verbs: [],
  writesPerSecond: null,
  session: 'nobody'
}

/** The same one in another conversation. */
export function inSession(identity: Identity, session: string): Identity {
  return { ...identity, session }
}

/** Throws `denied` unless the identity may do such things at all. Where it may do them the guarded node decides. */
export function permit(identity: Identity, verb: Verb, what: string): void {
  if (identity.revoked?.() === true) {
    throw new ChrysalisError('denied', `The token ${identity.agent ?? ''} has been revoked: ${what} was refused.`, {
      hint: 'Nothing was done. Ask the owner of the daemon for a new token.',
      data: { verb }
    })
  }
  if (identity.verbs.includes(verb)) return
  const who = identity.agent === null ? 'A client without a token' : `The token ${identity.agent}`
  throw new ChrysalisError('denied', `${who} may not ${PHRASE[verb]}: ${what} was refused and nothing was done.`, {
    hint:
      identity.verbs.length === 0
        ? 'This daemon asks for a token: set CHRYSALIS_TOKEN, or pass it to rpc.hello. `chrysalis token add` makes one.'
        : 'Ask the owner of the daemon for a token that may.',
    data: { verb }
  })
}

const PHRASE: Readonly<Record<Verb, string>> = { read: 'read', write: 'write', admin: 'change the daemon itself' }

/** What is known of a token without its secret. */
export interface TokenInfo {
  readonly name: string
  readonly spaces: readonly { readonly space: string; readonly right: SpaceRight }[] | null
  readonly origins: readonly OriginClass[]
  readonly verbs: readonly Verb[]
  readonly writesPerSecond: number | null
  readonly createdAtMs: number
}

export interface TokenRequest {
  readonly name: string
  /** Every space when omitted. */
  readonly spaces?: readonly { readonly space: string; readonly right: SpaceRight }[]
  /** `self` when omitted. */
  readonly origins?: readonly OriginClass[]
  /** read and write when omitted. */
  readonly verbs?: readonly Verb[]
  readonly writesPerSecond?: number
}

/** The tokens of a home. Methods reject with ChrysalisError only. */
export interface Tokens {
  /** Whether a client must show one before anything else. */
  readonly required: boolean
  /** Whose token it is. Throws `denied` for one that is unknown or revoked, `config` when the list cannot be read. */
  identify(secret: string): Identity
  /** Makes a token; `secret` is told here once and never again. Rejects with `conflict` for a name that is taken. */
  add(request: TokenRequest): Promise<{ readonly token: TokenInfo; readonly secret: string }>
  list(): readonly TokenInfo[]
  /** From the next request on nobody may act by it. Rejects with `not_found`. */
  revoke(name: string): Promise<void>
}
