/** The log: one safe line an entry, bounded, and never the reason for a crash. */
import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test, type TestContext } from 'node:test'
import { LIMITS } from '../../../../src/base/limits.ts'
import { logLine } from '../../../../src/adapters/system/log-line.ts'
import { createLogger } from '../../../../src/adapters/system/logger.ts'
import { ChrysalisError, isChrysalisError } from '../../../../src/base/errors.ts'

const clock = { nowMs: () => 1_700_000_000_000, monotonicMs: () => 0 }
const TIME = '2023-11-14T22:13:20.000Z'

/** A stream that takes nothing until released, as a pipe nobody reads. */
function stuckStream(): { stream: Writable; taken: () => string; release: () => void } {
  let text = ''
  let free = false
  const waiting: (() => void)[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const take = (): void => {
        text += chunk.toString()
        done()
      }
      if (free) take()
      else waiting.push(take)
    }
  })
  const release = (): void => {
    free = true
    for (const take of waiting.splice(0)) take()
  }
  return { stream, taken: () => text, release }
}

async function temporaryDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'chrysalis-log-'))
  context.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

test('a line for machines is one JSON object, a line for people is one line of text', () => {
  const entry = { atMs: clock.nowMs(), level: 'warn', message: 'peer gone', data: { peer: 'abc', after: 3 } } as const
  const json = logLine(entry, 'json')
  assert.equal(json, `{"time":"${TIME}","level":"warn","message":"peer gone","data":{"peer":"abc","after":3}}\n`)
  assert.equal(logLine(entry, 'text'), `${TIME} warn  peer gone peer="abc" after=3\n`)
  assert.equal(logLine({ ...entry, data: undefined }, 'text'), `${TIME} warn  peer gone\n`)
})

test('nothing that is logged breaks the line or speaks to a terminal', () => {
  const nasty = 'a\nb\r\u001b[2Jc\u007f\u009bd\u2028e\u202ef'
  for (const format of ['json', 'text'] as const) {
    const line = logLine({ atMs: 0, level: 'info', message: nasty, data: { [nasty]: nasty, deep: [nasty] } }, format)
    assert.match(line, /^[\u0020-\u007e]+\n$/)
  }
  const parsed: unknown = JSON.parse(logLine({ atMs: 0, level: 'info', message: nasty, data: { x: nasty } }, 'json'))
  assert.deepEqual(parsed, { time: '1970-01-01T00:00:00.000Z', level: 'info', message: nasty, data: { x: nasty } })
})

test('values that JSON cannot say are said in words', () => {
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  const failure = new ChrysalisError('disk_full', 'no room')
  const data = { big: 2n ** 70n, bytes: new Uint8Array([1, 255]), buffer: Buffer.from([2]), failure, set: new Set([1]) }
  const line = logLine({ atMs: Number.NaN, level: 'error', message: 'm', data }, 'json')
  assert.deepEqual(JSON.parse(line), {
    time: 'NaN',
    level: 'error',
    message: 'm',
    data: {
      big: '1180591620717411303424',
      bytes: '01ff',
      buffer: '02',
      failure: { name: 'ChrysalisError', message: 'no room', code: 'disk_full' },
      set: [1]
    }
  })
  for (const value of [circular, { toJSON: () => assert.fail('thrown inside') }]) {
    assert.match(logLine({ atMs: 0, level: 'info', message: 'm', data: { value } }, 'text'), /not serialisable/)
  }
})

test('a line is bounded at the limit: longer data is replaced by its size', () => {
  const entry = (length: number) => ({ atMs: 0, level: 'info', message: 'm', data: { x: 'y'.repeat(length) } }) as const
  const empty = Buffer.byteLength(logLine(entry(0), 'json'))
  const max = 500
  for (const [length, fits] of [
    [max - empty - 1, true],
    [max - empty, true],
    [max - empty + 1, false]
  ] as const) {
    const line = logLine(entry(length), 'json', max)
    assert.ok(Buffer.byteLength(line) <= max)
    assert.equal(line.includes('omittedBytes'), !fits)
  }
  const long = logLine({ atMs: 0, level: 'info', message: '\u0001'.repeat(10_000) }, 'text', max)
  assert.ok(Buffer.byteLength(long) <= max)
})

