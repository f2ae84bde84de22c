/**
 * The engine as one identity may see and use it. It fails closed: every method is written out here, so a method that is
 * new does not compile until somebody has said what it means for a token; a space out of reach does not exist in any
 * answer, count or event; what a caller says of itself (origin, agent, session) is replaced by what its token says.
 *
 * It adds nothing to the engine and keeps nothing but the pace of writes. Cursors of the arrival log are positions in the
 * log of the whole daemon: they tell how much happened, not what or where.
 */
import { ChrysalisError } from '../base/errors.ts'
import type { OriginClass } from '../memory/ops.ts'
import type {
  EmbedApi,
  IndexState,
  NodeApi,
  NodeEvent,
  NodeStatus,
  StatsAnswer,
  SyncStatus,
  WriteOrigin
} from '../node/api.ts'
import { mayClaim } from '../node/trust-api.ts'
import { permit, type Identity, type Verb } from './identity.ts'
import { Pace } from './pace.ts'
import { Reach } from './reach.ts'

/** Monotonic milliseconds, for the pace. */
export interface PaceClock {
  monotonicMs(): number
}

const SYSTEM: PaceClock = { monotonicMs: () => performance.now() }

/** `clock` is for tests. */
export function guardNode(node: NodeApi, identity: Identity, clock: PaceClock = SYSTEM): NodeApi {
  const guard = new Guard(node, identity, clock)
  return {
    peer: node.peer,
    ...reading(guard),
    ...inspecting(guard),
    ...writing(guard),
    ...caring(guard),
    ...embedding(guard),
    ...company(guard)
  }
}

type Reading =
  | 'status'
  | 'health'
  | 'get'
  | 'resolve'
  | 'search'
  | 'context'
  | 'list'
  | 'changes'
  | 'spaces'
  | 'estimate'
  | 'onEvent'
type Inspecting = 'history' | 'lineage' | 'verify' | 'stats' | 'tally' | 'digest' | 'deltaIds'
type Writing = 'add' | 'addMany' | 'revise' | 'link' | 'retract' | 'vote'
type Caring = 'promote' | 'consolidate' | 'undo' | 'restore' | 'rot' | 'trustList' | 'trustPeer' | 'review'
type Company = Exclude<keyof NodeApi, Reading | Inspecting | Writing | Caring | keyof EmbedApi | 'peer'>

class Guard {
  readonly node: NodeApi
  readonly identity: Identity
  readonly reach: Reach
  readonly #clock: PaceClock
  readonly #pace: Pace | undefined

  constructor(node: NodeApi, identity: Identity, clock: PaceClock) {
    this.node = node
    this.identity = identity
    this.reach = new Reach(node, identity)
    this.#clock = clock
    const { pace, writesPerSecond } = identity
    this.#pace = pace ?? (writesPerSecond === null ? undefined : new Pace(writesPerSecond))
  }

  permit(verb: Verb, what: string): void {
    permit(this.identity, verb, what)
  }

  /** Asks leave for `count` writes, and pays for them. */
  write(what: string, count = 1): void {
    this.permit('write', what)
    const retryMs = this.#pace?.take(count, this.#clock.monotonicMs()) ?? 0
    if (retryMs === 0) return
    throw new ChrysalisError(
      'rate_limited',
      `The token ${this.identity.agent ?? ''} may write ${this.identity.writesPerSecond ?? 0} memories a second; nothing was written.`,
      { hint: `Try again in ${retryMs} ms, and write what matters.`, data: { retryMs } }
    )
  }

  /** What the write says of where it comes from, as far as the token allows it. */
  origin(request: WriteOrigin): WriteOrigin {
    const { agent, session } = this.identity
    const name = agent ?? request.agent
    return { origin: this.#claim(request.origin), session, ...(name === undefined ? {} : { agent: name }) }
  }

  #claim(wanted: OriginClass | undefined): OriginClass {
    const { origins, agent } = this.identity
    const [usual] = origins
    // `derived` alone would be worth as much as anything: the engine adds it wherever parents are named.
    const claim = wanted === undefined || wanted === 'derived' ? usual : wanted
    if (claim !== undefined && mayClaim(origins, claim)) return claim
    throw new ChrysalisError(
      'denied',
      `The token ${agent ?? ''} may not say that a memory comes from "${claim ?? 'self'}"; nothing was written.`,
      { hint: origins.length === 0 ? 'It may claim no origin at all.' : `It may claim: ${origins.join(', ')}.` }
    )
  }
}

