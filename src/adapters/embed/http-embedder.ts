/**
 * An embedding service behind HTTP as an `Embedder`: it speaks one of the protocols, checks what comes back, tries again
 * after a short pause where that may help, and leaves a service alone that keeps failing.
 *
 * A document is worth three tries. A query gets one, because somebody is waiting for the answer.
 */
import { isChrysalisError, messageOf } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Embedder, EmbedRequest } from '../../ports/embedder.ts'
import { Breaker } from './breaker.ts'
import { checkedVectors } from './check-vectors.ts'
import { failure, failureData, postJson } from './http-json.ts'
import { prefixesOf, type Prefixes } from './prefixes.ts'
import { PROTOCOLS, type ProtocolName } from './protocols.ts'

export interface HttpEmbedderOptions {
  readonly provider: ProtocolName
  /** Without the path of the protocol; the provider's usual address when undefined. */
  readonly url?: string | undefined
  readonly model: string
  /** Asked of the service, and of its answers. Undefined: as many as the model gives. */
  readonly dimensions?: number | undefined
  readonly key?: string | undefined
  readonly keepAlive?: string | undefined
  /** Instead of those known for the model. */
  readonly documentPrefix?: string | undefined
  readonly queryPrefix?: string | undefined
}

const DOCUMENT_TRIES = 3
const FIRST_PAUSE_MS = 250
/** Waiting in vain takes longer than being refused, so it counts for more. */
const TIMEOUT_WEIGHT = 2
/** A service may ask for a longer pause, up to this; beyond it the breaker does the waiting. */
const PAUSE_MS_MAX = 5_000

export class HttpEmbedder implements Embedder {
  readonly provider: ProtocolName
  readonly model: string
  readonly identity: string
  readonly #options: HttpEmbedderOptions
  readonly #prefixes: Prefixes
  readonly #url: string
  readonly #clock: Clock
  readonly #breaker = new Breaker()
  readonly #closed = new AbortController()

  constructor(options: HttpEmbedderOptions, clock: Clock) {
    const { provider, model } = options
    this.provider = provider
    this.model = model
    this.#options = options
    this.#clock = clock
    const known = prefixesOf(model)
    this.#prefixes = {
      document: options.documentPrefix ?? known.document,
      query: options.queryPrefix ?? known.query
    }
    this.identity = JSON.stringify([provider, model, options.dimensions ?? null, this.#prefixes.document])
    const base = options.url ?? PROTOCOLS[provider].defaultUrl
    this.#url = base.replace(/\/+$/, '') + PROTOCOLS[provider].path
  }

  async embed(texts: readonly string[], request: EmbedRequest): Promise<Float32Array[]> {
    if (texts.length === 0) return []
    if (texts.length > LIMITS.embedBatchMax) {
      throw failure('too_large', `${texts.length} texts at once; ${LIMITS.embedBatchMax} is the most.`)
    }
    const prefix = request.kind === 'query' ? this.#prefixes.query : this.#prefixes.document
    const prefixed = prefix === '' ? texts : texts.map((text) => prefix + text)
    return this.#guarded(() => this.#tries(prefixed, request))
  }

  failing(): { readonly reason: string; readonly retryMs: number } | undefined {
    return this.#breaker.open(this.#clock.monotonicMs())
  }

  close(): void {
    this.#closed.abort()
  }

  /** However often it is tried, it is one failure or one success. */
  async #guarded(ask: () => Promise<Float32Array[]>): Promise<Float32Array[]> {
    const breaker = this.#breaker
    if (this.#closed.signal.aborted) throw failure('cancelled', 'The embedder is closed.')
    if (!breaker.allows(this.#clock.monotonicMs())) {
      const open = breaker.open(this.#clock.monotonicMs())
      throw failure('unavailable', `The embedder is left alone for now: ${open?.reason ?? 'it is being tried'}`)
    }
    try {
      const vectors = await ask()
      breaker.succeeded()
      return vectors
    } catch (error) {
      const weight = isChrysalisError(error, 'timeout') ? TIMEOUT_WEIGHT : 1
      if (this.#closed.signal.aborted) breaker.abandoned()
      else breaker.failed(messageOf(error), this.#clock.monotonicMs(), weight)
      throw error
    }
  }

  async #tries(texts: readonly string[], { kind, timeoutMs }: EmbedRequest): Promise<Float32Array[]> {
    const tries = kind === 'query' ? 1 : DOCUMENT_TRIES
    for (let tried = 1; ; tried++) {
      try {
        return await this.#ask(texts, timeoutMs)
      } catch (error) {
        if (!isChrysalisError(error)) throw error
        const { again, afterMs = 0 } = failureData(error)
        if (!again || tried === tries || afterMs > PAUSE_MS_MAX) throw error
        await this.#pause(Math.max(afterMs, FIRST_PAUSE_MS * 2 ** (tried - 1)))
      }
    }
  }

  async #ask(texts: readonly string[], timeoutMs: number): Promise<Float32Array[]> {
    const protocol = PROTOCOLS[this.provider]
    const { model, dimensions, keepAlive, key } = this.#options
    const answer = await postJson({
      url: this.#url,
      body: protocol.body(texts, { model, dimensions, keepAlive }),
      key,
      timeoutMs,
      answerBytesMax: LIMITS.embedAnswerBytesMax,
      closed: this.#closed.signal
    })
    return checkedVectors(protocol.vectors(answer, texts.length), texts.length, dimensions)
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.setTimer(ms, done)
      const { signal } = this.#closed
      signal.addEventListener('abort', done, { once: true })
      function done(): void {
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
    })
  }
}
