/**
 * Working memories that were recalled, and in how many sessions: what two of them needed is worth sharing. A search only
 * notes it here, in memory; the promotion itself and the notes on disk come a moment later, behind, so that reading
 * never waits for a write. What was noted within that moment is lost when the process dies: one more recall makes up for
 * it.
 *
 * Sessions are remembered as short hashes, so that the disk holds no name of an agent or token.
 */
import { concatBytes, fromHex, fromUtf8, isHex, toHex, utf8 } from '../base/bytes.ts'
import { isChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { RecordId } from '../memory/ids.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Store, StoreWrite } from '../ports/store.ts'
import type { Indexer } from './indexer.ts'
import { WORKING_TAG } from './promotion.ts'
import { scanPrefix } from './restore.ts'
import { META } from './rows.ts'
import type { Space } from './space.ts'
import type { Place, Spaces } from './spaces.ts'

export interface SessionRecallPorts {
  readonly store: Store
  readonly crypto: Hasher
  readonly clock: Clock
  readonly logger: Logger
  readonly indexer: Indexer
  readonly spaces: Spaces
  /** Promotes it, whatever its importance; undefined when it is no working memory any more. */
  readonly promote: (place: Place) => Promise<RecordId | undefined>
}

/** Searches within this time are written down, and acted upon, together. */
const SETTLE_MS = 1_000
const SESSION_BYTES = 8

export class SessionRecalls {
  readonly #ports: SessionRecallPorts
  readonly #sessions: number
  /** Sessions by memory, least recently recalled first. */
  readonly #recalls = new Map<RecordId, ReadonlySet<string>>()
  /** Rows to write or delete, by memory. */
  readonly #dirty = new Map<RecordId, Space>()
  #cancel: (() => void) | undefined
  #settling: Promise<void> | undefined
  #stopped = false

  /** `sessions`: distinct ones that make a memory worth promoting; 0 remembers nothing. */
  constructor(options: { sessions: number }, ports: SessionRecallPorts) {
    this.#sessions = Math.min(options.sessions, LIMITS.promotionSessionsMax)
    this.#ports = ports
  }

  /** Sessions known to have recalled the memory. */
  count(id: RecordId): number {
    return this.#recalls.get(id)?.size ?? 0
  }

  /** Reads back what was noted before the last stop. */
  async load(): Promise<void> {
    if (this.#sessions === 0) return
    for await (const { key, value } of scanPrefix(this.#ports.store, 'meta', META.recalls(''), { pageRows: 500 })) {
      const id = fromUtf8(key).slice(-64)
      if (!isHex(id, 32)) continue
      const sessions: string[] = []
      for (let i = 0; i + SESSION_BYTES <= value.length; i += SESSION_BYTES) {
        sessions.push(toHex(value.subarray(i, i + SESSION_BYTES)))
      }
      this.#recalls.set(id, new Set(sessions))
      // One that was due when the daemon stopped is due now.
      const space = this.#ports.spaces.all.find((one) => !one.options.shared)
      if (sessions.length >= this.#sessions && space !== undefined) this.#mark(space, id)
    }
  }

  /** An answer showed these to a session. Cheap: most hits are shared, and are passed over at once. */
  note(places: readonly Place[], session: string | undefined): void {
    if (this.#sessions === 0 || session === undefined || this.#stopped) return
    let hash: string | undefined
    for (const { space, id } of places) {
      if (space.options.shared) continue
      const doc = this.#ports.indexer.index.get(id, space.id)
      if (doc === undefined || !doc.tags.includes(WORKING_TAG)) continue
      hash ??= toHex(this.#ports.crypto.sha384(utf8(`chrysalis/session/1\0${session}`)).subarray(0, SESSION_BYTES))
      const known = this.#recalls.get(id)
      // One that is due already could not be promoted the last time: this recall tries again.
      const isDue = (known?.size ?? 0) >= this.#sessions
      if (!isDue && known?.has(hash) === true) continue
      if (!isDue) this.#remember(space, id, new Set([...(known ?? []), hash]))
      this.#mark(space, id)
    }
  }

  /** As the most recently recalled; beyond the bound the least recently recalled is forgotten. */
  #remember(space: Space, id: RecordId, sessions: ReadonlySet<string>): void {
    this.#recalls.delete(id)
    this.#recalls.set(id, sessions)
    if (this.#recalls.size <= LIMITS.recalledMemoriesMax) return
    for (const oldest of this.#recalls.keys()) {
      this.#recalls.delete(oldest)
      this.#mark(space, oldest)
      break
    }
  }

  #mark(space: Space, id: RecordId): void {
    this.#dirty.set(id, space)
    this.#cancel ??= this.#ports.clock.setTimer(SETTLE_MS, () => {
      this.#cancel = undefined
      void this.settle()
    })
  }

  /** Promotes what is due and writes down the rest. Never rejects. */
  async settle(): Promise<void> {
    while (this.#settling !== undefined) await this.#settling
    this.#settling = this.#settle().finally(() => {
      this.#settling = undefined
    })
    await this.#settling
  }

  async #settle(): Promise<void> {
    const marked = [...this.#dirty]
    this.#dirty.clear()
    const writes: StoreWrite[] = []
    for (const [id, space] of marked) {
      const sessions = this.#recalls.get(id)
      if (sessions !== undefined && sessions.size >= this.#sessions && (await this.#promote({ space, id }))) {
        this.#recalls.delete(id)
      }
      const kept = this.#recalls.get(id)
      const key = META.recalls(id)
      const value = kept === undefined ? null : concatBytes(...[...kept].sort().map(fromHex))
      writes.push({ table: 'meta', key, value })
    }
    if (writes.length === 0) return
    try {
      await this.#ports.store.batch(writes, { durable: false })
    } catch (error) {
      this.#ports.logger.log('debug', 'recalls of working memories were not written down', { error: messageOf(error) })
    }
  }

  /** Whether there is nothing more to do for it: it is shared now, or cannot be. */
  async #promote(place: Place): Promise<boolean> {
    try {
      await this.#ports.promote(place)
      return true
    } catch (error) {
      const again = isChrysalisError(error) && error.retryable
      this.#ports.logger.log('warn', 'a memory recalled in several sessions could not be promoted', {
        id: place.id,
        error: messageOf(error),
        again
      })
      return !again
    }
  }

  /** No timer fires any more; what was noted is written down first. Needs a writer that still answers. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    this.#cancel = undefined
    await this.settle()
  }
}
