/**
 * Learning new memories: each request is guarded, composed, checked against what was said before, and written, all items
 * of one space as one delta. What is asked of the rest of the engine happens before the delta is made, so that a refused
 * request has written nothing.
 */
import { assert } from '../base/assert.ts'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { composeAdd } from '../memory/compose.ts'
import type { RecordId } from '../memory/ids.ts'
import { recordIdOfKey, recordIdOfOrdinal } from '../memory/names.ts'
import type { KnownOp, Op, Target } from '../memory/ops.ts'
import type { Hasher } from '../ports/crypto.ts'
import { hammingDistance, NEAR_DUPLICATE_BITS, simHash } from '../recall/similarity.ts'
import { tokenize } from '../recall/tokenize.ts'
import { contentFlags } from '../trust/content-flags.ts'
import type { TrustTier } from '../trust/tier.ts'
import type { AddRequest, SimilarMemory, WriteOptions, WriteReceipt } from './api.ts'
import type { Echoes } from './echoes.ts'
import { originsOf, refuseSecrets } from './guards.ts'
import type { Indexer } from './indexer.ts'
import type { Items } from './items.ts'
import type { Admitted } from './perform.ts'
import { WORKING_TAG, workingSpace } from './promotion.ts'
import type { Records } from './records.ts'
import type { Again, FirstTime, Repeats } from './repeats.ts'
import type { Arrival } from './rows.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { TrustJudge } from './trust-judge.ts'

export interface AddPorts {
  readonly crypto: Hasher
  readonly records: Records
  readonly spaces: Spaces
  readonly items: Items
  readonly indexer: Indexer
  readonly judge: TrustJudge
  readonly repeats: Repeats
  readonly echoes: Echoes
}

/** What Writes does for every act, lent to this one. */
export interface WriteSteps {
  readonly write: (space: Space, ops: readonly Op[]) => Promise<Admitted>
  readonly acknowledge: (space: Space, arrival: Arrival, options: WriteOptions | undefined) => Promise<void>
  readonly receipt: (space: Space, admitted: Admitted, id: RecordId) => WriteReceipt
}

/** One request, ready to be written. */
interface Plan {
  readonly index: number
  readonly request: AddRequest
  readonly space: Space
  readonly key: string | undefined
  readonly content: string
  readonly flags: string[]
  ops: KnownOp[]
  turn: FirstTime | Again | undefined
}

const SIMILAR_MAX = 5
const SIMILAR_LOOKED_AT = 20
/** A query of so many characters finds what is alike; the rest only costs. */
const SIMILAR_QUERY_CHARS = 1_000
const FIRST: Target = { by: 'ordinal', ordinal: 0 }

export class Adds {
  readonly #ports: AddPorts
  readonly #steps: WriteSteps

  constructor(ports: AddPorts, steps: WriteSteps) {
    this.#ports = ports
    this.#steps = steps
  }

