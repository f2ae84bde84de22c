/**
 * Peers that break the protocol. A lie that can be seen ends the session and is named; a lie that cannot costs one
 * session's budget at most; no lie adds anything to the set but what every delta has to pass anyway.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { FrameWriter } from '../../../src/sync/frame-bytes.ts'
import { writeNode } from '../../../src/sync/recon-answers.ts'
import { decodeReconFrame, encodeReconFrame, type Frame, type Hello } from '../../../src/sync/recon-codec.ts'
import type { SessionOutcome } from '../../../src/sync/recon-session.ts'
import {
  bottomless,
  key,
  NOW_MS,
  recordOf,
  session,
  settle,
  Side,
  SPACE,
  someKeys,
  type SideOptions
} from './recon-pair.ts'

const bytes = (length: number, fill = 7): Uint8Array => new Uint8Array(length).fill(fill)
const GREETING = { count: 1_000, nowMs: NOW_MS }
const HELLO: Hello = {
  frame: 'hello',
  space: SPACE,
  nonce: bytes(16),
  prefix: '',
  count: 1,
  root: bytes(16),
  nowMs: NOW_MS,
  settlingMs: 0,
  cells: undefined
}
const CELLS = bytes(32 * 13)

const tree = (write: (w: FrameWriter) => void = (w) => w.byte(0), changes: object = {}): Frame => {
  const writer = new FrameWriter()
  write(writer)
  return { frame: 'tree', greeting: GREETING, nonce: bytes(16), estimate: 0, body: writer.done(), ...changes }
}
const step = (...body: number[]): Frame => ({ frame: 'step', body: new Uint8Array(body) })
const deltas = (records: readonly Uint8Array[], changes: object = {}): Frame => {
  return { frame: 'deltas', last: false, cut: false, skipped: 0, records, ...changes }
}
const last = (records: readonly Uint8Array[] = []): Frame => deltas(records, { last: true })
const ack = (accepted: number, known = 0, refused = 0): Frame => ({ frame: 'ack', accepted, known, refused })

type Said = Frame | Uint8Array

/** Feeds what a liar says to a machine of `side`, one thing after the other; how it ended, with a timeout at the latest. */
function told(
  side: Side,
  role: 'initiator' | 'responder',
  said: Iterable<Said>,
  options: SideOptions = {}
): SessionOutcome & { readonly frames: (Frame | undefined)[] } {
  const machine = role === 'initiator' ? side.initiator(options) : side.responder(options)
  const frames: (Frame | undefined)[] = []
  const take = (event: Parameters<typeof settle>[2]): SessionOutcome | undefined => {
    const { frames: sent, outcome } = settle(machine, side, event)
    frames.push(...sent.map(decodeReconFrame))
    return outcome
  }
  let outcome = take({ event: 'start' })
  for (const one of said) {
    outcome ??= take({ event: 'frame', bytes: one instanceof Uint8Array ? one : encodeReconFrame(one) })
    if (outcome !== undefined) break
  }
  outcome ??= take({ event: 'timeout', because: 'still' })
  assert.ok(outcome !== undefined)
  return { ...outcome, frames }
}

interface Lie {
  readonly name: string
  readonly violation: SessionOutcome['violation']
  readonly said: readonly Said[]
  readonly keys?: number
  readonly options?: SideOptions
}

function check(role: 'initiator' | 'responder', lies: readonly Lie[]): void {
  for (const { name, violation, said, keys, options } of lies) {
    test(`${name}: ${String(violation)}`, () => {
      const side = new Side(someKeys('mine', keys ?? 300))
      const before = side.tree.count
      const outcome = told(side, role, said, options)
      assert.deepEqual([outcome.result, outcome.violation], ['failed', violation])
      assert.ok(outcome.metadataBytes <= LIMITS.reconSessionMetadataBytesMax)
      assert.equal(side.tree.count - before, outcome.accepted)
    })
  }
}

const young = recordOf(key(NOW_MS - 60_000, 'new to everybody'))
const older = recordOf(key(NOW_MS - 90_000, 'new as well'))

