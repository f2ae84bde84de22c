/**
 * The store as the daemon runs it, for as long as it runs: whatever happens to the disk, it reads what can be read, and
 * refuses to write with the reason until `reopen` finds that the reason is gone.
 *
 * Before a batch it looks at the free space, not more often than needed: below the floor nothing is written, which costs
 * nothing, and LevelDB never meets the end of the disk. If it does all the same, the ballast goes, so that there is room
 * to close and open. When LevelDB finds its files damaged, writing ends for good and whoever runs the store is told: it
 * has to be opened anew, with salvage (daemon/open-store.ts). After each batch the tail mark says how far the arrival log
 * has come.
 *
 * It makes no timers: somebody else asks to reopen.
 */
import { ChrysalisError, isChrysalisError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ScanOptions, Store, StoreEntry, StoreWrite, Table } from '../../ports/store.ts'
import { mebibytes, type DiskReport, type DiskSpace } from './disk-space.ts'
import { newestArrival, type TailMark } from './tail-mark.ts'

/** A database that was opened, by whatever way was possible. */
export interface OpenedDatabase {
  readonly store: Store
  /** Only to be read: the disk is full, and it was opened on another one. */
  readonly isShadow: boolean
  /** Closes the store and what belongs to it. */
  readonly close: () => Promise<void>
}

export interface SteadyStoreParts {
  /** Opens the database where it lies, after it was a shadow. */
  readonly leaveShadow: () => Promise<OpenedDatabase>
  readonly space: Pick<DiskSpace, 'report' | 'release'>
  readonly mark: Pick<TailMark, 'note' | 'close'>
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** The database says that its files are damaged. Told once. */
  readonly onDamage: (error: ChrysalisError) => void
}

/** While there is plenty, the disk is asked again after so much was written, or this long. */
const MEASURE_BYTES = 1_048_576
const MEASURE_MS = 500

export class SteadyStore implements Store {
  readonly #parts: SteadyStoreParts
  #opened: OpenedDatabase
  #closed = false
  /** Why nothing is written until `reopen`. */
  #refusal: ChrysalisError | undefined
  #damage: ChrysalisError | undefined
  #reopening: Promise<void> | undefined
  #measuredMs = Number.NEGATIVE_INFINITY
  #writtenBytes = 0

  constructor(parts: SteadyStoreParts, opened: OpenedDatabase) {
    this.#parts = parts
    this.#opened = opened
    if (opened.isShadow) this.#refusal = shadowed()
  }

  /** Only to be read, from another disk. */
  get isShadow(): boolean {
    return this.#opened.isShadow
  }

  get(table: Table, key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#opened.store.get(table, key)
  }

  getSync(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.#opened.store.getSync(table, key)
  }

  getMany(table: Table, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#opened.store.getMany(table, keys)
  }

  scan(table: Table, options: ScanOptions): Promise<StoreEntry[]> {
    return this.#opened.store.scan(table, options)
  }

  async batch(writes: readonly StoreWrite[], options: { durable: boolean }): Promise<void> {
    if (this.#refusal !== undefined) throw again(this.#refusal)
    this.#requireFloor(writes)
    try {
      await this.#opened.store.batch(writes, options)
    } catch (error) {
      if (!this.#closed && isChrysalisError(error)) {
        this.#refusal ??= error
        // So that closing and opening find room; what was refused stays refused until then.
        if (error.code === 'disk_full') await this.#parts.space.release().catch(() => 0)
      }
      throw error
    }
    const newest = newestArrival(writes)
    if (newest !== undefined) this.#parts.mark.note(newest, options.durable)
  }

  /** LevelDB, or somebody who read its files, met damage in them. */
  damaged(error: ChrysalisError): void {
    if (this.#closed || this.#damage !== undefined) return
    this.#damage = error
    this.#refusal ??= error
    this.#parts.onDamage(error)
  }

  reopen(): Promise<void> {
    this.#reopening ??= this.#reopen().finally(() => {
      this.#reopening = undefined
    })
    return this.#reopening
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#reopening?.catch(() => undefined)
    this.#parts.mark.close()
    await this.#opened.close()
  }

  async #reopen(): Promise<void> {
    if (this.#damage !== undefined) throw again(this.#damage)
    if (this.#opened.isShadow) await this.#leaveShadow()
    const report = this.#parts.space.report()
    // A little above the floor, or writing would end again with the next batch.
    if (report.freeBytes < report.floorBytes + Math.min(report.floorBytes, LIMITS.storeWriteBufferBytes)) {
      throw belowFloor(report)
    }
    await this.#reopenInner()
    this.#refusal = undefined
    this.#measuredMs = Number.NEGATIVE_INFINITY
  }

  /**
   * Also when the refusal was ours: LevelDB goes on behind with what it was given before, may have met the end of the
   * disk there, and would say so with the next write.
   */
  async #reopenInner(): Promise<void> {
    try {
      await this.#opened.store.reopen()
    } catch (error) {
      if (!isChrysalisError(error, 'disk_full') || (await this.#parts.space.release()) === 0) throw error
      await this.#opened.store.reopen()
    }
  }

  /** Not before there is room to write again: until then the shadow serves as well. */
  async #leaveShadow(): Promise<void> {
    const report = this.#parts.space.report()
    const neededBytes = Math.max(2 * LIMITS.storeWriteBufferBytes, report.floorBytes)
    if (report.freeBytes + report.ballastHeldBytes < neededBytes)
      throw belowFloor({ ...report, floorBytes: neededBytes })
    this.#opened = await this.#parts.leaveShadow()
    if (this.#opened.isShadow) throw shadowed()
  }

  #requireFloor(writes: readonly StoreWrite[]): void {
    const nowMs = this.#parts.clock.monotonicMs()
    for (const { key, value } of writes) this.#writtenBytes += key.length + (value?.length ?? 0)
    if (this.#writtenBytes < MEASURE_BYTES && nowMs - this.#measuredMs < MEASURE_MS) return
    let report: DiskReport
    try {
      report = this.#parts.space.report()
    } catch {
      // A system that cannot say how full its disk is will say so when it is.
      return
    }
    this.#measuredMs = nowMs
    this.#writtenBytes = 0
    if (report.freeBytes >= report.floorBytes) return
    this.#refusal ??= belowFloor(report)
    throw this.#refusal
  }
}

function belowFloor({ freeBytes, floorBytes }: DiskReport): ChrysalisError {
  return new ChrysalisError(
    'disk_full',
    `the disk is full: ${mebibytes(freeBytes)} are free and ${mebibytes(floorBytes)} are kept free; nothing was written`,
    {
      hint: 'Free some space on this disk: writing resumes by itself within seconds. Reading works meanwhile.',
      data: { freeBytes, floorBytes }
    }
  )
}

function shadowed(): ChrysalisError {
  return new ChrysalisError('disk_full', 'the disk is full to the last block; what is stored is only read', {
    hint: 'Free some space on this disk: writing resumes by itself within seconds.'
  })
}

function again(cause: ChrysalisError): ChrysalisError {
  return new ChrysalisError(cause.code, `not written, because an earlier write failed: ${cause.message}`, {
    ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    cause
  })
}
