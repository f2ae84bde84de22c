/**
 * A process that only reads: the shared index of one folder, asked line by line in JSON. Each line is `{ask, arg}`, each
 * answer `{ok}` or `{error: {code, message, hint}}`. Other processes are what the index is for, and the library that maps
 * it keeps one environment a process, so tests read here and write there.
 */
import { createInterface } from 'node:readline'
import { IndexReader, type IndexQuery } from '../../src/adapters/index/reader.ts'
import { isChrysalisError } from '../../src/base/errors.ts'
import { SHARED_TERMS } from '../../src/recall/shared-terms.ts'

const [directory = ''] = process.argv.slice(2)
let reader: IndexReader | undefined

/** Sets and minus infinity do not survive JSON. */
interface Asked extends Omit<IndexQuery, 'kinds' | 'sinceMs'> {
  readonly kinds?: readonly number[]
  readonly sinceMs: number | null
}

const answers = {
  open: (): unknown => {
    reader = new IndexReader(directory, SHARED_TERMS.version)
    return reader.figures()
  },
  figures: () => open().figures(),
  get: (id: string) => open().get(id) ?? null,
  search: (query: Asked) => open().search(queryFrom(query)),
  /** When the generation was first seen, on the clock all processes of a machine share. */
  await: (generation: number) => {
    while (open().figures().generation < generation);
    return Number(process.hrtime.bigint()) / 1e6
  },
  /** Searches until it is killed. */
  forever: (query: Asked) => {
    process.stdout.write(`${JSON.stringify({ ok: 'searching' })}\n`)
    for (;;) open().search(queryFrom(query))
  },
  /** Another reader comes, searches and goes, while the first one is open. */
  twice: (query: Asked) => {
    open().figures()
    const other = new IndexReader(directory, SHARED_TERMS.version)
    const { matches } = other.search(queryFrom(query))
    other.close()
    return matches
  },
  close: () => {
    reader?.close()
    return null
  }
} as const

function open(): IndexReader {
  reader ??= new IndexReader(directory, SHARED_TERMS.version)
  return reader
}

function queryFrom({ kinds, sinceMs, ...rest }: Asked): IndexQuery {
  return { ...rest, kinds: kinds === undefined ? undefined : new Set(kinds), sinceMs: sinceMs ?? -Infinity }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { ask, arg } = JSON.parse(line) as { ask: keyof typeof answers; arg: never }
  try {
    process.stdout.write(`${JSON.stringify({ ok: answers[ask](arg) })}\n`)
  } catch (error) {
    const known = isChrysalisError(error) ? { code: error.code, hint: error.hint } : { code: 'thrown' }
    process.stdout.write(`${JSON.stringify({ error: { ...known, message: String(error) } })}\n`)
  }
}
