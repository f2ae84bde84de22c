/**
 * Moving deltas, both ways at once, beside the comparison that finds them. Each side sends pages of records, at most four of
 * them not yet acknowledged, and the other acknowledges a page once it is stored: so neither has to hold more than it
 * granted, and a slow disk slows the sender. A page holds its records in ascending order of time.
 *
 * The receiver takes whatever is new: who sent it, and whether it was asked for, does not matter, because every delta
 * is judged where it is admitted. Sending what the receiver's snapshot held is a waste, and too much of it a violation.
 *
 * Of a received record only its date is read, and its key only when the store knew it already: hashing is for the door
 * through which it goes in.
 */
import { assert } from '../base/assert.ts'
import { compareBytes, toHex, type Bytes } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import { rangeKeyMs } from './range-nodes.ts'
import type { RangeTreeView } from './range-tree.ts'
import { encodeReconFrame, PAGE_HEAD_BYTES_MAX, RECORD_HEAD_BYTES_MAX, recordBytes, type Frame } from './recon-codec.ts'
import { shortIdOf, type Batch, type Outgoing } from './recon-outgoing.ts'
import type {
  Delivered,
  RecordReader,
  SessionAction,
  SessionBounds,
  SessionLedger,
  Violation
} from './recon-session.ts'

export interface TransferOptions {
  readonly space: SpaceId
  readonly view: RangeTreeView
  readonly outgoing: Outgoing
  readonly records: RecordReader
  readonly ledger: SessionLedger
  readonly bounds: SessionBounds
}

type Deltas = Frame & { frame: 'deltas' }
type Ack = Frame & { frame: 'ack' }

interface Loaded {
  readonly key: Bytes
  readonly record: Bytes
}

/** Records being read, oldest request first. */
interface Load {
  readonly token: number
  readonly batch: Batch
  found: readonly Loaded[] | undefined
}

/** A page being stored. */
interface Incoming {
  readonly token: number
  readonly records: readonly Bytes[]
  result: Delivered | undefined
}

/** Two, so that the store reads while a page is being sent; more would only fill memory. */
const LOADS_MAX = 2

export class Transfer {
  readonly #options: TransferOptions
  readonly #ledger: SessionLedger
  #token = 0
  // --- sending
  readonly #loads: Load[] = []
  #buffer: Loaded[] = []
  #bufferBytes = 0
  /** Numbers of records of the pages not yet acknowledged, in order. */
  readonly #unacknowledged: number[] = []
  #comparing = true
  #lastSent = false
  #skippedAny = false
  /** Deltas of our snapshot that the store did not have. */
  #missing = 0
  /** Short ids that a sketch named and we hold no delta of. */
  #unknown = 0
  #refusedThere = 0
  // --- receiving
  readonly #incoming: Incoming[] = []
  #lastReceived = false
  #peerSkipped = false
  #peerCut = false
  #knownPushes = 0

  constructor(options: TransferOptions) {
    this.#options = options
    this.#ledger = options.ledger
  }

  /** Both sides have sent their last page, and every page is stored and acknowledged. */
  get finished(): boolean {
    return this.#lastSent && this.#lastReceived && this.#unacknowledged.length === 0 && this.#incoming.length === 0
  }

  /**
   * The peer has acknowledged everything it lacks of our snapshot, as far as it was found. `walked`: the tree has had the
   * last word, so that a sketch that named what we do not hold means nothing.
   */
  handedOver(walked: boolean): boolean {
    const left = this.#skippedAny || this.#missing > 0 || this.#refusedThere > 0 || (!walked && this.#unknown > 0)
    return this.#lastSent && this.#unacknowledged.length === 0 && !left
  }

