/**
 * Vectors behind recall: the likeness of meaning, beside the keywords.
 *
 * The indexer says which record shows which text; texts without a vector of the present model are looked up in the store,
 * else embedded, always behind the write path and only while nothing else wants the loop (vector-pump.ts). A search asks
 * `near`, which waits for the vector of the query a short while and does without it otherwise. A model that is slow,
 * broken or gone costs the vectors and nothing else.
 *
 * Everything here is this daemon's own: a vector is never sent to anyone, because nobody could tell a poisoned one from
 * a true one without the model.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { RecordId, SpaceId } from '../memory/ids.ts'
import type { Embedder } from '../ports/embedder.ts'
import type { VectorIndex } from '../ports/vector-index.ts'
import { embeddedText, modelName, textName } from './embedding-rows.ts'
import type { TextListener } from './indexer.ts'
import type { Space } from './space.ts'
import { TextBook } from './text-book.ts'
import type { VectorOptions, VectorPanes, VectorPorts } from './vector-options.ts'
import { VectorPump } from './vector-pump.ts'

export type { VectorOptions, VectorPanes, VectorPorts }

/** off: there is no embedder · stale: some texts have no vector of the present model yet · unavailable: it fails. */
export type VectorState = 'off' | 'on' | 'stale' | 'unavailable'

export interface VectorMatch {
  readonly space: SpaceId
  readonly id: RecordId
  /** Cosine, -1 to 1. */
  readonly similarity: number
}

/** How it stands, for status and for the doors. */
export interface VectorStatus {
  readonly provider: VectorOptions['provider']
  readonly model: string
  /** null until the model has said how many it gives. */
  readonly dimensions: number | null
  readonly state: VectorState
  /** Why it is unavailable; null when it is not. */
  readonly reason: string | null
  /** Distinct texts of all records that are shown. */
  readonly texts: number
  readonly indexed: number
  readonly waiting: number
  /** Texts that the embedder does not take. */
  readonly refused: number
}

export class Vectors implements TextListener {
  readonly options: VectorOptions
  readonly book = new TextBook()
  readonly #ports: VectorPorts
  readonly #embedder: Embedder | undefined
  readonly #pump: VectorPump
  readonly #queries = new BoundedMap<string, Float32Array>(LIMITS.embedQueryVectorsMax)
  #starting: Promise<void> | undefined
  readonly #asked = new Map<string, Promise<Float32Array | undefined>>()
  /** The index cannot be searched: said once. */
  #isSearchBroken = false

  constructor(panes: VectorPanes, ports: VectorPorts) {
    this.options = panes.options
    this.#ports = ports
    this.#embedder = panes.embedder
    const { provider, model, dimensions } = panes.options
    const identity = panes.embedder?.identity ?? JSON.stringify([provider, model, dimensions ?? null])
    this.#pump = new VectorPump(panes, ports, this.book, modelName(ports.crypto, identity))
  }

  // --- what the indexer tells

