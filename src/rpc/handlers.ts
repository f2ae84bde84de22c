/**
 * What each method does: a thin translation between the table and the engine. Parameters arrive validated; references
 * are resolved to full ids here, so that the engine never sees a prefix. Nothing else is decided in this file.
 */
import { isHex } from '../base/bytes.ts'
import { ChrysalisError } from '../base/errors.ts'
import { peerIdToAuthor } from '../base/peer-id.ts'
import type { AddRequest, NodeApi, WriteOptions } from '../node/api.ts'
import type { Control } from './control.ts'
import { EMBED_HANDLERS } from './embed-handlers.ts'
import type { RequestId } from './messages.ts'
import { describeMethods, type MethodName, type ParsedParams, type Result } from './schema/methods.ts'
import { PROTOCOL } from './schema/node-methods.ts'
import { TRUST_HANDLERS } from './trust-handlers.ts'
import { upkeepHandlers } from './upkeep-handlers.ts'

/** What a request may ask of the connection it came by. */
export interface Session {
  readonly node: NodeApi
  readonly control: Control
  /** Who this is from now on. Throws `denied` for a token that is not good. Absent where that has been settled before. */
  readonly introduce?: (token: string | undefined, session: string | undefined) => void
  /** Answers a request in flight with `cancelled`; false when there is none of that id. */
  cancel(id: RequestId): boolean
  /** Events flow once the answer has been written. */
  openEvents(params: ParsedParams<'events.open'>): Promise<{ subscription: string; cursor: string }>
  closeEvents(subscription: string): boolean
  /** Runs `act` once the answer to this request has been written. */
  afterAnswer(act: () => void): void
}

/** `timeoutMs`: when the caller will be answered with `timeout`, if it said so; for methods that can say how far they got. */
type Handler<M extends MethodName> = (
  params: ParsedParams<M>,
  session: Session,
  timeoutMs: number | undefined
) => Result<M> | Promise<Result<M>>
export type Handlers = { readonly [M in MethodName]: Handler<M> }

const DOOR: Pick<Handlers, Extract<MethodName, `rpc.${string}` | `events.${string}`>> = {
  'rpc.hello': ({ protocol, token, session }, door) => {
    if (protocol !== PROTOCOL) {
      throw new ChrysalisError(
        'unsupported_version',
        `This daemon speaks protocol ${PROTOCOL}, not ${protocol.slice(0, 16)}.`,
        { hint: 'Use a client and a daemon of one version; `chrysalis version` prints both.' }
      )
    }
    door.introduce?.(token, session)
    return { protocol: PROTOCOL, protocols: [PROTOCOL], version: door.node.status().version, peer: door.node.peer }
  },
  'rpc.discover': () => ({ protocol: PROTOCOL, methods: describeMethods() }),
  'rpc.cancel': ({ id }, session) => ({ cancelled: session.cancel(id) }),
  'events.open': (params, session) => session.openEvents(params),
  'events.close': ({ subscription }, session) => ({ closed: session.closeEvents(subscription) })
}

const NODE: Pick<Handlers, Extract<MethodName, `${'node' | 'config' | 'gossip'}.${string}`>> = {
  'node.status': (_, { node }) => node.status(),
  'node.health': (_, { node }) => node.health(),
  'node.id': (_, { node }) => {
    const { peer, name, epoch, addresses, version } = node.status()
    return { peer, author: peerIdToAuthor(peer) ?? '', name, epoch, addresses, version }
  },
  'node.stop': (_, session) => {
    session.afterAnswer(() => session.control.stop())
    return { stopping: true }
  },
  'config.get': ({ key }, { control }) => {
    const all = control.configuration()
    const entries =
      key === undefined ? all : all.filter((entry) => entry.key === key || entry.key.startsWith(`${key}.`))
    if (key !== undefined && entries.length === 0) {
      throw new ChrysalisError('not_found', `There is no configuration key ${key}.`, {
        hint: 'Ask without a key to see them all.'
      })
    }
    return { entries: entries.map(({ key: path, value, source }) => ({ key: path, value, source })) }
  },
  'gossip.estimate': (params, { node }) => node.estimate(params)
}

const COMPANY: Pick<Handlers, Exclude<Extract<MethodName, `${'peer' | 'sync' | 'space'}.${string}`>, 'peer.trust'>> = {
  'peer.list': (_, { node }) => ({ peers: node.peers() }),
  'peer.connect': async ({ address }, { node }) => ({ peer: await node.connect(address) }),
  'peer.disconnect': async ({ peer }, { node }) => {
    await node.disconnect(peer)
    return { disconnected: true }
  },
  'sync.status': (_, { node }) => node.syncStatus(),
  'sync.now': (params, { node }, timeoutMs) => node.syncNow({ ...params, ...patience(timeoutMs) }),
  'sync.wait': async ({ ids, ...rest }, { node }, timeoutMs) =>
    node.syncWait({
      ...rest,
      ...(ids === undefined ? {} : { ids: await resolveAll(node, ids, rest.space) }),
      ...patience(timeoutMs)
    }),
  'sync.frontiers': (params, { node }) => node.syncFrontiers(params),
  'space.list': (_, { node }) => ({ spaces: node.spaces() }),
  'space.invite': (params, { control }) => control.invite(params),
  'space.join': (params, { control }) => control.join(params)
}

const READING: Pick<
  Handlers,
  Extract<
    MethodName,
    `memory.${'get' | 'search' | 'context' | 'list' | 'changes' | 'history' | 'lineage' | 'verify' | 'stats' | 'digest' | 'ids' | 'resolve'}`
  >