  /** The peer sent all it has for us, of `expected` deltas that it told of, and said that it left out none. */
  receivedAll(expected: number): boolean {
    if (this.#peerSkipped || this.#peerCut) return false
    // Sent although we held it: a short id that several deltas share, and what was meant may be another of them.
    if (this.#ledger.sketched && this.#knownPushes > 0) return false
    this.#ledger.withheld = Math.max(0, expected - this.#ledger.received)
    return this.#lastReceived && this.#ledger.withheld === 0
  }

  /** Nothing more will be offered to the outgoing. */
  endOfComparison(): void {
    this.#comparing = false
  }

  /** What can be read or sent now. */
  pump(): SessionAction[] {
    const actions: SessionAction[] = []
    for (let before = -1; before !== actions.length;) {
      before = actions.length
      this.#askForRecords(actions)
      this.#sendPages(actions)
    }
    return actions
  }

  // --- sending

  get #budgetLeft(): number {
    return this.#options.bounds.deltas - this.#ledger.sent
  }

  #askForRecords(actions: SessionAction[]): void {
    const { outgoing, bounds, space } = this.#options
    while (this.#loads.length < LOADS_MAX && this.#bufferBytes < bounds.frameBytes) {
      const asked = this.#loads.reduce((sum, load) => sum + sizeOf(load.batch), this.#buffer.length)
      const max = Math.min(LIMITS.reconLoadKeysMax, this.#budgetLeft - asked)
      const batch = max > 0 ? outgoing.next(max) : undefined
      if (batch === undefined) return
      const token = ++this.#token
      this.#loads.push({ token, batch, found: undefined })
      if (batch.kind === 'keys') actions.push({ action: 'load', token, keys: batch.keys })
      else actions.push({ action: 'load-short', token, space, shorts: batch.shorts })
    }
  }

  /** Records that were asked for. An answer to what was never asked is passed over. */
  loaded(token: number, records: readonly Bytes[]): void {
    const load = this.#loads.find((one) => one.token === token)
    if (load === undefined || load.found !== undefined) return
    const { batch } = load
    load.found = batch.kind === 'keys' ? this.#match(batch.keys, records) : this.#identify(batch.shorts, records)
    while (this.#loads[0]?.found !== undefined) {
      for (const one of this.#loads.shift()?.found ?? []) {
        this.#buffer.push(one)
        this.#bufferBytes += RECORD_HEAD_BYTES_MAX + one.record.length
      }
    }
  }

  /** Read by key, in the order of the keys. Only when some are missing does a record have to tell which it is. */
  #match(keys: readonly Bytes[], records: readonly Bytes[]): Loaded[] {
    const { records: reader, space } = this.#options
    if (records.length === keys.length) {
      const inOrder = records.every((record, i) => reader.ms(record, space) === rangeKeyMs(keys[i] as Bytes))
      if (inOrder) return records.map((record, i) => ({ key: keys[i] as Bytes, record }))
    }
    const found: Loaded[] = []
    for (const record of records) {
      const key = reader.key(record, space)
      if (key !== undefined && keys.some((one) => compareBytes(one, key) === 0)) found.push({ key, record })
    }
    this.#missing += keys.length - found.length
    return found
  }