  /** In the order of the requests. */
  async addMany(requests: readonly AddRequest[], options?: WriteOptions): Promise<WriteReceipt[]> {
    checkCount(requests.length)
    // What was cited and is not indexed yet may be in a space that readers of this one cannot see.
    if (requests.some(({ parents = [] }) => parents.some((id) => !this.#isIndexed(id)))) {
      await this.#ports.indexer.catchUp()
    }
    const plans = requests.map((request, index) => this.#plan(request, index))
    for (const plan of plans) if (this.#ports.echoes.mayEcho(plan.request.session)) await this.#markEcho(plan)
    const receipts: WriteReceipt[] = []
    // From here to the last `begin` nothing waits: of two equal requests exactly one comes first.
    for (const plan of plans) {
      if (plan.request.dedupe !== 'allow') plan.turn = this.#ports.repeats.begin(plan.space.id, plan.ops)
    }
    const own = plans.filter((plan) => plan.turn?.repeats === undefined)
    try {
      await this.#writeNew(await this.#withoutKnown(own, receipts, options), receipts, options)
    } catch (error) {
      for (const { turn } of own) if (turn?.repeats === undefined) turn?.fail(error)
      throw error
    }
    for (const { index, turn, space } of plans) {
      if (turn?.repeats === undefined) continue
      const first = await turn.repeats
      receipts[index] = { ...first, created: false, duplicateOf: first.id }
      await this.#acknowledgeStored(space, first.id, options)
    }
    for (const { index, request, space, content } of plans) {
      const receipt = receipts[index]
      assert(receipt !== undefined, 'every request has a receipt')
      if (request.dedupe !== 'report') continue
      receipts[index] = { ...receipt, similar: await this.#similar(space, content, receipt.id) }
    }
    return receipts
  }

  #isIndexed(id: RecordId): boolean {
    const { indexer, spaces } = this.#ports
    return spaces.all.some((space) => indexer.index.has(id, space.id))
  }

  #plan(request: AddRequest, index: number): Plan {
    const { space: reference, tier, ...asked } = request
    refuseSecrets(asked, asked.allowSecret)
    const working = tier === 'working'
    // Also for a working memory: where it may be promoted to must exist before anything is written.
    const named = this.#ports.spaces.find(reference)
    const space = working ? workingSpace(this.#ports.spaces) : named
    const item = working ? { ...asked, tags: [...(asked.tags ?? []), WORKING_TAG] } : asked
    const ops = composeAdd(item, 0)
    const parents = asked.parents ?? []
    const basis = this.tiersElsewhere(space, parents)
    ops.push(...originsOf(ops[0]?.target ?? FIRST, asked, { derived: parents.length > 0, basis }))
    const flags: string[] = [...contentFlags(asked.content)]
    const key = item.key?.normalize('NFC')
    return { index, request, space, key, content: asked.content, flags, ops, turn: undefined }
  }

  /** Tiers of those that are not in the space they are cited in, where its other readers cannot see them. */
  tiersElsewhere(space: Space, ids: readonly RecordId[]): TrustTier[] {
    const { judge, spaces } = this.#ports
    return ids.flatMap((id) => {
      if (judge.explain(space.id, id) !== undefined) return []
      const homes = spaces.all.flatMap((other) => (other === space ? [] : (judge.explain(other.id, id) ?? [])))
      return homes.slice(0, 1).map((verdict) => verdict.tier)
    })
  }

  /** What was shown to this conversation and comes back gets what it repeats as its parent. */
  async #markEcho(plan: Plan): Promise<void> {
    const { request, space, key, content, ops } = plan
    const cited = new Set(request.parents ?? [])
    const echo = await this.#ports.echoes.echoOf(content, request.session, cited)
    if (echo === undefined || (key !== undefined && echo.id === recordIdOfKey(this.#ports.crypto, space.id, key)))
      return
    // One's own words once more are a repetition, which is not written at all.
    if (request.dedupe !== 'allow' && (await this.#ports.repeats.find(space.id, ops)) !== undefined) return
    plan.flags.push('recall_echo')
    plan.ops = this.#withParent(ops, echo.id, space, request)
  }

  /** The operations with one more parent, and what follows from it for the origin. */
  #withParent(ops: readonly KnownOp[], parent: RecordId, space: Space, request: AddRequest): KnownOp[] {
    const target = ops[0]?.target ?? FIRST
    const basis = this.tiersElsewhere(space, [...(request.parents ?? []), parent])
    return [
      ...ops.filter((op) => op.op !== 'origin'),
      { op: 'link', target, relation: 'parents', value: parent },
      ...originsOf(target, request, { derived: true, basis })
    ]
  }

  /** Answers those that were said before with their first receipt; the others are to be written. */
  async #withoutKnown(
    plans: readonly Plan[],
    receipts: WriteReceipt[],
    options: WriteOptions | undefined
  ): Promise<Plan[]> {
    const open: Plan[] = []
    for (const plan of plans) {
      const id = plan.turn === undefined ? undefined : await this.#ports.repeats.find(plan.space.id, plan.ops)
      const receipt = id === undefined ? undefined : await this.#receiptOf(plan, id)
      if (receipt === undefined) {
        open.push(plan)
        continue
      }
      receipts[plan.index] = receipt
      if (plan.turn?.repeats === undefined) plan.turn?.settle(receipt)
      await this.#acknowledgeStored(plan.space, receipt.id, options)
    }
    return open
  }

  async #writeNew(plans: readonly Plan[], receipts: WriteReceipt[], options: WriteOptions | undefined): Promise<void> {
    const bySpace = new Map<Space, Plan[]>()
    for (const plan of plans) {
      const part = bySpace.get(plan.space)
      if (part === undefined) bySpace.set(plan.space, [plan])
      else part.push(plan)
    }
    for (const [space, part] of bySpace) {
      const targets = targetsOf(part)
      const ops = part.length === 1 ? (part[0] as Plan).ops : part.flatMap((plan, i) => aimedAt(plan.ops, targets[i]))
      const admitted = await this.#steps.write(space, ops)
      const ids = targets.map((target) => this.#idOf(space, admitted, target))
      for (const [i, plan] of part.entries()) {
        const id = ids[i] as RecordId
        const created = plan.key === undefined || (await this.#isNew(space, id, admitted))
        const receipt = { ...this.#steps.receipt(space, admitted, id), created, flags: plan.flags }
        receipts[plan.index] = receipt
        if (plan.turn?.repeats === undefined) plan.turn?.settle(receipt)
      }
      await this.#steps.acknowledge(space, admitted.arrival, options)
      if (options?.ack === undefined || options.ack === 'disk') continue
      // Who waited for peers is told what came of it.
      const { syncState } = this.#steps.receipt(space, admitted, ids[0] as RecordId)
      for (const { index } of part) receipts[index] = { ...(receipts[index] as WriteReceipt), syncState }
    }
  }

  #idOf(space: Space, admitted: Admitted, target: Target): RecordId {
    const { crypto } = this.#ports
    if (target.by === 'key') return recordIdOfKey(crypto, space.id, target.key)
    return recordIdOfOrdinal(crypto, admitted.delta.id, target.by === 'ordinal' ? target.ordinal : 0)
  }

  /** Whether a key meant nothing before this delta. */
  async #isNew(space: Space, id: RecordId, admitted: Admitted): Promise<boolean> {
    const record = await this.#ports.records.get(space.id, id)
    return record?.state.created?.stamp.delta === admitted.delta.id
  }

  async #receiptOf(plan: Plan, id: RecordId): Promise<WriteReceipt | undefined> {
    const { space, flags } = plan
    const [item] = await this.#ports.items.load(space, [id])
    if (item === undefined) return undefined
    const { contentBy, fingerprint, createdAt, syncState } = item
    const of = { id, delta: contentBy, fingerprint, space: space.id, atMs: createdAt, syncState }
    return { ...of, created: false, duplicateOf: id, flags }
  }

  async #acknowledgeStored(space: Space, id: RecordId, options: WriteOptions | undefined): Promise<void> {
    if (options?.ack === undefined || options.ack === 'disk') return
    const record = await this.#ports.records.get(space.id, id)
    if (record !== undefined) await this.#steps.acknowledge(space, record.lastArrival, options)
  }

  /** Memories of the space that nearly say the same, but for the one just written. */
  async #similar(space: Space, content: string, except: RecordId): Promise<SimilarMemory[]> {
    const { indexer, items } = this.#ports
    const hash = simHash(tokenize(content))
    if (hash === undefined) return []
    await indexer.catchUp()
    const { hits } = indexer.index.search({
      query: content.slice(0, SIMILAR_QUERY_CHARS),
      filters: { spaces: [space.id], includeSuperseded: true },
      limit: SIMILAR_LOOKED_AT,
      nowMs: 0
    })
    const loaded = await items.load(
      space,
      hits.map((hit) => hit.id).filter((id) => id !== except)
    )
    const similar: SimilarMemory[] = []
    for (const item of loaded) {
      const other = item === undefined ? undefined : simHash(tokenize(item.content ?? ''))
      if (item === undefined || other === undefined) continue
      const bits = hammingDistance(hash, other)
      if (bits > NEAR_DUPLICATE_BITS) continue
      similar.push({ id: item.id, score: 1 - bits / 64, content: item.content ?? '' })
    }
    return similar.sort((a, b) => b.score - a.score).slice(0, SIMILAR_MAX)
  }
}

function checkCount(count: number): void {
  if (count === 0) {
    throw new ChrysalisError('invalid_argument', 'no memories were given', { hint: 'Give at least one item.' })
  }
  if (count <= LIMITS.addManyItemsMax) return
  throw new ChrysalisError('too_large', `${count} memories in one request; at most ${LIMITS.addManyItemsMax}`, {
    hint: 'Split the list. Nothing was written.'
  })
}

/** Records that one delta creates are numbered; one that a key names needs no number. */
function targetsOf(plans: readonly Plan[]): Target[] {
  let ordinal = 0
  return plans.map(({ key }) => (key === undefined ? { by: 'ordinal', ordinal: ordinal++ } : { by: 'key', key }))
}

function aimedAt(ops: readonly KnownOp[], target: Target | undefined): KnownOp[] {
  return target === undefined ? [...ops] : ops.map((op) => ({ ...op, target }))
}
