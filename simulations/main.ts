/**
 * The program behind `chrysalis sim` and `npm run sim`: the simulator's command line with the real streams.
 */
import '../src/polyfill.ts'
import { availableParallelism } from 'node:os'
import { ERRORS } from '../src/base/errors.ts'
import { runSim } from './command.ts'

/** Whatever stands before the verb is for `chrysalis`; the words after `sim`, or all of them, are ours. */
function ownWords(argv: readonly string[]): readonly string[] {
  const at = argv.indexOf('sim')
  if (at < 0) return argv
  const before = argv.slice(0, at).filter((word) => word === '--json')
  return [...argv.slice(at + 1), ...before]
}

const words = ownWords(process.argv.slice(2))
const [first = ''] = words
const interruption = new AbortController()
process.on('SIGINT', () => {
  // What works through a list sums up what it has; everything else, and a second time, ends at once.
  const sumsUp = ['sweep', 'mutants'].includes(first)
  if (interruption.signal.aborted || !sumsUp) process.exit(ERRORS.cancelled.exit)
  interruption.abort()
})
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever read this has seen enough.
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
}
process.exitCode = await runSim(words, {
  stdout: process.stdout,
  stderr: process.stderr,
  nowMs: () => performance.now(),
  processors: availableParallelism(),
  signal: interruption.signal
})
