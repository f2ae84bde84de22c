/** The doctor finds each thing that can be wrong with a home, says what to do, and changes nothing. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { identityOf, markFiles } from '../../../src/adapters/level/file-marks.ts'
import { openLevelStore } from '../../../src/adapters/level/level-store.ts'
import { writeSentinel } from '../../../src/adapters/level/sentinel.ts'
import { writeFileAtomic } from '../../../src/adapters/system/atomic-file.ts'
import { uintBytes } from '../../../src/base/bytes.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { checkNode, doctorFiles } from '../../../src/daemon/doctor-files.ts'
import { homePaths } from '../../../src/daemon/home-files.ts'
import { initHome } from '../../../src/daemon/home.ts'
import { runFilePath, writeRunFile } from '../../../src/daemon/socket-path.ts'

const scratch = mkdtempSync(path.join(tmpdir(), 'chrysalis-doctor-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
const noModes = process.platform === 'win32' ? 'this system has no permission bits' : false

let homes = 0
async function madeHome(): Promise<string> {
  const home = path.join(scratch, `home-${homes++}`)
  await initHome({ home }, { random: new SeededRandom(home), nowMs: 1 })
  return home
}

/** The checks that failed, as name → hint; each must come with one. */
async function failures(home: string, env: Record<string, string> = {}): Promise<Record<string, string>> {
  const failed = (await doctorFiles(home, env)).filter((result) => !result.ok)
  for (const { check, detail, hint } of failed) {
    assert.ok(detail.length > 0, check)
    assert.ok(hint !== null && hint.length > 0, `${check}: a hint`)
  }
  return Object.fromEntries(failed.map(({ check, hint }) => [check, hint ?? '']))
}

test('a fresh home is healthy, and looking at it changes nothing', async () => {
  const home = await madeHome()
  const before = readdirSync(home, { recursive: true, encoding: 'utf8' }).sort()
  assert.deepEqual(await failures(home), {})
  assert.deepEqual(readdirSync(home, { recursive: true, encoding: 'utf8' }).sort(), before)
  for (const { ok, hint, detail } of await doctorFiles(home)) {
    assert.ok(ok && hint === null && detail.length > 0)
  }
})

test('where there is no home every check still answers', async () => {
  const results = await doctorFiles(path.join(scratch, 'nowhere'))
  assert.equal(results.length, 12)
  assert.match(results.find((result) => result.check === 'home')?.hint ?? '', /chrysalis init/)
  assert.equal(results.find((result) => result.check === 'node')?.ok, true)
})

test('a wide key file is found, with the command that repairs it', { skip: noModes }, async () => {
  const home = await madeHome()
  chmodSync(path.join(home, 'identity.key'), 0o644)
  const found = await failures(home)
  assert.match(found['permissions'] ?? '', /^Run: chmod 600 .*identity\.key$/)
  assert.match(found['identity'] ?? '', /chmod 600/)
})

test('damaged keys, spaces and configuration are found each by its own check', async () => {
  const home = await madeHome()
  for (const [file, check] of [
    ['network.key', 'network key'],
    ['spaces.json', 'spaces'],
    ['config.toml', 'configuration']
  ] as const) {
    writeFileSync(path.join(home, file), 'nonsense')
    assert.ok(check in (await failures(home)), check)
  }
})

test('a variable without effect is reported', async () => {
  const home = await madeHome()
  assert.match((await failures(home, { CHRYSALIS_FANOUT: '3' }))['configuration'] ?? '', /unset/)
})

test('a socket path that cannot be is found before a daemon fails over it', async () => {
  const home = await madeHome()
  assert.match(
    (await failures(home, { CHRYSALIS_RPC_SOCKET: `/${'x'.repeat(120)}` }))['socket path'] ?? '',
    /103 bytes/
  )
})

test('a sentinel without its store, and a store without its sentinel, are found', async () => {
  const home = await madeHome()
  mkdirSync(path.join(home, 'data'), { mode: 0o700 })
  assert.match((await failures(home))['store'] ?? '', /new epoch/)
  rmSync(path.join(home, 'data'), { recursive: true })
  writeFileSync(path.join(home, 'STATE'), '{}', { mode: 0o600 })
  assert.match((await failures(home))['store'] ?? '', /backup/)
})

