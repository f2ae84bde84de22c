/**
 * The walk alone, without records: two sides, their bodies handed to and fro. What each side is left with has to be exactly
 * what the other lacks, and the end has to come for both at the same frame, however little fits a frame.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { toHex, type Hex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { FrameWriter } from '../../../src/sync/frame-bytes.ts'
import { RangeTree, type RangeTreeView } from '../../../src/sync/range-tree.ts'
import { writeList, writeNode, writeReply } from '../../../src/sync/recon-answers.ts'
import { SESSION_BOUNDS, type SessionBounds } from '../../../src/sync/recon-session.ts'
import { RangeWalk, type Finding } from '../../../src/sync/recon-walk.ts'
import { ShortDigests } from '../../../src/sync/short-digest.ts'
import { bottomless, hasher, key, NOW_MS, someKeys } from './recon-pair.ts'

const digests = new ShortDigests(new Uint8Array(8).fill(5))

function treeOf(keys: readonly Uint8Array[]): RangeTreeView {
  const tree = new RangeTree(hasher)
  for (const one of keys) tree.insert(one)
  return tree.snapshot()
}

function walkOf(view: RangeTreeView, bounds: Partial<SessionBounds> = {}, prefix = ''): RangeWalk {
  return new RangeWalk({ view, digests, prefix, bounds: { ...SESSION_BOUNDS, ...bounds } })
}

/** The keys a finding stands for. */
function keysOf(finding: Finding, view: RangeTreeView): Hex[] {
  if (finding.kind === 'keys') return finding.keys.map(toHex)
  const all = view.keysUnder(finding.prefix, undefined, Infinity).map(toHex)
  return all.filter((one) => !finding.except.some((prefix) => one.startsWith(prefix)))
}

interface Log {
  readonly found: [Hex[], Hex[]]
  readonly expected: [number, number]
  readonly cut: [boolean, boolean]
  readonly bodies: number[]
  readonly bytes: number
}

/** Walks to the end. The first side answers the root, the second begins. */
function walked(a: RangeTreeView, b: RangeTreeView, bounds: Partial<SessionBounds> = {}, prefix = ''): Log {
  const all = { ...SESSION_BOUNDS, ...bounds }
  const sides = [walkOf(a, bounds, prefix), walkOf(b, bounds, prefix)] as const
  const views = [a, b]
  const found: [Hex[], Hex[]] = [[], []]
  let body = sides[0].begin()
  let bytes = body.length + 1
  const bodies = [body.length]
  assert.equal(sides[1].readTree(body), undefined)
  for (let turn = 1; ; turn = 1 - turn) {
    const [own, other] = [sides[turn] as RangeWalk, sides[1 - turn] as RangeWalk]
    for (const finding of own.takeFindings())
      found[turn as 0 | 1].push(...keysOf(finding, views[turn] as RangeTreeView))
    if (own.ended) {
      assert.ok(other.ended, 'both end at once')
      break
    }
    body = own.writeStep(all.compareBytes - bytes)
    bytes += body.length + 1
    bodies.push(body.length)
    assert.ok(bytes <= all.compareBytes, `${bytes} bytes`)
    assert.ok(bodies.length < 100_000, 'the walk ends')
    assert.equal(other.readStep(body), undefined)
    assert.equal(other.ended, own.ended)
    if (own.ended) assert.notEqual(other.readStep(body), undefined, 'nothing follows')
  }
  const [first, second] = sides
  return {
    found,
    expected: [first.expected, second.expected],
    cut: [first.cut, second.cut],
    bodies,
    bytes
  }
}

function difference(a: readonly Uint8Array[], b: readonly Uint8Array[]): Hex[] {
  const others = new Set(b.map(toHex))
  return [...new Set(a.map(toHex))].filter((one) => !others.has(one)).sort()
}

function check(a: readonly Uint8Array[], b: readonly Uint8Array[], bounds: Partial<SessionBounds> = {}): Log {
  const log = walked(treeOf(a), treeOf(b), bounds)
  assert.deepEqual([...log.found[0]].sort(), difference(a, b))
  assert.deepEqual([...log.found[1]].sort(), difference(b, a))
  assert.deepEqual(log.expected, [log.found[1].length, log.found[0].length], 'each side is told what will come')
  assert.deepEqual(log.cut, [false, false])
  return log
}

