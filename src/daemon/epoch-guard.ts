/**
 * Judges at start whether the own log is complete, so that the daemon may go on under its epoch, and writes down how far
 * it has come (adapters/level/sentinel.ts, docs/adr/0004).
 */
import { identityOf, markFiles } from '../adapters/level/file-marks.ts'
import { levelError } from '../adapters/level/level-errors.ts'
import { SCHEMA } from '../adapters/level/migrations.ts'
import { judgeSentinel, writeSentinel } from '../adapters/level/sentinel.ts'
import { writeFileAtomic } from '../adapters/system/atomic-file.ts'
import { systemClock } from '../adapters/system/clock.ts'
import { systemRandom } from '../adapters/system/random.ts'
import { toHex } from '../base/bytes.ts'
import type { Progress } from '../node/hooks.ts'
import type { Logger } from '../ports/logger.ts'
import type { HomePaths } from './home-files.ts'
import type { HomeStore } from './home-store.ts'
import type { StopWitness } from './stop-witness.ts'

export interface EpochGuardParts {
  readonly paths: HomePaths
  readonly store: Pick<HomeStore, 'witness' | 'doubts'>
  /** Gets what people should know. */
  readonly notices: string[]
  readonly logger: Logger
  readonly stops: StopWitness
}

export class EpochGuard {
  readonly #paths: HomePaths
  readonly #store: Pick<HomeStore, 'witness' | 'doubts'>
  readonly #notices: string[]
  readonly #logger: Logger
  readonly #witness: StopWitness
  #writing: Promise<void> = Promise.resolve()

  constructor({ paths, store, notices, logger, stops }: EpochGuardParts) {
    this.#paths = paths
    this.#store = store
    this.#notices = notices
    this.#logger = logger
    this.#witness = stops
  }

  async mayKeep(found: Progress): Promise<boolean> {
    const identity = await identityOf(this.#paths.data)
    if (identity === undefined) return false
    const heads = Object.fromEntries(found.spaces.map((space) => [space.id, space.head]))
    const { witness, doubts } = this.#store
    const stopId = await this.#witness.take(identity)
    const judgement = judgeSentinel(witness.sentinel, { identity, stopId, deltas: found.deltas, heads })
    if (judgement.fresh && doubts.length === 0) return true
    const reasons = [...judgement.reasons, ...doubts]
    for (const reason of reasons) this.#logger.log('info', 'a new epoch begins', { reason })
    if (judgement.lostTail && doubts.length === 0) {
      this.#notices.push(
        `rows that were recorded are missing from the store: ${judgement.reasons.join('; ')}; peers will restore what they hold`
      )
    }
    return judgement.keepEpoch && doubts.length === 0
  }

  /** One at a time, so that an older count never replaces a newer one. Rejects with the errors of the store port. */
  write(progress: Progress, clean: boolean): Promise<void> {
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#write(progress, clean))
    return this.#writing
  }

  async #write(progress: Progress, clean: boolean): Promise<void> {
    try {
      const identity = await identityOf(this.#paths.data)
      if (identity === undefined) return
      const { deltas, epoch } = progress
      const spaces = Object.fromEntries(
        progress.spaces.map(({ id, deltas: count, root, head }) => [id, { deltas: count, root, head }])
      )
      const files = clean ? await markFiles(this.#paths.data) : null
      const stopId = clean ? toHex(systemRandom.bytes(8)) : null
      if (stopId !== null) await this.#witness.leave(identity, stopId)
      const writtenAtMs = systemClock.nowMs()
      await writeSentinel(
        this.#paths.home,
        { schema: SCHEMA, deltas, spaces, epoch, clean, stopId, identity, files, writtenAtMs },
        (path, bytes, mode) => writeFileAtomic(path, bytes, mode)
      )
    } catch (error) {
      throw levelError(error, 'writing STATE')
    }
  }
}
