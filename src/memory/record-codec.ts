/**
 * Record states as bytes, for the store and for the state digest: equal states have equal bytes on every machine.
 * Canonical CBOR (RFC 8949 §4.2) of one positional array:
 *
 *     [ 1, ids, self, key, moments, created, updated, fields, tags, evidence, related, parents, supersedes,
 *       importance, confidence, access, votes, contentDeltas ]
 *
 * A record names the same few deltas and authors over and over, so all 32-byte ids stand once in `ids`, concatenated
 * and ascending, and everything else points there by number; (hlc, author, delta) triples stand once in `moments`, in
 * the total order. Sets and maps are flat arrays, ascending in byte order.
 *
 * Texts are byte strings: the CBOR library's text decoder drops a leading byte order mark and patches malformed UTF-8,
 * and either would make a state differ from its own encoding. Decoding checks types on the way and canonicity by
 * encoding again. The layout is local to one daemon and never sent to another.
 */
import { decode, encode } from 'cborg'
import { assert } from '../base/assert.ts'
import { compareText, equalBytes, fromHex, fromUtf8, toHex, utf8, type Bytes } from '../base/bytes.ts'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import type { MaxMap } from '../crdt/max-register.ts'
import type { OrDot } from '../crdt/or-set.ts'
import { compareCodePoints } from '../crdt/text-order.ts'
import { compareStamps, dotOf, type Hlc, type Stamp } from './ids.ts'
import { DOCUMENT_TYPES, FIELDS, MEMORY_TYPES, RELATIONS, VERDICTS, type FieldValue, type Relation } from './ops.ts'
import { emptyRecord, type RecordState } from './record.ts'

const LAYOUT = 1
const ITEMS = 18
const ID_BYTES = 32
const ID_DIGITS = 2 * ID_BYTES
const EPOCH_BYTES = 8

/** Links to other records; evidence is a relation too, but holds texts. */
const RECORD_RELATIONS = RELATIONS.filter(
  (relation): relation is Exclude<Relation, 'evidence'> => relation !== 'evidence'
)

// --- encoding

/** Numbers for the ids and moments of one record. */
interface Tables {
  readonly ids: ReadonlyMap<string, number>
  readonly moments: ReadonlyMap<Stamp, number>
}

/** Pure and total on every state that applyOp and joinRecords can make of admitted operations. */
export function encodeRecord(record: RecordState): Bytes {
  const stamps = stampsOf(record)
  const ids = numberIds(record, stamps)
  const moments = new Map<Stamp, number>()
  const momentItems = numberMoments(stamps, ids, moments)
  const tables: Tables = { ids, moments }
  const { created, updated } = record
  return encode([
    LAYOUT,
    packIds(ids),
    number(ids, record.id),
    record.key === null ? null : utf8(record.key),
    momentItems,
    created === null
      ? null
      : [
          ...stampItems(tables, created.stamp),
          DOCUMENT_TYPES.indexOf(created.value.documentType),
          created.value.memoryType === null ? null : MEMORY_TYPES.indexOf(created.value.memoryType),
          textOrNull(created.value.source)
        ],
    updated === null ? null : stampItems(tables, updated),
    fieldItems(record, tables),
    tagItems(record, ids),
    [...record.evidence].sort(compareCodePoints).map(utf8),
    ...RECORD_RELATIONS.map((relation) => idItems(record[relation], ids)),
    claimItems(record.importance, ids),
    claimItems(record.confidence, ids),
    accessItems(record, ids),
    voteItems(record, tables),
    idItems(record.contentDeltas, ids)
  ])
}

function stampsOf(record: RecordState): Stamp[] {
  const stamps: Stamp[] = []
  if (record.created !== null) stamps.push(record.created.stamp)
  if (record.updated !== null) stamps.push(record.updated)
  for (const register of record.fields.values()) stamps.push(register.stamp)
  for (const register of record.votes.values()) stamps.push(register.stamp)
  return stamps
}

