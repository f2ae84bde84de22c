/**
 * The writing side of the shared read index on lmdb: one environment for each space, `<root>/<space>/`, and this process
 * its only writer. One `write` is one transaction, so readers see all of it or nothing; the database is not synced, since
 * it can be made anew from the store (folder.ts tells when it must be).
 *
 * What changes is worked out here from what is stored, in slices, and then handed to the library in one go, whose own
 * thread writes it. Document numbers of removed memories are used again.
 *
 * Rows that are replaced or deleted leave their old bytes in free pages of the file until those are used again. An index
 * from which memories were removed is therefore copied without free pages when it is opened the next time.
 */
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { open, type RootDatabase } from 'lmdb'
import { assert } from '../../base/assert.ts'
import { equalBytes, fromUtf8, toHex, utf8 } from '../../base/bytes.ts'
import { ChrysalisError, isChrysalisError, messageOf } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type {
  SharedChange,
  SharedEntry,
  SharedIndex,
  SharedMarks,
  SharedShelf,
  SharedSpace,
  SharedState,
  SharedTerms
} from '../../ports/shared-index.ts'
import { CHUNK, CHUNK_BITS, Columns, LIVE, nameHash, PINNED, SUPERSEDED, TIMED } from './columns.ts'
import {
  currentBoot,
  DATA_FILE,
  identityOf,
  padDataFile,
  requireUsable,
  STATE_FILE,
  syncDataFile,
  type DataIdentity,
  type IndexFile
} from './folder.ts'
import * as layout from './layout.ts'
import { applyTo, type BlockWrite, type Occurrence } from './postings.ts'
import { countTerms, type Counted } from './term-counts.ts'

type Database = RootDatabase<Uint8Array, Uint8Array>

/** Milliseconds of work between two turns of other work. */
const SLICE_MS = 3
/** Writes between two looks for readers that died without a word. */
const READER_CHECK_WRITES = 8

/** `onRebuild` hears why an index that was there had to be made anew. */
export function createSharedIndex(
  root: string,
  terms: SharedTerms,
  onRebuild: (space: string, reason: string) => void = () => undefined
): SharedIndex {
  return {
    open: (space, source) => LmdbShelf.open(path.join(root, space.id), space, source, terms, onRebuild),
    keepOnly: (spaces) => {
      for (const name of foldersOf(root)) {
        if (!spaces.includes(name)) rmSync(path.join(root, name), { recursive: true, force: true })
      }
      return Promise.resolve()
    }
  }
}

function foldersOf(root: string): string[] {
  try {
    return readdirSync(root).filter((name) => /^[0-9a-f]{32}$/.test(name))
  } catch {
    return []
  }
}

class LmdbShelf implements SharedShelf {
  readonly #directory: string
  readonly #file: IndexFile
  readonly #db: Database
  readonly #terms: SharedTerms
  readonly #columns = new Columns()
  readonly #generations: number[]
  #figures: layout.Figures
  /** Document numbers below the capacity that nothing has. */
  readonly #free: number[] = []
  /** Until the first complete write stamps of an earlier source prove nothing. */
  #stampsHold: boolean
  readonly #source: string
  readonly #path: string
  /** Another file, or a shorter one, in its place must not be touched through the map. */
  #identity: DataIdentity
  #writing = false
  #failed: unknown
  #writes = 0

  /** Throws `disk_full`, `permissions` or `failure` when no index can be made. */
  static async open(
    directory: string,
    space: SharedSpace,
    source: string,
    terms: SharedTerms,
    onRebuild: (space: string, reason: string) => void
  ): Promise<LmdbShelf> {
    const file: IndexFile = {
      format: layout.FORMAT,
      terms: terms.version,
      space: space.id,
      name: space.name,
      isDefault: space.isDefault,
      boot: currentBoot(),
      clean: false
    }
    try {
      requireUsable(directory, terms.version)
      await compactWhenNeeded(directory)
      return await LmdbShelf.#load(directory, file, source, terms)
    } catch (error) {
      if (!isChrysalisError(error, 'not_found')) onRebuild(space.id, messageOf(error))
    }
    try {
      rmSync(directory, { recursive: true, force: true })
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      return await LmdbShelf.#load(directory, file, source, terms)
    } catch (error) {
      throw asError(error, 'the shared index could not be made')
    }
  }

