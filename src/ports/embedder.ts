/**
 * Whoever turns texts into vectors: a model behind HTTP, a process of an agent, a made-up one in tests.
 *
 * What it answers is checked behind the port (count, dimensions, finite numbers, length above zero), so that whoever
 * holds an `Embedder` may take the vectors as they are; only whether their number of dimensions is the one wanted is the
 * caller's to judge. Vectors of two models have nothing in common: `identity` says which ones may be compared.
 */
export interface EmbedRequest {
  /** Some models want to be told which of the two it is; those get the prefixes that belong to them. */
  readonly kind: 'document' | 'query'
  readonly timeoutMs: number
}

export interface Embedder {
  readonly provider: string
  readonly model: string
  /** Everything that decides what a vector means, in one string: equal identities, comparable vectors. */
  readonly identity: string
  /**
   * One vector a text, in order, each of length 1; fresh arrays. Rejects with ChrysalisError: `unavailable` (not reached,
   * refused, broken answer; `data.texts` is true when the texts themselves may be the cause), `timeout`, `cancelled`.
   */
  embed(texts: readonly string[], request: EmbedRequest): Promise<Float32Array[]>
  /** Why it is not being asked just now, and for how long yet; undefined while it works. */
  failing(): { readonly reason: string; readonly retryMs: number } | undefined
  /** Gives up what is in flight. */
  close(): void
}
