/** Verbs that sign something: learn, revise, tag, link, retract, vote. Each starts the daemon when none runs. */
import { Argument, Option, type Command } from 'commander'
import type { Params } from '../../rpc/schema/methods.ts'
import { DEDUPE, KINDS, MEMORY_TYPES, ORIGIN_CLASSES, RELATIONS, VERDICTS } from '../../rpc/vocabulary.ts'
import type { Kind, MemoryType, OriginClass, Relation, BallotVerdict } from '../../rpc/vocabulary.ts'
import type { Context } from '../context.ts'
import { receiptOutcome } from '../memory-lines.ts'
import { collect, fraction, futureMs, given, usage, wholeNumber } from '../values.ts'
import type { Wrap } from './register.ts'

/** How long a write waits for other daemons when `--replicas` is given without `--timeout`. */
const REPLICAS_TIMEOUT_MS = 10_000
const CLEARABLE = ['path', 'validFrom', 'validTo', 'expiresAt'] as const

interface WriteFlags {
  space?: string
  replicas?: number
}

interface OriginFlags {
  origin?: OriginClass
  allowSecret?: boolean
}

interface LearnFlags extends WriteFlags, OriginFlags {
  dedupe?: (typeof DEDUPE)[number]
  ifNew?: boolean
  working?: boolean
  key?: string
  kind?: Kind
  type?: MemoryType
  path?: string
  tag?: string[]
  importance?: number
  confidence?: number
  pin?: boolean
  source?: string
  evidence?: string[]
  parent?: string[]
  related?: string[]
  supersedes?: string[]
  validFrom?: string
  validTo?: string
  expires?: string
}

interface ReviseFlags extends WriteFlags, OriginFlags {
  kind?: Kind
  path?: string
  pin?: boolean
  importance?: number
  confidence?: number
  validFrom?: string
  validTo?: string
  expires?: string
  clear?: (typeof CLEARABLE)[number][]
  ifVersion?: number
}

function writeOptions(command: Command): Command {
  return command
    .option('-s, --space <name>', 'space by name or id; the default space when omitted')
    .option('--replicas <n>', 'wait until that many peers hold it, at most --timeout (default 10s)', wholeNumber)
}

function acknowledged(context: Context, { space, replicas }: WriteFlags) {
  const timeoutMs = context.timeoutMs ?? REPLICAS_TIMEOUT_MS
  return { ...given({ space }), ...(replicas === undefined ? {} : { ack: { replicas, timeoutMs } }) }
}

/** Words from the command line, or all of stdin for a single `-`. */
async function textOf(context: Context, words: readonly string[]): Promise<string> {
  const text = words.length === 1 && words[0] === '-' ? await context.terminal.readInput() : words.join(' ')
  const trimmed = text.replace(/\n+$/, '')
  if (trimmed.trim() === '') throw usage('There is no text.', 'Give it as words, or pipe it in and write -')
  return trimmed
}

/**
 * Who types at a terminal is the user; what is piped in, or run by a program, is the agent's own. A token has its own
 * default, and might not be allowed either.
 */
function originOf(context: Context, { origin, allowSecret }: OriginFlags) {
  const isPerson = context.io.stdin.isTTY === true && (context.io.env['CHRYSALIS_TOKEN'] ?? '') === ''
  return given({ origin: origin ?? (isPerson ? ('user' as const) : undefined), allowSecret })
}

