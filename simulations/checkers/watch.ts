/**
 * The part of the checks that cannot wait for the end. What a daemon acknowledges must be on its disk and in its records
 * at that very moment (I11); its set and its records only climb while it lives (I4, I11); after a crash everything it
 * acknowledged is there (I14); no queue exceeds its bound (I13); no honest peer is ever banned (I16); nothing rejects
 * unheard (I19). Whoever writes in the world tells it of every acknowledgement, and calls `tick` each virtual second.
 *
 * It also keeps the list of what this run has seen, of all that some run must see.
 */
import { createVerifier } from '../../src/adapters/system/crypto.ts'
import { toHex } from '../../src/base/bytes.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { messageOf } from '../../src/base/errors.ts'
import { decodeDelta } from '../../src/memory/delta-codec.ts'
import type { DeltaId, RecordId } from '../../src/memory/ids.ts'
import { decodeRecord } from '../../src/memory/record-codec.ts'
import { applyOp, equalRecords, joinRecords, type RecordState } from '../../src/memory/record.ts'
import { deltaKey, parseRecordValue, recordKey } from '../../src/node/rows.ts'
import type { SimNode } from '../world/sim-node.ts'
import type { World } from '../world/world.ts'
import type { Ack, Sometimes, Violation } from './checker.ts'
import type { Scene } from './inspect.ts'
import { targetsOf } from './reference.ts'
import { short } from './stores.ts'

/** Records of each node whose states are followed from tick to tick, and ticks between two looks at the whole set. */
const FOLLOWED_MAX = 4
const WHOLE_SET_TICKS = 5

/** What is known of one node from the last look at it. */
interface Book {
  /** The engine and the disk it was then: another engine is another life, another disk was wiped or put back. */
  life: unknown
  disk: unknown
  /** Replaced when the engine reads its disk anew in mid-life, as after the disk was full. */
  replica: unknown
  acknowledged: DeltaId[]
  /** The record of the newest of them. */
  newest: RecordId | undefined
  followed: Map<RecordId, RecordState>
  keys: readonly Uint8Array[]
  count: number
  offsetMs: number
  banned: Set<string>
}

export class Watch {
  readonly #world: World
  readonly #books = new Map<string, Book>()
  readonly #found: Violation[] = []
  readonly #reached = new Set<Sometimes>()
  readonly #hasher = createVerifier()
  readonly #unheard: (reason: unknown) => void
  #ticks = 0

  /** From now on unhandled rejections of this process are counted against this world, until `finish` or `dispose`. */
  constructor(world: World) {
    this.#world = world
    this.#unheard = (reason) => {
      this.#found.push({ invariant: 'I19', what: `a rejection was handled by nobody: ${messageOf(reason)}` })
    }
    process.on('unhandledRejection', this.#unheard)
  }

  /** In the order in which they were seen to happen. */
  get reached(): ReadonlySet<Sometimes> {
    return this.#reached
  }

  note(what: Sometimes): void {
    this.#reached.add(what)
  }

  // --- acknowledgements

  /** To be called when the engine resolves, before any virtual time passes. */
  acknowledged(ack: Ack): void {
    const node = this.#world.nodes.find(({ name }) => name === ack.node)
    if (node === undefined || !node.running) return
    const book = this.#bookOf(node)
    book.acknowledged.push(ack.receipt.delta)
    book.newest = ack.receipt.id
    const wrong = this.#unread(node, ack)
    if (wrong !== undefined) this.#found.push({ invariant: 'I11', node: node.name, what: wrong })
  }

  /** Why a client that reads what it has just written would not find it. */
  #unread(node: SimNode, { receipt }: Ack): string | undefined {
    const { rows } = node.disk
    const row = rows.getSync('delta', deltaKey(receipt.space, receipt.delta))
    if (row === undefined) return `acknowledged ${short(receipt.delta)} and has not stored it`
    const decoded = decodeDelta(row, this.#hasher)
    if (!decoded.ok) return `acknowledged ${short(receipt.delta)} and stored something unreadable`
    const delta = decoded.value
    const { hlc, author, epoch } = delta.header
    const targets = targetsOf(delta, receipt.space)
    for (const [index, op] of delta.ops.entries()) {
      const id = targets[index]
      if (op.op === 'unknown' || id === undefined) continue
      const state = stateOf(node, receipt.space, id)
      if (state === undefined) return `acknowledged ${short(receipt.delta)} and has no record ${short(id)}`
      const again = joinRecords(state, state)
      applyOp(again, op, { hlc, author, delta: delta.id, index }, epoch)
      if (!equalRecords(state, again)) return `acknowledged ${short(receipt.delta)}, but ${short(id)} does not show it`
    }
    return undefined
  }

