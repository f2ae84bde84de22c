/** The address book on a real disk: what it keeps, what it forgets, and that a broken file is never fatal. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { SavedPeers } from '../../../../src/adapters/libp2p/saved-peers.ts'
import { LIMITS } from '../../../../src/base/limits.ts'
import type { Logger } from '../../../../src/ports/logger.ts'

describe('saved peers', () => {
  let directory = ''
  let file = ''
  let warnings: string[] = []
  const logger: Logger = {
    log(level, message) {
      if (level === 'warn') warnings.push(message)
    }
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'chrysalis-book-'))
  })
  beforeEach(async () => {
    warnings = []
    file = join(await mkdtemp(join(directory, 'case-')), 'peers.json')
  })
  after(async () => rm(directory, { recursive: true }))

  async function load(): Promise<SavedPeers> {
    const book = new SavedPeers(file, logger)
    await book.load()
    return book
  }

  it('remembers across a restart, in a private file, with nothing left over', async () => {
    const book = await load()
    book.note('a', ['/one', '/two'], 5)
    await book.save()
    assert.deepEqual((await load()).all(), [{ peer: 'a', addresses: ['/one', '/two'], seenMs: 5 }])
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(join(file, '..')), ['peers.json'])
    assert.deepEqual(warnings, [])
  })

  it('puts the newest addresses first and bounds them', async () => {
    const book = await load()
    book.note('a', ['/old'], 1)
    book.note('a', ['/new'], 2)
    assert.deepEqual(book.get('a')?.addresses, ['/new', '/old'])
    for (let i = 0; i < 50; i++) book.note('a', [`/${i}`], 3)
    assert.equal(book.get('a')?.addresses.length, LIMITS.addressesPerPeerMax)
    assert.equal(book.get('a')?.addresses[0], '/49')
    book.note('b', [], 4)
    assert.equal(book.get('b'), undefined, 'a peer without an address cannot be found again')
  })

  it('forgets whom it has not seen for longest beyond the limit', async () => {
    const book = await load()
    for (let i = 0; i < LIMITS.savedPeersMax; i++) book.note(`p${i}`, ['/x'], 1_000 + i)
    book.note('p0', ['/x'], 1_000_000)
    book.note('newcomer', ['/x'], 1)
    assert.equal(book.size, LIMITS.savedPeersMax)
    assert.ok(book.get('p0') !== undefined && book.get('newcomer') !== undefined)
    assert.equal(book.get('p1'), undefined)
  })

  const broken: [string, string | Uint8Array][] = [
    ['no JSON', '{"v":1,"peers":['],
    ['empty', ''],
    ['another version', '{"v":2,"peers":[]}'],
    ['no book', '[1,2,3]'],
    ['null', 'null'],
    ['a malformed entry', '{"v":1,"peers":[{"peer":7}]}'],
    ['bytes', new Uint8Array([0xff, 0xfe, 0, 1])]
  ]
  for (const [what, content] of broken) {
    it(`moves a broken file aside: ${what}`, async () => {
      await writeFile(file, content)
      const book = await load()
      assert.equal(book.size, 0)
      assert.equal(warnings.length, 1)
      assert.deepEqual(await readFile(`${file}.corrupt`), Buffer.from(content))
      book.note('a', ['/x'], 1)
      await book.save()
      assert.equal((await load()).size, 1)
    })
  }

  it('reports a disk that cannot be written, and tries again', async () => {
    const blocked = new SavedPeers(join(file, 'below', 'peers.json'), logger)
    await writeFile(file, 'a file where a directory should be')
    blocked.note('a', ['/x'], 1)
    await blocked.save()
    assert.equal(warnings.length, 1)
    await rm(file)
    await blocked.save()
    assert.equal(warnings.length, 1)
    assert.match(await readFile(join(file, 'below', 'peers.json'), 'utf8'), /"a"/)
  })

  it('writes only what changed and forgets on request', async () => {
    const book = await load()
    await book.save()
    await assert.rejects(stat(file))
    book.note('a', ['/x'], 1)
    book.forget('a')
    await book.save()
    assert.equal((await load()).size, 0)
  })
})