async function learn(context: Context, words: string[], flags: LearnFlags) {
  const now = context.nowMs()
  const moment = (text: string | undefined) => (text === undefined ? undefined : futureMs(text, now))
  const params: Params<'memory.add'> = {
    content: await textOf(context, words),
    ...acknowledged(context, flags),
    ...originOf(context, flags),
    ...given({
      dedupe: flags.ifNew === true ? ('report' as const) : flags.dedupe,
      key: flags.key,
      kind: flags.kind,
      memoryType: flags.type,
      path: flags.path,
      tags: flags.tag,
      importance: flags.importance,
      confidence: flags.confidence,
      pinned: flags.pin,
      source: flags.source,
      evidence: flags.evidence,
      parents: flags.parent,
      related: flags.related,
      supersedes: flags.supersedes,
      validFrom: moment(flags.validFrom),
      validTo: moment(flags.validTo),
      expiresAt: moment(flags.expires),
      tier: flags.working === true ? ('working' as const) : undefined
    })
  }
  const client = await context.daemon()
  const receipt = await context.terminal.during('learning', client.call('memory.add', params))
  return receiptOutcome(context, receipt, 'learned')
}

async function revise(context: Context, id: string, words: string[], flags: ReviseFlags) {
  const now = context.nowMs()
  const moment = (text: string | undefined) => (text === undefined ? undefined : futureMs(text, now))
  const changes = {
    ...(words.length === 0 ? {} : { content: await textOf(context, words), ...originOf(context, flags) }),
    ...given({
      kind: flags.kind,
      path: flags.path,
      pinned: flags.pin,
      importance: flags.importance,
      confidence: flags.confidence,
      validFrom: moment(flags.validFrom),
      validTo: moment(flags.validTo),
      expiresAt: moment(flags.expires)
    }),
    ...Object.fromEntries((flags.clear ?? []).map((field) => [field, null]))
  }
  if (Object.keys(changes).length === 0) throw usage('There is nothing to change.', 'Give a new text or an option.')
  const client = await context.daemon()
  const params = { id, ...changes, ...given({ ifVersion: flags.ifVersion }), ...acknowledged(context, flags) }
  return receiptOutcome(context, await client.call('memory.revise', params), 'revised')
}

async function tag(context: Context, id: string, tags: string[], flags: WriteFlags & { remove?: string[] }) {
  if (tags.length === 0 && flags.remove === undefined) {
    throw usage('There is no tag to add or remove.', 'Write: chrysalis tag ID TAG… [--remove TAG]')
  }
  const client = await context.daemon()
  const changes = { ...(tags.length === 0 ? {} : { tagsAdd: tags }), ...given({ tagsRemove: flags.remove }) }
  const receipt = await client.call('memory.revise', { id, ...changes, ...acknowledged(context, flags) })
  return receiptOutcome(context, receipt, 'tagged')
}

function registerLearn(program: Command, wrap: Wrap): void {
  writeOptions(
    program
      .command('learn')
      .alias('remember')
      .description('Learn one memory: signed, on disk, then shared')
      .argument('<text...>', 'what was learned; - reads it from stdin')
  )
    .option('--key <name>', 'agents that use one key share one record')
    .addOption(new Option('-k, --kind <kind>', 'what it is').choices(KINDS))
    .addOption(new Option('--type <type>', 'memory type').choices(MEMORY_TYPES))
    .option('--path <path>', 'place in a tree of topics')
    .option('-t, --tag <tag>', 'tag, repeatable', collect)
    .option('--importance <0..1>', 'how much it matters', fraction)
    .option('--confidence <0..1>', 'how sure you are', fraction)
    .option('--pin', 'pin it')
    .option('--source <text>', 'which agent, tool or run said it')
    .option('--evidence <text>', 'URI, hash or note, repeatable', collect)
    .option('--parent <id>', 'record this one was derived from, repeatable', collect)
    .option('--related <id>', 'related record, repeatable', collect)
    .option('--supersedes <id>', 'record this one replaces, repeatable', collect)
    .option('--valid-from <when>', 'date, or how long from now')
    .option('--valid-to <when>', 'date, or how long from now')
    .option('--expires <when>', 'date, or how long from now; hides it, deletes nothing')
    .addOption(
      new Option('--origin <class>', 'where it came from; user at a terminal, else self').choices(ORIGIN_CLASSES)
    )
    .addOption(new Option('--dedupe <how>', 'what to do with what was said before (default skip)').choices(DEDUPE))
    .option('--if-new', 'as --dedupe report: write it unless it is known, and name what nearly says it')
    .option('--allow-secret', 'write it although it looks like it holds a password or key')
    .option('--working', 'keep it here until it is important or recalled in two sessions, then share it')
    .action(wrap(learn))
}

