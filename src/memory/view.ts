/**
 * What a reader sees of a record: derived from its state, the time and the roster alone, so that two daemons with equal
 * states show equal views. Numbers claimed by many authors are shown twice, as the largest claim and as the median,
 * because the first can be pinned by one author and the second cannot.
 *
 * A view exists once the record was created, even if its content has not been set: an embedding reference or a metadata
 * record may have none, and hiding it would hide links and votes as well. Before the create nothing is shown, whatever
 * has arrived. Expired and retracted records are still shown here, marked; leaving them out is for the caller to decide.
 *
 * It does not know how far the record has spread, whom to trust, or what the space is called.
 */
import { compareText } from '../base/bytes.ts'
import { authorToPeerId } from '../base/peer-id.ts'
import { counterValue } from '../crdt/g-counter.ts'
import { largest } from '../crdt/max-register.ts'
import { liveElements } from '../crdt/or-set.ts'
import { compareCodePoints } from '../crdt/text-order.ts'
import { hlcMs, type AuthorId, type SpaceId } from './ids.ts'
import type { Claimed, MemoryView, OriginView, VoteView } from './memory-view.ts'
import { BASIS_POINTS, KINDS, type Field, type Kind } from './ops.ts'
import { compareOrigins, parseOrigin } from './origin.ts'
import type { RecordState } from './record.ts'

export interface ViewOptions {
  readonly space: SpaceId
  /** Wall milliseconds against which expiry is judged. */
  readonly nowMs: number
  /** Authors whose claims make the effective numbers. Omitted or empty: everyone who has claimed. */
  readonly roster?: readonly AuthorId[]
}

/** undefined until the record is created. */
export function viewRecord(record: RecordState, options: ViewOptions): MemoryView | undefined {
  const { created } = record
  if (created === null) return undefined
  const { author, hlc, delta } = created.stamp
  const content = record.fields.get('content')
  const peer = authorToPeerId(author)
  const contentAuthor = content?.stamp.author ?? author
  const expiresAt = numberOf(record, 'expiresAt')
  return {
    id: record.id,
    space: options.space,
    key: record.key,
    documentType: created.value.documentType,
    memoryType: created.value.memoryType,
    kind: kindOf(record),
    content: textOf(record, 'content'),
    path: textOf(record, 'path'),
    pinned: record.fields.get('pinned')?.value === true,
    tags: liveElements(record.tags).sort(compareCodePoints),
    evidence: [...record.evidence].sort(compareCodePoints),
    related: linksOf(record, record.related),
    parents: linksOf(record, record.parents),
    supersedes: linksOf(record, record.supersedes),
    origins: originsOf(record),
    importance: claimedOf(record.importance, options.roster),
    confidence: claimedOf(record.confidence, options.roster),
    accessCount: counterValue(record.access),
    votes: votesOf(record),
    validFrom: numberOf(record, 'validFrom'),
    validTo: numberOf(record, 'validTo'),
    expiresAt,
    retracted: textOf(record, 'retracted'),
    expired: expiresAt !== null && expiresAt <= options.nowMs,
    author,
    peer,
    source: created.value.source,
    createdBy: delta,
    createdAt: hlcMs(hlc),
    updatedAt: hlcMs(record.updated?.hlc ?? hlc),
    contentPeer: contentAuthor === author ? peer : authorToPeerId(contentAuthor),
    contentBy: content?.stamp.delta ?? delta,
    version: record.contentDeltas.size
  }
}

/** 0 to 1: the median importance over the roster, as in Claimed.effective. null when no author has claimed any. */
export function effectiveImportance(record: RecordState, roster?: readonly AuthorId[]): number | null {
  return claimedOf(record.importance, roster)?.effective ?? null
}

/**
 * Claims in basis points, read both ways. With a roster none of whose authors has claimed, the effective number is 0:
 * what only strangers say weighs nothing.
 */
function claimedOf(claims: ReadonlyMap<AuthorId, number>, roster: readonly AuthorId[] | undefined): Claimed | null {
  const max = largest(claims)
  if (max === undefined) return null
  const known = roster === undefined || roster.length === 0 ? [...claims.keys()] : [...new Set(roster)]
  const counted = known.flatMap((author) => claims.get(author) ?? [])
  return { max: max / BASIS_POINTS, effective: median(counted) / BASIS_POINTS }
}

/** Of whole numbers; sorted first, so that the answer does not depend on the order of arrival. 0 for none. */
function median(values: number[]): number {
  if (values.length === 0) return 0
  values.sort((a, b) => a - b)
  const middle = values.length >> 1
  const upper = values[middle] as number
  return values.length % 2 === 1 ? upper : (upper + (values[middle - 1] as number)) / 2
}

function textOf(record: RecordState, field: Field): string | null {
  const value = record.fields.get(field)?.value
  return typeof value === 'string' ? value : null
}

function numberOf(record: RecordState, field: Field): number | null {
  const value = record.fields.get(field)?.value
  return typeof value === 'number' ? value : null
}

/** A record of which nobody said the kind is a note, or a bead if it was created as one; so is a kind we do not know. */
function kindOf(record: RecordState): Kind {
  const kind = textOf(record, 'kind')
  if (kind !== null && (KINDS as readonly string[]).includes(kind)) return kind as Kind
  return record.created?.value.documentType === 'bead' ? 'bead' : 'note'
}

/** Honest writers never link a record to itself, but a set that others can add to may say so: it is not shown. */
function linksOf(record: RecordState, links: ReadonlySet<string>): string[] {
  return [...links].filter((id) => id !== record.id).sort(compareText)
}

function votesOf(record: RecordState): VoteView[] {
  return [...record.votes]
    .sort(([a], [b]) => compareText(a, b))
    .map(([voter, { value, stamp }]) => ({
      voter: authorToPeerId(voter),
      verdict: value.verdict,
      confidence: value.confidence / BASIS_POINTS,
      reason: value.reason,
      atMs: hlcMs(stamp.hlc)
    }))
}

/** By author, class and agent: the order of their encodings. */
function originsOf(record: RecordState): OriginView[] {
  return [...record.origins]
    .map(parseOrigin)
    .sort(compareOrigins)
    .map(({ author, origin, agent }) => ({ peer: authorToPeerId(author), class: origin, agent }))
}
