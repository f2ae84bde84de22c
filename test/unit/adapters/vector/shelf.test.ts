/** Graphs on disk: what was saved comes back, and nothing that is not exactly that. */
import assert from 'node:assert/strict'
import { copyFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { DiskShelf } from '../../../../src/adapters/vector/shelf.ts'
import type { VectorIndex } from '../../../../src/ports/vector-index.ts'
import { clustered } from '../../../support/vectors.ts'

const NAME = 'ab12'
const DIMENSIONS = 24
const vectors = clustered({ count: 60, dimensions: DIMENSIONS, clusters: 4, seed: 5 })

let root: string
let warnings: string[]
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shelf-'))
  warnings = []
})
afterEach(() => rm(root, { recursive: true, force: true }))

function shelf(): DiskShelf {
  const logger = { log: (level: string, message: string) => void warnings.push(`${level}: ${message}`) }
  return new DiskShelf({ root, logger, exactMax: 10 })
}

async function saved(): Promise<VectorIndex> {
  const index = await shelf().open(NAME, DIMENSIONS)
  for (const [label, vector] of vectors.entries()) index.add(1_000_000_007 * label, vector)
  while (index.settle(100));
  await index.save()
  return index
}

const files = async (): Promise<string[]> => (await readdir(join(root, NAME))).sort()
const fileOf = async (start: string): Promise<string> =>
  join(root, NAME, (await files()).find((name) => name.startsWith(start)) ?? assert.fail(start))

test('what was saved comes back with its labels and answers alike', async () => {
  const index = await saved()
  const again = await shelf().open(NAME, DIMENSIONS)
  assert.equal(again.size, vectors.length)
  assert.deepEqual(new Set(again.labels()), new Set(index.labels()))
  assert.equal(again.settle(1), false, 'all of it is in the graph')
  for (const vector of vectors.slice(0, 5)) assert.deepEqual(again.search(vector, 10), index.search(vector, 10))
  again.add(5, vectors[0] as Float32Array)
  again.remove(0)
  assert.equal(again.search(vectors[0] as Float32Array, 1)[0]?.label, 5)
  assert.deepEqual(warnings, [])
})

test('files are private, and only those of the last save are kept', async () => {
  const index = await saved()
  const before = await files()
  index.remove(0)
  await index.save()
  const after = await files()
  assert.equal(after.length, 3)
  assert.equal(after.filter((name) => before.includes(name)).length, 1, 'only the page keeps its name')
  for (const name of after) assert.equal((await stat(join(root, NAME, name))).mode & 0o077, 0, name)
  assert.equal((await stat(join(root, NAME))).mode & 0o077, 0)
})

const HARM: readonly (readonly [string, () => Promise<void>])[] = [
  ['a bit of the graph is flipped', async () => flip(await fileOf('graph.'), 400)],
  ['the graph is cut off', async () => truncate(await fileOf('graph.'), 300)],
  ['the graph is gone', async () => rm(await fileOf('graph.'))],
  ['a bit of the labels is flipped', async () => flip(await fileOf('labels.'), 3)],
  ['the labels are gone', async () => rm(await fileOf('labels.'))],
  ['the page is gone', async () => rm(await fileOf('index.json'))],
  ['the page is not JSON', async () => writeFile(await fileOf('index.json'), '{')],
  ['the page is of another format', async () => edit({ format: 2 })],
  ['the page names a file elsewhere', elsewhere]
]

for (const [what, harm] of HARM) {
  test(`when ${what}, it begins empty and says so`, async () => {
    await saved()
    await harm()
    const index = await shelf().open(NAME, DIMENSIONS)
    assert.equal(index.size, 0)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /warn: the saved vector index is of no use/)
    index.add(1, vectors[0] as Float32Array)
    assert.equal(index.search(vectors[0] as Float32Array, 1)[0]?.label, 1)
  })
}

test('an index of other dimensions is not taken, and nothing saved is no fault', async () => {
  assert.equal((await shelf().open('00', DIMENSIONS)).size, 0)
  assert.deepEqual(warnings, [])
  await saved()
  assert.equal((await shelf().open(NAME, DIMENSIONS + 1)).size, 0)
})

test('what a save left over is cleared away, and so are other models', async () => {
  await saved()
  await writeFile(join(root, NAME, 'graph.dead.usearch'), 'half')
  assert.equal((await shelf().open(NAME, DIMENSIONS)).size, vectors.length)
  assert.equal((await files()).length, 3)
  await shelf().keepOnly('ff')
  assert.deepEqual(await readdir(root), [])
  await rm(root, { recursive: true })
  await shelf().keepOnly('ff')
})

/** The very same bytes, but not in the folder. */
async function elsewhere(): Promise<void> {
  await copyFile(await fileOf('graph.'), join(root, 'x'))
  const { graph } = JSON.parse(await readFile(await fileOf('index.json'), 'utf8')) as { graph: object }
  await edit({ graph: { ...graph, file: '../x' } })
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(path, bytes)
}

async function edit(changes: object): Promise<void> {
  const path = await fileOf('index.json')
  await writeFile(path, JSON.stringify({ ...(JSON.parse(await readFile(path, 'utf8')) as object), ...changes }))
}
