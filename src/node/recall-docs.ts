/** What the recall index keeps of a record: read off the view that readers are shown. */
import type { MemoryView } from '../memory/memory-view.ts'
import type { RecallDoc } from '../recall/recall-doc.ts'
import { contentFlags } from '../trust/content-flags.ts'

/** `validated`: whether a ballot of the roster has validated it. */
export function recallDocOf(view: MemoryView, validated: boolean): RecallDoc {
  return {
    id: view.id,
    space: view.space,
    key: view.key,
    documentType: view.documentType,
    memoryType: view.memoryType,
    kind: view.kind,
    path: view.path,
    tags: view.tags,
    author: view.author,
    createdAt: view.createdAt,
    updatedAt: view.updatedAt,
    importance: view.importance?.effective ?? null,
    confidence: view.confidence?.effective ?? null,
    accessCount: view.accessCount,
    pinned: view.pinned,
    validFrom: view.validFrom,
    validTo: view.validTo,
    expiresAt: view.expiresAt,
    retracted: view.retracted !== null,
    validated,
    supersedes: view.supersedes,
    parents: view.parents,
    related: view.related,
    flags: contentFlags(view.content ?? '')
  }
}
