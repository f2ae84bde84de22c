/**
 * From a step of a plan to operations: what the step does, and beside it, in the same delta, the signed record that says
 * so. The record is found by a key that follows from what the step touches, so that two daemons that take the same step
 * write one record, not two, and neither does anything that the other would have to do again.
 *
 * A duplicate hands on what it has and the memory that stays has not: tags, evidence, links, a pin, and what its own
 * author claimed of its importance. What others claimed of it is theirs, and is not repeated in anybody's name. What it
 * was made from is not handed on: that would change how far the memory that stays is believed. A tag that was ever
 * taken off the memory that stays is not put back.
 */
import { compareText, toHex, utf8 } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { largest } from '../crdt/max-register.ts'
import { liveElements } from '../crdt/or-set.ts'
import { compareCodePoints } from '../crdt/text-order.ts'
import { composeAdd } from '../memory/compose.ts'
import type { RecordId } from '../memory/ids.ts'
import { recordIdOfKey } from '../memory/names.ts'
import type { KnownOp, Op, Target } from '../memory/ops.ts'
import { encodeBody } from '../memory/ops-codec.ts'
import type { RecordState } from '../memory/record.ts'
import type { Hasher } from '../ports/crypto.ts'
import { DUPLICATE_OF } from './census.ts'
import type { Link } from './consolidation-plan.ts'
import { WORKING_TAG } from './promotion.ts'
import type { Space } from './space.ts'
import type { ConsolidationAction, ConsolidationVerb } from './upkeep-api.ts'

/** Where records of actions live. */
export const ACTION_PATH = 'chrysalis/consolidation'
/** Prefix of their keys; verb and hash follow. */
export const ACTION_KEY = `${ACTION_PATH}/`
/** Why a working memory past its time was retracted. */
export const EXPIRED = 'its time had passed'

/** One action, ready to be written. */
export interface Act {
  readonly action: ConsolidationAction
  readonly ops: readonly Op[]
}

type Ports = { readonly crypto: Hasher }

const RECORD_ID = /[0-9a-f]{64}/

/** Whether one delta can hold it. */
export function fitsOneDelta(ops: readonly Op[]): boolean {
  return ops.length <= LIMITS.deltaOpsMax && encodeBody(ops).length <= LIMITS.deltaBodyBytesMax
}

/**
 * The duplicates are states of one author's statement, retracted ones among them: those have done their part, unless they
 * have learned something since. undefined when nothing is left to do.
 */
export function coalesceAct(
  ports: Ports,
  space: Space,
  keeper: RecordState,
  duplicates: readonly RecordState[]
): Act | undefined {
  const heir = new Heir(keeper, new Set(duplicates.map((state) => state.id)))
  const ops: KnownOp[] = []
  const ids: RecordId[] = []
  let retracted = 0
  for (const state of duplicates) {
    const handed = heir.inherit(state)
    const isLive = typeof state.fields.get('retracted')?.value !== 'string'
    if (!isLive && handed.length === 0) continue
    ids.push(state.id)
    ops.push(...handed)
    if (!isLive) continue
    retracted++
    const target: Target = { by: 'id', id: state.id }
    ops.push({ op: 'set', target, field: 'retracted', value: `${DUPLICATE_OF}${keeper.id}` })
    if (!state.related.has(keeper.id)) ops.push({ op: 'link', target, relation: 'related', value: keeper.id })
  }
  if (ids.length === 0) return undefined
  const handedOn = ops.length - ids.length
  const detail =
    retracted === 0
      ? `What ${counted(ids.length, 'earlier duplicate')} learned since was handed on.`
      : `${counted(retracted, 'repetition')} by one author retracted; the first stays.`
  return act(ports, space, { action: 'coalesce', keeper: keeper.id, ids, detail }, ops, { handedOn })
}

export function relateAct(ports: Ports, space: Space, links: readonly Link[]): Act {
  const ops = links.map(({ from, to }): KnownOp => {
    return { op: 'link', target: { by: 'id', id: from }, relation: 'related', value: to }
  })
  const ids = [...new Set(links.flatMap(({ from, to }) => [from, to]))].sort(compareText)
  const detail = `${counted(links.length, 'link')} to memories that say the same, or nearly so.`
  return act(ports, space, { action: 'relate', keeper: null, ids, detail }, ops, {
    links: links.map(({ from, to }) => [from, to])
  })
}

