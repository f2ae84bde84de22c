/** The four tools of the core profile that write: remember, revise, judge, forget. */
import { z } from 'zod'
import { fenced, plainLine } from '../../base/fence.ts'
import { memoryWords } from './memory-words.ts'
import { iso } from '../render.ts'
import { tool } from '../tool.ts'
import { given, kind, optionalTime, spaceOf, texts, time } from '../words.ts'

/** Ids in one call of forget. */
const FORGOTTEN_MAX = 50
const id = z.string()
const fraction = z.number().min(0).max(1)

export const remember = tool({
  name: 'remember',
  title: 'Remember',
  description:
    'Store one self-contained fact, signed and shared with all agents of the space. Never secrets. `supersedes` replaces old ids; `parents` are ids it was derived from.',
  effect: 'add',
  input: z.object({
    content: z.string(),
    kind: kind.optional(),
    space: z.string().optional(),
    path: z.string().optional().describe('Topic, as team/deploy'),
    tags: texts.optional(),
    importance: fraction.optional(),
    evidence: texts.optional().describe('URLs, files'),
    parents: texts.optional(),
    supersedes: texts.optional(),
    valid_from: time.optional().describe('ISO date or ms'),
    valid_to: time.optional(),
    expires_at: time.optional().describe('Hidden from then'),
    origin: z.enum(['document', 'tool']).optional().describe('If the text came from there'),
    dedupe: z.enum(['skip', 'report', 'allow']).optional().describe('What was said already; default report')
  }),
  output: z.object({
    id,
    created: z.boolean(),
    space: z.string(),
    duplicate_of: id.optional(),
    similar: z.array(z.object({ id, score: z.number(), content: z.string() })),
    flags: z.array(z.string()),
    promoted: id.optional()
  }),
  aliases: {
    ...memoryWords,
    subject: 'path',
    topic: 'path',
    type: 'kind',
    tag: 'tags',
    labels: 'tags',
    source: 'evidence',
    sources: 'evidence',
    derived_from: 'parents',
    replaces: 'supersedes',
    replaces_memory_id: 'supersedes',
    expiration_date: 'expires_at',
    validFrom: 'valid_from',
    validTo: 'valid_to',
    expiresAt: 'expires_at'
  },
  run: async (args, context) => {
    const { space, expires_at, valid_from, valid_to, dedupe = 'report', content, ...rest } = args
    const receipt = await context.caller.call('memory.add', {
      content,
      ...given(rest),
      ...spaceOf(space, context),
      dedupe,
      ...optionalTime('expiresAt', 'expires_at', expires_at),
      ...optionalTime('validFrom', 'valid_from', valid_from),
      ...optionalTime('validTo', 'valid_to', valid_to)
    })
    const similar = (receipt.similar ?? []).map((one) => ({
      id: one.id,
      score: one.score,
      content: plainLine(one.content, 200)
    }))
    const structured = {
      id: receipt.id,
      created: receipt.created,
      space: receipt.space,
      ...given({ duplicate_of: receipt.duplicateOf, promoted: receipt.promoted }),
      similar,
      flags: [...receipt.flags]
    }
    return { structured, text: remembered(structured) }
  }
})

interface Remembered {
  readonly id: string
  readonly created: boolean
  readonly flags: readonly string[]
  readonly similar: readonly { readonly id: string; readonly score: number; readonly content: string }[]
}

function remembered({ id: full, created, flags, similar }: Remembered): string {
  const said = created ? `Remembered as ${full}.` : `Known already as ${full}; nothing was written.`
  const flagged = flags.length === 0 ? '' : ` Flags: ${flags.join(', ')}.`
  if (similar.length === 0) return `${said}${flagged}`
  const items = similar.map((one) => ({
    id: one.id,
    kind: 'similar',
    author: '',
    tier: '',
    ageMs: null,
    content: one.content,
    notes: [`score ${one.score.toFixed(2)}`]
  }))
  return `${said}${flagged} Nearly the same is said below; to replace one, remember with its id in supersedes.\n${fenced(items)}`
}

