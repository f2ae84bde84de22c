/**
 * Room on the disk: how much is left, the floor below which nothing is written, and the ballast that is thrown off when
 * there is nothing left.
 *
 * LevelDB takes a full disk badly. A failed write stops all later ones, and a database cannot even be opened, and so not
 * be read, without room to turn its log into a table. So writing ends while there still is room (the floor), and a file
 * of real blocks is kept that is worth nothing (the ballast): deleting it makes the room that closing and opening need.
 *
 * It decides nothing about single writes: see steady-store.ts.
 */
import { randomFillSync } from 'node:crypto'
import { statfsSync, statSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'

export const BALLAST_NAME = 'ballast'

/** A floor of this share of a small disk is enough. */
const FLOOR_SHARE = 0.05
const CHUNK_BYTES = 1_048_576

export interface DiskSpaceOptions {
  /** The home: the ballast lies in it, and its disk is the one that is measured. */
  readonly directory: string
  /** Free bytes below which nothing is written; at most a twentieth of the disk is asked for. 0: no floor. */
  readonly floorBytes: number
  /** 0: no ballast. */
  readonly ballastBytes: number
}

export interface DiskReport {
  readonly freeBytes: number
  readonly floorBytes: number
  /** What the ballast should have, and has. */
  readonly ballastBytes: number
  readonly ballastHeldBytes: number
}

export class DiskSpace {
  readonly #options: DiskSpaceOptions
  readonly #ballast: string

  constructor(options: DiskSpaceOptions) {
    this.#options = options
    this.#ballast = join(options.directory, BALLAST_NAME)
  }

  /** Some microseconds. Throws the system's error. */
  report(): DiskReport {
    const { floorBytes, ballastBytes, directory } = this.#options
    const { bavail, blocks, bsize } = statfsSync(directory)
    return {
      freeBytes: bavail * bsize,
      floorBytes: Math.min(floorBytes, Math.floor(blocks * bsize * FLOOR_SHARE)),
      ballastBytes,
      ballastHeldBytes: this.#heldBytes()
    }
  }

  /** Throws the ballast off. Answers the bytes that made free. */
  async release(): Promise<number> {
    const held = this.#heldBytes()
    await rm(this.#ballast, { force: true })
    return held
  }

  /** Takes ballast in again when there is room for it above the floor and as much again. Answers whether it is held. */
  async refill(): Promise<boolean> {
    const { freeBytes, floorBytes, ballastBytes, ballastHeldBytes } = this.report()
    if (ballastHeldBytes === ballastBytes) return true
    if (ballastHeldBytes > ballastBytes || ballastBytes === 0) await this.release()
    if (ballastBytes === 0) return true
    if (freeBytes < floorBytes + 2 * ballastBytes) return false
    try {
      await writeBlocks(this.#ballast, ballastBytes)
    } catch (error) {
      // Half a ballast at the edge of the disk is in the way.
      await rm(this.#ballast, { force: true })
      throw error
    }
    return true
  }

  #heldBytes(): number {
    return statSync(this.#ballast, { throwIfNoEntry: false })?.size ?? 0
  }
}

/** Incompressible and synced, so that the blocks are really taken, whatever the file system. */
async function writeBlocks(path: string, bytes: number): Promise<void> {
  const chunk = randomFillSync(new Uint8Array(Math.min(CHUNK_BYTES, bytes)))
  const file = await open(path, 'w', 0o600)
  try {
    for (let at = 0; at < bytes; at += chunk.length) await file.write(chunk, 0, Math.min(chunk.length, bytes - at), at)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** For people: the largest unit of which there is at least one. */
export function mebibytes(bytes: number): string {
  return bytes < 10 * 1_048_576 ? `${Math.floor(bytes / 1_024)} KiB` : `${Math.floor(bytes / 1_048_576)} MiB`
}
