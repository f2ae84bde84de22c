/**
 * The words of the schema: ids, texts, fractions and times, each with the bound it has everywhere else. A request is
 * checked with these before anything looks at it, so a bound is stated once, in base/limits, and refused here with a
 * sentence. Texts are measured in bytes of UTF-8, and a text with half a surrogate pair is refused: it would silently
 * become another text in the canonical bytes.
 */
import { z } from 'zod'
import { utf8 } from '../../base/bytes.ts'
import { LIMITS } from '../../base/limits.ts'
import { DOCUMENT_TYPES, KINDS, MEMORY_TYPES, ORIGIN_CLASSES, RELATIONS, VERDICTS } from '../../memory/ops.ts'
import { OPINIONS, TRUST_TIERS } from '../../node/trust-api.ts'

/** With the `u` flag a whole pair is one character, so this finds lone halves only. */
const LONE_SURROGATE = /\p{Surrogate}/u

/** A non-empty text of at most `bytesMax` bytes of UTF-8. */
export function text(bytesMax: number) {
  return z
    .string()
    .min(1)
    .refine((value) => utf8(value).length <= bytesMax, `must be at most ${bytesMax} bytes of UTF-8`)
    .refine((value) => !LONE_SURROGATE.test(value), 'holds half a surrogate pair, which has no UTF-8')
}

/** A record: full id, a unique prefix, or the key it was made with. */
export const reference = z
  .string()
  .max(LIMITS.keyBytesMax + 4)
  .regex(/^(?:[0-9a-f]{6,64}|key:[^]+)$/, 'must be an id, a prefix of at least 6 hexadecimal digits, or key:NAME')

/** 32 bytes, full. */
export const fullId = z.string().regex(/^[0-9a-f]{64}$/)
export const space = text(LIMITS.spaceNameBytesMax).describe('Name or id of the space; the default space when omitted')
export const fraction = z.number().min(0).max(1)
/** Wall milliseconds since 1970; a hybrid time holds 48 bits of them. */
export const timeMs = z
  .int()
  .min(0)
  .max(2 ** 48 - 1)
export const durationMs = z.int().min(1).max(LIMITS.rpcTimeoutMsMax)
export const count = z.int().min(0)
export const cursor = z.string().max(256)
export const tag = text(LIMITS.tagBytesMax)
export const tags = z.array(tag).max(LIMITS.tagsPerRequestMax)
export const references = z.array(reference).max(LIMITS.linksPerRequestMax)

export const kind = z.enum(KINDS)
export const memoryType = z.enum(MEMORY_TYPES)
export const documentType = z.enum(DOCUMENT_TYPES)
export const relation = z.enum(RELATIONS)
export const verdict = z.enum(VERDICTS)
export const originClass = z.enum(ORIGIN_CLASSES)
export const trustTier = z.enum(TRUST_TIERS)
export const opinion = z.enum(OPINIONS)

/** When a write is acknowledged. */
export const ack = z
  .union([
    z.literal('disk'),
    z.strictObject({
      replicas: z.int().min(1).max(LIMITS.connectionsMax),
      timeoutMs: durationMs.default(10_000)
    })
  ])
  .describe('`disk` (default) or {replicas, timeoutMs}: also wait until that many peers hold it')
