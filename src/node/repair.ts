/**
 * Fetching quarantined deltas back. A delta is the same bytes everywhere and carries its author's signature, so any peer
 * that holds it can give it back, whoever wrote it, ourselves included. Only its row is written, durably: the set has
 * named it all along, and the rows that follow from it are there or are mended from it.
 *
 * At once when something is quarantined or a peer comes, then after 1 s, doubling to 60 s while nobody helps. One request
 * is in flight at a time; the peers that listen to the space are asked in turn, in a new order each round. Nothing a peer
 * says is believed: decoded, named, signed, or it is held against the peer.
 */
import { messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { decodeDelta } from '../memory/delta-codec.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import { hlcMs, type DeltaId, type SpaceId } from '../memory/ids.ts'
import { topicOf } from '../memory/names.ts'
import { verifyDeltaAsync } from '../memory/verify.ts'
import type { Hasher, Verifier } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Network, PeerId } from '../ports/network.ts'
import type { Random } from '../ports/random.ts'
import type { Store } from '../ports/store.ts'
import type { HeldSet, Quarantine, Quarantined } from './quarantine.ts'
import { deltaKey } from './rows.ts'
import type { Space } from './space.ts'

/** Asks one peer for deltas of a space, at most LIMITS.reconFetchIdsMax of them; resolves to the records it has. May reject. */
export type RequestDeltas = (peer: PeerId, space: SpaceId, ids: readonly DeltaId[]) => Promise<readonly Uint8Array[]>

export interface RepairPorts {
  readonly store: Store
  readonly crypto: Hasher & Verifier
  readonly clock: Clock
  readonly random: Random
  readonly network: Network
  readonly metrics: Metrics
  readonly logger: Logger
  readonly quarantine: Quarantine
  readonly held: HeldSet
  readonly spaces: () => readonly Space[]
  readonly request: RequestDeltas
  /** A delta that turns out not to be in the set enters by the common door. */
  readonly admit: (space: Space, record: Uint8Array, from: PeerId) => Promise<unknown>
  /** These are whole again. */
  readonly restored: (space: Space, deltas: readonly VerifiedDelta[]) => void
}

const BACKOFF_MS = 1_000
const BACKOFF_MS_MAX = 60_000
/** A peer that has just come is asked when it has had a moment to say what it listens to. */
const SOON_MS = 50

export class Repair {
  readonly #ports: RepairPorts
  #backoffMs = BACKOFF_MS
  #cancel: (() => void) | undefined
  #round: Promise<void> | undefined
  /** Something changed while a round was under way: the next one follows at once. */
  #again = false
  #started = false
  #stopped = false
  /** Spaces in which every connected peer was asked in vain. */
  readonly #inVain = new Set<SpaceId>()

  constructor(ports: RepairPorts) {
    this.#ports = ports
  }

  start(): void {
    this.#started = true
    this.wake()
  }

