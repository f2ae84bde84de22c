/**
 * The operations a delta may carry. Each touches one record and is a join of a lattice, so that a set of deltas gives
 * the same records whatever the order of arrival. The byte layout is in docs/WIRE.md §3.4.
 */
import type { Dot, RecordId } from './ids.ts'

export const DOCUMENT_TYPES = ['memory', 'bead', 'embedding_ref', 'metadata'] as const
export type DocumentType = (typeof DOCUMENT_TYPES)[number]

export const MEMORY_TYPES = ['episodic', 'semantic', 'procedural'] as const
export type MemoryType = (typeof MEMORY_TYPES)[number]

export const KINDS = [
  'note',
  'fact',
  'preference',
  'decision',
  'procedure',
  'episode',
  'observation',
  'signal',
  'task',
  'pattern',
  'bead'
] as const
export type Kind = (typeof KINDS)[number]

/** Last-writer-wins registers of a record, each with its own stamp. The order is the wire code; it only grows. */
export const FIELDS = ['content', 'kind', 'path', 'pinned', 'validFrom', 'validTo', 'expiresAt', 'retracted'] as const
export type Field = (typeof FIELDS)[number]

/** content, kind, path, retracted: text · pinned: boolean · validFrom, validTo, expiresAt: wall milliseconds. */
export type FieldValue = string | number | boolean | null

/** Grow-only sets of a record. evidence holds text (a URI, a hash, a note); the others hold record ids. */
export const RELATIONS = ['evidence', 'related', 'parents', 'supersedes'] as const
export type Relation = (typeof RELATIONS)[number]

export const VERDICTS = ['confirm', 'dispute', 'abstain', 'flag'] as const
export type BallotVerdict = (typeof VERDICTS)[number]

/**
 * Where a text came from before it was written here: said by a person, concluded by the agent itself, handed over by a
 * tool, told by another agent, read in a document, imported in bulk, or made from other memories. The place is the wire
 * code; the list only grows.
 */
export const ORIGIN_CLASSES = ['user', 'self', 'tool', 'peer', 'document', 'import', 'derived'] as const
export type OriginClass = (typeof ORIGIN_CLASSES)[number]

/** Fractions travel as whole basis points, 0 to 10,000, so that no float reaches the canonical bytes. */
export const BASIS_POINTS = 10_000

/**
 * Which record an operation touches: an existing one by id; a shared one by key (id = H(space, key)); or the n-th
 * record that this very delta creates, whose id is only known once the delta is sealed.
 */
export type Target =
  | { readonly by: 'id'; readonly id: RecordId }
  | { readonly by: 'key'; readonly key: string }
  | { readonly by: 'ordinal'; readonly ordinal: number }

export type Op =
  | {
      readonly op: 'create'
      readonly target: Target
      readonly documentType: DocumentType
      readonly memoryType: MemoryType | null
      /** Which agent, tool or session said it: free text. */
      readonly source: string | null
    }
  | { readonly op: 'set'; readonly target: Target; readonly field: Field; readonly value: FieldValue }
  | { readonly op: 'tag'; readonly target: Target; readonly tag: string }
  | { readonly op: 'untag'; readonly target: Target; readonly tag: string; readonly dots: readonly Dot[] }
  | { readonly op: 'link'; readonly target: Target; readonly relation: Relation; readonly value: string }
  /** Basis points. */
  | { readonly op: 'importance'; readonly target: Target; readonly value: number }
  | { readonly op: 'confidence'; readonly target: Target; readonly value: number }
  /** The author's total for this epoch so far, not an increment: joining is taking the larger. */
  | { readonly op: 'access'; readonly target: Target; readonly total: number }
  | {
      readonly op: 'vote'
      readonly target: Target
      readonly verdict: BallotVerdict
      /** Basis points: how sure the voter is that the memory holds. */
      readonly confidence: number
      readonly reason: string | null
    }
  /** The author's own word on where what it wrote here came from; `agent` names who said it, as its token does. */
  | {
      readonly op: 'origin'
      readonly target: Target
      readonly origin: OriginClass
      readonly agent: string | null
    }
  /** From a newer version: stored and relayed, not applied. */
  | { readonly op: 'unknown'; readonly code: number; readonly items: readonly unknown[] }

export type KnownOp = Exclude<Op, { op: 'unknown' }>
