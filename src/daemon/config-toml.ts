/**
 * TOML for whoever may not know the parser: the command line edits files of other programs and must be sure that they
 * are whole before and after. It says where a text is broken and nothing about which file it came from.
 */
import { parse, TomlError } from 'smol-toml'
import { ChrysalisError, messageOf } from '../base/errors.ts'

/** The document as plain values. Throws `config` with line and column. */
export function parseToml(text: string): Record<string, unknown> {
  try {
    return parse(text)
  } catch (error) {
    const [reason = ''] = messageOf(error).split('\n')
    const place = error instanceof TomlError ? { line: error.line, column: error.column } : undefined
    const where = place === undefined ? '' : `line ${place.line}, column ${place.column}: `
    throw new ChrysalisError('config', where + reason, {
      cause: error,
      ...(place === undefined ? {} : { data: place })
    })
  }
}
