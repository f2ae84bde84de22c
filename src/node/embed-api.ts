/** What the doors may ask about embeddings, and how processes of agents bring vectors where they are the embedder. */
import type { VectorOptions, VectorState } from './vectors.ts'

export interface EmbedStatus {
  readonly provider: 'off' | VectorOptions['provider']
  /** null when there is no embedder, as everything that may be null here. */
  readonly model: string | null
  /** null also until the model has said how many components it gives. */
  readonly dimensions: number | null
  readonly state: VectorState
  /** Why it is unavailable; null when it is not. */
  readonly reason: string | null
  /** Distinct texts of all memories that are shown. */
  readonly texts: number
  readonly indexed: number
  readonly waiting: number
  /** Texts that the embedder does not take, until the next start. */
  readonly refused: number
}

export interface EmbedTest {
  readonly ok: true
  readonly model: string
  readonly dimensions: number
  readonly tookMs: number
}

export interface EmbedPending {
  readonly model: string
  readonly dimensions: number | null
  /** Newest first. */
  readonly items: readonly { readonly textHash: string; readonly text: string }[]
  /** How many wait altogether. */
  readonly waiting: number
}

export interface EmbedPut {
  /** Of whatever length; only the direction counts. */
  readonly model: string
  readonly items?: readonly { readonly textHash: string; readonly vector: readonly number[] }[]
  /** For searches with exactly these words; kept in memory only. */
  readonly queries?: readonly { readonly text: string; readonly vector: readonly number[] }[]
}

export interface EmbedApi {
  embedStatus(): EmbedStatus
  /** Embeds a text now. Rejects with `invalid_state` where there is no embedder, `unavailable` or `timeout`. */
  embedTest(text: string): Promise<EmbedTest>
  /** Rejects with `invalid_state` where clients are not the embedder. */
  embedPending(request: { readonly limit?: number }): Promise<EmbedPending>
  /** Rejects with `invalid_state` as above, `conflict` for another model, `invalid_argument` for what is no vector. */
  embedPut(request: EmbedPut): Promise<{ readonly accepted: number; readonly waiting: number }>
}
