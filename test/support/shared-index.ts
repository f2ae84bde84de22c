/**
 * Memories for the shared read index and the plain words to ask it, without a daemon: short words of three letters, so
 * that the recall index finds nothing by near terms and both must find the same.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createHash } from 'node:crypto'
import { createSharedIndex } from '../../src/adapters/index/writer.ts'
import type { IndexQuery } from '../../src/adapters/index/reader.ts'
import type { Random } from '../../src/ports/random.ts'
import type { SharedEntry, SharedIndex, SharedMemory, SharedShelf } from '../../src/ports/shared-index.ts'
import { SHARED_TERMS, sharedQueryWords } from '../../src/recall/shared-terms.ts'
import { TRUST_FACTOR, TRUST_TIERS } from '../../src/trust/tier.ts'

export const SPACE = { id: 'ab'.repeat(16), name: 'team', isDefault: true }
export const SOURCE = 'this store'

export function idOf(n: number): string {
  return createHash('sha256').update(`memory ${n}`).digest('hex')
}

export function memoryOf(n: number, content: string, more: Partial<SharedMemory> = {}): SharedMemory {
  const peer = more.peer ?? '12D3KooWAuthor'
  return {
    ...{ id: idOf(n), key: null, kind: 'note', memoryType: null, content, path: null, tags: [], peer },
    ...{ contentPeer: peer, source: null, importance: null, confidence: null, pinned: false, validated: false },
    ...{ createdAt: 1_000 + n, updatedAt: 1_000 + n, validFrom: null, validTo: null, expiresAt: null },
    ...{ version: 1, parents: [], supersedes: [], flags: [] },
    ...more
  }
}

export const TRUSTED = TRUST_TIERS.indexOf('trusted')

export function entryOf(memory: SharedMemory, more: Partial<Omit<SharedEntry, 'memory'>> = {}): SharedEntry {
  return { id: memory.id, stamp: 1, tier: TRUSTED, superseded: false, kind: 0, ...more, memory }
}

export function queryOf(text: string, more: Partial<IndexQuery> = {}): IndexQuery {
  return {
    ...{ words: sharedQueryWords(text), stopWords: false, jaccard: false, kinds: undefined, authors: undefined },
    ...{ sinceMs: -Infinity, pinnedOnly: false, tagsAll: undefined, tagsAny: undefined, limit: 10, nowMs: 5_000 },
    tierWeights: TRUST_TIERS.map((tier) => TRUST_FACTOR[tier]),
    ...more
  }
}

const LETTERS = 'bcdfgkmprtv'

/** One of 200 words of three letters, the first ones often. */
export function shortWord(random: Random): string {
  const rank = Math.floor(200 * random.unit() ** 2)
  return `${LETTERS[rank % 11] as string}${LETTERS[Math.floor(rank / 11) % 11] as string}${LETTERS[Math.floor(rank / 121)] as string}`
}

export function shortText(random: Random, words: number): string {
  return Array.from({ length: words }, () => shortWord(random)).join(' ')
}

/** A folder for indexes, deleted at the end; every shelf it gave out is closed before. */
export class Shelves {
  readonly root = mkdtempSync(path.join(tmpdir(), 'chrysalis-index-'))
  readonly rebuilt: string[] = []
  readonly index: SharedIndex = createSharedIndex(this.root, SHARED_TERMS, (_, reason) => this.rebuilt.push(reason))
  readonly directory = path.join(this.root, SPACE.id)
  readonly #open: SharedShelf[] = []

  async open(source = SOURCE): Promise<SharedShelf> {
    const shelf = await this.index.open(SPACE, source)
    this.#open.push(shelf)
    return shelf
  }

  async remove(): Promise<void> {
    for (const shelf of this.#open) await shelf.close().catch(() => undefined)
    rmSync(this.root, { recursive: true, force: true })
  }
}

const CHILD = fileURLToPath(new URL('./index-reader-child.ts', import.meta.url))

export interface Answered {
  readonly hits: readonly { memory: SharedMemory; tier: number; score: number; bm25: number; jaccard: number }[]
  readonly matches: number
  readonly figures: { generation: number; indexed: number; complete: boolean }
}

export class ReaderError extends Error {
  readonly code: string
  readonly hint: string | undefined

  constructor({ code, message, hint }: { code: string; message: string; hint?: string }) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

/** A reader in a process of its own. */
export class ReaderProcess {
  readonly #process: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(directory: string) {
    this.#process = spawn(process.execPath, ['--import', 'tsx', CHILD, directory], {
      stdio: ['pipe', 'pipe', 'inherit']
    })
    const output = this.#process.stdout
    if (output === null) throw new Error('a pipe was asked for')
    this.#lines = createInterface({ input: output })[Symbol.asyncIterator]()
  }

  async ask(ask: string, arg?: unknown): Promise<unknown> {
    this.send(ask, arg)
    return this.answer()
  }

  send(ask: string, arg?: unknown): void {
    this.#process.stdin?.write(`${JSON.stringify({ ask, arg })}\n`)
  }

  async answer(): Promise<unknown> {
    const { value, done } = await this.#lines.next()
    if (done === true) throw new Error(`the reader died: ${this.#process.signalCode ?? this.#process.exitCode}`)
    const { ok, error } = JSON.parse(value) as { ok?: unknown; error?: ConstructorParameters<typeof ReaderError>[0] }
    if (error !== undefined) throw new ReaderError(error)
    return ok
  }

  async search(text: string, more: Partial<IndexQuery> & { kinds?: never } = {}): Promise<Answered> {
    return (await this.ask('search', queryOf(text, more))) as Answered
  }

  async figures(): Promise<Answered['figures']> {
    return (await this.ask('figures')) as Answered['figures']
  }

  /** The process is gone when it resolves. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }
}
