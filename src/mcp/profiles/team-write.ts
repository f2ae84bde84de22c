/** Tools of the team profile that write: link, promote, signal. */
import { z } from 'zod'
import { ChrysalisError } from '../../base/errors.ts'
import { plainLine } from '../../base/fence.ts'
import { LIMITS } from '../../base/limits.ts'
import { RELATIONS } from '../../rpc/vocabulary.ts'
import { iso } from '../render.ts'
import { tool } from '../tool.ts'
import { given, spaceOf, texts } from '../words.ts'
import { memoryWords } from './memory-words.ts'

const SIGNAL_SECONDS = 3_600
const DAY_SECONDS = 86_400

export const link = tool({
  name: 'link',
  title: 'Link',
  description: 'Add an edge from one memory to another; with relation evidence, `to` is a URL or other text.',
  effect: 'add',
  input: z.object({
    from: z.string(),
    relation: z.enum(RELATIONS),
    to: z.string(),
    space: z.string().optional()
  }),
  output: z.object({ id: z.string() }),
  aliases: { ...memoryWords, id: 'from', source: 'from', target: 'to', type: 'relation' },
  run: async ({ from, relation, to, space }, context) => {
    const receipt = await context.caller.call('memory.link', { from, relation, to, ...spaceOf(space, context) })
    return { structured: { id: receipt.id }, text: `Linked ${receipt.id}, ${relation}.` }
  }
})

export const promote = tool({
  name: 'promote',
  title: 'Promote',
  description: 'Share private memories: each becomes a signed memory of a shared space, the private one its parent.',
  effect: 'add',
  input: z.object({
    ids: texts.min(1).max(LIMITS.promoteIdsMax),
    space: z.string().optional().describe('To share in'),
    reason: z.string().optional()
  }),
  output: z.object({
    promoted: z.array(z.object({ from: z.string(), id: z.string(), space: z.string(), created: z.boolean() }))
  }),
  aliases: { ...memoryWords, id: 'ids', memory_id: 'ids', to: 'space' },
  run: async ({ ids, space, reason }, context) => {
    const { promoted } = await context.caller.call('memory.promote', { ids, ...given({ space, reason }) })
    const list = promoted.map((one) => ({ ...one }))
    const lines = list.map((one) => `${one.from} is ${one.created ? 'now' : 'already'} ${one.id}`)
    return { structured: { promoted: list }, text: lines.join('\n') }
  }
})

export const signal = tool({
  name: 'signal',
  title: 'Signal',
  description: 'Leave a short-lived message for an agent or peer (tag to:NAME). They find it by recall or changes.',
  effect: 'change',
  input: z.object({
    to: z.string().max(200),
    content: z.string(),
    ttl_seconds: z
      .int()
      .min(1)
      .max(30 * DAY_SECONDS)
      .optional(),
    space: z.string().optional()
  }),
  output: z.object({ id: z.string(), to: z.string(), expires_at: z.string() }),
  aliases: { ...memoryWords, recipient: 'to', agent: 'to', peer: 'to', ttl: 'ttl_seconds' },
  run: async ({ to, content, ttl_seconds: ttl = SIGNAL_SECONDS, space }, context) => {
    const name = plainLine(to, 200)
    if (name === '') {
      throw new ChrysalisError('invalid_argument', 'signal: to names nobody; nothing was done.', {
        hint: 'Name an agent or a peer, or `all`.'
      })
    }
    const expiresAt = context.nowMs() + ttl * 1_000
    const receipt = await context.caller.call('memory.add', {
      content,
      kind: 'signal',
      tags: [`to:${name}`],
      expiresAt,
      // The same words twice are two signals.
      dedupe: 'allow',
      ...spaceOf(space, context)
    })
    const structured = { id: receipt.id, to: name, expires_at: iso(expiresAt) }
    return { structured, text: `Signalled ${name} with ${receipt.id}, until ${structured.expires_at}.` }
  }
})
