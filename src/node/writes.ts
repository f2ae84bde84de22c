/**
 * Acts on this daemon's own copy. Each becomes one signed delta and is acknowledged once the disk has it; on request
 * also once a number of peers do.
 */
import { assert } from '../base/assert.ts'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { composeAdd, composeLink, composeRetract, composeRevise, composeVote } from '../memory/compose.ts'
import { hlcMs, type RecordId } from '../memory/ids.ts'
import { recordIdOfKey, recordIdOfOrdinal } from '../memory/names.ts'
import type { Op, Relation } from '../memory/ops.ts'
import type { BallotVerdict } from '../memory/ops.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { AddRequest, ReviseRequest, WriteOptions, WriteReceipt } from './api.ts'
import { syncStateOf, type Items } from './items.ts'
import type { Admitted } from './perform.ts'
import { deservesPromotion, promoted, WORKING_TAG, workingSpace } from './promotion.ts'
import type { Reads } from './reads.ts'
import type { Records } from './records.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { Writer } from './writer.ts'

export interface WritePorts {
  readonly crypto: Hasher
  readonly records: Records
  readonly spaces: Spaces
  readonly writer: Writer
  readonly reads: Reads
  readonly items: Items
  /** Resolves once `count` peers hold everything up to the arrival; rejects with `timeout`. */
  readonly awaitHolders: (space: Space, arrival: number, count: number, timeoutMs: number) => Promise<void>
}

export class Writes {
  readonly #ports: WritePorts
  readonly #options: { readonly replicas: number; readonly promotionThreshold: number }
  /** Tail of the writes that looked at a record first, by record: two of them never interleave. */
  readonly #turns = new Map<RecordId, Promise<unknown>>()

  constructor(options: { replicas: number; promotionThreshold: number }, ports: WritePorts) {
    this.#options = options
    this.#ports = ports
  }

  async add(request: AddRequest, options?: WriteOptions): Promise<WriteReceipt> {
    const [receipt] = await this.addMany([request], options)
    assert(receipt !== undefined, 'one request has one receipt')
    return receipt
  }

