/**
 * How things look to a person: short ids, ages, tables. Memories are written by others, so every text of theirs passes
 * `oneLine` or `plain` first: a terminal obeys escape sequences, and a memory must not be able to give it orders.
 */
/** Control characters, and the marks that reverse the direction of what follows. */
const UNSAFE = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu
const UNSAFE_BUT_NEWLINES = /(?!\n)[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu

/** Digits shown of an id; a prefix of that many is accepted everywhere. */
const ID_DIGITS = 8
const PEER_DIGITS = 8

export function shortId(id: string): string {
  return id.slice(0, ID_DIGITS)
}

/** Peer ids all begin alike; their ends tell them apart. */
export function shortPeer(peer: string): string {
  return peer.length <= PEER_DIGITS ? peer : `…${peer.slice(-PEER_DIGITS)}`
}

/** One line of at most `columns` characters; control characters become spaces. */
export function oneLine(text: string, columns = Number.POSITIVE_INFINITY): string {
  const line = text.replace(UNSAFE, ' ').replace(/ {2,}/g, ' ').trim()
  const characters = [...line]
  return characters.length <= columns ? line : `${characters.slice(0, Math.max(0, columns - 1)).join('')}…`
}

/** Text over several lines, with nothing a terminal would obey. */
export function plain(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(UNSAFE_BUT_NEWLINES, ' ')
}

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000]
]

/** 90_000 → `1m`. */
export function duration(ms: number): string {
  for (const [unit, size] of UNITS) if (ms >= size) return `${Math.floor(ms / size)}${unit}`
  return ms > 0 ? '<1s' : '0s'
}

/** Age of a moment; a moment ahead of this machine's clock is `now`. */
export function age(atMs: number, nowMs: number): string {
  return atMs >= nowMs ? 'now' : duration(nowMs - atMs)
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

export function percent(fraction: number): string {
  return `${Math.round(fraction * 100)}%`
}

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
  readonly style?: (text: string) => string
}

/**
 * Rows under titles, columns apart by two spaces. The last column is cut so that a row fits `columns`. No rows give no
 * lines, so that a caller can say in words that there is nothing.
 */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): string[] {
  if (rows.length === 0) return []
  const cells = rows.map((row) => row.map((cell) => oneLine(cell)))
  const widths = columns.map((column, i) =>
    Math.max(column.title.length, ...cells.map((row) => lengthOf(row[i] ?? '')))
  )
  const last = columns.length - 1
  const before = widths.slice(0, last).reduce((sum, one) => sum + one + 2, 0)
  widths[last] = Math.max(16, Math.min(widths[last] ?? 0, width - before))
  const render = (row: readonly string[], styled: boolean): string =>
    columns
      .map((column, i) => {
        const fit = i === last ? oneLine(row[i] ?? '', widths[i]) : (row[i] ?? '')
        const gap = ' '.repeat(Math.max(0, (widths[i] ?? 0) - lengthOf(fit)))
        const text = styled && column.style !== undefined ? column.style(fit) : fit
        if (column.align === 'right') return gap + text
        return i === last ? text : text + gap
      })
      .join('  ')
      .trimEnd()
  return [
    render(
      columns.map((column) => column.title),
      false
    ),
    ...cells.map((row) => render(row, true))
  ]
}

function lengthOf(text: string): number {
  return [...text].length
}

/** `name  value` lines, values aligned. */
export function fields(pairs: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${value}`)
}

export function bytes(count: number): string {
  return count < 1_048_576 ? `${Math.ceil(count / 1_024)} KiB` : `${Math.round(count / 1_048_576)} MiB`
}