> = {
  'memory.get': async ({ ids, space, ...at }, { node }) => {
    const full = await Promise.all(ids.map((id) => resolveOrNull(node, id, space)))
    const wanted = full.filter((id) => id !== null)
    const found = wanted.length === 0 ? [] : await node.get(wanted, space, at)
    const items = new Map(wanted.map((id, i) => [id, found[i] ?? null]))
    return { items: full.map((id) => (id === null ? null : (items.get(id) ?? null))) }
  },
  'memory.search': (params, { node }) => node.search(params),
  'memory.context': (params, { node }) => node.context(params),
  'memory.list': (params, { node }) => node.list(params),
  'memory.changes': (params, { node }) => node.changes(params),
  'memory.history': async ({ id, space }, { node }) => {
    const full = await resolve(node, id, space)
    return { id: full, entries: await node.history(full, space) }
  },
  'memory.lineage': async ({ id, space, ...depth }, { node }) => {
    const full = await resolve(node, id, space)
    return { id: full, nodes: await node.lineage(full, { ...depth, ...inSpace(space) }) }
  },
  'memory.verify': async ({ ids, space }, { node }) =>
    node.verify({ ...(ids === undefined ? {} : { ids: await resolveAll(node, ids, space) }), ...inSpace(space) }),
  'memory.stats': ({ space }, { node }) => node.stats(space),
  'memory.digest': ({ space }, { node }) => node.digest(space),
  'memory.ids': (params, { node }) => node.deltaIds(params),
  'memory.resolve': async ({ reference, space }, { node }) => ({ id: await node.resolve(reference, space) })
}

const WRITING: Pick<
  Handlers,
  Extract<MethodName, `memory.${'add' | 'addMany' | 'revise' | 'link' | 'retract'}` | `vote.${string}`>
> = {
  'memory.add': async ({ ack, ...request }, { node }) => node.add(await resolveLinks(node, request), options(ack)),
  'memory.addMany': async ({ items, ack }, { node }) => {
    const requests = await Promise.all(items.map((item) => resolveLinks(node, item)))
    return { receipts: await node.addMany(requests, options(ack)) }
  },
  'memory.revise': async ({ ack, id, ...changes }, { node }) =>
    node.revise({ ...changes, id: await resolve(node, id, changes.space) }, options(ack)),
  'memory.link': async ({ ack, from, to, relation, space }, { node }) =>
    node.link(
      {
        from: await resolve(node, from, space),
        // Evidence is free text: a URI that happens to look like an id must stay what it is.
        to: relation === 'evidence' ? to : await resolve(node, to, space),
        relation,
        ...inSpace(space)
      },
      options(ack)
    ),
  'memory.retract': async ({ ack, id, reason, space }, { node }) =>
    node.retract({ id: await resolve(node, id, space), reason, ...inSpace(space) }, options(ack)),
  'vote.cast': async ({ ack, id, ...ballot }, { node }) =>
    node.vote({ ...ballot, id: await resolve(node, id, ballot.space) }, options(ack)),
  'vote.tally': async ({ id, space }, { node }) => node.tally(await resolve(node, id, space), space)
}

export const HANDLERS: Handlers = {
  ...DOOR,
  ...NODE,
  ...COMPANY,
  ...READING,
  ...WRITING,
  ...upkeepHandlers(resolve),
  ...EMBED_HANDLERS,
  ...TRUST_HANDLERS
}

function options(ack: WriteOptions['ack'] | undefined): WriteOptions {
  return ack === undefined ? {} : { ack }
}

/** A little less than the caller's: the answer that says how far it got must be there before the one that cannot. */
function patience(timeoutMs: number | undefined): { timeoutMs?: number } {
  return timeoutMs === undefined ? {} : { timeoutMs: Math.max(1, timeoutMs - Math.min(250, Math.ceil(timeoutMs / 10))) }
}

function inSpace(space: string | undefined): { space?: string } {
  return space === undefined ? {} : { space }
}

/** Full ids pass as they are: a record may be named before this daemon has it. */
async function resolve(node: NodeApi, reference: string, space: string | undefined): Promise<string> {
  if (isHex(reference, 32)) return reference
  if (reference.startsWith('key:') || isPrefix(reference)) return node.resolve(reference, space)
  throw new ChrysalisError('invalid_argument', `${reference.slice(0, 80)} names no record.`, {
    hint: 'Name a record by its id, by a prefix of at least 6 hexadecimal digits, or as key:NAME.'
  })
}

function isPrefix(reference: string): boolean {
  return /^[0-9a-f]{6,63}$/.test(reference)
}

async function resolveOrNull(node: NodeApi, reference: string, space: string | undefined): Promise<string | null> {
  try {
    return await resolve(node, reference, space)
  } catch (error) {
    if (error instanceof ChrysalisError && error.code === 'not_found') return null
    throw error
  }
}

function resolveAll(node: NodeApi, references: readonly string[], space: string | undefined): Promise<string[]> {
  return Promise.all(references.map((reference) => resolve(node, reference, space)))
}

async function resolveLinks(node: NodeApi, request: AddRequest): Promise<AddRequest> {
  const { parents, related, supersedes, ...rest } = request
  return {
    ...rest,
    ...(parents === undefined ? {} : { parents: await resolveAll(node, parents, rest.space) }),
    ...(related === undefined ? {} : { related: await resolveAll(node, related, rest.space) }),
    ...(supersedes === undefined ? {} : { supersedes: await resolveAll(node, supersedes, rest.space) })
  }
}
