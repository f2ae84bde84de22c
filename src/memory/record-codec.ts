/**
 * Record states as bytes, for the store and for the state digest: equal states have equal bytes on every machine.
 * Canonical CBOR (RFC 8949 §4.2) of one positional array:
 *
 *     [ 1, ids, self, key, moments, created, updated, fields, tags, evidence, related, parents, supersedes,
 *       importance, confidence, access, votes, contentDeltas, origins? ]
 *
 * A record names the same few deltas and authors over and over, so all 32-byte ids stand once in `ids`, concatenated
 * and ascending, and everything else points there by number; (hlc, author, delta) triples stand once in `moments`, in
 * the total order. Sets and maps are flat arrays, ascending in byte order. The origins were added later and are left out
 * where there are none, so that every state of before keeps its bytes.
 *
 * Texts are byte strings, which any CBOR library hands out unchanged. Decoding checks types on the way and canonicity by
 * encoding again. The layout is local to one daemon and never sent to another.
 */
import { assert } from '../base/assert.ts'
import { compareText, equalBytes, fromUtf8, toHex, type Bytes } from '../base/bytes.ts'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import type { OrDot } from '../crdt/or-set.ts'
import { compareCodePoints } from '../crdt/text-order.ts'
import { CanonicalWriter, decodeCanonical } from './codec.ts'
import { compareStamps, dotOf, type Stamp } from './ids.ts'
import {
  DOCUMENT_TYPES,
  FIELDS,
  MEMORY_TYPES,
  ORIGIN_CLASSES,
  RELATIONS,
  VERDICTS,
  type FieldValue,
  type Relation
} from './ops.ts'
import { compareOrigins, originOf, parseOrigin } from './origin.ts'
import { emptyRecord, ownPart, type Creation, type RecordState, type Register } from './record.ts'

const LAYOUT = 1
const ITEMS = 18
const ITEMS_WITH_ORIGINS = 19
const ID_BYTES = 32
const ID_DIGITS = 2 * ID_BYTES
const EPOCH_BYTES = 8
/** Up to here a list is sorted by insertion. */
const SHORT = 16

/** Links to other records; evidence is a relation too, but holds texts. */
const RECORD_RELATIONS = RELATIONS.filter(
  (relation): relation is Exclude<Relation, 'evidence'> => relation !== 'evidence'
)

// --- encoding

/** What a state is written in terms of: its distinct ids, and the distinct moments at which it was written to. */
interface Tables {
  /** Ascending. */
  readonly ids: readonly string[]
  /** In the total order; of stamps that differ in their index only, one. */
  readonly moments: readonly Stamp[]
}

/**
 * Pure and total on every state that applyOp and joinRecords can make of admitted operations. Written item by item and
 * looked up in short sorted lists: each foreign delta ends up here once, and maps and arrays of items made for the
 * occasion were a quarter of all garbage of a catch-up.
 */
export function encodeRecord(record: RecordState): Bytes {
  const tables = tablesOf(record)
  const { ids, moments } = tables
  const { created, updated } = record
  const to = new CanonicalWriter()
  to.array(record.origins.size === 0 ? ITEMS : ITEMS_WITH_ORIGINS)
  to.uint(LAYOUT)
  for (const id of ids) assert(id.length === ID_DIGITS, 'an id has 32 bytes')
  to.hexAsBytes(ids)
  to.uint(placeOfId(ids, record.id))
  writeTextOrNull(to, record.key)
  to.array(3 * moments.length)
  for (const { hlc, author, delta } of moments) {
    to.bigUint(hlc)
    to.uint(placeOfId(ids, author))
    to.uint(placeOfId(ids, delta))
  }
  if (created === null) to.null()
  else writeCreation(to, tables, created)
  if (updated === null) to.null()
  else {
    to.array(2)
    writeStamp(to, tables, updated)
  }
  writeFields(to, tables, record)
  writeTags(to, ids, record)
  to.array(record.evidence.size)
  for (const text of sorted(record.evidence, compareCodePoints)) to.textAsBytes(text)
  for (const relation of RECORD_RELATIONS) writeIds(to, ids, record[relation])
  writeClaims(to, ids, record.importance)
  writeClaims(to, ids, record.confidence)
  writeAccess(to, ids, record)
  writeVotes(to, tables, record)
  writeIds(to, ids, record.contentDeltas)
  if (record.origins.size > 0) writeOrigins(to, ids, record)
  return to.finish()
}

