/**
 * A copy of the project with one fault in it, under a folder of its own: sources and simulations copied, packages linked.
 * The original is never touched, and the copy is gone afterwards.
 */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { ChrysalisError } from '../../src/base/errors.ts'
import type { Edit, Mutant } from './mutants.ts'

const COPIED = ['src', 'simulations', 'package.json', 'tsconfig.json'] as const

/** The folder of the project this file belongs to. Throws `not_found` where only the built program is installed. */
export function projectRoot(): string {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  if (import.meta.url.endsWith('.ts') && existsSync(path.join(root, 'src'))) return root
  throw new ChrysalisError('not_found', 'The sources of the daemon are not here; nothing was run.', {
    hint: 'Faults are planted in sources: run this in a checkout of the project.'
  })
}

/** The text with the edit made. Throws `failure` unless the text to replace occurs exactly once. */
export function edited(text: string, { file, from, to }: Edit, name: string): string {
  const pieces = text.split(from)
  const [before, after] = pieces
  if (pieces.length !== 2 || before === undefined || after === undefined) {
    throw new ChrysalisError(
      'failure',
      `The fault ${name} cannot be planted: its text occurs ${pieces.length - 1} times in ${file}, not once. Nothing was run.`,
      { hint: 'The code has moved on: correct the entry in simulations/mutants/mutants.ts.' }
    )
  }
  return before + to + after
}

export interface Plot {
  readonly folder: string
  /** Removes it. Idempotent. */
  clear(): void
}

/** Throws `failure` when an edit does not fit; then nothing is left behind. */
export function plant({ name, edits }: Pick<Mutant, 'name' | 'edits'>, root = projectRoot()): Plot {
  const texts = new Map<string, string>()
  for (const edit of edits) {
    const text = texts.get(edit.file) ?? readFileSync(path.join(root, edit.file), 'utf8')
    texts.set(edit.file, edited(text, edit, name))
  }
  const folder = mkdtempSync(path.join(tmpdir(), `chrysalis-mutant-${name}-`))
  for (const entry of COPIED) {
    const from = path.join(root, entry)
    if (existsSync(from)) cpSync(from, path.join(folder, entry), { recursive: true })
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'), 'dir')
  for (const [file, text] of texts) writeFileSync(path.join(folder, file), text)
  return { folder, clear: () => rmSync(folder, { recursive: true, force: true }) }
}
