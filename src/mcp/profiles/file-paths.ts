/**
 * Paths of the file-like memory: names below /memories and nothing else. There is no file system behind them, so none of
 * them can lead anywhere; but a model that tries to leave the folder is confused or was told to, and is refused in words
 * instead of being given a file with a strange name.
 */
import { utf8 } from '../../base/bytes.ts'
import { ChrysalisError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'

export const ROOT = '/memories'

/** Before the path in the key of a file's record. */
export const FILE_KEY = 'file:'
const PATH_BYTES_MAX = LIMITS.keyBytesMax - FILE_KEY.length

/** The one spelling of a path. Throws `invalid_argument` or `too_large`, having touched nothing. */
export function memoryPath(given: string): string {
  const path = given.normalize('NFC').replace(/\/+$/, '')
  if (path !== ROOT && !path.startsWith(`${ROOT}/`)) throw refused(given, `paths begin with ${ROOT}`)
  // Half a character pair, a control character or a hidden one: two names that look alike would be two files.
  if (/[\p{Cc}\p{Surrogate}\p{Default_Ignorable_Code_Point}\u2028\u2029]/u.test(path)) {
    throw refused(given, 'it holds a character that cannot be seen')
  }
  if (path.includes('\\')) throw refused(given, 'folders are divided by /')
  if (/%(?:2e|2f|5c|00|25)/i.test(path)) throw refused(given, 'it holds an encoded dot or slash')
  for (const name of path.split('/').slice(1)) {
    // Compatibility forms as well: a two-dot leader reads like the folder above.
    if (name === '' || /^\.{1,2}$/.test(name.normalize('NFKC').trim())) throw refused(given, `'${name}' is no name`)
  }
  const bytes = utf8(path).length
  if (bytes <= PATH_BYTES_MAX) return path
  throw new ChrysalisError('too_large', `The path has ${bytes} bytes; at most ${PATH_BYTES_MAX} fit.`, {
    hint: 'Nothing was written. Choose a shorter name.',
    data: { bytes, bytesMax: PATH_BYTES_MAX }
  })
}

/** The folders above a file, the nearest last, without the root. */
export function foldersAbove(path: string): string[] {
  const names = path.split('/').slice(2, -1)
  return names.map((_, at) => [ROOT, ...names.slice(0, at + 1)].join('/'))
}

function refused(path: string, why: string): ChrysalisError {
  const shown = JSON.stringify(path.slice(0, 200))
  return new ChrysalisError('invalid_argument', `${shown} is no path of a memory: ${why}.`, {
    hint: `Nothing was touched. Use a path such as ${ROOT}/notes.md.`
  })
}
