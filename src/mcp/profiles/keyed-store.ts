/**
 * Reading and writing many keyed records of one space through the door: in pages and batches as large as it takes, so
 * that whoever uses it thinks in records only. A deleted record is a retracted one; writing it again takes that back,
 * and an expiry as well.
 */
import { utf8 } from '../../base/bytes.ts'
import { ChrysalisError, isChrysalisError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Params, Result, ToolContext } from '../profile.ts'

export type NewRecord = Params<'memory.addMany'>['items'][number]
export type Item = Result<'memory.list'>['items'][number]

/** Of a batch, besides content, key and path: operations, origin, tags. Generous, for a refused batch helps nobody. */
const RECORD_OVERHEAD_BYTES = 512
const BATCH_BYTES_MAX = LIMITS.deltaBodyBytesMax - 4_096
/** Writes under way at once: enough to share the disk's syncs, and few beside those of other clients. */
const PARALLEL_WRITES_MAX = 16

/** How long one tool call waits in all for its turn when it writes faster than it may. Hosts give up after a minute. */
const PATIENCE_MS = 20_000

export class KeyedStore {
  readonly space: string
  readonly #context: ToolContext
  readonly #patientUntilMs: number
  #hasWritten = false

  private constructor(context: ToolContext, space: string) {
    this.#context = context
    this.space = space
    this.#patientUntilMs = context.nowMs() + PATIENCE_MS
  }

  /** Finds out which space the connection works in: a key means one record only where the space is known. */
  static async open(context: ToolContext): Promise<KeyedStore> {
    const { spaces } = await context.caller.call('space.list', {})
    const wanted = context.space
    const found = spaces.find(({ id, name, isDefault }) =>
      wanted === undefined ? isDefault : id === wanted || name === wanted
    )
    // An unknown name is refused by the daemon itself, in its own words.
    const space = found?.id ?? wanted
    if (space !== undefined) return new KeyedStore(context, space)
    throw new ChrysalisError('not_found', 'This connection sees no space to write to.', {
      hint: 'Name one with --space, or use a token that may read and write a space.'
    })
  }

  /** By key; null for records that are not here. Retracted ones are among them. */
  async get(keys: readonly string[]): Promise<Map<string, Item | null>> {
    const found = new Map<string, Item | null>()
    for (const page of pages([...new Set(keys)], LIMITS.recallResultsMax)) {
      const ids = page.map((key) => `key:${key}`)
      const { items } = await this.#context.caller.call('memory.get', { ids, space: this.space })
      page.forEach((key, index) => found.set(key, items[index] ?? null))
    }
    return found
  }

