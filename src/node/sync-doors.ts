/**
 * What the doors ask of replication: compare now, wait until others hold something, and how it stands with each peer.
 * Each is a question to the parts that know; nothing is kept here.
 */
import { ChrysalisError } from '../base/errors.ts'
import { bytesToUint, toHex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { Clock } from '../ports/clock.ts'
import type { PeerId } from '../ports/network.ts'
import type { Store } from '../ports/store.ts'
import type { Reads } from './reads.ts'
import type { PeerBook } from './peer-books.ts'
import type { Reconciliation } from './reconciliation.ts'
import type { Records } from './records.ts'
import type { Arrival } from './rows.ts'
import type { SessionReport } from './sessions.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type {
  SyncNowAnswer,
  SyncNowRequest,
  SyncPeer,
  SyncStatus,
  SyncWaitAnswer,
  SyncWaitRequest
} from './sync-api.ts'
import { notHeld, type Goal, type Holders, type Waiting } from './waiting.ts'
import type { Writer } from './writer.ts'

export interface SyncParts {
  readonly clock: Clock
  readonly store: Store
  readonly spaces: Spaces
  readonly reconciliation: Reconciliation
  readonly waiting: Waiting
  readonly reads: Reads
  readonly records: Records
  readonly writer: Writer
  /** Peers that must hold a memory before it counts as synced. */
  readonly replicas: number
}

const TIMEOUT_MS = 30_000
const AGAIN_MS = 250
/** Deltas looked at to count those that are not everywhere yet; beyond it the counts are lower bounds. */
const RECENT_ROWS_MAX = 20_000

// --- status

export async function syncStatus(parts: SyncParts): Promise<SyncStatus> {
  const { spaces, reconciliation, replicas } = parts
  const recent = await recentArrivals(parts)
  const rows = spaces.all.map((space) => {
    const total = space.replica.tree.count
    const unheld = space.options.shared ? after(recent.get(space), space.receipts.heldBy(replicas)) : total
    const local = space.options.shared ? Math.min(space.unoffered.size, unheld) : total
    return {
      space: space.id,
      name: space.options.name,
      local,
      pending: unheld - local,
      synced: Math.max(0, total - unheld),
      outbox: space.outbox.size,
      root: toHex(space.replica.tree.root()),
      catchUp: reconciliation.catchUpOf(space.id)
    }
  })
  const peers = reconciliation.books().flatMap((book) => {
    const space = spaces.byId(book.space)
    return space === undefined ? [] : [peerOf(book, space, recent.get(space), reconciliation)]
  })
  return { spaces: rows, peers }
}

function peerOf(
  book: PeerBook,
  space: Space,
  recent: readonly Arrival[] | undefined,
  reconciliation: Reconciliation
): SyncPeer {
  const through = space.receipts.through(book.peer)
  return {
    peer: book.peer,
    space: book.space,
    lastSessionMs: book.session?.atMs ?? null,
    lastResult: book.session?.result ?? null,
    received: book.received,
    sent: book.sent,
    heldThrough: String(through),
    failures: book.failures,
    session: book.session,
    ownHead: book.ownHead,
    missingHere: book.missingHere,
    missingThere: book.missingThere,
    behind: after(recent, through),
    lastEqualMs: book.lastEqualMs,
    stuck: reconciliation.isStuck(book.peer, book.space)
  }
}

/** The newest positions of the arrival log by space, each list with the newest first. */
async function recentArrivals({ store, spaces }: SyncParts): Promise<Map<Space, Arrival[]>> {
  const found = new Map<Space, Arrival[]>()
  for (const row of await store.scan('arrival', { reverse: true, limit: RECENT_ROWS_MAX })) {
    const space = spaces.byId(toHex(row.value.subarray(0, 16)))
    if (space === undefined) continue
    const arrivals = found.get(space)
    if (arrivals === undefined) found.set(space, [Number(bytesToUint(row.key))])
    else arrivals.push(Number(bytesToUint(row.key)))
  }
  return found
}