function tablesOf(record: RecordState): Tables {
  const stamps: Stamp[] = []
  if (record.created !== null) stamps.push(record.created.stamp)
  if (record.updated !== null) stamps.push(record.updated)
  for (const register of record.fields.values()) stamps.push(register.stamp)
  for (const register of record.votes.values()) stamps.push(register.stamp)
  sort(stamps, compareStamps)
  const moments: Stamp[] = []
  for (const stamp of stamps) {
    const last = moments[moments.length - 1]
    if (last === undefined || compareMoments(last, stamp) !== 0) moments.push(stamp)
  }
  return { ids: idsOf(record, moments), moments }
}

function idsOf(record: RecordState, moments: readonly Stamp[]): string[] {
  const all = new Set<string>().add(record.id)
  for (const { author, delta } of moments) all.add(author).add(delta)
  for (const { live, removed } of record.tags.values()) {
    for (const dot of live) all.add(dot.slice(0, ID_DIGITS))
    for (const dot of removed) all.add(dot.slice(0, ID_DIGITS))
  }
  for (const relation of RECORD_RELATIONS) for (const id of record[relation]) all.add(id)
  for (const author of record.importance.keys()) all.add(author)
  for (const author of record.confidence.keys()) all.add(author)
  for (const actor of record.access.keys()) all.add(actor.slice(0, ID_DIGITS))
  for (const delta of record.contentDeltas) all.add(delta)
  for (const element of record.origins) all.add(element.slice(0, ID_DIGITS))
  return sort([...all], compareText)
}

/** compareStamps without the index. */
function compareMoments(a: Stamp, b: Stamp): number {
  if (a.delta === b.delta && a.hlc === b.hlc && a.author === b.author) return 0
  return a.hlc < b.hlc ? -1 : a.hlc > b.hlc ? 1 : compareText(a.author, b.author) || compareText(a.delta, b.delta)
}

function placeOfId(ids: readonly string[], id: string): number {
  return placeOf(ids, id, compareText)
}

/** Where an entry stands in its sorted table. */
function placeOf<T>(table: readonly T[], entry: T, compare: (a: T, b: T) => number): number {
  let low = 0
  for (let high = table.length; low < high;) {
    const middle = (low + high) >> 1
    if (compare(table[middle] as T, entry) < 0) low = middle + 1
    else high = middle
  }
  const found = table[low]
  assert(found !== undefined && compare(found, entry) === 0, 'every id and stamp of a record is in its tables')
  return low
}

/** In place. Most lists here have a handful of entries, which the sort of the language prepares for like for thousands. */
function sort<T>(list: T[], compare: (a: T, b: T) => number): T[] {
  if (list.length > SHORT) return list.sort(compare)
  for (let i = 1; i < list.length; i++) {
    const item = list[i] as T
    let at = i
    for (; at > 0 && compare(list[at - 1] as T, item) > 0; at--) list[at] = list[at - 1] as T
    list[at] = item
  }
  return list
}

function sorted(texts: ReadonlySet<string>, compare: (a: string, b: string) => number): Iterable<string> {
  return texts.size < 2 ? texts : sort([...texts], compare)
}

function sortedKeys<V>(map: ReadonlyMap<string, V>, compare = compareText): Iterable<string> {
  return map.size < 2 ? map.keys() : sort([...map.keys()], compare)
}

function writeTextOrNull(to: CanonicalWriter, text: string | null): void {
  if (text === null) to.null()
  else to.textAsBytes(text)
}

