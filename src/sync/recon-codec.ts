/**
 * The frames of `/chrysalis/recon/1` (docs/WIRE.md §8). Each is one canonical CBOR array whose first item is the frame's
 * code. Decoding checks shape, counts, order and sizes, everything that can be judged from the bytes alone; whether a
 * frame was asked for is the business of the two machines.
 *
 * Prefixes travel as text, one lower-case hexadecimal digit per digit of the key; keys travel packed, 38 bytes each.
 */
import { compareText, fromHex, toHex, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { decodeCanonical, encodeCanonical, isBytes, isUint, type CborValue } from '../memory/codec.ts'
import { refuse, type Checked } from '../memory/delta.ts'
import type { SpaceId } from '../memory/ids.ts'
import { RANGE_DIGEST_BYTES, RANGE_KEY_BYTES, RANGE_KEY_DIGITS } from './range-nodes.ts'

export const RECON_PROTOCOL = '/chrysalis/recon/1'
export const RECON_VERSION = 1
/** Bytes of a child digest on the wire: the first 16 of 48. */
export const RECON_DIGEST_BYTES = 16

export const REFUSALS = ['unknown-space', 'busy', 'version'] as const
export type Refusal = (typeof REFUSALS)[number]

/** One range as the peer holds it: its keys, or where they branch and what is below. */
export type Answer =
  | { readonly kind: 'list'; readonly keys: readonly Hex[] }
  | {
      readonly kind: 'node'
      /** The digits all keys of the range share: the prefix that was asked for, or longer. */
      readonly prefix: Hex
      /** Ascending by digit, two at least. */
      readonly children: readonly { readonly digit: number; readonly digest: Uint8Array }[]
    }

export type Frame =
  | {
      readonly frame: 'hello'
      readonly version: number
      readonly space: SpaceId
      readonly count: number
      readonly root: Uint8Array
    }
  | { readonly frame: 'equal' }
  | { readonly frame: 'welcome'; readonly count: number; readonly root: Uint8Array }
  | { readonly frame: 'refused'; readonly reason: Refusal }
  /** Ascending, none a prefix of the next. */
  | { readonly frame: 'ask'; readonly prefixes: readonly Hex[] }
  /** Answers to the first prefixes of the ask, in its order; as many as fit, one at least. */
  | { readonly frame: 'answers'; readonly answers: readonly Answer[] }
  | {
      readonly frame: 'want'
      /** Keys of the ranges that are dated from `skipFromMs` to before `skipToMs`, or after `untilMs`, are left out. */
      readonly skipFromMs: number
      readonly skipToMs: number
      readonly untilMs: number
      readonly ranges: readonly Hex[]
      readonly keys: readonly Hex[]
    }
  | { readonly frame: 'next' }
  | {
      readonly frame: 'deltas'
      /** Ask with `next` for the rest. */
      readonly more: boolean
      /** Keys left out of this page because of the window in the want. */
      readonly skipped: number
      readonly records: readonly Uint8Array[]
    }
  | { readonly frame: 'push'; readonly records: readonly Uint8Array[] }
  | { readonly frame: 'ack'; readonly accepted: number; readonly known: number; readonly refused: number }
  | { readonly frame: 'bye'; readonly complete: boolean }

/** By position: the code on the wire is the index plus one. It only grows. */
const FRAMES = [
  'hello',
  'equal',
  'welcome',
  'refused',
  'ask',
  'answers',
  'want',
  'next',
  'deltas',
  'push',
  'ack',
  'bye'
] as const satisfies readonly Frame['frame'][]

const MS_MAX = 2 ** 48
const PREFIX = /^[0-9a-f]*$/

export function encodeReconFrame(frame: Frame): Uint8Array {
  return encodeCanonical([FRAMES.indexOf(frame.frame) + 1, ...fieldsOf(frame)])
}

function fieldsOf(frame: Frame): CborValue[] {
  switch (frame.frame) {
    case 'hello':
      return [frame.version, hexBytes([frame.space]), frame.count, frame.root]
    case 'welcome':
      return [frame.count, frame.root]
    case 'refused':
      return [REFUSALS.indexOf(frame.reason) + 1]
    case 'ask':
      return [frame.prefixes]
    case 'answers':
      return [frame.answers.map(encodeAnswer)]
    case 'want':
      return [frame.skipFromMs, frame.skipToMs, frame.untilMs, frame.ranges, hexBytes(frame.keys)]
    case 'deltas':
      return [frame.more, frame.skipped, frame.records]
    case 'push':
      return [frame.records]
    case 'ack':
      return [frame.accepted, frame.known, frame.refused]
    case 'bye':
      return [frame.complete]
    case 'equal':
    case 'next':
      return []
  }
}

function encodeAnswer(answer: Answer): CborValue {
  if (answer.kind === 'list') return hexBytes(answer.keys)
  const digests = new Uint8Array(answer.children.length * RECON_DIGEST_BYTES)
  let bitmap = 0
  answer.children.forEach((child, index) => {
    bitmap |= 1 << child.digit
    digests.set(child.digest.subarray(0, RECON_DIGEST_BYTES), index * RECON_DIGEST_BYTES)
  })
  return [answer.prefix, bitmap, digests]
}

/** Bytes an answer takes in an answers frame, at most. */
export function answerBytesMax(answer: Answer): number {
  const heads = 16
  if (answer.kind === 'list') return heads + answer.keys.length * RANGE_KEY_BYTES
  return heads + answer.prefix.length + answer.children.length * RECON_DIGEST_BYTES
}

/** Never throws. A hello of another version is decoded as far as its version, with the other fields empty. */
export function decodeReconFrame(bytes: Uint8Array): Checked<Frame> {
  const decoded = decodeCanonical(bytes, { bytesMax: LIMITS.reconFrameBytesMax })
  if (!decoded.ok) return decoded
  const items = decoded.value
  if (!Array.isArray(items)) return refuse('shape', 'a frame is an array')
  const [code, ...fields] = items as readonly CborValue[]
  const name = isUint(code, FRAMES.length) ? FRAMES[code - 1] : undefined
  if (name === undefined) return refuse('shape', 'no such frame')
  const frame = decodeFields(name, fields)
  return frame === undefined ? refuse('shape', `a malformed ${name} frame`) : { ok: true, value: frame }
}

const FIELD_COUNTS: Readonly<Record<Frame['frame'], number>> = {
  hello: 4,
  equal: 0,
  welcome: 2,
  refused: 1,
  ask: 1,
  answers: 1,
  want: 5,
  next: 0,
  deltas: 3,
  push: 1,
  ack: 3,
  bye: 1
}

function decodeFields(name: Frame['frame'], fields: readonly CborValue[]): Frame | undefined {
  const [a, b, c, d] = fields
  if (name === 'hello' && isUint(a) && a !== RECON_VERSION) {
    return { frame: 'hello', version: a, space: '', count: 0, root: new Uint8Array(RANGE_DIGEST_BYTES) }
  }
  if (fields.length !== FIELD_COUNTS[name]) return undefined
  switch (name) {
    case 'hello':
      return isUint(a) && isBytes(b, 16) && isUint(c) && isBytes(d, RANGE_DIGEST_BYTES)
        ? { frame: name, version: a, space: toHex(b), count: c, root: d }
        : undefined
    case 'welcome':
      return isUint(a) && isBytes(b, RANGE_DIGEST_BYTES) ? { frame: name, count: a, root: b } : undefined
    case 'refused': {
      const reason = isUint(a, REFUSALS.length) ? REFUSALS[a - 1] : undefined
      return reason === undefined ? undefined : { frame: name, reason }
    }
    case 'ask': {
      const prefixes = prefixesIn(a)
      return prefixes === undefined || prefixes.length === 0 ? undefined : { frame: name, prefixes }
    }
    case 'answers':
      return decodeAnswers(a)
    case 'want':
      return decodeWant(fields)
    case 'deltas': {
      const records = recordsIn(c)
      return typeof a === 'boolean' && isUint(b) && records !== undefined
        ? { frame: name, more: a, skipped: b, records }
        : undefined
    }
    case 'push': {
      const records = recordsIn(a)
      return records === undefined || records.length === 0 ? undefined : { frame: name, records }
    }
    case 'ack':
      return isUint(a) && isUint(b) && isUint(c) ? { frame: name, accepted: a, known: b, refused: c } : undefined
    case 'bye':
      return typeof a === 'boolean' ? { frame: name, complete: a } : undefined
    case 'equal':
    case 'next':
      return { frame: name }
  }
}

function decodeWant(fields: readonly CborValue[]): Frame | undefined {
  const [skipFromMs, skipToMs, untilMs] = fields
  const ranges = prefixesIn(fields[3])
  const keys = keysIn(fields[4], LIMITS.reconIdsMax)
  if (!isUint(skipFromMs, MS_MAX) || !isUint(skipToMs, MS_MAX) || !isUint(untilMs, MS_MAX)) return undefined
  if (ranges === undefined || keys === undefined || ranges.length + keys.length === 0) return undefined
  return { frame: 'want', skipFromMs, skipToMs, untilMs, ranges, keys }
}

function decodeAnswers(value?: CborValue): Frame | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > LIMITS.reconPrefixesMax) return undefined
  const answers: Answer[] = []
  for (const item of value as readonly CborValue[]) {
    const answer = decodeAnswer(item)
    if (answer === undefined) return undefined
    answers.push(answer)
  }
  return { frame: 'answers', answers }
}

