/** Verbs about whom to believe and who may speak: trust, review and token. */
import { Argument, Option, type Command } from 'commander'
import { OPINIONS, ORIGIN_CLASSES, type Opinion, type OriginClass } from '../../rpc/vocabulary.ts'
import type { Params, Result } from '../../rpc/schema/methods.ts'
import type { Context, Outcome } from '../context.ts'
import { age, isoTime, oneLine, shortId, shortPeer, table } from '../format.ts'
import { collect, given, usage, wholeNumber } from '../values.ts'
import type { Wrap } from './register.ts'

/** Takes an opinion back. */
const DEFAULT = 'default'

async function trust(
  context: Context,
  peer: string | undefined,
  tier: Opinion | typeof DEFAULT | undefined,
  { reason }: { reason?: string }
): Promise<Outcome> {
  const client = await context.daemon()
  if (peer === undefined) {
    const answer = await client.call('trust.list', {})
    context.terminal.note(`Everybody else is ${answer.newcomers}.`)
    const columns = ['PEER', 'TIER', 'SINCE', 'REASON'].map((title) => ({ title }))
    const rows = answer.entries.map((entry) => [
      entry.peer,
      entry.tier,
      isoTime(entry.atMs),
      oneLine(entry.reason ?? '')
    ])
    return { data: answer, lines: rows.length === 0 ? [] : table(columns, rows, context.terminal.columns) }
  }
  if (tier === undefined) {
    throw usage('There is no tier.', `Write: chrysalis trust PEER ${[...OPINIONS, DEFAULT].join('|')}`)
  }
  const params = { peer, tier: tier === DEFAULT ? null : tier, ...given({ reason }) }
  const entry = await client.call('peer.trust', params)
  const said = tier === DEFAULT ? `${entry.tier}, as everybody is` : entry.tier
  return { data: entry, lines: [`${shortPeer(entry.peer)}  ${said}`] }
}

async function review(
  context: Context,
  { space, limit, cursor }: { space?: string; limit?: number; cursor?: string }
): Promise<Outcome> {
  const client = await context.daemon()
  const answer = await client.call('memory.review', given({ space, limit, cursor }))
  if (answer.items.length === 0) context.terminal.note('Nothing wants to be looked at.')
  if (answer.cursor !== null) context.terminal.note(`There is more: --cursor ${answer.cursor}`)
  return { data: answer, lines: reviewLines(context, answer) }
}

function reviewLines(context: Context, { items }: Result<'memory.review'>): string[] {
  if (items.length === 0) return []
  const now = context.nowMs()
  const columns = ['ID', 'TIER', 'AUTHOR', 'AGE', 'WHY', 'CONTENT'].map((title) => ({ title }))
  const rows = items.map((item) => [
    shortId(item.id),
    item.trust.tier,
    shortPeer(item.peer),
    age(item.createdAt, now),
    [...item.reasons.filter((reason) => reason !== 'hidden'), ...item.flags, item.trust.because].join(', '),
    oneLine(item.content ?? '(no content)')
  ])
  return table(columns, rows, context.terminal.columns)
}

interface TokenFlags {
  space?: string[]
  origin?: OriginClass[]
  rate?: number
  read?: boolean
  admin?: boolean
}

async function tokenAdd(context: Context, name: string, flags: TokenFlags): Promise<Outcome> {
  const verbs: NonNullable<Params<'token.add'>['verbs']> = flags.read === true ? ['read'] : ['read', 'write']
  if (flags.admin === true) verbs.push('admin')
  const client = await context.daemon()
  const answer = await client.call('token.add', {
    name,
    verbs,
    ...given({ spaces: flags.space?.map(spaceRight), origins: flags.origin, writesPerSecond: flags.rate })
  })
  context.terminal.note('This is the only time it is shown. Give it to the agent as CHRYSALIS_TOKEN.')
  return { data: answer, lines: [answer.secret] }
}

/** `team:rw`, `team:r`, or `team` for reading. */
function spaceRight(text: string): { space: string; right: 'r' | 'rw' } {
  const at = text.lastIndexOf(':')
  const right = at === -1 ? 'r' : text.slice(at + 1)
  const space = at === -1 ? text : text.slice(0, at)
  if ((right === 'r' || right === 'rw') && space !== '') return { space, right }
  throw usage(`${text} is no right to a space.`, 'Write SPACE:r to read it, or SPACE:rw to write as well.')
}

async function tokenList(context: Context): Promise<Outcome> {
  const client = await context.daemon()
  const answer = await client.call('token.list', {})
  const { spaces } = await client.call('space.list', {})
  const nameOf = (id: string): string => spaces.find((space) => space.id === id)?.name ?? id
  if (answer.tokens.length === 0) context.terminal.note('No tokens. Make one with chrysalis token add NAME.')
  const columns = ['NAME', 'SPACES', 'MAY', 'ORIGINS', 'RATE', 'SINCE'].map((title) => ({ title }))
  const rows = answer.tokens.map((token) => [
    oneLine(token.name),
    token.spaces === null ? 'all:rw' : token.spaces.map(({ space, right }) => `${nameOf(space)}:${right}`).join(' '),
    token.verbs.join(' '),
    token.origins.join(' '),
    token.writesPerSecond === null ? '' : `${token.writesPerSecond}/s`,
    isoTime(token.createdAtMs)
  ])
  return { data: answer, lines: rows.length === 0 ? [] : table(columns, rows, context.terminal.columns) }
}

async function tokenRevoke(context: Context, name: string): Promise<Outcome> {
  const client = await context.daemon()
  const answer = await client.call('token.revoke', { name })
  return { data: { ...answer, name }, lines: [`${oneLine(name)}  revoked`] }
}

export function registerTrustVerbs(program: Command, wrap: Wrap): void {
  program
    .command('trust')
    .description('Say how far an author is to be believed here, or list what was said')
    .argument('[peer]', 'peer id')
    .addArgument(new Argument('[tier]', 'how far; default takes the opinion back').choices([...OPINIONS, DEFAULT]))
    .option('--reason <text>', 'why, for yourself')
    .action(wrap(trust))

  program
    .command('review')
    .description('Memories that are hidden for whom they come from, hold odd content, or are disputed')
    .option('-s, --space <name>', 'space by name or id; every space when omitted')
    .option('-n, --limit <n>', 'at most so many', wholeNumber)
    .option('--cursor <cursor>', 'go on from a previous answer')
    .action(wrap(review))

  const token = program.command('token').description('Tokens for agents that are to have less than your rights')
  token
    .command('add')
    .description('Make a token; its secret is printed once')
    .argument('<name>', 'of the agent; signed into what it writes')
    .option(
      '-s, --space <name:right>',
      'a space it may read (:r) or write (:rw), repeatable; all when omitted',
      collect
    )
    .addOption(
      new Option('--origin <class>', 'origin it may claim, repeatable; the first is its default (default self)')
        .choices(ORIGIN_CLASSES.filter((origin) => origin !== 'derived'))
        .argParser((text: string, before: string[] | undefined) => collect(text, before))
    )
    .option('--rate <n>', 'writes a second', wholeNumber)
    .option('--read', 'it may read only')
    .option('--admin', 'it may change the daemon itself')
    .action(wrap(tokenAdd))
  token.command('list').description('Tokens of this home, without their secrets').action(wrap(tokenList))
  token
    .command('revoke')
    .description('Take a token back; who shows it is denied from then on')
    .argument('<name>', 'as it was made')
    .action(wrap(tokenRevoke))
}
