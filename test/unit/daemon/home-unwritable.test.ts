/**
 * Homes that cannot be written. Permission bits do not bind the superuser and nothing else can make a file system
 * read-only, so each case runs the code in a child process: in a mount namespace of its own, or as another user.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SeededRandom } from '../../../src/base/prng.ts'
import { initHome } from '../../../src/daemon/home.ts'

const CHILD = fileURLToPath(new URL('./home-child.ts', import.meta.url))
const scratch = mkdtempSync(path.join(tmpdir(), 'chrysalis-unwritable-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const asRoot = process.getuid?.() === 0
const canMount = asRoot && spawnSync('unshare', ['-m', 'true']).status === 0
const noMount = canMount ? false : 'a read-only mount needs root and a mount namespace'
// Another user must be able to read the sources to run them.
const canSwitch =
  asRoot &&
  spawnSync('setpriv', [...nobody(), process.execPath, '--check', fileURLToPath(import.meta.resolve('tsx'))]).status ===
    0
const noSwitch = canSwitch ? false : 'running as another user needs root, setpriv and sources that others may read'

function nobody(): string[] {
  return ['--reuid=65534', '--regid=65534', '--clear-groups']
}

interface Outcome {
  readonly report?: { readonly created: boolean }
  readonly code?: string
  readonly message?: string
  readonly hint?: string
}

function outcomeOf(command: string, args: readonly string[]): Outcome {
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  assert.notEqual(stdout, '', stderr)
  return JSON.parse(stdout) as Outcome
}

const childArgs = (verb: string, home: string) => ['--import', import.meta.resolve('tsx'), CHILD, verb, home]

/** Runs the child where `home` is on a read-only file system; nobody outside the namespace sees it so. */
function onReadOnly(verb: string, home: string): Outcome {
  const script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
  return outcomeOf('unshare', [
    '-m',
    'sh',
    '-c',
    script,
    'sh',
    path.dirname(home),
    process.execPath,
    ...childArgs(verb, home)
  ])
}

function newParent(): string {
  return mkdtempSync(path.join(scratch, 'parent-'))
}

async function madeHome(): Promise<string> {
  const home = path.join(newParent(), 'home')
  await initHome({ home }, { random: new SeededRandom(home), nowMs: 1 })
  return home
}

test('a new home on a read-only file system is refused in words', { skip: noMount }, () => {
  const home = path.join(newParent(), 'home')
  const outcome = onReadOnly('init', home)
  assert.equal(outcome.code, 'permissions')
  assert.match(outcome.message ?? '', /read-only file system/)
  assert.match(outcome.hint ?? '', /--home/)
  assert.equal(existsSync(home), false)
})

test('an unfinished home that became read-only is refused, and finished later', { skip: noMount }, async () => {
  const home = await madeHome()
  rmSync(path.join(home, 'spaces.json'))
  const before = readdirSync(home)
  assert.equal(onReadOnly('init', home).code, 'permissions')
  assert.deepEqual(readdirSync(home), before)
  assert.equal((await initHome({ home }, { random: new SeededRandom('x'), nowMs: 1 })).created, true)
})

test('a finished home on a read-only file system can be opened, and init reports it', { skip: noMount }, async () => {
  const home = await madeHome()
  assert.equal(onReadOnly('open', home).code, undefined)
  assert.equal(onReadOnly('init', home).report?.created, false)
})

test('where the user may not write, the home is refused in words', { skip: noSwitch }, () => {
  chmodSync(scratch, 0o755)
  const parent = newParent()
  chmodSync(parent, 0o755)
  const home = path.join(parent, 'home')
  const outcome = outcomeOf('setpriv', [...nobody(), process.execPath, ...childArgs('init', home)])
  assert.equal(outcome.code, 'permissions')
  assert.match(outcome.message ?? '', /cannot be written/)
  assert.equal(existsSync(home), false)
})

test('the home of somebody else is refused as theirs, not taken for none', { skip: noSwitch }, async () => {
  chmodSync(scratch, 0o755)
  const home = await madeHome()
  chmodSync(path.dirname(home), 0o755)
  for (const verb of ['open', 'init']) {
    const outcome = outcomeOf('setpriv', [...nobody(), process.execPath, ...childArgs(verb, home)])
    assert.equal(outcome.code, 'permissions', verb)
  }
})

test('a full disk is said to be full, and the home is finished once there is room', { skip: noMount }, () => {
  const mount = newParent()
  const home = path.join(mount, 'home')
  const filler = path.join(mount, 'filler')
  // A tmpfs of one page beyond the filler: the directory fits, the keys do not.
  const script =
    'mount -t tmpfs -o size=64k,nr_inodes=64 none "$1" && dd if=/dev/zero of="$2" bs=4k count=16 2>/dev/null; ' +
    'shift 2; "$@"; rm "$0" && "$@"'
  const args = ['-m', 'sh', '-c', script, filler, mount, filler, process.execPath, ...childArgs('init', home)]
  const { stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8' })
  const [full, roomy] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Outcome)
  assert.equal(full?.code, 'disk_full', stderr)
  assert.equal(roomy?.report?.created, true, stdout)
})
