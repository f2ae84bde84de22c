/** The shared read index across processes: one writes here, others read there, and what goes wrong between them. */
import assert from 'node:assert/strict'
import { readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { open } from 'lmdb'
import { DATA_FILE, inspectDataFile, STATE_FILE } from '../../../../src/adapters/index/folder.ts'
import { tagTerm } from '../../../../src/adapters/index/layout.ts'
import { isChrysalisError } from '../../../../src/base/errors.ts'
import { LIMITS } from '../../../../src/base/limits.ts'
import { SeededRandom } from '../../../../src/base/prng.ts'
import type { SharedEntry, SharedShelf } from '../../../../src/ports/shared-index.ts'
import {
  entryOf,
  idOf,
  memoryOf,
  queryOf,
  ReaderError,
  ReaderProcess,
  Shelves,
  shortText,
  SOURCE,
  SPACE
} from '../../../support/shared-index.ts'

async function withShelves(run: (shelves: Shelves, readers: () => ReaderProcess) => Promise<void>): Promise<void> {
  const shelves = new Shelves()
  const started: ReaderProcess[] = []
  try {
    await run(shelves, () => {
      const reader = new ReaderProcess(shelves.directory)
      started.push(reader)
      return reader
    })
  } finally {
    for (const reader of started) await reader.kill()
    await shelves.remove()
  }
}

function puts(...entries: SharedEntry[]): Parameters<SharedShelf['write']>[0] {
  return { puts: entries, removes: [], marks: [] }
}

const texts = (from: number, count: number, random: SeededRandom): SharedEntry[] =>
  Array.from({ length: count }, (_, i) => entryOf(memoryOf(from + i, shortText(random, 20)), { stamp: from + i }))

const found = (answer: { hits: readonly { memory: { id: string } }[] }): string[] =>
  answer.hits.map(({ memory }) => memory.id)

test('every filter lets through what it names and nothing else', () =>
  withShelves(async (shelves, reader) => {
    const shelf = await shelves.open()
    await shelf.write(
      puts(
        entryOf(memoryOf(1, 'kbd one', { tags: ['a', 'b'], peer: 'ann' }), { kind: 1 }),
        entryOf(memoryOf(2, 'kbd two', { tags: ['b'], peer: 'bob', pinned: true }), { kind: 2 }),
        entryOf(memoryOf(3, 'kbd three', { expiresAt: 4_000 }), { tier: 1 }),
        entryOf(memoryOf(4, 'kbd four', { validFrom: 6_000 })),
        entryOf(memoryOf(5, 'kbd five', { expiresAt: 9_000 }), { superseded: true })
      )
    )
    const one = reader()
    const ids = async (more: object): Promise<string[]> => found(await one.search('kbd', more)).sort()
    const named = (...numbers: number[]): string[] => numbers.map(idOf).sort()
    assert.deepEqual(await ids({}), named(1, 2), 'expired, not yet valid and superseded ones are left out')
    assert.deepEqual(await ids({ nowMs: 3_000 }), named(1, 2, 3), 'at another time another one is valid')
    assert.deepEqual(await ids({ nowMs: 6_000 }), named(1, 2, 4))
    assert.deepEqual(await ids({ nowMs: 3_000, tierWeights: [0, 0, 1, 1, 1, 1] }), named(1, 2), 'trust')
    assert.deepEqual(await ids({ kinds: [2] }), named(2))
    assert.deepEqual(await ids({ authors: ['ann'] }), named(1))
    assert.deepEqual(await ids({ sinceMs: 1_002 }), named(2))
    assert.deepEqual(await ids({ pinnedOnly: true }), named(2))
    assert.deepEqual(await ids({ tagsAll: ['a', 'b'].map(tagTerm) }), named(1))
    assert.deepEqual(await ids({ tagsAny: ['a', 'b'].map(tagTerm) }), named(1, 2))
    assert.deepEqual(await ids({ tagsAll: ['b', 'nobody'].map(tagTerm) }), [])
    assert.deepEqual(await ids({ tagsAny: [] }), [], 'in none of these is not in any')
    assert.deepEqual(await ids({}), named(1, 2), 'and no filter leaves anything behind')
    const [first] = (await one.search('kbd one', { jaccard: true })).hits
    assert.equal(first?.memory.id, idOf(2), 'what is pinned comes first by jaccard')
  }))

test('when the best have expired the next ones take their places', () =>
  withShelves(async (shelves, reader) => {
    const shelf = await shelves.open()
    const expired = Array.from({ length: 40 }, (_, n) => entryOf(memoryOf(n, 'kbd', { expiresAt: 1 })))
    await shelf.write(puts(...expired, entryOf(memoryOf(50, 'kbd and more words behind it'))))
    const answer = await reader().search('kbd', { limit: 3 })
    assert.deepEqual(found(answer), [idOf(50)])
    assert.equal(answer.matches, 1)
  }))

test('a write is seen by another process as soon as it is done, and an index nobody wrote to is empty', () =>
  withShelves(async (shelves, reader) => {
    const shelf = await shelves.open()
    const one = reader()
    assert.deepEqual(await one.ask('open'), { generation: 0, indexed: 0, complete: false })
    assert.deepEqual(found(await one.search('kbd')), [])
    for (let n = 1; n <= 50; n++) {
      assert.equal(await shelf.write(puts(entryOf(memoryOf(n, `kbd ${'x'.repeat(n)}`)))), n)
      const answer = await one.search('x'.repeat(n))
      assert.deepEqual(found(answer), [idOf(n)])
      assert.equal(answer.figures.generation, n)
    }
    await shelf.write({ puts: [], removes: [], marks: [], complete: true })
    assert.deepEqual(await one.figures(), { generation: 51, indexed: 50, complete: true })
    assert.equal(await shelf.write(puts()), 51, 'nothing to write is no write')
  }))

test('what was removed or replaced is found no more, and its bytes leave the file with the next start', () =>
  withShelves(async (shelves, reader) => {
    const secret = 'swordfishpassphrase'
    const bytes = (): string => readFileSync(path.join(shelves.directory, DATA_FILE), 'latin1')
    let shelf = await shelves.open()
    await shelf.write(puts(entryOf(memoryOf(1, `the ${secret} of old`)), entryOf(memoryOf(2, 'kbd'))))
    const one = reader()
    assert.equal((await one.search(secret)).hits.length, 1)
    await shelf.write({ puts: [], removes: [idOf(1)], marks: [] })
    assert.equal((await one.search(secret)).hits.length, 0)
    assert.equal(await one.ask('get', idOf(1)), null)
    assert.ok(bytes().includes(secret), 'freed pages keep their bytes for a while')
    await shelf.close()
    shelf = await shelves.open()
    assert.ok(!bytes().includes(secret), 'and lose them when the index is opened again')
    assert.deepEqual(shelves.rebuilt, [], 'which is no new index')
    assert.deepEqual(found(await one.search('kbd')), [idOf(2)], 'the reader follows to the new file')
    assert.equal(shelf.size, 1)
  }))

test('after a restart only what differs is asked for, and nothing holds under another source', () =>
  withShelves(async (shelves) => {
    const random = new SeededRandom('restart')
    let shelf = await shelves.open()
    const entries = texts(0, 30, random)
    await shelf.write({ ...puts(...entries), complete: true })
    await shelf.close()
    shelf = await shelves.open()
    const states = entries.map((entry) => (entry.id === idOf(7) ? { ...entry, stamp: 999 } : entry))
    assert.deepEqual(shelf.differing(states), [idOf(7)])
    assert.equal(shelf.complete, true)
    await shelf.close()
    shelf = await shelves.open('another store')
    assert.equal(shelf.differing(entries).length, 30)
    await shelf.write({ ...puts(...entries), complete: true })
    assert.deepEqual(shelf.differing(entries), [], 'until all were compared')
    assert.deepEqual(
      [...shelf.ids(undefined, 10), ...shelf.ids(shelf.ids(undefined, 10).at(-1), 100)],
      entries.map(({ id }) => id).sort()
    )
  }))

test('a reader goes on when the writer is gone, and follows when the index is made anew', () =>
  withShelves(async (shelves, reader) => {
    let shelf = await shelves.open()
    await shelf.write(puts(entryOf(memoryOf(1, 'kbd'))))
    const one = reader()
    assert.deepEqual(found(await one.search('kbd')), [idOf(1)])
    await shelf.close()
    assert.deepEqual(found(await one.search('kbd')), [idOf(1)], 'nobody writes any more')
    rmSync(shelves.directory, { recursive: true })
    await assert.rejects(one.search('kbd'), { code: 'not_found', hint: /daemon/ })
    shelf = await shelves.open()
    await shelf.write(puts(entryOf(memoryOf(2, 'kbd'))))
    assert.deepEqual(found(await one.search('kbd')), [idOf(2)])
  }))

test('the writer notices that its file was deleted, replaced or cut short, before it touches it', () =>
  withShelves(async (shelves) => {
    const file = path.join(shelves.directory, DATA_FILE)
    const harms: (() => void)[] = [
      () => rmSync(file),
      () => renameSync(file, `${file}.gone`),
      () => truncateSync(file, 8_192),
      () => rmSync(shelves.directory, { recursive: true })
    ]
    for (const harm of harms) {
      const shelf = await shelves.open()
      await shelf.write(puts(...texts(0, 50, new SeededRandom('harm'))))
      assert.equal(shelf.isIntact(), true)
      harm()
      assert.equal(shelf.isIntact(), false)
      await assert.rejects(shelf.write(puts(entryOf(memoryOf(1, 'kbd')))), (error) =>
        isChrysalisError(error, 'corrupt')
      )
      await shelf.close()
    }
    const shelf = await shelves.open()
    assert.equal(shelf.size, 0, 'and another one begins empty')
  }))

test('an index that is cut, of another version, foreign or from before a crash is refused by readers and made anew', () =>
  withShelves(async (shelves, reader) => {
    const file = path.join(shelves.directory, DATA_FILE)
    const state = path.join(shelves.directory, STATE_FILE)
    const edit = (change: object): void => {
      writeFileSync(state, JSON.stringify({ ...(JSON.parse(readFileSync(state, 'utf8')) as object), ...change }))
    }
    const harms: [string, () => void][] = [
      ['corrupt', () => truncateSync(file, statSync(file).size - 4_096)],
      ['corrupt', () => truncateSync(file, 100)],
      ['corrupt', () => truncateSync(file, 0)],
      ['corrupt', () => writeFileSync(file, 'not a database at all'.repeat(2_000))],
      ['corrupt', () => rmSync(file)],
      ['corrupt', () => writeFileSync(state, '{"format":')],
      ['corrupt', () => edit({ clean: false, boot: 'another start of the machine' })],
      ['unsupported_version', () => edit({ format: 999 })],
      ['unsupported_version', () => edit({ terms: 'cut otherwise' })],
      ['not_found', () => rmSync(state)]
    ]
    for (const [code, harm] of harms) {
      shelves.rebuilt.length = 0
      const shelf = await shelves.open()
      await shelf.write(puts(...texts(0, 80, new SeededRandom('harm'))))
      const inspected = inspectDataFile(file)
      assert.ok(inspected !== undefined && inspected.bytes >= inspected.bytesNeeded, 'a sound file is found sound')
      await shelf.close()
      harm()
      await assert.rejects(reader().ask('open'), (error) => {
        assert.ok(error instanceof ReaderError && error.code === code, `${code}: ${String(error)}`)
        return (error.hint ?? '').length > 20
      })
      const again = await shelves.open()
      assert.equal(again.size, 0, code)
      if (code !== 'not_found') assert.notDeepEqual(shelves.rebuilt, [], 'the reason is told')
      await again.close()
    }
  }))

test('a file that is cut under an open reader is refused by the next search, not mapped', () =>
  withShelves(async (shelves, reader) => {
    const shelf = await shelves.open()
    await shelf.write(puts(...texts(0, 400, new SeededRandom('cut'))))
    await shelf.close()
    const one = reader()
    assert.ok((await one.search(shortText(new SeededRandom('q'), 3))).matches > 0)
    truncateSync(path.join(shelves.directory, DATA_FILE), 16_384)
    await assert.rejects(one.search('kbd'), { code: 'corrupt', hint: /daemon/ })
    await assert.rejects(one.search('kbd'), { code: 'corrupt' }, 'and again')
    const next = await shelves.open()
    await next.write(puts(entryOf(memoryOf(1, 'kbd'))))
    assert.deepEqual(found(await one.search('kbd')), [idOf(1)])
  }))

test('readers killed in mid-search, twenty of them, block no place and no page', () =>
  withShelves(async (shelves, reader) => {
    const random = new SeededRandom('killed')
    const shelf = await shelves.open()
    await shelf.write(puts(...texts(0, 300, random)))
    const query = shortText(random, 4)
    for (let round = 0; round < 10; round++) {
      const both = [reader(), reader()]
      for (const one of both) {
        await one.search(query)
        assert.equal(await one.ask('forever', queryOf(query)), 'searching')
      }
      await shelf.write(puts(...texts(1_000 + round, 1, random)))
      for (const one of both) await one.kill()
    }
    const file = path.join(shelves.directory, DATA_FILE)
    // Every row is replaced many times: without free pages the file would grow with each.
    for (let n = 0; n < 30; n++) await shelf.write(puts(...texts(0, 300, random)))
    const grown = statSync(file).size
    for (let n = 0; n < 60; n++) await shelf.write(puts(...texts(0, 300, random)))
    assert.ok(statSync(file).size <= 1.3 * grown, `${grown} bytes became ${statSync(file).size}`)
    assert.ok((await reader().search(query)).matches > 0)
  }))

test('the bounds of the table are those of the database', () =>
  withShelves(async (shelves) => {
    const shelf = await shelves.open()
    await shelf.write(puts(entryOf(memoryOf(1, 'kbd'))))
    await shelf.close()
    const db = open({
      path: shelves.directory,
      noSubdir: false,
      noSync: true,
      maxReaders: LIMITS.sharedReadersMax,
      mapSize: LIMITS.sharedIndexBytesMax
    })
    const stats = db.getStats() as { maxReaders: number; mapSize: number }
    assert.equal(stats.maxReaders, LIMITS.sharedReadersMax)
    assert.equal(stats.mapSize, LIMITS.sharedIndexBytesMax)
    await db.close()
    const reserved = new DataView(readFileSync(path.join(shelves.directory, DATA_FILE)).buffer).getBigUint64(40, true)
    assert.ok(reserved <= BigInt(LIMITS.sharedIndexBytesMax))
  }))

test('two readers of one process share a map, and one that closes leaves it to the other', () =>
  withShelves(async (shelves, reader) => {
    const shelf = await shelves.open()
    await shelf.write(puts(entryOf(memoryOf(1, 'kbd'))))
    const one = reader()
    assert.equal(await one.ask('twice', queryOf('kbd')), 1)
    assert.deepEqual(found(await one.search('kbd')), [idOf(1)])
  }))

test('indexes of spaces the home no longer has are deleted', () =>
  withShelves(async (shelves) => {
    const shelf = await shelves.open()
    await shelf.close()
    await shelves.index.keepOnly([SPACE.id])
    assert.ok(statSync(shelves.directory).isDirectory())
    await shelves.index.keepOnly([])
    assert.throws(() => statSync(shelves.directory))
    assert.equal((await shelves.open(SOURCE)).size, 0)
  }))
