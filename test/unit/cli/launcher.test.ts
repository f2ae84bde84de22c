/** bin/chrysalis as a process: from anywhere, through a link, into a closed pipe. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openDoor, temporaryHome } from '../../support/rpc-door.ts'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..')
const launcher = path.join(root, 'bin', 'chrysalis')
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string }

function launch(file: string, args: readonly string[], cwd: string) {
  return spawnSync(process.execPath, [file, ...args], {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, CHRYSALIS_MDNS: '0' }
  })
}

test('it runs from any directory and through a symbolic link', (t) => {
  const elsewhere = temporaryHome(t)
  const link = path.join(elsewhere, 'chrysalis')
  symlinkSync(launcher, link)
  for (const file of [launcher, link]) {
    const ran = launch(file, ['version', '--json'], elsewhere)
    assert.equal(ran.status, 0, ran.stderr)
    assert.equal((JSON.parse(ran.stdout) as { data: { version: string } }).data.version, version)
  }
})

test('a reader that has had enough is no error', async (t) => {
  const door = await openDoor(t)
  // More than a pipe holds, so that the writer must notice.
  await door.node.addMany(Array.from({ length: 3_000 }, (_, i) => ({ content: `memory ${i}` })))
  const child = spawn('sh', [
    '-c',
    `"$0" "$1" ids --home "$2" --no-autostart | head -n 1; exit 0`,
    process.execPath,
    launcher,
    door.home
  ])
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  await new Promise((resolve) => child.once('close', resolve))
  assert.match(out, /^[0-9a-f]{64}\n$/)
  assert.equal(err, '')
})

test('the compiled program is used when it is newer than the sources, and is not needed otherwise', (t) => {
  const home = temporaryHome(t)
  mkdirSync(path.join(home, 'bin'))
  mkdirSync(path.join(home, 'src'))
  cpSync(launcher, path.join(home, 'bin', 'chrysalis'))
  writeFileSync(path.join(home, 'package.json'), '{"type":"module"}')
  const copy = path.join(home, 'bin', 'chrysalis')

  writeFileSync(path.join(home, 'src', 'main.ts'), 'const said: string = "source"; console.log(said)')
  const bare = launch(copy, [], home)
  assert.equal(bare.status, 1)
  assert.match(bare.stderr, /not compiled and tsx is not installed.\nhint: .*npm ci/)

  symlinkSync(path.join(root, 'node_modules'), path.join(home, 'node_modules'))
  assert.equal(launch(copy, [], home).stdout, 'source\n')

  mkdirSync(path.join(home, 'dist', 'src'), { recursive: true })
  writeFileSync(path.join(home, 'dist', 'src', 'main.js'), 'console.log("compiled")')
  assert.equal(launch(copy, [], home).stdout, 'compiled\n')

  mkdirSync(path.join(home, 'src', 'deep'))
  const touch = (file: string, seconds: number): void => {
    utimesSync(path.join(home, file), Date.now() / 1000 + seconds, Date.now() / 1000 + seconds)
  }
  writeFileSync(path.join(home, 'src', 'deep', 'new.ts'), 'export {}')
  touch('src/deep/new.ts', 60)
  assert.equal(launch(copy, [], home).stdout, 'source\n', 'a source is newer than the build')
  mkdirSync(path.join(home, 'dist', 'simulations'))
  mkdirSync(path.join(home, 'simulations'))
  writeFileSync(path.join(home, 'simulations', 'main.ts'), 'const said: string = "sim source"; console.log(said)')
  writeFileSync(path.join(home, 'dist', 'simulations', 'main.js'), 'console.log("sim compiled")')
  const sim = ['--home', 'sim-is-no-verb-here', '--json', 'sim', 'run']
  assert.equal(launch(copy, sim, home).stdout, 'sim source\n', 'a source of the engine is newer than the simulator')
  touch('src/deep/new.ts', -60)
  touch('dist/src/main.js', 60)
  touch('dist/simulations/main.js', 60)
  assert.equal(launch(copy, sim, home).stdout, 'sim compiled\n')
  assert.equal(launch(copy, ['--home', 'sim'], home).stdout, 'compiled\n', 'the value of an option is no verb')
})
