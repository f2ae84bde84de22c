/**
 * Sets that were made to look alike. Whoever compares sets by XOR, by a sum, or by digests cut short without a key can be
 * handed two sets that differ for ever and look equal in every session; each of these attacks is carried out here, against
 * the comparison it breaks and against ours. A sketch can be deceived as well, and is: then the tree has to find what it hid.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { suite, test } from 'node:test'
import { compareBytes, concatBytes, fromHex, toHex, uintBytes, type Hex } from '../../src/base/bytes.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { decodeDelta, encodeDelta } from '../../src/memory/delta-codec.ts'
import { hlcOf } from '../../src/memory/ids.ts'
import { rangeKey } from '../../src/memory/names.ts'
import { sealDelta } from '../../src/memory/seal.ts'
import { verifyDelta } from '../../src/memory/verify.ts'
import { DeltaSet } from '../../src/sync/delta-set.ts'
import { RANGE_KEY_BYTES } from '../../src/sync/range-nodes.ts'
import { rangeLeafDigest, type RangeAt, type RangeTreeView } from '../../src/sync/range-tree.ts'
import { deltaReader } from '../../src/sync/recon-session.ts'
import { ShortDigests, shortDigestKey } from '../../src/sync/short-digest.ts'
import { checkOf } from '../../src/sync/sketch.ts'
import { mergedKeys } from '../perf/recon-pairs.ts'
import { RangeSet, reconcileRanges } from '../perf/range-baseline.ts'
import { birthday, equalSums, equalXor, idBeginning, lonelyShortIds, sumOf, xorOf } from '../support/crafted-sets.ts'
import { draft, identity, note, SPACE } from '../support/sealed.ts'
import { addKey, KeyShelf, keyReader, wireSession, type WireLog } from '../support/session-wire.ts'

const hasher = identity()
const NOW_MS = 1_800_000_000_000
const DAY_MS = 86_400_000
const LISTED_MAX = 32

const keyAt = (ms: number, id: Uint8Array): Uint8Array => concatBytes(uintBytes(ms, 6), id)
const hashed = (label: string): Uint8Array => new Uint8Array(createHash('sha256').update(label).digest())

/** Keys of honest deltas, spread over a day that ended an hour ago. */
function honestKeys(seed: string, count: number): Uint8Array[] {
  const random = new SeededRandom(seed)
  return Array.from({ length: count }, (_, n) =>
    keyAt(NOW_MS - 3_600_000 - random.below(DAY_MS), hashed(`${seed}/${n}`))
  )
}

/** A replica, reduced to its set and its records. */
class Holder {
  readonly set = new DeltaSet(hasher)
  readonly shelf = new KeyShelf()

  constructor(...keys: readonly (readonly Uint8Array[])[]) {
    for (const key of keys.flat()) addKey(this.set, this.shelf, key)
  }

  get root(): Hex {
    return toHex(this.set.tree.root())
  }

  /** One session with another, after which both hold what was moved. Answers how many deltas that were. */
  meet(other: Holder, salt: string, options: { readonly sketch?: boolean } = {}): WireLog & { readonly moved: number } {
    const sideOf = ({ set, shelf }: Holder): { set: ReturnType<DeltaSet['snapshot']>; shelf: KeyShelf } => {
      const snapshot = set.snapshot()
      return { set: options.sketch === false ? { ...snapshot, sketch: undefined } : snapshot, shelf }
    }
    const log = wireSession(sideOf(this), sideOf(other), { hasher, records: keyReader, nowMs: NOW_MS, salt })
    assert.equal(log.initiator.violation ?? log.responder.violation, undefined)
    return { ...log, moved: this.#take() + other.#take() }
  }

  #take(): number {
    const records = this.shelf.delivered.splice(0)
    for (const record of records) addKey(this.set, this.shelf, record.slice(0, RANGE_KEY_BYTES))
    return records.length
  }
}

