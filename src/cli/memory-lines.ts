/** Memories as lines for people: in a table, and one in full. */
import type { Result } from '../rpc/schema/methods.ts'
import { age, fields, isoTime, oneLine, percent, plain, shortId, shortPeer, table } from './format.ts'
import type { Context } from './context.ts'

export type Item = Result<'memory.list'>['items'][number]
export type Receipt = Result<'memory.add'>

export function itemTable(context: Context, items: readonly Item[]): string[] {
  const { paint, columns } = context.terminal
  const now = context.nowMs()
  return table(
    [
      { title: 'ID', style: paint.cyan },
      { title: 'SPACE' },
      { title: 'KIND' },
      { title: 'AUTHOR', style: paint.dim },
      { title: 'AGE', align: 'right' },
      { title: 'TRUST', style: paint.dim },
      { title: 'VERIFIED', style: (text) => (text === 'yes' ? paint.green(text) : paint.red(text)) },
      { title: 'CONTENT' }
    ],
    items.map((item) => [
      shortId(item.id),
      item.spaceName,
      item.kind,
      shortPeer(item.peer),
      age(item.createdAt, now),
      item.trust.tier,
      item.verified ? 'yes' : 'NO',
      content(item)
    ]),
    columns
  )
}

function content(item: Item): string {
  const flags = item.flags.length === 0 ? '' : `(${item.flags.join(', ')}) `
  const text = flags + (item.content ?? '(no content)')
  if (item.retracted !== null) return `(retracted: ${item.retracted}) ${text}`
  return item.expired ? `(expired) ${text}` : text
}

/** Everything about one record. */
export function itemLines(item: Item): string[] {
  const optional: [string, string | null][] = [
    ['key', item.key],
    ['path', item.path],
    ['type', item.memoryType],
    ['tags', listOf(item.tags)],
    ['importance', claimed(item.importance)],
    ['confidence', claimed(item.confidence)],
    ['source', item.source],
    ['evidence', listOf(item.evidence)],
    ['parents', listOf(item.parents.map(shortId))],
    ['related', listOf(item.related.map(shortId))],
    ['supersedes', listOf(item.supersedes.map(shortId))],
    ['votes', listOf(item.votes.map((vote) => `${vote.verdict} by ${shortPeer(vote.voter)}`))],
    ['valid from', moment(item.validFrom)],
    ['valid to', moment(item.validTo)],
    ['expires', moment(item.expiresAt)],
    ['retracted', item.retracted],
    ['flags', listOf(item.flags)]
  ]
  return [
    ...fields([
      ['id', item.id],
      ['space', oneLine(item.spaceName)],
      ['kind', item.kind],
      ...optional.flatMap(([name, value]): [string, string][] => (value === null ? [] : [[name, oneLine(value)]])),
      ['pinned', item.pinned ? 'yes' : 'no'],
      ['version', String(item.version)],
      ['author', item.peer],
      ...(item.contentPeer === item.peer ? [] : [['content by', item.contentPeer] as const]),
      ['trust', `${item.trust.tier}: ${oneLine(item.trust.because)}`],
      ['created', isoTime(item.createdAt)],
      ['updated', isoTime(item.updatedAt)],
      ['delta', item.contentBy],
      ['fingerprint', item.fingerprint],
      ['verified', item.verified ? 'yes' : 'NO'],
      ['sync', `${item.syncState}, held by ${item.holders} peers`]
    ]),
    '',
    plain(item.content ?? '(no content)')
  ]
}

function listOf(values: readonly string[]): string | null {
  return values.length === 0 ? null : values.join(', ')
}

function claimed(value: Item['importance']): string | null {
  return value === null ? null : `${percent(value.effective)} (highest claim ${percent(value.max)})`
}

function moment(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms)
}

/** What a flag means for the one who wrote. */
const FLAG_NOTES: Readonly<Record<string, string>> = {
  imperative: 'Flagged: it reads like an order to whoever recalls it. Others will see it marked so.',
  'hidden-unicode': 'Flagged: it holds characters that cannot be seen. They are kept, and left out when it is shown.',
  'control-characters': 'Flagged: it holds control characters. They are kept, and left out when it is shown.',
  recall_echo: 'Flagged: it repeats a memory that was just recalled; that one is now its parent.'
}

/** What a write says: the id is data, the rest is for the person. */
export function receiptOutcome(context: Context, receipt: Receipt, did: string) {
  const { paint } = context.terminal
  if (receipt.duplicateOf !== undefined) did = 'already known'
  const line = `${paint.cyan(shortId(receipt.id))}  ${did}  ${receipt.syncState}  fingerprint ${receipt.fingerprint.slice(0, 16)}…`
  const lines = [line]
  if (receipt.promoted !== undefined) lines.push(`${paint.cyan(shortId(receipt.promoted))}  promoted to shared memory`)
  for (const { id, content: said } of receipt.similar ?? []) {
    lines.push(`${paint.cyan(shortId(id))}  nearly says the same: ${oneLine(said)}`)
  }
  for (const flag of receipt.flags) context.terminal.note(FLAG_NOTES[flag] ?? `Flagged: ${flag}.`)
  return { data: receipt, lines }
}
