/** The source files of the repository, by path from its root, for the tests that read them as text. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url))

const SKIPPED = new Set(['node_modules', 'dist', 'out', '.git'])

/** Paths with forward slashes below `folder`, in byte order; empty when there is no such folder. */
export function filesBelow(folder: string, wanted: (file: string) => boolean): string[] {
  const absolute = path.join(REPOSITORY, folder)
  if (statSync(absolute, { throwIfNoEntry: false })?.isDirectory() !== true) return []
  return readdirSync(absolute)
    .sort()
    .filter((name) => !SKIPPED.has(name))
    .flatMap((name) => {
      const file = `${folder}/${name}`
      if (statSync(path.join(REPOSITORY, file)).isDirectory()) return filesBelow(file, wanted)
      return wanted(file) ? [file] : []
    })
}

export function textOf(file: string): string {
  return readFileSync(path.join(REPOSITORY, file), 'utf8')
}

/** path → text of every TypeScript file below the folders; declarations without code are left out. */
export function sources(...folders: readonly string[]): Map<string, string> {
  const files = folders.flatMap((folder) =>
    filesBelow(folder, (file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  )
  return new Map(files.map((file) => [file, textOf(file)]))
}

/** Folders directly below `folder`. */
export function foldersIn(folder: string): string[] {
  const absolute = path.join(REPOSITORY, folder)
  return readdirSync(absolute)
    .sort()
    .filter((name) => statSync(path.join(absolute, name)).isDirectory())
}