function numberIds(record: RecordState, stamps: readonly Stamp[]): Map<string, number> {
  const all = new Set<string>([record.id])
  for (const stamp of stamps) all.add(stamp.author).add(stamp.delta)
  for (const entry of record.tags.values()) {
    for (const dot of entry.live) all.add(dot.slice(0, ID_DIGITS))
    for (const dot of entry.removed) all.add(dot.slice(0, ID_DIGITS))
  }
  for (const relation of RECORD_RELATIONS) for (const id of record[relation]) all.add(id)
  for (const author of record.importance.keys()) all.add(author)
  for (const author of record.confidence.keys()) all.add(author)
  for (const actor of record.access.keys()) all.add(actor.slice(0, ID_DIGITS))
  for (const delta of record.contentDeltas) all.add(delta)
  const numbers = new Map<string, number>()
  for (const id of [...all].sort(compareText)) numbers.set(id, numbers.size)
  return numbers
}

function packIds(ids: ReadonlyMap<string, number>): Bytes {
  const packed = new Uint8Array(ID_BYTES * ids.size)
  for (const [id, index] of ids) {
    assert(id.length === ID_DIGITS, 'an id has 32 bytes')
    packed.set(fromHex(id), ID_BYTES * index)
  }
  return packed
}

/** Fills `moments` and returns the table's items. Stamps of one delta differ only in their index and share a moment. */
function numberMoments(
  stamps: Stamp[],
  ids: ReadonlyMap<string, number>,
  moments: Map<Stamp, number>
): (Hlc | number)[] {
  const items: (Hlc | number)[] = []
  let last: Stamp | undefined
  let count = 0
  for (const stamp of stamps.sort(compareStamps)) {
    if (last?.hlc !== stamp.hlc || last.author !== stamp.author || last.delta !== stamp.delta) {
      items.push(stamp.hlc, number(ids, stamp.author), number(ids, stamp.delta))
      count++
    }
    moments.set(stamp, count - 1)
    last = stamp
  }
  return items
}

function number<K>(table: ReadonlyMap<K, number>, entry: K): number {
  const index = table.get(entry)
  assert(index !== undefined, 'every id and stamp of a record is in its tables')
  return index
}

function stampItems(tables: Tables, stamp: Stamp): number[] {
  return [number(tables.moments, stamp), stamp.index]
}

function textOrNull(text: string | null): Bytes | null {
  return text === null ? null : utf8(text)
}

function fieldItems(record: RecordState, tables: Tables): unknown[] {
  const items: unknown[] = []
  for (let code = 0; code < FIELDS.length; code++) {
    const register = record.fields.get(FIELDS[code] as (typeof FIELDS)[number])
    if (register === undefined) continue
    const { value, stamp } = register
    assert(typeof value !== 'number' || (Number.isSafeInteger(value) && value >= 0), 'a field number is a whole number')
    items.push(code, ...stampItems(tables, stamp), typeof value === 'string' ? utf8(value) : value)
  }
  return items
}

function tagItems(record: RecordState, ids: ReadonlyMap<string, number>): unknown[] {
  const items: unknown[] = []
  for (const tag of [...record.tags.keys()].sort(compareCodePoints)) {
    const entry = record.tags.get(tag)
    if (entry !== undefined) items.push(utf8(tag), dotItems(entry.live, ids), dotItems(entry.removed, ids))
  }
  return items
}

function dotItems(dots: ReadonlySet<OrDot>, ids: ReadonlyMap<string, number>): number[] {
  const pairs: (readonly [number, number])[] = []
  for (const dot of dots) pairs.push([number(ids, dot.slice(0, ID_DIGITS)), Number(dot.slice(ID_DIGITS + 1))])
  if (pairs.length > 1) pairs.sort((a, b) => a[0] - b[0] || a[1] - b[1])
  return pairs.flat()
}

function idItems(set: ReadonlySet<string>, ids: ReadonlyMap<string, number>): number[] {
  const items: number[] = []
  for (const id of set) items.push(number(ids, id))
  return items.length > 1 ? items.sort((a, b) => a - b) : items
}

function claimItems(claims: ReadonlyMap<string, number>, ids: ReadonlyMap<string, number>): number[] {
  const items: number[] = []
  for (const author of [...claims.keys()].sort(compareText)) {
    items.push(number(ids, author), claims.get(author) as number)
  }
  return items
}

