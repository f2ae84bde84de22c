/** A record as the shared read index keeps it: what a hit shows, and nothing a reader could not ask the daemon for. */
import type { MemoryView } from '../memory/memory-view.ts'
import { KINDS } from '../memory/ops.ts'
import type { SharedEntry, SharedState } from '../ports/shared-index.ts'
import type { RecallDoc } from '../recall/recall-doc.ts'

/** `doc` is what the recall index knows of the same record. */
export function entryOf(view: MemoryView, doc: RecallDoc, state: SharedState): SharedEntry {
  return {
    ...state,
    kind: KINDS.indexOf(view.kind),
    memory: {
      id: view.id,
      key: view.key,
      kind: view.kind,
      memoryType: view.memoryType,
      content: view.content ?? '',
      path: view.path,
      tags: view.tags,
      peer: view.peer,
      contentPeer: view.contentPeer,
      source: view.source,
      importance: doc.importance,
      confidence: doc.confidence,
      pinned: view.pinned,
      validated: doc.validated,
      createdAt: view.createdAt,
      updatedAt: view.updatedAt,
      validFrom: view.validFrom,
      validTo: view.validTo,
      expiresAt: view.expiresAt,
      version: view.version,
      parents: view.parents,
      supersedes: view.supersedes,
      flags: doc.flags
    }
  }
}