  async addMany(requests: readonly AddRequest[], options?: WriteOptions): Promise<WriteReceipt[]> {
    if (requests.length === 0) {
      throw new ChrysalisError('invalid_argument', 'no memories were given', { hint: 'Give at least one item.' })
    }
    if (requests.length > LIMITS.addManyItemsMax) {
      throw new ChrysalisError(
        'too_large',
        `${requests.length} memories in one request; at most ${LIMITS.addManyItemsMax}`,
        {
          hint: 'Split the list. Nothing was written.'
        }
      )
    }
    const bySpace = new Map<
      Space,
      { ops: Op[]; places: { index: number; key: string | undefined; ordinal: number }[] }
    >()
    requests.forEach((request, index) => {
      const { space: reference, tier, ...asked } = request
      const working = tier === 'working'
      // Also for a working memory: where it may be promoted to must exist before anything is written.
      const named = this.#ports.spaces.find(reference)
      const space = working ? workingSpace(this.#ports.spaces) : named
      const item = working ? { ...asked, tags: [...(asked.tags ?? []), WORKING_TAG] } : asked
      let part = bySpace.get(space)
      if (part === undefined) bySpace.set(space, (part = { ops: [], places: [] }))
      const ordinal = part.places.filter((place) => place.key === undefined).length
      part.ops.push(...composeAdd(item, ordinal))
      part.places.push({ index, key: item.key, ordinal })
    })
    const receipts: WriteReceipt[] = []
    for (const [space, { ops, places }] of bySpace) {
      const admitted = await this.#submit(space, ops, options)
      for (const { index, key, ordinal } of places) {
        const id =
          key === undefined
            ? recordIdOfOrdinal(this.#ports.crypto, admitted.delta.id, ordinal)
            : recordIdOfKey(this.#ports.crypto, space.id, key.normalize('NFC'))
        receipts[index] = this.#receipt(space, admitted, id)
      }
    }
    for (const [index, request] of requests.entries()) {
      const receipt = receipts[index]
      if (request.tier !== 'working' || receipt === undefined) continue
      receipts[index] = await this.#promote(receipt, this.#ports.spaces.find(request.space), options)
    }
    return receipts
  }

  /** Promotes the record of the receipt when it is a working memory that has become important enough. */
  async #promote(receipt: WriteReceipt, to: Space, options: WriteOptions | undefined): Promise<WriteReceipt> {
    const space = this.#ports.spaces.find(receipt.space)
    const record = await this.#ports.records.get(space.id, receipt.id)
    const view = record === undefined ? undefined : this.#ports.items.view(space, record)
    if (record === undefined || view === undefined || to === space) return receipt
    if (!deservesPromotion(view, this.#options.promotionThreshold)) return receipt
    const { id } = await this.add(promoted(view, to), options)
    // Last, so that a crash in between promotes twice rather than never.
    await this.#submit(space, composeRevise(record.state, { tagsRemove: [WORKING_TAG] }), undefined)
    return { ...receipt, promoted: id }
  }

  async revise(request: ReviseRequest, options?: WriteOptions): Promise<WriteReceipt> {
    const { id: reference, space: spaceReference, ifVersion, ...change } = request
    const { space, id } = await this.#ports.reads.resolve(reference, spaceReference)
    const { admitted } = await this.#inTurn(id, async () => {
      const record = await this.#ports.records.get(space.id, id)
      assert(record !== undefined, 'a resolved record is stored')
      const version = record.state.contentDeltas.size
      if (ifVersion !== undefined && ifVersion !== version) {
        throw new ChrysalisError(
          'conflict',
          `the memory is at version ${version}, not ${ifVersion}; nothing was written`,
          {
            hint: 'Read it again and decide anew.',
            data: { version }
          }
        )
      }
      return { admitted: await this.#write(space, composeRevise(record.state, change, space.replica.author)) }
    })
    // Waiting for peers is not part of the turn: it may take as long as the caller is patient.
    await this.#acknowledge(space, admitted, options)
    const receipt = this.#receipt(space, admitted, id)
    return space.options.shared ? receipt : this.#promote(receipt, this.#ports.spaces.find(undefined), undefined)
  }

  async link(
    request: { from: string; to: string; relation: Relation; space?: string },
    options?: WriteOptions
  ): Promise<WriteReceipt> {
    const { space, id } = await this.#ports.reads.resolve(request.from, request.space)
    const to =
      request.relation === 'evidence'
        ? request.to
        : (await this.#ports.reads.resolve(request.to, request.space ?? space.id)).id
    const ops = composeLink(id, { relation: request.relation, to })
    return this.#receipt(space, await this.#submit(space, ops, options), id)
  }

  async retract(
    request: { id: string; reason: string; space?: string },
    options?: WriteOptions
  ): Promise<WriteReceipt> {
    const { space, id } = await this.#ports.reads.resolve(request.id, request.space)
    return this.#receipt(space, await this.#submit(space, composeRetract(id, request.reason), options), id)
  }

  async vote(
    request: { id: string; verdict: BallotVerdict; confidence?: number; reason?: string; space?: string },
    options?: WriteOptions
  ): Promise<WriteReceipt> {
    const { id: reference, space: spaceReference, ...vote } = request
    const { space, id } = await this.#ports.reads.resolve(reference, spaceReference)
    return this.#receipt(space, await this.#submit(space, composeVote(id, vote), options), id)
  }

  async #submit(space: Space, ops: readonly Op[], options: WriteOptions | undefined): Promise<Admitted> {
    const admitted = await this.#write(space, ops)
    await this.#acknowledge(space, admitted, options)
    return admitted
  }

  /** Resolves once this disk has it. */
  async #write(space: Space, ops: readonly Op[]): Promise<Admitted> {
    const outcome = await this.#ports.writer.submit(space, { input: 'write', ops })
    const [admitted] = outcome.admitted
    assert(admitted !== undefined, 'a local write is always admitted')
    return admitted
  }

  /** Resolves once as many peers have it as the caller asked for. */
  async #acknowledge(space: Space, admitted: Admitted, options: WriteOptions | undefined): Promise<void> {
    const ack = options?.ack
    if (ack !== undefined && ack !== 'disk') {
      if (!space.options.shared) {
        throw new ChrysalisError('invalid_state', `space ${space.options.name} is private: no peer will ever hold it`, {
          stateTouched: true,
          hint: 'The memory is written to this disk. Ask for replicas only in a shared space.'
        })
      }
      await this.#ports.awaitHolders(space, admitted.arrival, ack.replicas, ack.timeoutMs)
    }
  }

  #receipt(space: Space, admitted: Admitted, id: RecordId): WriteReceipt {
    return {
      id,
      delta: admitted.delta.id,
      fingerprint: admitted.delta.fingerprint,
      space: space.id,
      atMs: hlcMs(admitted.delta.header.hlc),
      syncState: syncStateOf(space, admitted.arrival, this.#options.replicas).state
    }
  }

  async #inTurn<T>(id: RecordId, act: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(id) ?? Promise.resolve()).catch(() => undefined).then(act)
    this.#turns.set(id, turn)
    try {
      return await turn
    } finally {
      if (this.#turns.get(id) === turn) this.#turns.delete(id)
    }
  }
}
