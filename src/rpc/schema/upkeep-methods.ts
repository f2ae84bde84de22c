/**
 * The care of memories through the door: promotion, consolidation and its undoing, taking back a retraction, and the
 * report on what rots. Wherever a record is named, its full id, a unique prefix or `key:NAME` will do.
 */
import { z } from 'zod'
import { LIMITS } from '../../base/limits.ts'
import type { ConsolidateAnswer, PromoteAnswer, RotReport, UndoAnswer } from '../../node/upkeep-api.ts'
import { ack, reference, space, text } from './fields.ts'
import { method } from './method.ts'
import * as views from './views.ts'

const id = z.string()
const ids = z.array(id)
const one = { id: reference, space: space.exactOptional(), ack: ack.exactOptional() }
const everySpace = text(LIMITS.spaceNameBytesMax).describe('Name or id of the space; every space when omitted')

const promoteAnswer = z.object({
  promoted: z.array(z.object({ from: id, id, space: id, created: z.boolean() }))
}) satisfies z.ZodType<PromoteAnswer>

const consolidateAnswer = z.object({
  dryRun: z.boolean(),
  records: z.number(),
  actions: z.array(
    z.object({
      id,
      space: id,
      action: z.enum(['coalesce', 'relate', 'expire']),
      keeper: id.nullable(),
      ids,
      detail: z.string()
    })
  ),
  contradictions: z.array(
    z.object({
      kind: z.enum(['versions', 'negation', 'values', 'disputed', 'supersedes']),
      space: id,
      ids,
      reason: z.string()
    })
  ),
  skipped: z.array(z.object({ ids, reason: z.string() })),
  unseen: z.number(),
  more: z.boolean()
}) satisfies z.ZodType<ConsolidateAnswer>

const undoAnswer = z.object({
  id,
  space: id,
  restored: ids,
  untagged: z.number(),
  kept: z.number(),
  overtaken: ids
}) satisfies z.ZodType<UndoAnswer>

const rotReport = z.object({
  records: z.number(),
  findings: z.array(
    z.object({
      kind: z.enum([
        'duplicate',
        'near-duplicate',
        'contradiction',
        'expired',
        'superseded-but-cited',
        'untrusted',
        'flagged',
        'recall-loop',
        'secret',
        'old-working',
        'orphan'
      ]),
      count: z.number(),
      ids,
      meaning: z.string()
    })
  ),
  unseen: z.number()
}) satisfies z.ZodType<RotReport>

export const UPKEEP_METHODS = {
  'memory.promote': method({
    summary: 'Shares private memories: each becomes a new signed memory with the private one as parent. All or none.',
    access: 'write',
    params: z.strictObject({
      ids: z.array(reference).min(1).max(LIMITS.promoteIdsMax),
      space: text(LIMITS.spaceNameBytesMax)
        .exactOptional()
        .describe('The shared space to write to; the default space when omitted'),
      reason: text(LIMITS.reasonBytesMax).exactOptional().describe('Kept with the shared memory as evidence'),
      ack: ack.exactOptional()
    }),
    result: promoteAnswer
  }),
  'memory.consolidate': method({
    summary:
      'Coalesces repetitions by one author, links what says the same, lists contradictions. Every action is signed and can be undone.',
    access: 'write',
    params: z.strictObject({
      space: everySpace.exactOptional(),
      dryRun: z.boolean().exactOptional().describe('Only say what would be done'),
      limit: z
        .int()
        .min(1)
        .max(LIMITS.consolidationActionsMax)
        .exactOptional()
        .describe('Actions at most; `more` tells whether any were left')
    }),
    result: consolidateAnswer
  }),
  'memory.undo': method({
    summary: 'Reverses one action of memory.consolidate and retracts the record of it.',
    access: 'write',
    params: z.strictObject(one),
    result: undoAnswer
  }),
  'memory.restore': method({
    summary: 'Takes back a retraction: the record is shown again.',
    access: 'write',
    params: z.strictObject(one),
    result: views.receipt
  }),
  'memory.audit': method({
    summary: 'What has gone stale, double or doubtful: counts, and the first ids of each kind. Changes nothing.',
    access: 'read',
    params: z.strictObject({
      space: everySpace.exactOptional(),
      limit: z.int().min(1).max(LIMITS.recallResultsMax).exactOptional().describe('Ids shown of each kind; 20')
    }),
    result: rotReport
  })
}
