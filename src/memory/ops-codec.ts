/**
 * The body of a delta: a canonical array of operations, each an array [code, target, …] read by position
 * (docs/WIRE.md §3.4).
 *
 * Two rules let versions differ without splitting the network. An operation whose code, or any enumerated argument, is
 * a number beyond our tables is kept whole as `unknown`, written again byte for byte, and not applied. An operation
 * whose code and enumerations we know must have exactly the shape and bounds given here, or the whole delta is refused.
 * The tables therefore only grow, and the shape of a code never changes: new meaning takes a new code.
 *
 * Meaning is not judged here: a link to an absent record, or a tag removed twice, is well-formed.
 */
import { assert } from '../base/assert.ts'
import { fromHex, toHex, type Bytes } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { decodeCanonical, encodeCanonical, fitsUtf8, isBytes, isUint, type CborValue } from './codec.ts'
import { refuse, type Checked } from './delta.ts'
import { dotOf, type Dot } from './ids.ts'
import { WALL_MS_MAX } from './names.ts'
import {
  BASIS_POINTS,
  DOCUMENT_TYPES,
  FIELDS,
  MEMORY_TYPES,
  ORIGIN_CLASSES,
  RELATIONS,
  VERDICTS,
  type Field,
  type FieldValue,
  type Op,
  type Relation,
  type Target
} from './ops.ts'

/** 0 is never used, so that an accidental zero is an unknown operation. */
export const OP_CODES = {
  create: 1,
  set: 2,
  tag: 3,
  untag: 4,
  link: 5,
  importance: 6,
  confidence: 7,
  access: 8,
  vote: 9,
  origin: 10
} as const

const OP_CODE_MAX = 0xffff_ffff
const ID_BYTES = 32

type Refusal = ReturnType<typeof refuse>

/** Canonical bytes of a body. Bounds are the caller's concern (memory/seal.ts checks them by decoding the answer). */
export function encodeBody(ops: readonly Op[]): Bytes {
  return encodeCanonical(ops.map(opItems))
}

/** Reasons: those of decodeCanonical, `shape`, and `too-large` for any bound of LIMITS. Never throws. */
export function decodeBody(bytes: Bytes): Checked<Op[]> {
  const decoded = decodeCanonical(bytes, { bytesMax: LIMITS.deltaBodyBytesMax, views: true })
  if (!decoded.ok) return decoded
  if (!Array.isArray(decoded.value)) return refuse('shape', 'a body is an array of operations')
  const items = decoded.value as readonly CborValue[]
  if (items.length > LIMITS.deltaOpsMax) {
    return refuse('too-large', `${items.length} operations, at most ${LIMITS.deltaOpsMax}`)
  }
  const ops: Op[] = []
  const read = new OpReader()
  for (const item of items) {
    const op = decodeOp(item, read)
    if ('ok' in op) return refuse(op.reason, `operation ${ops.length}: ${op.detail}`)
    ops.push(op)
  }
  return { ok: true, value: ops }
}

function opItems(op: Op): CborValue {
  if (op.op === 'unknown') return [op.code, ...(op.items as readonly CborValue[])]
  const head = [OP_CODES[op.op], targetItem(op.target)]
  switch (op.op) {
    case 'create': {
      const memoryType = op.memoryType === null ? null : MEMORY_TYPES.indexOf(op.memoryType)
      return [...head, DOCUMENT_TYPES.indexOf(op.documentType), memoryType, op.source]
    }
    case 'set':
      return [...head, FIELDS.indexOf(op.field), op.value]
    case 'tag':
      return [...head, op.tag]
    case 'untag':
      return [...head, op.tag, op.dots.map(dotItem)]
    case 'link':
      return [...head, RELATIONS.indexOf(op.relation), op.relation === 'evidence' ? op.value : fromHex(op.value)]
    case 'importance':
    case 'confidence':
      return [...head, op.value]
    case 'access':
      return [...head, op.total]
    case 'vote':
      return [...head, VERDICTS.indexOf(op.verdict), op.confidence, op.reason]
    case 'origin':
      return [...head, ORIGIN_CLASSES.indexOf(op.origin), op.agent]
  }
}

function targetItem(target: Target): CborValue {
  switch (target.by) {
    case 'id':
      return fromHex(target.id)
    case 'key':
      return target.key
    case 'ordinal':
      return target.ordinal
  }
}

