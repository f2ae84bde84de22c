/** The verb that asks no daemon: search, in the index the daemon keeps for other processes. */
import { Option, type Command } from 'commander'
import { KINDS, MIN_TRUSTS } from '../../rpc/vocabulary.ts'
import type { Kind } from '../../rpc/vocabulary.ts'
import type { Context, Outcome } from '../context.ts'
import { age, oneLine, shortId, shortPeer, table } from '../format.ts'
import type { SharedFound, SharedSearch } from '../local-actions.ts'
import { collect, given, pastMs, usage, wholeNumber } from '../values.ts'
import type { Wrap } from './register.ts'

interface SearchFlags {
  shared?: boolean
  space?: string
  limit?: number
  mode?: SharedSearch['mode']
  kind?: Kind[]
  tag?: string[]
  author?: string[]
  since?: string
  minTrust?: (typeof MIN_TRUSTS)[number]
  pinned?: boolean
  explain?: boolean
}

async function search(context: Context, words: string[], flags: SearchFlags): Promise<Outcome> {
  if (flags.shared !== true) {
    throw usage(
      'search looks into the shared index only.',
      'Say so with --shared, or ask the daemon: chrysalis recall WORDS'
    )
  }
  const { searchShared } = await context.io.actions()
  const answer = await searchShared({
    home: context.home,
    query: words.join(' '),
    ...given({
      space: flags.space,
      limit: flags.limit,
      mode: flags.mode,
      kinds: flags.kind,
      tagsAll: flags.tag,
      authors: flags.author,
      sinceMs: flags.since === undefined ? undefined : pastMs(flags.since, context.nowMs()),
      minTrust: flags.minTrust,
      pinnedOnly: flags.pinned,
      explain: flags.explain
    })
  })
  if (answer.index.state === 'partial')
    context.terminal.note('The daemon still fills the index: something may be missing.')
  if (answer.hits.length === 0) context.terminal.note('Nothing was found.')
  return { data: answer, lines: foundLines(context, answer.hits) }
}

function foundLines(context: Context, hits: readonly SharedFound[]): string[] {
  const { paint, columns } = context.terminal
  const now = context.nowMs()
  const rows = hits.map((hit) => [
    hit.score.toFixed(3),
    shortId(hit.id),
    hit.kind,
    shortPeer(hit.peer),
    age(hit.createdAt, now),
    hit.tier,
    oneLine(hit.flags.length === 0 ? hit.content : `(${hit.flags.join(', ')}) ${hit.content}`)
  ])
  const lines = table(
    [
      { title: 'SCORE', align: 'right' },
      { title: 'ID', style: paint.cyan },
      { title: 'KIND' },
      { title: 'AUTHOR', style: paint.dim },
      { title: 'AGE', align: 'right' },
      { title: 'TRUST', style: paint.dim },
      { title: 'CONTENT' }
    ],
    rows,
    columns
  )
  const why = hits.flatMap((hit) => {
    if (hit.why === undefined) return []
    const factors = Object.entries(hit.why).map(([name, value]) => `${name} ${Number(value.toFixed(3))}`)
    return [`${shortId(hit.id)}  ${factors.join(', ')}`]
  })
  return why.length === 0 ? lines : [...lines, '', ...why]
}

export function registerSharedVerb(program: Command, wrap: Wrap): void {
  program
    .command('search')
    .description(
      'Search the index the daemon publishes, without asking the daemon: by words, in well under a millisecond'
    )
    .argument('<words...>', 'what to look for')
    .option('--shared', 'in the shared index of the home; it is found while the daemon is busy or gone, too')
    .option('-s, --space <name>', 'the space; by default the default space of the home')
    .option('-n, --limit <n>', 'at most that many (default 10)', wholeNumber)
    .addOption(
      new Option('--mode <mode>', 'bm25: weight of shared words; jaccard: share of them, pinned first').choices([
        'bm25',
        'jaccard'
      ])
    )
    .addOption(new Option('-k, --kind <kind...>', 'only these kinds').choices(KINDS))
    .option('-t, --tag <tag>', 'only with this tag, repeatable: all of them', collect)
    .option('--author <peer>', 'only by this peer, repeatable', collect)
    .option('--since <when>', 'date, or how long ago')
    .addOption(new Option('--min-trust <tier>', 'least trust; any shows all but what is blocked').choices(MIN_TRUSTS))
    .option('--pinned', 'only pinned memories')
    .option('--explain', 'say why')
    .action(wrap(search))
}
