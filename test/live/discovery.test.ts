/**
 * Daemons that find each other without being told: by mDNS inside a network namespace of their own, and through a third
 * daemon by the Kademlia table.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, it } from 'node:test'
import { addressOf, World } from '../conformance/network-world.ts'

/** Why no namespace can be made here, or undefined when one can. */
function noNamespace(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces exist on Linux only'
  const probe = spawnSync('unshare', ['-n', 'sh', '-c', 'ip link set lo up'], { encoding: 'utf8' })
  if (probe.status === 0) return undefined
  return `no network namespace for multicast: ${(probe.stderr || probe.error?.message || 'unshare failed').trim()}`
}

const skip = noNamespace() ?? false

describe('discovery', { concurrency: false }, () => {
  it('finds a neighbour by mDNS', { skip }, async () => {
    const child = fileURLToPath(new URL('./mdns-child.ts', import.meta.url))
    const command = 'ip link set lo up && exec "$0" --import tsx "$1"'
    const run = spawn('unshare', ['-n', 'sh', '-c', command, process.execPath, child], { stdio: 'pipe' })
    let output = ''
    run.stdout.on('data', (data) => (output += String(data)))
    run.stderr.on('data', (data) => (output += String(data)))
    const status = await new Promise((resolve) => run.on('close', resolve))
    assert.equal(status, 0, output)
    assert.match(output, /^met$/m)
  })

  it('finds a stranger through a common friend by the DHT', async () => {
    const world = new World()
    try {
      const friend = await world.start({ dht: true })
      const bootstrap = [addressOf(friend.network)]
      const a = await world.start({ dht: true, bootstrap })
      const b = await world.start({ dht: true, bootstrap })
      const sees = (from: typeof a, to: typeof a): boolean =>
        from.network.peers().some(({ peer, connected }) => peer === to.network.self && connected)
      for (let look = 0; look < 1_000 && !(sees(a, b) && sees(b, a)); look++) {
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      assert.ok(sees(a, b) && sees(b, a), JSON.stringify([a.network.peers(), b.network.peers()]))
      const sourceOf = (from: typeof a, to: typeof a): string | undefined =>
        from.network.peers().find(({ peer }) => peer === to.network.self)?.source
      assert.equal(sourceOf(a, friend), 'bootstrap')
      assert.ok([sourceOf(a, b), sourceOf(b, a)].includes('dht'))
    } finally {
      await world.stop()
    }
  })

  it('finds nobody without any of them', async () => {
    const world = new World()
    try {
      const friend = await world.start()
      const bootstrap = [addressOf(friend.network)]
      const [a, b] = [await world.start({ bootstrap }), await world.start({ bootstrap })]
      const friends = (): number => friend.network.peers().filter(({ connected }) => connected).length
      for (let look = 0; look < 1_000 && friends() < 2; look++) await new Promise((resolve) => setTimeout(resolve, 20))
      assert.equal(friends(), 2)
      assert.ok(a.network.peers().every(({ peer }) => peer !== b.network.self))
    } finally {
      await world.stop()
    }
  })
})