export function expireAct(ports: Ports, space: Space, ids: readonly RecordId[]): Act {
  const ops = ids.map((id): KnownOp => {
    return { op: 'set', target: { by: 'id', id }, field: 'retracted', value: EXPIRED }
  })
  const detail = `Retracted because their time had passed: ${counted(ids.length, 'working memory', 'working memories')}.`
  return act(ports, space, { action: 'expire', keeper: null, ids: [...ids], detail }, ops, {})
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** The key of an action, from what it touches; the same on every daemon. */
function actionKey(crypto: Hasher, verb: ConsolidationVerb, parts: readonly unknown[]): string {
  return `${ACTION_KEY}${verb}/${toHex(crypto.sha384(utf8(JSON.stringify(parts))).subarray(0, 16))}`
}

function act(
  { crypto }: Ports,
  space: Space,
  about: Omit<ConsolidationAction, 'id' | 'space'>,
  effects: readonly KnownOp[],
  more: Readonly<Record<string, unknown>>
): Act {
  const { action, keeper, ids, detail } = about
  const key = actionKey(crypto, action, [keeper, ids, more])
  const touched = keeper === null ? ids : [keeper, ...ids]
  const record = composeAdd(
    {
      content: JSON.stringify({ action, ...(keeper === null ? {} : { keeper }), ids, ...more, detail }),
      key,
      documentType: 'metadata',
      kind: 'pattern',
      path: ACTION_PATH,
      source: 'chrysalis consolidate',
      related: touched
    },
    0
  )
  // The words are this daemon's own; whose memories they are about makes no difference to that.
  const origin: KnownOp = { op: 'origin', target: { by: 'key', key }, origin: 'self', agent: null }
  const id = recordIdOfKey(crypto, space.id, key)
  return { action: { id, space: space.id, ...about }, ops: [...record, origin, ...effects] }
}

/** What the memory that stays knows already, growing as it inherits. */
class Heir {
  readonly #keeper: RecordState
  readonly #target: Target
  /** Links among the memories that become one say nothing any more. */
  readonly #family: ReadonlySet<RecordId>
  readonly #tags: Set<string>
  readonly #links: Set<string>
  readonly #claims: { importance: number; confidence: number }
  #pinKnown: boolean

  constructor(keeper: RecordState, duplicates: ReadonlySet<RecordId>) {
    this.#keeper = keeper
    this.#target = { by: 'id', id: keeper.id }
    this.#family = new Set([keeper.id, ...duplicates])
    // Also those that were taken off: somebody did not want them there.
    this.#tags = new Set([...keeper.tags.keys(), WORKING_TAG])
    this.#links = new Set(linksOf(keeper).map(([relation, value]) => `${relation} ${value}`))
    // Whoever claimed it: another daemon may have handed it on already.
    this.#claims = { importance: largest(keeper.importance) ?? -1, confidence: largest(keeper.confidence) ?? -1 }
    this.#pinKnown = keeper.fields.has('pinned')
  }

  inherit(state: RecordState): KnownOp[] {
    const target = this.#target
    const ops: KnownOp[] = []
    for (const tag of liveElements(state.tags).sort(compareCodePoints)) {
      if (this.#tags.has(tag)) continue
      this.#tags.add(tag)
      ops.push({ op: 'tag', target, tag })
    }
    for (const [relation, value] of linksOf(state)) {
      const name = `${relation} ${value}`
      if (this.#links.has(name) || (relation !== 'evidence' && this.#family.has(value))) continue
      this.#links.add(name)
      ops.push({ op: 'link', target, relation, value })
    }
    for (const claim of ['importance', 'confidence'] as const) {
      const value = this.#claimOf(state, claim)
      if (value <= this.#claims[claim]) continue
      this.#claims[claim] = value
      ops.push({ op: claim, target, value })
    }
    if (!this.#pinKnown && state.fields.get('pinned')?.value === true) {
      this.#pinKnown = true
      ops.push({ op: 'set', target, field: 'pinned', value: true })
    }
    return ops
  }

  /** In basis points; -1 when its author has claimed none. */
  #claimOf(state: RecordState, claim: 'importance' | 'confidence'): number {
    const author = this.#keeper.created?.stamp.author
    return (author === undefined ? undefined : state[claim].get(author)) ?? -1
  }
}

/** Evidence that names a record is a source, like a parent. */
function linksOf(state: RecordState): ['evidence' | 'related' | 'supersedes', string][] {
  return (['evidence', 'related', 'supersedes'] as const).flatMap((relation) =>
    [...state[relation]]
      .filter((value) => relation !== 'evidence' || !RECORD_ID.test(value))
      .sort(compareCodePoints)
      .map((value): [typeof relation, string] => [relation, value])
  )
}
