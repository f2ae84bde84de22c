/**
 * The vectors of one model in the store: looked up, written, erased, and swept of what nobody needs any more. They are a
 * cache of what the model said, so nothing of it is worth an error to a reader: a row that is damaged or misshapen is as
 * good as none, and what cannot be written is kept in memory only and made again after the next start.
 */
import { fromHex, type Hex } from '../base/bytes.ts'
import { isChrysalisError, messageOf } from '../base/errors.ts'
import type { Logger } from '../ports/logger.ts'
import { keyAfter, prefixEnd, type Store, type StoreWrite } from '../ports/store.ts'
import { decodeEmbedding, embeddingKey, encodeEmbedding, parseEmbeddingKey } from './embedding-rows.ts'
import { bounded } from './restore.ts'

const SWEEP_PAGE_ROWS = 128

export class VectorRows {
  readonly #ports: { readonly store: Store; readonly logger: Logger }
  readonly #name: Hex
  readonly #model: Uint8Array
  #isReadOnly = false

  constructor(ports: { readonly store: Store; readonly logger: Logger }, model: Hex) {
    this.#ports = ports
    this.#name = model
    this.#model = fromHex(model)
  }

  /** Of the rows there are; undefined when there is none. Rejects with the errors of the store. */
  async dimensions(): Promise<number | undefined> {
    const rows = await this.#ports.store.scan('embedding', bounded(this.#model, prefixEnd(this.#model), 1))
    const [row] = rows
    return row === undefined ? undefined : decodeEmbedding(row.value)?.length
  }

  /** In the order of the names. Rejects with the errors of the store, except for damaged rows: those are absent. */
  async read(names: readonly Hex[]): Promise<(Float32Array | undefined)[]> {
    const { store } = this.#ports
    const keys = names.map((name) => this.#key(name))
    const values = await store.getMany('embedding', keys).catch((error: unknown) => {
      if (!isChrysalisError(error, 'corrupt')) throw error
      return Promise.all(keys.map((key) => store.get('embedding', key).catch(() => undefined)))
    })
    return values.map((value) => (value === undefined ? undefined : decodeEmbedding(value)))
  }

  write(vectors: readonly { readonly name: Hex; readonly vector: Float32Array }[]): Promise<boolean> {
    return this.#batch(
      vectors.map(({ name, vector }) => ({
        table: 'embedding',
        key: this.#key(name),
        value: encodeEmbedding(vector)
      }))
    )
  }

  erase(names: readonly Hex[]): Promise<boolean> {
    return this.#batch(names.map((name) => ({ table: 'embedding', key: this.#key(name), value: null })))
  }

  /**
   * Deletes the vectors of all other models, and those of texts that are not to be kept. `pause` is awaited after each
   * page and says whether to go on.
   */
  async sweep(isKept: (name: Hex) => boolean, pause: () => Promise<boolean>): Promise<void> {
    let gte: Uint8Array = new Uint8Array(0)
    for (;;) {
      const page = await this.#ports.store.scan('embedding', { gte, limit: SWEEP_PAGE_ROWS })
      const stale = page.filter(({ key }) => {
        const parsed = parseEmbeddingKey(key)
        return parsed === undefined || parsed.model !== this.#name || !isKept(parsed.text)
      })
      const done = await this.#batch(stale.map(({ key }) => ({ table: 'embedding', key, value: null })))
      const last = page.at(-1)
      if (!done || last === undefined || page.length < SWEEP_PAGE_ROWS || !(await pause())) return
      gte = keyAfter(last.key)
    }
  }

  #key(name: Hex): Uint8Array {
    return embeddingKey(this.#model, fromHex(name))
  }

  /** Whether it is in the store now. Never rejects. */
  async #batch(writes: StoreWrite[]): Promise<boolean> {
    if (writes.length === 0) return true
    try {
      await this.#ports.store.batch(writes, { durable: false })
      this.#isReadOnly = false
      return true
    } catch (error) {
      if (!this.#isReadOnly) {
        this.#ports.logger.log('warn', 'vectors cannot be stored; they are kept in memory', { error: messageOf(error) })
      }
      this.#isReadOnly = true
      return false
    }
  }
}
