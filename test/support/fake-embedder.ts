/** Panes of the vectors for engines on virtual time: an embedder in this process, with faults, and a shelf in memory. */
import { TieredIndex } from '../../src/adapters/vector/tiered-index.ts'
import { ChrysalisError } from '../../src/base/errors.ts'
import type { VectorOptions, VectorPanes } from '../../src/node/vectors.ts'
import type { Embedder, EmbedRequest } from '../../src/ports/embedder.ts'
import type { VectorIndex, VectorShelf } from '../../src/ports/vector-index.ts'
import { embedText } from './embed-server.ts'
import { normalised } from './vectors.ts'

export class FakeEmbedder implements Embedder {
  readonly provider = 'fake'
  readonly model: string
  readonly identity: string
  dimensions: number
  /** hang: nothing is answered until `release`. */
  mood: 'well' | 'dead' | 'hang' = 'well'
  /** A batch with a text that contains this fails because of it. */
  poison: string | undefined
  /** What the breaker would say. */
  open: { reason: string; retryMs: number } | undefined
  readonly documents: string[] = []
  readonly queries: string[] = []
  isClosed = false
  readonly #hanging: (() => void)[] = []

  constructor(model = 'fake', dimensions = 64) {
    this.model = model
    this.identity = `fake ${model}`
    this.dimensions = dimensions
  }

  async embed(texts: readonly string[], { kind }: EmbedRequest): Promise<Float32Array[]> {
    if (this.mood === 'hang') await new Promise<void>((resolve) => this.#hanging.push(resolve))
    if (this.isClosed) throw new ChrysalisError('cancelled', 'given up')
    if (this.mood === 'dead') throw failure('it is dead', false)
    const { poison } = this
    if (poison !== undefined && texts.some((text) => text.includes(poison))) throw failure('poisoned', true)
    ;(kind === 'query' ? this.queries : this.documents).push(...texts)
    return texts.map((text) => normalised(Float32Array.from(embedText(text, this.dimensions))))
  }

  failing(): { reason: string; retryMs: number } | undefined {
    return this.open
  }

  /** Those who hang get their answer. */
  release(): void {
    for (const go of this.#hanging.splice(0)) go()
  }

  close(): void {
    this.isClosed = true
    this.release()
  }
}

function failure(message: string, texts: boolean): ChrysalisError {
  return new ChrysalisError('unavailable', message, { data: { texts } })
}

/** Keeps its indexes over restarts of an engine, as a disk would, unless told to forget. */
export class MemoryShelf implements VectorShelf {
  readonly saved = new Map<string, VectorIndex>()
  opened = 0

  async open(name: string, dimensions: number): Promise<VectorIndex> {
    this.opened++
    const known = this.saved.get(name)
    if (known?.dimensions === dimensions) return known
    const index = new TieredIndex({
      dimensions,
      makeGraph: () => undefined,
      saveGraph: async () => undefined,
      monotonicMs: () => performance.now()
    })
    this.saved.set(name, index)
    return index
  }

  async keepOnly(name: string): Promise<void> {
    for (const other of [...this.saved.keys()]) if (other !== name) this.saved.delete(other)
  }
}

export function fakeVectors(
  embedder: FakeEmbedder | undefined,
  options: Partial<VectorOptions> = {},
  shelf: VectorShelf = new MemoryShelf()
): VectorPanes {
  return {
    options: {
      provider: embedder === undefined ? 'client' : 'ollama',
      model: embedder?.model ?? 'client-model',
      dimensions: undefined,
      batch: 8,
      timeoutMs: 30_000,
      queryTimeoutMs: 500,
      includesPrivate: true,
      ...options
    },
    shelf,
    ...(embedder && { embedder })
  }
}
