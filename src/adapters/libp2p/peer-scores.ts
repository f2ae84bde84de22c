/**
 * Our own memory of how peers behaved. Each offence costs points that fade with a half-life of ten minutes; a peer is
 * disconnected at -20 and banned for half an hour at -50. gossipsub keeps a score too, but forgets why, sees only
 * gossip and never lets go of a connection.
 *
 * Pure: time comes in as `nowMs`. It acts on nobody; network.ts does what the returned sanction says.
 */
import type { Offence, PeerId } from '../../ports/network.ts'

/** What the caller owes the peer now. */
export type Sanction = 'none' | 'disconnect' | 'ban'

export const SCORE = {
  /** Points taken for one offence. Two forged frames end the connection, five end the acquaintance. */
  points: { invalid: 10, protocol: 10, flood: 5, timeout: 1 } satisfies Record<Offence, number>,
  halfLifeMs: 600_000,
  disconnectAt: -20,
  banAt: -50,
  banMs: 1_800_000,
  /** Slowness alone stays above `disconnectAt` for ever: honest peers on poor lines must not be cut off. */
  timeoutPointsMax: 15
} as const

interface Standing {
  /** Points for wrongs, at `atMs`. */
  wrong: number
  /** Points for slowness, at `atMs`. */
  slow: number
  atMs: number
  bannedUntilMs: number
}

export class PeerScores {
  readonly #standings = new Map<PeerId, Standing>()
  readonly #max: number

  /** Remembers `max` peers at most; the least guilty one without a ban is forgotten first. */
  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#standings.size
  }

  /** Books one offence and says what it leads to. A peer that is banned already stays banned, no longer. */
  record(peer: PeerId, offence: Offence, nowMs: number): Sanction {
    const standing = this.#faded(peer, nowMs) ?? { wrong: 0, slow: 0, atMs: nowMs, bannedUntilMs: 0 }
    const points = SCORE.points[offence]
    if (offence === 'timeout') standing.slow = Math.min(SCORE.timeoutPointsMax, standing.slow + points)
    else standing.wrong += points
    this.#standings.set(peer, standing)
    if (this.#standings.size > this.#max) this.#forgetOne(peer)
    if (standing.bannedUntilMs > nowMs) return 'ban'
    // Rounded, or five offences within a second would miss the threshold by a thousandth that has faded meanwhile.
    const score = -Math.round(standing.wrong + standing.slow)
    if (score <= SCORE.banAt) {
      standing.bannedUntilMs = nowMs + SCORE.banMs
      return 'ban'
    }
    return score <= SCORE.disconnectAt ? 'disconnect' : 'none'
  }

  /** 0 or less. */
  score(peer: PeerId, nowMs: number): number {
    const standing = this.#faded(peer, nowMs)
    if (standing === undefined) return 0
    const points = standing.wrong + standing.slow
    return points === 0 ? 0 : -points
  }

  /** Wall milliseconds; 0 when the peer is welcome. */
  bannedUntilMs(peer: PeerId, nowMs: number): number {
    const untilMs = this.#standings.get(peer)?.bannedUntilMs ?? 0
    return untilMs > nowMs ? untilMs : 0
  }

  isBanned(peer: PeerId, nowMs: number): boolean {
    return this.bannedUntilMs(peer, nowMs) > 0
  }

  #faded(peer: PeerId, nowMs: number): Standing | undefined {
    const standing = this.#standings.get(peer)
    if (standing === undefined) return undefined
    // The wall clock may step back; points never grow because of that.
    const elapsedMs = Math.max(0, nowMs - standing.atMs)
    const kept = 2 ** (-elapsedMs / SCORE.halfLifeMs)
    standing.wrong = fade(standing.wrong, kept)
    standing.slow = fade(standing.slow, kept)
    standing.atMs = nowMs
    if (standing.wrong === 0 && standing.slow === 0 && standing.bannedUntilMs <= nowMs) {
      this.#standings.delete(peer)
      return undefined
    }
    return standing
  }

  /** Bans outlive petty sins: whoever floods the table with new identities must not wash out an old ban. */
  #forgetOne(newcomer: PeerId): void {
    let victim: PeerId | undefined
    let least = Infinity
    for (const [peer, standing] of this.#standings) {
      const weight = standing.bannedUntilMs > 0 ? 1e6 + standing.bannedUntilMs : standing.wrong + standing.slow
      if (peer !== newcomer && weight < least) {
        least = weight
        victim = peer
      }
    }
    if (victim !== undefined) this.#standings.delete(victim)
  }
}

/** Below a hundredth of a point nothing is left, so that forgiven peers leave the table. */
function fade(points: number, kept: number): number {
  const left = points * kept
  return left < 0.01 ? 0 : left
}