function decodeAnswer(item: CborValue): Answer | undefined {
  if (item instanceof Uint8Array) {
    const keys = keysIn(item, LIMITS.rangeListKeysMax)
    return keys === undefined ? undefined : { kind: 'list', keys }
  }
  if (!Array.isArray(item) || item.length !== 3) return undefined
  const [prefix, bitmap, digests] = item as readonly CborValue[]
  if (!isPrefix(prefix) || prefix.length >= RANGE_KEY_DIGITS || !isUint(bitmap, 0xffff)) return undefined
  const children: { digit: number; digest: Uint8Array }[] = []
  if (!(digests instanceof Uint8Array)) return undefined
  for (let digit = 0; digit < 16; digit++) {
    if ((bitmap & (1 << digit)) === 0) continue
    const offset = children.length * RECON_DIGEST_BYTES
    children.push({ digit, digest: digests.subarray(offset, offset + RECON_DIGEST_BYTES) })
  }
  if (children.length < 2 || digests.length !== children.length * RECON_DIGEST_BYTES) return undefined
  return { kind: 'node', prefix, children }
}

function isPrefix(value?: CborValue): value is string {
  return typeof value === 'string' && value.length <= RANGE_KEY_DIGITS && PREFIX.test(value)
}

/** Ascending prefixes of which none begins another; undefined when they are not. */
function prefixesIn(value?: CborValue): Hex[] | undefined {
  if (!Array.isArray(value) || value.length > LIMITS.reconPrefixesMax) return undefined
  const prefixes: Hex[] = []
  for (const item of value as readonly CborValue[]) {
    if (!isPrefix(item)) return undefined
    const last = prefixes[prefixes.length - 1]
    if (last !== undefined && (compareText(last, item) >= 0 || item.startsWith(last))) return undefined
    prefixes.push(item)
  }
  return prefixes
}

/** At most `max` packed keys, strictly ascending, as hexadecimal; undefined when they are not. */
function keysIn(value: CborValue | undefined, max: number): Hex[] | undefined {
  if (!(value instanceof Uint8Array)) return undefined
  if (value.length % RANGE_KEY_BYTES !== 0 || value.length > max * RANGE_KEY_BYTES) return undefined
  const keys: Hex[] = []
  for (let at = 0; at < value.length; at += RANGE_KEY_BYTES) {
    const key = toHex(value.subarray(at, at + RANGE_KEY_BYTES))
    const last = keys[keys.length - 1]
    if (last !== undefined && compareText(last, key) >= 0) return undefined
    keys.push(key)
  }
  return keys
}

function recordsIn(value?: CborValue): Uint8Array[] | undefined {
  if (!Array.isArray(value)) return undefined
  const records: Uint8Array[] = []
  for (const item of value as readonly CborValue[]) {
    if (!(item instanceof Uint8Array)) return undefined
    records.push(item)
  }
  return records
}

function hexBytes(texts: readonly Hex[]): Uint8Array {
  return fromHex(texts.join(''))
}