function writeStamp(to: CanonicalWriter, { moments }: Tables, stamp: Stamp): void {
  to.uint(placeOf(moments, stamp, compareMoments))
  to.uint(stamp.index)
}

function writeCreation(to: CanonicalWriter, tables: Tables, { stamp, value }: Register<Creation>): void {
  to.array(5)
  writeStamp(to, tables, stamp)
  to.uint(DOCUMENT_TYPES.indexOf(value.documentType))
  if (value.memoryType === null) to.null()
  else to.uint(MEMORY_TYPES.indexOf(value.memoryType))
  writeTextOrNull(to, value.source)
}

function writeFields(to: CanonicalWriter, tables: Tables, { fields }: RecordState): void {
  to.array(4 * fields.size)
  FIELDS.forEach((field, code) => {
    const register = fields.get(field)
    if (register === undefined) return
    to.uint(code)
    writeStamp(to, tables, register.stamp)
    writeFieldValue(to, register.value)
  })
}

function writeFieldValue(to: CanonicalWriter, value: FieldValue): void {
  if (typeof value === 'string') to.textAsBytes(value)
  else if (typeof value === 'number') to.uint(value)
  else if (value === null) to.null()
  else to.boolean(value)
}

function writeTags(to: CanonicalWriter, ids: readonly string[], { tags }: RecordState): void {
  to.array(3 * tags.size)
  for (const tag of sortedKeys(tags, compareCodePoints)) {
    const entry = tags.get(tag)
    if (entry === undefined) continue
    to.textAsBytes(tag)
    writeDots(to, ids, entry.live)
    writeDots(to, ids, entry.removed)
  }
}

function writeDots(to: CanonicalWriter, ids: readonly string[], dots: ReadonlySet<OrDot>): void {
  to.array(2 * dots.size)
  const places: (readonly [id: number, index: number])[] = []
  for (const dot of dots) places.push([placeOfId(ids, dot.slice(0, ID_DIGITS)), Number(dot.slice(ID_DIGITS + 1))])
  for (const [id, index] of sort(places, (a, b) => a[0] - b[0] || a[1] - b[1])) {
    to.uint(id)
    to.uint(index)
  }
}

/** The table is ascending, so numbers are in the order of their ids. */
function writeIds(to: CanonicalWriter, ids: readonly string[], set: ReadonlySet<string>): void {
  to.array(set.size)
  for (const id of sorted(set, compareText)) to.uint(placeOfId(ids, id))
}

function writeClaims(to: CanonicalWriter, ids: readonly string[], claims: ReadonlyMap<string, number>): void {
  to.array(2 * claims.size)
  for (const author of sortedKeys(claims)) {
    to.uint(placeOfId(ids, author))
    to.uint(claims.get(author) as number)
  }
}

function writeAccess(to: CanonicalWriter, ids: readonly string[], { access }: RecordState): void {
  to.array(3 * access.size)
  // An actor is author:epoch, both of fixed width, so the order of the texts is the order of the bytes.
  for (const actor of sortedKeys(access)) {
    const epoch = actor.slice(ID_DIGITS + 1)
    assert(epoch.length === 2 * EPOCH_BYTES, 'an epoch has 8 bytes')
    to.uint(placeOfId(ids, actor.slice(0, ID_DIGITS)))
    to.hexAsBytes([epoch])
    to.uint(access.get(actor) as number)
  }
}

/** The voter is the author of the stamp and needs no place of its own. */
function writeVotes(to: CanonicalWriter, tables: Tables, { votes }: RecordState): void {
  to.array(5 * votes.size)
  for (const voter of sortedKeys(votes)) {
    const vote = votes.get(voter)
    if (vote === undefined) continue
    const { verdict, confidence, reason } = vote.value
    writeStamp(to, tables, vote.stamp)
    to.uint(VERDICTS.indexOf(verdict))
    to.uint(confidence)
    writeTextOrNull(to, reason)
  }
}

