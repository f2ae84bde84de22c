/**
 * Whom to believe and who may speak here: opinions about authors, what they hide, and the tokens that let agents use the
 * local door with less than the owner's rights.
 */
import { z } from 'zod'
import { LIMITS } from '../../base/limits.ts'
import { REVIEW_REASONS, type ReviewAnswer, type TrustEntry, type TrustList } from '../../node/trust-api.ts'
import { VERBS, type TokenInfo } from '../identity.ts'
import { cursor, opinion, originClass, space, text } from './fields.ts'
import { method } from './method.ts'
import * as views from './views.ts'

const none = z.strictObject({})
const peer = z.string().min(1).max(128).describe('Peer id or raw key')

const entry = z.object({
  peer: z.string(),
  author: z.string(),
  tier: opinion,
  atMs: z.number(),
  reason: z.string().nullable()
}) satisfies z.ZodType<TrustEntry>

const list = z.object({ newcomers: opinion, entries: z.array(entry) }) satisfies z.ZodType<TrustList>

const reviewAnswer = z.object({
  items: z.array(views.memoryItem.extend({ reasons: z.array(z.enum(REVIEW_REASONS)) })),
  cursor: z.string().nullable()
}) satisfies z.ZodType<ReviewAnswer>

const right = z.enum(['r', 'rw'])
const verbs = z.array(z.enum(VERBS)).min(1).max(VERBS.length)

const token = z.object({
  name: z.string(),
  spaces: z.array(z.object({ space: z.string(), right })).nullable(),
  origins: z.array(originClass),
  verbs: z.array(z.enum(VERBS)),
  writesPerSecond: z.number().nullable(),
  createdAtMs: z.number()
}) satisfies z.ZodType<TokenInfo>

export const TRUST_METHODS = {
  'peer.trust': method({
    summary: 'Forms an opinion about an author; everything that author had a hand in feels it at once.',
    access: 'admin',
    params: z.strictObject({
      peer,
      tier: opinion.nullable().describe('null takes the opinion back'),
      reason: text(LIMITS.reasonBytesMax).exactOptional()
    }),
    result: entry
  }),
  'trust.list': method({
    summary: 'Opinions about authors, and what is thought of everybody else.',
    access: 'admin',
    params: none,
    result: list
  }),
  'memory.review': method({
    summary: 'Memories that are hidden for whom they come from, hold odd content, or are disputed; newest first.',
    access: 'read',
    params: z.strictObject({
      space: space.exactOptional(),
      limit: z.int().min(1).max(LIMITS.recallResultsMax).exactOptional(),
      cursor: cursor.exactOptional().describe('From a previous answer')
    }),
    result: reviewAnswer
  }),
  'token.add': method({
    summary: 'Makes a token for an agent; its secret is told in this answer and never again.',
    access: 'admin',
    params: z.strictObject({
      name: text(LIMITS.agentNameBytesMax).describe('Of the agent; signed into what it writes'),
      spaces: z
        .array(z.strictObject({ space, right }))
        .min(1)
        .max(LIMITS.spacesMax)
        .exactOptional()
        .describe('Every space, to read and write, when omitted'),
      origins: z
        .array(originClass)
        .min(1)
        .max(8)
        .exactOptional()
        .describe('What it may claim; the first is its default. `self` when omitted'),
      verbs: verbs.exactOptional().describe('read and write when omitted'),
      writesPerSecond: z.number().min(0.01).max(LIMITS.tokenWritesPerSecondMax).exactOptional()
    }),
    result: z.object({ token, secret: z.string() })
  }),
  'token.list': method({
    summary: 'Tokens of this home, without their secrets.',
    access: 'admin',
    params: none,
    result: z.object({ required: z.boolean(), tokens: z.array(token) })
  }),
  'token.revoke': method({
    summary: 'Takes a token back: whoever shows it, or showed it, is denied from the next request on.',
    access: 'admin',
    params: z.strictObject({ name: text(LIMITS.agentNameBytesMax) }),
    result: z.object({ revoked: z.boolean() })
  })
}
