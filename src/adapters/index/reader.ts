/**
 * The reading side of the shared read index, for any process of this machine: the database is mapped read-only, and a
 * search asks nobody. It needs no daemon; while one writes, each search sees its newest whole write.
 *
 * The daemon may throw an index away and make another one, and people delete folders. So each search looks first which
 * file lies there now: another one is opened in place of the old, a shorter one is refused before it is read. The rest
 * of what is checked, and what cannot be, is in folder.ts.
 *
 * Synchronous throughout. A reader takes a place among the readers of the database; a process that is killed leaves it
 * behind, and the daemon clears it away.
 */
import path from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { ChrysalisError, isChrysalisError, messageOf } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { SharedMemory } from '../../ports/shared-index.ts'
import { nameHash, TIMED } from './columns.ts'
import { DATA_FILE, identityOf, requireUsable, type DataIdentity, type IndexFile } from './folder.ts'
import * as layout from './layout.ts'
import { Searcher, type Found, type Plan, type PostingSource } from './search.ts'

export type { Found, Plan } from './search.ts'

type Database = RootDatabase<Uint8Array, Uint8Array>

export interface IndexFigures {
  readonly generation: number
  readonly indexed: number
  /** false while the daemon still fills the index: an empty answer then proves nothing. */
  readonly complete: boolean
}

export interface IndexHit extends Omit<Found, 'document'> {
  readonly memory: SharedMemory
  readonly tier: number
}

export interface IndexQuery extends Omit<Plan, 'authors'> {
  /** Peer ids; undefined: all. */
  readonly authors: readonly string[] | undefined
  readonly limit: number
  readonly nowMs: number
}

/** Kept beyond what was asked for, since some turn out to have expired. */
const SPARE = 8

export class IndexReader {
  readonly #directory: string
  readonly #terms: string
  #opened: Opened | undefined

  /** Throws not_found, unsupported_version or corrupt. `terms`: version of the terms the caller cuts queries into. */
  constructor(directory: string, terms: string) {
    this.#directory = directory
    this.#terms = terms
    this.#opened = openIndex(directory, terms)
  }

  get file(): IndexFile {
    return this.#current().file
  }

  /** What a search would see now: a poll for news, some microseconds. */
  figures(): IndexFigures {
    return this.#read(({ figures }) => {
      const { generation, count, complete } = figures
      return { generation, indexed: count, complete }
    })
  }

  search(query: IndexQuery): { hits: IndexHit[]; matches: number; figures: IndexFigures } {
    return this.#read((opened) => {
      const { generation, count, complete } = opened.figures
      const figures = { generation, indexed: count, complete }
      const authors = query.authors === undefined ? undefined : new Set(query.authors.map(nameHash))
      let wanted = query.limit + SPARE
      for (;;) {
        const { found, matches } = opened.search({ ...query, authors }, wanted)
        const { hits, rejected } = opened.hits(found, query)
        if (hits.length >= query.limit || found.length < wanted) return { hits, matches: matches - rejected, figures }
        wanted *= 8
      }
    })
  }

  /** Undefined when it is not there, superseded or not. */
  get(id: string): { memory: SharedMemory; tier: number } | undefined {
    return this.#read((opened) => opened.get(id))
  }

  close(): void {
    this.#opened?.close()
    this.#opened = undefined
  }

  /** Asks the newest state there is. After any failure the next question begins with a new look at the file. */
  #read<T>(ask: (opened: Opened) => T): T {
    const opened = this.#current()
    try {
      opened.refresh()
      return ask(opened)
    } catch (error) {
      this.close()
      if (isChrysalisError(error)) throw error
      throw damaged(this.#directory, messageOf(error), error)
    }
  }

  #current(): Opened {
    const now = identityOf(path.join(this.#directory, DATA_FILE))
    const known = this.#opened
    if (known !== undefined && now !== undefined && known.isSame(now)) return known
    // Gone, another one, or cut short: what was mapped must not be read any more.
    this.close()
    this.#opened = openIndex(this.#directory, this.#terms)
    return this.#opened
  }
}

/** One mapped file. */
class Opened {
  readonly file: IndexFile
  figures: layout.Figures = layout.NO_FIGURES
  readonly #directory: string
  readonly #db: Database
  #identity: DataIdentity
  readonly #searcher = new Searcher()
  readonly #loaded: number[] = []