/** How many of them lie after the position. */
function after(newestFirst: readonly Arrival[] | undefined, position: Arrival): number {
  const at = newestFirst?.findIndex((arrival) => arrival <= position) ?? 0
  return at < 0 ? (newestFirst?.length ?? 0) : at
}

// --- now

type Row = SyncNowAnswer['sessions'][number]

/** Rejects with `timeout` only when asked to wait. */
export async function syncNow(parts: SyncParts, request: SyncNowRequest): Promise<SyncNowAnswer> {
  const { clock, reconciliation, spaces } = parts
  const timeoutMs = request.timeoutMs ?? TIMEOUT_MS
  const deadlineMs = clock.monotonicMs() + timeoutMs
  const rows = new Map<string, Row>()
  for (;;) {
    const pairs = spaces
      .among(request.space)
      .filter((space) => space.options.shared)
      .flatMap((space) =>
        (request.peer === undefined ? reconciliation.present(space) : [request.peer]).map((peer) => ({ space, peer }))
      )
    const reports = await compareAll(parts, pairs)
    for (const report of reports) {
      const slot = `${report.peer}/${report.space.id}`
      rows.set(slot, sum(rows.get(slot), report))
    }
    const agreed = reports.filter(({ outcome }) => outcome.result === 'equal').length
    if (request.wait !== true || agreed === reports.length) return { sessions: [...rows.values()] }
    for (const { space } of pairs) await inTime(parts, reconciliation.caughtUp(space), deadlineMs)
    if (clock.monotonicMs() + AGAIN_MS >= deadlineMs) throw notAgreed(agreed, reports, timeoutMs)
    await pause(clock, AGAIN_MS)
  }
}

/** Every pair once, so many at a time. */
async function compareAll(
  { reconciliation }: SyncParts,
  pairs: readonly { space: Space; peer: PeerId }[]
): Promise<SessionReport[]> {
  const reports: SessionReport[] = []
  for (let at = 0; at < pairs.length; at += LIMITS.reconAtOnceMax) {
    const some = pairs.slice(at, at + LIMITS.reconAtOnceMax)
    const done = some.map(({ space, peer }) => reconciliation.compare(space, peer, { settlingMs: 0 }))
    reports.push(...(await Promise.all(done)))
  }
  return reports
}

/** One line for all sessions with one peer. */
function sum(before: Row | undefined, { peer, space, outcome, bytes, tookMs }: SessionReport): Row {
  const moved = (before?.received ?? 0) + (before?.sent ?? 0) > 0
  const result = outcome.result === 'partial' || (outcome.result === 'equal' && moved) ? 'repaired' : outcome.result
  return {
    peer,
    space: space.id,
    result,
    method: outcome.method === 'none' ? (before?.method ?? 'none') : outcome.method,
    received: (before?.received ?? 0) + outcome.received,
    sent: (before?.sent ?? 0) + outcome.sent,
    bytes: (before?.bytes ?? 0) + bytes,
    metadataBytes: (before?.metadataBytes ?? 0) + outcome.metadataBytes,
    compareBytes: (before?.compareBytes ?? 0) + outcome.compareBytes,
    roundTrips: (before?.roundTrips ?? 0) + outcome.roundTrips,
    tookMs: (before?.tookMs ?? 0) + tookMs,
    detail: outcome.violation ?? outcome.detail ?? null
  }
}

function notAgreed(agreed: number, reports: readonly SessionReport[], timeoutMs: number): ChrysalisError {
  const details = reports.flatMap(({ peer, outcome }) =>
    outcome.detail === undefined ? [] : [{ peer, detail: outcome.detail }]
  )
  return new ChrysalisError(
    'timeout',
    `${agreed} of ${reports.length} comparisons ended in agreement after ${timeoutMs} ms`,
    {
      stateTouched: true,
      hint: 'What was moved is kept, and the daemon goes on by itself. Allow more time, or see `chrysalis sync status`.',
      data: { agreed, of: reports.length, failures: details }
    }
  )
}

