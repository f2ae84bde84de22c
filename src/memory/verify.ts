/**
 * From bytes that claim an author to a delta that has one. There is one rule (docs/WIRE.md §4): the key is canonical,
 * not the identity and torsion-free, and the cofactorless Ed25519 equation holds. Verifiers disagree on signatures made
 * with other keys, so the key is judged first; two rules in one network would split it for good.
 *
 * Only this file and memory/seal.ts make a VerifiedDelta. Whether a delta belongs in a space and its author may speak
 * there is decided in trust, whether its time is due in sync.
 */
import { assert } from '../base/assert.ts'
import { fromHex, type Bytes } from '../base/bytes.ts'
import type { Hasher, SignatureCheck, Verifier } from '../ports/crypto.ts'
import { decodeDelta } from './delta-codec.ts'
import { refuse, type Checked, type Delta, type VerifiedDelta } from './delta.ts'
import { signedMessage } from './fingerprint.ts'

/** Reasons: `bad-key`, `bad-signature`. */
export function verifyDelta(delta: Delta, verifier: Verifier): Checked<VerifiedDelta> {
  const check = signatureCheck(delta)
  if (!verifier.keyOk(check.publicKey)) return badKey(delta)
  return judged(delta, verifier.verify(check))
}

/** The same verdict, with the signature checked off the event loop where the platform can. Never rejects. */
export async function verifyDeltaAsync(delta: Delta, verifier: Verifier): Promise<Checked<VerifiedDelta>> {
  const [verdict] = await verifyDeltasAsync([delta], verifier)
  assert(verdict !== undefined, 'one delta has one verdict')
  return verdict
}

/** The verdicts on many deltas, in their order. Each signature is checked by itself; only the waiting is shared. */
export async function verifyDeltasAsync(
  deltas: readonly Delta[],
  verifier: Verifier
): Promise<Checked<VerifiedDelta>[]> {
  // A key is judged before anything is verified with it.
  const checks = deltas.map((delta) => {
    const check = signatureCheck(delta)
    return verifier.keyOk(check.publicKey) ? verifier.verifyAsync(check) : UNSOUND_KEY
  })
  const valid = await Promise.all(checks)
  return deltas.map((delta, i) => {
    const answer = valid[i]
    return answer === 'unsound key' ? badKey(delta) : judged(delta, answer === true)
  })
}

const UNSOUND_KEY = Promise.resolve('unsound key' as const)

/**
 * A delta from a row of our own store. Its hashes are computed again, so that a damaged row is never shown; its
 * signature was checked when it was admitted and nothing unverified is ever stored. The body may have been pruned. The
 * row becomes part of the delta: the store hands out arrays that belong to whoever asked.
 * Reasons as for decodeDelta.
 */
export function restoreDelta(bytes: Bytes, hasher: Hasher): Checked<VerifiedDelta> {
  const delta = decodeDelta(bytes, hasher, { prunedAllowed: true, owned: true })
  return delta.ok ? { ok: true, value: delta.value as VerifiedDelta } : delta
}

function signatureCheck(delta: Delta): SignatureCheck {
  return {
    publicKey: fromHex(delta.header.author),
    message: signedMessage(fromHex(delta.fingerprint)),
    signature: delta.signature
  }
}

function badKey(delta: Delta): Checked<VerifiedDelta> {
  return refuse('bad-key', `the author ${delta.header.author} is not a sound Ed25519 key`)
}

function judged(delta: Delta, valid: boolean): Checked<VerifiedDelta> {
  if (!valid) return refuse('bad-signature', `delta ${delta.id} was not signed by its author`)
  return { ok: true, value: delta as VerifiedDelta }
}