  // --- on the way

  /** Cheap; to be called about once a virtual second, and once before the end. */
  tick(): void {
    this.#ticks++
    for (const node of this.#world.nodes) {
      const { offsetMs } = node.clock
      const book = this.#books.get(node.name)
      if (book !== undefined && offsetMs < book.offsetMs) this.note('clock-jumped-back')
      if (book !== undefined) book.offsetMs = offsetMs
      if (node.running) this.#look(node)
    }
  }

  #look(node: SimNode): void {
    const book = this.#bookOf(node)
    const replica = node.engine.spaceTable.all[0]?.replica
    if (replica === undefined) return
    const status = node.engine.status()
    // While it starts, its memory is not what is on its disk yet.
    if (status.state === 'starting') return
    if (book.life !== node.engine || book.disk !== node.disk) this.#reborn(node, book)
    else if (book.replica === replica) this.#climbs(node, book)
    else if (book.replica !== undefined) this.#forget(book)
    book.replica = replica
    book.count = replica.tree.count
    if (this.#ticks % WHOLE_SET_TICKS === 0) book.keys = replica.tree.snapshot().keysFrom(undefined, KEYS_MAX)
    this.#bounds(node, status.queues, replica.heldCount)
    this.#bans(node, book)
    if (replica.heldCount > 0) this.note('delta-held')
    if (status.state === 'read-only' && status.reasons.some((reason) => reason.includes('room'))) this.note('disk-full')
  }

