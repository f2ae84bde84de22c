/**
 * From what a caller asks to the operations that say it. A request is checked whole before its first operation is made,
 * so a refused one has written nothing. What the caller left out is not written either: an agent who adds to a shared
 * key overwrites only the fields it names.
 *
 * It makes no delta and draws no id: sequence, time, parents and signature come later (memory/seal.ts). Whether the
 * caller may write, and whether linked records exist, is not asked here.
 */
import { assert } from '../base/assert.ts'
import { compareText } from '../base/bytes.ts'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { hasElement, liveElements, observedDots } from '../crdt/or-set.ts'
import { compareCodePoints } from '../crdt/text-order.ts'
import {
  cleanBoolean,
  cleanChoice,
  cleanFraction,
  cleanRecordId,
  cleanText,
  cleanTexts,
  cleanTime,
  invalid,
  listOf
} from './compose-fields.ts'
import type { AuthorId, RecordId } from './ids.ts'
import {
  BASIS_POINTS,
  DOCUMENT_TYPES,
  KINDS,
  MEMORY_TYPES,
  ORIGIN_CLASSES,
  RELATIONS,
  VERDICTS,
  type BallotVerdict,
  type DocumentType,
  type Field,
  type FieldValue,
  type Kind,
  type KnownOp,
  type MemoryType,
  type OriginClass,
  type Relation,
  type Target
} from './ops.ts'
import { recordExists, type RecordState } from './record.ts'

/** A new memory, or more about a shared one when `key` names it. Omitted fields are not written. */
export interface ComposeAdd {
  readonly content: string
  readonly key?: string
  readonly documentType?: DocumentType
  readonly memoryType?: MemoryType
  readonly kind?: Kind
  readonly path?: string
  readonly tags?: readonly string[]
  /** 0 to 1, as confidence. */
  readonly importance?: number
  readonly confidence?: number
  readonly pinned?: boolean
  readonly source?: string
  readonly evidence?: readonly string[]
  readonly parents?: readonly string[]
  readonly related?: readonly string[]
  readonly supersedes?: readonly string[]
  /** Wall milliseconds, as the two below. */
  readonly validFrom?: number
  readonly validTo?: number
  readonly expiresAt?: number
}

/** null empties a field. */
export interface ComposeRevise {
  readonly content?: string
  readonly kind?: Kind
  readonly path?: string | null
  readonly pinned?: boolean
  readonly tagsAdd?: readonly string[]
  readonly tagsRemove?: readonly string[]
  readonly importance?: number
  readonly confidence?: number
  readonly validFrom?: number | null
  readonly validTo?: number | null
  readonly expiresAt?: number | null
}

export interface ComposeVote {
  readonly verdict: BallotVerdict
  /** 0 to 1: how sure the voter is that the memory holds. By default what the verdict implies. */
  readonly confidence?: number
  readonly reason?: string
}

/** A vote without a number: who confirms holds it true, who disputes or flags holds it false, who abstains is undecided. */
const IMPLIED_CONFIDENCE: Readonly<Record<BallotVerdict, number>> = {
  confirm: BASIS_POINTS,
  dispute: 0,
  flag: 0,
  abstain: BASIS_POINTS / 2
}

const TAG_LIMITS = { text: 'tagBytesMax', count: 'tagsPerRequestMax' } as const
const EVIDENCE_LIMITS = { text: 'evidenceBytesMax', count: 'linksPerRequestMax' } as const

/**
 * Operations that create a memory. `ordinal` numbers the records that one delta creates, from 0; a keyed item does not
 * use it. `id`, where the caller knows it already, lets a link of the record to itself be refused.
 *
 * Throws `invalid_argument` or `too_large`, naming the field.
 */
export function composeAdd(item: ComposeAdd, ordinal: number, id?: RecordId): KnownOp[] {
  assert(Number.isSafeInteger(ordinal) && ordinal >= 0, 'an ordinal is a whole number from 0')
  const target: Target =
    item.key === undefined ? { by: 'ordinal', ordinal } : { by: 'key', key: cleanText('key', item.key, 'keyBytesMax') }
  const documentType = cleanChoice('documentType', item.documentType ?? 'memory', DOCUMENT_TYPES)
  const memoryType = item.memoryType === undefined ? null : cleanChoice('memoryType', item.memoryType, MEMORY_TYPES)
  const source = item.source === undefined ? null : cleanText('source', item.source, 'sourceBytesMax')
  const ops: KnownOp[] = [{ op: 'create', target, documentType, memoryType, source }]
  for (const [field, value] of fieldsOf(item)) ops.push({ op: 'set', target, field, value })
  checkValidity(item.validFrom, item.validTo)
  for (const tag of cleanTexts('tags', item.tags ?? [], TAG_LIMITS)) ops.push({ op: 'tag', target, tag })
  for (const [relation, value] of linksOf(item, id)) ops.push({ op: 'link', target, relation, value })
  if (item.importance !== undefined) {
    ops.push({ op: 'importance', target, value: cleanFraction('importance', item.importance) })
  }
  if (item.confidence !== undefined) {
    ops.push({ op: 'confidence', target, value: cleanFraction('confidence', item.confidence) })
  }
  return ops
}

