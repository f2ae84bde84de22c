/**
 * The shared index of a real daemon, read by other processes with no socket: the library, the command line, while the
 * daemon writes, after it was killed, and after its index was deleted under it.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { until, withYard } from '../support/daemons.ts'
import { ReaderProcess } from '../support/shared-index.ts'
import { sharedSpaces } from '../../src/reader.ts'

const ROOT = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))))

const SHARED = { set: { 'index.shared': 'true' } }

function cli(
  home: string,
  ...args: string[]
): { status: number | null; data: { hits: { id: string; tier: string }[] }; error?: { code: string } } {
  const { status, stdout } = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'src/main.ts', '--home', home, '--json', '--no-autostart', ...args],
    { cwd: ROOT, encoding: 'utf8', env: { ...process.env, CHRYSALIS_MDNS: '0' } }
  )
  return {
    status,
    ...(JSON.parse(stdout) as { data: { hits: { id: string; tier: string }[] }; error?: { code: string } })
  }
}

test('another process finds what the daemon learned, follows every change, and goes on without it', () =>
  withYard('shared', async (yard) => {
    const home = await yard.newHome()
    const daemon = await yard.start(home, SHARED)
    const client = await daemon.connect()
    const freeze = await client.learn('Deploys freeze on Fridays after 15:00 UTC', {
      kind: 'decision',
      tags: ['deploy']
    })
    await until('the index is there', async () => sharedSpaces({ home }).length > 0)
    const [space] = sharedSpaces({ home })
    assert.equal(space?.isDefault, true, 'the private space is not among them')
    const directory = path.join(home, 'index', space?.id ?? '')
    assert.equal(statSync(directory).mode & 0o077, 0, 'for its owner only')
    const reader = new ReaderProcess(directory)
    try {
      const finds = async (text: string): Promise<string[]> =>
        (await reader.search(text)).hits.map(({ memory }) => memory.id)
      const seen = (text: string, ids: string[]): Promise<void> =>
        until(`"${text}" finds ${ids.length}`, async () => (await finds(text)).join() === ids.join())
      await seen('friday deploy', [freeze.id])

      const newer = await client.learn('Deploys freeze on Thursdays', { supersedes: [freeze.id] })
      await seen('deploy', [newer.id])
      await client.retract(newer.id, 'it was a joke')
      await seen('deploy', [freeze.id])
      await client.revise(freeze.id, { content: 'Deployments stop on Mondays' })
      await seen('friday', [])
      await seen('monday', [freeze.id])

      const found = cli(home, 'search', '--shared', 'monday', '--tag', 'deploy', '--explain')
      assert.deepEqual([found.status, found.data.hits.map(({ id, tier }) => [id, tier])], [0, [[freeze.id, 'trusted']]])

      await daemon.kill()
      await seen('monday', [freeze.id])
      assert.equal(cli(home, 'search', '--shared', 'monday').data.hits.length, 1, 'a new process finds it as well')

      const again = await yard.start(home, SHARED)
      await seen('monday', [freeze.id])
      const offline = await (await again.connect()).learn('Kettles are descaled in March')
      await seen('descaled', [offline.id])

      const { ino } = statSync(path.join(directory, 'data.mdb'))
      rmSync(path.join(home, 'index'), { recursive: true })
      const isAnew = (): boolean =>
        (statSync(path.join(directory, 'data.mdb'), { throwIfNoEntry: false })?.ino ?? ino) !== ino
      await until(
        'the daemon has made it anew',
        async () => isAnew() && (await finds('monday').catch(() => [])).length === 1
      )
      await seen('descaled', [offline.id])
      await again.stop()
      await seen('descaled', [offline.id])
    } finally {
      await reader.kill()
    }
  }))

test('without index.shared nothing is left behind', () =>
  withYard('unshared', async (yard) => {
    const home = await yard.newHome()
    const first = await yard.start(home, SHARED)
    await (await first.connect()).learn('Kettles are descaled in March')
    await until('the index is there', async () => sharedSpaces({ home }).length > 0)
    await first.stop()
    const second = await yard.start(home)
    assert.deepEqual(sharedSpaces({ home }), [])
    assert.equal(cli(home, 'search', '--shared', 'kettle').error?.code, 'not_found')
    await second.stop()
  }))
