/**
 * From working memory to shared memory. A working memory lives in the private space, with the tag below, and never
 * leaves the daemon. When it is important enough, or is recalled in several sessions, or somebody says so, it is
 * promoted: a new signed memory in the shared space, with the working one as its parent. The working one stays,
 * untagged, as the place it came from.
 *
 * Without being asked only what was written as working memory is promoted; other private memories stay private whatever
 * they weigh, until a caller names them. What is written here decides nothing; node/promotions.ts acts.
 */
import { ChrysalisError } from '../base/errors.ts'
import type { MemoryView } from '../memory/memory-view.ts'
import type { AddRequest } from './api.ts'
import type { Space } from './space.ts'
import type { Spaces } from './spaces.ts'

/** Marks a working memory; removed when it is promoted. */
export const WORKING_TAG = 'tier:working'

/** The space working memories live in. Throws `invalid_state` when this home has none. */
export function workingSpace(spaces: Spaces): Space {
  const space = spaces.all.find((one) => !one.options.shared)
  if (space !== undefined) return space
  throw new ChrysalisError(
    'invalid_state',
    'this home has no private space to keep working memories in; nothing was written',
    {
      hint: 'Leave out the tier, or make a home with `chrysalis init`.'
    }
  )
}

export function isWorking(view: MemoryView): boolean {
  return view.tags.includes(WORKING_TAG) && view.retracted === null
}

/** Whether the claims of its authors reach the threshold. */
export function deservesPromotion(view: MemoryView, threshold: number): boolean {
  return isWorking(view) && view.importance !== null && view.importance.max >= threshold
}

/** Why this memory cannot be shared, as an error that says what to do; undefined when it can. */
export function promotionRefusal(view: MemoryView): ChrysalisError | undefined {
  const refuse = (what: string, hint: string): ChrysalisError =>
    new ChrysalisError('invalid_state', `memory ${view.id.slice(0, 12)} ${what}; nothing was written`, {
      hint,
      data: { id: view.id }
    })
  if (view.retracted !== null) return refuse('is retracted', 'Restore it first: `chrysalis restore ID`.')
  if (view.expired) return refuse('has expired', 'Give it another time: `chrysalis revise ID --clear expiresAt`.')
  if (view.content === null) return refuse('has no content', 'Give it some first: `chrysalis revise ID TEXT`.')
  if (view.documentType !== 'memory' && view.documentType !== 'bead') {
    return refuse(`is of type ${view.documentType}`, 'Only memories and beads are shared.')
  }
  return undefined
}

/** The shared memory a private one becomes. `space` is where it goes. */
export function promoted(view: MemoryView, space: Space, reason?: string): AddRequest {
  const { content, documentType, memoryType, kind, path, pinned, confidence, importance, source, evidence } = view
  return {
    content: content ?? '',
    space: space.id,
    documentType,
    kind,
    evidence: reason === undefined ? evidence : [...evidence, `promoted: ${reason}`],
    parents: [view.id],
    tags: view.tags.filter((tag) => tag !== WORKING_TAG),
    // Repeating oneself is the point here: the private memory says the same.
    dedupe: 'allow',
    ...(memoryType === null ? {} : { memoryType }),
    ...(path === null ? {} : { path }),
    ...(pinned ? { pinned } : {}),
    ...(source === null ? {} : { source }),
    ...(view.validFrom === null ? {} : { validFrom: view.validFrom }),
    ...(view.validTo === null ? {} : { validTo: view.validTo }),
    ...(view.expiresAt === null ? {} : { expiresAt: view.expiresAt }),
    ...(importance === null ? {} : { importance: importance.max }),
    ...(confidence === null ? {} : { confidence: confidence.max })
  }
}
