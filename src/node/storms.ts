/**
 * Write storms: many writes to one record in a short time. They converge like any others; what they need is a trace
 * for people: which record, how many writes, by whom, and the version it came to. An entry is made when the storm has
 * passed, that is when a whole window went by without a write.
 */
import { utf8, fromUtf8 } from '../base/bytes.ts'
import { authorToPeerId } from '../base/peer-id.ts'
import { BoundedMap } from '../base/bounded-map.ts'
import { LIMITS } from '../base/limits.ts'
import type { AuthorId, RecordId, SpaceId } from '../memory/ids.ts'
import type { Store } from '../ports/store.ts'
import type { WriteStorm } from './api.ts'
import { auditKey } from './rows.ts'

interface Burst {
  readonly space: SpaceId
  readonly record: RecordId
  readonly authors: Set<AuthorId>
  readonly startedAtMs: number
  writes: number
  lastMs: number
}

/** Records watched at once. */
const WATCHED_MAX = 4_096
const AUTHORS_SHOWN_MAX = 64

export class Storms {
  readonly #options: { writes: number; windowMs: number }
  readonly #bursts = new BoundedMap<RecordId, Burst>(WATCHED_MAX)
  #serial = 0

  constructor(options: { writes: number; windowMs: number }) {
    this.#options = options
  }

  note(space: SpaceId, record: RecordId, author: AuthorId, nowMs: number): void {
    const known = this.#bursts.get(record)
    if (known === undefined || nowMs - known.lastMs > this.#options.windowMs) {
      if (known !== undefined && known.writes >= this.#options.writes) return this.#extend(known, author, nowMs)
      this.#bursts.set(record, {
        space,
        record,
        authors: new Set([author]),
        startedAtMs: nowMs,
        writes: 1,
        lastMs: nowMs
      })
      return
    }
    this.#extend(known, author, nowMs)
  }

  #extend(burst: Burst, author: AuthorId, nowMs: number): void {
    burst.writes++
    burst.lastMs = nowMs
    if (burst.authors.size < AUTHORS_SHOWN_MAX) burst.authors.add(author)
  }

  /** Storms that have passed, to be written down. With `all`, also those still going on (at stop). */
  passed(nowMs: number, all = false): Omit<WriteStorm, 'version'>[] {
    const passed: Omit<WriteStorm, 'version'>[] = []
    for (const [record, burst] of [...this.#bursts.entries()]) {
      if (!all && nowMs - burst.lastMs <= this.#options.windowMs) continue
      this.#bursts.delete(record)
      if (burst.writes < this.#options.writes) continue
      passed.push({
        record,
        space: burst.space,
        writes: burst.writes,
        authors: [...burst.authors].sort().map(authorToPeerId),
        startedAtMs: burst.startedAtMs,
        endedAtMs: burst.lastMs
      })
    }
    return passed
  }

  /** Appends to the audit log and keeps it within its bound. */
  async write(store: Store, storm: WriteStorm): Promise<void> {
    this.#serial++
    await store.batch(
      [{ table: 'audit', key: auditKey(storm.endedAtMs, this.#serial), value: utf8(JSON.stringify(storm)) }],
      { durable: false }
    )
    const rows = await store.scan('audit', { limit: LIMITS.auditEntriesMax + 1 })
    if (rows.length > LIMITS.auditEntriesMax) {
      const oldest = rows.slice(0, rows.length - LIMITS.auditEntriesMax)
      await store.batch(
        oldest.map((row) => ({ table: 'audit' as const, key: row.key, value: null })),
        { durable: false }
      )
    }
  }
}

/** Newest first. */
export async function readStorms(store: Store, limit: number): Promise<WriteStorm[]> {
  const rows = await store.scan('audit', { reverse: true, limit })
  return rows.map((row) => JSON.parse(fromUtf8(row.value)) as WriteStorm)
}