  constructor(directory: string, file: IndexFile, identity: DataIdentity) {
    this.#directory = directory
    this.file = file
    this.#identity = identity
    this.#db = open<Uint8Array, Uint8Array>({
      path: directory,
      noSubdir: false,
      readOnly: true,
      encoding: 'binary',
      keyEncoding: 'binary',
      maxReaders: LIMITS.sharedReadersMax
    })
  }

  isSame({ device, inode, bytes }: DataIdentity): boolean {
    const known = this.#identity
    if (device !== known.device || inode !== known.inode || bytes < known.bytes) return false
    if (bytes > known.bytes) this.#identity = { device, inode, bytes }
    return true
  }

  /** Loads what the daemon has written since the last time. Throws `corrupt`. */
  refresh(): void {
    this.#db.resetReadTxn()
    const bytes = this.#db.getBinaryFast(layout.FIGURES_KEY)
    if (bytes === undefined) {
      this.figures = layout.NO_FIGURES
      return
    }
    const figures = layout.decodeFigures(bytes)
    if (figures === undefined) throw this.#damaged('its figures are no figures')
    if (figures.generation === this.figures.generation) return
    const stored = this.#db.getBinary(layout.GENERATIONS_KEY)
    const { columns } = this.#searcher
    columns.reserve(figures.capacity)
    layout.decodeNumbers(stored ?? new Uint8Array(0)).forEach((generation, chunk) => {
      if (this.#loaded[chunk] === generation) return
      const chunkBytes = this.#db.getBinaryFast(layout.chunkKey(chunk))
      if (chunkBytes === undefined || !columns.decodeChunk(chunk, chunkBytes)) throw this.#damaged('a chunk is missing')
      this.#loaded[chunk] = generation
    })
    this.figures = figures
  }

  search(plan: Plan, limit: number): { found: Found[]; matches: number } {
    return this.#searcher.search(plan, this.figures, this.#source, limit)
  }

  /** Those of the documents that are valid now and by these authors. */
  hits(found: readonly Found[], { nowMs, authors, limit }: IndexQuery): { hits: IndexHit[]; rejected: number } {
    const { columns } = this.#searcher
    const hits: IndexHit[] = []
    let rejected = 0
    for (const { document, ...factors } of found) {
      if (hits.length >= limit) break
      const memory = this.#memory(document)
      const isTimed = ((columns.flags[document] as number) & TIMED) !== 0
      if ((isTimed && !isCurrent(memory, nowMs)) || (authors !== undefined && !authors.includes(memory.peer))) {
        rejected++
        continue
      }
      hits.push({ memory, tier: columns.tier[document] as number, ...factors })
    }
    return { hits, rejected }
  }

  get(id: string): { memory: SharedMemory; tier: number } | undefined {
    const bytes = this.#db.getBinaryFast(layout.idKey(id))
    if (bytes === undefined) return undefined
    const { document } = layout.decodeIdRow(bytes)
    return { memory: this.#memory(document), tier: this.#searcher.columns.tier[document] as number }
  }

  close(): void {
    // Nothing waits for it: what it holds is given back when the last question is answered.
    void this.#db.close().catch(() => undefined)
  }

  readonly #source: PostingSource = {
    term: (term) => this.#numbers(layout.termKey(term)),
    block: (term, from) => this.#numbers(layout.blockKey(term, from))
  }

  #numbers(key: Uint8Array): Uint32Array | undefined {
    const bytes = this.#db.getBinaryFast(key)
    return bytes === undefined ? undefined : layout.numbersOf(bytes)
  }

  #memory(document: number): SharedMemory {
    const bytes = this.#db.getBinaryFast(layout.memoryKey(document))
    if (bytes === undefined) throw this.#damaged(`memory ${document} is missing`)
    try {
      return layout.unpackMemory(bytes)
    } catch (error) {
      throw this.#damaged(messageOf(error))
    }
  }

  #damaged(what: string): ChrysalisError {
    return damaged(this.#directory, what)
  }
}

function damaged(directory: string, what: string, cause?: unknown): ChrysalisError {
  return new ChrysalisError('corrupt', `the shared index in ${directory} is damaged: ${what}`, {
    hint: 'Delete the folder and restart the daemon: it makes the index anew from its store.',
    cause
  })
}

function openIndex(directory: string, terms: string): Opened {
  const file = requireUsable(directory, terms)
  const identity = identityOf(path.join(directory, DATA_FILE))
  if (identity === undefined) {
    throw new ChrysalisError('not_found', `the shared index in ${directory} has just been deleted`, {
      hint: 'Start the daemon of this home: it makes the index anew.'
    })
  }
  try {
    return new Opened(directory, file, identity)
  } catch (error) {
    const message = messageOf(error)
    const isFull = message.includes('READERS_FULL')
    throw new ChrysalisError(
      isFull ? 'unavailable' : 'corrupt',
      `the shared index in ${directory} cannot be opened: ${message}`,
      {
        hint: isFull
          ? 'Too many processes read it at once; close some and try again.'
          : 'Start the daemon of this home, or restart it: it makes the index anew from its store.',
        cause: error
      }
    )
  }
}

/** Both ends of validity are inclusive, as in recall. */
function isCurrent({ expiresAt, validFrom, validTo }: SharedMemory, nowMs: number): boolean {
  if (expiresAt !== null && expiresAt <= nowMs) return false
  if (validFrom !== null && validFrom > nowMs) return false
  return validTo === null || validTo >= nowMs
}