function writeOrigins(to: CanonicalWriter, ids: readonly string[], { origins }: RecordState): void {
  to.array(3 * origins.size)
  for (const { author, origin, agent } of sort([...origins].map(parseOrigin), compareOrigins)) {
    to.uint(placeOfId(ids, author))
    to.uint(ORIGIN_CLASSES.indexOf(origin))
    writeTextOrNull(to, agent)
  }
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
    // An item has a byte at least, so its own length bounds a row in every respect.
    const decoded = decodeCanonical(bytes, { bytesMax: bytes.length, itemsMax: bytes.length, views: true })
    if (!decoded.ok) throw new Malformed(decoded.detail)
    record = readRecord(decoded.value)
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
  if (items.length !== ITEMS && items.length !== ITEMS_WITH_ORIGINS) {
    throw new Malformed(`expected ${ITEMS} or ${ITEMS_WITH_ORIGINS} items, found ${items.length}`)
  }
  if (items[0] !== LAYOUT) throw new Malformed('unknown layout')
  const ids = unpackIds(items[1])
  const names: Names = { ids, moments: readMoments(items[4], ids) }
  const record = emptyRecord(at(ids, items[2]))
  record.key = readTextOrNull(items[3])
  if (items[5] !== null) record.created = readCreated(list(items[5]), names)
  if (items[6] !== null) record.updated = readStamp(names, list(items[6]), 0)
  readFields(record, groups(items[7], 4), names)
  readTags(record, groups(items[8], 3), ids)
  for (const text of list(items[9])) ownPart(record, 'evidence').add(readText(text))
  RECORD_RELATIONS.forEach((relation, i) => readIds(record, relation, items[10 + i], ids))
  readClaims(record, 'importance', groups(items[13], 2), ids)
  readClaims(record, 'confidence', groups(items[14], 2), ids)
  readAccess(record, groups(items[15], 3), ids)
  readVotes(record, groups(items[16], 5), names)
  readIds(record, 'contentDeltas', items[17], ids)
  if (items.length === ITEMS_WITH_ORIGINS) readOrigins(record, groups(items[18], 3), ids)
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
    ownPart(record, 'fields').set(at(FIELDS, items[i]), {
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
    ownPart(record, 'tags').set(readText(items[i]), { live, removed })
  }
}

function readDots(items: readonly unknown[], ids: readonly string[]): Set<OrDot> {
  const dots = new Set<OrDot>()
  for (let i = 0; i < items.length; i += 2) dots.add(dotOf(at(ids, items[i]), uint(items[i + 1])))
  return dots
}

function readIds(
  record: RecordState,
  part: (typeof RECORD_RELATIONS)[number] | 'contentDeltas',
  value: unknown,
  ids: readonly string[]
): void {
  for (const index of list(value)) ownPart(record, part).add(at(ids, index))
}

function readClaims(
  record: RecordState,
  part: 'importance' | 'confidence',
  items: readonly unknown[],
  ids: readonly string[]
): void {
  for (let i = 0; i < items.length; i += 2) ownPart(record, part).set(at(ids, items[i]), uint(items[i + 1]))
}

function readAccess(record: RecordState, items: readonly unknown[], ids: readonly string[]): void {
  for (let i = 0; i < items.length; i += 3) {
    const epoch = items[i + 1]
    if (!(epoch instanceof Uint8Array) || epoch.length !== EPOCH_BYTES) throw new Malformed('expected an epoch')
    ownPart(record, 'access').set(`${at(ids, items[i])}:${toHex(epoch)}`, uint(items[i + 2]))
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
    ownPart(record, 'votes').set(stamp.author, { value, stamp })
  }
}

function readOrigins(record: RecordState, items: readonly unknown[], ids: readonly string[]): void {
  for (let i = 0; i < items.length; i += 3) {
    const origin = originOf(at(ids, items[i]), at(ORIGIN_CLASSES, items[i + 1]), readTextOrNull(items[i + 2]))
    ownPart(record, 'origins').add(origin)
  }
}
