/**
 * Peers that break the protocol. A lie that can be seen ends the session and is named; a lie that cannot costs one
 * session's budget at most; no lie adds anything to the set that was not asked for.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { toHex } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { decodeReconFrame, encodeReconFrame, type Frame } from '../../../src/sync/recon-codec.ts'
import type { SessionOutcome } from '../../../src/sync/recon-session.ts'
import { rangeLeafDigest } from '../../../src/sync/range-tree.ts'
import { NOW_MS, SPACE, Side, hasher, key, recordOf, settle, someKeys } from './recon-pair.ts'

const ROOT = new Uint8Array(48).fill(1)

/** Plays an initiator against a scripted responder: the script maps each request to an answer, or to raw bytes. */
function against(side: Side, liar: (request: Frame) => Frame | Uint8Array | undefined): SessionOutcome {
  const machine = side.initiator()
  let step = settle(machine, side, { event: 'start' })
  for (let round = 0; round < 100_000; round++) {
    if (step.outcome !== undefined) return step.outcome
    const request = decodeReconFrame(step.frames[0] as Uint8Array)
    assert.ok(request.ok)
    const answer = liar(request.value)
    if (answer === undefined) return settle(machine, side, { event: 'timeout' }).outcome as SessionOutcome
    const bytes = answer instanceof Uint8Array ? answer : encodeReconFrame(answer)
    step = settle(machine, side, { event: 'frame', bytes })
  }
  return assert.fail('the session never ended')
}

/** Feeds frames to a responder that holds `side`; the outcome, if it came to one. */
function asked(side: Side, frames: readonly (Frame | Uint8Array)[]): SessionOutcome | undefined {
  const machine = side.responder()
  for (const frame of frames) {
    const bytes = frame instanceof Uint8Array ? frame : encodeReconFrame(frame)
    const { outcome } = settle(machine, side, { event: 'frame', bytes })
    if (outcome !== undefined) return outcome
  }
  return undefined
}

const hello: Frame = { frame: 'hello', version: 1, space: SPACE, count: 1, root: ROOT }
const welcome = (count = 1_000): Frame => ({ frame: 'welcome', count, root: ROOT })
const want = (ranges: string[], keys: string[] = []): Frame => ({
  frame: 'want',
  skipFromMs: 0,
  skipToMs: 0,
  untilMs: NOW_MS,
  ranges,
  keys
})

/** A responder that is honest except where `lie` answers. */
function mostlyHonest(side: Side, lie: (request: Frame) => Frame | undefined): (request: Frame) => Frame | Uint8Array {
  const honest = side.responder()
  return (request) => {
    const answer = settle(honest, side, { event: 'frame', bytes: encodeReconFrame(request) }).frames[0] as Uint8Array
    return lie(request) ?? answer
  }
}