  /** Read by short id: each record tells which it is. One that is not of our snapshot is not what was meant. */
  #identify(shorts: readonly Bytes[], records: readonly Bytes[]): Loaded[] {
    const { records: reader, outgoing, space } = this.#options
    const found: Loaded[] = []
    const seen = new Set<string>()
    for (const record of records) {
      const key = reader.key(record, space)
      if (key === undefined || !outgoing.holds(key)) continue
      seen.add(toHex(shortIdOf(key)))
      if (outgoing.passes(key)) found.push({ key, record })
    }
    for (const short of shorts) {
      if (seen.has(toHex(short))) continue
      if (outgoing.absent(short)) this.#missing++
      else this.#unknown++
    }
    return found
  }

  #sendPages(actions: SessionAction[]): void {
    const { outgoing, bounds } = this.#options
    while (!this.#lastSent) {
      const drained = this.#loads.length === 0 && outgoing.empty
      if (this.#budgetLeft === 0 && !(drained && this.#buffer.length === 0)) {
        // Said once the comparison is over, so that the peer does not wait for more of what it finds.
        if (!this.#comparing) this.#send([], { last: true, cut: true }, actions)
        return
      }
      const waiting = !drained && this.#buffer.length < this.#budgetLeft
      if (this.#bufferBytes < bounds.frameBytes && waiting) return
      const taken = this.#takePage()
      const last = drained && !this.#comparing && this.#buffer.length === 0
      if (taken.length === 0 && !last) return
      this.#send(taken, { last, cut: false }, actions)
    }
  }

  /** Records for one page, ascending; none when the window is closed. */
  #takePage(): Loaded[] {
    const { bounds } = this.#options
    if (this.#unacknowledged.length >= bounds.windowPages) return []
    let bytes = PAGE_HEAD_BYTES_MAX
    let count = 0
    for (const { record } of this.#buffer) {
      bytes += RECORD_HEAD_BYTES_MAX + record.length
      if (count > 0 && (bytes > bounds.frameBytes || count === this.#budgetLeft)) break
      count++
    }
    const taken = this.#buffer.slice(0, count)
    this.#buffer = this.#buffer.slice(count)
    for (const { record } of taken) this.#bufferBytes -= RECORD_HEAD_BYTES_MAX + record.length
    return taken.sort((a, b) => compareBytes(a.key, b.key))
  }

  #send(taken: readonly Loaded[], end: { last: boolean; cut: boolean }, actions: SessionAction[]): void {
    const ledger = this.#ledger
    const records = taken.map((one) => one.record)
    const skipped = this.#options.outgoing.takeSkipped()
    ledger.settling += skipped
    this.#skippedAny ||= skipped > 0
    this.#lastSent = end.last
    ledger.cut ||= end.cut
    if (records.length > 0) this.#unacknowledged.push(records.length)
    ledger.sent += records.length
    for (const { key } of taken) ledger.lacked.push(key)
    const frame = encodeReconFrame({ frame: 'deltas', ...end, skipped, records })
    ledger.transferBytes += frame.length - recordBytes(records)
    actions.push({ action: 'send', frame })
  }

  acknowledged(ack: Ack): Violation | undefined {
    const records = this.#unacknowledged.shift()
    if (records === undefined) return 'out-of-order'
    if (ack.accepted + ack.known + ack.refused !== records) return 'count'
    this.#refusedThere += ack.refused
    this.#ledger.taken += ack.accepted
    return undefined
  }

  // --- receiving

  /** A page of the peer. What is to be done with it, or what is wrong with it. */
  received(page: Deltas): SessionAction[] | Violation {
    const { records, last, cut, skipped } = page
    const { bounds } = this.#options
    const ledger = this.#ledger
    if (this.#lastReceived) return 'out-of-order'
    if (records.length === 0 && !last) return 'no-progress'
    ledger.received += records.length
    if (ledger.received > bounds.deltas) return 'budget'
    if (records.length > 0 && this.#incoming.length >= bounds.windowPages) return 'budget'
    const violation = this.#wrongWith(records)
    if (violation !== undefined) return violation
    this.#lastReceived = last
    this.#peerSkipped ||= skipped > 0
    this.#peerCut ||= cut
    ledger.cut ||= cut
    ledger.settling += Math.min(skipped, bounds.deltas)
    if (records.length === 0) return []
    const token = ++this.#token
    this.#incoming.push({ token, records, result: undefined })
    return [{ action: 'deliver', token, records }]
  }

  #wrongWith(records: readonly Bytes[]): Violation | undefined {
    const { records: reader, space } = this.#options
    let before = 0
    for (const record of records) {
      const ms = reader.ms(record, space)
      if (ms === undefined) return 'record'
      if (ms < before) return 'unasked'
      before = ms
    }
    return undefined
  }

  /** A page was stored: acknowledgements, in the order in which pages came, or what is wrong with the page after all. */
  delivered(token: number, result: Delivered): SessionAction[] | Violation {
    const page = this.#incoming.find((one) => one.token === token)
    if (page === undefined || page.result !== undefined) return []
    const { accepted, known, refused } = result
    assert(accepted + known + refused === page.records.length, 'every delivered record is accounted for')
    page.result = result
    this.#ledger.accepted += accepted
    this.#ledger.known += known
    this.#ledger.refused += refused
    if (known > 0) this.#knownPushes += this.#held(page.records)
    if (this.#knownPushes > LIMITS.reconKnownPushesMax) return 'unasked'
    const actions: SessionAction[] = []
    for (let first = this.#incoming[0]; first?.result !== undefined; first = this.#incoming[0]) {
      this.#incoming.shift()
      const frame = encodeReconFrame({ frame: 'ack', ...first.result })
      this.#ledger.transferBytes += frame.length
      actions.push({ action: 'send', frame })
    }
    return actions
  }

  /** Records that our snapshot holds: the peer could have known. Others that were known came by gossip meanwhile. */
  #held(records: readonly Bytes[]): number {
    const { records: reader, view, space } = this.#options
    let held = 0
    for (const record of records) {
      const key = reader.key(record, space)
      if (key !== undefined && view.has(key)) held++
    }
    return held
  }
}

function sizeOf(batch: Batch): number {
  return batch.kind === 'keys' ? batch.keys.length : batch.shorts.length
}
