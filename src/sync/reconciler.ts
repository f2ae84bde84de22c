/**
 * Anti-entropy between two replicas of one space: two pure state machines that exchange frames (sync/recon-codec.ts) until
 * both hold the union of their deltas. The initiator drives; the responder only answers. One request is in flight at any
 * time and every answer is a bounded page, so that neither side can be made to buffer more than it asked for.
 *
 *   HELLO → EQUAL (end) | REFUSED (end) | WELCOME
 *   then, oldest ranges first: ASK → ANSWERS …, and as differences come to light WANT → DELTAS, NEXT → DELTAS …
 *   then what the responder lacks: PUSH → ACK …
 *   then BYE.
 *
 * The trees compared are snapshots taken when the session began; what arrives meanwhile is for gossip and for the next
 * session. A lying peer can withhold what it has and waste one session's budget, nothing else: every delta still enters
 * by the replica's one door. The machines do not verify signatures and keep no time (the driver has the deadline).
 *
 * Source: range-based set reconciliation (Meyer, SRDS 2023) over a Merkle trie instead of summed fingerprints, whose
 * algebra can be attacked. Every byte is in docs/WIRE.md §8.
 */
import { assert } from '../base/assert.ts'
import { compareBytes, compareText, equalBytes, toHex, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { Hasher } from '../ports/crypto.ts'
import { RECON_VERSION, answerBytesMax } from './recon-codec.ts'
import type { Answer, Frame, Refusal } from './recon-codec.ts'
import { Machine } from './recon-machine.ts'
import { OutgoingPages, type OutgoingRange, type Page } from './recon-pages.ts'
import { SETTLING_MS, settlingWindow } from './recon-session.ts'
import type { KeyOf, SessionAction, SettlingWindow, Violation } from './recon-session.ts'
import { RangeWalk } from './recon-walk.ts'
import { RANGE_KEY_BYTES, RANGE_KEY_DIGITS } from './range-nodes.ts'
import type { RangeTreeView } from './range-tree.ts'

export interface InitiatorOptions {
  readonly space: SpaceId
  /** RangeTree.snapshot() of the space. */
  readonly tree: RangeTreeView
  readonly hasher: Hasher
  readonly keyOf: KeyOf
  readonly nowMs: number
  /** Differences younger than this are left to gossip. Default 2 s; 0 leaves nothing, at the price of double fetches. */
  readonly settlingMs?: number
}

export interface ResponderOptions {
  /** The snapshot of a space; undefined when it is none of ours, `busy` when there are sessions enough. */
  readonly find: (space: SpaceId) => RangeTreeView | 'busy' | undefined
  readonly keyOf: KeyOf
}

/** Metadata kept back while walking, so that what was found can also be fetched and pushed. */
const TRANSFER_RESERVE_BYTES = 196_608
/** Metadata kept back for the heads of pages and acknowledgements while transferring. */
const PAGE_RESERVE_BYTES = 16_384
/** What one prefix may cost: asked for, and answered with a list of 32 keys. */
const ASKED_BYTES_MAX = RANGE_KEY_DIGITS + 4 + LIMITS.rangeListKeysMax * RANGE_KEY_BYTES + 16
/** A frame full of wanted ranges. */
const WANTED_RANGES_BYTES_MAX = LIMITS.reconPrefixesMax * (RANGE_KEY_DIGITS + 3)
/** A wanted key, and the head of the record that answers it. */
const WANTED_KEY_BYTES = RANGE_KEY_BYTES + 8

type Awaited = 'nothing' | 'welcome' | 'answers' | 'deltas' | 'delivery' | 'records' | 'ack'

/** The side that opened the channel. */
export class Initiator extends Machine {
  readonly #options: InitiatorOptions
  readonly #window: SettlingWindow
  readonly #walk: RangeWalk
  #awaiting: Awaited = 'nothing'
  /** What the last want asked for, ascending: ranges, and keys as ranges of one. */
  #expected: Hex[] = []
  /** Index of the expected range that the last record fell into. */
  #reached = -1
  #matched = 0
  #lastKey: Uint8Array | undefined = undefined
  #more = false
  /** The peer left young keys out of a range, so an empty one is no sign of withholding. */
  #skipped = false
  #pages: OutgoingPages | undefined = undefined
  #pushed: Page | undefined = undefined
  /** The session's budget ran out before everything was fetched. */
  #cut = false
  /** What the walk found lacking at the peer was gone through to the end. */
  #pushedAll = false
  /** Something of it was refused, or left to gossip. */
  #pushLeft = false

  constructor(options: InitiatorOptions) {
    super(options.keyOf)
    this.#options = options
    this.#window = settlingWindow(options.nowMs, options.settlingMs ?? SETTLING_MS)
    this.#walk = new RangeWalk(options.tree, options.hasher, this.#window, this.ledger)
  }

  protected onStart(): SessionAction[] {
    const { space, tree } = this.#options
    const hello: Frame = { frame: 'hello', version: RECON_VERSION, space, count: tree.count, root: tree.root() }
    return this.#request(hello, 'welcome')
  }

  protected onFrame(frame: Frame): SessionAction[] {
    const awaiting = this.#awaiting
    this.#awaiting = 'nothing'
    this.ledger.roundTrips++
    if (awaiting === 'welcome') {
      if (frame.frame === 'equal') return this.end(this.ledger.outcome('equal', true))
      if (frame.frame === 'refused') return this.end(this.ledger.broken(`the peer refused: ${frame.reason}`))
      if (frame.frame === 'welcome') return this.#go(this.#walk.begin(frame.count, frame.root))
    }
    if (awaiting === 'answers' && frame.frame === 'answers') return this.#go(this.#walk.answer(frame.answers))
    if (awaiting === 'deltas' && frame.frame === 'deltas') return this.#received(frame)
    if (awaiting === 'ack' && frame.frame === 'ack') return this.#acknowledged(frame)
    return this.violate('out-of-order')
  }

  protected onLoaded(records: readonly Uint8Array[]): SessionAction[] {
    if (this.#awaiting !== 'records') return []
    this.#pages?.loaded(records)
    return this.#push()
  }

  protected onDelivered(): SessionAction[] {
    return this.#awaiting === 'delivery' ? this.#afterPage() : []
  }

  #request(frame: Frame, awaiting: Awaited): SessionAction[] {
    this.#awaiting = awaiting
    return [this.send(frame)]
  }

  #go(violation: Violation | undefined): SessionAction[] {
    return violation === undefined ? this.#advance() : this.violate(violation)
  }

  /** Chooses the next request: walk on while a frame of wants is not full, fetch, and push when there is no more. */
  #advance(): SessionAction[] {
    const { ledger } = this
    const walk = this.#walk
    if (ledger.deltasLeft === 0) return this.#finish()
    const askable = Math.floor((ledger.metadataLeft - TRANSFER_RESERVE_BYTES) / ASKED_BYTES_MAX)
    if (walk.open > 0 && askable > 0 && !walk.wantsFull) {
      return this.#request({ frame: 'ask', prefixes: walk.ask(askable) }, 'answers')
    }
    if (walk.wants > 0) {
      const keyRoom = ledger.metadataLeft - PAGE_RESERVE_BYTES - WANTED_RANGES_BYTES_MAX
      const keysMax = Math.min(ledger.deltasLeft, Math.floor(keyRoom / WANTED_KEY_BYTES))
      if (keysMax > 0) return this.#want(keysMax)
    }
    return this.#push()
  }

  #want(keysMax: number): SessionAction[] {
    const { ranges, keys } = this.#walk.takeWants(keysMax)
    this.#expected = [...ranges, ...keys].sort(compareText)
    this.#reached = -1
    this.#matched = 0
    this.#lastKey = undefined
    this.#skipped = false
    const { fromMs, toMs, untilMs } = this.#window
    const want: Frame = { frame: 'want', skipFromMs: fromMs, skipToMs: toMs, untilMs, ranges, keys }
    return this.#request(want, 'deltas')
  }

  #received(frame: Frame & { frame: 'deltas' }): SessionAction[] {
    const { records, more, skipped } = frame
    if (more && records.length === 0) return this.violate('no-progress')
    if (records.length > this.ledger.deltasLeft) return this.violate('budget')
    const keys = this.keysOf(records)
    if (!Array.isArray(keys)) return this.violate(keys)
    if (keys.some((key) => !this.#expects(key))) return this.violate('unasked')
    this.ledger.received += records.length
    this.ledger.settling += Math.min(skipped, LIMITS.reconSessionDeltasMax)
    this.#skipped ||= skipped > 0
    this.#more = more
    if (records.length === 0) return this.#afterPage()
    this.#awaiting = 'delivery'
    return [{ action: 'deliver', records }]
  }

  /** Whether a received key lies in what was asked for, beyond the one before it. */
  #expects(key: Uint8Array): boolean {
    if (this.#lastKey !== undefined && compareBytes(this.#lastKey, key) >= 0) return false
    const hex = toHex(key)
    let index = Math.max(this.#reached, 0)
    while (index < this.#expected.length && !hex.startsWith(this.#expected[index] as Hex)) index++
    if (index === this.#expected.length) return false
    if (index !== this.#reached) this.#matched++
    this.#reached = index
    this.#lastKey = key
    return true
  }

  #afterPage(): SessionAction[] {
    if (this.#more) {
      if (this.ledger.deltasLeft > 0 && this.ledger.metadataLeft > PAGE_RESERVE_BYTES) {
        return this.#request({ frame: 'next' }, 'deltas')
      }
      this.#cut = true
    } else if (!this.#skipped) this.ledger.withheld += this.#expected.length - this.#matched
    return this.#advance()
  }

  #push(): SessionAction[] {
    const { ledger } = this
    this.#pages ??= new OutgoingPages(this.#options.tree, this.#walk.lacking(), this.#window, (record) =>
      this.keyOf(record)
    )
    if (ledger.deltasLeft === 0 || ledger.metadataLeft < PAGE_RESERVE_BYTES) return this.#finish()
    const step = this.#pages.next(ledger.deltasLeft)
    if (step.step === 'load') {
      this.#awaiting = 'records'
      return [{ action: 'load', keys: step.keys }]
    }
    ledger.settling += step.page.skipped
    // Young keys are left to gossip: whether it delivers them is not known here.
    if (step.page.skipped > 0) this.#pushLeft = true
    if (step.page.records.length === 0) return this.#pushesEnd()
    this.#pushed = step.page
    return this.#request({ frame: 'push', records: step.page.records }, 'ack')
  }

  #acknowledged(ack: Frame & { frame: 'ack' }): SessionAction[] {
    const page = this.#pushed
    if (page === undefined || ack.accepted + ack.known + ack.refused !== page.records.length) {
      return this.violate('count')
    }
    this.ledger.sent += page.records.length
    this.ledger.lacked.push(...page.keys)
    if (ack.refused > 0) this.#pushLeft = true
    return page.more ? this.#push() : this.#pushesEnd()
  }

  #pushesEnd(): SessionAction[] {
    this.#pushedAll = true
    return this.#finish()
  }

  #finish(): SessionAction[] {
    const { settling, withheld, refused } = this.ledger
    const peerHoldsAll = this.#walk.open === 0 && this.#pushedAll && !this.#pushLeft
    const complete = peerHoldsAll && !this.#cut && this.#walk.wants + settling + withheld + refused === 0
    const bye = this.send({ frame: 'bye', complete })
    return [bye, ...this.end(this.ledger.outcome(complete ? 'repaired' : 'partial', peerHoldsAll))]
  }

  protected spaceId(): SpaceId {
    return this.#options.space
  }
}