function reading(guard: Guard): Pick<NodeApi, Reading> {
  const { node, reach } = guard
  const read = (what: string): void => guard.permit('read', what)
  return {
    status() {
      read('node.status')
      return reach.everything ? node.status() : partOfStatus(node.status(), reach)
    },
    health() {
      read('node.health')
      const health = node.health()
      // Reasons name spaces and peers.
      return reach.everything ? health : { ...health, reasons: [] }
    },
    async get(ids, space, options) {
      read('memory.get')
      if (reach.everything) return node.get(ids, space, options)
      const answers: Awaited<ReturnType<NodeApi['get']>>[number][] = ids.map(() => null)
      for (const one of reach.many(space === undefined ? undefined : [space]) ?? []) {
        const items = await node.get(ids, one, options)
        items.forEach((item, place) => (answers[place] ??= item))
      }
      return answers
    },
    async resolve(reference, space) {
      read('memory.resolve')
      return reach.resolve(reference, space)
    },
    async search(request) {
      read('memory.search')
      const spaces = inSpaces(reach.many(request.spaces))
      const answer = await node.search({ ...request, ...spaces, session: guard.identity.session })
      return reach.everything ? answer : { ...answer, index: partOfIndex(answer.index, reach) }
    },
    async context(request) {
      read('memory.context')
      const spaces = inSpaces(reach.many(request.spaces))
      const answer = await node.context({ ...request, ...spaces, session: guard.identity.session })
      return reach.everything ? answer : { ...answer, index: partOfIndex(answer.index, reach) }
    },
    async list(request) {
      read('memory.list')
      return node.list({ ...request, ...inSpaces(reach.many(request.spaces)) })
    },
    async changes(request) {
      read('memory.changes')
      return node.changes({ ...request, ...inSpaces(reach.many(request.spaces)) })
    },
    spaces() {
      read('space.list')
      return reach.spaces()
    },
    estimate(request) {
      read('gossip.estimate')
      return node.estimate(request)
    },
    onEvent(listener) {
      read('events.open')
      return node.onEvent((event) => {
        if (guard.identity.revoked?.() !== true && mayHear(event, reach)) listener(event)
      })
    }
  }
}

/** Questions about one record, or about a space as a whole. */
function inspecting(guard: Guard): Pick<NodeApi, Inspecting> {
  const { node, reach } = guard
  const read = (what: string): void => guard.permit('read', what)
  return {
    async history(id, space) {
      read('memory.history')
      return node.history(id, await reach.home(id, space))
    },
    async lineage(id, options) {
      read('memory.lineage')
      return node.lineage(id, { ...options, ...inSpace(await reach.home(id, options?.space)) })
    },
    async verify({ ids, space }) {
      read('memory.verify')
      if (ids === undefined) return node.verify(inSpace(reach.each(space)))
      if (reach.everything) return node.verify({ ids, ...inSpace(space) })
      const homes = new Set<string | undefined>()
      for (const id of ids) homes.add(await reach.home(id, space))
      const [home] = homes
      if (homes.size > 1) return node.verify({ ids, ...inSpace(reach.each(undefined)) })
      return node.verify({ ids, ...inSpace(home) })
    },
    async stats(space) {
      read('memory.stats')
      const stats = await node.stats(reach.each(space))
      return reach.everything ? stats : withoutCounters(stats)
    },
    async tally(id, space) {
      read('vote.tally')
      return node.tally(id, await reach.home(id, space))
    },
    async digest(space) {
      read('memory.digest')
      return node.digest(reach.one(space))
    },
    async deltaIds({ space, ...page }) {
      read('memory.ids')
      return node.deltaIds({ ...page, ...inSpace(reach.one(space)) })
    }
  }
}

function writing(guard: Guard): Pick<NodeApi, Writing> {
  const { node, reach } = guard
  const addable = (request: Parameters<NodeApi['add']>[0]): Parameters<NodeApi['add']>[0] => {
    const space = reach.one(request.space)
    reach.mayWrite(space)
    if (request.tier === 'working' && !reach.everything) {
      reach.mayWrite(node.spaces().find((one) => !one.shared)?.id)
    }
    return { ...request, ...guard.origin(request), ...inSpace(space) }
  }
  const place = async (id: string, reference: string | undefined): Promise<{ space?: string }> => {
    const space = await reach.home(id, reference)
    reach.mayWrite(space)
    return inSpace(space)
  }
  return {
    async add(request, options) {
      guard.write('memory.add')
      return node.add(addable(request), options)
    },
    async addMany(requests, options) {
      guard.write('memory.addMany', requests.length)
      return node.addMany(requests.map(addable), options)
    },
    async revise(request, options) {
      guard.write('memory.revise')
      const home = await place(request.id, request.space)
      return node.revise({ ...request, ...guard.origin(request), ...home }, options)
    },
    async link(request, options) {
      guard.write('memory.link')
      return node.link({ ...request, ...(await place(request.from, request.space)) }, options)
    },
    async retract(request, options) {
      guard.write('memory.retract')
      return node.retract({ ...request, ...(await place(request.id, request.space)) }, options)
    },
    async vote(request, options) {
      guard.write('vote.cast')
      mayVote(guard.identity)
      return node.vote({ ...request, ...(await place(request.id, request.space)) }, options)
    }
  }
}

/** The embedder sees texts of every space, and what it says ranks the memories of all. */
function embedding(guard: Guard): EmbedApi {
  const { node } = guard
  const permit = (what: string): void => guard.permit('admin', what)
  return {
    embedStatus() {
      permit('embed.status')
      return node.embedStatus()
    },
    async embedTest(text) {
      permit('embed.test')
      return node.embedTest(text)
    },
    async embedPending(request) {
      permit('embed.pending')
      return node.embedPending(request)
    },
    async embedPut(request) {
      permit('embed.put')
      return node.embedPut(request)
    }
  }
}

