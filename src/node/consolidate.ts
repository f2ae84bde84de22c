/**
 * Consolidation: brings the memories of a space to a fixed point. Repetitions by one author become one memory, what says
 * the same is linked, working memories past their time are retracted, contradictions are listed. What is to be done
 * follows from the census alone (node/consolidation-plan.ts); each action is one signed delta that carries its effects
 * and the record of itself (node/consolidation-ops.ts), so that it is done whole or not at all, spreads like any other
 * write, and can be undone (node/undo.ts).
 *
 * Doing it twice does nothing the second time, and two daemons that do it at once write the same. It never deletes: what
 * it hides is retracted, with the reason.
 */
import type { RecordId } from '../memory/ids.ts'
import { isChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Store } from '../ports/store.ts'
import { factOf, slices, takeCensus, type CensusPorts, type Fact } from './census.ts'
import { coalesceAct, expireAct, fitsOneDelta, relateAct, type Act } from './consolidation-ops.ts'
import { planConsolidation, type Skipped, type Step } from './consolidation-plan.ts'
import { contradictionsOf } from './contradictions.ts'
import type { DeltaWatch } from './deltas.ts'
import type { Items } from './items.ts'
import { WORKING_TAG } from './promotion.ts'
import type { Records, StoredRecord } from './records.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'
import type { ConsolidateAnswer, ConsolidateRequest, ConsolidationAction, Contradiction } from './upkeep-api.ts'
import type { Writer } from './writer.ts'

export interface ConsolidationPorts extends CensusPorts {
  readonly store: Store
  readonly crypto: Hasher
  readonly clock: Clock
  readonly records: Records
  readonly items: Items
  readonly spaces: Spaces
  readonly writer: Writer
  readonly watch?: DeltaWatch
}

/** Actions of a call that names no limit. */
const ACTIONS_DEFAULT = 200
const TOO_LARGE = 'what it would hand on does not fit one signed delta'

interface Progress {
  readonly actions: ConsolidationAction[]
  readonly contradictions: Contradiction[]
  readonly skipped: Skipped[]
  records: number
  unseen: number
  more: boolean
}

export class Consolidation {
  readonly #ports: ConsolidationPorts
  /** The one under way: two at once would plan the same. */
  #last: Promise<unknown> = Promise.resolve()
  #stopped = false

  constructor(ports: ConsolidationPorts) {
    this.#ports = { ...ports, stopping: () => this.#stopped }
  }

  /** As NodeApi.consolidate. Rejects with what a write rejects with; actions taken before that stand. */
  run(request: ConsolidateRequest): Promise<ConsolidateAnswer> {
    const turn = this.#last.catch(() => undefined).then(() => this.#run(request))
    this.#last = turn
    return turn
  }

  async #run(request: ConsolidateRequest): Promise<ConsolidateAnswer> {
    const limit = Math.min(request.limit ?? ACTIONS_DEFAULT, LIMITS.consolidationActionsMax)
    const dryRun = request.dryRun ?? false
    const progress: Progress = { actions: [], contradictions: [], skipped: [], records: 0, unseen: 0, more: false }
    for (const space of this.#ports.spaces.among(request.space)) {
      await this.#consolidate(space, limit, dryRun, progress)
    }
    return {
      dryRun,
      ...progress,
      contradictions: progress.contradictions.slice(0, limit),
      skipped: progress.skipped.slice(0, limit)
    }
  }

  async #consolidate(space: Space, limit: number, dryRun: boolean, progress: Progress): Promise<void> {
    const census = await takeCensus(this.#ports, space)
    const plan = await planConsolidation(this.#ports, census)
    progress.records += census.records
    progress.unseen += census.unseen
    progress.skipped.push(...plan.skipped)
    const pace = slices(this.#ports)
    for (const step of plan.steps) {
      await pace()
      if (progress.more) break
      for await (const { action, ops } of this.#acts(space, step, progress.skipped)) {
        if (progress.actions.length >= limit) {
          progress.more = true
          break
        }
        if (!dryRun) await this.#ports.writer.submit(space, { input: 'write', ops })
        progress.actions.push(action)
      }
    }
    progress.contradictions.push(...(await contradictionsOf(this.#ports, space, plan.left)))
  }

  /** What of a step is still to be done now; the census may be seconds old. Each is written before the next is made. */
  async *#acts(space: Space, step: Step, skipped: Skipped[]): AsyncGenerator<Act> {
    switch (step.action) {
      case 'coalesce':
        yield* this.#coalesce(space, step.keeper, step.ids, skipped)
        return
      case 'relate': {
        const links = []
        for (const link of step.links) {
          const from = await this.#ports.records.get(space.id, link.from)
          if (from !== undefined && !from.state.related.has(link.to)) links.push(link)
        }
        if (links.length > 0) yield relateAct(this.#ports, space, links)
        return
      }
      case 'expire': {
        const ids: RecordId[] = []
        for (const id of step.ids) {
          const view = this.#view(space, await this.#ports.records.get(space.id, id))
          if (view?.expired === true && view.retracted === null && view.tags.includes(WORKING_TAG)) ids.push(id)
        }
        if (ids.length > 0) yield expireAct(this.#ports, space, ids)
      }
    }
  }

  async *#coalesce(
    space: Space,
    keeperId: RecordId,
    ids: readonly RecordId[],
    skipped: Skipped[]
  ): AsyncGenerator<Act> {
    const [keeper, ...others] = await this.#ports.records.getMany(space.id, [keeperId, ...ids])
    const kept = this.#fact(space, keeper)
    if (keeper === undefined || kept?.standing !== 'live') return
    const states = others.flatMap((record) => {
      const fact = this.#fact(space, record)
      if (record === undefined || fact === undefined) return []
      const isSame = fact.voice === kept.voice && fact.sameness === kept.sameness
      return isSame && (fact.absorbedBy !== undefined || fact.keptFor === undefined) ? [record.state] : []
    })
    const act = coalesceAct(this.#ports, space, keeper.state, states)
    if (act === undefined) return
    if (fitsOneDelta(act.ops)) yield act
    else if (states.length === 1) skipped.push({ ids: act.action.ids, reason: TOO_LARGE })
    else {
      const middle = Math.ceil(ids.length / 2)
      yield* this.#coalesce(space, keeperId, ids.slice(0, middle), skipped)
      yield* this.#coalesce(space, keeperId, ids.slice(middle), skipped)
    }
  }

  #view(space: Space, record: StoredRecord | undefined) {
    return record === undefined ? undefined : this.#ports.items.view(space, record)
  }

  #fact(space: Space, record: StoredRecord | undefined): Fact | undefined {
    const view = this.#view(space, record)
    return view === undefined || record === undefined ? undefined : factOf(this.#ports.crypto, view, record.state)
  }

  /** No further action is taken. Resolves once the one under way is. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#last.catch((error: unknown) => {
      if (!isChrysalisError(error)) throw error
    })
  }
}