/** The ranges of two trees that look different, down to lists, when digests and keys are compared by what `cut` leaves. */
function blindWalk(near: RangeTreeView, far: RangeTreeView, cut: (bytes: Uint8Array) => string): string[] {
  const found: string[] = []
  const idsUnder = (view: RangeTreeView, prefix: Hex): Set<string> =>
    new Set(view.keysUnder(prefix, undefined, 1_000).map((key) => cut(key.subarray(6))))
  const open: Hex[] = ['']
  for (let prefix: Hex | undefined = open.pop(); prefix !== undefined; prefix = open.pop()) {
    const ours: RangeAt | undefined = near.at(prefix)
    const theirs: RangeAt | undefined = far.at(prefix)
    if (ours !== undefined && theirs !== undefined && cut(ours.digest) === cut(theirs.digest)) continue
    const branch = near.countAt(prefix) > LISTED_MAX ? near.branch(prefix) : undefined
    if (branch === undefined) {
      const [a, b] = [idsUnder(near, prefix), idsUnder(far, prefix)]
      found.push(...[...a].filter((id) => !b.has(id)), ...[...b].filter((id) => !a.has(id)))
    } else for (const { digit } of branch.children) open.push(branch.prefix + digit.toString(16))
  }
  return found
}

const cutTo =
  (bytes: number) =>
  (digest: Uint8Array): string =>
    toHex(digest.subarray(0, bytes))

