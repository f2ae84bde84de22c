/** The verb about replication: how it stands, compare now, wait until others hold something, who wrote how much. */
import { Argument, type Command } from 'commander'
import { ChrysalisError } from '../../base/errors.ts'
import type { Client } from '../../rpc/client.ts'
import type { Context, Outcome } from '../context.ts'
import { age, bytes, duration, shortId, shortPeer, table } from '../format.ts'
import { collect, given, usage, wholeNumber } from '../values.ts'
import type { Wrap } from './register.ts'

interface SyncFlags {
  space?: string
  peer?: string[]
  wait?: boolean
  minPeers?: number
  cursor?: string
  limit?: number
}

type What = 'status' | 'now' | 'wait' | 'frontiers'
type SyncStatusAnswer = Awaited<ReturnType<typeof statusOf>>

const POLL_MS = 1_000

function statusOf(client: Client) {
  return client.call('sync.status', {})
}

async function sync(context: Context, what: What, ids: string[], flags: SyncFlags): Promise<Outcome> {
  if (ids.length > 0 && what !== 'wait') {
    throw usage(`sync ${what} takes no ids.`, 'See: chrysalis help sync')
  }
  const client = await context.daemon()
  switch (what) {
    case 'status':
      return status(context, client)
    case 'now':
      return now(context, client, flags)
    case 'wait':
      return wait(context, client, ids, flags)
    case 'frontiers':
      return frontiers(context, client, flags)
  }
}

async function status(context: Context, client: Client): Promise<Outcome> {
  const answer = await statusOf(client)
  const { columns } = context.terminal
  const spaces = table(
    titles('SPACE', 'LOCAL', 'PENDING', 'SYNCED', 'OUTBOX', 'ROOT'),
    answer.spaces.map((one) => [
      one.name,
      ...[one.local, one.pending, one.synced, one.outbox].map(String),
      one.root.slice(0, 16)
    ]),
    columns
  )
  const now = context.nowMs()
  const others = table(
    titles('PEER', 'SPACE', 'LAST', 'RESULT', 'HOW', 'COST', 'RECEIVED', 'SENT', 'BEHIND', 'EQUAL', 'FAILURES'),
    answer.peers.map((peer) => [
      shortPeer(peer.peer),
      shortId(peer.space),
      peer.lastSessionMs === null ? 'never' : age(peer.lastSessionMs, now),
      peer.stuck ? 'stuck' : (peer.lastResult ?? ''),
      peer.session?.method ?? '',
      peer.session === null ? '' : bytes(peer.session.bytes),
      ...[peer.received, peer.sent, peer.behind].map(String),
      peer.lastEqualMs === null ? 'never' : age(peer.lastEqualMs, now),
      String(peer.failures)
    ]),
    columns
  )
  const filling = answer.spaces.flatMap((one) =>
    one.catchUp === null ? [] : [`catching up in ${one.name}: ${progressLine(one.catchUp)}`]
  )
  const parts = [spaces, others, filling].filter((lines) => lines.length > 0)
  return { data: answer, lines: parts.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines])) }
}

async function now(context: Context, client: Client, flags: SyncFlags): Promise<Outcome> {
  const one = (peer: string | undefined) =>
    client.call('sync.now', given({ space: flags.space, peer, wait: flags.wait }))
  const work = Promise.all((flags.peer ?? [undefined]).map(one))
  const answers = await watching(context, client, 'reconciling', work)
  const sessions = answers.flatMap((answer) => answer.sessions)
  const lines = table(
    titles('PEER', 'SPACE', 'RESULT', 'HOW', 'RECEIVED', 'SENT', 'BYTES', 'TRIPS', 'DETAIL'),
    sessions.map((session) => [
      shortPeer(session.peer),
      shortId(session.space),
      session.result,
      session.method,
      ...[session.received, session.sent, session.bytes, session.roundTrips].map(String),
      session.detail ?? ''
    ]),
    context.terminal.columns
  )
  if (sessions.length === 0) context.terminal.note('No peer is connected: there was nobody to reconcile with.')
  const failed = sessions.filter((session) => session.result === 'failed').length
  if (failed === 0) return { data: { sessions }, lines }
  const message = `${failed} of ${sessions.length} reconciliations failed.`
  const error = new ChrysalisError('partial', message, {
    hint: 'The daemon tries again by itself.',
    stateTouched: true
  })
  return { data: { sessions }, lines, error }
}

