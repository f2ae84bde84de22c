/** Whole daemons as processes, doing the main job over real sockets and real disks, on loopback. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { launcherPath } from '../../src/daemon/spawn.ts'
import { isChrysalisError } from '../../src/base/errors.ts'
import type { DaemonProcess } from '../support/daemons.ts'
import { sharedDeltas, until, untilConnected, withYard, type Yard } from '../support/daemons.ts'

const run = promisify(execFile)
const TIMEOUT = { timeout: 240_000 }

interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the program behind bin/chrysalis to its end. */
async function chrysalis(...args: string[]): Promise<Ended> {
  try {
    const { stdout, stderr } = await run(process.execPath, [launcherPath(), ...args], { timeout: 120_000 })
    return { status: 0, stdout, stderr }
  } catch (error) {
    const ended = error as { code?: number; stdout: string; stderr: string }
    return { status: ended.code ?? -1, stdout: ended.stdout, stderr: ended.stderr }
  }
}

/** `count` daemons of one network, all connected to the first. */
async function fleet(yard: Yard, count: number): Promise<DaemonProcess[]> {
  const first = await yard.start(await yard.newHome())
  const homes: string[] = []
  for (let i = 1; i < count; i++) homes.push(await yard.joinHome(first))
  const others = await Promise.all(homes.map((home) => yard.start(home)))
  for (const other of others) await untilConnected(other)
  return [first, ...others]
}

async function untilEqual(daemons: readonly DaemonProcess[]): Promise<void> {
  await until(
    'all digests are equal',
    async () => {
      const digests = await Promise.all(daemons.map((daemon) => daemon.client.call('memory.digest', {})))
      return new Set(digests.map(({ root, state }) => `${root} ${state}`)).size === 1
    },
    { timeoutMs: 90_000, everyMs: 200 }
  )
}

test('the demonstration runs to its end and shows what it promises', TIMEOUT, async () => {
  const { status, stdout } = await chrysalis('demo', '--json')
  assert.equal(status, 0)
  const { ok, data } = JSON.parse(stdout) as {
    ok: boolean
    data: { peers: string[]; fingerprint: string; verified: boolean; equal: boolean }
  }
  assert.equal(ok, true)
  assert.equal(new Set(data.peers).size, 2)
  assert.match(data.fingerprint, /^[0-9a-f]{96}$/)
  assert.equal(data.verified, true)
  assert.equal(data.equal, true)
})

test('five daemons that learn at once end with equal digests, and every one recalls everything', TIMEOUT, async () => {
  await withYard('fleet', async (yard) => {
    const daemons = await fleet(yard, 5)
    const learned = await Promise.all(
      daemons.flatMap((daemon, d) =>
        Array.from({ length: 20 }, (_, i) =>
          daemon.client.call('memory.add', { content: `daemon ${d} learned fact number ${i}`, tags: [`from-${d}`] })
        )
      )
    )
    await untilEqual(daemons)
    for (const daemon of daemons) {
      const { items } = await daemon.client.call('memory.get', { ids: learned.map(({ id }) => id) })
      assert.ok(items.every((item) => item !== null && item.verified))
    }
    const [, last] = daemons
    const { items } = await (last as DaemonProcess).client.call('memory.search', {
      query: 'learned fact',
      tagsAny: ['from-4'],
      limit: 50
    })
    assert.equal(items.length, 20)
  })
})

test('a daemon that was off for hundreds of writes comes back to an equal digest', TIMEOUT, async () => {
  await withYard('rejoin', async (yard) => {
    const [stays, leaves] = (await fleet(yard, 2)) as [DaemonProcess, DaemonProcess]
    await leaves.stop()
    for (let batch = 0; batch < 10; batch++) {
      await Promise.all(
        Array.from({ length: 60 }, (_, i) => stays.client.call('memory.add', { content: `while away ${batch}.${i}` }))
      )
    }
    const back = await yard.start(leaves.home)
    await untilEqual([stays, back])
    assert.equal(await sharedDeltas(back), 600)
  })
})

test('three daemons that know one bootstrap address find each other through the address table', TIMEOUT, async () => {
  await withYard('dht', async (yard) => {
    const options = { set: { 'network.dht': 'true' } }
    const first = await yard.start(await yard.newHome(), options)
    const second = await yard.start(await yard.joinHome(first), options)
    const third = await yard.start(await yard.joinHome(first), options)
    const secondPeer = (await second.client.call('node.id', {})).peer
    await until(
      'the third is connected to the second',
      async () => {
        const { peers } = await third.client.call('peer.list', {})
        return peers.some(({ peer, connected }) => peer === secondPeer && connected)
      },
      { timeoutMs: 90_000, everyMs: 200 }
    )
  })
})

