/**
 * The harness's own book of what a daemon has acknowledged. Every line is in a file outside the daemon's home before it
 * counts, and every reading is compared with it: an acknowledged memory that is ever missing, or reads differently, is
 * lost. Answers whose connection died are neither: the daemon may have kept them or not.
 *
 * The classes are those of Jepsen's set-full checker: stable, lost, recovered (never acknowledged, and there), never-read.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { isChrysalisError } from '../../src/base/errors.ts'
import type { Client } from '../../src/rpc/client.ts'
import type { Result } from '../../src/rpc/schema/methods.ts'

const IDS_PAGE = 1_000
const READ_PAGE = 100

export interface Reading {
  /** Acknowledged and not there, ever. */
  readonly lost: readonly string[]
  /** There, and not what was written. */
  readonly wrong: readonly string[]
  /** There, but without an acknowledged part of it: a change of it is lost, or its beginning. */
  readonly partial: readonly string[]
  /** Shown, and marked as not verified: the delta behind it is damaged or gone. */
  readonly unverified: readonly string[]
  /** Not shown, with an error that says why. */
  readonly refused: readonly string[]
  readonly present: number
}

export interface Link {
  readonly from: string
  readonly to: string
}

export class Acknowledged {
  readonly #file: number
  /** Record id → number of the write. */
  readonly #acks = new Map<string, number>()
  /** Ids whose content was changed later, as revisedTextOf says. */
  readonly #revised = new Set<string>()
  readonly #links: Link[] = []
  readonly #unread: string[] = []
  attempts = 0

  /** `path`: on another disk than the daemon's, when power is cut. */
  constructor(path: string) {
    this.#file = openSync(path, 'a', 0o600)
  }

  get count(): number {
    return this.#acks.size
  }

  get ids(): IterableIterator<string> {
    return this.#acks.keys()
  }

  note(id: string, n: number): void {
    writeSync(this.#file, `${id} ${n}\n`)
    this.#acks.set(id, n)
    this.#unread.push(id)
  }

  /**
   * Writes through one connection, `inFlight` at a time, until it breaks or `isEnough`. Resolves when the last answer is
   * in. Rejects with a refusal of a daemon that lives.
   */
  async write(client: Client, inFlight: number, isEnough: () => boolean = () => false): Promise<void> {
    const loop = async (): Promise<void> => {
      while (!isEnough()) {
        const n = this.attempts++
        try {
          const { id } = await client.learn(textOf(n), { tags: [tagOf(n)] })
          this.note(id, n)
        } catch (error) {
          if (isBroken(error)) return
          throw error
        }
      }
    }
    await Promise.all(Array.from({ length: inFlight }, loop))
  }

  /** Changes the content of one acknowledged memory. Rejects with the daemon's refusal. */
  async revise(client: Client, id: string): Promise<void> {
    const n = this.#acks.get(id)
    if (n === undefined) throw new Error(`${id} was never acknowledged`)
    await client.revise(id, { content: revisedTextOf(n) })
    writeSync(this.#file, `${id} ${n} revised\n`)
    this.#revised.add(id)
  }

  /** Makes one acknowledged memory the parent of another. Rejects with the daemon's refusal. */
  async link(client: Client, from: string, to: string): Promise<void> {
    await client.link(from, 'parents', to)
    writeSync(this.#file, `${from} comes from ${to}\n`)
    this.#links.push({ from, to })
  }

  get links(): readonly Link[] {
    return this.#links
  }

  /** Acknowledged deltas that touched this memory. */
  deltasOf(id: string): number {
    return 1 + (this.#revised.has(id) ? 1 : 0) + this.#links.filter(({ from }) => from === id).length
  }

  /** The number of the write that made this memory, undefined for one that is not in the book. */
  numberOf(id: string): number | undefined {
    return this.#acks.get(id)
  }

  isWrong(id: string, item: { readonly content: string | null; readonly tags: readonly string[] }): boolean {
    return this.#judge(id, item) === 'wrong'
  }

  /** A memory without some of its deltas shows the rest of them: less than was acknowledged, and nothing else. */
  #judge(id: string, item: { readonly content: string | null; readonly tags: readonly string[] }): Shown {
    const n = this.#acks.get(id) ?? -1
    const revised = this.#revised.has(id)
    if (item.tags.some((tag) => tag !== tagOf(n))) return 'wrong'
    if (item.content === (revised ? revisedTextOf(n) : textOf(n))) return item.tags.length === 1 ? 'right' : 'partial'
    return item.content === null || (revised && item.content === textOf(n)) ? 'partial' : 'wrong'
  }

  /** Looks for every acknowledged id; reads and compares those not read yet, or all of them. */
  async check(client: Client, which: 'new' | 'all'): Promise<Reading> {
    const present = await deltaIds(client)
    // One memory a delta: the record has the delta's own id.
    const lost = [...this.#acks.keys()].filter((id) => !present.has(id))
    const wrong: string[] = []
    const partial: string[] = []
    const unverified: string[] = []
    const refused: string[] = []
    const toRead = which === 'all' ? [...this.#acks.keys()] : this.#unread
    for (let from = 0; from < toRead.length; from += READ_PAGE) {
      const ids = toRead.slice(from, from + READ_PAGE)
      const items = await readEach(client, ids)
      items.forEach((item, i) => {
        const id = ids[i] as string
        if (item === 'refused') refused.push(id)
        else if (item === null) lost.push(id)
        else {
          const shown = this.#judge(id, item)
          if (shown === 'wrong') wrong.push(id)
          else if (shown === 'partial') partial.push(id)
          else if (!item.verified) unverified.push(id)
        }
      })
    }
    this.#unread.length = 0
    return { lost: [...new Set(lost)], wrong, partial, unverified, refused, present: present.size }
  }

  close(): void {
    closeSync(this.#file)
  }
}

type Item = Result<'memory.get'>['items'][number]

/** All at once; one by one when that is refused, so that a damaged row hides no other. */
async function readEach(client: Client, ids: readonly string[]): Promise<readonly (Item | 'refused')[]> {
  try {
    return (await client.call('memory.get', { ids: [...ids] })).items
  } catch (error) {
    if (!isChrysalisError(error, 'corrupt')) throw error
    if (ids.length === 1) return ['refused']
    const items: (Item | 'refused')[] = []
    for (const id of ids) items.push(...(await readEach(client, [id])))
    return items
  }
}

type Shown = 'right' | 'partial' | 'wrong'

/** Every text differs, and its length with it. */
export function textOf(n: number): string {
  return `write ${n} of the chaos run: ${'the ink must outlive the pen '.repeat(1 + (n % 9))}`
}

const revisedTextOf = (n: number): string => `${textOf(n)}(revised)`

const tagOf = (n: number): string => `t${n % 50}`

export async function deltaIds(client: Client): Promise<Set<string>> {
  const found = new Set<string>()
  let cursor: string | null = null
  do {
    const page: Result<'memory.ids'> = await client.call('memory.ids', {
      limit: IDS_PAGE,
      ...(cursor === null ? {} : { cursor })
    })
    for (const id of page.ids) found.add(id)
    ;({ cursor } = page)
  } while (cursor !== null)
  return found
}

function isBroken(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'daemon_unreachable' || code === 'cancelled'
}