function accessItems(record: RecordState, ids: ReadonlyMap<string, number>): unknown[] {
  const items: unknown[] = []
  // An actor is author:epoch, both of fixed width, so the order of the texts is the order of the bytes.
  for (const actor of [...record.access.keys()].sort(compareText)) {
    const epoch = fromHex(actor.slice(ID_DIGITS + 1))
    assert(epoch.length === EPOCH_BYTES, 'an epoch has 8 bytes')
    items.push(number(ids, actor.slice(0, ID_DIGITS)), epoch, record.access.get(actor))
  }
  return items
}

/** The voter is the author of the stamp and needs no place of its own. */
function voteItems(record: RecordState, tables: Tables): unknown[] {
  const items: unknown[] = []
  for (const voter of [...record.votes.keys()].sort(compareText)) {
    const vote = record.votes.get(voter)
    if (vote === undefined) continue
    const { verdict, confidence, reason } = vote.value
    items.push(...stampItems(tables, vote.stamp), VERDICTS.indexOf(verdict), confidence, textOrNull(reason))
  }
  return items
}

// --- decoding

/** A reason why bytes are no record; becomes ChrysalisError `corrupt` at the edge of this file. */
class Malformed extends Error {}

/** The tables again, by number. */
interface Names {
  readonly ids: readonly string[]
  readonly moments: readonly Omit<Stamp, 'index'>[]
}

/**
 * Throws ChrysalisError `corrupt` unless the bytes are exactly what encodeRecord makes of some state.
 */
export function decodeRecord(bytes: Bytes): RecordState {
  let record: RecordState
  try {
    record = readRecord(decode(bytes, { strict: true, allowIndefinite: false, allowUndefined: false }))
    if (!equalBytes(encodeRecord(record), bytes)) throw new Malformed('the encoding is not canonical')
  } catch (error) {
    throw new ChrysalisError('corrupt', `a stored record could not be read: ${messageOf(error)}`, {
      hint: 'Stop the daemon, copy its home directory and run "chrysalis doctor"; records are rebuilt from the deltas.',
      data: { bytes: bytes.length },
      cause: error
    })
  }
  return record
}

function readRecord(value: unknown): RecordState {
  const items = list(value)
  if (items.length !== ITEMS) throw new Malformed(`expected ${ITEMS} items, found ${items.length}`)
  if (items[0] !== LAYOUT) throw new Malformed('unknown layout')
  const ids = unpackIds(items[1])
  const names: Names = { ids, moments: readMoments(items[4], ids) }
  const record = emptyRecord(at(ids, items[2]))
  record.key = readTextOrNull(items[3])
  if (items[5] !== null) record.created = readCreated(list(items[5]), names)
  if (items[6] !== null) record.updated = readStamp(names, list(items[6]), 0)
  readFields(record, groups(items[7], 4), names)
  readTags(record, groups(items[8], 3), ids)
  for (const text of list(items[9])) record.evidence.add(readText(text))
  RECORD_RELATIONS.forEach((relation, i) => readIds(record[relation], items[10 + i], ids))
  readClaims(record.importance, groups(items[13], 2), ids)
  readClaims(record.confidence, groups(items[14], 2), ids)
  readAccess(record, groups(items[15], 3), ids)
  readVotes(record, groups(items[16], 5), names)
  readIds(record.contentDeltas, items[17], ids)
  return record
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Malformed('expected an array')
  return value
}

/** A flat array that must consist of whole groups of `size`; an index loop strides over it. */
function groups(value: unknown, size: number): readonly unknown[] {
  const items = list(value)
  if (items.length % size !== 0) throw new Malformed('an array ends within a group')
  return items
}

function uint(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Malformed('expected a number')
  return value
}

function at<T>(table: readonly T[], index: unknown): T {
  const entry = table[uint(index)]
  if (entry === undefined) throw new Malformed('a number points outside its table')
  return entry
}

function readText(value: unknown): string {
  if (!(value instanceof Uint8Array)) throw new Malformed('expected a text')
  return fromUtf8(value)
}