suite('sets made to look alike', () => {
  test('by XOR: real deltas, signed, of equal count and equal XOR, are told apart and moved', () => {
    const deltas = Array.from({ length: 300 }, (_, n) =>
      sealDelta(
        draft({ hlc: hlcOf(NOW_MS - DAY_MS), epoch: toHex(uintBytes(n, 8)), ops: note(`ground ${n}`) }),
        identity(1 + (n % 3))
      )
    )
    const ids = deltas.map(({ id }) => fromHex(id))
    const [nearOnly, farOnly] = equalXor(ids)
    const [a, b] = [new Set(nearOnly), new Set(farOnly)]
    assert.ok(a.size >= 10 && a.size === b.size)
    const nearIds = ids.filter((_, n) => !b.has(n))
    const farIds = ids.filter((_, n) => !a.has(n))
    assert.equal(nearIds.length, farIds.length)
    assert.equal(xorOf(nearIds), xorOf(farIds), 'a fingerprint by XOR says that the two sets are equal')

    const holderOf = (without: ReadonlySet<number>): { set: DeltaSet; shelf: KeyShelf } => {
      const [set, shelf] = [new DeltaSet(hasher), new KeyShelf()]
      for (const [n, delta] of deltas.entries()) {
        if (without.has(n)) continue
        const key = rangeKey(delta.header.hlc, delta.id)
        set.insert(key)
        shelf.put(key, encodeDelta(delta))
      }
      return { set, shelf }
    }
    for (const withSketch of [true, false]) {
      const [near, far] = [holderOf(b), holderOf(a)]
      const side = ({ set, shelf }: typeof near): Parameters<typeof wireSession>[0] => ({
        set: withSketch ? set.snapshot() : { tree: set.tree.snapshot(), sketch: undefined },
        shelf
      })
      const log = wireSession(side(near), side(far), {
        hasher,
        records: deltaReader(hasher),
        nowMs: NOW_MS,
        salt: 'xor',
        space: SPACE
      })
      assert.equal(log.initiator.result, 'repaired')
      for (const { set, shelf } of [near, far]) {
        assert.equal(shelf.delivered.length, a.size)
        for (const record of shelf.delivered) {
          const delta = decodeDelta(record, hasher)
          assert.ok(delta.ok && verifyDelta(delta.value, hasher).ok)
          set.insert(rangeKey(delta.value.header.hlc, delta.value.id))
        }
      }
      assert.deepEqual(near.set.tree.root(), far.set.tree.root())
    }
  })

  test('by addition: sums and counts are equal for ever, and everything is found', () => {
    const common = honestKeys('common', 5_000)
    const dated = (ids: readonly Uint8Array[]): Uint8Array[] => ids.map((id) => keyAt(NOW_MS - DAY_MS, id))
    const sums = equalSums(new SeededRandom('sums'), 20)
    const [near, far] = [dated(sums[0]), dated(sums[1])]
    const idsOf = (keys: readonly Uint8Array[]): Uint8Array[] => keys.map((key) => key.subarray(6))
    assert.equal(sumOf(idsOf([...common, ...near])), sumOf(idsOf([...common, ...far])))
    const plain = (keys: readonly Uint8Array[]): RangeSet => new RangeSet(mergedKeys(new Uint8Array(0), keys))
    const blind = reconcileRanges(plain([...common, ...near]), plain([...common, ...far]))
    assert.deepEqual([blind.missing.size, blind.surplus.size], [0, 0], 'the plain protocol finds nothing')
    const seeing = reconcileRanges(plain([...common, ...near]), plain([...common, ...far.slice(1)]))
    assert.ok(seeing.missing.size + seeing.surplus.size === 39, 'and finds them all when the sums differ')

    for (const sketch of [true, false]) {
      const left = new Holder(common, near)
      const right = new Holder(common, far)
      assert.equal(left.meet(right, 'sums', { sketch }).moved, 40)
      assert.equal(left.root, right.root)
    }
  })

  test('by digests cut short: a birthday hides a range from whoever cuts without a key', () => {
    const common = honestKeys('cut', 300)
    const tree = new Holder(common).set.tree.snapshot()
    const branch = tree.branch('')
    assert.ok(branch !== undefined)
    // Some range just below the root, and the millisecond behind its last key: what is added there comes last.
    const hiding = branch.children
      .map(({ digit }) => branch.prefix + digit.toString(16))
      .find((one) => tree.countAt(one) > 9)
    assert.ok(hiding !== undefined)
    const packed = tree.list(hiding)
    const ms = Number(BigInt(`0x${toHex(packed.slice(-RANGE_KEY_BYTES)).slice(0, 12)}`)) + 1
    const cut = cutTo(4)
    const [x, y] = birthday(
      (n) => keyAt(ms, hashed(`leaf ${n}`)),
      (key) => cut(rangeLeafDigest(hasher, concatBytes(packed, key)))
    )
    assert.ok(toHex(x).startsWith(hiding), 'the added keys lie in that range')
    const [near, far] = [new Holder(common, [x]), new Holder(common, [y])]
    assert.notEqual(near.root, far.root)
    assert.deepEqual(blindWalk(near.set.tree.snapshot(), far.set.tree.snapshot(), cut), [], 'cut digests hide them')
    assert.equal(blindWalk(near.set.tree.snapshot(), far.set.tree.snapshot(), cutTo(48)).length, 2)
    for (let salt = 0; salt < 20; salt++) {
      const [a, b] = [new Holder(common, [x]), new Holder(common, [y])]
      assert.equal(a.meet(b, `cut ${salt}`, { sketch: salt % 2 === 0 }).moved, 2)
      assert.equal(a.root, b.root)
    }
  })

  test('by ids cut short: two deltas with one name are both found', () => {
    const cut = cutTo(4)
    const [x, y] = birthday(
      (n) => keyAt(NOW_MS - DAY_MS, hashed(`id ${n}`)),
      (key) => cut(key.subarray(6))
    )
    const few = honestKeys('few', 20)
    for (const sketch of [true, false]) {
      const [near, far] = [new Holder(few, [x]), new Holder(few, [y])]
      assert.deepEqual(blindWalk(near.set.tree.snapshot(), far.set.tree.snapshot(), cut), [])
      assert.equal(near.meet(far, 'ids', { sketch }).moved, 2)
      assert.equal(near.root, far.root)
    }
  })

  test('a false match of keyed digests is drawn anew in every session', () => {
    // Six bytes cannot be hit: this is our keyed digest, cut to one byte.
    const common = honestKeys('salted', 400)
    const view = (...more: Uint8Array[]): RangeTreeView => new Holder(common, more).set.tree.snapshot()
    const [near, far] = [view(keyAt(NOW_MS - DAY_MS, hashed('x'))), view(keyAt(NOW_MS - DAY_MS, hashed('y')))]
    const sessions = 2_000
    let [blind, inARow, longest] = [0, 0, 0]
    for (let session = 0; session < sessions; session++) {
      const nonce = (side: string): Uint8Array => hashed(`${side} ${session}`).subarray(0, 16)
      const digests = new ShortDigests(shortDigestKey(hasher, nonce('near'), nonce('far')))
      const found = blindWalk(near, far, (bytes) => String(digests.of(bytes) % 256))
      inARow = found.length === 0 ? inARow + 1 : 0
      if (found.length === 0) blind++
      longest = Math.max(longest, inARow)
    }
    assert.ok(blind > 0, 'a digest of one byte matches falsely now and then, or this shows nothing')
    assert.ok(blind < sessions / 20, `${blind} of ${sessions} sessions were blind`)
    assert.ok(longest <= 3, `${longest} sessions in a row were blind`)
  })
})

