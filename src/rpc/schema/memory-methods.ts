/**
 * memory.* and vote.*: learning, finding, changing and judging memories. Wherever a record is named, its full id, a
 * unique prefix of at least six digits or `key:NAME` will do.
 */
import { z } from 'zod'
import { LIMITS } from '../../base/limits.ts'
import { MIN_TRUSTS, RECALL_MODES } from '../vocabulary.ts'
import {
  ack,
  count,
  cursor,
  documentType,
  fraction,
  fullId,
  kind,
  memoryType,
  originClass,
  reference,
  references,
  relation,
  space,
  tags,
  text,
  timeMs,
  verdict
} from './fields.ts'
import { method } from './method.ts'
import * as views from './views.ts'

const content = text(LIMITS.contentBytesMax).describe('What was learned')
const path = text(LIMITS.pathBytesMax).describe('Place in a tree of topics, as `team/deploy`')
const reason = text(LIMITS.reasonBytesMax)
const items = z.array(z.string()).max(LIMITS.rpcPageItemsMax)

const writeOrigin = {
  origin: originClass
    .exactOptional()
    .describe('Where it came from; `self` when omitted. A token says what may be claimed'),
  allowSecret: z.boolean().exactOptional().describe('Write although it looks like it holds a password or key')
}

const newMemory = {
  content,
  space: space.exactOptional(),
  key: text(LIMITS.keyBytesMax).exactOptional().describe('Agents that use one key share one record'),
  documentType: documentType.exactOptional().describe('`memory` when omitted'),
  memoryType: memoryType.exactOptional(),
  kind: kind.exactOptional().describe('`note` when omitted'),
  path: path.exactOptional(),
  tags: tags.exactOptional(),
  importance: fraction.exactOptional().describe('0 to 1'),
  confidence: fraction.exactOptional().describe('0 to 1'),
  pinned: z.boolean().exactOptional(),
  source: text(LIMITS.sourceBytesMax).exactOptional().describe('Which agent, tool or run said it'),
  evidence: z.array(text(LIMITS.evidenceBytesMax)).max(LIMITS.linksPerRequestMax).exactOptional(),
  parents: references.exactOptional().describe('Records this one was derived from'),
  related: references.exactOptional(),
  supersedes: references.exactOptional().describe('Records this one replaces'),
  validFrom: timeMs.exactOptional(),
  validTo: timeMs.exactOptional(),
  expiresAt: timeMs.exactOptional().describe('Hidden from then on, never deleted'),
  tier: z
    .enum(['working', 'durable'])
    .exactOptional()
    .describe('`working`: private until important enough or recalled in several sessions, then promoted to `space`'),
  dedupe: z
    .enum(['skip', 'report', 'allow'])
    .exactOptional()
    .describe(
      '`skip` when omitted: what was said already is not written again; `report` also names what nearly says it'
    ),
  ...writeOrigin
}

const filters = {
  spaces: z.array(space).max(LIMITS.spacesMax).exactOptional().describe('Every space when omitted'),
  kinds: z.array(kind).exactOptional(),
  memoryTypes: z.array(memoryType).exactOptional(),
  documentTypes: z.array(documentType).exactOptional(),
  tagsAll: tags.exactOptional(),
  tagsAny: tags.exactOptional(),
  authors: z.array(z.string().min(1).max(128)).max(LIMITS.votersMax).exactOptional().describe('Peer ids or raw keys'),
  sinceMs: timeMs.exactOptional(),
  untilMs: timeMs.exactOptional(),
  minImportance: fraction.exactOptional(),
  validatedOnly: z.boolean().exactOptional().describe('Only records a ballot has validated'),
  verifiedOnly: z.boolean().exactOptional().describe('Only records whose stored deltas verify again now'),
  pinnedOnly: z.boolean().exactOptional(),
  path: path.exactOptional().describe('The path itself and everything below it'),
  includeExpired: z.boolean().exactOptional(),
  includeRetracted: z.boolean().exactOptional(),
  includeSuperseded: z.boolean().exactOptional()
}