test('entries below the level are not written', async () => {
  const { stream, taken, release } = stuckStream()
  release()
  const logger = createLogger({ target: { stream }, level: 'warn', format: 'text', clock })
  for (const level of ['debug', 'info', 'warn', 'error'] as const) logger.log(level, level)
  await logger.close()
  assert.equal(taken(), `${TIME} warn  warn\n${TIME} error error\n`)
  assert.equal(logger.dropped, 0)
})

test('a stuck target costs a bounded buffer; what was lost is said as soon as there is room', async () => {
  const { stream, taken, release } = stuckStream()
  const logger = createLogger({ target: { stream }, clock, bufferBytesMax: 1_000 })
  for (let i = 0; i < 100; i++) logger.log('info', `entry ${i}`)
  assert.ok(stream.writableLength <= 1_000 && stream.writableLength > 800)
  assert.ok(logger.dropped > 80)
  release()
  await new Promise(setImmediate)
  logger.log('info', 'after')
  await logger.close()
  const lines = taken()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  const said = lines.at(-2)
  assert.deepEqual([said?.['level'], said?.['data']], ['warn', { count: logger.dropped }])
  assert.equal(lines.at(-1)?.['message'], 'after')
  assert.equal(lines.length, 100 - logger.dropped + 2)
})

test('a target that fails or is destroyed drops entries and throws nothing', async () => {
  const failing = new Writable({
    write(_chunk, _encoding, done) {
      done(new Error('EPIPE'))
    }
  })
  const logger = createLogger({ target: { stream: failing }, clock })
  logger.log('info', 'one')
  await new Promise(setImmediate)
  logger.log('info', 'two')
  logger.log('info', 'three')
  assert.equal(logger.dropped, 2)
  await logger.close()
  logger.log('info', 'after the end')
  assert.equal(logger.dropped, 3)

  const { stream } = stuckStream()
  const orphan = createLogger({ target: { stream }, clock })
  stream.destroy()
  orphan.log('info', 'nobody takes it')
  assert.equal(orphan.dropped, 1)
  await orphan.close()
})

test('a file is private, appended to, and whole after close', async (context) => {
  const path = join(await temporaryDirectory(context), 'daemon.log')
  await writeFile(path, 'before\n')
  await chmod(path, 0o644)
  const logger = createLogger({ target: { file: path }, format: 'text', clock })
  for (let i = 0; i < 200; i++) logger.log('info', `entry ${i}`)
  await logger.close()
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  assert.equal(lines.length, 201)
  assert.equal(lines[0], 'before')
  assert.equal(lines[200], `${TIME} info  entry 199`)
  if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o777, 0o600)
})

test('a file that cannot be opened is a clear error at the start', async (context) => {
  const path = join(await temporaryDirectory(context), 'absent', 'daemon.log')
  assert.throws(
    () => createLogger({ target: { file: path } }),
    (error: unknown) => {
      assert.ok(isChrysalisError(error, 'permissions'))
      assert.ok(error.message.includes(path))
      return true
    }
  )
})

test(
  'a full disk silences a log file only until there is room again',
  { skip: process.platform !== 'linux' },
  async () => {
    let nowMs = 0
    const logger = createLogger({ target: { file: '/dev/full' }, clock: { ...clock, monotonicMs: () => nowMs } })
    logger.log('info', 'one')
    // The failure arrives with the answer of the system, some turns later.
    while (logger.dropped === 0) {
      await new Promise(setImmediate)
      logger.log('info', 'two')
    }
    logger.log('info', 'three')
    const dropped = logger.dropped
    nowMs += 5_000
    logger.log('info', 'tried again')
    assert.equal(logger.dropped, dropped, 'the file was opened again and took the entry')
    await logger.close()
  }
)

test('a line has at most the bound in bytes; one more and its data is replaced by its size', () => {
  const lineOf = (letters: number): string =>
    logLine({ atMs: 0, level: 'info', message: 'm', data: { text: 'x'.repeat(letters) } }, 'json')
  const room = LIMITS.logLineBytesMax - Buffer.byteLength(lineOf(0))
  assert.equal(Buffer.byteLength(lineOf(room - 1)), LIMITS.logLineBytesMax - 1)
  assert.equal(Buffer.byteLength(lineOf(room)), LIMITS.logLineBytesMax)
  assert.match(lineOf(room + 1), /"omittedBytes":/)
})
