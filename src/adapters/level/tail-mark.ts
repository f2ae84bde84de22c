/**
 * TAIL: how far the arrival log has come, written after every batch, so that a log that has lost its end is noticed.
 *
 * From inside, a database whose newest batch is gone looks like one that was never told of it; a cut log looks like a
 * crash. So the newest positions stored are noted in 24 bytes beside the database: the newest that was synced, and the
 * newest at all. The note itself is not synced, which would cost as much as the batch; it survives the death of the
 * process, and after a power cut it is at worst older than the database, which proves nothing and harms nothing.
 *
 *     synced8 ‖ newest8 ‖ SHA-256(both)[0:8]        integers big-endian
 */
import { createHash } from 'node:crypto'
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { bytesToUint, equalBytes, uintBytes } from '../../base/bytes.ts'
import type { Store, StoreWrite } from '../../ports/store.ts'

export const TAIL_NAME = 'TAIL'
const MARK_BYTES = 24

export interface Tail {
  /** Arrival positions; 0 when nothing was stored. */
  readonly synced: number
  readonly newest: number
}

/** What the file says, or undefined when there is none or it is not what was written. */
export async function readTail(path: string): Promise<Tail | undefined> {
  const bytes = new Uint8Array(await readFile(path).catch(() => new Uint8Array(0)))
  if (bytes.length !== MARK_BYTES) return undefined
  if (!equalBytes(bytes.slice(16), sumOf(bytes.subarray(0, 16)))) return undefined
  return { synced: Number(bytesToUint(bytes.slice(0, 8))), newest: Number(bytesToUint(bytes.slice(8, 16))) }
}

export async function removeTail(path: string): Promise<void> {
  await rm(path, { force: true })
}

function sumOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest().subarray(0, 8))
}

/** The newest arrival position among the rows of a batch; undefined when there is none. */
export function newestArrival(writes: readonly StoreWrite[]): number | undefined {
  let newest: number | undefined
  for (const { table, key, value } of writes) {
    if (table !== 'arrival' || value === null) continue
    const position = Number(bytesToUint(key))
    if (newest === undefined || position > newest) newest = position
  }
  return newest
}

/** The newest arrival position in the database; 0 when it has none. Rejects with the store's errors. */
export async function lastPosition(store: Store): Promise<number> {
  const [last] = await store.scan('arrival', { reverse: true, limit: 1 })
  return last === undefined ? 0 : Number(bytesToUint(last.key))
}

/** The file, open for as long as the database is. Writing never fails anybody: the mark is a witness, not a duty. */
export class TailMark {
  readonly #path: string
  #file: number | undefined
  #tail: Tail = { synced: 0, newest: 0 }

  constructor(path: string) {
    this.#path = path
  }

  /** From here on: the database was read and ends there, all of it on disk. */
  begin(position: number): void {
    this.#write({ synced: position, newest: position })
  }

  /** A batch that reaches to `position` is stored. */
  note(position: number, synced: boolean): void {
    const newest = Math.max(this.#tail.newest, position)
    this.#write({ synced: synced ? newest : this.#tail.synced, newest })
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  #write(tail: Tail): void {
    this.#tail = tail
    const positions = new Uint8Array(16)
    positions.set(uintBytes(tail.synced, 8))
    positions.set(uintBytes(tail.newest, 8), 8)
    try {
      this.#file ??= openSync(this.#path, constants.O_RDWR | constants.O_CREAT, 0o600)
      writeSync(this.#file, Buffer.concat([positions, sumOf(positions)]), 0, MARK_BYTES, 0)
    } catch {
      // On a full disk the old mark stays, which is then merely out of date.
    }
  }
}
