/**
 * Names that follow from other bytes: records, spaces, topics and the key of the range tree.
 *
 * Every hash is SHA-384 over a tag of its own, a zero byte and the parts, so that no value hashed for one purpose can
 * ever be shown for another (docs/WIRE.md §2, §3.5). Parts have fixed widths, except the last.
 *
 * The id and fingerprint of a delta are in memory/fingerprint.ts.
 */
import { assert } from '../base/assert.ts'
import { concatBytes, fromHex, putHex, putUint, toHex, uintBytes, utf8, type Bytes, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { Hasher } from '../ports/crypto.ts'
import { decodeCanonical, encodeCanonical, fitsUtf8, hexOf, isUint, isWellFormed } from './codec.ts'
import { refuse, type Checked } from './delta.ts'
import { hlcMs, type AuthorId, type DeltaId, type Hlc, type RecordId, type SpaceId } from './ids.ts'
import type { Target } from './ops.ts'

const KEY_TAG = utf8('chrysalis/key/1\0')
const RECORD_TAG = utf8('chrysalis/record/1\0')
const SPACE_TAG = utf8('chrysalis/space/1\0')

const RECORD_ID_BYTES = 32
const RANGE_KEY_BYTES = 38
const SPACE_ID_BYTES = 16
const NONCE_BYTES = 16
/** Wall milliseconds fill six bytes: until the year 10,889. */
export const WALL_MS_MAX = 2 ** 48 - 1
/** Longest genesis: version, creator, name, policy, nonce and time at their widest, with their heads. */
const GENESIS_BYTES_MAX = 128 + LIMITS.spaceNameBytesMax

/** The record that every author of `space` means by `key`. */
export function recordIdOfKey(hasher: Hasher, space: SpaceId, key: string): RecordId {
  return truncated(hasher.sha384(concatBytes(KEY_TAG, fromHex(space), utf8(key))), RECORD_ID_BYTES)
}

/** The `ordinal`-th record that `delta` creates. The first has the delta's own id. */
export function recordIdOfOrdinal(hasher: Hasher, delta: DeltaId, ordinal: number): RecordId {
  assert(Number.isInteger(ordinal) && ordinal >= 0 && ordinal <= 0xffff_ffff, 'an ordinal has four bytes')
  if (ordinal === 0) return delta
  return truncated(hasher.sha384(concatBytes(RECORD_TAG, fromHex(delta), uintBytes(ordinal, 4))), RECORD_ID_BYTES)
}

/** The record an operation of `delta` touches. */
export function resolveTarget(hasher: Hasher, space: SpaceId, delta: DeltaId, target: Target): RecordId {
  switch (target.by) {
    case 'id':
      return target.id
    case 'key':
      return recordIdOfKey(hasher, space, target.key)
    case 'ordinal':
      return recordIdOfOrdinal(hasher, delta, target.ordinal)
  }
}

/** 38 bytes, wall milliseconds (6, big-endian) then id (32): the order in which replicas compare their sets. */
export function rangeKey(hlc: Hlc, id: DeltaId): Bytes {
  const key = new Uint8Array(RANGE_KEY_BYTES)
  putHex(id, key, putUint(hlcMs(hlc), key, 0, 6))
  return key
}

/** The gossip topic of a space. */
export function topicOf(space: SpaceId): string {
  return `/chrysalis/1/${space}`
}

/** The wire code of a policy is its place; the list only grows. */
export const SPACE_POLICIES = ['open', 'private'] as const
export type SpacePolicy = (typeof SPACE_POLICIES)[number]

/**
 * The first words of a space, fixed for ever: its id is their hash. `open`: every author inside the network may write.
 * `private`: only the creator's daemon, and nothing leaves it.
 */
export interface Genesis {
  readonly version: 1
  readonly creator: AuthorId
  /** 1 to LIMITS.spaceNameBytesMax bytes; a label for people, not unique. */
  readonly name: string
  readonly policy: SpacePolicy
  /** 16 random bytes, so that two spaces of one name differ. */
  readonly nonce: Hex
  /** Wall milliseconds. */
  readonly createdMs: number
}

/** Throws an AssertionError when a field is out of bounds: names come from a person and are checked at the door. */
export function encodeGenesis(genesis: Genesis): Bytes {
  const { version, creator, name, policy, nonce, createdMs } = genesis
  assert(isWellFormed(name), 'a space name is well-formed text')
  const bytes = encodeCanonical([
    version,
    fromHex(creator),
    name,
    SPACE_POLICIES.indexOf(policy),
    fromHex(nonce),
    createdMs
  ])
  const check = decodeGenesis(bytes)
  assert(check.ok, check.ok ? '' : `genesis: ${check.detail}`)
  return bytes
}

/** Reasons: those of decodeCanonical, `unsupported-version` for a version or policy of later days, `shape`, `too-large`. */
export function decodeGenesis(bytes: Bytes): Checked<Genesis> {
  const decoded = decodeCanonical(bytes, { bytesMax: GENESIS_BYTES_MAX })
  if (!decoded.ok) return decoded
  const items = decoded.value
  if (!Array.isArray(items) || !isUint(items[0])) return refuse('shape', 'a genesis is an array led by its version')
  if (items[0] !== 1) return refuse('unsupported-version', `genesis version ${items[0]}`)
  const [, creatorBytes, name, policyCode, nonceBytes, createdMs] = items as readonly unknown[]
  const creator = hexOf(creatorBytes, 32)
  const nonce = hexOf(nonceBytes, NONCE_BYTES)
  if (items.length !== 6 || creator === undefined || nonce === undefined || !isUint(createdMs, WALL_MS_MAX)) {
    return refuse('shape', 'a genesis is [version, creator, name, policy, nonce, createdMs]')
  }
  if (typeof name !== 'string' || name.length === 0) return refuse('shape', 'a space has a name')
  if (!fitsUtf8(name, LIMITS.spaceNameBytesMax)) return refuse('too-large', 'the space name is too long')
  if (!isUint(policyCode)) return refuse('shape', 'a policy is a number')
  const policy = SPACE_POLICIES[policyCode]
  if (policy === undefined) return refuse('unsupported-version', `space policy ${policyCode}`)
  return { ok: true, value: { version: 1, creator, name, policy, nonce, createdMs } }
}

/** 16 bytes of hash over the genesis exactly as encoded. */
export function spaceIdOf(hasher: Hasher, genesisBytes: Bytes): SpaceId {
  return truncated(hasher.sha384(concatBytes(SPACE_TAG, genesisBytes)), SPACE_ID_BYTES)
}

function truncated(digest: Bytes, byteLength: number): Hex {
  return toHex(digest.subarray(0, byteLength))
}