suite('lying responders', () => {
  const mine = (): Side => new Side(someKeys('mine', 300))
  const theirs = (): Side => new Side([...someKeys('mine', 280), ...someKeys('theirs', 20)])

  const lies: readonly [string, SessionOutcome['violation'], () => SessionOutcome][] = [
    ['sends garbage', 'malformed', () => against(mine(), () => new Uint8Array([0xff, 0, 1]))],
    ['sends nothing in a frame', 'malformed', () => against(mine(), () => new Uint8Array(0))],
    ['answers what was not asked', 'out-of-order', () => against(mine(), () => ({ frame: 'next' }))],
    [
      'sends deltas instead of a welcome',
      'out-of-order',
      () => against(mine(), () => ({ frame: 'deltas', more: false, skipped: 0, records: [recordOf(key(5, 'x'))] }))
    ],
    ['claims an empty set with a root of its own', 'contradiction', () => against(mine(), () => welcome(0))],
    [
      'welcomes with the very root it was told',
      'contradiction',
      () =>
        against(mine(), (request) => ({
          frame: 'welcome',
          count: 3,
          root: (request as typeof request & { root: Uint8Array }).root
        }))
    ],
    [
      'answers more ranges than were asked',
      'unasked',
      () =>
        against(mine(), (request) =>
          request.frame === 'hello' ? welcome() : { frame: 'answers', answers: [list([]), list([])] }
        )
    ],
    [
      'lists keys outside of the range',
      'unasked',
      () =>
        against(
          mine(),
          mostlyHonest(theirs(), (request) =>
            request.frame === 'ask' && request.prefixes[0] !== ''
              ? { frame: 'answers', answers: [list([toHex(key(2 ** 48 - 1, 'elsewhere'))])] }
              : undefined
          )
        )
    ],
    [
      'lists keys that do not hash to the digest it claimed',
      'contradiction',
      () =>
        against(mine(), (request) =>
          request.frame === 'hello' ? welcome() : { frame: 'answers', answers: [list([toHex(key(5, 'made up'))])] }
        )
    ],
    [
      'branches outside of the range',
      'unasked',
      () =>
        against(mine(), (request) =>
          request.frame === 'hello'
            ? welcome()
            : request.frame === 'ask' && request.prefixes[0] === ''
              ? { frame: 'answers', answers: [everywhere('')] }
              : { frame: 'answers', answers: [everywhere('ffff')] }
        )
    ],
    [
      'shows children equal to ours under a digest that differs',
      'contradiction',
      () => {
        const side = mine()
        const view = side.tree.snapshot()
        const branch = view.branch('')
        assert.ok(branch !== undefined)
        return against(side, (request) =>
          request.frame === 'hello'
            ? welcome()
            : { frame: 'answers', answers: [{ kind: 'node', prefix: branch.prefix, children: branch.children }] }
        )
      }
    ],
    [
      'promises more and sends nothing',
      'no-progress',
      () =>
        against(new Side(), (request) =>
          request.frame === 'hello' ? welcome() : { frame: 'deltas', more: true, skipped: 0, records: [] }
        )
    ],
    [
      'sends records that are none',
      'record',
      () =>
        against(new Side(), (request) =>
          request.frame === 'hello'
            ? welcome()
            : { frame: 'deltas', more: false, skipped: 0, records: [new Uint8Array(5)] }
        )
    ],
    [
      'sends the same record twice',
      'unasked',
      () =>
        against(new Side(), (request) => {
          if (request.frame === 'hello') return welcome()
          return { frame: 'deltas', more: true, skipped: 0, records: [recordOf(key(5, 'again'))] }
        })
    ],
    [
      'sends records out of order',
      'unasked',
      () =>
        against(new Side(), (request) => {
          const records = [recordOf(key(6, 'later')), recordOf(key(5, 'sooner'))]
          return request.frame === 'hello' ? welcome() : { frame: 'deltas', more: false, skipped: 0, records }
        })
    ],
    [
      'sends deltas that were not wanted',
      'unasked',
      () =>
        against(
          mine(),
          mostlyHonest(theirs(), (request) =>
            request.frame === 'want'
              ? { frame: 'deltas', more: false, skipped: 0, records: [recordOf(key(1_234, 'unwanted'))] }
              : undefined
          )
        )
    ],
    [
      'acknowledges another number than was pushed',
      'count',
      () =>
        against(
          mine(),
          mostlyHonest(new Side(), (request) =>
            request.frame === 'push' ? { frame: 'ack', accepted: 301, known: 0, refused: 0 } : undefined
          )
        )
    ]
  ]
  for (const [name, violation, run] of lies) {
    test(`${name}: ${String(violation)}`, () => {
      const outcome = run()
      assert.deepEqual([outcome.result, outcome.violation], ['failed', violation])
      assert.ok(outcome.metadataBytes <= LIMITS.reconSessionMetadataBytesMax)
    })
  }

  test('splits without end, under digests that never match: the budget ends it', () => {
    const random = new SeededRandom('splits')
    const side = new Side(someKeys('mine', 5_000))
    const outcome = against(side, (request) => {
      if (request.frame === 'hello') return welcome(1_000_000)
      if (request.frame === 'want') return { frame: 'deltas', more: false, skipped: 0, records: [] }
      if (request.frame !== 'ask') return undefined
      const deepest = request.prefixes.filter((prefix) => prefix.length < 75)
      if (deepest.length === 0) return undefined
      const answers = request.prefixes.map((prefix) => everywhere(prefix.length < 76 ? prefix : '', random))
      while (encodeReconFrame({ frame: 'answers', answers }).length > LIMITS.reconFrameBytesMax) answers.pop()
      return { frame: 'answers', answers }
    })
    assert.notEqual(outcome.result, 'repaired')
    assert.equal(outcome.received, 0)
    assert.ok(outcome.metadataBytes <= LIMITS.reconSessionMetadataBytesMax, `${outcome.metadataBytes}`)
  })

  test('sends deltas without end: the budget ends it', () => {
    let next = 0
    const side = new Side()
    const outcome = against(side, (request) => {
      if (request.frame === 'hello') return welcome(2 ** 40)
      if (request.frame !== 'want' && request.frame !== 'next') return undefined
      const records = Array.from({ length: 900 }, () => recordOf(key(1_000 + next++, 'flood')))
      return { frame: 'deltas', more: true, skipped: 0, records }
    })
    assert.ok(outcome.received <= LIMITS.reconSessionDeltasMax)
    assert.equal(outcome.violation, 'budget')
  })

  test('withholds everything: nothing is gained, nothing is broken', () => {
    const side = mine()
    const outcome = against(
      side,
      mostlyHonest(theirs(), (request) =>
        request.frame === 'want' ? { frame: 'deltas', more: false, skipped: 0, records: [] } : undefined
      )
    )
    assert.equal(side.tree.count, 300)
    assert.deepEqual([outcome.result, outcome.withheld], ['partial', 20])
  })

  test('leaves young keys out that nobody asked it to: the session is not called repaired', () => {
    const outcome = against(new Side(), (request) =>
      request.frame === 'hello' ? welcome() : { frame: 'deltas', more: false, skipped: 9e15, records: [] }
    )
    assert.equal(outcome.result, 'partial')
    assert.ok(outcome.settling <= LIMITS.reconSessionDeltasMax)
  })
})

