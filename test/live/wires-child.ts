/** Packaged daemons behind cut cables, for wires.test.ts: namespaces are entered by a process, not by a test. */
import '../../src/polyfill.ts'
import { runCuts } from '../../simulations/live/run.ts'

const { lines, exit } = await runCuts({ seed: 'wires', daemons: 4, seconds: 15, loss: 0.2 }, console.log)
for (const line of lines) console.log(line)
process.exitCode = exit
