/** Verbs that show: get, list, history, lineage, verify, tally, stats, ids, digest. */
import type { Command } from 'commander'
import { ChrysalisError } from '../../base/errors.ts'
import type { Result } from '../../rpc/schema/methods.ts'
import type { Context, Outcome } from '../context.ts'
import { age, fields, oneLine, percent, shortId, shortPeer, table } from '../format.ts'
import { itemLines, itemTable, type Item } from '../memory-lines.ts'
import { given, pastMs, wholeNumber } from '../values.ts'
import { filterOptions, filters, registerRecallVerbs, type FilterFlags } from './recall.ts'
import type { Wrap } from './register.ts'

async function get(context: Context, ids: string[], flags: { space?: string; asOf?: string }): Promise<Outcome> {
  const { space, asOf } = flags
  const asOfMs = asOf === undefined ? undefined : pastMs(asOf, context.nowMs())
  const client = await context.daemon()
  const { items } = await client.call('memory.get', { ids, ...given({ space, asOfMs }) })
  const missing = ids.filter((_, i) => (items[i] ?? null) === null)
  const found = items.filter((item) => item !== null)
  const lines = found.flatMap((item, i) => [...(i === 0 ? [] : ['', '---', '']), ...itemLines(item)])
  if (missing.length === 0) return { data: { items }, lines }
  const message = `This daemon has no record ${missing.map((id) => oneLine(id, 80)).join(', ')}.`
  const hint = 'Check the id, name its space with -s, or reconcile with: chrysalis sync now'
  const error = new ChrysalisError(found.length === 0 ? 'not_found' : 'partial', message, { hint })
  return { data: { items }, lines, error }
}

async function list(context: Context, flags: FilterFlags & { cursor?: string }): Promise<Outcome> {
  const client = await context.daemon()
  const answer = await client.call('memory.list', { ...filters(context, flags), ...given({ cursor: flags.cursor }) })
  if (answer.items.length === 0) context.terminal.note('There is nothing to list.')
  if (answer.cursor !== null) context.terminal.note(`There are more: --cursor ${answer.cursor}`)
  return { data: answer, lines: itemTable(context, answer.items) }
}

async function history(context: Context, id: string, { space }: { space?: string }): Promise<Outcome> {
  const client = await context.daemon()
  const answer = await client.history(id, space)
  const now = context.nowMs()
  const columns = [
    { title: 'DELTA', style: context.terminal.paint.cyan },
    { title: 'LAMPORT', align: 'right' as const },
    { title: 'AUTHOR', style: context.terminal.paint.dim },
    { title: 'AGE', align: 'right' as const },
    { title: 'CONCURRENT' },
    { title: 'DID' }
  ]
  const rows = answer.entries.map((entry) => [
    shortId(entry.delta),
    String(entry.lamport),
    shortPeer(entry.peer),
    age(entry.atMs, now),
    entry.concurrentWith.map(shortId).join(' '),
    entry.operations.join(', ')
  ])
  return { data: answer, lines: table(columns, rows, context.terminal.columns) }
}

async function lineage(context: Context, id: string, flags: { space?: string; depth?: number }): Promise<Outcome> {
  const client = await context.daemon()
  const answer = await client.lineage(id, given({ space: flags.space, depth: flags.depth }))
  const arrows = { up: '↑', down: '↓', self: '•' } as const
  const lines = answer.nodes.map((node) => {
    const text = node.present ? oneLine(node.content ?? '(no content)', 80) : '(not here)'
    const about = `${node.relation}  ${shortPeer(node.peer)}  ${text}`
    return `${'  '.repeat(node.depth)}${arrows[node.direction]} ${shortId(node.id)}  ${about}`
  })
  return { data: answer, lines }
}

async function verify(context: Context, ids: string[], { space }: { space?: string }): Promise<Outcome> {
  const client = await context.daemon()
  const named = ids.length === 0 ? [] : (await client.call('memory.get', { ids, ...given({ space }) })).items
  const absent = ids.find((_, i) => named[i] === null)
  if (absent !== undefined) {
    const hint = 'Check the id, or name its space with -s.'
    throw new ChrysalisError('not_found', `This daemon has no record ${oneLine(absent, 80)}.`, { hint })
  }
  const report = await context.terminal.during('verifying', client.verify(ids.length === 0 ? undefined : ids, space))
  const records = named.filter((item) => item !== null)
  const lines = [...records.flatMap(verifiedLines), verdict(report), ...invalidLines(report)]
  const data = { ...report, records: records.map(signedBy) }
  if (report.invalid.length === 0 && records.every((item) => item.verified)) return { data, lines }
  const message = `${Math.max(1, report.invalid.length)} of ${report.checked} stored deltas do not verify.`
  const hint = 'Do not trust what they say; a healthy peer can restore them: chrysalis sync now'
  return { data, lines, error: new ChrysalisError('verification_failed', message, { hint }) }
}

function signedBy(item: Item) {
  const { id, peer, contentPeer, fingerprint, verified } = item
  return { id, peer, contentPeer, fingerprint, verified }
}

function verifiedLines(item: Item): string[] {
  const { id, peer, contentPeer, fingerprint, verified } = signedBy(item)
  return [
    ...fields([
      ['id', id],
      ['author', peer],
      ...(contentPeer === peer ? [] : [['content by', contentPeer] as const]),
      ['fingerprint', fingerprint],
      ['verified', verified ? 'yes' : 'NO']
    ]),
    ''
  ]
}

