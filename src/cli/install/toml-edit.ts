/**
 * One table in a TOML text, as a block between two marked lines at its end. TOML lets a table stand anywhere behind the
 * keys of the root, so an appended block never changes what the rest means; the marks say whose it is and where it ends.
 * Taking the block out gives back the very same bytes.
 */
import { ChrysalisError } from '../../base/errors.ts'

const BEGIN = '# >>> chrysalis: this block is managed by `chrysalis install`'
const END = '# <<< chrysalis'

type TomlValue = string | readonly string[] | { readonly [key: string]: string }

/** Keys of one table: texts, lists of texts and tables of texts are all a client needs. */
export type TomlTable = Readonly<Record<string, TomlValue>>

/** `header` is the name in brackets, as `mcp_servers.chrysalis`. Throws `config` when the marks are not in order. */
export function withBlock(text: string | undefined, header: string, table: TomlTable): string {
  const before = text ?? ''
  const eol = before.includes('\r\n') ? '\r\n' : '\n'
  const rows = Object.entries(table).map(([key, value]) => `${key} = ${tomlValue(value)}`)
  const block = [BEGIN, `[${header}]`, ...rows, END].join(eol)
  const old = blockIn(before)
  if (old !== undefined) return before.slice(0, old.start) + block + before.slice(old.end)
  // One line end goes in front of it whatever was there, so that it can be taken out without a question.
  return before === '' ? block + eol : before + eol + block + eol
}

/** undefined when the block was all there was: then the file was made for it. */
export function withoutBlock(text: string): string | undefined {
  const block = blockIn(text)
  if (block === undefined) return text
  const before = text.slice(0, block.start).replace(/\r?\n$/, '')
  const after = text.slice(block.end).replace(/^\r?\n/, '')
  return before === '' && after === '' ? undefined : before + after
}

function blockIn(text: string): { start: number; end: number } | undefined {
  const start = lineAt(text, BEGIN, 0)
  const end = lineAt(text, END, Math.max(0, start))
  if (start === -1 && end === -1) return undefined
  const inOrder = start !== -1 && end !== -1 && lineAt(text, BEGIN, start + 1) === -1
  if (inOrder) return { start, end: end + END.length }
  throw new ChrysalisError('config', 'the marks around the block of chrysalis are not in order')
}

/** Where a line begins that is just this. */
function lineAt(text: string, line: string, from: number): number {
  for (let at = text.indexOf(line, from); at !== -1; at = text.indexOf(line, at + 1)) {
    const isWhole =
      at + line.length === text.length || /^\r?\n/.test(text.slice(at + line.length, at + line.length + 2))
    if (isWhole && (at === 0 || text[at - 1] === '\n')) return at
  }
  return -1
}

function tomlValue(value: TomlValue): string {
  if (isList(value)) return `[${value.map(tomlValue).join(', ')}]`
  if (typeof value !== 'string') {
    const pairs = Object.entries(value).map(([key, text]) => `${key} = ${tomlValue(text)}`)
    return `{ ${pairs.join(', ')} }`
  }
  // A basic string takes the escapes of JSON, and wants this one control character escaped as well.
  return JSON.stringify(value).replaceAll('\u007f', '\\u007f')
}

function isList(value: TomlValue): value is readonly string[] {
  return Array.isArray(value)
}