  /** There is something new to fetch, or somebody new to ask. */
  wake(): void {
    if (!this.#started || this.#stopped) return
    this.#backoffMs = BACKOFF_MS
    if (this.#round !== undefined) this.#again = true
    else this.#schedule(SOON_MS)
  }

  /** Whether anybody is connected who may hold what is quarantined in this space. */
  isHopeful(space: Space): boolean {
    return space.options.shared && this.#partners(space).length > 0 && !this.#inVain.has(space.id)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#round
  }

  #schedule(delayMs: number): void {
    this.#cancel?.()
    this.#cancel = this.#ports.clock.setTimer(delayMs, () => {
      this.#cancel = undefined
      this.#round = this.#run().finally(() => {
        this.#round = undefined
        this.#next()
      })
    })
  }

  #next(): void {
    if (this.#stopped) return
    if (this.#again) {
      this.#again = false
      this.#schedule(SOON_MS)
    } else if (this.#ports.quarantine.size > 0) {
      this.#schedule(this.#backoffMs)
      this.#backoffMs = Math.min(BACKOFF_MS_MAX, 2 * this.#backoffMs)
    }
  }

  async #run(): Promise<void> {
    for (const space of this.#ports.spaces()) {
      if (!space.options.shared || this.#stopped) continue
      try {
        await this.#repairSpace(space)
      } catch (error) {
        this.#ports.logger.log('debug', 'damaged deltas stay damaged', { error: messageOf(error) })
      }
    }
  }

  async #repairSpace(space: Space): Promise<void> {
    const { quarantine } = this.#ports
    const partners = this.#shuffled(this.#partners(space))
    for (const peer of partners) {
      const entries = quarantine.entries(space.id)
      for (let from = 0; from < entries.length && !this.#stopped; from += LIMITS.reconFetchIdsMax) {
        const restored = await this.#ask(space, peer, entries.slice(from, from + LIMITS.reconFetchIdsMax))
        if (restored > 0) this.#backoffMs = BACKOFF_MS
      }
    }
    if (partners.length > 0 && quarantine.entries(space.id).length > 0) this.#inVain.add(space.id)
    else this.#inVain.delete(space.id)
  }

  /** How many of them this peer gave back. */
  async #ask(space: Space, peer: PeerId, entries: readonly Quarantined[]): Promise<number> {
    const { request, metrics, logger } = this.#ports
    const wanted = new Map(entries.map((entry) => [entry.id, entry]))
    let records: readonly Uint8Array[]
    metrics.count('chrysalis_node_repair_requests_total')
    try {
      records = await request(peer, space.id, [...wanted.keys()])
    } catch (error) {
      logger.log('debug', 'a peer could not be asked for damaged deltas', { peer, error: messageOf(error) })
      return 0
    }
    const deltas: { delta: VerifiedDelta; entry: Quarantined; record: Uint8Array }[] = []
    for (const record of records) {
      const delta = await this.#judge(peer, record)
      const entry = delta === undefined ? undefined : wanted.get(delta.id)
      if (delta === undefined) continue
      if (entry === undefined) this.#report(peer, `delta ${delta.id} was not asked for`)
      else if (wanted.delete(delta.id)) deltas.push({ delta, entry, record })
    }
    if (deltas.length > 0) await this.#restore(space, peer, deltas)
    return deltas.length
  }

  async #judge(peer: PeerId, record: Uint8Array): Promise<VerifiedDelta | undefined> {
    const decoded = decodeDelta(record, this.#ports.crypto)
    if (!decoded.ok) return this.#report(peer, `${decoded.reason}: ${decoded.detail}`)
    const verified = await verifyDeltaAsync(decoded.value, this.#ports.crypto)
    return verified.ok ? verified.value : this.#report(peer, `${verified.reason}: ${verified.detail}`)
  }

  #report(peer: PeerId, detail: string): undefined {
    this.#ports.metrics.count('chrysalis_node_repair_refused_total')
    this.#ports.network.report(peer, 'invalid', `answer to a repair: ${detail}`)
  }

  async #restore(
    space: Space,
    peer: PeerId,
    found: readonly { delta: VerifiedDelta; entry: Quarantined; record: Uint8Array }[]
  ): Promise<void> {
    const { store, quarantine, held, admit, restored, metrics, logger } = this.#ports
    const isHeld = ({ delta }: { delta: VerifiedDelta }): boolean =>
      held.has(space.id, hlcMs(delta.header.hlc), delta.id)
    const ours = found.filter(isHeld)
    const rows = ours.map(({ delta, record }) => ({
      table: 'delta' as const,
      key: deltaKey(space.id, delta.id),
      value: record
    }))
    const released = found.map(({ entry }) => quarantine.release(space.id, entry.id))
    try {
      await store.batch([...rows, ...released], { durable: true })
    } catch (error) {
      for (const { entry } of found) quarantine.keep(entry)
      throw error
    }
    for (const one of found) if (!isHeld(one)) await admit(space, one.record, peer)
    metrics.count('chrysalis_node_repaired_total', found.length)
    logger.log('info', 'damaged deltas were fetched from a peer', { peer, deltas: found.length, space: space.id })
    restored(
      space,
      ours.map((one) => one.delta)
    )
  }

  #shuffled(peers: PeerId[]): PeerId[] {
    for (let i = peers.length - 1; i > 0; i--) {
      const j = this.#ports.random.below(i + 1)
      const [a, b] = [peers[i] as PeerId, peers[j] as PeerId]
      peers[i] = b
      peers[j] = a
    }
    return peers
  }

  #partners(space: Space): PeerId[] {
    const topic = topicOf(space.id)
    return this.#ports.network
      .peers()
      .filter((peer) => peer.connected && peer.topics.includes(topic))
      .map((peer) => peer.peer)
  }
}
