/** The socket path always fits the system, is the same for every spelling of a home, and lies where only we can write. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import {
  plannedSocketPath,
  prepareSocketDirectory,
  processExists,
  readRunFile,
  removeRunFile,
  runFilePath,
  socketPath,
  writeRunFile
} from '../../../src/daemon/socket-path.ts'

const scratch = realpathSync(mkdtempSync(path.join(tmpdir(), 'chrysalis-sock-')))
after(() => rmSync(scratch, { recursive: true, force: true }))
const noModes = process.platform === 'win32' ? 'this system has no permission bits' : false
const notRoot = process.getuid?.() === 0 ? false : 'only root may give a directory away'

/** A home whose absolute path has exactly `length` bytes. It is not made. */
function homeOfLength(length: number): string {
  const home = path.join(scratch, 'h'.repeat(length - scratch.length - 1))
  assert.equal(home.length, length)
  return home
}

function isPermissions(error: unknown): boolean {
  return error instanceof ChrysalisError && error.code === 'permissions' && error.hint !== undefined
}

test('a home with a short path holds its socket', () => {
  const home = path.join(scratch, 'a')
  assert.equal(plannedSocketPath(home), path.join(home, 'run', 'rpc.sock'))
})

test('exactly at the bound the socket is in the home, one byte more and it is not', () => {
  const suffix = '/run/rpc.sock'.length
  const fits = homeOfLength(LIMITS.socketPathBytesMax - suffix)
  assert.equal(plannedSocketPath(fits), `${fits}/run/rpc.sock`)
  const tooLong = homeOfLength(LIMITS.socketPathBytesMax - suffix + 1)
  assert.notEqual(plannedSocketPath(tooLong), `${tooLong}/run/rpc.sock`)
})

test('a home of 140 characters gets a short socket in the runtime directory', () => {
  const home = homeOfLength(140)
  const env = { XDG_RUNTIME_DIR: '/run/user/1000' }
  assert.match(plannedSocketPath(home, { env }), /^\/run\/user\/1000\/chrysalis\/[0-9a-f]{16}\.sock$/)
})

test('without a runtime directory, or with an unusable one, it lies in a private directory of the temporary one', () => {
  const home = homeOfLength(140)
  const expected = new RegExp(`^/var/tmp/chrysalis-${process.getuid?.() ?? 0}/[0-9a-f]{16}\\.sock$`)
  for (const env of [{}, { XDG_RUNTIME_DIR: 'relative' }, { XDG_RUNTIME_DIR: `/${'x'.repeat(100)}` }]) {
    assert.match(plannedSocketPath(home, { env, temporary: '/var/tmp' }), expected)
  }
  assert.match(plannedSocketPath(home, { temporary: `/${'t'.repeat(100)}` }), /^\/tmp\/chrysalis-/)
})

test('characters of several bytes are counted in bytes', () => {
  const home = path.join(scratch, 'é'.repeat(40))
  assert.ok(`${home}/run/rpc.sock`.length <= LIMITS.socketPathBytesMax)
  assert.doesNotMatch(plannedSocketPath(home, { temporary: '/tmp' }), /é/)
})

test('two spellings of a home give one socket, two homes give two', () => {
  const home = homeOfLength(140)
  const other = `${home.slice(0, -1)}x`
  assert.equal(plannedSocketPath(home), plannedSocketPath(`${home}/../${path.basename(home)}/`))
  assert.notEqual(plannedSocketPath(home), plannedSocketPath(other))
  mkdirSync(home)
  const alias = path.join(scratch, 'alias')
  symlinkSync(home, alias)
  assert.equal(plannedSocketPath(alias), plannedSocketPath(home))
})

test('the name does not change when the home is made', () => {
  const home = homeOfLength(141)
  const before = plannedSocketPath(home)
  mkdirSync(home)
  assert.equal(plannedSocketPath(home), before)
})

test('a configured path wins; too long a one is refused, not replaced', () => {
  const home = path.join(scratch, 'a')
  assert.equal(plannedSocketPath(home, { configured: '/run/x.sock' }), '/run/x.sock')
  assert.equal(plannedSocketPath(home, { configured: 'own.sock' }), path.join(home, 'own.sock'))
  assert.equal(plannedSocketPath(home, { configured: null }), path.join(home, 'run', 'rpc.sock'))
  const tooLong = `/${'x'.repeat(LIMITS.socketPathBytesMax)}`
  assert.throws(
    () => plannedSocketPath(home, { configured: tooLong }),
    (error) => error instanceof ChrysalisError && error.code === 'config' && /rpc\.socket/.test(error.message)
  )
})

test('on Windows it is a named pipe', () => {
  assert.match(plannedSocketPath('/some/home', { platform: 'win32' }), /^\\\\\.\\pipe\\chrysalis-[0-9a-f]{16}$/)
})