  #bookOf(node: SimNode): Book {
    let book = this.#books.get(node.name)
    if (book === undefined) {
      book = {
        life: node.running ? node.engine : undefined,
        disk: node.disk,
        replica: undefined,
        acknowledged: [],
        newest: undefined,
        followed: new Map(),
        keys: [],
        count: 0,
        offsetMs: node.clock.offsetMs,
        banned: new Set()
      }
      this.#books.set(node.name, book)
    }
    return book
  }

  /** I14: it is a new process; what was acknowledged is there unless the disk is another one. */
  #reborn(node: SimNode, book: Book): void {
    const sameDisk = book.disk === node.disk
    const space = node.engine.spaceTable.all[0]?.id ?? ''
    const { tree } = node.engine.spaceTable.all[0]?.replica ?? {}
    if (sameDisk && tree !== undefined && tree.count < book.count) this.note('crash-between-write-and-sync')
    const lost = sameDisk ? book.acknowledged.filter((id) => !this.#stores(node, space, id)) : []
    if (lost.length > 0) {
      const what = `lost ${lost.length} acknowledged writes in a crash, ${short(lost[0])} among them`
      this.#found.push({ invariant: 'I14', node: node.name, what })
    }
    if (!sameDisk) book.acknowledged = []
    book.life = node.engine
    book.disk = node.disk
    // A new process has forgotten whom it had banned, which is not the same as a ban that ran out.
    book.banned.clear()
    this.#forget(book)
  }

  /** Read back from its disk, a node may lack what it held in memory alone: nobody had been told of that. */
  #forget(book: Book): void {
    book.keys = []
    book.followed = new Map()
    book.newest = undefined
  }

  #stores(node: SimNode, space: string, id: DeltaId): boolean {
    return node.disk.rows.getSync('delta', deltaKey(space, id)) !== undefined
  }

  /** I4 and I11: the same process on the same disk has forgotten nothing. */
  #climbs(node: SimNode, book: Book): void {
    const replica = node.engine.spaceTable.all[0]?.replica
    if (replica === undefined) return
    if (replica.tree.count < book.count) {
      this.#found.push({
        invariant: 'I4',
        node: node.name,
        what: `its set fell from ${book.count} to ${replica.tree.count}`
      })
    }
    const gone = book.keys.find((key) => !replica.tree.has(key))
    if (gone !== undefined) {
      this.#found.push({
        invariant: 'I4',
        node: node.name,
        what: `delta ${short(toHex(gone).slice(12))} has left its set`
      })
      book.keys = []
    }
    for (const [id, then] of book.followed) {
      const now = stateOf(node, replica.space, id)
      if (now !== undefined && equalRecords(joinRecords(then, now), now)) book.followed.set(id, now)
      else {
        this.#found.push({
          invariant: 'I11',
          node: node.name,
          what: `record ${short(id)} shows less than it did before`
        })
        book.followed.delete(id)
      }
    }
    this.#follow(node, replica.space, book)
  }

  /** Records of acknowledged writes, the newest few: those that a client has reason to look at again. */
  #follow(node: SimNode, space: string, book: Book): void {
    const state = book.newest === undefined ? undefined : stateOf(node, space, book.newest)
    if (state === undefined) return
    book.followed.set(state.id, state)
    const [oldest] = book.followed.keys()
    if (book.followed.size > FOLLOWED_MAX && oldest !== undefined) book.followed.delete(oldest)
  }

  /** I13. */
  #bounds(node: SimNode, queues: Readonly<Record<string, number>>, held: number): void {
    for (const [queue, most] of Object.entries({ ...QUEUE_BOUNDS, held: LIMITS.pendingDeltasMax })) {
      const length = queue === 'held' ? held : (queues[queue] ?? 0)
      if (length > most) {
        this.#found.push({ invariant: 'I13', node: node.name, what: `${length} wait in ${queue}, at most ${most}` })
      }
    }
    const connected = node.engine.peers().filter((peer) => peer.connected).length
    if (connected > LIMITS.connectionsMax) {
      this.#found.push({ invariant: 'I13', node: node.name, what: `has ${connected} connections` })
    }
  }

  /** I16: nobody honest is banned, whatever liars say and do. */
  #bans(node: SimNode, book: Book): void {
    const nowMs = node.clock.nowMs()
    const honest = new Set(this.#world.nodes.map(({ peer }) => peer))
    for (const { peer, bannedUntilMs } of node.engine.peers()) {
      if (bannedUntilMs > nowMs) {
        if (honest.has(peer) && !book.banned.has(peer)) {
          this.#found.push({ invariant: 'I16', node: node.name, what: `has banned honest ${peer}` })
        }
        book.banned.add(peer)
      } else if (book.banned.delete(peer)) this.note('ban-and-unban')
    }
  }

  // --- the end

  /** A last look; nothing is listened to any more. What was found on the way, in order. */
  async finish(): Promise<readonly Violation[]> {
    this.tick()
    this.dispose()
    return Promise.resolve([...this.#found])
  }

  /** Stops listening. Idempotent; for runs that end without `finish`. */
  dispose(): void {
    process.off('unhandledRejection', this.#unheard)
  }

  /** What the whole of the run shows, beyond what was seen on the way. */
  conclude({ views, known, evidence }: Scene): void {
    const epochs = new Map<string, Set<string>>()
    for (const { delta } of known.values()) {
      const { author, epoch } = delta.header
      epochs.set(author, (epochs.get(author) ?? new Set()).add(epoch))
    }
    if ([...epochs.values()].some((of) => of.size > 1)) this.note('epoch-restarted')
    if (evidence.faults.some(({ kind }) => kind === 'partition' || kind === 'one-way')) this.note('partition-healed')
    for (const { counters, proofs, arrivals } of views) {
      for (const [counter, what] of COUNTED) if ((counters[counter] ?? 0) > 0) this.note(what)
      if (proofs.size > 0) this.note('equivocation-seen')
      if (arrivedEarly(arrivals, known)) this.note('orphan-resolved')
      const refused = Object.entries(counters).some(([name, count]) => name.startsWith(REFUSED) && count > 0)
      if (refused) this.note('forgery-refused')
    }
  }
}

const KEYS_MAX = 100_000
const REFUSED = 'chrysalis_refused_'

const QUEUE_BOUNDS: Readonly<Record<string, number>> = {
  inbox: LIMITS.inboxInputsMax,
  outbox: LIMITS.outboxDeltasMax,
  verifying: LIMITS.verifyInFlightMax + LIMITS.sessionDeltasInFlightMax * LIMITS.reconInboundMax,
  indexing: LIMITS.indexFreshMax + LIMITS.indexBacklogMax
}

const COUNTED: readonly (readonly [counter: string, what: Sometimes])[] = [
  ['chrysalis_gossip_duplicates_total', 'duplicate-delivered'],
  ['chrysalis_recon_sessions_repaired_total', 'repaired-by-anti-entropy'],
  ['chrysalis_recon_sessions_failed_total', 'backoff-used'],
  ['chrysalis_node_repaired_total', 'quarantine-repaired']
]

/** Whether some delta came before one that it cites, which came as well. */
function arrivedEarly(arrivals: readonly { readonly id: DeltaId }[], known: Scene['known']): boolean {
  const place = new Map(arrivals.map(({ id }, index) => [id, index]))
  return arrivals.some(({ id }, index) => {
    const header = known.get(id)?.delta.header
    const cited = header === undefined ? [] : [...header.parents, ...(header.prev === null ? [] : [header.prev])]
    return cited.some((parent) => (place.get(parent) ?? -1) > index)
  })
}

function stateOf(node: SimNode, space: string, id: RecordId): RecordState | undefined {
  const row = node.disk.rows.getSync('record', recordKey(space, id))
  return row === undefined ? undefined : decodeRecord(parseRecordValue(row).state)
}