async function inTime({ clock }: SyncParts, work: Promise<void>, deadlineMs: number): Promise<void> {
  let cancel = (): void => undefined
  const late = new Promise<void>((resolve) => {
    cancel = clock.setTimer(Math.max(0, deadlineMs - clock.monotonicMs()), resolve)
  })
  await Promise.race([work, late])
  cancel()
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(ms, resolve)
  })
}

// --- wait

/** Rejects with `timeout`, `not_found`, `ambiguous_id`, `invalid_argument`, or `invalid_state` for a private memory. */
export async function syncWait(parts: SyncParts, request: SyncWaitRequest): Promise<SyncWaitAnswer> {
  const { clock, waiting } = parts
  const startedMs = clock.monotonicMs()
  const timeoutMs = request.timeoutMs ?? TIMEOUT_MS
  const who = holdersOf(request, parts.replicas)
  const goals = request.ids === undefined ? positionGoals(parts, request) : await memoryGoals(parts, request)
  if (!(await waiting.until(goals, who, timeoutMs))) {
    throw notHeld(goals, who, timeoutMs, {
      hint: 'Nothing was changed, and the daemon goes on spreading it. Allow more time, or see `chrysalis sync status`.'
    })
  }
  const bySpace = new Map<Space, Arrival>()
  for (const { space, through } of goals) bySpace.set(space, Math.max(through, bySpace.get(space) ?? 0))
  return {
    cursor: String(Math.max(0, ...goals.map(({ through }) => through))),
    memories: request.ids === undefined ? 0 : goals.length,
    spaces: [...bySpace].map(([space, through]) => ({
      space: space.id,
      name: space.options.name,
      holders: space.receipts.holdersOf(through)
    })),
    waitedMs: Math.round(clock.monotonicMs() - startedMs)
  }
}

function holdersOf({ peers, minPeers }: SyncWaitRequest, replicas: number): Holders {
  if (peers === undefined) return { minPeers: minPeers ?? replicas }
  if (minPeers === undefined) return { peers: [...new Set(peers)] }
  throw new ChrysalisError('invalid_argument', 'name the peers, or say how many: not both', {
    hint: 'Leave out `peers` or `minPeers`. Nothing was done.'
  })
}

function positionGoals({ spaces, writer }: SyncParts, { cursor, space }: SyncWaitRequest): Goal[] {
  const newest = writer.storedArrival
  const through = cursor === undefined ? newest : /^\d{1,15}$/.test(cursor) ? Number(cursor) : Infinity
  if (through > newest) {
    throw new ChrysalisError('invalid_argument', `'${cursor ?? ''}' is no position of this daemon's arrival log`, {
      hint: 'Take the cursor of a change or of memory.changes on this daemon. Nothing was done.'
    })
  }
  const among = spaces.among(space).filter((one) => one.options.shared)
  if (space !== undefined && among.length === 0) throw isPrivate(spaces.find(space))
  // What is empty is held by everybody.
  return among.filter((one) => one.replica.tree.count > 0).map((one) => ({ space: one, through }))
}

async function memoryGoals({ reads, records }: SyncParts, request: SyncWaitRequest): Promise<Goal[]> {
  if (request.cursor !== undefined) {
    throw new ChrysalisError('invalid_argument', 'name memories, or a cursor: not both', {
      hint: 'Leave out `ids` or `cursor`. Nothing was done.'
    })
  }
  const goals: Goal[] = []
  for (const reference of request.ids ?? []) {
    const { space, id } = await reads.resolve(reference, request.space)
    if (!space.options.shared) throw isPrivate(space)
    const record = await records.get(space.id, id)
    if (record === undefined) {
      throw new ChrysalisError('not_found', `there is no memory ${id} on this daemon`, {
        hint: 'List ids with `chrysalis list`. Nothing was done.'
      })
    }
    goals.push({ space, through: record.lastArrival })
  }
  return goals
}

function isPrivate(space: Space): ChrysalisError {
  return new ChrysalisError('invalid_state', `space ${space.options.name} is private: no peer will ever hold it`, {
    hint: 'Wait for memories of a shared space only. Nothing was done.'
  })
}