test('a damaged sentinel is found', async () => {
  const home = await madeHome()
  mkdirSync(path.join(home, 'data'), { mode: 0o700 })
  writeFileSync(path.join(home, 'STATE'), 'half a li', { mode: 0o600 })
  assert.ok('store' in (await failures(home)))
})

/** A home whose store was closed in order, without a daemon. */
async function storedHome(): Promise<string> {
  const home = await madeHome()
  const paths = homePaths(home)
  const store = await openLevelStore(paths.data)
  for (let i = 0; i < 200; i++) {
    await store.batch([{ table: 'delta', key: uintBytes(i, 4), value: new Uint8Array(500).fill(i) }], {
      durable: false
    })
  }
  await store.close()
  const identity = await identityOf(paths.data)
  assert.ok(identity !== undefined)
  const files = await markFiles(paths.data)
  const state = {
    schema: 1,
    deltas: 200,
    spaces: {},
    epoch: 'e0'.repeat(8),
    clean: true,
    stopId: null,
    identity,
    files
  }
  await writeSentinel(home, { ...state, writtenAtMs: 1 }, writeFileAtomic)
  return home
}

async function detailOf(home: string, check: string, env: Record<string, string> = {}): Promise<string> {
  return (await doctorFiles(home, env)).find((result) => result.check === check)?.detail ?? ''
}

test('damage in the files of a store at rest is found, by a look that changes nothing', async () => {
  const home = await storedHome()
  assert.match(await detailOf(home, 'store'), /every file is whole, 200 deltas/)
  const { data } = homePaths(home)
  const log = path.join(data, readdirSync(data).find((name) => name.endsWith('.log')) as string)
  const bytes = readFileSync(log)
  bytes[bytes.length >> 1]! ^= 1
  writeFileSync(log, bytes)
  const before = readdirSync(data)
  assert.match((await failures(home))['store'] ?? '', /makes a copy first/)
  assert.match(await detailOf(home, 'store'), /\.log: bytes \d+ to \d+ are damaged/)
  assert.deepEqual(readdirSync(data), before)
  assert.deepEqual(readFileSync(log), bytes)
})

test('copies that a repair left behind are listed with their time', async () => {
  const home = await madeHome()
  assert.match(await detailOf(home, 'copies'), /^none/)
  mkdirSync(path.join(home, 'data.damaged-1700000000000'))
  writeFileSync(path.join(home, 'STATE.damaged-1700000000001'), '')
  const detail = await detailOf(home, 'copies')
  assert.match(detail, /data\.damaged-1700000000000 \(2023-11-14T22:13:20\.000Z\)/)
  assert.match(detail, /STATE\.damaged-1700000000001/)
})

test('the floor and the ballast are shown as they are configured', async () => {
  const home = await madeHome()
  assert.match(
    await detailOf(home, 'disk space'),
    /MiB free, nothing is written below \d+ MiB, ballast of 32 MiB not held/
  )
  const env = { CHRYSALIS_STORE_FLOOR_BYTES: '0', CHRYSALIS_STORE_BALLAST_BYTES: '0' }
  assert.match(await detailOf(home, 'disk space', env), /no floor is set, no ballast$/)
})

test('a run file is believed only when somebody answers on its socket', async () => {
  const home = await madeHome()
  const socket = path.join(home, 'run', 'rpc.sock')
  const run = { pid: process.pid, version: '0', socket, startedAtMs: 0 }
  await writeRunFile(home, run)
  assert.match((await failures(home))['run file'] ?? '', /did not stop cleanly/)

  const server = createServer((connection) => connection.destroy())
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  assert.deepEqual(await failures(home), {})
  await writeRunFile(home, { ...run, pid: 2 ** 22 + 1 })
  assert.ok('run file' in (await failures(home)), 'the process does not exist')
  await new Promise((resolve) => server.close(resolve))

  writeFileSync(runFilePath(home), 'nonsense')
  assert.match((await failures(home))['run file'] ?? '', /^Remove it/)
})

test('Node.js before 20.19 is too old', () => {
  for (const version of ['20.19.0', '20.20.2', '22.0.0', '24.1.0'])
    assert.equal(typeof checkNode(version), 'string', version)
  for (const version of ['18.20.0', '20.18.3', '19.9.0']) assert.equal(typeof checkNode(version), 'object', version)
})