suite('the walk', () => {
  const common = someKeys('common', 3_000)

  for (const [name, onlyA, onlyB] of [
    ['one key on one side', 1, 0],
    ['one key on the other', 0, 1],
    ['a few on both', 7, 5],
    ['many on both', 900, 700]
  ] as const) {
    test(`finds exactly what differs: ${name}`, () => {
      check([...common, ...someKeys('a', onlyA)], [...common, ...someKeys('b', onlyB)])
    })
  }

  test('sets without anything in common, and empty ones', () => {
    check(someKeys('a', 500), someKeys('b', 600))
    check([], someKeys('b', 600))
    check(someKeys('a', 20), [])
    check(someKeys('a', 20), someKeys('b', 20))
  })

  test('a side of a few keys within another of many: the many are never compared one by one', () => {
    const many = someKeys('many', 20_000)
    const digestsMade = { count: 0 }
    const counting = digests.of.bind(digests)
    digests.of = (...args: Parameters<ShortDigests['of']>) => {
      digestsMade.count++
      return counting(...args)
    }
    check(many, [...many.slice(70, 80), ...someKeys('few', 5)])
    check([...many.slice(70, 80), ...someKeys('few', 5)], many)
    digests.of = counting
    assert.ok(digestsMade.count < 20_000, `${digestsMade.count} digests`)
  })

  test('a list is compared with as many keys as the bound says, and not with one more', () => {
    const [same, other] = [key(NOW_MS, 'same'), key(NOW_MS, 'other')]
    for (const count of [LIMITS.reconMatchKeysMax, LIMITS.reconMatchKeysMax + 1]) {
      const many = [same, ...Array.from({ length: count - 1 }, (_, i) => key(NOW_MS + 1 + i, 'many'))]
      const log = check([same, other], many)
      // TREE and one STEP, in which the list is compared; or a node first.
      assert.equal(log.bodies.length > 2, count > LIMITS.reconMatchKeysMax)
    }
  })

  test('a range is listed up to the bound, and shown as a node beyond it', () => {
    const keys = someKeys('listed', LIMITS.rangeListKeysMax + 1)
    assert.equal(walkOf(treeOf(keys.slice(1))).begin()[0], LIMITS.rangeListKeysMax)
    assert.ok((walkOf(treeOf(keys)).begin()[0] as number) >= 0x80)
  })

  test('a missing stretch of time costs the same however long it is', () => {
    const long = Array.from({ length: 20_000 }, (_, i) => key(NOW_MS - 2_000_000 + i * 100, `long ${i}`))
    const short = check(long.slice(0, -200), long)
    const longer = check(long.slice(0, -8_000), long)
    assert.ok(short.bytes < 700 && longer.bytes < 700, `${short.bytes} and ${longer.bytes} bytes`)
  })

  test('what lies around and below a long common prefix of the other side', () => {
    for (let seed = 0; seed < 10; seed++) {
      const all = Array.from({ length: 2_500 }, (_, n) => key(NOW_MS - 60_000 + n * 3, `${seed}/${n}`))
      for (const [from, to] of [
        [0, 64],
        [900, 1_000],
        [1_200, 1_900]
      ] as const) {
        check(all, all.slice(from, to))
        check(all.slice(from, to), all)
      }
    }
  })

  test('ids that differ in their last digit only', () => {
    const deep = Array.from({ length: 60 }, (_, i) => {
      const one = key(NOW_MS, 'deep')
      one[37] = i
      return one
    })
    check(deep, deep.slice(0, 40))
    check(deep.slice(0, 35), deep.slice(25))
  })

  test('of a prefix only what is below it is found', () => {
    const [a, b] = [
      [...common, ...someKeys('a', 50)],
      [...common, ...someKeys('b', 60)]
    ]
    const prefix = toHex(common[5] as Uint8Array).slice(0, 6)
    const within = (keys: readonly Uint8Array[]): Uint8Array[] => keys.filter((one) => toHex(one).startsWith(prefix))
    const log = walked(treeOf(a), treeOf(b), {}, prefix)
    assert.ok(within(a).length > 100 && difference(within(a), within(b)).length > 0)
    assert.deepEqual([...log.found[0]].sort(), difference(within(a), within(b)))
    assert.deepEqual([...log.found[1]].sort(), difference(within(b), within(a)))
  })

  test('frames that hold one answer each: the same is found, oldest first, and the end is the same for both', () => {
    const a = [...common, ...someKeys('a', 40)]
    const b = [...common, ...someKeys('b', 30)]
    const wide = check(a, b)
    const narrow = check(a, b, { frameBytes: 1 })
    assert.ok(narrow.bodies.length > 4 * wide.bodies.length)
    for (const frameBytes of [300, 1_000, 4_000]) check(a, b, { frameBytes })
    const order = narrow.found[0].map((one) => one.slice(0, 12))
    const late = order.filter((one, i) => i > 0 && one < (order[i - 1] as string)).length
    assert.ok(late < order.length / 2, 'depth first, so that the oldest are found first')
  })

  test('any two sets, any narrowness', () => {
    const someKey = fc.tuple(fc.nat(60), fc.nat(80)).map(([ms, label]) => key(NOW_MS + ms * 1_013, `${label}`))
    const someSet = fc.array(someKey, { maxLength: 400, size: 'max' })
    fc.assert(
      fc.property(someSet, someSet, fc.constantFrom(1, 200, 900, 262_144), (a, b, frameBytes) => {
        fc.pre(difference(a, b).length + difference(b, a).length > 0)
        check(a, b, { frameBytes })
      }),
      { numRuns: 120 }
    )
  })

  test('when the bytes run out the walk stops for both, and what was found by then is true', () => {
    const a = [...common, ...someKeys('a', 400)]
    const b = [...common, ...someKeys('b', 300)]
    const [lacking, missing] = [new Set(difference(a, b)), new Set(difference(b, a))]
    const whole = check(a, b).bytes
    let most = 0
    for (let compareBytes = 400; compareBytes < whole + 3_000; compareBytes += 1_500) {
      const log = walked(treeOf(a), treeOf(b), { compareBytes, frameBytes: 2_000 })
      assert.deepEqual(log.cut, compareBytes < whole ? [true, true] : log.cut)
      assert.ok(log.found[0].every((one) => lacking.has(one)) && log.found[1].every((one) => missing.has(one)))
      assert.ok(log.found[0].length >= most * 0.9, 'more bytes, more found')
      most = Math.max(most, log.found[0].length)
    }
    assert.ok(most > 300)
  })

  test('ranges are left out beyond the bound of open ones, and both sides know', () => {
    const a = [...common, ...someKeys('a', 400)]
    const b = [...common, ...someKeys('b', 300)]
    for (const openRanges of [1, 4, 16, 60]) {
      const log = walked(treeOf(a), treeOf(b), { openRanges })
      assert.deepEqual(log.cut, [true, true], `${openRanges} open`)
      const lacking = new Set(difference(a, b))
      assert.ok(log.found[0].every((one) => lacking.has(one)))
    }
    assert.deepEqual(walked(treeOf(a), treeOf(b), { openRanges: LIMITS.reconOpenRangesMax }).cut, [false, false])
  })
})