suite('lying responders', () => {
  const diff = { frame: 'diff', greeting: GREETING, complete: true, pushes: 0, wants: [bytes(8)] } as const
  check('initiator', [
    { name: 'sends garbage', violation: 'malformed', said: [new Uint8Array([0xff, 0, 1])] },
    { name: 'sends nothing in a frame', violation: 'malformed', said: [new Uint8Array(0)] },
    { name: 'says hello itself', violation: 'out-of-order', said: [HELLO] },
    { name: 'sends deltas before it has said who it is', violation: 'out-of-order', said: [last([young])] },
    { name: 'acknowledges before anything', violation: 'out-of-order', said: [ack(0)] },
    { name: 'gives an outline', violation: 'out-of-order', said: [{ frame: 'parts', parts: [] }] },
    {
      name: 'gives deltas nobody fetched',
      violation: 'out-of-order',
      said: [{ frame: 'fetched', last: true, records: [] }]
    },
    { name: 'does not greet', violation: 'out-of-order', said: [tree(undefined, { greeting: undefined })] },
    {
      name: 'greets twice',
      violation: 'out-of-order',
      said: [{ frame: 'more', greeting: GREETING, cells: 40 }, tree()]
    },
    {
      name: 'is equal in the middle',
      violation: 'out-of-order',
      said: [{ frame: 'more', greeting: GREETING, cells: 40 }, { frame: 'equal' }]
    },
    {
      name: 'steps before there is a tree',
      violation: 'out-of-order',
      said: [{ frame: 'more', greeting: GREETING, cells: 40 }, step(0, 0)]
    },
    {
      name: 'wants fewer cells than it has',
      violation: 'unasked',
      said: [{ frame: 'more', greeting: GREETING, cells: 32 }]
    },
    {
      name: 'wants cells of no sketch',
      violation: 'unasked',
      said: [{ frame: 'more', greeting: GREETING, cells: 99 }],
      options: { sketch: false }
    },
    { name: 'read a difference off no cells', violation: 'unasked', said: [diff], options: { expectEqual: true } },
    {
      name: 'found no difference, and said that there is one',
      violation: 'contradiction',
      said: [{ ...diff, wants: [] }]
    },
    { name: 'shows a node of our own', violation: 'malformed', said: [tree((w) => w.byte(0x80).uint16(0))] },
    {
      name: 'says more after it has said everything',
      violation: 'out-of-order',
      said: [diff, tree(undefined, { greeting: undefined })]
    },
    {
      name: 'tells a part, and then nothing of the rest',
      violation: 'out-of-order',
      said: [{ ...diff, complete: false }, step(0, 0)]
    },
    { name: 'sends what is no delta', violation: 'record', said: [tree(), last([new Uint8Array(5)])] },
    { name: 'sends a page out of order', violation: 'unasked', said: [tree(), last([young, older])] },
    { name: 'sends empty pages', violation: 'no-progress', said: [tree(), deltas([])] },
    { name: 'sends after its last page', violation: 'out-of-order', said: [tree(), last([young]), last([older])] },
    { name: 'acknowledges another number than was sent', violation: 'count', said: [tree(), ack(301)] },
    { name: 'acknowledges more pages than were sent', violation: 'out-of-order', said: [tree(), ack(300), ack(300)] }
  ])

  test('asks for more cells again and again: budget', () => {
    const side = new Side(someKeys('mine', 300))
    const more = (i: number): Frame => ({
      frame: 'more',
      greeting: i === 0 ? GREETING : undefined,
      cells: 100 * (i + 1)
    })
    const within = Array.from({ length: LIMITS.reconMoresMax }, (_, i) => more(i))
    assert.equal(told(side, 'initiator', within).violation, undefined)
    assert.equal(told(side, 'initiator', [...within, more(within.length)]).violation, 'budget')
  })

  test('sends what our snapshot held: 64 of them may be an accident', () => {
    const keys = someKeys('mine', 300).sort((a, b) => Buffer.compare(a, b))
    for (const count of [LIMITS.reconKnownPushesMax, LIMITS.reconKnownPushesMax + 1]) {
      const side = new Side(keys)
      const page = last(keys.slice(0, count).map((one) => recordOf(one)))
      const { violation, known } = told(side, 'initiator', [tree(), page])
      assert.deepEqual([violation, known], [count > LIMITS.reconKnownPushesMax ? 'unasked' : undefined, count])
    }
  })

  test('sends more pages than it was granted: budget', () => {
    for (const pages of [LIMITS.reconWindowPagesMax, LIMITS.reconWindowPagesMax + 1]) {
      const side = new Side()
      const machine = side.initiator()
      machine.handle({ event: 'start' })
      machine.handle({ event: 'frame', bytes: encodeReconFrame(tree((w) => w.byte(1).short(5))) })
      let violation: SessionOutcome['violation']
      for (let i = 0; i < pages; i++) {
        // Never answered: the store is slow.
        const page = encodeReconFrame(deltas([recordOf(key(NOW_MS - 60_000 + i, 'flood'))]))
        for (const action of machine.handle({ event: 'frame', bytes: page })) {
          if (action.action === 'done') violation = action.outcome.violation
        }
      }
      assert.equal(violation, pages > LIMITS.reconWindowPagesMax ? 'budget' : undefined)
    }
  })

  test('sends deltas without end: budget', () => {
    const side = new Side()
    function* flood(): Generator<Said> {
      yield tree((w) => w.byte(1).short(5))
      for (let page = 0; ; page++) {
        const records = Array.from({ length: 1_000 }, (_, i) => recordOf(key(1_000 + 1_000 * page + i, 'flood'), 0))
        yield deltas(records)
      }
    }
    const outcome = told(side, 'initiator', flood())
    assert.equal(outcome.violation, 'budget')
    assert.equal(side.tree.count, LIMITS.reconSessionDeltasMax)
  })

  test('promises and does not deliver: withheld, in whatever way it promised', () => {
    const side = (): Side => new Side(someKeys('mine', 300))
    const ended = told(side(), 'initiator', [{ ...diff, pushes: 20, wants: [] }, last()])
    assert.deepEqual([ended.result, ended.withheld, ended.violation], ['partial', 20, undefined])
    const listed = told(new Side(), 'initiator', [tree((w) => w.byte(2).short(5).short(6)), step(0, 0), last()])
    assert.equal(listed.violation, 'out-of-order', 'what we want needs no further step')
    const list = told(new Side(), 'initiator', [tree((w) => w.byte(2).short(5).short(6)), last()])
    assert.deepEqual([list.result, list.withheld], ['partial', 2])
  })

  test('leaves young deltas out that nobody asked it to: nothing is called repaired', () => {
    const outcome = told(new Side(), 'initiator', [
      tree((w) => w.byte(1).short(5)),
      deltas([], { last: true, skipped: 9e15 })
    ])
    assert.deepEqual([outcome.result, outcome.withheld], ['partial', 0])
    assert.ok(outcome.settling <= LIMITS.reconSessionDeltasMax)
  })

  test('wants short ids that we hold nothing of: they are looked for once, and nothing is sent', () => {
    const random = new SeededRandom('wants')
    const wants = Array.from({ length: 5_000 }, () => random.bytes(8)).sort((a, b) => Buffer.compare(a, b))
    const side = new Side(someKeys('mine', 300))
    let asked = 0
    const loadShort = side.loadShort.bind(side)
    side.loadShort = (shorts) => {
      asked += shorts.length
      return loadShort(shorts)
    }
    const outcome = told(side, 'initiator', [{ ...diff, wants }, last()])
    assert.deepEqual([outcome.result, outcome.sent, outcome.peerHoldsAll, asked], ['partial', 0, false, 5_000])
  })

  test('stops half-way: what came is kept, and the outcome says so', () => {
    const side = new Side(someKeys('mine', 300))
    const outcome = told(side, 'initiator', [tree((w) => w.byte(1).short(5)), deltas([older]), deltas([young])])
    assert.deepEqual([outcome.result, outcome.accepted, side.tree.count], ['partial', 2, 302])
    assert.match(outcome.detail ?? '', /nothing moved/)
  })

  test('lies about its count, and about how much differs: both are only counted', () => {
    for (const count of [0, 1, Number.MAX_SAFE_INTEGER]) {
      for (const estimate of [0, 1, 5_000, Number.MAX_SAFE_INTEGER]) {
        const random = new SeededRandom(`${count} ${estimate}`)
        const children = Array.from({ length: 16 }, () => random.below(2 ** 48))
        const node = (w: FrameWriter): void => writeNode('', { prefix: '', bitmap: 0xffff, digests: children }, w)
        const outcome = told(new Side(someKeys('mine', 3_000)), 'initiator', [
          tree(node, { greeting: { count, nowMs: NOW_MS }, estimate })
        ])
        assert.deepEqual([outcome.violation, outcome.peerCount], [undefined, count])
        assert.ok(outcome.metadataBytes < LIMITS.reconSessionMetadataBytesMax)
      }
    }
  })
})

