/**
 * What is looked at before a local write becomes a signed delta that nobody can take back: that it holds no secret, and
 * where its words come from. Sizes and normal forms are the business of memory/compose.ts.
 *
 * An origin is said by the daemon, for the agent behind the door: the class the caller was allowed to claim, `derived`
 * beside it when it was made from other memories, and, for what it was made from in spaces its readers cannot see, a
 * class that is worth no more than that.
 */
import { ChrysalisError } from '../base/errors.ts'
import { composeOrigins } from '../memory/compose.ts'
import type { KnownOp, OriginClass, Target } from '../memory/ops.ts'
import { secretIn } from '../trust/secrets.ts'
import type { TrustTier } from '../trust/tier.ts'
import type { WriteOrigin } from './api.ts'

/** Classes that say where new words came from; whatever these make of other memories is derived as well. */
const OWN_WORDS: readonly OriginClass[] = ['user', 'self', 'tool']

/** A class that is worth as much as a memory of this tier; undefined for one that may be believed as it is. */
const CLASS_OF_TIER: Readonly<Record<TrustTier, OriginClass | undefined>> = {
  blocked: 'document',
  untrusted: 'document',
  unknown: 'import',
  known: 'peer',
  trusted: undefined,
  validated: undefined
}

/** Fields of requests that end up in a delta as text, alone or in lists. */
interface Texts {
  readonly content?: unknown
  readonly key?: unknown
  readonly path?: unknown
  readonly source?: unknown
  readonly reason?: unknown
  readonly to?: unknown
  readonly evidence?: unknown
  readonly tags?: unknown
  readonly tagsAdd?: unknown
}

/**
 * Throws `secret_refused` when a text looks like it holds a secret and the caller has not said that this is meant. The
 * error names the field and the kind, never the text.
 */
export function refuseSecrets(request: Texts, allowed?: boolean): void {
  if (allowed === true) return
  refuseSecret('content', request.content)
  refuseSecret('key', request.key)
  refuseSecret('path', request.path)
  refuseSecret('source', request.source)
  refuseSecret('reason', request.reason)
  refuseSecret('to', request.to)
  refuseSecret('evidence', request.evidence)
  refuseSecret('tags', request.tags)
  refuseSecret('tagsAdd', request.tagsAdd)
}

/** `value`: a text, a list of them, or anything else, which is refused elsewhere. */
function refuseSecret(field: string, value: unknown): void {
  if (Array.isArray(value)) {
    for (const one of value as readonly unknown[]) if (!Array.isArray(one)) refuseSecret(field, one)
    return
  }
  const kind = typeof value === 'string' ? secretIn(value) : undefined
  if (kind === undefined) return
  throw new ChrysalisError(
    'secret_refused',
    `${field}: this looks like it holds a secret (${kind}); nothing was written`,
    {
      hint: 'What is written here goes to every member and is never deleted. Leave the secret out, or pass allowSecret (--allow-secret) if it is none.',
      data: { field, kind }
    }
  )
}

/** What the author says of where its words come from; `basis` are the tiers of what they were made from elsewhere. */
export function originsOf(
  target: Target,
  { origin = 'self', agent }: WriteOrigin,
  made: { readonly derived: boolean; readonly basis: readonly TrustTier[] }
): KnownOp[] {
  const classes = new Set<OriginClass>([origin])
  if (made.derived && OWN_WORDS.includes(origin)) classes.add('derived')
  for (const tier of made.basis) {
    const worth = CLASS_OF_TIER[tier]
    if (worth !== undefined) classes.add(worth)
  }
  return composeOrigins(target, [...classes], agent ?? null)
}