/**
 * Operations that change an existing memory; only what differs from `record` is written. Removing a tag names the adds
 * observed in `record`, so an add that is still under way survives. With `author`, a claim below that author's own
 * earlier one is refused instead of being written without effect.
 *
 * Throws `not_found` for a record nobody has created, `too_large`, or `invalid_argument`, also when nothing would change.
 */
export function composeRevise(record: RecordState, change: ComposeRevise, author?: AuthorId): KnownOp[] {
  if (!recordExists(record)) {
    throw new ChrysalisError('not_found', `no memory ${record.id} here; nothing was written`, {
      hint: 'Check the id, or wait until the memory has arrived from its author.',
      data: { id: record.id }
    })
  }
  const target: Target = { by: 'id', id: record.id }
  const ops: KnownOp[] = []
  for (const [field, value] of fieldsOf(change)) {
    if (value !== currentValue(record, field)) ops.push({ op: 'set', target, field, value })
  }
  checkValidity(
    change.validFrom === undefined ? currentValue(record, 'validFrom') : change.validFrom,
    change.validTo === undefined ? currentValue(record, 'validTo') : change.validTo
  )
  ops.push(...tagChanges(record, target, change))
  for (const claim of ['importance', 'confidence'] as const) {
    if (change[claim] === undefined) continue
    const value = cleanFraction(claim, change[claim])
    if (raisesClaim(record, claim, value, author)) ops.push({ op: claim, target, value })
  }
  if (ops.length === 0) {
    throw invalid('change', 'the memory is like this already', 'Name at least one field whose value differs.')
  }
  return ops
}

/** Links `from` to a record, or to a text when `relation` is evidence. Linking twice is no error: the set has it once. */
export function composeLink(from: RecordId, link: { readonly relation: Relation; readonly to: string }): KnownOp[] {
  const target: Target = { by: 'id', id: cleanRecordId('from', from) }
  const relation = cleanChoice('relation', link.relation, RELATIONS)
  const value = relation === 'evidence' ? cleanText('to', link.to, 'evidenceBytesMax') : linkedId('to', link.to, from)
  return [{ op: 'link', target, relation, value }]
}

/** Hides a memory everywhere, with the reason; nothing is deleted. */
export function composeRetract(id: RecordId, reason: string): KnownOp[] {
  const target: Target = { by: 'id', id: cleanRecordId('id', id) }
  return [{ op: 'set', target, field: 'retracted', value: cleanText('reason', reason, 'reasonBytesMax') }]
}

/** Takes back a retraction, whoever made it: the memory is shown again. */
export function composeRestore(id: RecordId): KnownOp[] {
  return [{ op: 'set', target: { by: 'id', id: cleanRecordId('id', id) }, field: 'retracted', value: null }]
}

/** The author's vote on a memory; a later one replaces it. */
export function composeVote(id: RecordId, vote: ComposeVote): KnownOp[] {
  const target: Target = { by: 'id', id: cleanRecordId('id', id) }
  const verdict = cleanChoice('verdict', vote.verdict, VERDICTS)
  const confidence =
    vote.confidence === undefined ? IMPLIED_CONFIDENCE[verdict] : cleanFraction('confidence', vote.confidence)
  const reason = vote.reason === undefined ? null : cleanText('reason', vote.reason, 'reasonBytesMax')
  return [{ op: 'vote', target, verdict, confidence, reason }]
}

/** What the author says of where its words in this record came from. Throws `invalid_argument` or `too_large`. */
export function composeOrigins(target: Target, classes: readonly OriginClass[], agent: string | null): KnownOp[] {
  const name = agent === null ? null : cleanText('agent', agent, 'agentNameBytesMax')
  return classes.map((origin) => ({
    op: 'origin',
    target,
    origin: cleanChoice('origin', origin, ORIGIN_CLASSES),
    agent: name
  }))
}