export const revise = tool({
  name: 'revise',
  title: 'Revise',
  description: 'Change fields of a memory. Its history stays.',
  effect: 'change',
  input: z.object({
    id: id.describe('Or its first 6+ digits'),
    content: z.string().optional(),
    tags_add: texts.optional(),
    tags_remove: texts.optional(),
    importance: fraction.optional(),
    valid_to: time.optional(),
    pinned: z.boolean().optional(),
    space: z.string().optional()
  }),
  output: z.object({ id, version: z.number(), flags: z.array(z.string()) }),
  aliases: {
    ...memoryWords,
    new_content: 'content',
    add_tags: 'tags_add',
    remove_tags: 'tags_remove',
    validTo: 'valid_to'
  },
  run: async (args, context) => {
    const { id: reference, tags_add: tagsAdd, tags_remove: tagsRemove, valid_to, space, ...rest } = args
    const receipt = await context.caller.call('memory.revise', {
      id: reference,
      ...given({ ...rest, tagsAdd, tagsRemove }),
      ...spaceOf(space, context),
      ...optionalTime('validTo', 'valid_to', valid_to)
    })
    const { items } = await context.caller.call('memory.get', { ids: [receipt.id], ...spaceOf(space, context) })
    const version = items[0]?.version ?? 0
    return {
      structured: { id: receipt.id, version, flags: [...receipt.flags] },
      text: `Revised ${receipt.id}; this is version ${version}.`
    }
  }
})

export const judge = tool({
  name: 'judge',
  title: 'Judge',
  description: 'Vote on a memory: does it hold? Votes of the roster decide what is validated.',
  effect: 'add',
  input: z.object({
    id,
    verdict: z.enum(['confirm', 'dispute', 'flag']),
    reason: z.string().optional(),
    space: z.string().optional()
  }),
  output: z.object({
    id,
    status: z.string(),
    confirm: z.number(),
    dispute: z.number(),
    flag: z.number(),
    uncounted: z.number(),
    electorate: z.number()
  }),
  aliases: { ...memoryWords, vote: 'verdict', judgement: 'verdict', judgment: 'verdict', comment: 'reason' },
  run: async (args, context) => {
    const { id: reference, verdict, reason, space } = args
    const place = spaceOf(space, context)
    const receipt = await context.caller.call('vote.cast', { id: reference, verdict, ...given({ reason }), ...place })
    const tally = await context.caller.call('vote.tally', { id: receipt.id, ...place })
    const { status, confirm, dispute, flag, uncounted, electorate } = tally
    return {
      structured: { id: receipt.id, status, confirm, dispute, flag, uncounted, electorate },
      text:
        `Signed ${verdict} on ${receipt.id}: ${status}; ${confirm} confirm, ${dispute} dispute, ${flag} flag ` +
        `of a roster of ${electorate}, ${uncounted} votes outside it.`
    }
  }
})

export const forget = tool({
  name: 'forget',
  title: 'Forget',
  description: 'Hide memories: expire (no longer current) or retract (was wrong). Nothing is erased.',
  effect: 'hide',
  input: z.object({
    ids: texts.min(1).max(FORGOTTEN_MAX),
    reason: z.string(),
    mode: z.enum(['expire', 'retract']).optional(),
    space: z.string().optional()
  }),
  output: z.object({
    state: z.enum(['expired', 'retracted']),
    ids: texts,
    at: z.string(),
    failed: z.array(z.object({ id: z.string(), why: z.string() }))
  }),
  aliases: { ...memoryWords, id: 'ids', memory_id: 'ids', memory_ids: 'ids', why: 'reason' },
  run: async (args, context) => {
    const { ids, reason, mode = 'retract', space } = args
    const place = spaceOf(space, context)
    const nowMs = context.nowMs()
    const done: string[] = []
    const failed: { id: string; why: string }[] = []
    for (const one of ids) {
      try {
        const receipt =
          mode === 'retract'
            ? await context.caller.call('memory.retract', { id: one, reason, ...place })
            : await context.caller.call('memory.revise', { id: one, expiresAt: nowMs, ...place })
        done.push(receipt.id)
      } catch (error) {
        // One that fails alone is an error; among others it is named, because the others are done.
        if (ids.length === 1) throw error
        failed.push({ id: plainLine(one), why: plainLine(error instanceof Error ? error.message : String(error), 200) })
      }
    }
    const state = mode === 'retract' ? ('retracted' as const) : ('expired' as const)
    const lines = [
      ...(done.length === 0 ? [] : [`${state}: ${done.join(', ')}`]),
      ...failed.map((one) => `not done: ${one.id}: ${one.why}`)
    ]
    return { structured: { state, ids: done, at: iso(nowMs), failed }, text: lines.join('\n') }
  }
})
