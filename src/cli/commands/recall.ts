/** Verbs that find what is relevant: recall and context, and the filters that recall and list have in common. */
import { Option, type Command } from 'commander'
import { ChrysalisError } from '../../base/errors.ts'
import type { Params, Result } from '../../rpc/schema/methods.ts'
import { KINDS, MIN_TRUSTS, RANKINGS, RECALL_MODES } from '../../rpc/vocabulary.ts'
import type { Kind } from '../../rpc/vocabulary.ts'
import type { Context, Outcome } from '../context.ts'
import { itemTable } from '../memory-lines.ts'
import { collect, fraction, given, pastMs, wholeNumber } from '../values.ts'
import type { Wrap } from './register.ts'

export interface FilterFlags {
  space?: string[]
  kind?: Kind[]
  tag?: string[]
  anyTag?: string[]
  author?: string[]
  since?: string
  until?: string
  minImportance?: number
  path?: string
  validated?: boolean
  verified?: boolean
  expired?: boolean
  retracted?: boolean
  superseded?: boolean
  pinned?: boolean
  minTrust?: (typeof MIN_TRUSTS)[number]
  limit?: number
}

/** The options of `FilterFlags`. */
export function filterOptions(command: Command): Command {
  return command
    .option('-n, --limit <n>', 'at most that many', wholeNumber)
    .option('-s, --space <name>', 'only in this space, repeatable', collect)
    .addOption(new Option('-k, --kind <kind...>', 'only these kinds').choices(KINDS))
    .option('-t, --tag <tag>', 'only with this tag, repeatable: all of them', collect)
    .option('--any-tag <tag>', 'only with one of these tags, repeatable', collect)
    .option('--author <peer>', 'only by this peer, repeatable', collect)
    .option('--since <when>', 'date, or how long ago')
    .option('--until <when>', 'date, or how long ago')
    .option('--min-importance <0..1>', 'only what matters that much', fraction)
    .option('--path <path>', 'only this path and below')
    .option('--validated', 'only what a ballot has validated')
    .option('--verified', 'only what verifies again now')
    .option('--expired', 'expired ones too')
    .option('--retracted', 'retracted ones too')
    .option('--superseded', 'superseded ones too')
    .option('--pinned', 'only what is pinned')
    .addOption(minTrustOption())
}

function minTrustOption(): Option {
  return new Option('--min-trust <tier>', 'only what is worth that much; any: all but what is blocked').choices(
    MIN_TRUSTS
  )
}

/** What the flags ask of the daemon; what was not given is left to it. */
export function filters(context: Context, flags: FilterFlags) {
  const now = context.nowMs()
  const moment = (text: string | undefined) => (text === undefined ? undefined : pastMs(text, now))
  return given({
    limit: flags.limit,
    spaces: flags.space,
    kinds: flags.kind,
    tagsAll: flags.tag,
    tagsAny: flags.anyTag,
    authors: flags.author,
    sinceMs: moment(flags.since),
    untilMs: moment(flags.until),
    minImportance: flags.minImportance,
    path: flags.path,
    validatedOnly: flags.validated,
    verifiedOnly: flags.verified,
    includeExpired: flags.expired,
    includeRetracted: flags.retracted,
    includeSuperseded: flags.superseded,
    pinnedOnly: flags.pinned,
    minTrust: flags.minTrust
  })
}

interface RecallFlags extends FilterFlags {
  mode?: (typeof RECALL_MODES)[number][]
  mmr?: number
  budget?: number
  asOf?: string
  ranking?: (typeof RANKINGS)[number]
  explain?: boolean
  ids?: boolean
  failEmpty?: boolean
}

async function recall(context: Context, words: string[], flags: RecallFlags): Promise<Outcome> {
  const client = await context.daemon()
  const params: Params<'memory.search'> = {
    query: words.join(' '),
    ...filters(context, flags),
    ...given({
      ranking: flags.ranking,
      explain: flags.explain,
      modes: flags.mode,
      mmr: flags.mmr,
      budgetTokens: flags.budget,
      asOfMs: flags.asOf === undefined ? undefined : pastMs(flags.asOf, context.nowMs())
    })
  }
  const answer = await context.terminal.during('recalling', client.call('memory.search', params))
  const lines = flags.ids === true ? answer.items.map(({ id }) => id) : recallLines(context, answer.items, flags)
  for (const note of recallNotes(answer)) context.terminal.note(note)
  if (answer.items.length > 0 || flags.failEmpty !== true) return { data: answer, lines }
  return { data: answer, lines, error: new ChrysalisError('not_found', 'Nothing was recalled.') }
}