suite('a walk that meets a liar', () => {
  const mine = treeOf(someKeys('mine', 2_000))
  const body = (write: (writer: FrameWriter) => void): Uint8Array => {
    const writer = new FrameWriter()
    write(writer)
    return writer.done()
  }
  /** A walk that has shown its root, and what it showed. */
  function begun(bounds: Partial<SessionBounds> = {}): RangeWalk {
    const walk = walkOf(mine, bounds)
    walk.begin()
    return walk
  }
  const rootOf = (view: RangeTreeView): { prefix: string; bitmap: number; digests: number[] } => {
    const branch = view.branch('')
    assert.ok(branch !== undefined)
    let bitmap = 0
    for (const { digit } of branch.children) bitmap |= 1 << digit
    return { prefix: branch.prefix, bitmap, digests: branch.children.map(({ digest }) => digests.of(digest)) }
  }

  test('shows our very own node, or list, as one that differs: contradiction', () => {
    assert.equal(walkOf(mine).readTree(body((w) => writeNode('', rootOf(mine), w))), 'contradiction')
    const few = treeOf(someKeys('few', 9))
    const shown = walkOf(few).begin()
    assert.equal(walkOf(few).readTree(shown), 'contradiction')
    assert.equal(walkOf(treeOf([])).readTree(body((w) => writeList([], w))), 'contradiction')
  })

  test('replies that nothing differs: contradiction', () => {
    const step = (reply: (w: FrameWriter) => void): Uint8Array => body((w) => reply(w.byte(0)))
    assert.equal(begun().readStep(step((w) => w.uint16(0).varint(0).varint(0))), 'contradiction')
    const few = walkOf(treeOf(someKeys('few', 9)))
    few.begin()
    assert.equal(few.readStep(step((w) => w.byte(0).varint(0))), 'contradiction')
  })

  test('leaves open what it was not shown: unasked', () => {
    const { bitmap } = rootOf(mine)
    const absent = ~bitmap & 0xffff
    assert.ok(absent !== 0)
    assert.equal(begun().readStep(body((w) => w.byte(0).uint16(absent).varint(0).varint(0))), 'unasked')
  })

  test('shows more ranges than are open: unasked; none although some are: no progress', () => {
    const digit = 31 - Math.clz32(rootOf(mine).bitmap)
    const reply = (w: FrameWriter): FrameWriter =>
      w
        .byte(0)
        .uint16(1 << digit)
        .varint(0)
    assert.equal(begun().readStep(body((w) => reply(w).varint(2).byte(0).byte(0))), 'unasked')
    assert.equal(begun().readStep(body((w) => reply(w).varint(0))), 'no-progress')
    assert.equal(
      begun().readStep(
        body((w) =>
          w
            .byte(1)
            .uint16(1 << digit)
            .varint(0)
            .varint(1)
            .byte(0)
        )
      ),
      'no-progress'
    )
  })

  test('keeps more open than may be: budget', () => {
    const { bitmap } = rootOf(mine)
    const open = bitmap.toString(2).replaceAll('0', '').length
    const step = body((w) => w.byte(0).uint16(bitmap).varint(0).varint(0))
    assert.equal(begun({ openRanges: open - 1 }).readStep(step), 'budget')
    assert.equal(begun({ openRanges: open }).readStep(step), 'no-progress')
  })

  test('bytes that are no answer, and no reply, are malformed', () => {
    const trees: [string, (w: FrameWriter) => void][] = [
      ['nothing', () => undefined],
      [
        'a list of 33',
        (w) =>
          writeList(
            Array.from({ length: 33 }, (_, i) => i),
            w
          )
      ],
      ['a list cut short', (w) => w.byte(2).short(1)],
      ['a node of one child', (w) => w.byte(0x80).uint16(1).short(1)],
      ['a node of none', (w) => w.byte(0x80).uint16(0)],
      ['a node that leaves no digit', (w) => writeNode('', { prefix: '0'.repeat(76), bitmap: 3, digests: [1, 2] }, w)],
      ['a half byte that is not zero', (w) => w.byte(0x81).byte(0x01).uint16(3).short(1).short(2)],
      ['digests cut short', (w) => w.byte(0x80).uint16(3).short(1)],
      ['a byte too many', (w) => w.byte(0x80).uint16(3).short(1).short(2).byte(0)]
    ]
    for (const [name, write] of trees) assert.equal(walkOf(mine).readTree(body(write)), 'malformed', name)
    for (const [name, write] of [
      ['nothing', () => undefined],
      ['a flag that is none', (w) => w.byte(4)],
      ['half a reply', (w) => w.byte(0).byte(1)],
      ['no number of answers', (w) => w.byte(0).uint16(rootOf(mine).bitmap).varint(0)]
    ] as [string, (w: FrameWriter) => void][]) {
      assert.equal(begun().readStep(body(write)), 'malformed', name)
    }
    const few = (write: (w: FrameWriter) => void): string | undefined => {
      const walk = walkOf(treeOf(someKeys('few', 9)))
      walk.begin()
      return walk.readStep(body((w) => write(w.byte(0))))
    }
    assert.equal(
      few((w) => w.byte(8).varint(0)),
      'malformed',
      'an unknown flag'
    )
    assert.equal(
      few((w) => w.byte(5).varint(0)),
      'malformed',
      'reopened and wanted'
    )
    assert.equal(
      few((w) => w.byte(1).byte(0).byte(0).varint(0)),
      'malformed',
      'wants that are none'
    )
    assert.equal(
      few((w) => w.byte(1).byte(1).byte(2).varint(0)),
      'malformed',
      'a bit beyond the ninth key'
    )
    assert.equal(
      few((w) => w.byte(2).varint(0).varint(0)),
      'malformed',
      'pushes that are none'
    )
    assert.equal(
      few((w) => writeReply({ kind: 'list', wanted: Array(9).fill(true) as boolean[], pushes: 0 }, w)),
      'malformed'
    )
  })

  test('splits without end, under digests that never match: it ends within the bounds', () => {
    for (const bounds of [{}, { openRanges: 100 }, { compareBytes: 20_000, frameBytes: 3_000 }]) {
      const all = { ...SESSION_BOUNDS, ...bounds }
      const [honest, liar] = [walkOf(mine, bounds), walkOf(bottomless(), bounds)]
      let body = liar.begin()
      let bytes = body.length
      assert.equal(honest.readTree(body), undefined)
      let rounds = 0
      for (; !honest.ended && rounds < 100_000; rounds++) {
        body = honest.writeStep(all.compareBytes - bytes)
        bytes += body.length
        assert.equal(liar.readStep(body), undefined)
        if (honest.ended) break
        body = liar.writeStep(all.compareBytes - bytes)
        bytes += body.length
        assert.equal(honest.readStep(body), undefined)
      }
      assert.ok(honest.ended && honest.cut, 'it ends, and says that it was cut')
      assert.ok(bytes <= all.compareBytes && honest.openRanges <= all.openRanges)
    }
  })

  test('any bytes at all: an answer or a violation, never an exception', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300, size: 'max' }),
        fc.uint8Array({ maxLength: 300, size: 'max' }),
        (tree, step) => {
          const first = walkOf(mine)
          if (first.readTree(tree) === undefined) first.writeStep(1_000)
          const second = begun()
          if (second.readStep(step) === undefined && !second.ended) second.writeStep(1_000)
        }
      ),
      { numRuns: 500 }
    )
  })
})
