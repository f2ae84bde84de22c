/**
 * The work behind the vectors, one thing at a time and always behind everything else: texts that wait are looked up in
 * the store, what is not there is embedded in batches, what came is stored and put into the index, and the index is given
 * time to settle. Newest first, because what was just learnt is asked for soonest.
 *
 * What fails waits: for the breaker of the embedder when it fails altogether, until all others are done when it is one
 * text. A text that failed three times while others went through is left without a vector until the next start.
 */
import type { Hex } from '../base/bytes.ts'
import { ChrysalisError, isChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { VectorIndex } from '../ports/vector-index.ts'
import { embeddedText, textName } from './embedding-rows.ts'
import type { Text, TextBook } from './text-book.ts'
import type { VectorPanes, VectorPorts } from './vector-options.ts'
import { VectorRows } from './vector-rows.ts'

/** Milliseconds of settling between two turns of other work. */
const SLICE_MS = 4
const FIRST_TURN_MS = 10
/** As of the indexer: how long to leave the loop to what comes first, and how often at most in a row. */
const BUSY_PAUSE_MS = 20
const BUSY_PAUSES_MAX = 25
/** Rows read in one turn. */
const ROWS_PER_TURN = 64
/** The part of the longest queue that is dropped when there is no room. */
const DROPPED_SHARE = 8
/** A text may fail so often while others succeed. */
const FAILURES_MAX = 3
/** What failed without the breaker being open is tried again after this. */
const RETRY_MS = 1_000
/** The index is saved when it has grown by a quarter, and by as many vectors as this. */
const SAVE_GROWTH_MIN = 5_000

interface Embedded {
  readonly text: Text
  readonly vector: Float32Array
}

export class VectorPump {
  readonly #panes: VectorPanes
  readonly #ports: VectorPorts
  readonly #book: TextBook
  readonly #model: Hex
  readonly #rows: VectorRows
  #index: VectorIndex | undefined
  #clash: string | undefined
  /** Stacks of texts: nobody has looked into the store yet; they have no row; they failed. */
  readonly #unread: Text[] = []
  #missing: Text[] = []
  #later: Text[] = []
  /** More texts wait than the stacks may hold. */
  #isOverflown = false
  readonly #left = new Set<Hex>()
  #isComplete = false
  #needsSweep = true
  #addedSinceSave = 0
  #cancel: (() => void) | undefined
  #running: Promise<void> | undefined
  #isIdle = true
  #isStarted = false
  #stopped = false
  readonly #idlers: (() => void)[] = []

  constructor(panes: VectorPanes, ports: VectorPorts, book: TextBook, model: Hex) {
    this.#panes = panes
    this.#ports = ports
    this.#book = book
    this.#model = model
    this.#rows = new VectorRows(ports, model)
  }

  get index(): VectorIndex | undefined {
    return this.#index
  }

  /** Why the embedder's vectors cannot be used, though it gives some. */
  get clash(): string | undefined {
    return this.#clash
  }

  /** Every text has its vector, or cannot have one. */
  get isWhole(): boolean {
    return this.#isComplete && this.#book.waiting === 0
  }

  async start(): Promise<void> {
    try {
      const dimensions = this.#panes.options.dimensions ?? (await this.#rows.dimensions())
      if (dimensions !== undefined) await this.#open(dimensions)
    } catch (error) {
      // As after a first start: the index is made when the first vector comes.
      this.#warn('the saved vectors cannot be read now', error)
    }
    this.#isStarted = true
    this.#schedule(FIRST_TURN_MS)
  }

  note(text: Text): void {
    if (this.#queued >= LIMITS.embedQueueMax) {
      // The oldest give way to the newest, and are found again by a walk over the book.
      const longest = this.#missing.length > this.#unread.length ? this.#missing : this.#unread
      longest.splice(0, Math.ceil(longest.length / DROPPED_SHARE))
      this.#isOverflown = true
    }
    this.#unread.push(text)
    this.#schedule(FIRST_TURN_MS)
  }

  get #queued(): number {
    return this.#unread.length + this.#missing.length + this.#later.length
  }

  /** Nobody shows it any more. */
  forget(text: Text): void {
    this.#index?.remove(text.label)
    if (this.#left.size < LIMITS.embedQueueMax) this.#left.add(text.name)
    else this.#needsSweep = true
    this.#schedule(FIRST_TURN_MS)
  }

  complete(): void {
    this.#isComplete = true
    this.#prune()
    this.#schedule(0)
  }

  async settled(): Promise<void> {
    while (!this.#stopped && !this.#isIdle) await new Promise<void>((resolve) => this.#idlers.push(resolve))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#running
    this.#release()
    await this.#erase()
    await this.#save()
  }

  /** What the model gives is not what the vectors in the index are. */
  clashed(dimensions: number): void {
    if (this.#clash !== undefined) return
    const { model } = this.#panes.options
    this.#clash =
      `${model} gives ${dimensions} components now, and the vectors in the index have ` +
      `${String(this.#index?.dimensions)}: set embed.dimensions to ${dimensions} to embed everything anew`
    this.#ports.logger.log('warn', 'the embedder has changed', { reason: this.#clash })
  }

  // --- for clients that bring vectors

  async pending(limit: number): Promise<{ readonly textHash: string; readonly text: string }[]> {
    await this.settled()
    this.#missing = this.#missing.filter((text) => this.#isWaiting(text))
    const found: { textHash: string; text: string }[] = []
    for (let at = this.#missing.length - 1; at >= 0 && found.length < limit; at--) {
      const text = this.#missing[at] as Text
      const content = await this.#contentOf(text)
      if (content !== undefined) found.push({ textHash: text.name, text: content })
    }
    return found
  }

  /** Vectors of length 1. Throws `conflict` when they have another number of components than those in the index. */
  async accept(items: readonly { readonly textHash: string; readonly vector: Float32Array }[]): Promise<number> {
    const taken: Embedded[] = []
    for (const { textHash, vector } of items) {
      const dimensions = this.#panes.options.dimensions ?? this.#index?.dimensions ?? taken[0]?.vector.length
      if (dimensions !== undefined && vector.length !== dimensions) {
        throw new ChrysalisError('conflict', `A vector has ${vector.length} components instead of ${dimensions}.`, {
          hint: 'Another model needs another embed.model in the configuration of the daemon.'
        })
      }
      const text = this.#book.get(textHash)
      if (text !== undefined && this.#isWaiting(text)) taken.push({ text, vector })
    }
    await this.#keep(taken)
    this.#missing = this.#missing.filter((text) => this.#isWaiting(text))
    this.#schedule(FIRST_TURN_MS)
    return taken.length
  }

  // --- turns

  #schedule(afterMs: number): void {
    if (this.#stopped || !this.#isStarted) return
    this.#isIdle = false
    if (this.#running !== undefined) return
    this.#cancel?.()
    this.#cancel = this.#ports.clock.setTimer(afterMs, () => {
      this.#cancel = undefined
      this.#running = this.#run().finally(() => (this.#running = undefined))
    })
  }

  /** Works until there is nothing to do or something to wait for. Never rejects. */
  async #run(): Promise<void> {
    let waitMs: number | undefined
    try {
      for (;;) {
        await this.#giveWay()
        if (this.#stopped) return
        const turned = await this.#turn()
        if (turned !== 'more') {
          waitMs = turned
          break
        }
        await this.#pause(0)
      }
    } catch (error) {
      this.#warn('vectors wait: the store cannot be read', error)
      waitMs = RETRY_MS
    }
    this.#running = undefined
    // What was noted during the last turn has not been seen.
    const isDone = waitMs === undefined && this.#unread.length === 0 && this.#left.size === 0
    if (!isDone) this.#schedule(waitMs ?? 0)
    if (isDone || waitMs !== undefined) this.#release()
  }

  #release(): void {
    this.#isIdle = true
    for (const idler of this.#idlers.splice(0)) idler()
  }

  /** One piece of work. `more`: there may be more at once; milliseconds: until it is worth trying; undefined: none. */
  async #turn(): Promise<'more' | number | undefined> {
    if (this.#left.size > 0) {
      await this.#erase()
      return 'more'
    }
    if (this.#index?.settle(SLICE_MS) === true) return 'more'
    if (this.#unread.length > 0) {
      await this.#read()
      return 'more'
    }
    if (this.#missing.length > 0 && this.#panes.embedder !== undefined) return this.#embed()
    if (this.#missing.length === 0) {
      if (this.#later.length > 0) {
        this.#missing = this.#later
        this.#later = []
        return RETRY_MS
      }
      if (this.#isOverflown) {
        this.#refill()
        return 'more'
      }
    }
    if (this.isWhole && this.#needsSweep) {
      this.#needsSweep = false
      await this.#sweep()
      return 'more'
    }
    if (this.#addedSinceSave >= Math.max(SAVE_GROWTH_MIN, (this.#index?.size ?? 0) / 4)) await this.#save()
    return undefined
  }

  /** The newest texts of which nobody knows whether the store has their vectors. */
  async #read(): Promise<void> {
    const texts: Text[] = []
    while (texts.length < ROWS_PER_TURN) {
      const text = this.#unread.pop()
      if (text === undefined) break
      if (!this.#isWaiting(text)) continue
      // It was in the file already.
      if (this.#index?.has(text.label) === true) this.#book.mark(text, 'indexed')
      else texts.push(text)
    }
    const vectors = await this.#rows.read(texts.map((text) => text.name))
    for (let at = texts.length - 1; at >= 0; at--) {
      const text = texts[at] as Text
      const vector = vectors[at]
      if (!this.#isWaiting(text)) continue
      const dimensions = this.#index?.dimensions ?? this.#panes.options.dimensions ?? vector?.length
      if (vector === undefined || vector.length !== dimensions) this.#missing.push(text)
      else this.#add(await this.#open(dimensions), { text, vector })
    }
  }

  async #embed(): Promise<'more' | number> {
    const { embedder, options } = this.#panes
    if (embedder === undefined || this.#clash !== undefined) return LIMITS.embedPauseMsMax
    const failing = embedder.failing()
    if (failing !== undefined && failing.retryMs > 0) return failing.retryMs
    const batch: { text: Text; content: string }[] = []
    while (batch.length < options.batch) {
      const text = this.#missing.pop()
      if (text === undefined) break
      if (!this.#isWaiting(text)) continue
      const content = await this.#contentOf(text)
      if (content === undefined) this.#putOff(text)
      else batch.push({ text, content })
    }
    if (batch.length === 0) return 'more'
    try {
      await this.#keep(await this.#ask(batch))
      return 'more'
    } catch (error) {
      return this.#failed(batch, error)
    }
  }

  /** The whole batch failed: the embedder, or one text of it? */
  async #failed(batch: readonly { text: Text; content: string }[], error: unknown): Promise<'more' | number> {
    const { embedder } = this.#panes
    const mayBeTexts = isChrysalisError(error) && error.data?.['texts'] === true
    for (const [at, one] of batch.entries()) {
      const failing = embedder?.failing()
      if (this.#stopped || !mayBeTexts || failing !== undefined || this.#clash !== undefined) {
        this.#missing.push(...batch.slice(at).map(({ text }) => text))
        this.#ports.logger.log('debug', 'the embedder failed', { error: messageOf(error) })
        return failing === undefined ? RETRY_MS : Math.max(failing.retryMs, 1)
      }
      try {
        if (batch.length === 1) throw error
        await this.#keep(await this.#ask([one]))
      } catch {
        this.#putOff(one.text)
      }
    }
    return 'more'
  }

  async #ask(batch: readonly { text: Text; content: string }[]): Promise<Embedded[]> {
    const { embedder, options } = this.#panes
    const contents = batch.map(({ content }) => content)
    const vectors = await embedder?.embed(contents, { kind: 'document', timeoutMs: options.timeoutMs })
    return batch.flatMap(({ text }, at) => {
      const vector = vectors?.[at]
      return vector === undefined ? [] : [{ text, vector }]
    })
  }

  /** It will be tried again when the others are done, unless it has failed too often. */
  #putOff(text: Text): void {
    this.#book.failed(text)
    if (text.failures < FAILURES_MAX) this.#later.push(text)
    else {
      this.#book.mark(text, 'refused')
      this.#ports.metrics.count('chrysalis_node_embed_refused_texts_total')
    }
  }

  /** Into the store and into the index. */
  async #keep(embedded: readonly Embedded[]): Promise<void> {
    const [first] = embedded
    if (first === undefined) return
    const index = await this.#open(first.vector.length)
    const odd = embedded.find(({ vector }) => vector.length !== index.dimensions)
    if (odd !== undefined) {
      this.clashed(odd.vector.length)
      throw new ChrysalisError('conflict', this.#clash ?? 'the embedder has changed')
    }
    await this.#rows.write(embedded.map(({ text, vector }) => ({ name: text.name, vector })))
    for (const one of embedded) {
      if (this.#isWaiting(one.text)) this.#add(index, one)
      // It left while its vector was made or written.
      else if (this.#book.get(one.text.name) === undefined) this.#left.add(one.text.name)
    }
    this.#ports.metrics.count('chrysalis_node_embedded_texts_total', embedded.length)
  }

  #add(index: VectorIndex, { text, vector }: Embedded): void {
    index.add(text.label, vector)
    this.#book.mark(text, 'indexed')
    this.#addedSinceSave++
  }

  async #open(dimensions: number): Promise<VectorIndex> {
    if (this.#index === undefined) {
      const index = await this.#panes.shelf.open(this.#model, dimensions)
      this.#index ??= index
      if (this.#isComplete) this.#prune()
    }
    return this.#index
  }

  /** Once all texts are known: what came from the file and belongs to none goes. */
  #prune(): void {
    const { index } = this
    if (index === undefined) return
    for (const label of [...index.labels()]) if (this.#book.labelled(label) === undefined) index.remove(label)
  }

  async #erase(): Promise<void> {
    // One that came back meanwhile has a vector again.
    const names = [...this.#left].filter((name) => this.#book.get(name) === undefined)
    this.#left.clear()
    if (!(await this.#rows.erase(names))) this.#needsSweep = true
  }

  #refill(): void {
    this.#isOverflown = false
    for (const text of this.#book.all()) {
      if (text.state !== 'waiting') continue
      if (this.#unread.length >= LIMITS.embedQueueMax) {
        this.#isOverflown = true
        return
      }
      this.#unread.push(text)
    }
  }

  async #sweep(): Promise<void> {
    await this.#rows.sweep(
      (name) => this.#book.get(name) !== undefined,
      async () => {
        await this.#giveWay()
        await this.#pause(0)
        return !this.#stopped
      }
    )
    await this.#panes.shelf.keepOnly(this.#model).catch((error: unknown) => {
      this.#warn('vectors of other models could not be deleted', error)
    })
  }

  async #save(): Promise<void> {
    this.#addedSinceSave = 0
    await this.#index?.save().catch((error: unknown) => {
      this.#warn('the vector index could not be saved; it is built again after the next start', error)
    })
  }

  #isWaiting(text: Text): boolean {
    return text.state === 'waiting' && this.#book.get(text.name) === text
  }

  /** As it is to be embedded; undefined when no record shows it just now. */
  async #contentOf(text: Text): Promise<string | undefined> {
    const { records, items, spaces, crypto } = this.#ports
    for (const { space: id, id: record } of text.places) {
      const space = spaces.byId(id)
      const stored = space === undefined ? undefined : await records.get(id, record)
      const view = space === undefined || stored === undefined ? undefined : items.view(space, stored)
      if (view === undefined || view.content === null) continue
      const content = embeddedText(view.content)
      if (textName(crypto, content) === text.name) return content
    }
    return undefined
  }

  async #giveWay(): Promise<void> {
    for (let pauses = 0; pauses < BUSY_PAUSES_MAX && !this.#stopped; pauses++) {
      if (!this.#ports.isBusy()) return
      await this.#pause(BUSY_PAUSE_MS)
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#ports.clock.setTimer(ms, resolve)
    })
  }

  #warn(message: string, error: unknown): void {
    this.#ports.logger.log('warn', message, { error: messageOf(error) })
  }
}
