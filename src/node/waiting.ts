/**
 * Waiting until others hold something. Sessions are opened on behalf of whoever waits, the newest deltas included, with
 * peers that are not known to hold it yet: a few at once, again and again at a slowing pace, until the receipts say that
 * enough of them do.
 */
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { Clock } from '../ports/clock.ts'
import type { PeerId } from '../ports/network.ts'
import type { Arrival } from './rows.ts'
import type { CompareOptions, SessionReport } from './sessions.ts'
import type { Space } from './space.ts'

/** Everything of the space that had arrived up to the position. */
export interface Goal {
  readonly space: Space
  readonly through: Arrival
}

/** So many peers, whoever they are, or each of these. */
export type Holders = { readonly minPeers: number } | { readonly peers: readonly PeerId[] }

export interface WaitingPorts {
  readonly clock: Clock
  readonly reconciliation: {
    compare(space: Space, peer: PeerId, options: CompareOptions): Promise<SessionReport>
    present(space: Space): PeerId[]
    onSession(listener: (report: SessionReport) => void): () => void
  }
}

const PAUSE_MS = 100
const PAUSE_MS_MAX = 2_000

export class Waiting {
  readonly #ports: WaitingPorts
  /** Ends the pauses of all who wait. */
  readonly #sleepers = new Set<() => void>()
  #stopped = false
  #turn = 0

  constructor(ports: WaitingPorts) {
    this.#ports = ports
  }

  /** Resolves true once every goal is held, false when the time is up, or the daemon stops. Never rejects for a peer. */
  async until(goals: readonly Goal[], who: Holders, timeoutMs: number): Promise<boolean> {
    const { clock, reconciliation } = this.#ports
    const deadlineMs = clock.monotonicMs() + timeoutMs
    // Sessions this wait has opened and that are not over: whoever is slow is not asked twice.
    const pending = new Map<Space, Set<PeerId>>()
    const stopListening = reconciliation.onSession(() => {
      if (goals.every((goal) => isHeld(goal, who))) this.#wakeAll()
    })
    try {
      for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2)) {
        const open = goals.filter((goal) => !isHeld(goal, who))
        if (open.length === 0) return true
        const leftMs = deadlineMs - clock.monotonicMs()
        if (leftMs <= 0 || this.#stopped) return false
        // A peer that hangs must not hold up the others, nor the end of the wait.
        const asked = Promise.all(furthest(open).map((goal) => this.#ask(goal, who, pendingIn(pending, goal.space))))
        await Promise.race([asked, this.#sleep(Math.min(PAUSE_MS_MAX, leftMs))])
        if (goals.every((goal) => isHeld(goal, who))) return true
        await this.#sleep(Math.min(pauseMs, Math.max(0, deadlineMs - clock.monotonicMs())))
      }
    } finally {
      stopListening()
    }
  }

  async #ask(goal: Goal, who: Holders, pending: Set<PeerId>): Promise<void> {
    const { space, through } = goal
    const { reconciliation } = this.#ports
    const candidates = 'peers' in who ? [...who.peers] : reconciliation.present(space)
    const lacking = candidates.filter((peer) => space.receipts.through(peer) < through && !pending.has(peer))
    const wanted = 'peers' in who ? lacking.length : Math.max(0, who.minPeers - space.receipts.holders(through)) + 1
    // Another few each time: the first ones may be those that never answer.
    const from = lacking.length === 0 ? 0 : this.#turn % lacking.length
    const turn = [...lacking.slice(from), ...lacking.slice(0, from)].slice(0, Math.min(wanted, LIMITS.reconAtOnceMax))
    this.#turn += turn.length
    await Promise.all(
      turn.map(async (peer) => {
        pending.add(peer)
        await reconciliation.compare(space, peer, { settlingMs: 0 })
        pending.delete(peer)
      })
    )
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel()
        this.#sleepers.delete(wake)
        resolve()
      }
      const cancel = this.#ports.clock.setTimer(ms, wake)
      this.#sleepers.add(wake)
      if (this.#stopped) wake()
    })
  }

  #wakeAll(): void {
    for (const wake of [...this.#sleepers]) wake()
  }

  /** Ends every wait. */
  stop(): void {
    this.#stopped = true
    this.#wakeAll()
  }
}

function pendingIn(pending: Map<Space, Set<PeerId>>, space: Space): Set<PeerId> {
  let peers = pending.get(space)
  if (peers === undefined) {
    peers = new Set()
    pending.set(space, peers)
  }
  return peers
}

/** One goal a space: a session that reaches the furthest has reached them all. */
function furthest(goals: readonly Goal[]): Goal[] {
  const bySpace = new Map<Space, Goal>()
  for (const goal of goals) {
    const before = bySpace.get(goal.space)
    if (before === undefined || before.through < goal.through) bySpace.set(goal.space, goal)
  }
  return [...bySpace.values()]
}

export function isHeld({ space, through }: Goal, who: Holders): boolean {
  if ('peers' in who) return who.peers.every((peer) => space.receipts.through(peer) >= through)
  return space.receipts.holders(through) >= who.minPeers
}

/** The time is up: how far it got, in a sentence and as data. */
export function notHeld(
  goals: readonly Goal[],
  who: Holders,
  timeoutMs: number,
  details: { hint: string; stateTouched?: boolean }
): ChrysalisError {
  const wanted = 'peers' in who ? who.peers.length : who.minPeers
  const [worst] = goals
    .filter((goal) => !isHeld(goal, who))
    .map((goal) => ({ goal, holders: holdersAmong(goal, who) }))
    .sort((a, b) => a.holders.length - b.holders.length)
  const count = worst?.holders.length ?? 0
  const held = goals.filter((goal) => isHeld(goal, who)).length
  const rest = goals.length > 1 ? ` (${held} of ${goals.length} goals are reached)` : ''
  return new ChrysalisError('timeout', `${count} of ${wanted} peers hold it after ${timeoutMs} ms${rest}`, {
    ...details,
    data: {
      wanted,
      holders: worst?.holders ?? [],
      goals: goals.length,
      held,
      ...(worst === undefined ? {} : { space: worst.goal.space.id, cursor: String(worst.goal.through) })
    }
  })
}

function holdersAmong({ space, through }: Goal, who: Holders): string[] {
  const holders = space.receipts.holdersOf(through)
  return 'peers' in who ? holders.filter((peer) => who.peers.includes(peer)) : holders
}
