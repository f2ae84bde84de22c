/** Verbs about others: peers, connect, invite, join, watch; sync is in sync.ts. */
import { Option, type Command } from 'commander'
import { isChrysalisError } from '../../base/errors.ts'
import type { ClientEvent } from '../../rpc/event-stream.ts'
import type { Client } from '../../rpc/client.ts'
import { EVENT_TOPICS } from '../../rpc/vocabulary.ts'
import type { Context, Outcome } from '../context.ts'
import { isoTime, oneLine, shortId, shortPeer, table } from '../format.ts'
import { collect, durationMs, given, wholeNumber } from '../values.ts'
import type { Wrap } from './register.ts'
import { progressLine, registerSyncVerb } from './sync.ts'

async function peers(context: Context, { connected }: { connected?: boolean }): Promise<Outcome> {
  const client = await context.daemon()
  const answer = await client.call('peer.list', {})
  const shown = answer.peers.filter((peer) => connected !== true || peer.connected)
  if (shown.length === 0)
    context.terminal.note('No peers. Invite one with chrysalis invite, or dial one with chrysalis connect.')
  const columns = ['PEER', 'STATE', 'FOUND', 'SCORE', 'ADDRESS'].map((title) => ({ title }))
  const rows = shown.map((peer) => [
    peer.peer,
    peer.connected ? peer.direction : peer.bannedUntilMs > context.nowMs() ? 'banned' : 'away',
    peer.source,
    String(peer.score),
    peer.addresses[0] ?? ''
  ])
  return { data: { peers: shown }, lines: table(columns, rows, context.terminal.columns) }
}

async function invite(
  context: Context,
  space: string | undefined,
  flags: { expires?: string; uses?: number }
): Promise<Outcome> {
  const client = await context.daemon()
  const expiresInMs = flags.expires === undefined ? undefined : durationMs(flags.expires)
  const answer = await client.call('space.invite', given({ space, expiresInMs, uses: flags.uses }))
  const uses = answer.uses === 1 ? 'one use' : `${answer.uses} uses`
  context.terminal.note(`A ticket into ${answer.space}: ${uses}, until ${isoTime(answer.expiresAtMs)}.`)
  context.terminal.note('Whoever has it can join. On the other machine: chrysalis join TICKET')
  return { data: answer, lines: [answer.ticket] }
}

/** A running daemon joins by itself; without one the home is changed and the next daemon finds it so. */
async function join(context: Context, ticket: string, { force }: { force?: boolean }): Promise<Outcome> {
  const text = ticket === '-' ? (await context.terminal.readInput()).trim() : ticket
  const request = { ticket: text, ...given({ force }) }
  let client: Client | undefined
  try {
    client = await context.running()
  } catch (error) {
    if (!isChrysalisError(error, 'daemon_unreachable')) throw error
  }
  if (client !== undefined) {
    const answer = await client.call('space.join', request)
    if (answer.restarting) context.terminal.note('The network changed: the daemon is starting again.')
    return { data: answer, lines: [joined(answer.space)] }
  }
  const actions = await context.io.actions()
  const report = await actions.join({ home: context.home, ...request })
  context.terminal.note('Start the daemon with: chrysalis daemon --detach')
  return { data: { ...report, restarting: false }, lines: [joined(report.space)] }
}

function joined(space: { name: string; id: string }): string {
  return `joined ${oneLine(space.name)} (${space.id})`
}

interface WatchFlags {
  space?: string[]
  topic?: (typeof EVENT_TOPICS)[number][]
  cursor?: string
}

/** Runs until interrupted, or until nobody reads its output any more. */
async function watch(context: Context, flags: WatchFlags): Promise<undefined> {
  const client = await context.daemon()
  const onOpen = (cursor: string): void => context.terminal.note(`Watching from cursor ${cursor}. Ctrl-C ends.`)
  const request = { ...given({ spaces: flags.space, topics: flags.topic, cursor: flags.cursor }), onOpen }
  const signal = AbortSignal.any([
    context.terminal.closed,
    ...(context.io.signal === undefined ? [] : [context.io.signal])
  ])
  for await (const event of client.events({ ...request, signal })) {
    context.emit(event, context.json ? [] : await eventLines(client, event))
  }
  return undefined
}

async function eventLines(client: Client, event: ClientEvent): Promise<string[]> {
  if (event.type === 'gap') return [`gap     events ${event.from} to ${event.to} were let go`]
  const time = isoTime(event.atMs)
  switch (event.type) {
    case 'memory': {
      const { records, peer, space } = event.data
      const { items } = await client.call('memory.get', { ids: records.slice(0, 20), space })
      return records.slice(0, 20).map((id, i) => {
        const item = items[i]
        return `${time}  memory  ${shortId(id)}  ${shortPeer(peer)}  ${oneLine(item?.content ?? '(no content)', 100)}`
      })
    }
    case 'peer':
      return [`${time}  peer    ${event.data.peer} ${event.data.what}`]
    case 'sync':
      return [
        `${time}  sync    ${shortPeer(event.data.peer)} ${event.data.result}, ` +
          `${event.data.received} received, ${event.data.sent} sent`
      ]
    case 'node':
      return [`${time}  node    ${event.data.what} ${oneLine(event.data.detail)}`]
    case 'catch-up':
      return [`${time}  catch-up ${event.data.what}: ${progressLine(event.data)}`]
  }
}

export function registerCompanyVerbs(program: Command, wrap: Wrap): void {
  program
    .command('peers')
    .description('Peers known and connected')
    .option('--connected', 'connected ones only')
    .action(wrap(peers))
  program
    .command('connect')
    .description('Dial a peer and keep it')
    .argument('<address>', 'multiaddr ending in /p2p/PEER')
    .action(
      wrap(async (context, address: string) => {
        const client = await context.daemon()
        const answer = await context.terminal.during('dialling', client.call('peer.connect', { address }))
        return { data: answer, lines: [`connected to ${answer.peer}`] }
      })
    )
  program
    .command('invite')
    .description('Make a ticket that lets another daemon in')
    .argument('[space]', 'space by name or id; the default space when omitted')
    .option('--expires <duration>', 'how long it is good for, as 1h')
    .option('--uses <n>', 'how often it can be used', wholeNumber)
    .action(wrap(invite))
  program
    .command('join')
    .description('Use a ticket')
    .argument('<ticket>', 'the ticket; - reads it from stdin')
    .option('--force', 'leave the present network even when others are in it')
    .action(wrap(join))
  registerSyncVerb(program, wrap)
  program
    .command('watch')
    .description('Follow events until interrupted')
    .option('-s, --space <name>', 'only this space, repeatable', collect)
    .addOption(new Option('--topic <topic...>', 'only these').choices(EVENT_TOPICS))
    .option('--cursor <cursor>', 'go on after this memory event')
    .action(wrap(watch))
}