function registerRevise(program: Command, wrap: Wrap): void {
  writeOptions(
    program
      .command('revise')
      .description('Change a record; its history stays')
      .argument('<id>', 'id, unique prefix or key:NAME')
      .argument('[text...]', 'new content; - reads it from stdin')
  )
    .addOption(new Option('-k, --kind <kind>', 'what it is').choices(KINDS))
    .option('--path <path>', 'place in a tree of topics')
    .option('--pin', 'pin it')
    .option('--no-pin', 'unpin it')
    .option('--importance <0..1>', 'how much it matters', fraction)
    .option('--confidence <0..1>', 'how sure you are', fraction)
    .option('--valid-from <when>', 'date, or how long from now')
    .option('--valid-to <when>', 'date, or how long from now')
    .option('--expires <when>', 'date, or how long from now')
    .addOption(new Option('--clear <field...>', 'empty a field').choices(CLEARABLE))
    .addOption(
      new Option('--origin <class>', 'where the new text came from; user at a terminal, else self').choices(
        ORIGIN_CLASSES
      )
    )
    .option('--allow-secret', 'write it although it looks like it holds a password or key')
    .option('--if-version <n>', 'refuse unless the version is this', wholeNumber)
    .action(wrap(revise))

  writeOptions(
    program
      .command('tag')
      .description('Add and remove tags')
      .argument('<id>', 'id, unique prefix or key:NAME')
      .argument('[tags...]', 'tags to add')
  )
    .option('-r, --remove <tag>', 'tag to remove, repeatable', collect)
    .action(wrap(tag))
}

export function registerWriteVerbs(program: Command, wrap: Wrap): void {
  registerLearn(program, wrap)
  registerRevise(program, wrap)

  writeOptions(
    program
      .command('link')
      .description('Add an edge between two records, or a piece of evidence')
      .argument('<from>', 'id, unique prefix or key:NAME')
      .addArgument(new Argument('<relation>', 'what the edge means').choices(RELATIONS))
      .argument('<to>', 'record; free text when the relation is evidence')
  ).action(
    wrap(async (context, from: string, relation: Relation, to: string, flags: WriteFlags) => {
      const client = await context.daemon()
      const receipt = await client.call('memory.link', { from, to, relation, ...acknowledged(context, flags) })
      return receiptOutcome(context, receipt, 'linked')
    })
  )

  writeOptions(
    program
      .command('retract')
      .description('Hide a record everywhere, with a signed reason')
      .argument('<id>', 'id, unique prefix or key:NAME')
      .requiredOption('--reason <text>', 'why')
  ).action(
    wrap(async (context, id: string, flags: WriteFlags & { reason: string }) => {
      const client = await context.daemon()
      const params = { id, reason: flags.reason, ...acknowledged(context, flags) }
      return receiptOutcome(context, await client.call('memory.retract', params), 'retracted')
    })
  )

  writeOptions(
    program
      .command('vote')
      .description('Sign a verdict on a record')
      .argument('<id>', 'id, unique prefix or key:NAME')
      .addArgument(new Argument('<verdict>', 'your verdict').choices(VERDICTS))
      .option('--confidence <0..1>', 'how sure you are that it holds', fraction)
      .option('--reason <text>', 'why')
  ).action(
    wrap(
      async (
        context,
        id: string,
        verdict: BallotVerdict,
        flags: WriteFlags & { confidence?: number; reason?: string }
      ) => {
        const client = await context.daemon()
        const { confidence, reason } = flags
        const params = { id, verdict, ...given({ confidence, reason }), ...acknowledged(context, flags) }
        return receiptOutcome(context, await client.call('vote.cast', params), 'voted')
      }
    )
  )
}
