/**
 * Many agents in many processes at many daemons, all at once: whatever any of them was told is kept must be on every
 * daemon. This is where stores that read, change and write back a file keep one write in twenty.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { sharedDeltas, until, untilConnected, withYard, type DaemonProcess } from '../support/daemons.ts'
import { deltaIds } from './acknowledged.ts'
import { judge, type ChaosOptions, type Verdict } from './verdict.ts'

const DAEMONS = 3
const PROCESSES = 4
const WRITES = 250
const SPREAD_MS_MAX = 180_000

const CHILD = fileURLToPath(new URL('writer-child.ts', import.meta.url))

export function writers({ loops, say }: ChaosOptions): Promise<Verdict> {
  return withYard('writers', async (yard) => {
    const first = await yard.start(await yard.newHome())
    const daemons: DaemonProcess[] = [first]
    while (daemons.length < DAEMONS) daemons.push(await yard.start(await yard.joinHome(first)))
    for (const daemon of daemons) await untilConnected(daemon)

    const acknowledged = new Set<string>()
    let failures = 0
    for (let loop = 0; loop < loops; loop++) {
      const runs = daemons.flatMap((daemon, d) =>
        Array.from({ length: PROCESSES }, (_, p) => runWriter(daemon, `loop ${loop} daemon ${d} process ${p}`))
      )
      for (const ids of await Promise.all(runs)) {
        if (ids.length < WRITES) failures++
        for (const id of ids) acknowledged.add(id)
      }
      say(`${acknowledged.size} acknowledged`)
    }
    const startedMs = performance.now()
    await until(
      'every daemon holds as much as was acknowledged',
      async () => (await Promise.all(daemons.map(sharedDeltas))).every((count) => count >= acknowledged.size),
      { timeoutMs: SPREAD_MS_MAX }
    ).catch(() => undefined)
    const spreadMs = performance.now() - startedMs
    const missing: number[] = []
    const roots = new Set<string>()
    for (const daemon of daemons) {
      const ids = await deltaIds(daemon.client)
      missing.push([...acknowledged].filter((id) => !ids.has(id)).length)
      const { root, state } = await daemon.client.call('memory.digest', {})
      roots.add(`${root} ${state}`)
    }
    const expected = loops * DAEMONS * PROCESSES * WRITES
    const figures = {
      daemons: DAEMONS,
      'processes at each': PROCESSES,
      'writes at once of each': WRITES,
      expected,
      acknowledged: acknowledged.size,
      'missing on each': missing.join(', '),
      'different digests': roots.size,
      'spread after the last acknowledgement, ms': Math.round(spreadMs)
    }
    const breaches = [
      ...(failures > 0 ? [`${failures} writing processes were refused something`] : []),
      ...(acknowledged.size !== expected ? [`${acknowledged.size} of ${expected} writes were acknowledged`] : []),
      ...(missing.some((count) => count > 0) ? ['acknowledged writes are missing somewhere'] : []),
      ...(roots.size > 1 ? ['the daemons show different digests'] : [])
    ]
    return judge(figures, breaches, [])
  })
}

/** The ids a writing process was acknowledged. Its complaints go to standard error. */
function runWriter(daemon: DaemonProcess, label: string): Promise<string[]> {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, daemon.client.path, String(WRITES), label], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve(output.split('\n').filter((line) => line !== '')))
  })
}