const minTrust = z.enum(MIN_TRUSTS).exactOptional()
const asOfMs = timeMs.exactOptional()
const budgetTokens = z.int().min(1).max(LIMITS.recallTokensMax).exactOptional()

const limit = z.int().min(1).max(LIMITS.recallResultsMax).exactOptional()
const one = { id: reference, space: space.exactOptional() }
const write = { ack: ack.exactOptional() }

export const MEMORY_METHODS = {
  'memory.add': method({
    summary: 'Learns one memory: signed, on disk before the answer, then gossiped.',
    access: 'write',
    params: z.strictObject({ ...newMemory, ...write }),
    result: views.receipt
  }),
  'memory.addMany': method({
    summary: 'Learns up to 500 memories of one space as one signed delta: all or none.',
    access: 'write',
    params: z.strictObject({
      items: z.array(z.strictObject(newMemory)).min(1).max(LIMITS.addManyItemsMax),
      ...write
    }),
    result: views.receipts
  }),
  'memory.get': method({
    summary: 'Reads records by id, prefix or key; null stands for one this daemon does not have.',
    access: 'read',
    params: z.strictObject({
      ids: z.array(reference).min(1).max(LIMITS.recallResultsMax),
      space: space.exactOptional(),
      asOfMs: asOfMs.describe('The records as they were then; null for one that did not exist yet')
    }),
    result: z.object({ items: z.array(views.memoryItem.nullable()) })
  }),
  'memory.search': method({
    summary: 'Recalls what is relevant to a query, best first.',
    access: 'read',
    params: z.strictObject({
      query: text(LIMITS.queryBytesMax),
      limit,
      ranking: z.enum(['fused', 'collective', 'jaccard']).exactOptional().describe('`fused` when omitted'),
      explain: z.boolean().exactOptional().describe('Adds every factor of the score as `why`'),
      modes: z
        .array(z.enum(RECALL_MODES))
        .min(1)
        .exactOptional()
        .describe('Sources of candidates; all when omitted. Names said outright are always looked up'),
      mmr: fraction.exactOptional().describe('Relevance against sameness; 0.7 when omitted, 1 picks by score alone'),
      asOfMs: asOfMs.describe('What was true then, as far as it is known now'),
      budgetTokens: budgetTokens.describe(
        'Estimated tokens the answer may hold; it always holds one hit if there is any'
      ),
      minTrust: minTrust.describe('The least tier that is shown, `known` when omitted; `any`: all but what is blocked'),
      ...filters
    }),
    result: views.searchAnswer
  }),
  'memory.context': method({
    summary: 'What an agent should know before it begins: pinned, open, new and relevant memories within a budget.',
    access: 'read',
    params: z.strictObject({
      goal: text(LIMITS.queryBytesMax).exactOptional().describe('What is about to be done'),
      spaces: z.array(space).max(LIMITS.spacesMax).exactOptional().describe('Every space when omitted'),
      path: path.exactOptional().describe('The path itself and everything below it'),
      budgetTokens: budgetTokens.describe('Estimated tokens of `text`; 1,500 when omitted'),
      cursor: cursor.exactOptional().describe('From a previous answer: what changed since is told'),
      minTrust: minTrust.describe('As in memory.search')
    }),
    result: views.contextAnswer
  }),
  'memory.list': method({
    summary: 'Lists records, newest first, page by page.',
    access: 'read',
    params: z.strictObject({
      limit,
      cursor: cursor.exactOptional(),
      minTrust: minTrust.describe('The least tier that is shown, `any` when omitted'),
      ...filters
    }),
    result: views.listAnswer
  }),
  'memory.changes': method({
    summary: 'Deltas in the order in which this daemon received them, from a cursor on.',
    access: 'read',
    params: z.strictObject({
      cursor: cursor.exactOptional().describe('From a previous answer; from the beginning when omitted'),
      limit: z.int().min(0).max(LIMITS.rpcPageItemsMax).exactOptional(),
      spaces: z.array(space).max(LIMITS.spacesMax).exactOptional()
    }),
    result: views.changesAnswer
  }),
  'memory.revise': method({
    summary: 'Changes fields of a record; null clears a field that may be empty.',
    access: 'write',
    params: z.strictObject({
      ...one,
      content: content.exactOptional(),
      kind: kind.exactOptional(),
      path: path.nullable().exactOptional(),
      pinned: z.boolean().exactOptional(),
      tagsAdd: tags.exactOptional(),
      tagsRemove: tags.exactOptional(),
      importance: fraction.exactOptional(),
      confidence: fraction.exactOptional(),
      validFrom: timeMs.nullable().exactOptional(),
      validTo: timeMs.nullable().exactOptional(),
      expiresAt: timeMs.nullable().exactOptional(),
      ifVersion: count
        .exactOptional()
        .describe('Refused with `conflict` unless the version is this; checked on this daemon only'),
      ...writeOrigin,
      ...write
    }),
    result: views.receipt
  }),
  'memory.link': method({
    summary: 'Adds an edge from one record to another, or a piece of evidence.',
    access: 'write',
    params: z.strictObject({
      from: reference,
      to: text(LIMITS.evidenceBytesMax).describe('A record; free text when the relation is `evidence`'),
      relation,
      space: space.exactOptional(),
      ...write
    }),
    result: views.receipt
  }),
  'memory.retract': method({
    summary: 'Hides a record everywhere with a signed reason; its history stays.',
    access: 'write',
    params: z.strictObject({ ...one, reason, ...write }),
    result: views.receipt
  }),
  'memory.history': method({
    summary: 'Every delta that made a record what it is, with causal order.',
    access: 'read',
    params: z.strictObject(one),
    result: views.historyAnswer
  }),
  'memory.lineage': method({
    summary: 'Records this one comes from and records that come from it.',
    access: 'read',
    params: z.strictObject({ ...one, depth: z.int().min(1).max(64).exactOptional() }),
    result: views.lineageAnswer
  }),
  'memory.verify': method({
    summary: 'Checks hashes, signatures and chains of stored deltas again.',
    access: 'read',
    params: z.strictObject({
      ids: z
        .array(reference)
        .max(LIMITS.rpcPageItemsMax)
        .exactOptional()
        .describe('Records; the whole space when omitted'),
      space: space.exactOptional()
    }),
    result: views.verifyReport
  }),
  'memory.stats': method({
    summary: 'Counts, diversity and growth of what is known here.',
    access: 'read',
    params: z.strictObject({ space: space.exactOptional() }),
    result: views.statsAnswer
  }),
  'memory.digest': method({
    summary: 'Two fingerprints of a space: of its set of deltas, and of the state they fold to.',
    access: 'read',
    params: z.strictObject({ space: space.exactOptional() }),
    result: views.digestAnswer
  }),
  'memory.ids': method({
    summary: 'Ids of all admitted deltas in (time, id) order, page by page.',
    access: 'read',
    params: z.strictObject({
      space: space.exactOptional(),
      cursor: cursor.exactOptional(),
      limit: z.int().min(1).max(LIMITS.rpcPageItemsMax).exactOptional()
    }),
    result: z.object({ ids: items, cursor: z.string().nullable() })
  }),
  'memory.resolve': method({
    summary: 'Full record id for a unique prefix or key:NAME.',
    access: 'read',
    params: z.strictObject({ reference, space: space.exactOptional() }),
    result: z.object({ id: fullId })
  }),
  'vote.cast': method({
    summary: 'Signs a verdict on a record; the latest one of each voter counts.',
    access: 'write',
    params: z.strictObject({
      ...one,
      verdict,
      confidence: fraction.exactOptional().describe('How sure the voter is that the memory holds, 0 to 1'),
      reason: reason.exactOptional(),
      ...write
    }),
    result: views.receipt
  }),
  'vote.tally': method({
    summary: 'Counts the votes of the roster; below quorum the answer is `unverified`, never a number.',
    access: 'read',
    params: z.strictObject(one),
    result: views.tallyAnswer
  })
}