function dotItem(dot: Dot): CborValue {
  const split = dot.indexOf('.')
  assert(split === 2 * ID_BYTES, 'a dot is <delta id>.<index>')
  return [fromHex(dot.slice(0, split)), Number(dot.slice(split + 1))]
}

function decodeOp(item: CborValue, read: OpReader): Op | Refusal {
  if (!Array.isArray(item) || !isUint(item[0], OP_CODE_MAX)) return refuse('shape', 'an operation is [code, …]')
  const items = item as readonly CborValue[]
  const code = item[0]
  read.start(items)
  const op = readOp(code, read)
  if (op === undefined || read.beyondTables) return { op: 'unknown', code, items: items.slice(1) }
  return read.finish() ?? op
}

/** Undefined for a code beyond the table. What the reader has found wrong is asked of it afterwards. */
function readOp(code: number, read: OpReader): Op | undefined {
  switch (code) {
    case OP_CODES.create: {
      const target = read.target()
      const documentType = read.choice(DOCUMENT_TYPES, 'document type')
      const memoryType = read.nextIsNull() ? null : read.choice(MEMORY_TYPES, 'memory type')
      return {
        op: 'create',
        target,
        documentType,
        memoryType,
        source: read.textOrNull('source', LIMITS.sourceBytesMax)
      }
    }
    case OP_CODES.set: {
      const target = read.target()
      const field = read.choice(FIELDS, 'field')
      return { op: 'set', target, field, value: readFieldValue(field, read) }
    }
    case OP_CODES.tag:
      return { op: 'tag', target: read.target(), tag: read.name('tag', LIMITS.tagBytesMax) }
    case OP_CODES.untag:
      return { op: 'untag', target: read.target(), tag: read.name('tag', LIMITS.tagBytesMax), dots: read.dots() }
    case OP_CODES.link: {
      const target = read.target()
      const relation = read.choice(RELATIONS, 'relation')
      return { op: 'link', target, relation, value: readLinkValue(relation, read) }
    }
    case OP_CODES.importance:
      return { op: 'importance', target: read.target(), value: read.uint('importance', BASIS_POINTS) }
    case OP_CODES.confidence:
      return { op: 'confidence', target: read.target(), value: read.uint('confidence', BASIS_POINTS) }
    case OP_CODES.access:
      return { op: 'access', target: read.target(), total: read.uint('access total', Number.MAX_SAFE_INTEGER) }
    case OP_CODES.vote: {
      const target = read.target()
      const verdict = read.choice(VERDICTS, 'verdict')
      const confidence = read.uint('confidence', BASIS_POINTS)
      return { op: 'vote', target, verdict, confidence, reason: read.textOrNull('reason', LIMITS.reasonBytesMax) }
    }
    case OP_CODES.origin: {
      const target = read.target()
      const origin = read.choice(ORIGIN_CLASSES, 'origin class')
      return { op: 'origin', target, origin, agent: read.nameOrNull('agent', LIMITS.agentNameBytesMax) }
    }
    default:
      return undefined
  }
}

/** null empties a field that may be empty; content, kind and pinned always hold something once written. */
function readFieldValue(field: Field, read: OpReader): FieldValue {
  switch (field) {
    case 'content':
      return read.text('content', LIMITS.contentBytesMax)
    case 'kind':
      // A text and not a number, so that a later kind still shows as what it is on an older daemon.
      return read.name('kind', LIMITS.kindBytesMax)
    case 'path':
      return read.textOrNull('path', LIMITS.pathBytesMax)
    case 'pinned':
      return read.boolean('pinned')
    case 'validFrom':
    case 'validTo':
    case 'expiresAt':
      return read.nextIsNull() ? null : read.uint(field, WALL_MS_MAX)
    case 'retracted':
      return read.textOrNull('retraction', LIMITS.reasonBytesMax)
  }
}

function readLinkValue(relation: Relation, read: OpReader): string {
  return relation === 'evidence' ? read.name('evidence', LIMITS.evidenceBytesMax) : read.id(relation)
}

/**
 * Reads the arguments of one operation after the other, each in order. The first fault is kept and everything after it
 * reads as some value of the right type, so that the readers above stay free of branches; nobody looks at that value.
 */