suite('lying initiators', () => {
  const keys = someKeys('held', 200)
  const held = (): Side => new Side(keys)
  const records = keys.slice(0, 2).map((one) => recordOf(one))

  const lies: readonly [string, SessionOutcome['violation'], readonly (Frame | Uint8Array)[]][] = [
    ['sends garbage', 'malformed', [new Uint8Array([1, 2, 3])]],
    ['asks before it said hello', 'out-of-order', [{ frame: 'ask', prefixes: [''] }]],
    ['says hello twice', 'out-of-order', [hello, hello]],
    ['answers', 'out-of-order', [hello, { frame: 'ack', accepted: 0, known: 0, refused: 0 }]],
    ['asks for the next page of nothing', 'out-of-order', [hello, { frame: 'next' }]],
    ['wants keys we never had', 'unasked', [hello, want([], [toHex(key(9, 'never'))])]],
    ['wants a range we never had', 'unasked', [hello, want(['ffff'])]],
    [
      'wants one thing twice',
      'unasked',
      [hello, want([toHex(keys[0] as Uint8Array).slice(0, 9)], [toHex(keys[0] as Uint8Array)])]
    ],
    ['has keys passed over by the year', 'budget', [hello, { ...want(['']), skipToMs: NOW_MS } as Frame]],
    ['pushes what we hold', 'unasked', [hello, { frame: 'push', records: records.slice(0, 1) }]],
    ['pushes what is no delta', 'record', [hello, { frame: 'push', records: [new Uint8Array(3)] }]],
    [
      'pushes out of order',
      'unasked',
      [hello, { frame: 'push', records: [recordOf(key(9, 'b')), recordOf(key(8, 'a'))] }]
    ]
  ]
  for (const [name, violation, frames] of lies) {
    test(`${name}: ${String(violation)}`, () => {
      const side = held()
      const outcome = asked(side, frames)
      assert.deepEqual([outcome?.result, outcome?.violation], ['failed', violation])
      assert.equal(side.tree.count, 200)
    })
  }

  test('asks for ever: the budget ends it', () => {
    const side = new Side(someKeys('large', 5_000))
    const ask: Frame = { frame: 'ask', prefixes: [''] }
    const outcome = asked(side, [hello, ...Array.from({ length: 20_000 }, () => ask)])
    assert.equal(outcome?.violation, 'budget')
    assert.ok((outcome?.metadataBytes ?? 0) <= LIMITS.reconSessionMetadataBytesMax + LIMITS.reconFrameBytesMax)
  })

  test('fetches everything again and again: the budget ends it', () => {
    const side = new Side(someKeys('large', 5_000), 0)
    const frames = Array.from({ length: 9 }, () => [want(['']), ...Array.from({ length: 1 }, () => want(['']))]).flat()
    const outcome = asked(side, [hello, ...frames])
    assert.equal(outcome?.violation, 'budget')
    assert.equal(outcome?.sent, LIMITS.reconSessionDeltasMax)
  })

  test('pushes without end: the budget ends it', () => {
    const side = new Side()
    let next = 0
    const page = (): Frame => ({
      frame: 'push',
      records: Array.from({ length: 1_000 }, () => recordOf(key(1_000 + next++, 'flood'), 0))
    })
    const outcome = asked(side, [hello, ...Array.from({ length: 22 }, page)])
    assert.equal(outcome?.violation, 'budget')
    assert.equal(side.tree.count, LIMITS.reconSessionDeltasMax)
  })

  test('leaves in the middle: what it pushed is kept, and the outcome says so', () => {
    const side = held()
    const machine = side.responder()
    settle(machine, side, { event: 'frame', bytes: encodeReconFrame(hello) })
    const pushed: Frame = { frame: 'push', records: [recordOf(key(77, 'new'))] }
    settle(machine, side, { event: 'frame', bytes: encodeReconFrame(pushed) })
    const { outcome } = settle(machine, side, { event: 'closed', reason: 'gone' })
    assert.deepEqual([outcome?.result, outcome?.accepted, outcome?.detail], ['partial', 1, 'gone'])
    assert.equal(side.tree.count, 201)
  })
})

function list(keys: readonly string[]): { kind: 'list'; keys: readonly string[] } {
  return { kind: 'list', keys }
}

function everywhere(
  prefix: string,
  random?: SeededRandom
): { kind: 'node'; prefix: string; children: { digit: number; digest: Uint8Array }[] } {
  const children = Array.from({ length: 16 }, (_, digit) => ({
    digit,
    digest: random?.bytes(16) ?? rangeLeafDigest(hasher, new Uint8Array(0)).slice(0, 16)
  }))
  return { kind: 'node', prefix, children }
}