async function wait(context: Context, client: Client, ids: string[], flags: SyncFlags): Promise<Outcome> {
  const { space, peer: peers, minPeers, cursor } = flags
  const request = given({ ids: ids.length === 0 ? undefined : ids, space, peers, minPeers, cursor })
  const answer = await watching(context, client, 'waiting for others to hold it', client.call('sync.wait', request))
  const lines = answer.spaces.map(
    (one) => `${one.name}  held by ${one.holders.length === 1 ? 'one peer' : `${one.holders.length} peers`}`
  )
  return { data: answer, lines: lines.length === 0 ? ['there is nothing to wait for'] : lines }
}

async function frontiers(context: Context, client: Client, flags: SyncFlags): Promise<Outcome> {
  const { space, cursor, limit } = flags
  const answer = await client.call('sync.frontiers', given({ space, cursor, limit }))
  const nowMs = context.nowMs()
  const lines = table(
    titles('PEER', 'SPACE', 'EPOCH', 'SEQ', 'MISSING', 'LAST', 'NOTE'),
    answer.frontiers.map((one) => [
      shortPeer(one.peer),
      shortId(one.space),
      shortId(one.epoch),
      String(one.seq),
      one.missing === null ? 'counting' : String(one.missing),
      one.lastSeenMs === null ? '' : age(one.lastSeenMs, nowMs),
      one.equivocated ? 'signed two deltas with one number' : ''
    ]),
    context.terminal.columns
  )
  if (answer.cursor !== null) context.terminal.note(`More: chrysalis sync frontiers --cursor ${answer.cursor}`)
  return { data: answer, lines }
}

/** Shows how far it is while `work` runs, when a person is there to see it. */
async function watching<T>(context: Context, client: Client, what: string, work: Promise<T>): Promise<T> {
  if (!context.terminal.isWatched) return work
  let text = what
  let before: { readonly atMs: number; readonly left: number } | undefined
  const look = async (): Promise<void> => {
    const answer = await statusOf(client)
    const filling = answer.spaces.flatMap((one) => (one.catchUp === null ? [] : [one.catchUp]))[0]
    const present = { atMs: context.nowMs(), left: leftOf(answer) }
    text = filling === undefined ? `${what}${leftLine(before, present)}` : `${what}: ${progressLine(filling)}`
    before = present
  }
  // A look that fails says nothing: `work` has its own answer.
  const timer = setInterval(() => void look().catch(() => undefined), POLL_MS)
  try {
    return await context.terminal.during(() => text, work)
  } finally {
    clearInterval(timer)
  }
}

/** Deltas that the peer closest to us is not known to hold. */
function leftOf(answer: SyncStatusAnswer): number {
  const behind = answer.peers.map((peer) => Math.min(peer.behind, peer.missingThere ?? peer.behind))
  return behind.length === 0 ? 0 : Math.min(...behind)
}

function leftLine(
  before: { readonly atMs: number; readonly left: number } | undefined,
  present: { readonly atMs: number; readonly left: number }
): string {
  if (present.left === 0) return ''
  const perMs = before === undefined ? 0 : (before.left - present.left) / Math.max(1, present.atMs - before.atMs)
  const rate = perMs > 0 ? `, ${Math.round(perMs * 1_000)}/s, ${duration(present.left / perMs)} left` : ''
  return `: ${present.left} deltas to go${rate}`
}

/** How a catch-up goes, for a person. */
export function progressLine(progress: {
  readonly have: number
  readonly target: number
  readonly perSecond: number
  readonly etaMs: number | null
  readonly peers: number
}): string {
  const { have, target, perSecond, etaMs, peers } = progress
  const eta = etaMs === null ? '' : `, ${duration(etaMs)} left`
  return `${have} of ${target} deltas, ${perSecond}/s${eta}, from ${peers === 1 ? 'one peer' : `${peers} peers`}`
}

function titles(...names: string[]): { title: string }[] {
  return names.map((title) => ({ title }))
}

export function registerSyncVerb(program: Command, wrap: Wrap): void {
  program
    .command('sync')
    .description('How replication stands; compare at once; wait until others hold something; who wrote how much')
    .addArgument(new Argument('[what]', 'what to do').choices(['status', 'now', 'wait', 'frontiers']).default('status'))
    .argument('[ids...]', 'wait: these memories; everything up to now when omitted')
    .option('-s, --space <name>', 'only this space')
    .option('--peer <peer>', 'only with this peer; wait: until it holds it; repeatable', collect)
    .option('--wait', 'now: again until every comparison ends in agreement')
    .option('--min-peers <n>', 'wait: until so many peers hold it', wholeNumber)
    .option('--cursor <cursor>', 'wait: everything up to this change; frontiers: the page after this one')
    .option('--limit <n>', 'frontiers: at most so many', wholeNumber)
    .action(wrap(sync))
}
