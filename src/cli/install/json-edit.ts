/**
 * One entry in a JSON text, put there and taken out again: `text[section][name]`. Only the bytes of the entry, and of
 * the section when there was none, are added; comments, order, indentation and line ends stay. Taking out what was put
 * in gives back the very same bytes.
 *
 * That inverse needs to know what was there before, and the only memory is the text itself. So an object that existed
 * and was empty gets its first member without a line break in front, and one that is made here gets one: an object that
 * becomes empty is removed in the second case and kept in the first.
 */
import { isDeepStrictEqual } from 'node:util'
import { ChrysalisError } from '../../base/errors.ts'
import { parseJsonc, skipTrivia, type JsonNode, type Member } from './jsonc.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const INDENT = '  '

/** The text with the entry; `undefined` stands for a file that is not there. Throws `config` with the place. */
export function withEntry(text: string | undefined, section: string, name: string, entry: Json): string {
  if (text === undefined) return `${freshDocument(section, name, entry)}\n`
  if (blank(text)) return text + freshDocument(section, name, entry)
  const root = objectAt(parseJsonc(text), 'the document')
  const style = styleOf(text, root)
  const place = memberOf(root, section)
  if (place === undefined) {
    return inserted(text, root, style, section, (indent) => sectionText(style, indent, name, entry))
  }
  const inside = objectAt(place.value, section)
  const old = memberOf(inside, name)
  if (old === undefined) return inserted(text, inside, style, name, (indent) => entryText(style, indent, entry), 2)
  if (isDeepStrictEqual(plain(old.value.value), entry)) return text
  const isInline = !/[\n\r]/.test(text.slice(old.value.start, old.value.end))
  const indent = isInline ? undefined : (lineIndent(text, old.start) ?? style.unit.repeat(2))
  return text.slice(0, old.value.start) + entryText(style, indent, entry) + text.slice(old.value.end)
}

/** The text without the entry; undefined when the file was made here and nothing else is in it. */
export function withoutEntry(text: string, section: string, name: string): string | undefined {
  if (blank(text)) return text
  const root = objectAt(parseJsonc(text), 'the document')
  const place = memberOf(root, section)
  if (place === undefined) return text
  const inside = objectAt(place.value, section)
  const entry = memberOf(inside, name)
  if (entry === undefined) return text
  if (inside.members?.length !== 1 || !madeHere(text, inside)) return removed(text, inside, entry)
  if (root.members?.length !== 1 || !madeHere(text, root)) return removed(text, root, place)
  const around = text.slice(0, root.start) + text.slice(root.end)
  if (!blank(around)) return removed(text, root, place)
  // A document of ours behind white space alone: the file was there and empty. With one line end behind: it was not.
  return text.slice(root.end) === '\n' && root.start === 0 ? undefined : around
}

interface Style {
  readonly unit: string
  readonly eol: string
}

function freshDocument(section: string, name: string, entry: Json): string {
  const style = { unit: INDENT, eol: '\n' }
  return `{\n${INDENT}${JSON.stringify(section)}: ${sectionText(style, INDENT, name, entry)}\n}`
}

/** A section of one entry, its own key at `indent`; on one line when `indent` is undefined. */
function sectionText(style: Style, indent: string | undefined, name: string, entry: Json): string {
  const key = JSON.stringify(name)
  // Even on one line it opens with a line break: that is how it is known to be ours.
  const outer = indent ?? ''
  const inner = outer + style.unit
  return `{${style.eol}${inner}${key}: ${entryText(style, inner, entry)}${style.eol}${outer}}`
}

function entryText(style: Style, indent: string | undefined, entry: Json): string {
  if (indent === undefined) return JSON.stringify(entry)
  return JSON.stringify(entry, null, style.unit).replaceAll('\n', style.eol + indent)
}

/** Adds a member behind the last one. `depth`: how far its key is indented where the object does not show it. */
function inserted(
  text: string,
  object: JsonNode,
  style: Style,
  key: string,
  valueAt: (indent: string | undefined) => string,
  depth = 1
): string {
  const quoted = JSON.stringify(key)
  const last = object.members?.at(-1)
  if (last === undefined) {
    const at = object.start + 1
    return `${text.slice(0, at)}${quoted}: ${valueAt(style.unit.repeat(depth))}${text.slice(at)}`
  }
  const behind = last.comma === undefined ? last.value.end : last.comma + 1
  const isSpread = /[\n\r]/.test(text.slice(behind, object.end))
  const indent = isSpread ? (lineIndent(text, last.start) ?? style.unit.repeat(depth)) : undefined
  // A comment on the same line belongs to the member before.
  const at = isSpread ? skipTrivia(text, behind, true) : behind
  const gap = indent === undefined ? ' ' : style.eol + indent
  const member = `${gap}${quoted}: ${valueAt(indent)}`
  if (last.comma !== undefined) return `${text.slice(0, at)}${member},${text.slice(at)}`
  return `${text.slice(0, behind)},${text.slice(behind, at)}${member}${text.slice(at)}`
}

function removed(text: string, object: JsonNode, member: Member): string {
  // Just the line break and indentation in front of it: a comment above may end in white space of its own.
  const before = text.slice(0, member.start).replace(/(?:\r\n|[\n\r])?[^\S\n\r]*$/, '')
  const end = member.comma === undefined ? member.value.end : member.comma + 1
  if (member.comma !== undefined) return before + text.slice(end)
  const members = object.members ?? []
  const previous = members[members.indexOf(member) - 1]
  if (previous?.comma === undefined) return before + text.slice(end)
  // The last one goes, and with it the comma that was needed because of it.
  return before.slice(0, previous.comma) + before.slice(previous.comma + 1) + text.slice(end)
}

/** Whether an object begins as those do that are made here. */
function madeHere(text: string, object: JsonNode): boolean {
  return /^\{\r?\n/.test(text.slice(object.start, object.start + 3))
}

function objectAt(node: JsonNode, what: string): JsonNode {
  if (node.members !== undefined) return node
  throw new ChrysalisError('config', `${what} is no object`)
}

function memberOf(object: JsonNode, key: string): Member | undefined {
  const [first, ...more] = object.members?.filter((member) => member.key === key) ?? []
  if (more.length === 0) return first
  throw new ChrysalisError('config', `${JSON.stringify(key)} is there more than once`)
}

function styleOf(text: string, root: JsonNode): Style {
  const first = root.members?.[0]
  const indent = first === undefined ? undefined : lineIndent(text, first.start)
  return { unit: indent === undefined || indent === '' ? INDENT : indent, eol: text.includes('\r\n') ? '\r\n' : '\n' }
}

/** White space in front of `at` when nothing else is on its line before it. */
function lineIndent(text: string, at: number): string | undefined {
  return /(?:^|[\n\r])([^\S\n\r]*)$/.exec(text.slice(0, at))?.[1]
}

function blank(text: string): boolean {
  return text.trim() === ''
}

/** Objects that were parsed have no prototype; those they are compared with do. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown
}
