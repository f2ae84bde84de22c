/**
 * embed.*: the model behind the likeness of meaning. With `embed.provider = "client"` a process of an agent is the model:
 * it asks which texts wait, and puts their vectors; nothing else in this group changes anything.
 */
import { z } from 'zod'
import { LIMITS } from '../../base/limits.ts'
import type { EmbedPending, EmbedStatus, EmbedTest } from '../../node/embed-api.ts'
import { text } from './fields.ts'
import { method } from './method.ts'

const none = z.strictObject({})
const vector = z
  .array(z.number())
  .min(1)
  .max(LIMITS.embedDimensionsMax)
  .describe('Of any length above zero: only the direction counts')

const statusAnswer = z.object({
  provider: z.enum(['off', 'ollama', 'openai', 'client']),
  model: z.string().nullable(),
  dimensions: z.number().nullable(),
  state: z.enum(['off', 'on', 'stale', 'unavailable']),
  reason: z.string().nullable(),
  texts: z.number(),
  indexed: z.number(),
  waiting: z.number(),
  refused: z.number()
}) satisfies z.ZodType<EmbedStatus>

const testAnswer = z.object({
  ok: z.literal(true),
  model: z.string(),
  dimensions: z.number(),
  tookMs: z.number()
}) satisfies z.ZodType<EmbedTest>

const pendingAnswer = z.object({
  model: z.string(),
  dimensions: z.number().nullable(),
  items: z.array(z.object({ textHash: z.string(), text: z.string() })),
  waiting: z.number()
}) satisfies z.ZodType<EmbedPending>

export const EMBED_METHODS = {
  'embed.status': method({
    summary: 'The embedder of this daemon, and how many texts have their vector.',
    access: 'admin',
    params: none,
    result: statusAnswer
  }),
  'embed.test': method({
    summary: 'Embeds a text now and says how it went; the text is sent to the embedder and kept nowhere.',
    access: 'admin',
    params: z.strictObject({ text: text(LIMITS.queryBytesMax).exactOptional() }),
    result: testAnswer
  }),
  'embed.pending': method({
    summary: 'Texts that wait for a vector, newest first, where clients make the vectors.',
    access: 'admin',
    params: z.strictObject({ limit: z.int().min(1).max(LIMITS.embedBatchMax).exactOptional() }),
    result: pendingAnswer
  }),
  'embed.put': method({
    summary: 'Brings vectors of texts that wait, and of queries that are about to be asked in exactly these words.',
    access: 'admin',
    params: z.strictObject({
      model: z.string().min(1).max(128).describe('As embed.pending says it'),
      items: z
        .array(z.strictObject({ textHash: z.string().regex(/^[0-9a-f]{32}$/), vector }))
        .max(LIMITS.embedBatchMax)
        .exactOptional(),
      queries: z
        .array(z.strictObject({ text: text(LIMITS.queryBytesMax), vector }))
        .max(LIMITS.embedBatchMax)
        .exactOptional()
    }),
    result: z.object({ accepted: z.number(), waiting: z.number() })
  })
}
