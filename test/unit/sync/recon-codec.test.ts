import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { fromHex, toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeCanonical, type CborValue } from '../../../src/memory/codec.ts'
import { answerBytesMax, decodeReconFrame, encodeReconFrame, type Frame } from '../../../src/sync/recon-codec.ts'
import { RangeTree } from '../../../src/sync/range-tree.ts'
import { SPACE, hasher, key, someKeys } from './recon-pair.ts'

const digest = (fill: number): Uint8Array => new Uint8Array(16).fill(fill)
const k = (n: number): string => toHex(key(n, String(n)))

const FRAMES: readonly Frame[] = [
  { frame: 'hello', version: 1, space: SPACE, count: 3, root: new Uint8Array(48).fill(9) },
  { frame: 'equal' },
  { frame: 'welcome', count: 0, root: new Uint8Array(48).fill(8) },
  { frame: 'refused', reason: 'unknown-space' },
  { frame: 'refused', reason: 'busy' },
  { frame: 'refused', reason: 'version' },
  { frame: 'ask', prefixes: [''] },
  { frame: 'ask', prefixes: [k(700), '01', '02f'] },
  {
    frame: 'answers',
    answers: [
      { kind: 'list', keys: [k(1), k(2)] },
      { kind: 'list', keys: [] },
      {
        kind: 'node',
        prefix: '0199',
        children: [
          { digit: 0, digest: digest(1) },
          { digit: 15, digest: digest(2) }
        ]
      }
    ]
  },
  {
    frame: 'want',
    skipFromMs: 1_799_999_998_000,
    skipToMs: 1_800_000_002_000,
    untilMs: 1_800_000_120_000,
    ranges: ['00', '01'],
    keys: [k(5), k(6)]
  },
  { frame: 'want', skipFromMs: 0, skipToMs: 0, untilMs: 0, ranges: [''], keys: [] },
  { frame: 'next' },
  { frame: 'deltas', more: true, skipped: 2, records: [new Uint8Array([1, 2, 3]), new Uint8Array(0)] },
  { frame: 'push', records: [new Uint8Array([4])] },
  { frame: 'ack', accepted: 1, known: 2, refused: 3 },
  { frame: 'bye', complete: true },
  { frame: 'bye', complete: false }
]

function refused(value: CborValue): void {
  const decoded = decodeReconFrame(encodeCanonical(value))
  assert.equal(decoded.ok, false, JSON.stringify(value))
}

function golden(name: string, value: unknown): void {
  const path = new URL(`../../vectors/${name}.json`, import.meta.url)
  const text = `${JSON.stringify(value, null, 2)}\n`
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, text)
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), JSON.parse(text))
}

