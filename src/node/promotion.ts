/**
 * From working memory to shared memory. A working memory lives in the private space, with the tag below, and never
 * leaves the daemon. When it is important enough it is promoted: a new signed memory in the shared space, with the
 * working one as its parent. The working one stays, untagged, as the place it came from.
 *
 * Only what was written as working memory is ever promoted; other private memories stay private whatever they weigh.
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

/** The shared memory a working one becomes. `space` is where it goes. */
export function promoted(view: MemoryView, space: Space): AddRequest {
  const { content, memoryType, kind, path, confidence, importance, source, evidence } = view
  return {
    content: content ?? '',
    space: space.id,
    kind,
    evidence,
    parents: [view.id],
    tags: view.tags.filter((tag) => tag !== WORKING_TAG),
    ...(memoryType === null ? {} : { memoryType }),
    ...(path === null ? {} : { path }),
    ...(source === null ? {} : { source }),
    ...(importance === null ? {} : { importance: importance.max }),
    ...(confidence === null ? {} : { confidence: confidence.max })
  }
}
