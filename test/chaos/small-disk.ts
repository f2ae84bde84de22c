/**
 * A disk of a few megabytes that can be filled to the last byte: a tmpfs. Needs Linux and root. It has no
 * journal and no delay, so it says nothing about power; what it shows is how a program meets "no space left".
 */
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { messageOf } from '../../src/base/errors.ts'
import { mount, unmount } from './mounts.ts'

const CHUNK = new Uint8Array(64 * 1_024)

export class SmallDisk {
  readonly place: string
  /** Not the daemon's: other programs fill disks, too. */
  readonly #filler: string

  private constructor(place: string) {
    this.place = place
    this.#filler = path.join(place, 'filler')
  }

  static async create(place: string, bytes: number): Promise<SmallDisk> {
    await mkdir(place, { recursive: true })
    await mount(['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'tmpfs', place])
    return new SmallDisk(place)
  }

  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.place)
    return bavail * bsize
  }

  /** Takes space until at most `leaveBytes` are free. Answers what it took. */
  fill(leaveBytes = 0): number {
    const file = openSync(this.#filler, 'a')
    let taken = 0
    try {
      for (;;) {
        const room = this.freeBytes() - leaveBytes
        if (room <= 0) return taken
        taken += writeSync(file, CHUNK.subarray(0, Math.min(CHUNK.length, room)))
      }
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return taken
      throw error
    } finally {
      closeSync(file)
    }
  }

  /** Gives back all that `fill` took. */
  clear(): void {
    rmSync(this.#filler, { force: true })
  }

  async remove(): Promise<void> {
    await unmount(this.place)
  }
}

/** Why small disks cannot be made here, or undefined when they can. */
export async function impossible(place: string): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'a small disk needs Linux'
  if (process.getuid?.() !== 0) return 'a small disk needs root, to mount a tmpfs'
  try {
    await (await SmallDisk.create(place, 1_048_576)).remove()
    return undefined
  } catch (error) {
    return `a tmpfs cannot be mounted here: ${messageOf(error)}`
  }
}
