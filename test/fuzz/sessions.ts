/**
 * Reconciliation sessions between an honest side and one whose frames are hurt on the way: from some frame on, anywhere in
 * the session, in either role. The victim must come to an end, once, within its budget, without throwing and without
 * allocating what a frame merely claims; and whatever it hands on for storing goes through the judgement of test/fuzz/deltas.ts.
 */
import { getHeapStatistics } from 'node:v8'
import { LIMITS } from '../../src/base/limits.ts'
import type { SeededRandom } from '../../src/base/prng.ts'
import { encodeDelta } from '../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../src/memory/delta.ts'
import { rangeKey } from '../../src/memory/names.ts'
import { DeltaSet, type SetSnapshot } from '../../src/sync/delta-set.ts'
import {
  deltaReader,
  type SessionAction,
  type SessionBounds,
  type SessionEvent,
  type SessionOutcome
} from '../../src/sync/recon-session.ts'
import { Initiator, Responder } from '../../src/sync/reconciler.ts'
import { identity, SPACE } from '../support/sealed.ts'
import { answered, KeyShelf, type Role, type Shelf } from '../support/session-wire.ts'
import type { DeltaFuzz, Tally } from './deltas.ts'
import { hurtKnowingly } from './knowing.ts'
import { mutate, pick } from './mutate.ts'

const NOW_MS = 1_700_000_000_000 + 3_600_000
/** Frames of nobody's session that are fed when the honest side has given up. */
const STRAYS_MAX = 24
const REPEATS_MAX = 8
/** More than any frame may make a machine allocate at once: what is honestly loaded and kept is far smaller. */
const GREED_BYTES = 48 * 1_048_576
const CORPUS_MAX = 600
/** Longer than a frame may be. */
const OVERLONG = 4_096
const LOADS_IN_FLIGHT_MAX = 2

const hasher = identity(98)
const records = deltaReader(hasher)

interface Scenario {
  readonly near: SetSnapshot
  readonly far: SetSnapshot
  readonly bounds?: Partial<SessionBounds>
  readonly settlingMs?: number
  readonly expectEqual?: boolean
  readonly prefix?: string
}

/** The victim's part in a scenario, and how many frames it is fed when nothing is hurt. */
interface Play {
  readonly scenario: Scenario
  readonly role: Role
  readonly frames: number
}

interface Machine {
  handle(event: SessionEvent): SessionAction[]
}

export class SessionFuzz {
  readonly #tally: Tally
  readonly #deltas: DeltaFuzz
  readonly #plays: readonly Play[]
  readonly #shelf = new KeyShelf()
  readonly #records: readonly Uint8Array[]
  /** Frames of earlier sessions, of every kind. */
  readonly #corpus: Uint8Array[] = []
  #keep = 0
  sessions = 0
  slowestMs = 0
  longestMetadataBytes = 0

  constructor(deltas: readonly VerifiedDelta[], fuzz: DeltaFuzz, tally: Tally, random: SeededRandom) {
    this.#tally = tally
    this.#deltas = fuzz
    const keys = deltas.map((delta) => rangeKey(delta.header.hlc, delta.id))
    this.#records = deltas.map(encodeDelta)
    for (const [n, record] of this.#records.entries()) this.#shelf.put(keys[n] as Uint8Array, record)
    // Every scenario is played through unhurt, so that the corpus holds all kinds of frames and it is known how long it is.
    this.#plays = scenarios(keys).flatMap((scenario) =>
      (['initiator', 'responder'] as const).map((role) => {
        const { fed } = this.#play(scenario, role, Infinity, random)
        return { scenario, role, frames: fed }
      })
    )
  }

  get corpus(): readonly Uint8Array[] {
    return this.#corpus
  }

