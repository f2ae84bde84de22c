/**
 * Promotes private memories: by the importance claimed for them, by a call that names them, and by having been recalled
 * in several sessions (node/session-recalls.ts says when).
 *
 * One at a time, whoever asks. The shared memory is written first and the working tag is taken off last, so that a crash
 * in between promotes at least once; the parent link of the shared memory is then what tells that it has been done. The
 * shared memory claims the worst origin of the private one. What that was made from, readers elsewhere cannot see; the
 * write itself adds what it is worth (node/guards.ts), so nobody thinks better of the memory for having been promoted.
 */
import { ChrysalisError } from '../base/errors.ts'
import { isHex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { composeRevise } from '../memory/compose.ts'
import type { RecordId } from '../memory/ids.ts'
import type { MemoryView } from '../memory/memory-view.ts'
import type { Op, OriginClass } from '../memory/ops.ts'
import type { Store } from '../ports/store.ts'
import { worstClass } from '../trust/tier.ts'
import type { AddRequest, PromoteAnswer, PromoteRequest, Promoted, WriteOptions, WriteReceipt } from './api.ts'
import type { Items } from './items.ts'
import { deservesPromotion, isWorking, promoted, promotionRefusal, WORKING_TAG } from './promotion.ts'
import type { Records, StoredRecord } from './records.ts'
import { scanPrefix } from './restore.ts'
import { linkPrefix, parseLinkKey } from './rows.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { Writer } from './writer.ts'

export interface PromotionPorts {
  readonly store: Store
  readonly records: Records
  readonly items: Items
  readonly spaces: Spaces
  readonly writer: Writer
  /** Writes the shared memories, all or none. */
  readonly add: (requests: readonly AddRequest[], options?: WriteOptions) => Promise<readonly WriteReceipt[]>
}

/** A private memory that is to be shared. */
interface Candidate {
  readonly space: Space
  readonly record: StoredRecord
  readonly view: MemoryView
}

export class Promotions {
  readonly #ports: PromotionPorts
  readonly #threshold: number
  /** The promotion under way: two of one memory must not overlap. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: { threshold: number }, ports: PromotionPorts) {
    this.#threshold = options.threshold
    this.#ports = ports
  }

  /** As NodeApi.promote. Rejects with `not_found`, `invalid_state`, `too_large`, and what a write rejects with. */
  promote(request: PromoteRequest, options?: WriteOptions): Promise<PromoteAnswer> {
    return this.#inTurn(async () => {
      const to = this.#ports.spaces.find(request.space)
      const ids = [...new Set(request.ids)]
      if (ids.length > LIMITS.promoteIdsMax) {
        throw new ChrysalisError('too_large', `${ids.length} memories to promote; at most ${LIMITS.promoteIdsMax}`, {
          hint: 'Split the list. Nothing was written.'
        })
      }
      if (!to.options.shared) {
        throw new ChrysalisError('invalid_state', `space ${to.options.name} is private; nothing was written`, {
          hint: 'Name a shared space to promote to.'
        })
      }
      const candidates: Candidate[] = []
      for (const id of ids) candidates.push(await this.#named(id))
      const done = new Map((await this.#share(candidates, to, request.reason, options)).map((one) => [one.from, one]))
      return { promoted: request.ids.flatMap((id) => done.get(id) ?? []) }
    })
  }

  /**
   * Promotes a working memory whose importance has reached the threshold, or with `anyway` whatever its importance.
   * Answers the shared memory's id; undefined when it is no working memory, or not important enough.
   */
  unasked(place: { space: Space; id: RecordId }, to: Space, anyway: boolean, options?: WriteOptions) {
    return this.#inTurn(async (): Promise<RecordId | undefined> => {
      if (!to.options.shared || place.space.options.shared) return undefined
      const found = await this.#read(place.space, place.id)
      if (found === undefined || promotionRefusal(found.view) !== undefined) return undefined
      if (anyway ? !isWorking(found.view) : !deservesPromotion(found.view, this.#threshold)) return undefined
      const [one] = await this.#share([found], to, undefined, options)
      return one?.id
    })
  }

  async #share(
    candidates: readonly Candidate[],
    to: Space,
    reason: string | undefined,
    options: WriteOptions | undefined
  ): Promise<Promoted[]> {
    const answers: Promoted[] = []
    const open: { place: number; request: AddRequest }[] = []
    for (const [place, { view }] of candidates.entries()) {
      const before = await this.#promotedBefore(to, view.id)
      answers[place] = { from: view.id, id: before ?? '', space: to.id, created: before === undefined }
      if (before !== undefined) continue
      open.push({ place, request: { ...promoted(view, to, reason), ...originOf(view) } })
    }
    if (open.length > 0) {
      const receipts = await this.#ports.add(
        open.map((one) => one.request),
        options
      )
      open.forEach(({ place }, i) => {
        answers[place] = { ...(answers[place] as Promoted), id: receipts[i]?.id ?? '' }
      })
    }
    await this.#untag(candidates)
    return answers
  }

  /** Last, so that a crash in between promotes again rather than never. */
  async #untag(candidates: readonly Candidate[]): Promise<void> {
    const bySpace = new Map<Space, Op[]>()
    for (const { space, record, view } of candidates) {
      if (!view.tags.includes(WORKING_TAG)) continue
      const ops = composeRevise(record.state, { tagsRemove: [WORKING_TAG] })
      bySpace.set(space, [...(bySpace.get(space) ?? []), ...ops])
    }
    for (const [space, ops] of bySpace) await this.#ports.writer.submit(space, { input: 'write', ops })
  }

  async #named(id: RecordId): Promise<Candidate> {
    if (!isHex(id, 32)) {
      throw new ChrysalisError('invalid_argument', `'${id}' is not a full memory id; nothing was written`, {
        hint: 'Give all 64 hexadecimal digits in lower case, or resolve a prefix or key first.'
      })
    }
    for (const space of this.#ports.spaces.all) {
      const found = space.options.shared ? undefined : await this.#read(space, id)
      if (found === undefined) continue
      const refusal = promotionRefusal(found.view)
      if (refusal !== undefined) throw refusal
      return found
    }
    for (const space of this.#ports.spaces.all) {
      if (!space.options.shared || (await this.#read(space, id)) === undefined) continue
      throw new ChrysalisError(
        'invalid_state',
        `memory ${id.slice(0, 12)} is shared already, in ${space.options.name}; nothing was written`,
        { hint: 'Only memories of a private space are promoted.', data: { id } }
      )
    }
    throw new ChrysalisError('not_found', `no memory ${id.slice(0, 12)} here; nothing was written`, {
      hint: 'List private memories with `chrysalis list --space private`.',
      data: { id }
    })
  }

  async #read(space: Space, id: RecordId): Promise<Candidate | undefined> {
    const record = await this.#ports.records.get(space.id, id)
    const view = record === undefined ? undefined : this.#ports.items.view(space, record)
    return record === undefined || view === undefined ? undefined : { space, record, view }
  }

  /** What this daemon has made of the memory before. Anybody may link to a private id it has heard of; only own ones count. */
  async #promotedBefore(to: Space, id: RecordId): Promise<RecordId | undefined> {
    for await (const row of scanPrefix(this.#ports.store, 'link', linkPrefix(to.id, id), { pageRows: 64 })) {
      const { relation, from } = parseLinkKey(row.key)
      if (relation !== 'parents') continue
      const found = await this.#read(to, from)
      if (found === undefined || found.view.retracted !== null) continue
      if (found.view.author === to.replica.author) return from
    }
    return undefined
  }

  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#last.catch(() => undefined).then(act)
    this.#last = turn
    return turn
  }
}

/** What the private memory claims of itself, at its worst, and whose it is. */
function originOf({ origins, peer, contentPeer }: MemoryView): { origin?: OriginClass; agent?: string } {
  const own = origins.filter((one) => one.peer === peer || one.peer === contentPeer)
  const origin = worstClass(own.flatMap((one) => (one.class === 'derived' ? [] : [one.class])))
  const agent = own.find((one) => one.agent !== null)?.agent ?? undefined
  return { ...(origin === undefined ? {} : { origin }), ...(agent === undefined ? {} : { agent }) }
}
