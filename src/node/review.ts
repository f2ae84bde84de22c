/**
 * What wants somebody to look at it: memories that are hidden for whom they come from, that hold odd content, or that
 * somebody has disputed. The way back for what was held back wrongly, and the first place to look after an attack.
 */
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { ListPosition, RecallDoc } from '../recall/recall-doc.ts'
import { tierRank } from '../trust/tier.ts'
import { ChrysalisError } from '../base/errors.ts'
import type { ReviewAnswer, ReviewReason, ReviewRequest } from './api.ts'
import type { Indexer } from './indexer.ts'
import type { Items } from './items.ts'
import type { Spaces } from './spaces.ts'
import type { TrustJudge } from './trust-judge.ts'

export interface ReviewPorts {
  readonly indexer: Indexer
  readonly items: Items
  readonly judge: TrustJudge
  readonly spaces: Spaces
  readonly clock: Clock
}

const LIMIT_DEFAULT = 50
/** Documents looked at between two looks at how many were found. */
const PAGE = 500

/** Newest first. The cursor names the last one shown; retracted memories have been dealt with and are left out. */
export async function review(ports: ReviewPorts, request: ReviewRequest): Promise<ReviewAnswer> {
  const { indexer, items, judge, spaces, clock } = ports
  await indexer.catchUp()
  const limit = Math.min(Math.max(1, request.limit ?? LIMIT_DEFAULT), LIMITS.recallResultsMax)
  const among = spaces.among(request.space)
  const filters = { spaces: among.map((space) => space.id), includeExpired: true, includeSuperseded: true }
  const found: { doc: RecallDoc; reasons: ReviewReason[] }[] = []
  let after = request.cursor === undefined ? undefined : parseCursor(request.cursor)
  for (let more = true; more && found.length <= limit;) {
    const docs = indexer.index.list(filters, {
      limit: PAGE,
      nowMs: clock.nowMs(),
      ...(after === undefined ? {} : { after })
    })
    for (const doc of docs) {
      const reasons = reasonsFor(judge, doc)
      if (reasons.length > 0) found.push({ doc, reasons })
    }
    const last = docs.at(-1)
    more = docs.length === PAGE && last !== undefined
    if (last !== undefined) after = positionOf(last)
  }
  const page = found.slice(0, limit)
  const loaded: ReviewAnswer['items'][number][] = []
  for (const { doc, reasons } of page) {
    const space = spaces.byId(doc.space)
    const [item] = space === undefined ? [] : await items.load(space, [doc.id])
    if (item !== undefined) loaded.push({ ...item, reasons })
  }
  const last = page.at(-1)?.doc
  return { items: loaded, cursor: found.length > limit && last !== undefined ? formatCursor(last) : null }
}

function reasonsFor(judge: TrustJudge, doc: RecallDoc): ReviewReason[] {
  const reasons: ReviewReason[] = []
  if (tierRank(judge.tierOf(doc)) < tierRank('known')) reasons.push('hidden')
  if (doc.flags.length > 0) reasons.push('flagged')
  if (judge.isDisputed(doc.space, doc.id)) reasons.push('disputed')
  return reasons
}

function positionOf({ createdAt, id, space }: RecallDoc): ListPosition & { readonly space: SpaceId } {
  return { createdAt, id, space }
}

function formatCursor({ createdAt, id, space }: RecallDoc): string {
  return `${createdAt}.${id}.${space}`
}

function parseCursor(cursor: string): ListPosition {
  const [, createdAt, id, space] = /^(\d{1,16})\.([0-9a-f]{64})\.([0-9a-f]{32})$/.exec(cursor) ?? []
  if (createdAt === undefined || id === undefined || space === undefined) {
    throw new ChrysalisError('invalid_argument', `'${cursor.slice(0, 80)}' is not a cursor of this question`, {
      hint: 'Use the cursor of the previous answer, unchanged.'
    })
  }
  return { createdAt: Number(createdAt), id, space }
}