function verdict(report: Result<'memory.verify'>): string {
  const pruned = report.pruned === 0 ? '' : `, ${report.pruned} without their body`
  return `${report.valid} of ${report.checked} deltas verified${pruned}`
}

function invalidLines(report: Result<'memory.verify'>): string[] {
  return [
    ...report.invalid.map(({ delta, reason }) => `INVALID ${delta}: ${oneLine(reason)}`),
    ...report.equivocators.map((peer) => `EQUIVOCATOR ${peer}: signed two deltas with one number`)
  ]
}

async function tally(context: Context, id: string, { space }: { space?: string }): Promise<Outcome> {
  const client = await context.daemon()
  const answer = await client.tally(id, space)
  const { status, cast, electorate, quorum, mean, median, trimmedMean } = answer
  const numbers: [string, string][] = []
  if (mean !== undefined) numbers.push(['mean', percent(mean)])
  if (median !== undefined) numbers.push(['median', percent(median)])
  if (trimmedMean !== undefined) numbers.push(['trimmed mean', percent(trimmedMean)])
  const lines = fields([
    ['status', status],
    ['votes', `${cast} of ${electorate}, ${quorum ? 'quorum' : 'no quorum'}, ${answer.uncounted} uncounted`],
    [
      'verdicts',
      `${answer.confirm} confirm, ${answer.dispute} dispute, ${answer.abstain} abstain, ${answer.flag} flag`
    ],
    ...numbers
  ])
  return { data: answer, lines }
}

async function stats(context: Context, { space }: { space?: string }): Promise<Outcome> {
  const client = await context.daemon()
  const answer = await client.stats(space)
  const kinds = Object.entries(answer.byKind).map(([kind, count]) => `${count} ${kind}`)
  const lines = fields([
    ['records', String(answer.records)],
    ['deltas', String(answer.deltas)],
    ['kinds', kinds.join(', ') || 'none'],
    ['authors', `${answer.authors}, diversity ${percent(answer.diversity)}`],
    ['contexts', String(answer.uniqueContexts)],
    ['tags', String(answer.tags)],
    ['last day', `+${answer.growthLastDay}`],
    ['write storms', String(answer.writeStorms.length)]
  ])
  return { data: answer, lines }
}

/** Every id is paged through; people see each page as it comes, --json gets one object. */
async function ids(context: Context, { space }: { space?: string }): Promise<Outcome> {
  const client = await context.daemon()
  const all: string[] = []
  let cursor: string | null = null
  do {
    const page: Result<'memory.ids'> = await client.call('memory.ids', {
      ...given({ space }),
      ...(cursor === null ? {} : { cursor })
    })
    if (context.json) all.push(...page.ids)
    else for (const id of page.ids) context.terminal.print(id)
    cursor = page.cursor
  } while (cursor !== null && !context.terminal.closed.aborted)
  return { data: { ids: all }, lines: [] }
}

async function digest(context: Context, { space }: { space?: string }): Promise<Outcome> {
  const client = await context.daemon()
  const answer = await client.call('memory.digest', given({ space }))
  const lines = fields([
    ['space', `${oneLine(answer.name)} (${answer.space})`],
    ['deltas', String(answer.deltas)],
    ['records', String(answer.records)],
    ['root', answer.root],
    ['state', answer.state]
  ])
  return { data: answer, lines }
}

export function registerReadVerbs(program: Command, wrap: Wrap): void {
  registerRecallVerbs(program, wrap)
  const ID = 'id, unique prefix or key:NAME'
  const SPACE = ['-s, --space <name>', 'space by name or id'] as const
  program
    .command('get')
    .description('Show records in full, with author, fingerprint and verification')
    .argument('<ids...>', ID)
    .option(...SPACE)
    .option('--as-of <when>', 'as they were then: date, or how long ago')
    .action(wrap(get))
  filterOptions(program.command('list').description('List records, newest first'))
    .option('--cursor <cursor>', 'go on from a previous answer')
    .action(wrap(list))
  program
    .command('history')
    .description('Every signed change of a record')
    .argument('<id>', ID)
    .option(...SPACE)
    .action(wrap(history))
  program
    .command('lineage')
    .description('What a record comes from, and what comes from it')
    .argument('<id>', ID)
    .option(...SPACE)
    .option('--depth <n>', 'steps in each direction', wholeNumber)
    .action(wrap(lineage))
  program
    .command('verify')
    .description('Check hashes, signatures and chains again; exit 9 when one fails')
    .argument('[ids...]', `${ID}; the whole space when omitted`)
    .option(...SPACE)
    .action(wrap(verify))
  program
    .command('tally')
    .description('Count the votes on a record')
    .argument('<id>', ID)
    .option(...SPACE)
    .action(wrap(tally))
  program
    .command('stats')
    .description('Counts, diversity and growth')
    .option(...SPACE)
    .action(wrap(stats))
  program
    .command('ids')
    .description('Ids of all deltas of a space, in time order')
    .option(...SPACE)
    .action(wrap(ids))
  program
    .command('digest')
    .description('Fingerprints of a space: equal roots are equal sets, equal states equal memories')
    .option(...SPACE)
    .action(wrap(digest))
}