/** The side that was called. */
export class Responder extends Machine {
  readonly #find: ResponderOptions['find']
  #space: SpaceId | undefined = undefined
  #view: RangeTreeView | undefined = undefined
  #busy: 'no' | 'loading' | 'delivering' = 'no'
  #pages: OutgoingPages | undefined = undefined
  #pushed = 0

  constructor(options: ResponderOptions) {
    super(options.keyOf)
    this.#find = options.find
  }

  /** The space the initiator named in its hello. */
  get space(): SpaceId | undefined {
    return this.#space
  }

  protected spaceId(): SpaceId {
    return this.#space ?? ''
  }

  protected onStart(): SessionAction[] {
    return []
  }

  protected onFrame(frame: Frame): SessionAction[] {
    if (this.#view === undefined) return frame.frame === 'hello' ? this.#hello(frame) : this.violate('out-of-order')
    if (this.#busy !== 'no') return this.violate('out-of-order')
    this.ledger.roundTrips++
    switch (frame.frame) {
      case 'ask':
        return [this.send({ frame: 'answers', answers: answersFrom(this.#view, frame.prefixes) })]
      case 'want':
        return this.#want(frame, this.#view)
      case 'next':
        return this.#page()
      case 'push':
        return this.#receive(frame.records, this.#view)
      case 'bye':
        return this.end(this.ledger.outcome(frame.complete ? 'repaired' : 'partial', frame.complete))
      default:
        return this.violate('out-of-order')
    }
  }

  protected onLoaded(records: readonly Uint8Array[]): SessionAction[] {
    if (this.#busy !== 'loading') return []
    this.#busy = 'no'
    this.#pages?.loaded(records)
    return this.#page()
  }

  protected onDelivered(accepted: number, known: number, refused: number): SessionAction[] {
    if (this.#busy !== 'delivering') return []
    this.#busy = 'no'
    assert(accepted + known + refused === this.#pushed, 'every pushed record is accounted for')
    return [this.send({ frame: 'ack', accepted, known, refused })]
  }

  #hello(hello: Frame & { frame: 'hello' }): SessionAction[] {
    this.ledger.roundTrips++
    const view: RangeTreeView | Refusal =
      hello.version === RECON_VERSION ? (this.#find(hello.space) ?? 'unknown-space') : 'version'
    if (typeof view === 'string') {
      const refused = this.send({ frame: 'refused', reason: view })
      return [refused, ...this.end(this.ledger.broken(`refused the session: ${view}`))]
    }
    this.#space = hello.space
    this.#view = view
    const root = view.root()
    if (!equalBytes(root, hello.root)) return [this.send({ frame: 'welcome', count: view.count, root })]
    return [this.send({ frame: 'equal' }), ...this.end(this.ledger.outcome('equal', true))]
  }

  #want(want: Frame & { frame: 'want' }, view: RangeTreeView): SessionAction[] {
    const window = { fromMs: want.skipFromMs, toMs: want.skipToMs, untilMs: want.untilMs }
    if (window.toMs - window.fromMs > LIMITS.reconSettlingMsMax) return this.violate('budget')
    const ranges: OutgoingRange[] = [
      ...want.ranges.map((prefix) => ({ prefix, except: [], explicit: false })),
      ...want.keys.map((prefix) => ({ prefix, except: [], explicit: true }))
    ].sort((a, b) => compareText(a.prefix, b.prefix))
    for (const [index, { prefix }] of ranges.entries()) {
      const before = ranges[index - 1]
      if (before !== undefined && prefix.startsWith(before.prefix)) return this.violate('unasked')
      if (view.countAt(prefix) === 0) return this.violate('unasked')
    }
    this.#pages = new OutgoingPages(view, ranges, window, (record) => this.keyOf(record))
    return this.#page()
  }

  #page(): SessionAction[] {
    if (this.#pages === undefined) return this.violate('out-of-order')
    if (this.ledger.deltasLeft === 0) return this.violate('budget')
    const step = this.#pages.next(this.ledger.deltasLeft)
    if (step.step === 'load') {
      this.#busy = 'loading'
      return [{ action: 'load', keys: step.keys }]
    }
    const { records, keys, more, skipped } = step.page
    if (!more) this.#pages = undefined
    this.ledger.lacked.push(...keys)
    this.ledger.sent += records.length
    return [this.send({ frame: 'deltas', more, skipped, records })]
  }

  #receive(records: readonly Uint8Array[], view: RangeTreeView): SessionAction[] {
    if (records.length > this.ledger.deltasLeft) return this.violate('budget')
    const keys = this.keysOf(records)
    if (!Array.isArray(keys)) return this.violate(keys)
    // The initiator knows exactly what this snapshot holds: pushing it is no accident.
    if (keys.some((key) => view.has(key))) return this.violate('unasked')
    this.ledger.received += records.length
    this.#pushed = records.length
    this.#busy = 'delivering'
    return [{ action: 'deliver', records }]
  }
}

/** Answers to the first of `prefixes`, as many as fit one frame. */
function answersFrom(view: RangeTreeView, prefixes: readonly Hex[]): Answer[] {
  const answers: Answer[] = []
  let bytes = 16
  for (const prefix of prefixes) {
    const answer = answerTo(view, prefix)
    bytes += answerBytesMax(answer)
    if (bytes > LIMITS.reconFrameBytesMax) break
    answers.push(answer)
  }
  return answers
}

function answerTo(view: RangeTreeView, prefix: Hex): Answer {
  const branch = view.countAt(prefix) > LIMITS.rangeListKeysMax ? view.branch(prefix) : undefined
  if (branch !== undefined) return { kind: 'node', prefix: branch.prefix, children: branch.children }
  const packed = view.list(prefix)
  const keys: Hex[] = []
  for (let at = 0; at < packed.length; at += RANGE_KEY_BYTES)
    keys.push(toHex(packed.subarray(at, at + RANGE_KEY_BYTES)))
  return { kind: 'list', keys }
}
