import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { compareBytes, fromHex, toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { RECORD_BYTES_MAX } from '../../../src/memory/delta-codec.ts'
import {
  decodeReconFrame,
  encodeReconFrame,
  recordBytes,
  type Frame,
  type Hello
} from '../../../src/sync/recon-codec.ts'
import { RangeTree } from '../../../src/sync/range-tree.ts'
import { NOW_MS, SPACE, Side, hasher, key, recordOf, session, someKeys } from './recon-pair.ts'

const bytes = (length: number, fill = 7): Uint8Array => new Uint8Array(length).fill(fill)
const short = (n: number): Uint8Array => fromHex(n.toString(16).padStart(16, '0'))
const id = (n: number): string => n.toString(16).padStart(64, '0')

const HELLO: Hello = {
  frame: 'hello',
  space: SPACE,
  nonce: bytes(16, 0xaa),
  prefix: '',
  count: 1_000_000,
  root: bytes(16, 9),
  nowMs: NOW_MS,
  settlingMs: 2_000,
  cells: new Uint8Array(0)
}
const GREETING = { count: 999_990, nowMs: NOW_MS + 5 }

const FRAMES: readonly Frame[] = [
  HELLO,
  { ...HELLO, cells: undefined },
  { ...HELLO, cells: bytes(26, 0x11) },
  { ...HELLO, cells: undefined, prefix: '018bcfe56', settlingMs: 0 },
  { frame: 'equal' },
  { frame: 'refused', reason: 'unknown-space' },
  { frame: 'refused', reason: 'busy' },
  { frame: 'more', greeting: GREETING, cells: 32 },
  { frame: 'more', greeting: undefined, cells: 16_384 },
  { frame: 'cells', cells: bytes(13) },
  { frame: 'diff', greeting: GREETING, complete: true, pushes: 2, wants: [short(1), short(2)] },
  { frame: 'diff', greeting: undefined, complete: false, pushes: 0, wants: [short(9)] },
  { frame: 'tree', greeting: GREETING, nonce: bytes(16, 0xbb), estimate: 300, body: bytes(7, 0) },
  { frame: 'tree', greeting: undefined, nonce: bytes(16, 0xbb), estimate: 0, body: bytes(1, 0) },
  { frame: 'step', body: new Uint8Array([0, 0]) },
  { frame: 'deltas', last: false, cut: false, skipped: 0, records: [new Uint8Array([1, 2, 3]), new Uint8Array([4])] },
  { frame: 'deltas', last: true, cut: false, skipped: 2, records: [] },
  { frame: 'deltas', last: true, cut: true, skipped: 0, records: [] },
  { frame: 'ack', accepted: 1, known: 2, refused: 3 },
  { frame: 'outline', space: SPACE, prefix: '01', partDeltasMax: 4_096 },
  {
    frame: 'parts',
    parts: [
      { prefix: '018bc', count: 4_000 },
      { prefix: '018bd0', count: 12 }
    ]
  },
  { frame: 'parts', parts: [] },
  { frame: 'fetch', space: SPACE, ids: [id(1), id(2)] },
  { frame: 'fetched', last: false, records: [new Uint8Array([1, 2, 3])] },
  { frame: 'fetched', last: true, records: [] }
]

function refused(hex: string, why = hex): void {
  assert.equal(decodeReconFrame(fromHex(hex)), undefined, why)
}

function golden(name: string, value: unknown): void {
  const path = new URL(`../../vectors/${name}.json`, import.meta.url)
  const text = `${JSON.stringify(value, null, 2)}\n`
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, text)
  assert.equal(readFileSync(path, 'utf8'), text)
}

/** A session between small sets, byte by byte. */
function storyOf(a: readonly Uint8Array[], b: readonly Uint8Array[], sketch: boolean): object {
  const [near, far] = [new Side(a, 2), new Side(b, 2)]
  const nonces = { nonce: bytes(16, 0xaa), there: { nonce: bytes(16, 0xbb) } }
  const log = session(near, far, { sketch, ...nonces })
  assert.deepEqual(near.tree.root(), far.tree.root())
  const list = (keys: readonly Uint8Array[]): string[] => [...keys].sort(compareBytes).map(toHex)
  return {
    initiator: { keys: list(a), nonce: toHex(nonces.nonce) },
    responder: { keys: list(b), nonce: toHex(nonces.there.nonce) },
    frames: log.frames.map((frame, i) => ({ from: log.from[i], frame, hex: toHex(log.bytes[i] as Uint8Array) }))
  }
}

