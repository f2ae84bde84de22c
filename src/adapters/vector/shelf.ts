/**
 * Graphs on disk: one folder for each model, `<root>/<name>/`, with the graph as usearch writes it, the labels it holds,
 * and a page that says what both must be. The page is written last and names the files of one save; what it does not name
 * is left over and deleted. Nothing is synced: what a power cut tears apart fails its hash.
 *
 * The library reads a graph without checking it and may crash the process over a damaged one, so both files are hashed
 * first. Whatever does not fit is thrown away: the vectors are in the store, and the graph is built from them again.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { assert } from '../../base/assert.ts'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../ports/logger.ts'
import type { VectorIndex, VectorShelf } from '../../ports/vector-index.ts'
import { GraphIndex } from './graph-index.ts'
import { TieredIndex } from './tiered-index.ts'

export interface ShelfOptions {
  /** Made when something is saved. */
  readonly root: string
  readonly logger: Logger
  /** As of TieredIndex. */
  readonly exactMax?: number
}

/** Raised when a page of before can no longer be read. */
const FORMAT = 1
const PAGE = 'index.json'
const LABEL_BYTES = 8

interface Page {
  readonly format: number
  readonly dimensions: number
  readonly graph: FileMark
  readonly labels: FileMark
}

interface FileMark {
  readonly file: string
  readonly bytes: number
  readonly sha256: string
}

export class DiskShelf implements VectorShelf {
  readonly #options: ShelfOptions

  constructor(options: ShelfOptions) {
    this.#options = options
  }

  async open(name: string, dimensions: number): Promise<VectorIndex> {
    assert(/^[0-9a-f]+$/.test(name), 'the name of an index is hexadecimal')
    const folder = join(this.#options.root, name)
    const graph = await this.#read(folder, dimensions)
    const { exactMax } = this.#options
    return new TieredIndex({
      dimensions,
      graph,
      makeGraph: () => GraphIndex.create(dimensions, (reason) => this.#absent(reason)),
      saveGraph: (changed) => write(folder, changed),
      ...(exactMax === undefined ? {} : { exactMax }),
      monotonicMs: () => performance.now()
    })
  }

  async keepOnly(name: string): Promise<void> {
    for (const other of await namesIn(this.#options.root)) {
      if (other !== name) await rm(join(this.#options.root, other), { recursive: true, force: true })
    }
  }

  /** Undefined when nothing usable is there; then nothing is left there either. */
  async #read(folder: string, dimensions: number): Promise<GraphIndex | undefined> {
    const names = await namesIn(folder)
    if (names.length === 0) return undefined
    try {
      const page = parsePage(await readFile(join(folder, PAGE), 'utf8'), dimensions)
      await checkFile(folder, page.graph)
      await checkFile(folder, page.labels)
      const labels = decodeLabels(await readFile(join(folder, page.labels.file)))
      const path = join(folder, page.graph.file)
      const graph = GraphIndex.load(path, dimensions, labels, (reason) => this.#absent(reason))
      await removeAllBut(folder, [PAGE, page.graph.file, page.labels.file])
      if (graph === undefined) throw new Error('it does not hold what its page says')
      return graph
    } catch (error) {
      this.#options.logger.log('warn', 'the saved vector index is of no use and is built again from the store', {
        error: messageOf(error)
      })
      await rm(folder, { recursive: true, force: true })
      return undefined
    }
  }

  #absent(reason: string): void {
    this.#options.logger.log('warn', 'usearch cannot be loaded: vectors are compared one by one, which takes longer', {
      error: reason
    })
  }
}

async function write(folder: string, graph: GraphIndex): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const serial = randomBytes(6).toString('hex')
  const graphFile = `graph.${serial}.usearch`
  const labelsFile = `labels.${serial}`
  try {
    // Both of one moment: nothing else runs between the two lines.
    const labels = encodeLabels(graph.labels())
    graph.save(join(folder, graphFile))
    await chmod(join(folder, graphFile), 0o600)
    await writeFile(join(folder, labelsFile), labels, { mode: 0o600 })
    const page: Page = {
      format: FORMAT,
      dimensions: graph.dimensions,
      graph: await markOf(folder, graphFile),
      labels: await markOf(folder, labelsFile)
    }
    const fresh = join(folder, `${PAGE}.${serial}`)
    await writeFile(fresh, `${JSON.stringify(page)}\n`, { mode: 0o600 })
    await rename(fresh, join(folder, PAGE))
  } catch (error) {
    await rm(join(folder, graphFile), { force: true })
    await rm(join(folder, labelsFile), { force: true })
    throw error
  }
  await removeAllBut(folder, [PAGE, graphFile, labelsFile])
}

function parsePage(text: string, dimensions: number): Page {
  const page = JSON.parse(text) as Partial<Page> | null
  if (page?.format !== FORMAT) throw new Error(`it has format ${String(page?.format)}, not ${FORMAT}`)
  if (page.dimensions !== dimensions) throw new Error(`it has ${String(page.dimensions)} dimensions, not ${dimensions}`)
  const { graph, labels } = page
  if (!isMark(graph) || !isMark(labels)) throw new Error('its page is not whole')
  return { format: FORMAT, dimensions, graph, labels }
}

/** A plain name: the page must not lead out of its folder. */
function isMark(mark: FileMark | undefined): mark is FileMark {
  return typeof mark?.file === 'string' && /^[a-z0-9.]+$/.test(mark.file) && !mark.file.startsWith('.')
}

async function checkFile(folder: string, mark: FileMark): Promise<void> {
  const { bytes, sha256 } = await markOf(folder, mark.file)
  if (bytes !== mark.bytes || sha256 !== mark.sha256) throw new Error(`${mark.file} is not what was saved`)
}

/** Reads the file once, in pieces: the event loop goes on meanwhile. */
async function markOf(folder: string, file: string): Promise<FileMark> {
  const path = join(folder, file)
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path, { highWaterMark: 1_048_576 })) hash.update(piece as Uint8Array)
  return { file, bytes: (await stat(path)).size, sha256: hash.digest('hex') }
}

function encodeLabels(labels: Iterable<number>): Uint8Array {
  const all = [...labels]
  const bytes = new Uint8Array(all.length * LABEL_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [index, label] of all.entries()) view.setBigUint64(index * LABEL_BYTES, BigInt(label))
  return bytes
}

function decodeLabels(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: Math.floor(bytes.length / LABEL_BYTES) }, (_, index) =>
    Number(view.getBigUint64(index * LABEL_BYTES))
  )
}

async function removeAllBut(folder: string, kept: readonly string[]): Promise<void> {
  for (const name of await namesIn(folder)) if (!kept.includes(name)) await rm(join(folder, name), { force: true })
}

/** Nothing where there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