suite('sketches made to be wrong', () => {
  const common = honestKeys('sketched', 2_000)
  const honest = honestKeys('differences', 20)
  const [honestNear, honestFar] = [honest.slice(0, 10), honest.slice(10)]
  const ids = (count: number, label: string): Uint8Array[] => {
    const head = hashed('one short id').subarray(0, 8)
    return Array.from({ length: count }, (_, n) => keyAt(NOW_MS - DAY_MS + 7 * n, idBeginning(head, `${label}/${n}`)))
  }
  const cellsOf = ({ set }: Holder): Hex => toHex(set.snapshot().sketch?.cells(0, 16_384) ?? new Uint8Array(0))

  test('one short id on both sides: the sketches are equal, the sets are not, and the tree finds it', () => {
    const [x, y] = ids(2, 'both') as [Uint8Array, Uint8Array]
    const [near, far] = [new Holder(common, [x]), new Holder(common, [y])]
    assert.equal(cellsOf(near), cellsOf(far))
    const log = near.meet(far, 'both sides')
    assert.equal(log.initiator.method, 'tree')
    assert.equal(log.moved, 2)
    assert.equal(near.root, far.root)
  })

  for (const [count, where] of [
    [2, 'twice'],
    [3, 'three times'],
    [9, 'more often than short ids are looked up']
  ] as const) {
    test(`one short id ${where} on one side, next to honest differences`, () => {
      const [near, far] = [new Holder(common, ids(count, where), honestNear), new Holder(common, honestFar)]
      const log = near.meet(far, where)
      assert.ok(log.compareBytes <= 10_000, `${log.compareBytes} bytes`)
      // What the one lookup by short id leaves out is there for the next session.
      const again = near.root === far.root ? 0 : near.meet(far, `${where}, again`).moved
      assert.equal(log.moved + again, 20 + count)
      assert.equal(near.root, far.root)
    })
  }

  test('ids that share the first cell and no other cannot be peeled; the honest ones beside them are not held up', () => {
    for (const [onNear, onFar] of [
      [2, 0],
      [1, 1],
      [7, 5],
      [40, 0]
    ] as const) {
      const crafted = lonelyShortIds(onNear + onFar).map((short, n) =>
        keyAt(NOW_MS - DAY_MS + 991 * n, idBeginning(short, `lonely ${n}`))
      )
      const near = new Holder(common, crafted.slice(0, onNear), honestNear)
      const far = new Holder(common, crafted.slice(onNear), honestFar)
      const log = near.meet(far, `lonely ${onNear} ${onFar}`)
      assert.equal(log.moved, 20 + onNear + onFar)
      assert.equal(near.root, far.root)
      assert.ok(log.compareBytes <= 30_000, `${log.compareBytes} bytes`)
    }
  })

  test('ids that cancel in every cell are invisible to the sketch, and found all the same', () => {
    const shorts = lonelyShortIds(240)
    const [a, b] = equalXor(
      shorts.map((short) => {
        const view = new DataView(short.buffer, short.byteOffset)
        return concatBytes(short, uintBytes(checkOf(view.getInt32(0), view.getInt32(4)), 4))
      })
    )
    const crafted = (chosen: readonly number[]): Uint8Array[] =>
      chosen.map((n) => keyAt(NOW_MS - DAY_MS + 13 * n, idBeginning(shorts[n] ?? new Uint8Array(8), `hidden ${n}`)))
    const [x, y] = [crafted(a), crafted(b)]
    assert.ok(x.length >= 4 && x.length === y.length)

    const [near, far] = [new Holder(common, x), new Holder(common, y)]
    assert.equal(cellsOf(near), cellsOf(far), 'the sketch sees nothing')
    assert.equal(near.meet(far, 'hidden').moved, x.length + y.length)
    assert.equal(near.root, far.root)

    // Honest differences are all the sketch can see: it takes them for everything, and the rest waits for the next session.
    const [busy, other] = [new Holder(common, x, honestNear), new Holder(common, y, honestFar)]
    const first = busy.meet(other, 'hidden behind others')
    assert.ok(first.moved >= 20)
    const second = busy.root === other.root ? 0 : busy.meet(other, 'hidden behind others, again').moved
    assert.equal(first.moved + second, 20 + x.length + y.length)
    assert.equal(busy.root, other.root)
  })

  test('keys sort as they should in all of these sets', () => {
    // The crafted sets would prove nothing about a tree that held something else.
    const { set } = new Holder(common, honest)
    const keys = set.tree.snapshot().keysFrom(undefined, 3_000)
    assert.equal(keys.length, 2_020)
    assert.ok(keys.every((key, i) => i === 0 || compareBytes(keys[i - 1] ?? key, key) < 0))
  })
})