  static async #load(directory: string, file: IndexFile, source: string, terms: SharedTerms): Promise<LmdbShelf> {
    writeIndexFile(directory, file)
    const db = openDatabase(directory)
    try {
      return new LmdbShelf(directory, file, db, source, terms)
    } catch (error) {
      await db.close()
      throw error
    }
  }

  private constructor(directory: string, file: IndexFile, db: Database, source: string, terms: SharedTerms) {
    this.#directory = directory
    this.#path = path.join(directory, DATA_FILE)
    const identity = identityOf(this.#path)
    if (identity === undefined) throw goneError(directory)
    this.#identity = identity
    this.#file = file
    this.#db = db
    this.#terms = terms
    this.#source = source
    const figures = db.getBinary(layout.FIGURES_KEY)
    this.#figures = (figures && layout.decodeFigures(figures)) ?? layout.NO_FIGURES
    const generations = db.getBinary(layout.GENERATIONS_KEY)
    this.#generations = generations === undefined ? [] : layout.decodeNumbers(generations)
    this.#stampsHold = text(db.getBinary(layout.SOURCE_KEY)) === source
    const { capacity } = this.#figures
    this.#columns.reserve(capacity)
    for (let chunk = 0; chunk * CHUNK < capacity; chunk++) {
      const bytes = db.getBinary(layout.chunkKey(chunk))
      if (bytes === undefined || !this.#columns.decodeChunk(chunk, bytes)) {
        throw new ChrysalisError('corrupt', `a chunk of the shared index is missing in ${directory}`)
      }
    }
    for (let document = capacity - 1; document >= 0; document--) {
      if (((this.#columns.flags[document] as number) & LIVE) === 0) this.#free.push(document)
    }
  }

  get generation(): number {
    return this.#figures.generation
  }

  get size(): number {
    return this.#figures.count
  }

  get complete(): boolean {
    return this.#figures.complete
  }

  isIntact(): boolean {
    const now = identityOf(this.#path)
    const { device, inode, bytes } = this.#identity
    return now !== undefined && now.device === device && now.inode === inode && now.bytes >= bytes
  }

  differing(states: readonly SharedState[]): string[] {
    if (!this.isIntact()) throw goneError(this.#directory)
    return states.filter(({ id, stamp }) => !this.#stampsHold || this.#idRow(id)?.stamp !== stamp).map(({ id }) => id)
  }

  ids(after: string | undefined, limit: number): string[] {
    if (!this.isIntact()) throw goneError(this.#directory)
    const start = after === undefined ? layout.ID_KEYS.start : layout.idKey(after)
    const keys = this.#db.getKeys({
      start,
      end: layout.ID_KEYS.end,
      limit: limit + 1,
      exclusiveStart: after !== undefined
    })
    return [...keys].slice(0, limit).map((key) => toHex(Uint8Array.from(key).subarray(1)))
  }

  async write(change: SharedChange): Promise<number> {
    assert(!this.#writing, 'one write at a time')
    if (this.#failed !== undefined) throw asError(this.#failed, 'the shared index failed before')
    if (!this.isIntact()) throw goneError(this.#directory)
    this.#writing = true
    try {
      const group = await this.#prepare(change)
      if (group !== undefined) await this.#commit(group)
      return this.generation
    } catch (error) {
      // Columns in memory are ahead of the file now: only a new start from the file is sound.
      this.#failed = error
      throw asError(error, 'the shared index could not be written')
    } finally {
      this.#writing = false
    }
  }

  /** Leaves an index that any later process may read as it is. */
  async close(): Promise<void> {
    try {
      const isSound = this.#failed === undefined && this.isIntact()
      await this.#db.close()
      if (!isSound) return
      syncDataFile(this.#path)
      writeIndexFile(this.#directory, { ...this.#file, clean: true })
    } catch (error) {
      throw asError(error, 'the shared index could not be closed')
    }
  }

  #idRow(id: string): layout.IdRow | undefined {
    const bytes = this.#db.getBinaryFast(layout.idKey(id))
    return bytes === undefined ? undefined : layout.decodeIdRow(bytes)
  }

  async #prepare({ puts, removes, marks, complete = false }: SharedChange): Promise<Group | undefined> {
    const group = new Group(this.#figures)
    let pauseMs = performance.now() + SLICE_MS
    const breathe = async (): Promise<void> => {
      if (performance.now() < pauseMs) return
      await nextTurn()
      pauseMs = performance.now() + SLICE_MS
    }
    for (const id of removes) {
      this.#remove(group, id)
      await breathe()
    }
    for (const entry of puts) {
      this.#put(group, entry)
      await breathe()
    }
    for (const mark of marks) this.#mark(group, mark)
    const finishes = complete && !(this.complete && this.#stampsHold)
    if (group.rows.size === 0 && group.chunks.size === 0 && !finishes) return undefined
    for (const [term, occurrences] of group.terms) {
      this.#changeTerm(group, term, occurrences)
      await breathe()
    }
    this.#putFigures(group, complete || this.complete)
    // From now on every stamp is one of this source.
    group.finishes = finishes
    if (finishes) group.rows.set(layout.SOURCE_KEY, utf8(this.#source))
    return group
  }

  #remove(group: Group, id: string): void {
    const row = this.#idRow(id)
    if (row === undefined) return
    const { document } = row
    for (const term of this.#stored(document).details.keys()) group.occurs(term, document, 0)
    group.rows.set(layout.idKey(id), undefined)
    group.rows.set(layout.memoryKey(document), undefined)
    group.count--
    group.lengthSum -= this.#columns.length[document] as number
    group.removed = true
    this.#columns.clear(document)
    group.chunks.add(document >> CHUNK_BITS)
    this.#free.push(document)
  }

  #put(group: Group, { memory, stamp, kind, tier, superseded }: SharedEntry): void {
    const row = group.documents.get(memory.id) ?? this.#idRow(memory.id)
    const document = row?.document ?? this.#free.pop() ?? group.capacity++
    const packed = layout.packMemory(memory)
    const counted = this.#count(memory)
    const key = layout.memoryKey(document)
    if (row === undefined) {
      group.count++
      for (const [term, details] of counted.details) group.occurs(term, document, details)
    } else {
      const before = this.#stored(document, group)
      group.lengthSum -= this.#columns.length[document] as number
      for (const term of before.details.keys()) {
        if (!counted.details.has(term)) group.occurs(term, document, 0)
      }
      for (const [term, details] of counted.details) {
        if (before.details.get(term) !== details) group.occurs(term, document, details)
      }
    }
    if (row === undefined || !equalBytes(this.#db.getBinary(key) ?? NO_BYTES, packed)) group.rows.set(key, packed)
    group.lengthSum += counted.length
    group.documents.set(memory.id, { document, stamp })
    group.memories.set(document, counted)
    group.rows.set(layout.idKey(memory.id), layout.encodeIdRow({ document, stamp }))
    const isTimed = memory.expiresAt !== null || memory.validFrom !== null || memory.validTo !== null
    this.#columns.set(document, {
      flags: LIVE | (memory.pinned ? PINNED : 0) | (superseded ? SUPERSEDED : 0) | (isTimed ? TIMED : 0),
      kind,
      tier,
      createdAt: memory.createdAt,
      length: counted.length,
      distinct: counted.distinct,
      telling: counted.telling,
      author: nameHash(memory.peer)
    })
    group.chunks.add(document >> CHUNK_BITS)
  }

  #mark(group: Group, { id, tier, superseded }: SharedMarks & { readonly id: string }): void {
    const row = group.documents.get(id) ?? this.#idRow(id)
    if (row === undefined) return
    const { document } = row
    const { flags } = this.#columns
    const before = flags[document] as number
    if ((before & LIVE) === 0) return
    const after = superseded ? before | SUPERSEDED : before & ~SUPERSEDED
    if (after === before && this.#columns.tier[document] === tier) return
    flags[document] = after
    this.#columns.tier[document] = tier
    group.chunks.add(document >> CHUNK_BITS)
  }

  /** Terms of the memory that is stored under a number, or was put there earlier in the group. */
  #stored(document: number, group?: Group): Counted {
    const known = group?.memories.get(document)
    if (known !== undefined) return known
    const bytes = this.#db.getBinary(layout.memoryKey(document))
    assert(bytes !== undefined, 'a document has its memory')
    return this.#count(layout.unpackMemory(bytes))
  }

  #count(memory: Parameters<SharedTerms['ofMemory']>[0]): Counted {
    return countTerms(this.#terms, memory)
  }

  #changeTerm(group: Group, term: string, changes: ReadonlyMap<number, number>): void {
    const occurrences: Occurrence[] = [...changes].map(([document, details]) => ({ document, details }))
    occurrences.sort((a, b) => a.document - b.document)
    const key = layout.termKey(term)
    const bytes = this.#db.getBinary(key)
    const writes: BlockWrite[] = []
    const readBlock = (from: number): Uint32Array => {
      const block = this.#db.getBinary(layout.blockKey(term, from))
      assert(block !== undefined, 'a block that is named is stored')
      return layout.numbersOf(block)
    }
    const row = applyTo(bytes === undefined ? undefined : layout.numbersOf(bytes), occurrences, readBlock, writes)
    group.rows.set(key, row === undefined ? undefined : layout.bytesOf(row))
    for (const { from, postings } of writes) {
      group.blocks.push([layout.blockKey(term, from), postings === undefined ? undefined : layout.bytesOf(postings)])
    }
  }

  #putFigures(group: Group, complete: boolean): void {
    const generation = this.generation + 1
    for (const chunk of group.chunks) {
      group.rows.set(layout.chunkKey(chunk), this.#columns.encodeChunk(chunk))
      this.#generations[chunk] = generation
    }
    const { count, lengthSum, capacity } = group
    group.figures = { generation, count, lengthSum, capacity, complete }
    group.rows.set(layout.GENERATIONS_KEY, layout.bytesOf(Float64Array.from(this.#generations)))
    group.rows.set(layout.FIGURES_KEY, layout.encodeFigures(group.figures))
    if (group.removed) group.rows.set(layout.REMOVED_KEY, Uint8Array.of(1))
  }

  async #commit(group: Group): Promise<void> {
    const db = this.#db
    const written = db.batch(() => {
      for (const [key, value] of group.rows) {
        if (value === undefined) void db.remove(key)
        else void db.put(key, value)
      }
      for (const [key, value] of group.blocks) {
        if (value === undefined) void db.remove(key)
        else void db.put(key, value)
      }
    })
    await written.catch((error: unknown) => {
      // The library tells the cause by a second promise, which would end the process if nobody listened to it.
      if (error instanceof Error && 'commitError' in error)
        void Promise.resolve(error.commitError).catch(() => undefined)
      throw error
    })
    this.#figures = group.figures
    if (group.finishes) this.#stampsHold = true
    padDataFile(this.#path)
    this.#identity = identityOf(this.#path) ?? this.#identity
    // A reader that was killed would keep every page it could see from being used again.
    if (this.#writes++ % READER_CHECK_WRITES === 0) db.readerCheck()
  }
}

const NO_BYTES = new Uint8Array(0)

/** What one write changes. */
class Group {
  count: number
  lengthSum: number
  capacity: number
  figures: layout.Figures
  removed = false
  finishes = false
  readonly terms = new Map<string, Map<number, number>>()
  readonly chunks = new Set<number>()
  readonly documents = new Map<string, layout.IdRow>()
  readonly memories = new Map<number, Counted>()
  readonly rows = new Map<Uint8Array, Uint8Array | undefined>()
  /** In this order: a name may be given up and taken again. */
  readonly blocks: [Uint8Array, Uint8Array | undefined][] = []

  constructor(figures: layout.Figures) {
    this.figures = figures
    this.count = figures.count
    this.lengthSum = figures.lengthSum
    this.capacity = figures.capacity
  }

  occurs(term: string, document: number, details: number): void {
    const known = this.terms.get(term)
    if (known === undefined) this.terms.set(term, new Map([[document, details]]))
    else known.set(document, details)
  }
}

/** Only its owner may read it, whatever the umask. */
function openDatabase(directory: string): Database {
  const db = open<Uint8Array, Uint8Array>({
    path: directory,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    noSync: true,
    maxReaders: LIMITS.sharedReadersMax,
    // Reserved once, so that no reader has to map it anew; where a file is as large as its map it must grow in steps.
    ...(process.platform === 'win32' ? {} : { mapSize: LIMITS.sharedIndexBytesMax })
  })
  for (const file of readdirSync(directory)) if (file.endsWith('.mdb')) chmodSync(path.join(directory, file), 0o600)
  return db
}

function writeIndexFile(directory: string, file: IndexFile): void {
  const target = path.join(directory, STATE_FILE)
  writeFileSync(`${target}.new`, `${JSON.stringify(file, undefined, 2)}\n`, { mode: 0o600 })
  renameSync(`${target}.new`, target)
}

/** Copies what is left after removals into a new file, so that removed texts are in no page of it. */
async function compactWhenNeeded(directory: string): Promise<void> {
  const db = openDatabase(directory)
  const copy = path.join(directory, 'compact')
  try {
    if (db.getBinary(layout.REMOVED_KEY) === undefined) return
    await db.remove(layout.REMOVED_KEY)
    rmSync(copy, { recursive: true, force: true })
    mkdirSync(copy, { mode: 0o700 })
    await db.backup(copy, true)
  } finally {
    await db.close()
  }
  renameSync(path.join(copy, DATA_FILE), path.join(directory, DATA_FILE))
  rmSync(copy, { recursive: true, force: true })
}

function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : fromUtf8(bytes)
}

function goneError(directory: string): ChrysalisError {
  return new ChrysalisError('corrupt', `the shared index in ${directory} was deleted, replaced or cut short`, {
    hint: 'It is made anew by itself; nothing but the daemon may change files there.'
  })
}

function asError(error: unknown, what: string): ChrysalisError {
  if (isChrysalisError(error)) return error
  const message = messageOf(error)
  const isFull = /ENOSPC|MDB_MAP_FULL|No space left/i.test(message)
  return new ChrysalisError(isFull ? 'disk_full' : 'failure', `${what}: ${message}`, {
    hint: isFull
      ? 'Make room on the disk of the home, or set index.shared = false; recall by the daemon is not affected.'
      : 'Recall by the daemon is not affected. chrysalis doctor looks for known causes.',
    stateTouched: true,
    cause: error
  })
}
