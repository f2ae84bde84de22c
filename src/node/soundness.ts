/**
 * What keeps the disk of this daemon sound, in one place: the store that mends index rows as they are read, the
 * quarantine of damaged deltas, their repair from peers, the walk that looks for damage, and the rebuild of all tables
 * before a start that found them in ruins. The engine hands its store in and uses the one it gets back.
 *
 * Nothing here decides what is true: a delta proves itself by hash and signature, and every other row follows from
 * deltas.
 */
import { toHex } from '../base/bytes.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import type { DeltaId, RecordId, SpaceId } from '../memory/ids.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Network, PeerId } from '../ports/network.ts'
import type { Random } from '../ports/random.ts'
import type { Store } from '../ports/store.ts'
import { RECON_PROTOCOL } from '../sync/recon-codec.ts'
import { joinRangeKey } from '../sync/replica.ts'
import type { DeltaWatch } from './deltas.ts'
import { touchedRecords } from './derive.ts'
import { Mender } from './mend.ts'
import { Quarantine, type HeldSet, type Quarantined } from './quarantine.ts'
import { isRebuildDue, rebuildFromDeltas, wantRebuild, type RebuildProgress } from './rebuild.ts'
import { requestDeltas } from './reconcile-driver.ts'
import { Repair, type RequestDeltas } from './repair.ts'
import { Scrub, type ScrubReport } from './scrub.ts'
import { SoundStore } from './sound-store.ts'
import type { Space } from './space.ts'

export interface SoundnessPorts {
  readonly store: Store
  readonly network: Network
  readonly crypto: Crypto
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
}

/** The rest of the engine, which is made after this. */
export interface Surroundings {
  readonly spaces: () => readonly Space[]
  /** The engine is ready and nothing waits in it. */
  readonly isIdle: () => boolean
  /** A record a peer handed over, for the common door. */
  readonly deliver: (space: Space, record: Uint8Array, from: PeerId) => Promise<unknown>
  /** A delta of our own disk that the set does not know. */
  readonly submit: (space: Space, delta: VerifiedDelta) => Promise<unknown>
  /** The row of a record was written anew, or can be read again. */
  readonly rewritten: (space: Space, record: RecordId) => void
  readonly announce: (what: string, detail: string) => void
}

const LOCATE_KEYS = 4_096
/** Log lines of a long rebuild are this far apart. */
const PROGRESS_MS = 5_000

export class Soundness implements DeltaWatch, HeldSet {
  readonly store: SoundStore
  readonly #ports: SoundnessPorts
  readonly #around: Surroundings
  readonly #quarantine: Quarantine
  readonly #repair: Repair
  readonly #scrub: Scrub
  #unsubscribe: (() => void) | undefined
  #wantsRebuild = false

