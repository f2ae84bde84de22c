/**
 * What LevelDB says, in the words of the project. LevelDB has few codes and puts the rest into English text, sometimes
 * two causes deep; this file is the only place that reads it.
 */
import { ChrysalisError, isChrysalisError, type ErrorCode } from '../../base/errors.ts'

export const DOCTOR_HINT =
  'Nothing was repaired or deleted. Stop the daemon, make a copy of its data directory first, then run `chrysalis doctor`.'

/** Every code and message along the chain of causes, outermost first. */
function testimony(error: unknown): { codes: string[]; text: string } {
  const codes: string[] = []
  const messages: string[] = []
  let current: unknown = error
  for (let depth = 0; current instanceof Error && depth < 8; depth++) {
    const code: unknown = 'code' in current ? current.code : undefined
    if (typeof code === 'string') codes.push(code)
    messages.push(current.message)
    current = current.cause
  }
  return { codes, text: messages.join(': ') }
}

function classify(codes: readonly string[], text: string): ErrorCode {
  if (codes.includes('LEVEL_LOCKED')) return 'home_locked'
  if (codes.includes('ENOSPC') || codes.includes('EDQUOT')) return 'disk_full'
  if (/no space left|disk quota exceeded/i.test(text)) return 'disk_full'
  if (codes.includes('LEVEL_CORRUPTION') || /\bCorruption: /.test(text)) return 'corrupt'
  if (codes.includes('EACCES') || codes.includes('EPERM') || codes.includes('EROFS')) return 'permissions'
  if (/permission denied|read-only file system/i.test(text)) return 'permissions'
  return 'unavailable'
}

const HINTS: Partial<Record<ErrorCode, string>> = {
  home_locked: 'Another daemon is using this directory. Stop it, or choose another home.',
  disk_full: 'Free some space on this disk. Reading still works; writing resumes after the store was reopened.',
  corrupt: DOCTOR_HINT,
  permissions: 'Make the directory readable and writable for the user who runs the daemon.',
  unavailable: 'Try again; if it persists, restart the daemon and look at the disk and its log.'
}

const SENTENCES: Partial<Record<ErrorCode, string>> = {
  home_locked: 'the database is in use by another process',
  disk_full: 'the disk is full',
  corrupt: 'the database is damaged',
  permissions: 'the system denied access to the database',
  unavailable: 'the database failed'
}

/**
 * Turns anything thrown by a LevelDB binding into a ChrysalisError; one that is already typed is passed through.
 * `act` is what was attempted, as a noun phrase: `opening /home/a/data`; `row` is told to whoever can do without it.
 */
export function levelError(error: unknown, act: string, row?: { table: string; key: string }): ChrysalisError {
  if (isChrysalisError(error)) return error
  const { codes, text } = testimony(error)
  const code = classify(codes, text)
  const hint = HINTS[code]
  return new ChrysalisError(code, `${act}: ${SENTENCES[code] ?? 'failed'} (${text || String(error)})`, {
    ...(hint === undefined ? {} : { hint }),
    data: { codes, ...row },
    cause: error
  })
}
