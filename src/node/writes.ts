/**
 * Acts on this daemon's own copy. Each becomes one signed delta and is acknowledged once the disk has it; on request
 * also once a number of peers do.
 */
import { assert } from '../base/assert.ts'
import { ChrysalisError } from '../base/errors.ts'
import { composeLink, composeRetract, composeRevise, composeVote } from '../memory/compose.ts'
import { hlcMs, type RecordId } from '../memory/ids.ts'
import type { BallotVerdict, KnownOp, Op, Relation } from '../memory/ops.ts'
import { originOf } from '../memory/origin.ts'
import type { RecordState } from '../memory/record.ts'
import { contentFlags } from '../trust/content-flags.ts'
import { Adds, type AddPorts } from './adds.ts'
import type { AddRequest, ReviseRequest, WriteOptions, WriteReceipt } from './api.ts'
import { originsOf, refuseSecrets } from './guards.ts'
import { syncStateOf } from './items.ts'
import type { Admitted } from './perform.ts'
import type { Reads } from './reads.ts'
import type { Arrival } from './rows.ts'
import type { Space } from './space.ts'
import type { Writer } from './writer.ts'

export interface WritePorts extends AddPorts {
  readonly writer: Writer
  readonly reads: Reads
  /** Makes a shared memory of a working one that has become important enough; undefined for any other. */
  readonly promote: (
    place: { space: Space; id: RecordId },
    to: Space,
    options: WriteOptions | undefined
  ) => Promise<RecordId | undefined>
  /** Resolves once `count` peers hold everything up to the arrival; rejects with `timeout`. */
  readonly awaitHolders: (space: Space, arrival: number, count: number, timeoutMs: number) => Promise<void>
}

export class Writes {
  readonly #ports: WritePorts
  readonly #options: { readonly replicas: number }
  /** Tail of the writes that looked at a record first, by record: two of them never interleave. */
  readonly #turns = new Map<RecordId, Promise<unknown>>()
  readonly #adds: Adds

  constructor(options: { replicas: number }, ports: WritePorts) {
    this.#options = options
    this.#ports = ports
    this.#adds = new Adds(ports, {
      write: (space, ops) => this.#write(space, ops),
      acknowledge: (space, arrival, how) => this.#acknowledge(space, arrival, how),
      receipt: (space, admitted, id) => this.#receipt(space, admitted, id)
    })
  }

  async add(request: AddRequest, options?: WriteOptions): Promise<WriteReceipt> {
    const [receipt] = await this.addMany([request], options)
    assert(receipt !== undefined, 'one request has one receipt')
    return receipt
  }

  async addMany(requests: readonly AddRequest[], options?: WriteOptions): Promise<WriteReceipt[]> {
    const receipts = await this.#adds.addMany(requests, options)
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
    const promoted = await this.#ports.promote({ space, id: receipt.id }, to, options)
    return promoted === undefined ? receipt : { ...receipt, promoted }
  }

  async revise(request: ReviseRequest, options?: WriteOptions): Promise<WriteReceipt> {
    const { id: reference, space: spaceReference, ifVersion, ...change } = request
    refuseSecrets(change, request.allowSecret)
    const { space, id } = await this.#ports.reads.resolve(reference, spaceReference)
    const { admitted, echoes } = await this.#inTurn(id, async () => {
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
      const ops = composeRevise(record.state, change, space.replica.author)
      const more = await this.#newWords(space, record.state, ops, request)
      return { admitted: await this.#write(space, [...ops, ...more]), echoes: more.some((op) => op.op === 'link') }
    })
    // Waiting for peers is not part of the turn: it may take as long as the caller is patient.
    await this.#acknowledge(space, admitted.arrival, options)
    const flags: string[] = [...contentFlags(request.content ?? ''), ...(echoes ? ['recall_echo'] : [])]
    const receipt = { ...this.#receipt(space, admitted, id), flags }
    return space.options.shared ? receipt : this.#promote(receipt, this.#ports.spaces.find(undefined), undefined)
  }

  /** Who writes new words says where these came from, unless that was said of this record before. */
  async #newWords(
    space: Space,
    state: RecordState,
    ops: readonly KnownOp[],
    request: ReviseRequest
  ): Promise<KnownOp[]> {
    const words = ops.find((op) => op.op === 'set' && op.field === 'content')
    if (words === undefined || request.content === undefined) return []
    const { echoes } = this.#ports
    const cited = new Set([state.id, ...state.parents])
    const echo = echoes.mayEcho(request.session)
      ? await echoes.echoOf(request.content, request.session, cited)
      : undefined
    const link: KnownOp[] =
      echo === undefined ? [] : [{ op: 'link', target: words.target, relation: 'parents', value: echo.id }]
    const basis = echo === undefined ? [] : this.#adds.tiersElsewhere(space, [echo.id])
    const origins = originsOf(words.target, request, { derived: echo !== undefined, basis })
    const { author } = space.replica
    return [
      ...link,
      ...origins.filter((op) => op.op !== 'origin' || !state.origins.has(originOf(author, op.origin, op.agent)))
    ]
  }

  async link(
    request: { from: string; to: string; relation: Relation; space?: string },
    options?: WriteOptions
  ): Promise<WriteReceipt> {
    if (request.relation === 'evidence') refuseSecrets({ to: request.to })
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
    refuseSecrets({ reason: request.reason })
    const { space, id } = await this.#ports.reads.resolve(request.id, request.space)
    return this.#receipt(space, await this.#submit(space, composeRetract(id, request.reason), options), id)
  }

  async vote(
    request: { id: string; verdict: BallotVerdict; confidence?: number; reason?: string; space?: string },
    options?: WriteOptions
  ): Promise<WriteReceipt> {
    refuseSecrets({ reason: request.reason })
    const { id: reference, space: spaceReference, ...vote } = request
    const { space, id } = await this.#ports.reads.resolve(reference, spaceReference)
    return this.#receipt(space, await this.#submit(space, composeVote(id, vote), options), id)
  }

  /** Operations on one record that were composed elsewhere: written and acknowledged like any other act. */
  async apply(
    space: Space,
    ops: readonly Op[],
    id: RecordId,
    options: WriteOptions | undefined
  ): Promise<WriteReceipt> {
    return this.#receipt(space, await this.#submit(space, ops, options), id)
  }

  async #submit(space: Space, ops: readonly Op[], options: WriteOptions | undefined): Promise<Admitted> {
    const admitted = await this.#write(space, ops)
    await this.#acknowledge(space, admitted.arrival, options)
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
  async #acknowledge(space: Space, arrival: Arrival, options: WriteOptions | undefined): Promise<void> {
    const ack = options?.ack
    if (ack !== undefined && ack !== 'disk') {
      if (!space.options.shared) {
        throw new ChrysalisError('invalid_state', `space ${space.options.name} is private: no peer will ever hold it`, {
          stateTouched: true,
          hint: 'The memory is written to this disk. Ask for replicas only in a shared space.'
        })
      }
      await this.#ports.awaitHolders(space, arrival, ack.replicas, ack.timeoutMs)
    }
  }

  #receipt(space: Space, admitted: Admitted, id: RecordId): WriteReceipt {
    return {
      id,
      delta: admitted.delta.id,
      fingerprint: admitted.delta.fingerprint,
      space: space.id,
      atMs: hlcMs(admitted.delta.header.hlc),
      syncState: syncStateOf(space, admitted.arrival, this.#options.replicas).state,
      created: false,
      flags: []
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