  put(space: Space, id: RecordId, content: string | null): void {
    const isShown = content !== null && content.trim() !== '' && (space.options.shared || this.options.includesPrivate)
    const name = isShown ? textName(this.#ports.crypto, embeddedText(content)) : null
    const { came, left } = this.book.show({ space: space.id, id }, name)
    if (left !== undefined) this.#pump.forget(left)
    if (came !== undefined) this.#pump.note(came)
  }

  removed(space: Space, id: RecordId): void {
    this.put(space, id, null)
  }

  // --- life

  /** Opens what was saved, behind: a large graph takes a while to read, and nobody has to wait for it. */
  start(indexer: { readonly complete: boolean; whenComplete(): Promise<void> }): void {
    this.#starting = this.#pump.start()
    void indexer.whenComplete().then(() => {
      // Everything in the store was told: what nobody mentioned is of no use any more.
      if (indexer.complete) this.#pump.complete()
    })
  }

  /** Resolves when every text that can have a vector has it, or when the embedder fails. For tests and the simulator. */
  async settled(): Promise<void> {
    await this.#starting
    await this.#pump.settled()
  }

  async stop(): Promise<void> {
    this.#embedder?.close()
    await this.#starting
    await this.#pump.stop()
  }

  // --- questions

  state(): VectorState {
    if (this.#reason() !== undefined) return 'unavailable'
    return this.#pump.isWhole ? 'on' : 'stale'
  }

  status(): VectorStatus {
    const { provider, model, dimensions } = this.options
    return {
      provider,
      model,
      dimensions: dimensions ?? this.#pump.index?.dimensions ?? null,
      state: this.state(),
      reason: this.#reason() ?? null,
      texts: this.book.size,
      indexed: this.#pump.index?.size ?? 0,
      waiting: this.book.waiting,
      refused: this.book.refused
    }
  }

  /** One sentence for each thing a person should know. */
  reasons(): string[] {
    const reason = this.#reason()
    return reason === undefined ? [] : [`recall goes by words alone, for the embedder is of no use: ${reason}`]
  }

  #reason(): string | undefined {
    return this.#pump.clash ?? this.#embedder?.failing()?.reason
  }

  /**
   * Records whose text is nearest to the query, best first, at most `wanted`. Never rejects; empty when there is nothing
   * to compare with, or when the query got no vector in time. Which of them may be shown is for the caller to say.
   */
  async near(query: string, wanted: number): Promise<readonly VectorMatch[]> {
    const { index } = this.#pump
    if (index === undefined || index.size === 0 || wanted < 1 || query.trim() === '') return []
    const vector = await this.#vectorOf(query)
    if (vector === undefined) return []
    if (vector.length !== index.dimensions) {
      this.#pump.clashed(vector.length)
      return []
    }
    return this.#matches(index, vector, wanted)
  }

  #matches(index: VectorIndex, vector: Float32Array, wanted: number): VectorMatch[] {
    const matches: VectorMatch[] = []
    try {
      for (const { label, similarity } of index.search(vector, wanted)) {
        const text = this.book.labelled(label)
        // Left in a file that was saved before its text went.
        if (text === undefined) index.remove(label)
        for (const { space, id } of text?.places ?? []) {
          if (matches.length === wanted) return matches
          matches.push({ space, id, similarity })
        }
      }
    } catch (error) {
      if (!this.#isSearchBroken) {
        this.#ports.logger.log('error', 'the vector index cannot be searched', { error: messageOf(error) })
      }
      this.#isSearchBroken = true
    }
    return matches
  }

  /** Undefined when there is none yet and none comes in time. What comes late is there for the next time. */
  async #vectorOf(query: string): Promise<Float32Array | undefined> {
    const known = this.#queries.get(query)
    if (known !== undefined) return known
    const asked = this.#asked.get(query) ?? this.#ask(query)
    if (asked === undefined) return undefined
    const { clock } = this.#ports
    return new Promise((resolve) => {
      const cancel = clock.setTimer(this.options.queryTimeoutMs, () => {
        this.#ports.metrics.count('chrysalis_node_embed_late_queries_total')
        resolve(undefined)
      })
      void asked.then((vector) => {
        cancel()
        resolve(vector)
      })
    })
  }

  #ask(query: string): Promise<Float32Array | undefined> | undefined {
    if (this.#embedder === undefined || this.#asked.size >= LIMITS.embedQueriesInFlightMax) return undefined
    if ((this.#embedder.failing()?.retryMs ?? 0) > 0) return undefined
    const { timeoutMs } = this.options
    const asked = this.#embedder.embed([query], { kind: 'query', timeoutMs }).then(
      ([vector]) => {
        if (vector !== undefined) this.#queries.set(query, vector)
        return vector
      },
      (error: unknown) => {
        this.#ports.metrics.count('chrysalis_node_embed_failed_queries_total')
        this.#ports.logger.log('debug', 'a query got no vector', { error: messageOf(error) })
        return undefined
      }
    )
    this.#asked.set(query, asked)
    void asked.then(() => this.#asked.delete(query))
    return asked
  }

  // --- the door

  /** Embeds a text now, past all queues. Rejects with the errors of the embedder, or `invalid_state` without one. */
  async test(text: string): Promise<{ dimensions: number; tookMs: number }> {
    if (this.#embedder === undefined) {
      throw new ChrysalisError('invalid_state', 'There is no embedder to try: clients bring the vectors.', {
        hint: '`chrysalis embed status` tells how many texts wait for one.'
      })
    }
    const { clock } = this.#ports
    const startedMs = clock.monotonicMs()
    const [vector] = await this.#embedder.embed([text], { kind: 'query', timeoutMs: this.options.timeoutMs })
    return { dimensions: vector?.length ?? 0, tookMs: clock.monotonicMs() - startedMs }
  }

  /** Texts that wait for a vector, newest first, for a client that makes them. */
  pending(limit: number): Promise<{ readonly textHash: string; readonly text: string }[]> {
    return this.#pump.pending(limit)
  }

  /** Vectors a client has made; all of length 1. Answers how many were of use. */
  accept(items: readonly { readonly textHash: string; readonly vector: Float32Array }[]): Promise<number> {
    return this.#pump.accept(items)
  }

  acceptQuery(query: string, vector: Float32Array): void {
    this.#queries.set(query, vector)
  }
}