/** What an answer does not show, and why an empty one may prove nothing. */
function recallNotes({ items, index, dropped, hidden, overflow }: Result<'memory.search'>): string[] {
  const notes: string[] = []
  if (items.length === 0) notes.push('Nothing relevant is known here.')
  if (index.state === 'partial') {
    notes.push(`The index is being rebuilt: ${index.indexed} of ${index.records} records so far.`)
  }
  if (index.vector === 'stale') notes.push('Not every text has its vector yet; words were compared everywhere.')
  if (index.vector === 'unavailable') notes.push('The embedder does not answer: only words were compared.')
  if (dropped > 0) notes.push(`${dropped} more matched; ${overflow ? '--budget' : '-n'} shows more.`)
  else if (overflow) notes.push('This one memory alone is larger than the budget.')
  if (hidden > 0)
    notes.push(`${hidden} matched and are worth less trust; --min-trust any shows all but what is blocked.`)
  return notes
}

function recallLines(context: Context, items: Result<'memory.search'>['items'], flags: RecallFlags): string[] {
  const { paint } = context.terminal
  const rows = itemTable(context, items)
  if (flags.explain !== true) return rows
  return rows.flatMap((row, i) => {
    const hit = items[i - 1]
    if (hit === undefined) return [row]
    const factors = Object.entries(hit.why ?? {}).map(([name, value]) => `${name} ${round(value)}`)
    return [row, paint.dim(`          score ${round(hit.score)} = ${factors.join(' · ')}`)]
  })
}

function round(value: number): string {
  return String(Math.round(value * 1_000) / 1_000)
}

interface ContextFlags {
  space?: string[]
  path?: string
  budget?: number
  since?: string
  minTrust?: (typeof MIN_TRUSTS)[number]
}

/** The cursor goes to stderr: stdout holds what a model is to read. */
async function contextVerb(context: Context, words: string[], flags: ContextFlags): Promise<Outcome> {
  const client = await context.daemon()
  const goal = words.join(' ').trim()
  const params: Params<'memory.context'> = given({
    goal: goal === '' ? undefined : goal,
    spaces: flags.space,
    path: flags.path,
    budgetTokens: flags.budget,
    cursor: flags.since,
    minTrust: flags.minTrust
  })
  const answer = await context.terminal.during('recalling', client.call('memory.context', params))
  if (answer.text === '') context.terminal.note('There is nothing to know here yet.')
  if (answer.index.state === 'partial') context.terminal.note('The index is being rebuilt: something may be missing.')
  if (answer.overflow) context.terminal.note('Not everything fits; --budget makes room for more.')
  context.terminal.note(`What changes from here on: --since ${answer.cursor}`)
  return { data: answer, lines: answer.text === '' ? [] : answer.text.split('\n') }
}

export function registerRecallVerbs(program: Command, wrap: Wrap): void {
  filterOptions(
    program.command('recall').description('Find what is relevant, best first').argument('<query...>', 'what to recall')
  )
    .addOption(new Option('--ranking <name>', 'how hits are ranked').choices(RANKINGS))
    .addOption(new Option('--mode <mode...>', 'where candidates come from; all when omitted').choices(RECALL_MODES))
    .option('--mmr <0..1>', 'relevance against sameness; 1 ranks by score alone', fraction)
    .option('--budget <tokens>', 'at most that many estimated tokens, but one memory at least', wholeNumber)
    .option('--as-of <when>', 'what was true then: date, or how long ago')
    .option('--explain', 'show every factor of each score')
    .option('--ids', 'print full ids only')
    .option('--fail-empty', 'exit 4 when nothing was recalled')
    .action(wrap(recall))
  program
    .command('context')
    .description('What to know before beginning: pinned, open, changed and relevant memories within a budget')
    .argument('[goal...]', 'what is about to be done')
    .option('-s, --space <name>', 'only in this space, repeatable', collect)
    .option('--path <path>', 'only this path and below')
    .option('--budget <tokens>', 'at most that many estimated tokens; 1500 when omitted', wholeNumber)
    .option('--since <cursor>', 'tell what changed since the answer that gave this cursor')
    .addOption(minTrustOption())
    .action(wrap(contextVerb))
}
