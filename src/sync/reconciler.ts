/**
 * Anti-entropy between two replicas of one space: two pure state machines that exchange frames (sync/recon-codec.ts) until
 * both hold the union of their deltas. Finding what differs is a conversation in turns; moving it goes on beside it, both
 * ways at once (sync/recon-transfer.ts).
 *
 *   initiator                          responder
 *   HELLO (root, first cells)    →
 *                                ←     EQUAL | REFUSED                         the end
 *                                ←     DIFF                                    the sketch has told everything
 *                                ←     MORE           CELLS →  ←  MORE | DIFF | TREE
 *                                ←     [DIFF of a part,] TREE                  the sketch has not
 *   STEP                         →
 *                                ←     STEP …                                  until nothing is open
 *
 * The sets compared are snapshots taken when the session began; what arrives meanwhile is for gossip and for the next
 * session. A lying peer can withhold what it has and waste one session's budget, nothing else: every delta still enters
 * by the replica's one door. The machines do not verify signatures and keep no time (the driver has the deadlines).
 *
 * Sources: rateless IBLT (Yang et al., SIGCOMM 2024) in front of range-based set reconciliation (Meyer, SRDS 2023) over a
 * Merkle trie with digests salted for each session. Every byte is in docs/WIRE.md §8.7.
 */
