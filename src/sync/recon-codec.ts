/**
 * The frames of `/chrysalis/recon/1` (docs/WIRE.md §8.7). The first byte is the code, the rest follows by fixed widths and
 * varints (sync/frame-bytes.ts). Decoding checks everything that can be judged from the bytes alone: widths, counts against
 * the bytes that are left before anything is made for them, order, bounds, nothing left over. Whether a frame was asked for
 * is the business of the machines.
 *
 * What TREE and STEP carry depends on what was asked before; it is read by the walk (sync/recon-answers.ts), with the same
 * care. Byte strings in a decoded frame are views of the bytes received.
 */
import { compareBytes, compareText, fromHex, toHex, type Bytes, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { RECORD_BYTES_MAX } from '../memory/delta-codec.ts'
import type { DeltaId, SpaceId } from '../memory/ids.ts'
import { WALL_MS_MAX } from '../memory/names.ts'
import { FrameReader, FrameWriter } from './frame-bytes.ts'
import { SHORT_ID_BYTES, SKETCH_CELL_BYTES } from './sketch.ts'

export const RECON_PROTOCOL = '/chrysalis/recon/1'
export const NONCE_BYTES = 16
/** Bytes of the salted root in a HELLO. */
export const ROOT_DIGEST_BYTES = 16
const SPACE_BYTES = 16
const ID_BYTES = 32

export const REFUSALS = ['unknown-space', 'busy'] as const
export type Refusal = (typeof REFUSALS)[number]

/** What the responder says of itself in its first frame, unless that is EQUAL or REFUSED. */
export interface Greeting {
  /** Deltas under the prefix of the session. */
  readonly count: number
  readonly nowMs: number
}

export interface Hello {
  readonly frame: 'hello'
  readonly space: SpaceId
  readonly nonce: Bytes
  /** Only keys that begin with it are compared. */
  readonly prefix: Hex
  readonly count: number
  /** The root, salted with the nonce: sync/recon-session.ts `rootDigest`. */
  readonly root: Bytes
  readonly nowMs: number
  /** Differences this close to the receiver's clock are left to gossip. */
  readonly settlingMs: number
  /** The first cells of the sketch; undefined when there is none, empty when it was not worth sending. */
  readonly cells: Bytes | undefined
}

export interface Part {
  readonly prefix: Hex
  readonly count: number
}

export type Frame =
  | Hello
  | { readonly frame: 'equal' }
  | { readonly frame: 'refused'; readonly reason: Refusal }
  /** Asks for cells of the sketch until `cells` of them have been sent. */
  | { readonly frame: 'more'; readonly greeting: Greeting | undefined; readonly cells: number }
  /** The next cells. */
  | { readonly frame: 'cells'; readonly cells: Bytes }
  | {
      readonly frame: 'diff'
      readonly greeting: Greeting | undefined
      /** Nothing else differs. */
      readonly complete: boolean
      /** Short ids the sender will send. */
      readonly pushes: number
      /** Short ids the sender lacks, ascending. */
      readonly wants: readonly Bytes[]
    }
  | {
      readonly frame: 'tree'
      readonly greeting: Greeting | undefined
      readonly nonce: Bytes
      /** Differences there seem to be, 0 when nothing is known about it. */
      readonly estimate: number
      readonly body: Bytes
    }
  | { readonly frame: 'step'; readonly body: Bytes }
  | {
      readonly frame: 'deltas'
      /** No page follows. */
      readonly last: boolean
      /** Something that was found is not sent, because a budget ended. */
      readonly cut: boolean
      /** Keys passed over since the page before because they are too young, or dated too far ahead; at least so many. */
      readonly skipped: number
      readonly records: readonly Bytes[]
    }
  | { readonly frame: 'ack'; readonly accepted: number; readonly known: number; readonly refused: number }
  | { readonly frame: 'outline'; readonly space: SpaceId; readonly prefix: Hex; readonly partDeltasMax: number }
  /** Ascending, none a prefix of the next, no part empty. */
  | { readonly frame: 'parts'; readonly parts: readonly Part[] }
  /** Ascending. */
  | { readonly frame: 'fetch'; readonly space: SpaceId; readonly ids: readonly DeltaId[] }
  | { readonly frame: 'fetched'; readonly last: boolean; readonly records: readonly Bytes[] }

/** By position: the code on the wire is the index plus one. It only grows. */
const FRAMES = [
  'hello',
  'equal',
  'refused',
  'more',
  'cells',
  'diff',
  'tree',
  'step',
  'deltas',
  'ack',
  'outline',
  'parts',
  'fetch',
  'fetched'
] as const satisfies readonly Frame['frame'][]

/** Bits of the byte of flags in MORE, DIFF and TREE, and in DELTAS and FETCHED. */
const GREETS = 1
const COMPLETE = 2
const LAST = 1
const CUT = 2

/** Bytes of a frame around its records at most, and around each of them. */
export const PAGE_HEAD_BYTES_MAX = 10
export const RECORD_HEAD_BYTES_MAX = 3

/** Bytes that records take in a page: a record and the number of its bytes are one thing. */
export function recordBytes(records: readonly Bytes[]): number {
  let bytes = 0
  for (const { length } of records) bytes += length + (length < 0x80 ? 1 : length < 0x4000 ? 2 : 3)
  return bytes
}

export function encodeReconFrame(frame: Frame): Bytes {
  const writer = new FrameWriter().byte(FRAMES.indexOf(frame.frame) + 1)
  writeFields(frame, writer)
  return writer.done()
}

function writeFields(frame: Frame, writer: FrameWriter): void {
  switch (frame.frame) {
    case 'hello':
      writeHello(frame, writer)
      return
    case 'equal':
      return
    case 'refused':
      writer.byte(REFUSALS.indexOf(frame.reason) + 1)
      return
    case 'more':
      writeGreeting(frame.greeting, 0, writer)
      writer.varint(frame.cells)
      return
    case 'cells':
      writer.bytes(frame.cells)
      return
    case 'diff':
      writeGreeting(frame.greeting, frame.complete ? COMPLETE : 0, writer)
      writer.varint(frame.pushes)
      for (const want of frame.wants) writer.bytes(want)
      return
    case 'tree':
      writeGreeting(frame.greeting, 0, writer)
      writer.bytes(frame.nonce).varint(frame.estimate).bytes(frame.body)
      return
    case 'step':
      writer.bytes(frame.body)
      return
    case 'deltas':
      writer.byte((frame.last ? LAST : 0) | (frame.cut ? CUT : 0)).varint(frame.skipped)
      writeRecords(frame.records, writer)
      return
    case 'ack':
      writer.varint(frame.accepted).varint(frame.known).varint(frame.refused)
      return
    case 'outline':
      writer.bytes(fromHex(frame.space)).prefix(frame.prefix).varint(frame.partDeltasMax)
      return
    case 'parts':
      for (const part of frame.parts) writer.prefix(part.prefix).varint(part.count)
      return
    case 'fetch':
      writer.bytes(fromHex(frame.space))
      for (const id of frame.ids) writer.bytes(fromHex(id))
      return
    case 'fetched':
      writer.byte(frame.last ? LAST : 0)
      writeRecords(frame.records, writer)
      return
  }
}

function writeHello(hello: Hello, writer: FrameWriter): void {
  const { space, nonce, prefix, count, root, nowMs, settlingMs, cells } = hello
  writer.bytes(fromHex(space)).bytes(nonce).prefix(prefix).varint(count).bytes(root).varint(nowMs).varint(settlingMs)
  // One more than the cells that follow, so that zero is left to say that there is no sketch.
  writer.varint(cells === undefined ? 0 : cells.length / SKETCH_CELL_BYTES + 1)
  if (cells !== undefined) writer.bytes(cells)
}

function writeGreeting(greeting: Greeting | undefined, flags: number, writer: FrameWriter): void {
  writer.byte(flags | (greeting === undefined ? 0 : GREETS))
  if (greeting !== undefined) writer.varint(greeting.count).varint(greeting.nowMs)
}

function writeRecords(records: readonly Bytes[], writer: FrameWriter): void {
  for (const record of records) writer.varint(record.length).bytes(record)
}

/** Undefined when the bytes are no frame. Never throws. */
export function decodeReconFrame(bytes: Bytes): Frame | undefined {
  if (bytes.length > LIMITS.reconFrameBytesMax) return undefined
  const reader = new FrameReader(bytes)
  const name = FRAMES[reader.byte() - 1]
  if (name === undefined) return undefined
  const frame = readFields(name, reader)
  return reader.finished ? frame : undefined
}

function readFields(name: Frame['frame'], reader: FrameReader): Frame {
  switch (name) {
    case 'hello':
      return readHello(reader)
    case 'equal':
      return { frame: name }
    case 'refused': {
      const reason = REFUSALS[reader.byte() - 1]
      if (reason === undefined) reader.reject()
      return { frame: name, reason: reason ?? 'busy' }
    }
    case 'more': {
      const greeting = readGreeting(readFlags(reader, GREETS), reader)
      return { frame: name, greeting, cells: atLeastOne(reader.varint(LIMITS.sketchCellsMax), reader) }
    }
    case 'cells':
      return { frame: name, cells: readCells(reader.left / SKETCH_CELL_BYTES, reader) }
    case 'diff':
      return readDiff(reader)
    case 'tree': {
      const greeting = readGreeting(readFlags(reader, GREETS), reader)
      const nonce = reader.take(NONCE_BYTES)
      return { frame: name, greeting, nonce, estimate: reader.varint(), body: reader.rest() }
    }
    case 'step':
      return { frame: name, body: reader.rest() }
    case 'deltas': {
      const flags = readFlags(reader, LAST | CUT)
      const [last, cut] = [(flags & LAST) !== 0, (flags & CUT) !== 0]
      return { frame: name, last, cut, skipped: reader.varint(), records: readRecords(reader) }
    }
    case 'ack':
      return { frame: name, accepted: reader.varint(), known: reader.varint(), refused: reader.varint() }
    case 'outline': {
      const space = toHex(reader.take(SPACE_BYTES))
      return { frame: name, space, prefix: reader.prefix(), partDeltasMax: atLeastOne(reader.varint(), reader) }
    }
    case 'parts':
      return { frame: name, parts: readParts(reader) }
    case 'fetch':
      return { frame: name, space: toHex(reader.take(SPACE_BYTES)), ids: readIds(reader) }
    case 'fetched':
      return { frame: name, last: readFlags(reader, LAST) !== 0, records: readRecords(reader) }
  }
}

function readHello(reader: FrameReader): Hello {
  const space = toHex(reader.take(SPACE_BYTES))
  const nonce = reader.take(NONCE_BYTES)
  const prefix = reader.prefix()
  const count = reader.varint()
  const root = reader.take(ROOT_DIGEST_BYTES)
  const nowMs = reader.varint(WALL_MS_MAX)
  const settlingMs = reader.varint(LIMITS.reconSettlingMsMax)
  const told = reader.varint(LIMITS.sketchCellsMax + 1)
  const cells = told === 0 ? undefined : reader.take((told - 1) * SKETCH_CELL_BYTES)
  // A sketch is of the whole set: next to a prefix it would describe something else than what is compared.
  if (cells !== undefined && prefix !== '') reader.reject()
  return { frame: 'hello', space, nonce, prefix, count, root, nowMs, settlingMs, cells }
}

function readDiff(reader: FrameReader): Frame {
  const flags = readFlags(reader, GREETS | COMPLETE)
  const greeting = readGreeting(flags, reader)
  const pushes = reader.varint(LIMITS.sketchCellsMax)
  const count = reader.left / SHORT_ID_BYTES
  if (!Number.isInteger(count) || count + pushes > LIMITS.sketchCellsMax) reader.reject()
  const wants: Bytes[] = []
  while (reader.left > 0) {
    const want = reader.take(SHORT_ID_BYTES)
    if (!ascends(wants[wants.length - 1], want)) reader.reject()
    wants.push(want)
  }
  return { frame: 'diff', greeting, complete: (flags & COMPLETE) !== 0, pushes, wants }
}

function readGreeting(flags: number, reader: FrameReader): Greeting | undefined {
  if ((flags & GREETS) === 0) return undefined
  const count = reader.varint()
  return { count, nowMs: reader.varint(WALL_MS_MAX) }
}

function readFlags(reader: FrameReader, known: number): number {
  const flags = reader.byte()
  if ((flags & ~known) !== 0) reader.reject()
  return flags
}

function readCells(count: number, reader: FrameReader): Bytes {
  if (!Number.isInteger(count) || count < 1 || count > LIMITS.sketchCellsMax) reader.reject()
  return reader.rest()
}

function readRecords(reader: FrameReader): Bytes[] {
  const records: Bytes[] = []
  while (reader.left > 0) records.push(reader.take(atLeastOne(reader.varint(RECORD_BYTES_MAX), reader)))
  return records
}

function readParts(reader: FrameReader): Part[] {
  const parts: Part[] = []
  while (reader.left > 0) {
    const prefix = reader.prefix()
    const count = atLeastOne(reader.varint(), reader)
    const before = parts[parts.length - 1]?.prefix
    const apart = before === undefined || (compareText(before, prefix) < 0 && !prefix.startsWith(before))
    if (!apart || parts.length === LIMITS.reconPartsMax) reader.reject()
    parts.push({ prefix, count })
  }
  return parts
}

function readIds(reader: FrameReader): DeltaId[] {
  const count = reader.left / ID_BYTES
  if (!Number.isInteger(count) || count < 1 || count > LIMITS.reconFetchIdsMax) reader.reject()
  const ids: Bytes[] = []
  while (reader.left > 0) {
    const id = reader.take(ID_BYTES)
    if (!ascends(ids[ids.length - 1], id)) reader.reject()
    ids.push(id)
  }
  return ids.map(toHex)
}

function ascends(before: Bytes | undefined, next: Bytes): boolean {
  return before === undefined || compareBytes(before, next) < 0
}

function atLeastOne(value: number, reader: FrameReader): number {
  if (value === 0) reader.reject()
  return value
}