  constructor(ports: SoundnessPorts, around: Surroundings) {
    this.#ports = ports
    this.#around = around
    const { random } = ports
    const suspect = (space: SpaceId, id: DeltaId, ms?: number): void => this.suspect(space, id, ms)
    const expects = (space: SpaceId, id: DeltaId, ms?: number): boolean => this.#expects(space, id, ms)
    const mender = new Mender({ ...ports, suspect, expects })
    this.store = new SoundStore({
      ...ports,
      mender,
      suspect,
      misplaced: () => this.#scrub.hurry(),
      rewritten: (id, record) => {
        const space = this.#space(id)
        if (space !== undefined) around.rewritten(space, record)
      }
    })
    this.#quarantine = new Quarantine({
      ...ports,
      held: this,
      confirmed: (entries) => this.#confirmed(entries),
      misplaced: () => this.#scrub.hurry()
    })
    const shared = { ...ports, quarantine: this.#quarantine, held: this }
    this.#repair = new Repair({
      ...shared,
      store: this.store,
      random: random.fork('repair'),
      spaces: around.spaces,
      request: requestFrom(ports),
      admit: around.deliver,
      restored: (space, deltas) => this.#restored(space, deltas)
    })
    this.#scrub = new Scrub({
      ...shared,
      sound: this.store,
      suspect,
      expects,
      random: random.fork('scrub'),
      deltas: () => around.spaces().reduce((sum, space) => sum + space.replica.tree.count, 0),
      isIdle: around.isIdle,
      admit: (delta) => this.#admit(delta),
      contradiction: () => this.#contradiction()
    })
  }

  /**
   * Before anything is read: rebuilds the tables when the database was salvaged (`reasons`), or when a rebuild was begun
   * or asked for before. Returns whether it did; then nothing proves that the own log is whole.
   */
  async prepare(reasons: readonly string[]): Promise<boolean> {
    const { store, crypto, logger } = this.#ports
    const isDue = reasons.length > 0 || (await isRebuildDue(store))
    if (isDue) {
      logger.log('warn', 'the tables are rebuilt from the deltas', { reasons })
      const spaces = this.#around.spaces().map((space) => space.id)
      const progress = this.#progressLog()
      const rebuilt = await rebuildFromDeltas(store, crypto, spaces, { fresh: reasons.length > 0, progress })
      logger.log('warn', 'the tables were rebuilt from the deltas', { ...rebuilt })
    }
    await this.#quarantine.restore()
    return isDue
  }

  /** The set is in memory: from now on damage is looked for, and made good. */
  async start(): Promise<void> {
    await this.#quarantine.start()
    this.#unsubscribe = this.#ports.network.onEvent((event) => {
      if (event.type === 'peer-subscribed' && this.#quarantine.size > 0) this.#repair.wake()
    })
    this.#repair.start()
    await this.#scrub.start()
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.()
    await Promise.all([this.#scrub.stop(), this.#repair.stop(), this.#quarantine.stop()])
    await this.store.stop()
  }

  /** The whole store, checked now. */
  scrub(): Promise<ScrubReport> {
    return this.#scrub.run()
  }

  quarantined(): readonly Quarantined[] {
    return this.#quarantine.entries()
  }

  suspect(space: SpaceId, id: DeltaId, ms?: number): void {
    this.#quarantine.suspect(space, id, ms)
  }

  has(space: SpaceId, ms: number, id: DeltaId): boolean {
    return this.#space(space)?.replica.tree.has(joinRangeKey(ms, id)) ?? false
  }

  async locate(space: SpaceId, ids: ReadonlySet<DeltaId>): Promise<ReadonlyMap<DeltaId, number>> {
    const times = new Map<DeltaId, number>()
    const view = this.#space(space)?.replica.tree.snapshot()
    if (view === undefined) return times
    for (let keys = view.keysFrom(undefined, LOCATE_KEYS); keys.length > 0 && times.size < ids.size;) {
      for (const key of keys) {
        const id = toHex(key.subarray(6))
        if (ids.has(id)) times.set(id, msOf(key))
      }
      await new Promise<void>((resolve) => {
        this.#ports.clock.setTimer(0, resolve)
      })
      keys = view.keysFrom(keys.at(-1), LOCATE_KEYS)
    }
    return times
  }

  /** One sentence for each thing a person should know. */
  reasons(): string[] {
    const reasons: string[] = []
    const beyond = this.#quarantine.beyond > 0 ? 'more than ' : ''
    const shared = { count: 0, isHopeful: false }
    for (const space of this.#around.spaces()) {
      const count = this.#quarantine.entries(space.id).length
      if (count === 0) continue
      if (space.options.shared) {
        shared.count += count
        shared.isHopeful ||= this.#repair.isHopeful(space)
        continue
      }
      const noun = count === 1 ? 'delta is' : 'deltas are'
      reasons.push(
        `${count} ${noun} damaged here in ${space.options.name}, which no other daemon holds: only a backup of this home has what they say`
      )
    }
    if (shared.count > 0) reasons.unshift(beyond + sharedReason(shared.count, shared.isHopeful))
    if (this.#scrub.isHurried) reasons.push('damage was found on this disk, and the whole store is being checked')
    if (this.#wantsRebuild) {
      reasons.push('the tables of the store contradict each other and are rebuilt at the next start: restart soon')
    }
    return reasons
  }

  #space(id: SpaceId): Space | undefined {
    return this.#around.spaces().find((space) => space.id === id)
  }

  #expects(space: SpaceId, id: DeltaId, ms: number | undefined): boolean {
    return this.#quarantine.has(space, id) || (ms !== undefined && this.has(space, ms, id))
  }

  #confirmed(entries: readonly Quarantined[]): void {
    const { length } = entries
    this.#around.announce('quarantine', `${length} stored ${length === 1 ? 'delta is' : 'deltas are'} damaged`)
    this.#repair.wake()
  }

  #restored(space: Space, deltas: readonly VerifiedDelta[]): void {
    this.store.retry()
    for (const delta of deltas) {
      for (const record of touchedRecords(this.#ports.crypto, delta)) this.#around.rewritten(space, record)
    }
    this.#around.announce('repaired', `${deltas.length} damaged ${deltas.length === 1 ? 'delta' : 'deltas'} came back`)
    // There was more than found room: look again, now that there is some.
    if (this.#quarantine.cleared()) this.#scrub.hurry()
  }

  async #admit(delta: VerifiedDelta): Promise<boolean> {
    const space = this.#space(delta.header.space)
    if (space === undefined) return false
    await this.#around.submit(space, delta)
    return true
  }

  async #contradiction(): Promise<void> {
    if (this.#wantsRebuild) return
    this.#wantsRebuild = true
    this.#ports.logger.log('error', 'the tables contradict each other and will be rebuilt at the next start')
    await this.store.batch([wantRebuild()], { durable: true })
  }

  #progressLog(): (progress: RebuildProgress) => void {
    const { clock, logger } = this.#ports
    let nextMs = clock.monotonicMs() + PROGRESS_MS
    return (progress) => {
      if (clock.monotonicMs() < nextMs) return
      nextMs = clock.monotonicMs() + PROGRESS_MS
      logger.log('info', 'the tables are being rebuilt', { ...progress })
    }
  }
}

/** One channel for one request. */
function requestFrom({ network, clock }: SoundnessPorts): RequestDeltas {
  return async (peer, space, ids) => {
    return requestDeltas(await network.open(peer, RECON_PROTOCOL), { space, ids }, { clock })
  }
}

function sharedReason(count: number, isHopeful: boolean): string {
  const damaged = `${count} ${count === 1 ? 'delta is' : 'deltas are'} damaged here`
  if (!isHopeful) return `${damaged} and no peer that holds ${count === 1 ? 'it' : 'them'} is connected`
  return `${damaged} and ${count === 1 ? 'is' : 'are'} being fetched from peers`
}

function msOf(key: Uint8Array): number {
  let ms = 0
  for (let i = 0; i < 6; i++) ms = ms * 256 + (key[i] as number)
  return ms
}