test('the directory of the socket is made 0700 whatever the umask', { skip: noModes }, () => {
  const directory = path.join(scratch, 'made')
  const before = process.umask(0)
  try {
    prepareSocketDirectory(path.join(directory, 'rpc.sock'))
  } finally {
    process.umask(before)
  }
  assert.equal(statSync(directory).mode & 0o777, 0o700)
  prepareSocketDirectory(path.join(directory, 'rpc.sock'))
})

test('a directory that is open to others, or a link, is refused and left as it is', { skip: noModes }, () => {
  const directory = path.join(scratch, 'wide')
  mkdirSync(directory)
  chmodSync(directory, 0o777)
  assert.throws(() => prepareSocketDirectory(path.join(directory, 'rpc.sock')), isPermissions)
  assert.equal(statSync(directory).mode & 0o777, 0o777)
  const real = path.join(scratch, 'real')
  mkdirSync(real, { mode: 0o700 })
  symlinkSync(real, path.join(scratch, 'link'))
  assert.throws(() => prepareSocketDirectory(path.join(scratch, 'link', 'rpc.sock')), isPermissions)
  writeFileSync(path.join(scratch, 'file'), '')
  assert.throws(() => prepareSocketDirectory(path.join(scratch, 'file', 'rpc.sock')), isPermissions)
})

test('a directory of somebody else is refused', { skip: noModes || notRoot }, () => {
  const directory = path.join(scratch, 'theirs')
  mkdirSync(directory, { mode: 0o700 })
  chownSync(directory, 65534, 65534)
  assert.throws(() => prepareSocketDirectory(path.join(directory, 'rpc.sock')), isPermissions)
})

test('the run file comes back, belongs to one process and leads to its socket', async () => {
  const home = path.join(scratch, 'run-home')
  mkdirSync(home, { mode: 0o700 })
  const socket = path.join(home, 'elsewhere.sock')
  const run = { pid: process.pid, version: '1.2.3', socket, startedAtMs: 5 }
  assert.equal(readRunFile(home), undefined)
  await writeRunFile(home, run)
  assert.deepEqual(readRunFile(home), run)
  if (noModes === false) assert.equal(statSync(runFilePath(home)).mode & 0o777, 0o600)

  assert.equal(socketPath(home), plannedSocketPath(home), 'no socket is there: the run file is stale')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  assert.equal(socketPath(home), socket)
  await new Promise((resolve) => server.close(resolve))

  removeRunFile(home, process.pid + 1)
  assert.deepEqual(readRunFile(home), run, 'the file of another process stays')
  removeRunFile(home, process.pid)
  assert.equal(readRunFile(home), undefined)
  removeRunFile(home, process.pid)
})

test('the door for models lies beside the other, wherever that is', () => {
  const home = path.join(scratch, 'a')
  assert.equal(plannedSocketPath(home, { door: 'mcp' }), path.join(home, 'run', 'mcp.sock'))
  const long = homeOfLength(LIMITS.socketPathBytesMax)
  const rpc = plannedSocketPath(long, { temporary: scratch })
  const mcp = plannedSocketPath(long, { temporary: scratch, door: 'mcp' })
  assert.equal(mcp, rpc.replace(/\.sock$/, '-mcp.sock'))
  assert.notEqual(
    plannedSocketPath(home, { platform: 'win32', door: 'mcp' }),
    plannedSocketPath(home, { platform: 'win32' })
  )
})

test('the run file leads to the door for models where there is one', async () => {
  const home = mkdtempSync(path.join(scratch, 'run-'))
  const run = { pid: process.pid, version: '1', socket: '/s', startedAtMs: 1 }
  await writeRunFile(home, run)
  assert.deepEqual(readRunFile(home), run)
  const mcpSocket = path.join(home, 'elsewhere.sock')
  await writeRunFile(home, { ...run, mcpSocket })
  assert.deepEqual(readRunFile(home), { ...run, mcpSocket })
  assert.equal(socketPath(home, { door: 'mcp' }), path.join(home, 'run', 'mcp.sock'), 'nothing is there')
  const server = createServer().listen(mcpSocket)
  await new Promise((resolve) => server.once('listening', resolve))
  assert.equal(socketPath(home, { door: 'mcp' }), mcpSocket)
  server.close()
})

test('a run file that cannot be understood is none', () => {
  const home = path.join(scratch, 'odd-home')
  mkdirSync(path.join(home, 'run'), { recursive: true })
  for (const text of [
    '',
    'null',
    '[]',
    '{"pid":1}',
    '{"pid":-1,"version":"1","socket":"/x","startedAtMs":1}',
    '{"pid":"1"}'
  ]) {
    writeFileSync(runFilePath(home), text)
    assert.equal(readRunFile(home), undefined, text)
  }
  assert.equal(readFileSync(runFilePath(home), 'utf8'), '{"pid":"1"}')
})

test('a process is told from none', () => {
  assert.equal(processExists(process.pid), true)
  assert.equal(processExists(2 ** 22 + 1), false)
})
