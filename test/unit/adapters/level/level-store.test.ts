/** What is special about the store on LevelDB: durability, failure, locks, directories, and damage on the disk. */
import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { Level } from 'level'
import { physicalKey } from '../../../../src/adapters/level/keyspace.ts'
import { levelError } from '../../../../src/adapters/level/level-errors.ts'
import { createLevelStore, openLevelStore, type LevelDatabase } from '../../../../src/adapters/level/level-store.ts'
import { utf8 } from '../../../../src/base/bytes.ts'
import { isChrysalisError, type ErrorCode } from '../../../../src/base/errors.ts'
import { LIMITS } from '../../../../src/base/limits.ts'
import type { StoreWrite } from '../../../../src/ports/store.ts'
import { createMemoryDatabase } from '../../../support/memory-store.ts'

const VIEWS = { keyEncoding: 'view', valueEncoding: 'view' } as const
const durable = { durable: true }

function row(name: string, value = name): StoreWrite {
  return { table: 'meta', key: utf8(name), value: utf8(value) }
}

function withCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => isChrysalisError(error, code)
}

async function temporaryDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'chrysalis-level-'))
  context.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** An in-memory database with the given methods in front. */
function databaseWith(overrides: Partial<LevelDatabase>, inner = createMemoryDatabase()): LevelDatabase {
  return {
    get status() {
      return inner.status
    },
    open: (options) => inner.open(options),
    close: () => inner.close(),
    get: (key, options) => inner.get(key, options),
    getSync: (key, options) => inner.getSync(key, options),
    getMany: (keys, options) => inner.getMany(keys, options),
    iterator: (options) => inner.iterator(options),
    batch: (operations, options) => inner.batch(operations, options),
    ...overrides
  }
}

test('a few rows are read on the spot, many in the background, and a slow disk is left alone', async () => {
  const inner = createMemoryDatabase()
  const asked: string[] = []
  let slow = false
  const database = databaseWith(
    {
      getSync: (key, options) => {
        asked.push('one')
        const endsMs = performance.now() + 3
        while (slow && performance.now() < endsMs);
        return inner.getSync(key, options)
      },
      getMany: (keys, options) => {
        asked.push(`${keys.length} at once`)
        return inner.getMany(keys, options)
      }
    },
    inner
  )
  const store = createLevelStore(database, { name: 'spy' })
  const names = Array.from({ length: 33 }, (_, i) => `row${i}`)
  await store.batch(
    names.map((name) => row(name)),
    durable
  )
  const read = async (count: number): Promise<string[]> => {
    asked.length = 0
    const wanted = names.slice(0, count)
    const values = await store.getMany('meta', [...wanted, 'absent'].map(utf8))
    assert.deepEqual(values, [...wanted.map(utf8), undefined])
    return asked
  }
  assert.deepEqual(await read(2), ['one', 'one', 'one'])
  assert.deepEqual(
    await read(31),
    Array.from({ length: 32 }, () => 'one')
  )
  assert.deepEqual(await read(32), ['33 at once'])
  slow = true
  assert.deepEqual(await read(4), ['one', '4 at once'])
})

test('a scan reads ahead as far as the bound allows', async () => {
  const inner = createMemoryDatabase()
  const seen: number[] = []
  const database = databaseWith({
    iterator: (options) => {
      seen.push(options.highWaterMarkBytes)
      return inner.iterator(options)
    }
  })
  await createLevelStore(database, { name: 'spy' }).scan('meta', { limit: 3 })
  assert.deepEqual(seen, [LIMITS.storeReadAheadBytesMax])
})

test('the durable flag reaches the database as `sync`, and one batch stays one batch', async () => {
  const calls: { rows: number; sync: boolean }[] = []
  const database = databaseWith({
    batch: (operations, options) => {
      calls.push({ rows: operations.length, sync: options.sync })
      return Promise.resolve()
    }
  })
  const store = createLevelStore(database, { name: 'spy' })
  await store.batch([row('a'), row('b')], { durable: true })
  await store.batch([row('c')], { durable: false })
  assert.deepEqual(calls, [
    { rows: 2, sync: true },
    { rows: 1, sync: false }
  ])
})

test('after a failed write every later write fails, reads go on, and reopen heals', async () => {
  let failing = false
  let batches = 0
  const inner = createMemoryDatabase()
  const database = databaseWith({
    open: (options) => inner.open(options),
    close: () => inner.close(),
    get: (key, options) => inner.get(key, options),
    getSync: (key, options) => inner.getSync(key, options),
    batch: async (operations, options) => {
      batches++
      if (failing)
        throw Object.assign(new Error('IO error: 000005.log: No space left on device'), { code: 'LEVEL_IO_ERROR' })
      await inner.batch(operations, options)
    }
  })
  const store = createLevelStore(database, { name: 'sticky' })
  await store.batch([row('a')], durable)
  failing = true
  await assert.rejects(store.batch([row('b')], durable), withCode('disk_full'))
  failing = false
  await assert.rejects(store.batch([row('c')], durable), (error: unknown) => {
    assert.ok(isChrysalisError(error, 'disk_full'))
    assert.match(error.message, /not written, because an earlier write failed/)
    return true
  })
  assert.equal(batches, 2, 'the database is not even asked')
  assert.deepEqual(await store.get('meta', utf8('a')), utf8('a'))
  assert.equal(await store.get('meta', utf8('b')), undefined)
  await store.reopen()
  await store.batch([row('d')], durable)
  assert.deepEqual(await store.get('meta', utf8('d')), utf8('d'))
})

