/**
 * Saying the same thing twice. What this author has written before, in the same words and with nothing added, is not
 * written again: the caller gets the receipt of the first time. Equal requests under way at once share one write, so
 * that a caller who asks again after a lost answer never makes two memories of one.
 *
 * Texts are known by a 53-bit hash, kept beside the index; a match is only a reason to look, and the stored record
 * decides. Until the index is complete after a start a repetition may go unnoticed: it is then a second memory, and
 * consolidation finds it.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { LIMITS } from '../base/limits.ts'
import { hasElement } from '../crdt/or-set.ts'
import type { AuthorId, RecordId, SpaceId } from '../memory/ids.ts'
import type { MemoryView } from '../memory/memory-view.ts'
import type { KnownOp } from '../memory/ops.ts'
import { parseOrigin } from '../memory/origin.ts'
import type { RecordState } from '../memory/record.ts'
import { hashText } from '../recall/similarity.ts'
import type { WriteReceipt } from './api.ts'
import type { Records } from './records.ts'

export interface RepeatsPorts {
  readonly records: Records
  /** Wall milliseconds. */
  readonly nowMs: () => number
}

/** A write under way, for those who ask for the same meanwhile. */
export interface FirstTime {
  readonly repeats: undefined
  settle(receipt: WriteReceipt): void
  fail(error: unknown): void
}

export interface Again {
  readonly repeats: Promise<WriteReceipt>
}

interface Waiter {
  readonly resolve: (receipt: WriteReceipt) => void
  readonly reject: (error: unknown) => void
}

/** A write under way. Most have nobody waiting, and cost no promise. */
class UnderWay implements FirstTime {
  readonly repeats = undefined
  readonly ops: readonly KnownOp[]
  readonly #ended: (receipt: WriteReceipt | undefined) => void
  #waiters: Waiter[] | undefined

  constructor(ops: readonly KnownOp[], ended: (receipt: WriteReceipt | undefined) => void) {
    this.ops = ops
    this.#ended = ended
  }

  wait(): Promise<WriteReceipt> {
    return new Promise((resolve, reject) => {
      this.#waiters ??= []
      this.#waiters.push({ resolve, reject })
    })
  }

