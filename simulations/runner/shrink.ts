/**
 * Makes a failing run small enough to read: delta debugging (Zeller and Hildebrandt, 2002) over the lists of faults and
 * liars, then fewer writes, then fewer nodes, and the lists once more, for as long as the same thing breaks and the
 * budget of runs lasts. It knows nothing of worlds: it is handed a question, and asks it.
 */
import type { SeedCase } from './seed-case.ts'

/** A case in which everything is said that can be made smaller. */
export type FullCase = Required<SeedCase>

export interface ShrinkOptions {
  /** Runs at most. */
  readonly budget: number
  readonly nodesMin?: number
  /** Told of every smaller case that still fails. */
  readonly smaller?: (smaller: FullCase, runs: number) => void
}

export interface Shrunk {
  readonly smallest: FullCase
  readonly runs: number
  /** Nothing smaller was left to try; otherwise the budget ran out. */
  readonly isDone: boolean
}

/** `fails`: does this case still break what the first one broke? `start` does. */
export async function shrink(
  start: FullCase,
  fails: (smaller: FullCase) => Promise<boolean>,
  options: ShrinkOptions
): Promise<Shrunk> {
  const { budget, nodesMin = 2, smaller } = options
  let smallest = start
  let runs = 0
  const attempt = async (next: FullCase): Promise<boolean> => {
    if (runs >= budget) return false
    runs++
    if (!(await fails(next))) return false
    smallest = next
    smaller?.(next, runs)
    return true
  }
  const shrinkList = async (key: 'faults' | 'liars'): Promise<void> => {
    for (let chunk = smallest[key].length; chunk >= 1; chunk = Math.floor(chunk / 2)) {
      for (let at = 0; at < smallest[key].length;) {
        const kept = smallest[key].toSpliced(at, chunk)
        // What was deleted is not looked at again; what was needed is stepped over.
        if (!(await attempt({ ...smallest, [key]: kept }))) at += chunk
      }
    }
  }
  const shrinkNumber = async (key: 'writes' | 'nodes', min: number): Promise<void> => {
    for (let step = smallest[key] - min; step >= 1;) {
      const next = smallest[key] - step
      if (next >= min && (await attempt({ ...smallest, [key]: next }))) step = Math.min(step, next - min)
      else step = Math.floor(step / 2)
    }
  }
  let before: FullCase
  do {
    before = smallest
    await shrinkList('faults')
    await shrinkList('liars')
    await shrinkNumber('writes', 0)
    await shrinkNumber('nodes', nodesMin)
  } while (smallest !== before && runs < budget)
  return { smallest, runs, isDone: runs < budget }
}
