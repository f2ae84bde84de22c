/** LevelDB's lock, asked and held without opening the database. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { openLevelStore } from '../../../../src/adapters/level/level-store.ts'
import { probeLock, withLock } from '../../../../src/adapters/level/lock.ts'
import { isChrysalisError } from '../../../../src/base/errors.ts'

const isLocked = (error: unknown): boolean => isChrysalisError(error, 'home_locked')

async function database(context: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'chrysalis-lock-'))
  context.after(() => rm(home, { recursive: true, force: true }))
  const data = join(home, 'data')
  await (await openLevelStore(data)).close()
  return data
}

/** Tries to open the database in another process: `opened` or the code of the error. */
async function elsewhere(data: string): Promise<string> {
  const store = new URL('../../../../src/adapters/level/level-store.ts', import.meta.url).href
  const script = `import(${JSON.stringify(store)}).then((m) => m.openLevelStore(${JSON.stringify(data)}, { mustExist: true }))
    .then((s) => s.close()).then(() => console.log('opened'), (e) => console.log(e.code))`
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), '-e', script])
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await new Promise((resolve) => child.once('exit', resolve))
  return output.trim()
}

test('a free database is free after it was asked, and a taken one is taken', async (context) => {
  const data = await database(context)
  await probeLock(data)
  await probeLock(data)
  const holder = await openLevelStore(data)
  await assert.rejects(probeLock(data), isLocked)
  await assert.rejects(
    withLock(data, () => Promise.resolve()),
    isLocked
  )
  await holder.close()
  await probeLock(data)
})

test('while the lock is held nobody else can open the database, and afterwards anybody', async (context) => {
  const data = await database(context)
  assert.equal(await withLock(data, () => elsewhere(data)), 'home_locked')
  assert.equal(await elsewhere(data), 'opened')
  assert.deepEqual(
    (await readdir(dirname(data))).filter((name) => name !== 'data'),
    [],
    'nothing is left behind'
  )
})

test('an error of the act comes through, and a directory without LOCK can be locked', async (context) => {
  const data = await database(context)
  await assert.rejects(
    withLock(data, () => Promise.reject(new Error('of the act'))),
    /of the act/
  )
  const bare = join(dirname(data), 'bare')
  await mkdir(bare)
  await probeLock(bare)
  assert.equal(await withLock(bare, () => Promise.resolve(7)), 7)
})