  settle(receipt: WriteReceipt): void {
    this.#ended(receipt)
    for (const { resolve } of this.#waiters ?? []) resolve(receipt)
  }

  fail(error: unknown): void {
    this.#ended(undefined)
    for (const { reject } of this.#waiters ?? []) reject(error)
  }
}

/** Whose words another request under way happens to share in part: written without being told apart. */
const BESIDE: FirstTime = { repeats: undefined, settle: () => undefined, fail: () => undefined }

export class Repeats {
  readonly #author: AuthorId
  readonly #peer: string
  readonly #ports: RepeatsPorts
  readonly #known = new BoundedMap<number, RecordId>(LIMITS.repeatsKnownMax)
  readonly #underWay = new Map<number, UnderWay>()

  /** `peer`: the author, as a peer id. */
  constructor(options: { readonly author: AuthorId; readonly peer: string }, ports: RepeatsPorts) {
    this.#author = options.author
    this.#peer = options.peer
    this.#ports = ports
  }

  /** Texts known. */
  get size(): number {
    return this.#known.size
  }

  /** A record was indexed: what it says is known from now on, if this author says it. */
  note(view: MemoryView): void {
    if (view.peer !== this.#peer || view.contentPeer !== this.#peer || view.content === null) return
    const hash = hashOf(view.space, view.key, view.kind, view.path, view.content)
    if (view.retracted === null) this.#known.set(hash, view.id)
    else if (this.#known.get(hash) === view.id) this.#known.delete(hash)
  }

  /** Takes the words for this request; whoever asks for the same before it is settled is told to wait for it. */
  begin(space: SpaceId, ops: readonly KnownOp[]): FirstTime | Again {
    const hash = hashOfOps(space, ops)
    const before = this.#underWay.get(hash)
    if (before !== undefined) {
      // Only a request for the very same is answered with the answer to another.
      if (JSON.stringify(before.ops) !== JSON.stringify(ops)) return BESIDE
      const repeats = before.wait()
      // Whoever waits may have failed by then, and nobody listens.
      repeats.catch(() => undefined)
      return { repeats }
    }
    const first = new UnderWay(ops, (receipt) => {
      this.#underWay.delete(hash)
      if (receipt !== undefined && !receipt.flags.includes('recall_echo')) this.#known.set(hash, receipt.id)
    })
    this.#underWay.set(hash, first)
    return first
  }

  /** The record of the space that says all of this already. Most requests cost one look at a map. */
  async find(space: SpaceId, ops: readonly KnownOp[]): Promise<RecordId | undefined> {
    const id = this.#known.get(hashOfOps(space, ops))
    if (id === undefined) return undefined
    const record = await this.#ports.records.get(space, id)
    return record !== undefined && this.#saysAll(record.state, ops) ? id : undefined
  }

  #saysAll(state: RecordState, ops: readonly KnownOp[]): boolean {
    const { created, fields } = state
    if (created?.stamp.author !== this.#author) return false
    if (typeof fields.get('retracted')?.value === 'string') return false
    const expiresAt = fields.get('expiresAt')?.value
    if (typeof expiresAt === 'number' && expiresAt <= this.#ports.nowMs()) return false
    return ops.every((op) => this.#says(state, op))
  }

  #says(state: RecordState, op: KnownOp): boolean {
    switch (op.op) {
      case 'create': {
        const { documentType, memoryType, source } = state.created?.value ?? {}
        const isSame = (wanted: string | null, there: string | null | undefined): boolean =>
          wanted === null || wanted === there
        return op.documentType === documentType && isSame(op.memoryType, memoryType) && isSame(op.source, source)
      }
      case 'set': {
        const register = state.fields.get(op.field)
        // Words that somebody else put there are not this author's.
        if (op.field === 'content' && register?.stamp.author !== this.#author) return false
        return (register?.value ?? IMPLIED[op.field] ?? null) === op.value
      }
      case 'tag':
        return hasElement(state.tags, op.tag)
      case 'link':
        return state[op.relation].has(op.value)
      case 'importance':
      case 'confidence':
        return (state[op.op].get(this.#author) ?? -1) >= op.value
      case 'origin':
        return this.#hasSaid(state, op.origin)
      default:
        return false
    }
  }

  /** A record of before origins were said came from this daemon itself. */
  #hasSaid(state: RecordState, origin: string): boolean {
    const own = [...state.origins].map(parseOrigin).filter((one) => one.author === this.#author)
    return own.length === 0 ? origin === 'self' : own.some((one) => one.origin === origin)
  }
}

/** What a reader takes a field to be that nobody wrote. */
const IMPLIED: Readonly<Record<string, string | boolean>> = { kind: 'note', pinned: false }

function hashOfOps(space: SpaceId, ops: readonly KnownOp[]): number {
  let key: string | null = null
  let kind = 'note'
  let path: string | null = null
  let content = ''
  for (const op of ops) {
    if (op.op === 'create') {
      if (op.target.by === 'key') key = op.target.key
      if (op.documentType === 'bead') kind = 'bead'
    } else if (op.op === 'set') {
      if (op.field === 'content') content = String(op.value)
      else if (op.field === 'kind') kind = String(op.value)
      else if (op.field === 'path' && typeof op.value === 'string') path = op.value
    }
  }
  return hashOf(space, key, kind, path, content)
}

function hashOf(space: SpaceId, key: string | null, kind: string, path: string | null, content: string): number {
  const { high, low } = hashText([space, key ?? '', kind, path ?? '', content].join('\n'))
  return (high >>> 0) * 0x20_0000 + (low >>> 11)
}