suite('recon frames', () => {
  test('every frame comes back as it went', () => {
    for (const frame of FRAMES) assert.deepEqual(decodeReconFrame(encodeReconFrame(frame)), frame)
  })

  test('the bytes of every frame, and of whole sessions, are the ones on record', () => {
    const keys = someKeys('story', 6)
    const many = someKeys('many', 40)
    golden('recon', {
      note: 'Frames of /chrysalis/recon/1 in hexadecimal, and whole sessions between small sets; docs/WIRE.md §8.7. In a session a record is its key and two zero bytes, both clocks show 1800000000000 ms, and deltas younger than 2 s are left alone.',
      frames: FRAMES.map((frame) => ({ frame: frame.frame, hex: toHex(encodeReconFrame(frame)) })),
      sessions: {
        tree: storyOf(keys.slice(0, 4), keys.slice(1), false),
        sketch: storyOf(many.slice(0, 38), many.slice(1), true)
      }
    })
  })

  test('the roots of known sets are the ones on record', () => {
    const sets = [0, 1, 3, 128, 129, 1_000].map((count) => {
      const keys = someKeys('vector', count)
      const tree = new RangeTree(hasher)
      for (const one of keys) tree.insert(one)
      const sorted = [...keys].sort(compareBytes)
      const packed = new Uint8Array(Buffer.concat(sorted))
      const listed = count <= 3 ? { keys: keys.map(toHex) } : { keysDigest: toHex(hasher.sha384(packed)) }
      return { count, ...listed, root: toHex(tree.root()) }
    })
    const consecutive = Array.from({ length: 200 }, (_, i) => key(1_700_000_000_000 + i, 'the same id'))
    const tree = new RangeTree(hasher)
    for (const one of consecutive) tree.insert(one)
    golden('range-tree', {
      note: 'Roots of the range tree; keysDigest is SHA-384 of all keys, packed and ascending. docs/WIRE.md §8.',
      sets,
      consecutive: {
        rule: '200 keys: times 1700000000000 to 1700000000199 ms, id SHA-256("the same id")',
        id: toHex(consecutive[0] as Uint8Array).slice(12),
        root: toHex(tree.root())
      }
    })
  })

  test('a hello between equal sets of a million costs 62 bytes, and its answer one', () => {
    assert.equal(encodeReconFrame(HELLO).length + encodeReconFrame({ frame: 'equal' }).length, 63)
  })

  test('a frame cut anywhere, or with a byte too many, is none', () => {
    for (const frame of FRAMES) {
      const whole = encodeReconFrame(frame)
      // Frames that end in a list, or in a body, cannot tell a shorter one from a cut one by themselves.
      const open = ['cells', 'diff', 'tree', 'step', 'deltas', 'parts', 'fetch', 'fetched'].includes(frame.frame)
      for (let length = 0; length < whole.length; length++) {
        const decoded = decodeReconFrame(whole.subarray(0, length))
        if (open && decoded !== undefined) assert.deepEqual(encodeReconFrame(decoded), whole.slice(0, length))
        else assert.equal(decoded, undefined, `${frame.frame} cut to ${length} bytes`)
      }
      const longer = new Uint8Array([...whole, 0])
      const decoded = decodeReconFrame(longer)
      if (decoded !== undefined) assert.ok(['tree', 'step'].includes(decoded.frame), decoded.frame)
    }
  })

  test('codes, flags and reasons that do not exist are refused', () => {
    refused('')
    refused('00')
    refused('0f')
    refused('ff')
    refused('0300')
    refused('0303')
    refused('0402' + '20', 'MORE has one flag')
    refused('0604' + '00', 'DIFF has two flags')
    refused('0702' + 'bb'.repeat(16) + '00' + '00')
    refused('0904' + '00', 'DELTAS has two flags')
    refused('0e02', 'FETCHED has one flag')
  })

  test('counts are compared with the bytes that are there before anything is made for them', () => {
    const hello = toHex(encodeReconFrame({ ...HELLO, cells: undefined })).slice(0, -2)
    refused(hello + '03' + '00'.repeat(25), 'two cells that are not there')
    refused(hello + '818001' + '00', 'a sketch that is not there')
    refused(hello + '828001', 'more cells than a sketch has')
    refused('05', 'no cells')
    refused('05' + '00'.repeat(14), 'a cell and a byte')
    refused('0602' + '00' + '01', 'a part of a short id')
    refused('09' + '00' + '00' + 'ffff7f' + '01', 'a record that is not there')
    refused('09' + '00' + '00' + '00', 'an empty record')
    refused('0d' + SPACE, 'no ids')
    refused('0d' + SPACE + '00'.repeat(31), 'a part of an id')
  })

  test('what has to ascend, ascends', () => {
    const [one, two] = [toHex(short(1)), toHex(short(2))]
    assert.notEqual(decodeReconFrame(fromHex('0602' + '00' + one + two)), undefined)
    refused('0602' + '00' + two + one)
    refused('0602' + '00' + one + one)
    refused('0d' + SPACE + id(2) + id(1))
    refused('0d' + SPACE + id(1) + id(1))
    assert.notEqual(decodeReconFrame(fromHex('0c' + '01a001' + '01b001')), undefined)
    refused('0c' + '01b001' + '01a001')
    refused('0c' + '01a001' + '01a001')
    refused('0c' + '01a001' + '02ab01', 'a part within another')
    refused('0c' + '0001' + '01a001', 'a part within the whole')
    refused('0c' + '01a000', 'an empty part')
  })

  test('a prefix and a sketch do not go together', () => {
    assert.equal(decodeReconFrame(encodeReconFrame({ ...HELLO, prefix: '0' })), undefined)
    assert.notEqual(decodeReconFrame(encodeReconFrame({ ...HELLO, prefix: '0', cells: undefined })), undefined)
  })

  test('each bound holds at the bound and not beyond', () => {
    const fits = (frame: Frame): boolean => decodeReconFrame(encodeReconFrame(frame)) !== undefined
    const parts = Array.from({ length: LIMITS.reconPartsMax + 1 }, (_, i) => ({
      prefix: i.toString(16).padStart(4, '0'),
      count: 1
    }))
    assert.ok(fits({ frame: 'parts', parts: parts.slice(1) }) && !fits({ frame: 'parts', parts }))
    const ids = Array.from({ length: LIMITS.reconFetchIdsMax + 1 }, (_, i) => id(i))
    assert.ok(fits({ frame: 'fetch', space: SPACE, ids: ids.slice(1) }) && !fits({ frame: 'fetch', space: SPACE, ids }))
    const cells = bytes(LIMITS.sketchCellsMax * 13)
    assert.ok(fits({ frame: 'cells', cells }) && !fits({ frame: 'cells', cells: bytes(cells.length + 13) }))
    for (const greeting of [undefined, GREETING]) {
      assert.ok(fits({ frame: 'more', greeting, cells: LIMITS.sketchCellsMax }))
      assert.ok(!fits({ frame: 'more', greeting, cells: LIMITS.sketchCellsMax + 1 }))
      assert.ok(!fits({ frame: 'more', greeting, cells: 0 }))
    }
    const wants = Array.from({ length: LIMITS.sketchCellsMax }, (_, i) => short(i))
    const diff = { frame: 'diff', greeting: undefined, complete: true } as const
    assert.ok(fits({ ...diff, pushes: 0, wants }) && !fits({ ...diff, pushes: 1, wants }))
    assert.ok(fits({ ...HELLO, settlingMs: LIMITS.reconSettlingMsMax }))
    assert.ok(!fits({ ...HELLO, settlingMs: LIMITS.reconSettlingMsMax + 1 }))
    assert.ok(fits({ ...HELLO, nowMs: 2 ** 48 - 1 }) && !fits({ ...HELLO, nowMs: 2 ** 48 }))
    const record = bytes(RECORD_BYTES_MAX)
    assert.ok(fits({ frame: 'fetched', last: true, records: [record] }))
    assert.ok(!fits({ frame: 'fetched', last: true, records: [bytes(RECORD_BYTES_MAX + 1)] }))
    assert.ok(fits({ frame: 'outline', space: SPACE, prefix: '', partDeltasMax: 1 }))
    assert.ok(!fits({ frame: 'outline', space: SPACE, prefix: '', partDeltasMax: 0 }))
  })

  test('a frame has at most as many bytes as a stream carries', () => {
    const step = (body: number): Uint8Array => encodeReconFrame({ frame: 'step', body: bytes(body) })
    assert.notEqual(decodeReconFrame(step(LIMITS.reconFrameBytesMax - 1)), undefined)
    assert.equal(decodeReconFrame(step(LIMITS.reconFrameBytesMax)), undefined)
  })

  test('what records take in a page is known beforehand', () => {
    const records = [1, 127, 128, 16_383, 16_384, 60_000].map((length) => recordOf(bytes(length), 0))
    const page = encodeReconFrame({ frame: 'deltas', last: false, cut: false, skipped: 0, records })
    assert.equal(page.length, 3 + recordBytes(records))
  })
})