test('a reopen that fails leaves a store that says why, and may be tried again', async () => {
  let broken = false
  const inner = createMemoryDatabase()
  const database = databaseWith({
    open: (options) => {
      assert.equal(options.createIfMissing, false)
      return broken ? Promise.reject(new Error('IO error: No space left on device')) : inner.open(options)
    },
    close: () => inner.close(),
    get: (key, options) => inner.get(key, options),
    getSync: (key, options) => inner.getSync(key, options),
    batch: (operations, options) => inner.batch(operations, options)
  })
  const store = createLevelStore(database, { name: 'half' })
  await store.batch([row('a')], durable)
  broken = true
  await assert.rejects(store.reopen(), withCode('disk_full'))
  await assert.rejects(store.get('meta', utf8('a')), withCode('disk_full'))
  await assert.rejects(store.batch([row('b')], durable), withCode('disk_full'))
  broken = false
  await store.reopen()
  assert.deepEqual(await store.get('meta', utf8('a')), utf8('a'))
  await store.batch([row('b')], durable)
})

test('a reopen that is advised against touches nothing', async () => {
  let closes = 0
  const database = databaseWith({
    close: () => {
      closes++
      return Promise.resolve()
    }
  })
  const refusal = levelError(new Error('No space left on device'), 'asking')
  const store = createLevelStore(database, { name: 'advised', beforeReopen: () => Promise.reject(refusal) })
  await store.batch([row('a')], durable)
  await assert.rejects(store.reopen(), withCode('disk_full'))
  assert.equal(closes, 0)
  assert.deepEqual(await store.get('meta', utf8('a')), utf8('a'))
})

test('what LevelDB says becomes the right code, however deep it says it', () => {
  const coded = (code: string, message: string): Error => Object.assign(new Error(message), { code })
  const wrapped = (cause: Error): Error =>
    Object.assign(new Error('Database failed to open', { cause }), { code: 'LEVEL_DATABASE_NOT_OPEN' })
  const cases: [Error, ErrorCode][] = [
    [wrapped(coded('LEVEL_LOCKED', 'IO error: lock /x/LOCK: already held by process')), 'home_locked'],
    [coded('LEVEL_IO_ERROR', 'IO error: /x/000007.ldb: No space left on device'), 'disk_full'],
    [coded('ENOSPC', 'ENOSPC: write'), 'disk_full'],
    [wrapped(coded('LEVEL_CORRUPTION', 'Corruption: 2 missing files')), 'corrupt'],
    [coded('LEVEL_UNKNOWN', 'Corruption: block checksum mismatch'), 'corrupt'],
    [wrapped(coded('LEVEL_IO_ERROR', 'IO error: /x/LOCK: Permission denied')), 'permissions'],
    [coded('EROFS', 'EROFS: read-only file system, mkdir'), 'permissions'],
    [coded('LEVEL_IO_ERROR', 'IO error: Input/output error'), 'unavailable'],
    [new Error('?'), 'unavailable']
  ]
  for (const [thrown, code] of cases) {
    const error = levelError(thrown, 'reading /x')
    assert.equal(error.code, code, thrown.message)
    assert.match(error.message, /^reading \/x: /)
    assert.ok(error.hint !== undefined && error.hint.endsWith('.'))
    assert.equal(levelError(error, 'again'), error)
  }
})

test('a directory opens once: a second handle gets `home_locked`, the first goes on', async (context) => {
  const directory = await temporaryDirectory(context)
  const store = await openLevelStore(directory)
  await assert.rejects(openLevelStore(directory), withCode('home_locked'))
  await store.batch([row('a')], durable)
  await store.close()
  const again = await openLevelStore(directory, { mustExist: true })
  assert.deepEqual(await again.get('meta', utf8('a')), utf8('a'))
  await again.close()
})

test(
  'the directory is 0700, new or old, whatever the umask',
  { skip: process.platform === 'win32' },
  async (context) => {
    const parent = await temporaryDirectory(context)
    const umask = process.umask(0o277)
    try {
      const created = join(parent, 'new')
      await (await openLevelStore(created)).close()
      assert.equal((await stat(created)).mode & 0o777, 0o700)
    } finally {
      process.umask(umask)
    }
    const old = join(parent, 'old')
    await mkdir(old)
    await chmod(old, 0o755)
    await (await openLevelStore(old)).close()
    assert.equal((await stat(old)).mode & 0o777, 0o700)
  }
)

