/**
 * What was simulated, on real wires: sixty nodes of the real stack in this process, and packaged daemons in network
 * namespaces whose cables are cut. Neither has a seed; both are small here and large on demand.
 */
import '../../src/polyfill.ts'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import path from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { whyNot } from '../../simulations/live/bridge.ts'
import { swarm } from '../../simulations/live/swarm.ts'

const NODES = 60
const child = path.join(path.dirname(fileURLToPath(import.meta.url)), 'wires-child.ts')

describe('real wires', () => {
  it('bring a broadcast to each of sixty nodes over TCP, Noise, Yamux and gossipsub', async () => {
    const options = { seed: 'wires', nodes: NODES, dials: 4, messages: 5, frameBytes: 400, say: () => undefined }
    const { broadcasts } = await swarm(options)
    assert.deepEqual(
      broadcasts.map(({ arrived }) => arrived),
      Array.from({ length: 5 }, () => NODES - 1)
    )
  })

  it(
    'lose nothing while cables are cut and packets lost one way, and daemons agree once healed',
    {
      skip: whyNot() ?? false
    },
    async () => {
      const { status, said } = await run(child)
      assert.match(said, /0 missing somewhere/)
      assert.doesNotMatch(said, /NEVER|died/, said)
      // How long it took is for the large run: a busy machine must not fail by the clock.
      assert.ok(status === 0 || /VIOLATED/.test(said), said)
    }
  )
})

async function run(script: string): Promise<{ status: number | null; said: string }> {
  const process_ = spawn(process.execPath, ['--import', 'tsx', script], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [process_.stdout, process_.stderr]) stream.on('data', (bytes: Buffer) => (said += String(bytes)))
  const status = await new Promise<number | null>((resolve) => process_.once('exit', resolve))
  return { status, said }
}
