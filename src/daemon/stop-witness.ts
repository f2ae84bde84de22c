/**
 * A second witness of an orderly stop, kept outside of the home: in memory that a restart of the machine clears.
 *
 * STATE lies beside the database, so whatever takes the database back in time takes STATE back with it: a snapshot of the
 * file system, a backup synced over the home in place. Both look as they did after that older stop, down to the inode,
 * and a daemon that went on under its epoch would sign its numbers a second time. So each orderly stop draws an id, notes
 * it in STATE and here; a start takes the note away before anything is signed. Only the newest stop finds its own id, and
 * only once.
 *
 * Where it is missing, after a restart of the machine for one, a new epoch begins: that is cheap (docs/adr/0004). Where a
 * system has no such memory its folder for temporary files serves; a snapshot that includes that folder is not noticed.
 */
import { createHash } from 'node:crypto'
import { lstatSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { DirectoryIdentity } from '../adapters/level/file-marks.ts'
import { writeFileAtomic } from '../adapters/system/atomic-file.ts'
import { fromUtf8, utf8 } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'

export class StopWitness {
  readonly #directory: string | undefined

  /** `env` may name the folder of the session, XDG_RUNTIME_DIR. */
  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#directory = folderIn(env)
  }

  /** The id noted by the last stop of the database in this directory, once: it is gone afterwards. Never rejects. */
  async take(identity: DirectoryIdentity): Promise<string | undefined> {
    if (this.#directory === undefined || !isPrivate(this.#directory)) return undefined
    const file = this.#file(this.#directory, identity)
    try {
      const id = fromUtf8(await readFile(file))
      await rm(file)
      return id
    } catch {
      // Not there, or not ours to take away, and then it proves nothing.
      return undefined
    }
  }

  /** Notes the id of a stop. Never rejects: without the note the next start draws an epoch. */
  async leave(identity: DirectoryIdentity, id: string): Promise<void> {
    if (this.#directory === undefined) return
    try {
      await mkdir(this.#directory, { mode: 0o700 }).catch(() => undefined)
      if (!isPrivate(this.#directory)) return
      await forgetOldest(this.#directory)
      await writeFileAtomic(this.#file(this.#directory, identity), utf8(id))
    } catch {
      // See above.
    }
  }

  #file(directory: string, { dev, ino, birthtimeMs }: DirectoryIdentity): string {
    const name = createHash('sha256').update(`${dev}/${ino}/${birthtimeMs}`).digest('hex').slice(0, 32)
    return path.join(directory, name)
  }
}

/** The first place that exists, with a folder of this user's own in it. */
function folderIn(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const uid = process.getuid?.()
  const places = [env['XDG_RUNTIME_DIR'], uid === undefined ? undefined : `/run/user/${uid}`, '/dev/shm', tmpdir()]
  for (const place of places) {
    if (place === undefined || place === '') continue
    if (lstatSync(place, { throwIfNoEntry: false })?.isDirectory() === true) {
      return path.join(place, `chrysalis-stops-${uid ?? 'me'}`)
    }
  }
  return undefined
}

/** Others may write to the place: what they put there under our name is not ours. */
function isPrivate(directory: string): boolean {
  const found = lstatSync(directory, { throwIfNoEntry: false })
  if (found?.isDirectory() !== true) return false
  const uid = process.getuid?.()
  return uid === undefined || (found.uid === uid && (found.mode & 0o077) === 0)
}

/** Homes come and go, their notes stay: the oldest make room. */
async function forgetOldest(directory: string): Promise<void> {
  const names = await readdir(directory)
  if (names.length < LIMITS.stopNotesMax) return
  const aged = await Promise.all(
    names.map(async (name) => {
      const file = path.join(directory, name)
      return { file, ms: (await stat(file).catch(() => undefined))?.mtimeMs ?? 0 }
    })
  )
  aged.sort((a, b) => a.ms - b.ms)
  for (const { file } of aged.slice(0, names.length + 1 - LIMITS.stopNotesMax)) await rm(file, { force: true })
}