suite('recon frames', () => {
  test('every frame comes back as it went', () => {
    for (const frame of FRAMES) {
      const decoded = decodeReconFrame(encodeReconFrame(frame))
      assert.ok(decoded.ok, frame.frame)
      assert.deepEqual(decoded.value, frame)
    }
  })

  test('the bytes of every frame are the ones on record', () => {
    golden('recon', {
      note: 'Frames of /chrysalis/recon/1 in hexadecimal; docs/WIRE.md §8.',
      frames: FRAMES.map((frame) => ({ frame: frame.frame, hex: toHex(encodeReconFrame(frame)) }))
    })
  })

  test('the roots of known sets are the ones on record', () => {
    const sets = [0, 1, 3, 128, 129, 1_000].map((count) => {
      const keys = someKeys('vector', count)
      const tree = new RangeTree(hasher)
      for (const one of keys) tree.insert(one)
      const listed = count <= 3 ? { keys: keys.map(toHex) } : { keysDigest: toHex(hasher.sha384(sortedBytes(keys))) }
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

  test('shapes that are none are refused', () => {
    refused([])
    refused([0])
    refused([13])
    refused('hello')
    refused([2, 1])
    refused([1, 1, new Uint8Array(15), 3, new Uint8Array(48)])
    refused([1, 1, new Uint8Array(16), 3, new Uint8Array(47)])
    refused([3, 0, new Uint8Array(32)])
    refused([4, 0])
    refused([4, 4])
    refused([10, 1, 0, []])
    refused([10, true, 0, ['text']])
    refused([11, []])
    refused([12, 'yes'])
  })

  test('prefixes must ascend, and none may lie within another', () => {
    refused([5, []])
    refused([5, ['02', '01']])
    refused([5, ['01', '01']])
    refused([5, ['01', '012']])
    refused([5, ['', '1']])
    refused([5, ['0G']])
    refused([5, ['AB']])
    refused([5, ['0'.repeat(77)]])
    assert.equal(decodeReconFrame(encodeReconFrame({ frame: 'ask', prefixes: ['0'.repeat(76)] })).ok, true)
  })

  test('a node has two children at least, and a digest for each', () => {
    refused([6, [['', 0b1, new Uint8Array(16)]]])
    refused([6, [['', 0, new Uint8Array(0)]]])
    refused([6, [['', 0b11, new Uint8Array(31)]]])
    refused([6, [['', 0b11, new Uint8Array(48)]]])
    refused([6, [['', 0x1_0003, new Uint8Array(32)]]])
    refused([6, [['0'.repeat(76), 0b11, new Uint8Array(32)]]])
    refused([6, []])
  })

  test('keys must ascend', () => {
    const [a, b] = [fromHex(k(1)), fromHex(k(2))]
    const packed = (...keys: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(keys))
    refused([6, [packed(b, a)]])
    refused([6, [packed(a, a)]])
    refused([6, [packed(a, b).subarray(1)]])
    refused([7, 0, 0, 0, [], packed(b, a)])
    refused([7, 0, 0, 0, [], new Uint8Array(0)])
    refused([7, 0, 0, 2 ** 48 + 1, [''], new Uint8Array(0)])
  })

  test('counts hold at the limit and not beyond', () => {
    const ask = (count: number): boolean => {
      const prefixes = Array.from({ length: count }, (_, i) => i.toString(16).padStart(4, '0'))
      return decodeReconFrame(encodeReconFrame({ frame: 'ask', prefixes })).ok
    }
    assert.deepEqual(
      [-1, 0, 1].map((n) => ask(LIMITS.reconPrefixesMax + n)),
      [true, true, false]
    )
    const list = (count: number): boolean => {
      const keys = Array.from({ length: count }, (_, i) => k(i + 1))
      return decodeReconFrame(encodeReconFrame({ frame: 'answers', answers: [{ kind: 'list', keys }] })).ok
    }
    assert.deepEqual(
      [-1, 0, 1].map((n) => list(LIMITS.rangeListKeysMax + n)),
      [true, true, false]
    )
    const want = (count: number): boolean => {
      const keys = Array.from({ length: count }, (_, i) => k(i + 1))
      const frame: Frame = { frame: 'want', skipFromMs: 0, skipToMs: 0, untilMs: 0, ranges: [], keys }
      return decodeReconFrame(encodeReconFrame(frame)).ok
    }
    assert.deepEqual(
      [-1, 0, 1].map((n) => want(LIMITS.reconIdsMax + n)),
      [true, true, false]
    )
    const sized = (bytes: number): boolean => {
      const empty = encodeReconFrame({ frame: 'push', records: [new Uint8Array(100_000)] }).length - 100_000
      return decodeReconFrame(encodeReconFrame({ frame: 'push', records: [new Uint8Array(bytes - empty)] })).ok
    }
    assert.deepEqual(
      [-1, 0, 1].map((n) => sized(LIMITS.reconFrameBytesMax + n)),
      [true, true, false]
    )
  })

  test('a hello of another version is understood as far as its version', () => {
    const decoded = decodeReconFrame(encodeCanonical([1, 2, 'whatever', [7]]))
    assert.ok(decoded.ok && decoded.value.frame === 'hello')
    assert.equal(decoded.value.version, 2)
  })

  test('an answer is never larger than it is taken for', () => {
    for (const frame of FRAMES) {
      if (frame.frame !== 'answers') continue
      for (const answer of frame.answers) {
        const bytes = encodeReconFrame({ frame: 'answers', answers: [answer] }).length - 3
        assert.ok(bytes <= answerBytesMax(answer))
      }
    }
  })
})

function sortedBytes(keys: readonly Uint8Array[]): Uint8Array {
  return fromHex(keys.map(toHex).sort().join(''))
}
