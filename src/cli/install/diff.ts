/**
 * What would change in a text, as a unified diff (three lines around each change), for people to read before they agree.
 * Lines are matched by a longest common subsequence; texts that differ in too many places are shown as one large change,
 * which is less pretty and just as true.
 */

const CONTEXT_LINES = 3
/** Cells of the table, four bytes each. Edits of configurations touch a few lines. */
const CELLS_MAX = 1_000_000

interface Step {
  readonly sign: ' ' | '-' | '+'
  readonly line: string
}

/** Empty when nothing differs. */
export function unifiedDiff(file: string, before: string | undefined, after: string | undefined): string[] {
  if (before === after) return []
  const steps = stepsBetween(linesOf(before), linesOf(after))
  const heads = [`--- ${before === undefined ? '/dev/null' : file}`, `+++ ${after === undefined ? '/dev/null' : file}`]
  return [...heads, ...hunks(steps)]
}

/** A last line without its line end is another line than one with it, and says so as diff does. */
function linesOf(text: string | undefined): string[] {
  if (text === undefined || text === '') return []
  const lines = text.split('\n')
  const last = lines.pop() ?? ''
  return last === '' ? lines : [...lines, `${last}\n\\ No newline at end of file`]
}

function stepsBetween(before: readonly string[], after: readonly string[]): Step[] {
  let head = 0
  while (head < before.length && head < after.length && before[head] === after[head]) head++
  let tail = 0
  while (tail < before.length - head && tail < after.length - head && before.at(-1 - tail) === after.at(-1 - tail))
    tail++
  const same = (lines: readonly string[]): Step[] => lines.map((line) => ({ sign: ' ', line }))
  const middle = changed(before.slice(head, before.length - tail), after.slice(head, after.length - tail))
  return [...same(before.slice(0, head)), ...middle, ...same(before.slice(before.length - tail))]
}

function changed(before: readonly string[], after: readonly string[]): Step[] {
  const width = after.length + 1
  if ((before.length + 1) * width > CELLS_MAX) {
    return [...before.map((line): Step => ({ sign: '-', line })), ...after.map((line): Step => ({ sign: '+', line }))]
  }
  // Length of the longest common subsequence of what is left from here on, row by row from the end.
  const length = new Uint32Array((before.length + 1) * width)
  const at = (i: number, j: number): number => length[i * width + j] ?? 0
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      length[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const steps: Step[] = []
  let [i, j] = [0, 0]
  while (i < before.length || j < after.length) {
    const [old, fresh] = [before[i], after[j]]
    if (old !== undefined && old === fresh) {
      steps.push({ sign: ' ', line: old })
      i++
      j++
    } else if (old !== undefined && (fresh === undefined || at(i + 1, j) >= at(i, j + 1))) {
      steps.push({ sign: '-', line: old })
      i++
    } else {
      steps.push({ sign: '+', line: fresh ?? '' })
      j++
    }
  }
  return steps
}

function hunks(steps: readonly Step[]): string[] {
  const near = new Set<number>()
  steps.forEach(({ sign }, at) => {
    if (sign !== ' ') for (let i = Math.max(0, at - CONTEXT_LINES); i <= at + CONTEXT_LINES; i++) near.add(i)
  })
  const lines: string[] = []
  let [oldLine, newLine] = [1, 1]
  for (let at = 0; at < steps.length; at++) {
    if (near.has(at) && !near.has(at - 1)) lines.push(hunkHead(steps, near, at, oldLine, newLine))
    const { sign, line } = steps[at] as Step
    if (near.has(at)) lines.push(`${sign}${line.replaceAll('\r', '')}`)
    if (sign !== '+') oldLine++
    if (sign !== '-') newLine++
  }
  return lines.flatMap((line) => line.split('\n'))
}

function hunkHead(steps: readonly Step[], near: ReadonlySet<number>, from: number, old: number, fresh: number): string {
  let [removed, added] = [0, 0]
  for (let at = from; near.has(at) && at < steps.length; at++) {
    if (steps[at]?.sign !== '+') removed++
    if (steps[at]?.sign !== '-') added++
  }
  const range = (first: number, count: number): string => `${count === 0 ? first - 1 : first},${count}`
  return `@@ -${range(old, removed)} +${range(fresh, added)} @@`
}
