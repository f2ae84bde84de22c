/** Copies of homes, as a backup or a careless person makes them: all files, only not the socket of a daemon that runs. */
import { copyFileSync, lstatSync, mkdirSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import path from 'node:path'

/**
 * Copies a file or directory over what is at `to`. Files that vanish meanwhile are left out, as by any copy of a
 * directory in use; sockets are passed over.
 */
export function copyOver(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true })
  copy(from, to)
}

function copy(from: string, to: string): void {
  const stats = lstatSync(from, { throwIfNoEntry: false })
  if (stats?.isDirectory()) {
    mkdirSync(to, { mode: stats.mode & 0o777 })
    for (const name of readdirSync(from)) copy(path.join(from, name), path.join(to, name))
  } else if (stats?.isFile()) {
    try {
      copyFileSync(from, to)
      utimesSync(to, stats.atime, stats.mtime)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
}
