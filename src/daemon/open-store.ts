/**
 * Opening the database of a home, the careful way, at start and whenever it was found damaged.
 *
 * Nothing may be opened before it was looked at, because opening destroys evidence; nothing is mended before it was
 * copied; and nobody else may be in there meanwhile. What was lost is said: as reasons for a rebuild of all that follows
 * from the deltas, and as notices for people. Then peers bring back what they hold.
 *
 * The order is: lock, look, copy, mend, open, layout, tail. On a disk without room the ballast goes first, and if that is
 * not enough the database is opened for reading from another place (adapters/level/shadow.ts).
 */
import { existsSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { remedyOf, type Finding, type Inspection } from '../adapters/level/inspect.ts'
import { openLevelStore, replayBytes } from '../adapters/level/level-store.ts'
import { probeLock, withLock } from '../adapters/level/lock.ts'
import { migrate, MIGRATIONS, SCHEMA } from '../adapters/level/migrations.ts'
import { COPY_INFIX, salvageDatabase } from '../adapters/level/salvage.ts'
import { inspectClosedDatabase, readSentinel, type Sentinel } from '../adapters/level/sentinel.ts'
import { openShadow } from '../adapters/level/shadow.ts'
import type { DiskSpace } from '../adapters/level/disk-space.ts'
import type { OpenedDatabase } from '../adapters/level/steady-store.ts'
import { lastPosition, readTail, removeTail, type Tail } from '../adapters/level/tail-mark.ts'
import { systemClock } from '../adapters/system/clock.ts'
import { isChrysalisError, type ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { wantRebuild } from '../node/rebuild.ts'
import type { Logger } from '../ports/logger.ts'
import type { Store } from '../ports/store.ts'
import type { HomePaths } from './home-files.ts'

const LOCK_WAIT_MS = 3_000
const LOCK_POLL_MS = 100

/** The sentinel of a home, and whether there was one that says nothing any more. */
export interface Witness {
  readonly sentinel: Sentinel | undefined
  readonly isUnreadable: boolean
}

export interface StoreOpening {
  readonly opened: OpenedDatabase
  /** Why everything derived must be made anew; empty when the database is sound. */
  readonly salvaged: readonly string[]
  /** For status: what happened, one sentence each. */
  readonly notices: readonly string[]
  /** Rows that were stored are gone from the end of the log. */
  readonly lostTail: boolean
  /** Where the arrival log ends; undefined when that row is damaged. */
  readonly position: number | undefined
  /** Tables whose blocks nobody has read yet. */
  readonly unread: readonly string[]
}

export interface OpeningParts {
  readonly paths: HomePaths
  readonly space: DiskSpace
  readonly logger: Logger
  readonly onDamage: (error: ChrysalisError) => void
}

/**
 * Reads STATE. One that cannot be read is put aside under another name and told in `notices`: its loss costs an epoch
 * and nothing else. Rejects with `unsupported_version` when a newer program wrote it.
 */
export async function readWitness(paths: HomePaths, notices: string[], logger: Logger): Promise<Witness> {
  try {
    return { sentinel: await readSentinel(paths.home), isUnreadable: false }
  } catch (error) {
    if (!isChrysalisError(error, 'corrupt')) throw error
    const aside = `${paths.state}${COPY_INFIX}${systemClock.nowMs()}`
    logger.log('warn', 'STATE is damaged and was put aside', { reason: error.message, aside })
    await rename(paths.state, aside)
    notices.push(`STATE was damaged and is put aside as ${aside}: this run writes under a new epoch`)
    return { sentinel: undefined, isUnreadable: true }
  }
}

/**
 * Opens, and salvages if need be. Waits a moment for a daemon that is just stopping. Rejects with `home_locked`,
 * `disk_full`, `corrupt`, `unsupported_version`, `permissions` or `unavailable`.
 */
export async function openStore(
  parts: OpeningParts,
  witness: Witness,
  options: { readonly suspect: boolean }
): Promise<StoreOpening> {
  const deadlineMs = systemClock.monotonicMs() + LOCK_WAIT_MS
  for (;;) {
    try {
      return await new Opening(parts, witness, options.suspect).run()
    } catch (error) {
      if (!isChrysalisError(error, 'home_locked') || systemClock.monotonicMs() > deadlineMs) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS))
  }
}

/** One attempt. */
class Opening {
  readonly #parts: OpeningParts
  readonly #witness: Witness
  readonly #suspect: boolean
  readonly #salvaged: string[] = []
  readonly #notices: string[] = []
  #wasRepaired = false

  constructor(parts: OpeningParts, witness: Witness, suspect: boolean) {
    this.#parts = parts
    this.#witness = witness
    this.#suspect = suspect
  }

  async run(): Promise<StoreOpening> {
    const { paths } = this.#parts
    if (existsSync(paths.data)) await probeLock(paths.data)
    const { mustExist, inspection } = await inspectClosedDatabase(this.#witness.sentinel, paths.data, {
      wholeBytesMax: this.#suspect ? Number.POSITIVE_INFINITY : LIMITS.storeStartReadBytes,
      wasThere: this.#witness.isUnreadable
    })
    const tail = await readTail(paths.tail)
    await this.#salvage(this.#suspect ? orRepair(inspection) : inspection)
    const opened = await this.#open(mustExist, inspection)
    try {
      const isFresh = await this.#settleLayout(opened.store)
      if (isFresh) await removeTail(paths.tail)
      const position = await lastPosition(opened.store).catch(passOver)
      return {
        opened,
        salvaged: this.#salvaged,
        notices: this.#notices,
        lostTail: !isFresh && this.#isTailLost(tail, position),
        position,
        unread: opened.isShadow || this.#salvaged.length > 0 ? [] : inspection.unread
      }
    } catch (error) {
      await opened.close().catch(() => undefined)
      throw error
    }
  }

  /** Copies and mends, if there is anything to mend. */
  async #salvage(inspection: Inspection): Promise<void> {
    const { findings } = inspection
    if (findings.length === 0) return
    const { paths, space, logger } = this.#parts
    const copy = `${paths.data}${COPY_INFIX}${systemClock.nowMs()}`
    for (const { what } of findings.slice(0, REASONS_SHOWN)) {
      logger.log('warn', 'the database is damaged and will be repaired', { reason: what, copy })
    }
    const act = (): Promise<void> => withLock(paths.data, () => salvageDatabase(paths.data, copy, inspection))
    try {
      await act()
    } catch (error) {
      if (!isChrysalisError(error, 'disk_full') || (await space.release()) === 0) throw error
      await act()
    }
    this.#wasRepaired ||= remedyOf(findings) === 'repair'
    this.#salvaged.push(...findings.map(({ what }) => what))
    this.#notices.push(
      `the database was damaged (${summary(findings)}) and was repaired; a copy of what was found is in ${copy}. ` +
        'What was lost here is fetched from peers that hold it.'
    )
  }

  async #open(mustExist: boolean, inspection: Inspection): Promise<OpenedDatabase> {
    const { paths, space, onDamage } = this.#parts
    const options = { mustExist, onDamage }
    if (
      existsSync(paths.data) &&
      (await this.#isShort()) &&
      ((await space.release()) === 0 || (await this.#isShort()))
    ) {
      return this.#openShadow()
    }
    try {
      return plain(await openLevelStore(paths.data, options))
    } catch (error) {
      if (isChrysalisError(error, 'disk_full')) return this.#openShadow()
      // Only what LevelDB itself cannot read is damage; a directory that was emptied is not ours to fill.
      if (!isChrysalisError(error, 'corrupt') || this.#wasRepaired || error.data?.['codes'] === undefined) throw error
      await this.#salvage({ ...inspection, findings: [{ file: 'data', what: error.message, remedy: 'repair' }] })
      return plain(await openLevelStore(paths.data, options))
    }
  }

  async #isShort(): Promise<boolean> {
    const { paths, space } = this.#parts
    return space.report().freeBytes < (await replayBytes(paths.data))
  }

  async #openShadow(): Promise<OpenedDatabase> {
    const { paths, onDamage, logger } = this.#parts
    const shadow = await openShadow(paths.data, { onDamage })
    logger.log('warn', 'the disk is full: the database is only read, from another place', { place: shadow.directory })
    return { store: shadow.store, isShadow: true, close: shadow.close }
  }

  /** The number of the layout, and the order to rebuild. Answers whether the database is new. */
  async #settleLayout(store: Store): Promise<boolean> {
    const { sentinel } = this.#witness
    const ifLost = sentinel?.schema ?? (this.#salvaged.length > 0 ? SCHEMA : undefined)
    const { from, wasLost } = await migrate(store, MIGRATIONS, ifLost)
    if (wasLost && this.#salvaged.length === 0) {
      this.#salvaged.push('the number of its layout was lost')
      this.#notices.push(
        'the database had lost the number of its layout, and perhaps other rows; it was taken from STATE'
      )
    }
    // Written down at once: whoever is killed before the rebuild has begun still has to do it.
    if (this.#salvaged.length > 0) await store.batch([wantRebuild()], { durable: true })
    return from === undefined
  }

  #isTailLost(tail: Tail | undefined, position: number | undefined): boolean {
    if (tail === undefined || position === undefined) return false
    if (tail.synced > position) {
      this.#notices.push(
        `the newest changes are gone from the end of the database (position ${tail.synced} was stored, the last one found is ` +
          `${position}); peers will restore what they hold`
      )
      return true
    }
    if (tail.newest > position) {
      this.#notices.push(
        'changes by others that were not yet synced are gone from the end of the database ' +
          `(position ${tail.newest} was stored, the last one found is ${position}); peers will bring them back`
      )
    }
    return false
  }
}

const REASONS_SHOWN = 5

/** LevelDB met damage: if no check finds it, only LevelDB's own repair is left. */
function orRepair(inspection: Inspection): Inspection {
  if (inspection.findings.length > 0) return inspection
  const what = 'LevelDB met damage that no checksum shows'
  return { ...inspection, findings: [{ file: 'data', what, remedy: 'repair' }] }
}

function summary(findings: readonly Finding[]): string {
  const shown = findings.slice(0, REASONS_SHOWN).map(({ what }) => what)
  const rest = findings.length - shown.length
  return [...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join('; ')
}

function plain(store: Store): OpenedDatabase {
  return { store, isShadow: false, close: () => store.close() }
}

/** A damaged last row says nothing about the end; the engine will meet it. */
function passOver(error: unknown): undefined {
  if (!isChrysalisError(error, 'corrupt')) throw error
}