function caring(guard: Guard): Pick<NodeApi, Caring> {
  const { node, reach } = guard
  const place = async (id: string, reference: string | undefined): Promise<{ space?: string }> => {
    const space = await reach.home(id, reference)
    reach.mayWrite(space)
    return inSpace(space)
  }
  return {
    async promote(request, options) {
      guard.write('memory.promote', request.ids.length)
      const to = reach.one(request.space)
      reach.mayWrite(to)
      for (const id of request.ids) await place(id, undefined)
      return node.promote({ ...request, ...inSpace(to) }, options)
    },
    async consolidate(request) {
      const space = reach.each(request.space)
      if (request.dryRun === true) guard.permit('read', 'memory.consolidate')
      else {
        guard.write('memory.consolidate')
        reach.mayWrite(space)
      }
      return node.consolidate({ ...request, ...inSpace(space) })
    },
    async undo(request, options) {
      guard.write('memory.undo')
      return node.undo({ ...request, ...(await place(request.id, request.space)) }, options)
    },
    async restore(request, options) {
      guard.write('memory.restore')
      return node.restore({ ...request, ...(await place(request.id, request.space)) }, options)
    },
    async rot(request) {
      guard.permit('read', 'memory.audit')
      return node.rot({ ...request, ...inSpace(reach.each(request.space)) })
    },
    async review(request) {
      guard.permit('read', 'memory.review')
      return node.review({ ...request, ...inSpace(reach.each(request.space)) })
    },
    trustList() {
      // Whom the owner distrusts is nobody else's business.
      guard.permit('admin', 'trust.list')
      return node.trustList()
    },
    async trustPeer(request) {
      guard.permit('admin', 'peer.trust')
      return node.trustPeer(request)
    }
  }
}

function company(guard: Guard): Pick<NodeApi, Company> {
  const { node, reach } = guard
  return {
    peers() {
      guard.permit('read', 'peer.list')
      if (reach.everything) return node.peers()
      // A topic is the name of a space.
      const visible = reach.spaces().map((space) => space.id)
      const isMine = (topic: string): boolean => visible.some((id) => topic.endsWith(id))
      return node.peers().map((peer) => ({ ...peer, topics: peer.topics.filter(isMine) }))
    },
    async connect(address) {
      guard.permit('admin', 'peer.connect')
      return node.connect(address)
    },
    async disconnect(peer) {
      guard.permit('admin', 'peer.disconnect')
      return node.disconnect(peer)
    },
    async syncStatus() {
      guard.permit('read', 'sync.status')
      const status = await node.syncStatus()
      return reach.everything ? status : partOfSync(status, reach)
    },
    async syncNow(request) {
      guard.permit('write', 'sync.now')
      return node.syncNow({ ...request, ...inSpace(reach.each(request.space)) })
    },
    async syncWait(request) {
      guard.permit('write', 'sync.wait')
      return node.syncWait({ ...request, ...inSpace(reach.each(request.space)) })
    },
    async syncFrontiers(request) {
      guard.permit('read', 'sync.frontiers')
      return node.syncFrontiers({ ...request, ...inSpace(reach.each(request.space)) })
    }
  }
}

/** A vote is the daemon's own word, and lifts what others hold doubtful: who speaks only for tools has none. */
function mayVote({ origins, agent }: Identity): void {
  if (origins.includes('self') || origins.includes('user')) return
  throw new ChrysalisError('denied', `The token ${agent ?? ''} may not vote; nothing was written.`, {
    hint: 'A vote needs the origin `self` or `user`. Say in a memory of your own what you think of this one.'
  })
}

function mayHear(event: NodeEvent, reach: Reach): boolean {
  switch (event.type) {
    case 'memory':
      return reach.sees(event.change.space)
    case 'sync':
    case 'catch-up':
      return reach.sees(event.space)
    case 'peer':
      return true
    case 'node':
      // These are sentences about anything.
      return reach.everything
  }
}

/** Counts of the whole daemon would tell of what is hidden. */
function partOfStatus(status: NodeStatus, reach: Reach): NodeStatus {
  const index = partOfIndex(status.index, reach)
  return { ...status, spaces: reach.spaces(), index, reasons: [], queues: {}, refusals: {} }
}

function partOfIndex(index: IndexState, reach: Reach): IndexState {
  const records = reach.spaces().reduce((sum, space) => sum + space.records, 0)
  return { ...index, records, indexed: index.state === 'complete' ? records : Math.min(records, index.indexed) }
}

function partOfSync(status: SyncStatus, reach: Reach): SyncStatus {
  return {
    spaces: status.spaces.filter((one) => reach.sees(one.space)),
    peers: status.peers.filter((one) => reach.sees(one.space))
  }
}

function withoutCounters(stats: StatsAnswer): StatsAnswer {
  return { ...stats, counters: {} }
}

function inSpace(space: string | undefined): { space?: string } {
  return space === undefined ? {} : { space }
}

function inSpaces(spaces: readonly string[] | undefined): { spaces?: readonly string[] } {
  return spaces === undefined ? {} : { spaces }
}
