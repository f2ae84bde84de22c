/** Verbs that care for memories: promote, consolidate, undo, restore, audit. */
import type { Command } from 'commander'
import type { Result } from '../../rpc/schema/methods.ts'
import type { Context, Outcome } from '../context.ts'
import { fields, shortId, table } from '../format.ts'
import { receiptOutcome } from '../memory-lines.ts'
import { given, wholeNumber } from '../values.ts'
import type { Wrap } from './register.ts'

type Consolidated = Result<'memory.consolidate'>

interface ConsolidateFlags {
  space?: string
  dryRun?: boolean
  limit?: number
}

/** Ids shown of each kind in a line for people; --json has as many as were asked for. */
const IDS_SHOWN = 5

async function promote(context: Context, ids: string[], flags: { space?: string; reason?: string }): Promise<Outcome> {
  const client = await context.daemon()
  const { space, reason } = flags
  const answer = await client.call('memory.promote', { ids, ...given({ space, reason }) })
  const { paint } = context.terminal
  const lines = answer.promoted.map(({ from, id, created }) => {
    const did = created ? 'promoted to shared memory' : 'was promoted before'
    return `${paint.cyan(shortId(from))}  ${did}  ${paint.cyan(shortId(id))}`
  })
  return { data: answer, lines }
}

/** Until nothing is left, unless a limit was given: each call is bounded, a person's wish is not. */
async function consolidate(context: Context, flags: ConsolidateFlags): Promise<Outcome> {
  const client = await context.daemon()
  const request = given({ space: flags.space, dryRun: flags.dryRun, limit: flags.limit })
  const ask = (): Promise<Consolidated> => client.call('memory.consolidate', request)
  let answer = await context.terminal.during('consolidating', ask())
  let actions = answer.actions
  while (answer.more && answer.actions.length > 0 && flags.limit === undefined && flags.dryRun !== true) {
    answer = await context.terminal.during(`consolidating, ${actions.length} actions so far`, ask())
    actions = [...actions, ...answer.actions]
  }
  const whole = { ...answer, actions }
  return { data: whole, lines: consolidatedLines(context, whole) }
}

function consolidatedLines(context: Context, answer: Consolidated): string[] {
  const { paint, columns } = context.terminal
  const acts = table(
    [{ title: 'ACTION', style: paint.cyan }, { title: 'WHAT' }, { title: 'STAYS' }, { title: 'DETAIL' }],
    answer.actions.map((one) => [
      shortId(one.id),
      one.action,
      one.keeper === null ? '' : shortId(one.keeper),
      `${one.detail} ${listed(one.ids)}`
    ]),
    columns
  )
  const doubts = table(
    [{ title: 'CONTRADICTION', style: paint.yellow }, { title: 'MEMORIES' }, { title: 'WHY' }],
    answer.contradictions.map((one) => [one.kind, listed(one.ids), one.reason]),
    columns
  )
  const kept = answer.skipped.map((one) => `left alone: ${listed(one.ids)} ${one.reason}`)
  const did = answer.dryRun ? 'would be taken' : 'taken'
  const summary = [
    `${answer.records} records, ${answer.actions.length} actions ${did}, ${answer.contradictions.length} contradictions`,
    ...(answer.more ? ['There is more to do: run it again.'] : []),
    ...(answer.unseen > 0 ? [`${answer.unseen} records were not looked at: the space is very large.`] : [])
  ]
  const parts = [acts, doubts, kept, summary].filter((lines) => lines.length > 0)
  return parts.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines]))
}

function listed(ids: readonly string[]): string {
  const more = ids.length > IDS_SHOWN ? ` and ${ids.length - IDS_SHOWN} more` : ''
  return ids.slice(0, IDS_SHOWN).map(shortId).join(' ') + more
}

async function undo(context: Context, id: string, flags: { space?: string }): Promise<Outcome> {
  const client = await context.daemon()
  const answer = await client.call('memory.undo', { id, ...given({ space: flags.space }) })
  const lines = fields([
    ['undone', shortId(answer.id)],
    ['restored', answer.restored.length === 0 ? 'none' : listed(answer.restored)],
    ['tags taken off', String(answer.untagged)],
    ['links and claims that stay', String(answer.kept)],
    ...(answer.overtaken.length === 0 ? [] : [['changed since, left alone', listed(answer.overtaken)] as const])
  ])
  return { data: answer, lines }
}

async function audit(context: Context, flags: { space?: string; limit?: number }): Promise<Outcome> {
  const client = await context.daemon()
  const request = given({ space: flags.space, limit: flags.limit })
  const answer = await context.terminal.during('looking at every memory', client.call('memory.audit', request))
  const { paint, columns } = context.terminal
  const found = answer.findings.filter(({ count }) => count > 0)
  const rows = table(
    [{ title: 'FOUND', style: paint.yellow }, { title: 'COUNT', align: 'right' }, { title: 'FIRST' }],
    found.map((one) => [one.kind, String(one.count), listed(one.ids)]),
    columns
  )
  const meanings = fields(found.map((one) => [one.kind, one.meaning]))
  const summary = [
    found.length === 0 ? `${answer.records} records, and nothing to complain of` : `${answer.records} records`,
    ...(answer.unseen > 0 ? [`${answer.unseen} records were not looked at: the space is very large.`] : [])
  ]
  const parts = [rows, meanings, summary].filter((lines) => lines.length > 0)
  return { data: answer, lines: parts.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines])) }
}

export function registerUpkeepVerbs(program: Command, wrap: Wrap): void {
  program
    .command('promote')
    .description('Share private memories: each becomes a new signed memory, the private one its parent')
    .argument('<ids...>', 'ids or unique prefixes')
    .option('-s, --space <name>', 'space to share it in; the default space when omitted')
    .option('--reason <text>', 'why; kept as evidence')
    .action(wrap(promote))

  program
    .command('consolidate')
    .description('Fold repetitions, link what says the same, list contradictions; every action can be undone')
    .option('-s, --space <name>', 'one space; every space when omitted')
    .option('--dry-run', 'only say what would be done')
    .option('-n, --limit <n>', 'actions at most; all when omitted', wholeNumber)
    .action(wrap(consolidate))

  program
    .command('undo')
    .description('Take back one action of consolidate')
    .argument('<id>', 'id or unique prefix of the action')
    .option('-s, --space <name>', 'space by name or id')
    .action(wrap(undo))

  program
    .command('restore')
    .description('Take back a retraction')
    .argument('<id>', 'id, unique prefix or key:NAME')
    .option('-s, --space <name>', 'space by name or id; the default space when omitted')
    .action(
      wrap(async (context, id: string, flags: { space?: string }) => {
        const client = await context.daemon()
        const receipt = await client.call('memory.restore', { id, ...given({ space: flags.space }) })
        return receiptOutcome(context, receipt, 'restored')
      })
    )

  program
    .command('audit')
    .description('What has gone stale, double or doubtful; changes nothing')
    .option('-s, --space <name>', 'one space; every space when omitted')
    .option('-n, --limit <n>', 'ids given of each kind (default 20)', wholeNumber)
    .action(wrap(audit))
}