test('a second daemon in one home is told so and leaves the first alone', TIMEOUT, async () => {
  await withYard('locked', async (yard) => {
    const home = await yard.newHome()
    const first = await yard.start(home)
    const second = await chrysalis('--home', home, 'daemon', '--preset', 'local', '--json')
    assert.equal(second.status, 11)
    assert.match(second.stdout + second.stderr, /another|already|locked/i)
    const { id } = await first.client.call('memory.add', { content: 'still here' })
    assert.equal((await first.client.call('memory.get', { ids: [id] })).items[0]?.content, 'still here')
  })
})

test('a port that is taken is named, and the home stays usable', TIMEOUT, async () => {
  await withYard('port', async (yard) => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    const home = await yard.newHome()
    try {
      const refused = await chrysalis(
        '--home',
        home,
        'daemon',
        '--preset',
        'local',
        '--listen',
        `/ip4/127.0.0.1/tcp/${port}`
      )
      assert.notEqual(refused.status, 0)
      assert.match(refused.stderr, new RegExp(String(port)))
    } finally {
      taken.close()
    }
    const daemon = await yard.start(home)
    assert.equal((await daemon.client.call('node.health', {})).ready, true)
  })
})

test('an epoch goes on after an orderly stop and never after a kill or a copy', TIMEOUT, async () => {
  await withYard('epoch', async (yard) => {
    const home = await yard.newHome()
    let daemon = await yard.start(home)
    await daemon.client.call('memory.add', { content: 'one' })
    const { epoch } = await daemon.client.status()
    await daemon.stop()
    daemon = await yard.start(home)
    assert.equal((await daemon.client.status()).epoch, epoch, 'an orderly stop keeps the epoch')
    await daemon.client.call('memory.add', { content: 'two' })
    await daemon.kill()
    daemon = await yard.start(home)
    const afterKill = (await daemon.client.status()).epoch
    assert.notEqual(afterKill, epoch, 'a kill draws a new one')
    await daemon.stop()
    const copy = path.join(yard.root, 'copy')
    assert.equal(spawnSync('cp', ['-a', home, copy]).status, 0)
    const copied = await yard.start(copy)
    assert.notEqual((await copied.client.status()).epoch, afterKill, 'a copied home draws a new one')
    assert.equal(await sharedDeltas(copied), 2)
  })
})

const mayMount = process.platform === 'linux' && process.getuid?.() === 0
test(
  'a full disk refuses writes by name, loses nothing, and writes go on when there is room',
  { ...TIMEOUT, skip: mayMount ? false : 'needs root to mount a small file system' },
  async () => {
    await withYard('full', async (yard) => {
      const disk = path.join(yard.root, 'disk')
      mkdirSync(disk)
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=160m,mode=0700', 'tmpfs', disk])
      if (mounted.status !== 0) return assert.ok(true, 'mounting is not permitted here')
      try {
        const daemon = await yard.start(await yard.newHome('full', disk))
        const acknowledged: string[] = []
        const ballast = path.join(disk, 'ballast')
        writeFileSync(ballast, Buffer.alloc(100 * 1024 * 1024))
        let refused: unknown
        for (let i = 0; i < 4_000 && refused === undefined; i++) {
          try {
            acknowledged.push(
              (await daemon.client.call('memory.add', { content: `${i} ${randomBytes(18_000).toString('hex')}` })).id
            )
          } catch (error) {
            refused = error
          }
        }
        assert.ok(isChrysalisError(refused, 'disk_full'), `refused with disk_full, not ${String(refused)}`)
        const status = await daemon.client.status()
        assert.equal(status.state, 'read-only')
        assert.ok(status.reasons.some((reason) => /disk/.test(reason)))
        const sample = acknowledged.slice(-5)
        const { items } = await daemon.client.call('memory.get', { ids: sample })
        assert.ok(
          items.every((item) => item !== null),
          'reads go on'
        )
        rmSync(ballast)
        let resumed: string | undefined
        await until('writes are accepted again', async () => {
          try {
            resumed = (await daemon.client.call('memory.add', { content: 'there is room again' })).id
            return true
          } catch {
            return false
          }
        })
        for (const id of [...acknowledged.slice(0, 50), ...sample, resumed ?? '']) {
          const found = await daemon.client.call('memory.get', { ids: [id] })
          assert.ok(found.items[0] !== null, `${id} was acknowledged and is there`)
        }
        await daemon.stop()
      } finally {
        await yard.killAll()
        spawnSync('umount', ['-l', disk])
      }
      return undefined
    })
  }
)