suite('lying initiators', () => {
  const hello = (changes: Partial<Hello> = {}): Hello => ({ ...HELLO, ...changes })
  check('responder', [
    { name: 'sends garbage', violation: 'malformed', said: [new Uint8Array([1, 2, 3])] },
    { name: 'steps before it said hello', violation: 'out-of-order', said: [step(0, 0)] },
    { name: 'sends deltas before it said hello', violation: 'out-of-order', said: [last([young])] },
    { name: 'says hello twice', violation: 'out-of-order', said: [hello(), hello()] },
    { name: 'answers like a responder', violation: 'out-of-order', said: [hello(), tree()] },
    {
      name: 'sends cells of a sketch it said it has not',
      violation: 'unasked',
      said: [hello(), { frame: 'cells', cells: CELLS }]
    },
    {
      name: 'sends more cells than it was asked for',
      violation: 'unasked',
      said: [hello({ cells: CELLS }), { frame: 'cells', cells: bytes(16_000 * 13) }]
    },
    {
      name: 'sends cells after a step',
      violation: 'out-of-order',
      keys: 30,
      // It looked like a long absence, so the tree came first; the list is asked for again as a node, and is empty there.
      said: [hello({ count: 5_000, cells: CELLS }), step(0, 4, 1, 0), { frame: 'cells', cells: CELLS }]
    },
    { name: 'says that nothing differs', violation: 'contradiction', said: [hello(), step(0, 0, 0, 0, 0)] },
    { name: 'steps into nothing', violation: 'malformed', said: [hello(), step()] },
    { name: 'sends what is no delta', violation: 'record', said: [hello(), last([new Uint8Array(3)])] },
    { name: 'sends a page out of order', violation: 'unasked', said: [hello(), last([young, older])] },
    { name: 'acknowledges what was not sent', violation: 'out-of-order', said: [hello(), ack(1)] }
  ])

  test('asks to go back to the sketch twice', () => {
    const side = new Side(someKeys('mine', 3_000))
    const outcome = told(side, 'responder', [
      // As many as we hold, so that the difference does not look one-sided, and cells that say nothing.
      hello({ count: 3_000, cells: bytes(32 * 13, 0x5a) }),
      ...Array.from({ length: 12 }, () => ({ frame: 'cells', cells: bytes(13, 0x5a) }) as const)
    ])
    assert.ok(outcome.violation === 'out-of-order' || outcome.violation === 'unasked', outcome.violation)
    assert.ok(outcome.frames.filter((frame) => frame?.frame === 'tree').length <= 2)
  })

  test('a sketch that does not decode: what can be read goes at once, the tree finds the rest', () => {
    // Forty of our ids are put in twice by the peer: their cells hold two, and never become one.
    const common = someKeys('common', 1_000)
    const [a, b] = [new Side([...common, ...someKeys('a', 10)]), new Side([...common, ...someKeys('b', 10)])]
    for (const one of someKeys('crafted', 40)) a.set.sketch?.add(one, 6)
    const log = session(a, b)
    assert.ok(['tree', 'both'].includes(log.initiator.method))
    assert.deepEqual(a.tree.root(), b.tree.root())
    for (const end of [log.initiator, log.responder]) assert.deepEqual([end.violation, end.withheld], [undefined, 0])
  })

  test('a sketch of noise: a session of the tree, and no harm', () => {
    const random = new SeededRandom('noise')
    for (let i = 0; i < 20; i++) {
      const common = someKeys('common', 500)
      const [a, b] = [new Side([...common, ...someKeys('a', 5)]), new Side([...common, ...someKeys('b', 5)])]
      const log = session(a, b, {
        tamper: (frame, index) => {
          const decoded = decodeReconFrame(frame)
          if (decoded?.frame === 'hello' && index === 0) {
            return encodeReconFrame({ ...decoded, cells: random.bytes(32 * 13) })
          }
          return decoded?.frame === 'cells'
            ? encodeReconFrame({ frame: 'cells', cells: random.bytes(decoded.cells.length) })
            : frame
        }
      })
      assert.deepEqual([log.initiator.violation, log.responder.violation], [undefined, undefined])
      assert.deepEqual(a.tree.root(), b.tree.root())
    }
  })

  test('pushes without end: budget', () => {
    const side = new Side()
    let next = 0
    const page = (): Frame => deltas(Array.from({ length: 1_000 }, () => recordOf(key(1_000 + next++, 'flood'), 0)))
    const outcome = told(side, 'responder', [hello(), ...Array.from({ length: 22 }, page)])
    assert.equal(outcome.violation, 'budget')
    assert.equal(side.tree.count, LIMITS.reconSessionDeltasMax)
  })

  test('sends one delta again and again: it is stored once, and the budget ends it', () => {
    const side = new Side()
    const again = deltas(Array.from({ length: 1_000 }, () => young))
    const outcome = told(side, 'responder', [hello(), ...Array.from({ length: 22 }, () => again)])
    assert.deepEqual([outcome.violation, side.tree.count], ['budget', 1])
  })

  test('compares without end, on either side: the budget ends it, and both say that it was cut', () => {
    for (const role of ['near', 'far'] as const) {
      const honest = new Side(someKeys('large', 5_000))
      const liar = new Side()
      liar.snapshot = () => ({ tree: bottomless(), sketch: undefined })
      const log = role === 'near' ? session(liar, honest) : session(honest, liar)
      const outcome = role === 'near' ? log.responder : log.initiator
      assert.deepEqual([outcome.result, outcome.cut, outcome.violation], ['partial', true, undefined])
      assert.ok(outcome.metadataBytes <= LIMITS.reconSessionMetadataBytesMax)
      assert.deepEqual([outcome.received, outcome.peerHoldsAll, honest.tree.count], [0, false, 5_000])
    }
  })
})