  /** Everything at or below `path` that is not retracted, in no particular order. */
  async list(path: string): Promise<Item[]> {
    const all: Item[] = []
    let cursor: string | null | undefined
    while (cursor !== null) {
      const page = await this.#context.caller.call('memory.list', {
        spaces: [this.space],
        path,
        includeSuperseded: true,
        limit: LIMITS.recallResultsMax,
        ...(cursor === undefined ? {} : { cursor })
      })
      all.push(...page.items)
      cursor = page.cursor
    }
    return all
  }

  /** Writes records; those of `before` that had been hidden are shown again. In the order given, batch by batch. */
  async put(records: readonly NewRecord[], before: ReadonlyMap<string, Item | null>): Promise<void> {
    for (const batch of batches(records)) {
      // A key says already what is the same; equal words under two keys are two things.
      const items = batch.map((record) => ({ ...record, space: this.space, dedupe: 'allow' as const }))
      await this.#write('memory.addMany', { items })
      const back = batch.flatMap(({ key }) => {
        const item = key === undefined ? null : before.get(key)
        return item === null || item === undefined ? [] : [item]
      })
      await inParallel(back, (item) => this.#show(item))
    }
  }

  /** Hides records everywhere; their history stays. */
  async retract(ids: readonly string[], reason: string): Promise<void> {
    await inParallel(ids, (id) => this.#write('memory.retract', { id, reason, space: this.space }))
  }

  /**
   * Writes the content anew if the record is still at `version`; false when somebody else was faster. Other daemons are
   * not asked: what they write at the same time converges with this by the rule of the field.
   */
  async revise({ id, version }: Item, content: string): Promise<boolean> {
    try {
      await this.#write('memory.revise', { id, space: this.space, content, ifVersion: version })
      return true
    } catch (error) {
      if (isChrysalisError(error, 'conflict')) return false
      throw error
    }
  }

  async #show({ id, retracted, expired }: Item): Promise<void> {
    const { space } = this
    if (expired) await this.#write('memory.revise', { id, space, expiresAt: null })
    if (retracted === null) return
    try {
      await this.#write('memory.restore', { id, space })
    } catch (error) {
      // Somebody else was faster: it is shown again, which is all that was wanted.
      if (!isChrysalisError(error, 'invalid_state')) throw error
    }
  }

  /** Waits for its turn where writes are counted; a large request is slow then, and not half done. */
  async #write<M extends Writing>(method: M, params: Params<M>): Promise<void> {
    for (;;) {
      try {
        await this.#context.caller.call(method, params)
        this.#hasWritten = true
        return
      } catch (error) {
        const waitMs = retryMsOf(error)
        const isTooLong = waitMs === undefined || this.#context.nowMs() + waitMs > this.#patientUntilMs
        if (isTooLong) throw this.#hasWritten ? halfDone(error) : error
        await new Promise((resolve) => setTimeout(resolve, waitMs))
      }
    }
  }
}

type Writing = 'memory.addMany' | 'memory.retract' | 'memory.revise' | 'memory.restore'

/** How long to wait, when that is all there is to do. */
function retryMsOf(error: unknown): number | undefined {
  const retryMs = isChrysalisError(error, 'rate_limited') ? error.data?.['retryMs'] : undefined
  return typeof retryMs === 'number' ? retryMs : undefined
}

/** Parts of the request are on disk, and the caller must know. */
function halfDone(error: unknown): unknown {
  if (!(error instanceof ChrysalisError) || error.stateTouched) return error
  const { code, message, hint, retryable, data } = error
  return new ChrysalisError(code, message, {
    stateTouched: true,
    retryable,
    cause: error,
    ...(hint === undefined ? {} : { hint }),
    ...(data === undefined ? {} : { data })
  })
}

/** Splits so that each part is one delta: at most so many items, at most so many bytes. */
export function batches(records: readonly NewRecord[]): NewRecord[][] {
  const parts: NewRecord[][] = []
  let part: NewRecord[] = []
  let bytes = 0
  for (const record of records) {
    const size = utf8(`${record.content}${record.key ?? ''}${record.path ?? ''}`).length + RECORD_OVERHEAD_BYTES
    if (part.length > 0 && (part.length >= LIMITS.addManyItemsMax || bytes + size > BATCH_BYTES_MAX)) {
      parts.push(part)
      part = []
      bytes = 0
    }
    part.push(record)
    bytes += size
  }
  if (part.length > 0) parts.push(part)
  return parts
}

function pages<T>(list: readonly T[], size: number): T[][] {
  const parts: T[][] = []
  for (let at = 0; at < list.length; at += size) parts.push(list.slice(at, at + size))
  return parts
}

/** All settle before it does, so that nothing goes on behind an error. Rejects with the first error. */
async function inParallel<T>(list: readonly T[], act: (value: T) => Promise<unknown>): Promise<void> {
  for (const part of pages(list, PARALLEL_WRITES_MAX)) {
    const settled = await Promise.allSettled(part.map(act))
    const failed = settled.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
}

/** Whether a record is there to be seen. */
export function isLive(item: Item | null | undefined): item is Item {
  return item !== null && item !== undefined && item.retracted === null && !item.expired
}
