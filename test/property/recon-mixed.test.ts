/**
 * Random honest pairs of every proportion: sets of a handful and of thousands, differences scattered or crowded, on one
 * side or on both, old or too young to be moved, with and without a sketch. One session, and both hold everything that was
 * due; nobody is accused; and what a side claims of the other afterwards is so.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { toHex } from '../../src/base/bytes.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { DeltaSet, type SetSnapshot } from '../../src/sync/delta-set.ts'
import { RANGE_KEY_BYTES } from '../../src/sync/range-nodes.ts'
import { identity } from '../support/sealed.ts'
import { addKey, KeyShelf, keyReader, wireSession } from '../support/session-wire.ts'

const hasher = identity()
const NOW_MS = 1_800_000_000_000
const OLDEST_MS = 3_600_000
const YOUNG_MS = 2_000
/** Beyond the young, and not so far that they are held. */
const AHEAD_MS = 20_000
const RUNS = 250

interface Shape {
  readonly common: number
  readonly differing: number
  /** Over how much time. */
  readonly spanMs: number
  /** Part of the differences that the side which opens holds. */
  readonly onNear: number
  /** Most differences within as many milliseconds as there are of them. */
  readonly crowded: boolean
  /** Part of the differences that are too young to be moved. */
  readonly young: number
  /** The others were written by clocks that run ahead: they come behind the young ones, and are due all the same. */
  readonly ahead?: boolean
  readonly sketch: boolean
  readonly expectEqual: boolean
}

/** Any number up to `max`, small ones as often as large ones. */
const upTo = (max: number, random: SeededRandom): number => Math.floor(Math.exp(random.unit() * Math.log(max + 1))) - 1

function anyShape(random: SeededRandom): Shape {
  const among = <T>(...choices: readonly [T, ...T[]]): T => choices[random.below(choices.length)] ?? choices[0]
  return {
    common: upTo(4_000, random),
    differing: upTo(2_500, random),
    spanMs: among(1_000, 100_000, 86_400_000),
    onNear: among(0, 0.03, 0.5, 0.97, 1),
    crowded: random.below(3) === 0,
    young: among(0, 0, 0.2),
    sketch: random.below(4) > 0,
    expectEqual: random.below(2) === 0
  }
}

class Side {
  readonly set = new DeltaSet(hasher)
  readonly shelf = new KeyShelf()
  /** Keys only this side holds, old enough to be moved. */
  readonly due = new Set<string>()
  youngCount = 0

  add(key: Uint8Array): void {
    addKey(this.set, this.shelf, key, 40)
  }

  received(): string[] {
    return this.shelf.delivered.map((record) => toHex(record.slice(0, RANGE_KEY_BYTES))).sort()
  }
}

function pairOf(shape: Shape, random: SeededRandom): { readonly near: Side; readonly far: Side } {
  const [near, far] = [new Side(), new Side()]
  const keyAt = (ms: number): Uint8Array => {
    const key = Buffer.from(random.bytes(RANGE_KEY_BYTES).buffer)
    key.writeUIntBE(ms, 0, 6)
    return new Uint8Array(key)
  }
  const newestMs = shape.ahead === true ? NOW_MS + AHEAD_MS : NOW_MS - OLDEST_MS
  const anyMs = (): number => newestMs - random.below(shape.spanMs)
  for (let n = 0; n < shape.common; n++) {
    const key = keyAt(anyMs())
    near.add(key)
    far.add(key)
  }
  const crowdMs = anyMs() - shape.differing
  for (let n = 0; n < shape.differing; n++) {
    const young = random.unit() < shape.young
    const inCrowd = shape.crowded && random.below(10) > 0
    const key = keyAt(young ? NOW_MS - random.below(YOUNG_MS) : inCrowd ? crowdMs + n : anyMs())
    const side = random.unit() < shape.onNear ? near : far
    side.add(key)
    if (young) side.youngCount++
    else side.due.add(toHex(key))
  }
  return { near, far }
}

function check(shape: Shape, seed: string): string {
  const { near, far } = pairOf(shape, new SeededRandom(seed))
  const snapshotOf = ({ set }: Side): SetSnapshot =>
    shape.sketch ? set.snapshot() : { tree: set.tree.snapshot(), sketch: undefined }
  const log = wireSession(
    { set: snapshotOf(near), shelf: near.shelf },
    { set: snapshotOf(far), shelf: far.shelf },
    { hasher, records: keyReader, nowMs: NOW_MS, salt: seed, settlingMs: YOUNG_MS, expectEqual: shape.expectEqual }
  )
  const what = `${seed}: ${JSON.stringify(shape)}, by ${log.initiator.method}`
  const { initiator, responder } = log
  assert.equal(initiator.violation ?? responder.violation, undefined, what)
  for (const [from, to] of [
    [near, far],
    [far, near]
  ] as const) {
    const received = to.received()
    assert.equal(received.length, from.due.size, `all that was due, and nothing twice: ${what}`)
    assert.ok(
      received.every((key) => from.due.has(key)),
      what
    )
  }
  const differ = near.due.size + far.due.size + near.youngCount + far.youngCount > 0
  const settled = near.youngCount + far.youngCount === 0
  const expected = !differ ? 'equal' : settled ? 'repaired' : 'partial'
  assert.deepEqual([initiator.result, responder.result], [expected, expected], what)
  assert.deepEqual([initiator.withheld, responder.withheld], [0, 0], what)
  // Whoever says that the other holds everything has to be right.
  if (initiator.peerHoldsAll) assert.equal(near.youngCount, 0, what)
  if (responder.peerHoldsAll) assert.equal(far.youngCount, 0, what)
  assert.equal(initiator.compareBytes, log.compareBytes, what)
  assert.equal(responder.compareBytes, log.compareBytes, what)
  return initiator.method
}

suite('sessions between honest sides', () => {
  test('of any proportion bring over all that is due, and claim nothing that is not so', () => {
    const methods = new Set<string>()
    for (let run = 0; run < RUNS; run++) {
      const seed = `mixed ${run}`
      methods.add(check(anyShape(new SeededRandom(`shape ${run}`)), seed))
    }
    assert.deepEqual([...methods].sort(), ['both', 'none', 'sketch', 'tree'], 'every way was gone')
  })

  test('a sketch that names a part, and a tree that finds the rest in long ranges', () => {
    const shape: Shape = {
      common: 250,
      differing: 1_400,
      spanMs: 100_000,
      onNear: 0.97,
      crowded: false,
      young: 0,
      sketch: true,
      expectEqual: true
    }
    for (let run = 0; run < 10; run++) check(shape, `part ${run}`)
  })

  // Whoever has nothing is sent everything as one range.
  test('young keys in the midst of what is due do not end a range', () => {
    const shape: Shape = {
      common: 0,
      differing: 600,
      spanMs: 1_000,
      onNear: 1,
      crowded: false,
      young: 0.5,
      ahead: true,
      sketch: false,
      expectEqual: false
    }
    for (let run = 0; run < 5; run++) check(shape, `young ${run}`)
  })
})