class OpReader {
  #items: readonly CborValue[] = []
  #at = 0
  #fault: Refusal | undefined
  #beyondTables = false

  /** `items` begin with the code of the operation, which has been read. */
  start(items: readonly CborValue[]): void {
    this.#items = items
    this.#at = 1
    this.#fault = undefined
    this.#beyondTables = false
  }

  /** An enumerated argument was a number we have no name for. Faults found beside it do not count. */
  get beyondTables(): boolean {
    return this.#beyondTables
  }

  finish(): Refusal | undefined {
    if (this.#at !== this.#items.length)
      this.#fail('shape', `${this.#items.length - 1} arguments instead of ${this.#at - 1}`)
    return this.#fault
  }

  target(): Target {
    const item = this.#next()
    if (isBytes(item, ID_BYTES)) return { by: 'id', id: toHex(item) }
    if (typeof item === 'string') return { by: 'key', key: this.#bounded(item, 'key', LIMITS.keyBytesMax, 1) }
    if (isUint(item, LIMITS.deltaOpsMax - 1)) return { by: 'ordinal', ordinal: item }
    this.#fail('shape', 'a target is an id, a key or an ordinal')
    return { by: 'ordinal', ordinal: 0 }
  }

  choice<T>(list: readonly [T, ...T[]], what: string): T {
    const item = this.#next()
    if (!isUint(item)) this.#fail('shape', `a ${what} is a number`)
    else if (item >= list.length) this.#beyondTables = true
    else return list[item] as T
    return list[0]
  }

  text(what: string, bytesMax: number): string {
    return this.#text(what, bytesMax, 0)
  }

  /** A text that is not empty. */
  name(what: string, bytesMax: number): string {
    return this.#text(what, bytesMax, 1)
  }

  textOrNull(what: string, bytesMax: number): string | null {
    return this.nextIsNull() ? null : this.text(what, bytesMax)
  }

  nameOrNull(what: string, bytesMax: number): string | null {
    return this.nextIsNull() ? null : this.name(what, bytesMax)
  }

  uint(what: string, max: number): number {
    const item = this.#next()
    if (isUint(item, max)) return item
    this.#fail('shape', `${what} is an integer from 0 to ${max}`)
    return 0
  }

  boolean(what: string): boolean {
    const item = this.#next()
    if (typeof item !== 'boolean') this.#fail('shape', `${what} is true or false`)
    return item === true
  }

  id(what: string): string {
    const item = this.#next()
    if (isBytes(item, ID_BYTES)) return toHex(item)
    this.#fail('shape', `${what} names a record by ${ID_BYTES} bytes`)
    return ''
  }

  dots(): Dot[] {
    const item = this.#next()
    const dots: Dot[] = []
    if (!Array.isArray(item)) this.#fail('shape', 'dots are an array')
    else for (const dot of item as readonly CborValue[]) dots.push(this.#dot(dot))
    return dots
  }

  /** Consumes a null. */
  nextIsNull(): boolean {
    const isNull = this.#items[this.#at] === null
    if (isNull) this.#at++
    return isNull
  }

  #dot(item: CborValue): Dot {
    if (Array.isArray(item) && item.length === 2) {
      const [delta, index] = item as readonly CborValue[]
      if (isBytes(delta, ID_BYTES) && isUint(index, LIMITS.deltaOpsMax - 1)) return dotOf(toHex(delta), index)
    }
    this.#fail('shape', 'a dot is [delta id, index of the operation]')
    return ''
  }

  #text(what: string, bytesMax: number, bytesMin: number): string {
    const item = this.#next()
    if (typeof item === 'string') return this.#bounded(item, what, bytesMax, bytesMin)
    this.#fail('shape', `${what} is text`)
    return ''
  }

  #bounded(text: string, what: string, bytesMax: number, bytesMin: number): string {
    if (text.length < bytesMin) this.#fail('shape', `${what} is empty`)
    if (!fitsUtf8(text, bytesMax)) this.#fail('too-large', `${what} has more than ${bytesMax} bytes`)
    return text
  }

  #next(): CborValue | undefined {
    return this.#items[this.#at++]
  }

  #fail(reason: Refusal['reason'], detail: string): void {
    this.#fault ??= refuse(reason, detail)
  }
}
