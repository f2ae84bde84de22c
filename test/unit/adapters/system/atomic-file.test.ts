/** Files that are the old one or the new one, never something between. */
import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { readIfExists, syncDirectory, writeFileAtomic } from '../../../../src/adapters/system/atomic-file.ts'
import { utf8 } from '../../../../src/base/bytes.ts'

async function temporaryDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'chrysalis-file-'))
  context.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

test('writes, replaces, and leaves nothing else behind', async (context) => {
  const directory = await temporaryDirectory(context)
  const path = join(directory, 'key')
  assert.equal(await readIfExists(path), undefined)
  await writeFileAtomic(path, utf8('one'))
  assert.deepEqual(await readIfExists(path), utf8('one'))
  await writeFileAtomic(path, 'two')
  assert.deepEqual(await readIfExists(path), utf8('two'))
  await writeFileAtomic(path, new Uint8Array(0))
  assert.deepEqual(await readIfExists(path), new Uint8Array(0))
  assert.deepEqual(await readdir(directory), ['key'])
  await syncDirectory(directory)
})

test(
  'the mode is exact, whatever the umask and the old file',
  { skip: process.platform === 'win32' },
  async (context) => {
    const directory = await temporaryDirectory(context)
    const path = join(directory, 'key')
    const modeOf = async (): Promise<number> => (await stat(path)).mode & 0o777
    const umask = process.umask(0o077)
    try {
      await writeFileAtomic(path, 'public', 0o644)
      assert.equal(await modeOf(), 0o644)
      process.umask(0)
      await writeFileAtomic(path, 'secret')
      assert.equal(await modeOf(), 0o600)
      await chmod(path, 0o666)
      await writeFileAtomic(path, 'secret', 0o400)
      assert.equal(await modeOf(), 0o400)
    } finally {
      process.umask(umask)
    }
  }
)

test('a failure leaves the old file and no temporary one', async (context) => {
  const directory = await temporaryDirectory(context)
  // Renaming a file onto a directory that is not empty fails after everything else has succeeded.
  await mkdir(join(directory, 'taken'))
  await writeFile(join(directory, 'taken', 'inside'), 'old')
  await assert.rejects(writeFileAtomic(join(directory, 'taken'), 'new'))
  assert.deepEqual(await readdir(directory), ['taken'])
  assert.equal(await readFile(join(directory, 'taken', 'inside'), 'utf8'), 'old')
  await assert.rejects(writeFileAtomic(join(directory, 'absent', 'file'), 'new'), /ENOENT/)
})

test('many writers at once: one of them wins, whole', async (context) => {
  const directory = await temporaryDirectory(context)
  const path = join(directory, 'contested')
  const texts = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000))
  const reads: Promise<Uint8Array | undefined>[] = []
  await Promise.all(
    texts.map(async (text) => {
      await writeFileAtomic(path, text)
      reads.push(readIfExists(path))
    })
  )
  for (const bytes of await Promise.all(reads)) assert.ok(texts.includes(Buffer.from(bytes ?? []).toString()))
  assert.deepEqual(await readdir(directory), ['contested'])
})

test('reading what is no file is an error, not an absence', async (context) => {
  await assert.rejects(readIfExists(await temporaryDirectory(context)), /EISDIR/)
})