/** How often this author has recalled a memory in its present epoch: the total so far, never an increment. */
export function composeAccess(id: RecordId, total: number): KnownOp[] {
  const target: Target = { by: 'id', id: cleanRecordId('id', id) }
  if (!Number.isSafeInteger(total) || total < 1) {
    throw invalid('total', `${total} is no count`, 'Give a whole number from 1.')
  }
  return [{ op: 'access', target, total }]
}

/** The last-writer-wins fields a request names, cleaned, in the order of FIELDS. */
function fieldsOf(request: ComposeRevise): [Field, FieldValue][] {
  const fields: [Field, FieldValue][] = []
  const { content, kind, path, pinned } = request
  if (content !== undefined) fields.push(['content', cleanText('content', content, 'contentBytesMax')])
  if (kind !== undefined) fields.push(['kind', cleanChoice('kind', kind, KINDS)])
  if (path !== undefined) fields.push(['path', path === null ? null : cleanText('path', path, 'pathBytesMax')])
  if (pinned !== undefined) fields.push(['pinned', cleanBoolean('pinned', pinned)])
  for (const field of ['validFrom', 'validTo', 'expiresAt'] as const) {
    const value = request[field]
    if (value !== undefined) fields.push([field, value === null ? null : cleanTime(field, value)])
  }
  return fields
}

/** What a reader takes the field to be: one nobody wrote is not pinned, and otherwise empty. */
function currentValue(record: RecordState, field: Field): FieldValue {
  return record.fields.get(field)?.value ?? (field === 'pinned' ? false : null)
}

function checkValidity(from: FieldValue | undefined, to: FieldValue | undefined): void {
  if (typeof from === 'number' && typeof to === 'number' && to < from) {
    throw invalid('validTo', `${to} lies before validFrom ${from}`, 'Give a validTo that is not before validFrom.')
  }
}

/** Evidence first, then links to records; LIMITS.linksPerRequestMax in all. */
function linksOf(item: ComposeAdd, self: RecordId | undefined): [Relation, string][] {
  const links: [Relation, string][] = []
  for (const text of cleanTexts('evidence', item.evidence ?? [], EVIDENCE_LIMITS)) links.push(['evidence', text])
  for (const relation of ['related', 'parents', 'supersedes'] as const) {
    const ids = listOf(relation, item[relation] ?? [], LIMITS.linksPerRequestMax)
    const distinct = new Set(ids.map((id, index) => linkedId(`${relation}[${index}]`, id, self)))
    for (const id of distinct) links.push([relation, id])
  }
  listOf('evidence, related, parents and supersedes together', links, LIMITS.linksPerRequestMax)
  return links
}

function linkedId(field: string, value: unknown, self: RecordId | undefined): RecordId {
  const id = cleanRecordId(field, value)
  if (id === self) throw invalid(field, 'a memory cannot be linked to itself', 'Name another memory.')
  return id
}

function tagChanges(record: RecordState, target: Target, change: ComposeRevise): KnownOp[] {
  const added = cleanTexts('tagsAdd', change.tagsAdd ?? [], TAG_LIMITS)
  const removed = cleanTexts('tagsRemove', change.tagsRemove ?? [], TAG_LIMITS)
  const both = removed.find((tag) => added.includes(tag))
  if (both !== undefined) {
    throw invalid('tagsRemove', `"${both}" is to be added as well`, 'Name each tag in one of the two lists.')
  }
  const ops: KnownOp[] = []
  // Other implementations may have written a tag in another normal form; a reader sees one word and means all of them.
  for (const tag of liveElements(record.tags).sort(compareCodePoints)) {
    if (!removed.includes(tag.normalize('NFC'))) continue
    ops.push({ op: 'untag', target, tag, dots: observedDots(record.tags, tag).sort(compareText) })
  }
  for (const tag of added) if (!hasElement(record.tags, tag)) ops.push({ op: 'tag', target, tag })
  return ops
}

/** Whether the claim is worth writing. Claims only rise; without the author it is not known what would be a rise. */
function raisesClaim(
  record: RecordState,
  claim: 'importance' | 'confidence',
  value: number,
  author: AuthorId | undefined
): boolean {
  const own = author === undefined ? undefined : record[claim].get(author)
  if (own === undefined || value > own) return true
  if (value === own) return false
  throw invalid(
    claim,
    `this peer has claimed ${own / BASIS_POINTS} before, and a claim only rises`,
    'Vote to dispute the memory, or write a new one that supersedes it.'
  )
}
