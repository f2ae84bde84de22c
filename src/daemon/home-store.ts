/**
 * The store of a home over the life of a daemon: opened with care, looked after while it is in use, and closed.
 *
 * What needs no hurry happens here, behind the daemon's work: tables that were not read at start are read block by
 * block, so that a bit that flipped while nobody looked is found within minutes; and the ballast is taken in again
 * once there is room. Nothing of it is on the way of a start or of a write.
 */
import { existsSync } from 'node:fs'
import { inspectTable } from '../adapters/level/inspect.ts'
import { DiskSpace, mebibytes, type DiskReport } from '../adapters/level/disk-space.ts'
import { SteadyStore, type OpenedDatabase } from '../adapters/level/steady-store.ts'
import { TailMark } from '../adapters/level/tail-mark.ts'
import { systemClock } from '../adapters/system/clock.ts'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { Config } from './config-schema.ts'
import type { HomePaths } from './home-files.ts'
import { openStore, readWitness, type OpeningParts, type StoreOpening, type Witness } from './open-store.ts'

/** Long enough for the daemon to be up and busy with better things. */
const CARE_START_MS = 10_000
/** Between two looks at the ballast. */
const CARE_MS = 30_000
/** Between two tables: 2 MiB each, so about a fiftieth of a disk and of a core. */
const TABLE_PAUSE_MS = 100

export class HomeStore {
  readonly store: SteadyStore
  /** What the sentinel said when the home was opened. */
  readonly witness: Witness
  readonly #paths: HomePaths
  readonly #logger: Logger
  readonly #space: DiskSpace
  readonly #mark: TailMark
  readonly #notices: string[]
  readonly #doubts: string[]
  readonly #salvaged: string[] = []
  #unread: readonly string[]
  #listener: ((error: ChrysalisError) => void) | undefined
  /** Met before anybody listened. */
  #early: ChrysalisError | undefined
  #timer: NodeJS.Timeout | undefined
  #caring: Promise<void> | undefined
  #stopped = false

  /**
   * `suspect`: it was found damaged while it was in use. Rejects as `openStore`, and with `unsupported_version` for a
   * sentinel of a newer program.
   */
  static async open(
    paths: HomePaths,
    config: Pick<Config['store'], 'floorBytes' | 'ballastBytes'>,
    logger: Logger,
    options: { readonly suspect: boolean } = { suspect: false }
  ): Promise<HomeStore> {
    const notices: string[] = []
    const witness = await readWitness(paths, notices, logger)
    const { floorBytes, ballastBytes } = config
    const space = new DiskSpace({ directory: paths.home, floorBytes, ballastBytes })
    // Damage that is met before there is a store to tell is met again.
    const holder: { store?: SteadyStore } = {}
    const parts = { paths, space, logger, onDamage: (error: ChrysalisError) => holder.store?.damaged(error) }
    const opening = await openStore(parts, witness, options)
    const home = new HomeStore(parts, witness, opening, notices)
    holder.store = home.store
    return home
  }

  private constructor(parts: OpeningParts, witness: Witness, opening: StoreOpening, notices: readonly string[]) {
    this.witness = witness
    this.#paths = parts.paths
    this.#logger = parts.logger
    this.#space = parts.space
    this.#mark = new TailMark(parts.paths.tail)
    this.#notices = [...notices]
    this.#doubts = [...notices]
    this.#unread = opening.unread
    this.#noteOpening(opening)
    this.store = new SteadyStore(
      {
        leaveShadow: () => this.#leaveShadow(parts, opening.opened),
        space: parts.space,
        mark: this.#mark,
        clock: systemClock,
        onDamage: (error) => this.#damaged(error)
      },
      opening.opened
    )
  }

  async #leaveShadow(parts: OpeningParts, shadow: OpenedDatabase): Promise<OpenedDatabase> {
    await shadow.close()
    // The files are as they were at start, and what STATE said about them was judged then.
    const again = await openStore(parts, { sentinel: undefined, isUnreadable: true }, { suspect: false })
    this.#noteOpening(again)
    if (again.salvaged.length > 0) this.#damaged(new ChrysalisError('corrupt', again.salvaged.join('; ')))
    return again.opened
  }

  /** Why all that follows from the deltas must be made anew; empty when the database is sound. */
  get salvaged(): readonly string[] {
    return this.#salvaged
  }

  /** Why the newest own deltas may be missing, so that the epoch may not go on; empty when the store is sound. */
  get doubts(): readonly string[] {
    return this.#doubts
  }

  /** Sentences for status. */
  notices(): readonly string[] {
    return this.#notices
  }

  /** Undefined when the system does not tell. */
  disk(): DiskReport | undefined {
    try {
      return this.#space.report()
    } catch {
      return undefined
    }
  }

  /** Told when the database turns out to be damaged while it is in use. */
  onDamage(listener: (error: ChrysalisError) => void): void {
    this.#listener = listener
    if (this.#early !== undefined) listener(this.#early)
    this.#early = undefined
  }

  /** Begins what happens behind. */
  start(): void {
    this.#schedule(CARE_START_MS)
  }

  async close(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#caring
    await this.store.close()
  }

  #noteOpening({ notices, salvaged, lostTail, position, unread }: StoreOpening): void {
    this.#notices.push(...notices)
    this.#salvaged.push(...salvaged)
    this.#unread = unread
    if (salvaged.length > 0) this.#doubts.push(`damaged database: ${salvaged.join('; ')}`)
    if (lostTail) this.#doubts.push('lost tail: changes that were stored are gone')
    if (position !== undefined) this.#mark.begin(position)
  }

  #damaged(error: ChrysalisError): void {
    if (this.#listener === undefined) this.#early = error
    else this.#listener(error)
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => {
      this.#caring = this.#care().finally(() => this.#schedule(CARE_MS))
    }, delayMs)
    this.#timer.unref()
  }

  async #care(): Promise<void> {
    await this.#readTables()
    if (this.#stopped) return
    try {
      await this.#space.refill()
    } catch (error) {
      this.#logger.log('debug', 'the ballast could not be taken in', { error: messageOf(error) })
    }
  }

  async #readTables(): Promise<void> {
    while (this.#unread.length > 0 && !this.#stopped) {
      const [file, ...rest] = this.#unread
      this.#unread = rest
      const damage = await this.#readTable(file as string)
      // LevelDB merges tables and deletes them; what it has deleted is no damage.
      if (damage !== undefined && existsSync(`${this.#paths.data}/${file as string}`)) {
        this.#unread = []
        this.store.damaged(
          new ChrysalisError('corrupt', `the database is damaged: ${damage}`, {
            hint: 'It is repaired while the daemon runs, after a copy was made. See `chrysalis status`.',
            data: { file }
          })
        )
      }
      await new Promise<void>((resolve) => {
        setTimeout(resolve, TABLE_PAUSE_MS).unref()
      })
    }
  }

  async #readTable(file: string): Promise<string | undefined> {
    try {
      return (await inspectTable(this.#paths.data, file, undefined, 'whole'))?.what
    } catch {
      return undefined
    }
  }
}

/** What status says of the disk once writing has ended or is about to. */
export function diskNotices(report: DiskReport | undefined): string[] {
  if (report === undefined || report.freeBytes >= report.floorBytes) return []
  const { freeBytes, floorBytes } = report
  return [
    `the disk is nearly full: ${mebibytes(freeBytes)} are free, and below ${mebibytes(floorBytes)} nothing is written`
  ]
}