  /** One session; answers how many hurt frames the victim was fed. */
  run(random: SeededRandom): number {
    const { scenario, role, frames } = pick(this.#plays, random)
    return this.#play(scenario, role, random.below(frames), random).hurt
  }

  #play(
    scenario: Scenario,
    victimRole: Role,
    firstHurt: number,
    random: SeededRandom
  ): { readonly fed: number; readonly hurt: number } {
    this.sessions++
    const { near, far } = scenario
    const victim = new Watched(
      machineOf(scenario, victimRole, random),
      victimRole === 'initiator' ? near : far,
      this.#shelfOf(),
      this.#tally,
      random
    )
    const other: Role = victimRole === 'initiator' ? 'responder' : 'initiator'
    const honest = new Watched(
      machineOf(scenario, other, random),
      other === 'initiator' ? near : far,
      this.#shelfOf(),
      this.#tally,
      random
    )
    let [toVictim, hurt] = [0, 0]
    const feed = (bytes: Uint8Array): void => {
      const isHurt = toVictim >= firstHurt && (toVictim === firstHurt || random.below(2) === 0)
      const fed = isHurt ? this.#hurt(bytes, random) : bytes
      toVictim++
      if (victim.outcome !== undefined) return
      if (isHurt) hurt++
      // Now and then the same again, faster than any store could answer.
      const times = isHurt && random.below(12) === 0 ? 1 + random.below(REPEATS_MAX) : 1
      for (let n = 0; n < times; n++) victim.feed({ event: 'frame', bytes: fed })
    }
    for (const one of [victim, honest]) one.feed({ event: 'start' })
    for (;;) {
      const [fromHonest, fromVictim] = [honest.take(), victim.take()]
      if (fromHonest.length + fromVictim.length === 0 && !victim.answer() && !honest.answer()) break
      for (const frame of fromHonest) {
        this.#remember(frame, random)
        feed(frame)
      }
      for (const frame of fromVictim) {
        this.#remember(frame, random)
        honest.feed({ event: 'frame', bytes: frame })
      }
    }
    const strays = firstHurt === Infinity ? 0 : random.below(STRAYS_MAX)
    for (let n = 0; n < strays && victim.outcome === undefined; n++) {
      feed(pick(this.#corpus, random))
      while (victim.answer());
    }
    victim.close(random)
    const accused = firstHurt === Infinity ? (victim.outcome?.violation ?? honest.outcome?.violation) : undefined
    if (accused !== undefined) this.#tally.crash(new Error(`an honest side was accused: ${accused}`), new Uint8Array(0))
    const outcome = victim.outcome
    if (outcome === undefined) this.#tally.crash(new Error('a session has no end'), new Uint8Array(0))
    else {
      this.#tally.count(`session: ${outcome.violation ?? outcome.refusal ?? outcome.result}`)
      this.longestMetadataBytes = Math.max(this.longestMetadataBytes, outcome.metadataBytes)
    }
    this.slowestMs = Math.max(this.slowestMs, victim.slowestMs)
    return { fed: toVictim, hurt }
  }

  /** As often by somebody who knows the protocol as blindly. */
  #hurt(bytes: Uint8Array, random: SeededRandom): Uint8Array {
    const knowing = random.below(2) === 0 ? hurtKnowingly(bytes, this.#records, random) : undefined
    return knowing ?? mutate(bytes, this.#corpus, random, LIMITS.reconFrameBytesMax + OVERLONG)
  }

  /** The store behind either side: it has every record, and looks at what it is given as a daemon would. */
  #shelfOf(): Shelf {
    return {
      load: (keys) => this.#shelf.load(keys),
      loadShort: (shorts) => this.#shelf.loadShort(shorts),
      deliver: (delivered) => {
        let refused = 0
        for (const record of delivered) {
          const verdict = this.#deltas.judge(record)
          this.#tally.count(`delivered record: ${verdict}`)
          if (verdict !== 'genuine') refused++
        }
        return { accepted: delivered.length - refused, known: 0, refused }
      }
    }
  }

  #remember(frame: Uint8Array, random: SeededRandom): void {
    if (this.#corpus.length < CORPUS_MAX) this.#corpus.push(frame)
    else if (this.#keep++ % 16 === 0) this.#corpus[random.below(CORPUS_MAX)] = frame
  }
}

/** A machine whose every step is looked at; its store answers late, and in any order that a store may. */
class Watched {
  readonly #machine: Machine
  readonly #set: SetSnapshot
  readonly #shelf: Shelf
  readonly #tally: Tally
  readonly #random: SeededRandom
  readonly #frames: Uint8Array[] = []
  readonly #asked: Exclude<SessionAction, { action: 'send' | 'done' }>[] = []
  outcome: SessionOutcome | undefined
  /** Processor time of the dearest event. */
  slowestMs = 0

  constructor(machine: Machine, set: SetSnapshot, shelf: Shelf, tally: Tally, random: SeededRandom) {
    this.#machine = machine
    this.#set = set
    this.#shelf = shelf
    this.#tally = tally
    this.#random = random
  }

  feed(event: SessionEvent): void {
    const bytes = event.event === 'frame' ? event.bytes : new Uint8Array(0)
    const heapBefore = heapBytes()
    const started = process.cpuUsage()
    let actions: SessionAction[]
    try {
      actions = this.#machine.handle(event)
    } catch (error) {
      this.#tally.crash(error, bytes)
      actions = this.#machine.handle({ event: 'closed', reason: 'it threw' })
    }
    const { user, system } = process.cpuUsage(started)
    this.slowestMs = Math.max(this.slowestMs, (user + system) / 1_000)
    if (heapBytes() - heapBefore > GREED_BYTES) this.#wrong('allocated too much for one frame', bytes)
    if (this.outcome !== undefined && actions.length > 0) this.#wrong('acted after its end', bytes)
    for (const action of actions) this.#perform(action, bytes)
  }

  /** The frames it wants sent since the last call. */
  take(): Uint8Array[] {
    return this.#frames.splice(0)
  }

  /** Lets the store answer one question; false when nothing was asked. */
  answer(): boolean {
    const deliveries = this.#asked.findIndex(({ action }) => action === 'deliver')
    // Deliveries are stored in order; loads may overtake each other.
    const at = deliveries >= 0 && this.#random.below(2) === 0 ? deliveries : this.#random.below(this.#asked.length)
    const [asked] = this.#asked.splice(this.#asked[at]?.action === 'deliver' ? deliveries : at, 1)
    if (asked === undefined) return false
    this.feed(answered(asked, this.#shelf))
    return true
  }

  close(random: SeededRandom): void {
    const ends: SessionEvent[] = [
      { event: 'timeout', because: 'long' },
      { event: 'timeout', because: 'still' },
      { event: 'closed', reason: 'gone' }
    ]
    if (this.outcome === undefined) this.feed(pick(ends, random))
    const again = this.#machine.handle(pick(ends, random))
    if (again.length > 0) this.#wrong('ended twice', new Uint8Array(0))
  }

  #perform(action: SessionAction, bytes: Uint8Array): void {
    switch (action.action) {
      case 'send':
        if (action.frame.length > LIMITS.reconFrameBytesMax) this.#wrong('sent a frame that is too long', bytes)
        this.#frames.push(action.frame)
        return
      case 'done':
        if (this.outcome !== undefined) this.#wrong('ended twice', bytes)
        this.outcome = action.outcome
        this.#judge(action.outcome, bytes)
        return
      case 'load':
        if (action.keys.length > LIMITS.reconLoadKeysMax) this.#wrong('asked for too much at once', bytes)
        if (!action.keys.every((key) => this.#set.tree.has(key))) this.#wrong('asked for what it lacks', bytes)
        break
      case 'load-short':
        if (action.shorts.length > LIMITS.reconLoadKeysMax) this.#wrong('asked for too much at once', bytes)
        break
      case 'deliver':
    }
    this.#asked.push(action)
    const deliveries = this.#asked.filter((asked) => asked.action === 'deliver').length
    if (deliveries > LIMITS.reconWindowPagesMax) this.#wrong('stores more pages than it granted', bytes)
    if (this.#asked.length - deliveries > LOADS_IN_FLIGHT_MAX) this.#wrong('reads ahead too far', bytes)
  }

  #judge(outcome: SessionOutcome, bytes: Uint8Array): void {
    const over =
      outcome.metadataBytes > LIMITS.reconSessionMetadataBytesMax + LIMITS.reconFrameBytesMax + OVERLONG ||
      outcome.sent > LIMITS.reconSessionDeltasMax ||
      outcome.accepted + outcome.known + outcome.refused > LIMITS.reconSessionDeltasMax
    if (over) this.#wrong('went over its budget', bytes)
  }

  #wrong(what: string, bytes: Uint8Array): void {
    this.#tally.crash(new Error(what), bytes)
  }
}

function heapBytes(): number {
  const { used_heap_size: used, external_memory: external } = getHeapStatistics()
  return used + external
}

function machineOf(scenario: Scenario, role: Role, random: SeededRandom): Machine {
  const { near, far, bounds, settlingMs = 0, expectEqual = false, prefix } = scenario
  const common = { hasher, records, ...(bounds === undefined ? {} : { bounds }) }
  if (role === 'responder') {
    return new Responder({ ...common, find: () => far, nonce: () => random.bytes(16), nowMs: () => NOW_MS })
  }
  const session = { space: SPACE, set: near, nonce: random.bytes(16), nowMs: NOW_MS, settlingMs, expectEqual }
  return new Initiator({ ...common, ...session, ...(prefix === undefined ? {} : { prefix }) })
}

/** Pairs of sets that lead through every part of the protocol. */
function scenarios(keys: readonly Uint8Array[]): Scenario[] {
  const set = (has: (n: number) => boolean, sketch = true): SetSnapshot => {
    const made = new DeltaSet(hasher, sketch ? {} : { sketch: null })
    for (const [n, key] of keys.entries()) if (has(n)) made.insert(key)
    return made.snapshot()
  }
  const all = keys.length
  const whole = set(() => true)
  const small = set((n) => n < 40)
  const scattered = { near: set((n) => n % 9 !== 1), far: set((n) => n % 9 !== 2) }
  const plain = { near: set((n) => n % 9 !== 1, false), far: set((n) => n % 9 !== 2, false) }
  const few = { near: set((n) => n % 100 !== 7), far: set((n) => n % 120 !== 3) }
  const prefix = Buffer.from(keys[all >> 1] ?? new Uint8Array(0)).toString('hex', 0, 5)
  return [
    { near: whole, far: whole, expectEqual: true },
    { near: whole, far: whole },
    few,
    { ...few, expectEqual: true, settlingMs: 10_000 },
    scattered,
    { ...scattered, bounds: { frameBytes: 3_000, windowPages: 1 } },
    // The walk keeps to its budget; cells that fit no such budget are never asked for with the usual one.
    { ...plain, bounds: { compareBytes: 2_500 } },
    { ...scattered, bounds: { openRanges: 3 } },
    { ...scattered, bounds: { deltas: 20 } },
    { ...scattered, prefix },
    plain,
    { near: set((n) => n < all - 100), far: whole },
    { near: whole, far: set((n) => n < all - 100) },
    // So many on one side suggest an absence; that they lie scattered is seen in the tree, and the sketch taken up again.
    { near: set((n) => n % 7 !== 0), far: whole },
    { near: set(() => false), far: small },
    { near: small, far: set(() => false) },
    { near: small, far: whole }
  ]
}