function readTextOrNull(value: unknown): string | null {
  return value === null ? null : readText(value)
}

function unpackIds(value: unknown): string[] {
  if (!(value instanceof Uint8Array) || value.length % ID_BYTES !== 0) throw new Malformed('expected whole ids')
  const ids: string[] = []
  for (let from = 0; from < value.length; from += ID_BYTES) ids.push(toHex(value.subarray(from, from + ID_BYTES)))
  return ids
}

function readMoments(value: unknown, ids: readonly string[]): Omit<Stamp, 'index'>[] {
  const items = groups(value, 3)
  const moments: Omit<Stamp, 'index'>[] = []
  for (let i = 0; i < items.length; i += 3) {
    const time = items[i]
    const hlc = typeof time === 'bigint' && time >= 0n ? time : BigInt(uint(time))
    moments.push({ hlc, author: at(ids, items[i + 1]), delta: at(ids, items[i + 2]) })
  }
  return moments
}

function readStamp(names: Names, items: readonly unknown[], from: number): Stamp {
  const { hlc, author, delta } = at(names.moments, items[from])
  return { hlc, author, delta, index: uint(items[from + 1]) }
}

function readCreated(items: readonly unknown[], names: Names): NonNullable<RecordState['created']> {
  const [, , documentType, memoryType, source] = items
  return {
    value: {
      documentType: at(DOCUMENT_TYPES, documentType),
      memoryType: memoryType === null ? null : at(MEMORY_TYPES, memoryType),
      source: readTextOrNull(source)
    },
    stamp: readStamp(names, items, 0)
  }
}

function readFields(record: RecordState, items: readonly unknown[], names: Names): void {
  for (let i = 0; i < items.length; i += 4) {
    record.fields.set(at(FIELDS, items[i]), {
      value: readFieldValue(items[i + 3]),
      stamp: readStamp(names, items, i + 1)
    })
  }
}

function readFieldValue(value: unknown): FieldValue {
  if (value === null || typeof value === 'boolean') return value
  return typeof value === 'number' ? uint(value) : readText(value)
}

function readTags(record: RecordState, items: readonly unknown[], ids: readonly string[]): void {
  for (let i = 0; i < items.length; i += 3) {
    const live = readDots(groups(items[i + 1], 2), ids)
    const removed = readDots(groups(items[i + 2], 2), ids)
    // The two states below are ones no sequence of operations leads to, yet they would encode to the same bytes again.
    if (live.size + removed.size === 0) throw new Malformed('a tag without dots')
    for (const dot of live) if (removed.has(dot)) throw new Malformed('a dot both live and removed')
    record.tags.set(readText(items[i]), { live, removed })
  }
}

function readDots(items: readonly unknown[], ids: readonly string[]): Set<OrDot> {
  const dots = new Set<OrDot>()
  for (let i = 0; i < items.length; i += 2) dots.add(dotOf(at(ids, items[i]), uint(items[i + 1])))
  return dots
}

function readIds(set: Set<string>, value: unknown, ids: readonly string[]): void {
  for (const index of list(value)) set.add(at(ids, index))
}

function readClaims(claims: MaxMap, items: readonly unknown[], ids: readonly string[]): void {
  for (let i = 0; i < items.length; i += 2) claims.set(at(ids, items[i]), uint(items[i + 1]))
}

function readAccess(record: RecordState, items: readonly unknown[], ids: readonly string[]): void {
  for (let i = 0; i < items.length; i += 3) {
    const epoch = items[i + 1]
    if (!(epoch instanceof Uint8Array) || epoch.length !== EPOCH_BYTES) throw new Malformed('expected an epoch')
    record.access.set(`${at(ids, items[i])}:${toHex(epoch)}`, uint(items[i + 2]))
  }
}

function readVotes(record: RecordState, items: readonly unknown[], names: Names): void {
  for (let i = 0; i < items.length; i += 5) {
    const stamp = readStamp(names, items, i)
    const value = {
      verdict: at(VERDICTS, items[i + 2]),
      confidence: uint(items[i + 3]),
      reason: readTextOrNull(items[i + 4])
    }
    record.votes.set(stamp.author, { value, stamp })
  }
}