/** A closed database of `rows` rows, a good part of them in tables. */
async function makeDatabase(directory: string, rows = 400): Promise<void> {
  const store = await openLevelStore(directory, { writeBufferBytes: 65_536 })
  for (let i = 0; i < rows; i++) await store.batch([row(`row-${i}`, `${i}:`.padEnd(512, 'v'))], { durable: false })
  await store.close()
}

async function listing(directory: string): Promise<Record<string, string>> {
  const names = (await readdir(directory)).sort()
  const sizes = await Promise.all(
    names.map(async (name) => [name, (await readFile(join(directory, name))).toString('hex')])
  )
  return Object.fromEntries(sizes) as Record<string, string>
}

test('a database that lost the files that name its tables is `corrupt` and left as it is', async (context) => {
  const parent = await temporaryDirectory(context)
  const damages: [string, boolean, (directory: string) => Promise<void>][] = [
    ['CURRENT is gone', true, (directory) => rm(join(directory, 'CURRENT'))],
    ['CURRENT is gone', false, (directory) => rm(join(directory, 'CURRENT'))],
    ['does not name a MANIFEST', true, (directory) => truncate(join(directory, 'CURRENT'), 0)],
    [
      'is gone',
      false,
      async (directory) => {
        const manifest = (await readdir(directory)).find((name) => name.startsWith('MANIFEST-'))
        await rm(join(directory, String(manifest)))
      }
    ]
  ]
  for (const [i, [what, mustExist, damage]] of damages.entries()) {
    const directory = join(parent, `db-${i}`)
    await makeDatabase(directory)
    await damage(directory)
    const before = await listing(directory)
    await assert.rejects(openLevelStore(directory, { mustExist }), (error: unknown) => {
      assert.ok(isChrysalisError(error, 'corrupt'))
      assert.ok(error.message.includes(what), error.message)
      assert.match(error.message, /nothing was touched/)
      assert.match(String(error.hint), /copy/)
      return true
    })
    assert.deepEqual(await listing(directory), before)
  }
})

test('with mustExist a missing or empty directory is `corrupt` and stays missing or empty', async (context) => {
  const parent = await temporaryDirectory(context)
  await assert.rejects(openLevelStore(join(parent, 'absent'), { mustExist: true }), withCode('corrupt'))
  assert.deepEqual(await readdir(parent), [])
  await assert.rejects(openLevelStore(parent, { mustExist: true }), withCode('corrupt'))
  assert.deepEqual(await readdir(parent), [])
})

test('what a crash in the first moments leaves behind is no obstacle', async (context) => {
  const directory = await temporaryDirectory(context)
  for (const name of ['LOCK', 'LOG', 'MANIFEST-000001']) await writeFile(join(directory, name), '')
  const store = await openLevelStore(directory)
  await store.batch([row('a')], durable)
  await store.close()
})

test('a wrong payload written underneath is never returned', async (context) => {
  const directory = await temporaryDirectory(context)
  await makeDatabase(directory, 3)
  const raw = new Level<Uint8Array, Uint8Array>(directory, VIEWS)
  const stored = await raw.get(physicalKey('meta', utf8('row-0')))
  assert.ok(stored !== undefined)
  // A whole row with a checksum that is right, but under another key.
  await raw.put(physicalKey('meta', utf8('row-1')), stored)
  await raw.put(physicalKey('meta', utf8('row-2')), new Uint8Array(3))
  await raw.close()
  const store = await openLevelStore(directory, { mustExist: true })
  await assert.rejects(store.get('meta', utf8('row-1')), withCode('corrupt'))
  await assert.rejects(store.get('meta', utf8('row-2')), withCode('corrupt'))
  await assert.rejects(store.scan('meta', { limit: 10 }), withCode('corrupt'))
  assert.equal((await store.get('meta', utf8('row-0')))?.length, 512)
  await store.close()
})

test('flipped bytes in tables are never returned as right', async (context) => {
  const directory = await temporaryDirectory(context)
  const rows = 400
  await makeDatabase(directory, rows)
  const tables = (await readdir(directory)).filter((name) => name.endsWith('.ldb'))
  assert.ok(tables.length > 0, 'there are tables to damage')
  for (const name of tables) {
    const content = await readFile(join(directory, name))
    // Every 97th byte of the data blocks; the index at the end stays, so that the table opens.
    for (let at = 50; at < content.length * 0.6; at += 97) content[at]! ^= 0x20
    await writeFile(join(directory, name), content)
  }
  const store = await openLevelStore(directory, { mustExist: true })
  let refused = 0
  for (let i = 0; i < rows; i++) {
    try {
      const value = await store.get('meta', utf8(`row-${i}`))
      if (value !== undefined) assert.deepEqual(value, utf8(`${i}:`.padEnd(512, 'v')))
    } catch (error) {
      assert.ok(isChrysalisError(error, 'corrupt'), String(error))
      refused++
    }
  }
  assert.ok(refused > 0, 'some damage was met')
  await store.close()
})