suite('frames of another session', () => {
  const common = someKeys('common', 800)
  const sides = (): [Side, Side] => [
    new Side([...common, ...someKeys('a', 4)]),
    new Side([...common, ...someKeys('b', 4)])
  ]

  test('replayed to an initiator they prove nothing equal, and add nothing', () => {
    for (const sketch of [true, false]) {
      const recorded = session(...sides(), { sketch })
      const answers = recorded.bytes.filter((_, i) => recorded.from[i] === 'responder')
      const [a] = sides()
      const outcome = told(a, 'initiator', answers, { sketch })
      assert.notEqual(outcome.result, 'equal')
      assert.ok(!outcome.peerHoldsAll || outcome.method === 'sketch', outcome.method)
      assert.ok(a.tree.count <= 808, 'nothing that was not in the recording')
    }
    const equal = session(new Side(common), new Side(common))
    const replayed = told(new Side(common), 'initiator', [equal.bytes[1] as Uint8Array])
    assert.equal(replayed.result, 'equal', 'whoever says so lies about itself only')
  })

  test('replayed to a responder they are judged by what it holds now', () => {
    const recorded = session(new Side(common), new Side(common))
    const now = new Side([...common, ...someKeys('later', 3)])
    const outcome = told(now, 'responder', [recorded.bytes[0] as Uint8Array])
    assert.notEqual(outcome.result, 'equal')
    assert.equal(toHex(now.tree.root()), toHex(new Side([...common, ...someKeys('later', 3)]).tree.root()))
  })
})
