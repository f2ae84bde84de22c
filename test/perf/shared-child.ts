/**
 * The second process of the suite `shared`: opens the shared index of a home with the reader library, asks, and reports
 * one line of JSON for each command it gets.
 */
import { createInterface } from 'node:readline'
import { openReader, type SharedReader } from '../../src/reader.ts'
import { question } from './corpus.ts'

const [home = '', memoriesText = '0'] = process.argv.slice(2)
const memories = Number(memoriesText)
const HITS = 10
let reader: SharedReader | undefined

function opened(): SharedReader {
  reader ??= openReader({ home })
  return reader
}

/** Four telling words of two memories. */
function fourWords(n: number): string {
  const words: string[] = []
  for (let i = 0; words.length < 4; i++) words.push(...question(7 * n + i, memories).split(' '))
  return words.slice(0, 4).join(' ')
}

function ask(count: number, mode: 'bm25' | 'jaccard', queryOf: (n: number) => string): object {
  const queries = Array.from({ length: count }, (_, n) => queryOf(n))
  for (let n = 0; n < count / 4; n++) opened().search(queryOf(n + count), { limit: HITS, mode })
  const times: number[] = []
  const before = process.cpuUsage()
  for (const query of queries) {
    const startedMs = performance.now()
    opened().search(query, { limit: HITS, mode })
    times.push(performance.now() - startedMs)
  }
  const { user, system } = process.cpuUsage(before)
  return { times, cpuMs: (user + system) / 1_000 / count, rssMiB: process.memoryUsage().rss / 2 ** 20 }
}

const commands: Record<string, (count: number) => object> = {
  open: () => {
    const bareMiB = process.memoryUsage().rss / 2 ** 20
    const startedMs = performance.now()
    const { indexed } = opened().state()
    const openMs = performance.now() - startedMs
    const firstMs = performance.now()
    opened().search(question(0, memories), { limit: HITS })
    return { indexed, openMs, firstSearchMs: performance.now() - firstMs, bareMiB }
  },
  bm25: (count) => ask(count, 'bm25', fourWords),
  jaccard: (count) => ask(count, 'jaccard', fourWords),
  mixed: (count) => ask(count, 'bm25', (n) => question(n, memories)),
  /** When each generation up to the last one was first seen, on the clock of the machine; or a later one with it. */
  watch: (count) => {
    let last = opened().state().generation
    const end = last + count
    process.stdout.write('{"watching":true}\n')
    const seen: [number, number][] = []
    while (last < end) {
      const { generation } = opened().state()
      if (generation === last) continue
      seen.push([generation, Number(process.hrtime.bigint()) / 1e6])
      last = generation
    }
    return { seen }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [name = '', count = '0'] = line.split(' ')
  process.stdout.write(`${JSON.stringify(commands[name]?.(Number(count)) ?? {})}\n`)
}