import { compareBytes, equalBytes, toHex, type Bytes, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { SetSnapshot } from './delta-set.ts'
import { rangeLeafDigest, type RangeTreeView } from './range-tree.ts'
import { type Frame, type Greeting, type Hello, type Refusal } from './recon-codec.ts'
import { SessionMachine, type CompareFrame, type MachineOptions } from './recon-machine.ts'
import { rootDigest, SETTLING_MS, settlingWindow, type SessionAction, type Violation } from './recon-session.ts'
import { cellsAtFirst, HELLO_CELLS, isSpread, SKETCH_KEYS_MIN, SketchTalk, type Peeled } from './recon-sketch.ts'
import { RangeWalk } from './recon-walk.ts'
import { ShortDigests, shortDigestKey } from './short-digest.ts'
import { SKETCH_CELL_BYTES } from './sketch.ts'

export interface InitiatorOptions extends MachineOptions {
  readonly space: SpaceId
  /** DeltaSet.snapshot() of the space. */
  readonly set: SetSnapshot
  readonly hasher: Hasher
  /** 16 random bytes, never used before. */
  readonly nonce: Bytes
  readonly nowMs: number
  /** Differences younger than this are left to gossip. Default 2 s; 0 leaves nothing, at the price of double fetches. */
  readonly settlingMs?: number
  /** The last session found nothing: the first cells of the sketch are kept back until they are asked for. */
  readonly expectEqual?: boolean
  /** Compare only keys that begin with these digits. No sketch is used, and nothing follows for the rest of the set. */
  readonly prefix?: Hex
}

export interface ResponderOptions extends MachineOptions {
  readonly hasher: Hasher
  /** The snapshot of a space; undefined when it is none of ours, `busy` when there are sessions enough. */
  readonly find: (space: SpaceId) => SetSnapshot | 'busy' | undefined
  /** 16 random bytes, never used before. Asked for once at most. */
  readonly nonce: () => Bytes
  readonly nowMs: () => number
}

/** The side that opened the channel. */
export class Initiator extends SessionMachine {
  readonly #options: InitiatorOptions
  readonly #prefix: Hex
  readonly #sketch: SetSnapshot['sketch']
  #awaiting: 'greeting' | 'cells' | 'tree' | 'step' | 'nothing' = 'nothing'
  /** Cells sent so far. */
  #cells = 0
  #mores = 0
  /** The sketch was taken up again after a look at the tree. */
  #switched = false

  constructor(options: InitiatorOptions) {
    super(options)
    this.#options = options
    this.#prefix = options.prefix ?? ''
    const { tree, sketch } = options.set
    this.#sketch = this.#prefix === '' && tree.count >= SKETCH_KEYS_MIN ? sketch : undefined
    this.ledger.prefix = this.#prefix
    this.ledger.ownCount = tree.countAt(this.#prefix)
  }

  protected onStart(): SessionAction[] {
    const { space, set, hasher, nonce, nowMs, settlingMs, expectEqual } = this.#options
    this.#cells = this.#sketch === undefined || expectEqual === true ? 0 : Math.min(HELLO_CELLS, this.#sketch.length)
    this.#awaiting = 'greeting'
    const hello: Hello = {
      frame: 'hello',
      space,
      nonce,
      prefix: this.#prefix,
      count: this.ledger.ownCount,
      root: rootDigest(hasher, nonce, rootUnder(hasher, set.tree, this.#prefix)),
      nowMs,
      settlingMs: settlingMs ?? SETTLING_MS,
      cells: this.#sketch?.cells(0, this.#cells)
    }
    return [this.send(hello)]
  }

  protected onCompare(frame: CompareFrame): SessionAction[] {
    const awaiting = this.#awaiting
    this.#awaiting = 'nothing'
    // What a sketch told in part comes in front of a TREE, with which it is one answer.
    if (frame.frame !== 'diff' || frame.complete) this.ledger.roundTrips++
    if (awaiting === 'greeting') {
      if (frame.frame === 'equal') {
        this.ledger.peerCount = this.ledger.ownCount
        return this.end(this.ledger.outcome('equal', { peerHoldsAll: this.#prefix === '' }))
      }
      if (frame.frame === 'refused') return this.refused(frame.reason, 'the peer refused')
      const violation = this.#greet(frame)
      if (violation !== undefined) return this.violate(violation)
    } else if ('greeting' in frame && frame.greeting !== undefined) return this.violate('out-of-order')
    const talking = awaiting === 'greeting' || awaiting === 'cells'
    if (frame.frame === 'more' && talking) return this.#more(frame.cells)
    if (frame.frame === 'diff' && talking) return this.#diff(frame, awaiting === 'greeting')
    if (frame.frame === 'tree' && (talking || awaiting === 'tree')) return this.#tree(frame)
    if (frame.frame === 'step' && awaiting === 'step') return this.#step(frame.body)
    return this.violate('out-of-order')
  }

  #greet(frame: CompareFrame): Violation | undefined {
    const greeting = 'greeting' in frame ? frame.greeting : undefined
    if (greeting === undefined) return 'out-of-order'
    const { space, set, settlingMs } = this.#options
    this.ledger.peerCount = greeting.count
    const window = settlingWindow(greeting.nowMs, settlingMs ?? SETTLING_MS)
    this.openTransfer(space, set, window)
    return undefined
  }

  #more(cells: number): SessionAction[] {
    if (this.#sketch === undefined || cells <= this.#cells) return this.violate('unasked')
    if (++this.#mores > LIMITS.reconMoresMax) return this.violate('budget')
    return this.proceed([this.#sendCells(this.#sketch, cells)])
  }

  #sendCells(sketch: NonNullable<SetSnapshot['sketch']>, until: number): SessionAction {
    const cells = sketch.cells(this.#cells, until)
    this.#cells = until
    this.#awaiting = 'cells'
    return this.send({ frame: 'cells', cells })
  }

  #diff(diff: Frame & { frame: 'diff' }, first: boolean): SessionAction[] {
    if (this.#sketch === undefined || this.#cells === 0) return this.violate('unasked')
    if (first && diff.wants.length + diff.pushes === 0) return this.violate('contradiction')
    this.ledger.sketched = true
    this.expectedOfSketch += diff.pushes
    this.offerShorts(diff.wants)
    if (diff.complete) this.endOfComparison()
    else this.#awaiting = 'tree'
    return this.proceed([])
  }

  #tree(tree: Frame & { frame: 'tree' }): SessionAction[] {
    const { hasher, nonce, set } = this.#options
    const digests = new ShortDigests(shortDigestKey(hasher, nonce, tree.nonce))
    const walk = new RangeWalk({ view: set.tree, digests, prefix: this.#prefix, bounds: this.bounds })
    const violation = walk.readTree(tree.body)
    if (violation !== undefined) return this.violate(violation)
    if (this.#sketch !== undefined && !this.#switched && isSpread(walk.openRanges, walk.keysInOpen(), tree.estimate)) {
      // What the walk has found is dropped: the sketch will find it again.
      this.#switched = true
      const until = Math.min(cellsAtFirst(tree.estimate, this.#cells), this.#sketch.length)
      if (until > this.#cells) return this.proceed([this.#sendCells(this.#sketch, until)])
    }
    return this.#answer(walk)
  }

  #step(body: Bytes): SessionAction[] {
    const walk = this.walk
    if (walk === undefined) return this.violate('out-of-order')
    const violation = walk.readStep(body)
    return violation === undefined ? this.#answer(walk) : this.violate(violation)
  }

  #answer(walk: RangeWalk): SessionAction[] {
    this.walk = walk
    const actions = this.step(walk)
    if (!walk.ended) this.#awaiting = 'step'
    return this.proceed(actions)
  }
}

/** The side that was called. */
export class Responder extends SessionMachine {
  readonly #options: ResponderOptions
  #awaiting: 'hello' | 'cells' | 'step' | 'nothing' = 'hello'
  /** Set by the HELLO. */
  #session: { readonly hello: Hello; readonly set: SetSnapshot } | undefined = undefined
  /** Said with the next frame, and then no more. */
  #greeting: Greeting | undefined = undefined
  #talk: SketchTalk | undefined = undefined
  /** Cells the initiator may have sent by now. */
  #cellsMax = 0
  /** No STEP has come yet, and cells came before the last TREE at most once. */
  #maySwitch = true
  #nonce: Bytes | undefined = undefined
  /** Short ids wanted so far, in hexadecimal. */
  readonly #wanted = new Set<Hex>()

  constructor(options: ResponderOptions) {
    super(options)
    this.#options = options
  }

  /** The space the initiator named in its hello. */
  get space(): SpaceId | undefined {
    return this.#session?.hello.space
  }

  protected onStart(): SessionAction[] {
    return []
  }

  protected onCompare(frame: CompareFrame): SessionAction[] {
    const awaiting = this.#awaiting
    this.#awaiting = 'nothing'
    if (awaiting === 'hello' && frame.frame === 'hello') return this.#hello(frame)
    if (awaiting === 'cells' && frame.frame === 'cells') return this.#cells(frame.cells)
    if (awaiting === 'step' && frame.frame === 'step') return this.#step(frame.body)
    if (awaiting === 'step' && frame.frame === 'cells' && this.#maySwitch) return this.#switch(frame.cells)
    return this.violate('out-of-order')
  }

  #hello(hello: Hello): SessionAction[] {
    const { find, hasher, nowMs } = this.#options
    const set: SetSnapshot | Refusal = find(hello.space) ?? 'unknown-space'
    if (typeof set === 'string') {
      return [this.send({ frame: 'refused', reason: set }), ...this.refused(set, 'refused the session')]
    }
    const { ledger } = this
    ledger.prefix = hello.prefix
    ledger.ownCount = set.tree.countAt(hello.prefix)
    ledger.peerCount = hello.count
    const root = rootDigest(hasher, hello.nonce, rootUnder(hasher, set.tree, hello.prefix))
    if (equalBytes(root, hello.root)) {
      ledger.roundTrips++
      const equal = this.send({ frame: 'equal' })
      return [equal, ...this.end(ledger.outcome('equal', { peerHoldsAll: hello.prefix === '' }))]
    }
    this.#session = { hello, set }
    this.#greeting = { count: ledger.ownCount, nowMs: Math.max(0, Math.floor(nowMs())) }
    this.openTransfer(hello.space, set, settlingWindow(hello.nowMs, hello.settlingMs))
    if (hello.cells === undefined || set.sketch === undefined) return this.#tree(0, [])
    this.#talk = new SketchTalk(set.sketch, hello.count - ledger.ownCount)
    this.#cellsMax = hello.cells.length / SKETCH_CELL_BYTES
    return this.#cells(hello.cells)
  }

  /** The initiator has looked at the tree and goes on with the sketch. */
  #switch(cells: Bytes): SessionAction[] {
    if (this.#talk === undefined) return this.violate('unasked')
    this.#maySwitch = false
    this.walk = undefined
    this.#talk.choose()
    this.#cellsMax = LIMITS.sketchCellsMax
    return this.#cells(cells)
  }

  #cells(cells: Bytes): SessionAction[] {
    const talk = this.#talk
    if (talk === undefined || talk.received + cells.length / SKETCH_CELL_BYTES > this.#cellsMax) {
      return this.violate('unasked')
    }
    talk.receive(cells)
    const verdict = talk.decide()
    switch (verdict.say) {
      case 'more':
        this.#cellsMax = verdict.cells
        this.#awaiting = 'cells'
        this.ledger.roundTrips++
        return this.proceed([this.send({ frame: 'more', greeting: this.#greet(), cells: verdict.cells })])
      case 'diff': {
        this.ledger.roundTrips++
        const actions = [this.#diff(verdict.peeled, true)]
        this.endOfComparison()
        return this.proceed(actions)
      }
      case 'tree': {
        const { ours, theirs } = verdict.peeled
        const part = ours.length + theirs.length > 0 ? [this.#diff(verdict.peeled, false)] : []
        return this.#tree(verdict.estimate, part)
      }
    }
  }

  #greet(): Greeting | undefined {
    const greeting = this.#greeting
    this.#greeting = undefined
    return greeting
  }

  #diff(peeled: Peeled, complete: boolean): SessionAction {
    const wants: Bytes[] = []
    for (const short of peeled.theirs) {
      const name = toHex(short)
      if (this.#wanted.has(name)) continue
      this.#wanted.add(name)
      wants.push(short)
    }
    wants.sort(compareBytes)
    const pushes = this.offerShorts(peeled.ours)
    this.expectedOfSketch += wants.length
    this.ledger.sketched = true
    return this.send({ frame: 'diff', greeting: this.#greet(), complete, pushes, wants })
  }

  #tree(estimate: number, before: SessionAction[]): SessionAction[] {
    const session = this.#session
    if (session === undefined) return this.violate('out-of-order')
    const { hello, set } = session
    this.#nonce ??= this.#options.nonce()
    const digests = new ShortDigests(shortDigestKey(this.#options.hasher, hello.nonce, this.#nonce))
    const walk = new RangeWalk({ view: set.tree, digests, prefix: hello.prefix, bounds: this.bounds })
    const body = walk.begin()
    this.walk = walk
    this.#awaiting = 'step'
    this.ledger.roundTrips++
    const tree = this.send({ frame: 'tree', greeting: this.#greet(), nonce: this.#nonce, estimate, body })
    return this.proceed([...before, tree])
  }

  #step(body: Bytes): SessionAction[] {
    const walk = this.walk
    if (walk === undefined) return this.violate('out-of-order')
    this.#maySwitch = false
    const violation = walk.readStep(body)
    if (violation !== undefined) return this.violate(violation)
    if (!walk.ended) this.ledger.roundTrips++
    const actions = this.step(walk)
    if (!walk.ended) this.#awaiting = 'step'
    return this.proceed(actions)
  }
}

/** The digest of all keys under a prefix; that of the empty set when there are none. */
function rootUnder(hasher: Hasher, view: RangeTreeView, prefix: Hex): Bytes {
  return view.at(prefix)?.digest ?? rangeLeafDigest(hasher, new Uint8Array(0))
}
