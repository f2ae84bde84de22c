/** Whole daemons with an embedding service over real HTTP: meaning finds what words do not, and no fault costs more. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { launcherPath } from '../../src/daemon/spawn.ts'
import { embedText, startEmbedServer, type EmbedServer } from '../support/embed-server.ts'
import { until, withYard, type DaemonProcess } from '../support/daemons.ts'

const run = promisify(execFile)
const TIMEOUT = { timeout: 240_000 }
const PROBES = 20
const CAR = 'The team bought a new sedan'
const CAT = 'My kitten sleeps all day'

const settings = (server: EmbedServer, more: Record<string, string> = {}): { set: Record<string, string> } => ({
  set: { 'embed.provider': 'ollama', 'embed.url': server.url, 'embed.queryTimeoutMs': '5000', ...more }
})

const vectorState = async (daemon: DaemonProcess): Promise<string> => (await daemon.client.status()).index.vector

/** Whether so many texts have their vector and none waits. */
async function isWhole(daemon: DaemonProcess, texts: number): Promise<boolean> {
  const { indexed, state } = await daemon.client.call('embed.status', {})
  return indexed === texts && state === 'on'
}

async function best(daemon: DaemonProcess, query: string): Promise<string | null | undefined> {
  return (await daemon.client.recall(query)).items[0]?.content
}

test('hybrid recall, a service that dies and comes back, a restart, another model', TIMEOUT, async () => {
  let server = await startEmbedServer()
  try {
    await withYard('embed', async (yard) => {
      const home = await yard.newHome()
      const daemon = await yard.start(home, settings(server))
      await daemon.client.learnMany([{ content: CAR }, { content: CAT }])
      await until('both have vectors', () => isWhole(daemon, 2))
      assert.equal(await vectorState(daemon), 'on')
      assert.equal(await best(daemon, 'automobile purchase'), CAR)
      assert.equal(await best(daemon, 'feline'), CAT)
      const cli = await run(process.execPath, [launcherPath(), '--home', home, 'embed', 'test'])
      assert.match(cli.stdout, /^nomic-embed-text answered in \d+ ms with 64 components\.$/m)

      await server.close()
      const { id } = await daemon.client.learn('We hired a physician')
      assert.equal((await daemon.client.get(id))?.content, 'We hired a physician', 'a write goes on')
      assert.equal(await best(daemon, 'physician'), 'We hired a physician', 'and so do keywords')
      await until('it is said', async () => (await vectorState(daemon)) === 'unavailable')
      const { reason } = await daemon.client.call('embed.status', {})
      assert.match(reason ?? '', /cannot be reached/)
      await assert.rejects(daemon.client.call('embed.test', {}), { code: 'unavailable' })
      server = await startEmbedServer({ port: server.port })
      await until('it is made up for', () => isWhole(daemon, 3))
      assert.equal(await best(daemon, 'doctor'), 'We hired a physician')
      await daemon.stop()

      const embedded = server.embedded
      const again = await yard.start(home, settings(server))
      await until('the index is back', () => isWhole(again, 3))
      assert.equal(await best(again, 'automobile purchase'), CAR)
      assert.equal(server.embedded - embedded, 1, 'the query, and no memory')
      await again.kill()

      server.dimensions = 32
      const other = await yard.start(home, settings(server, { 'embed.model': 'other-model' }))
      await until('everything is embedded anew', () => isWhole(other, 3))
      assert.equal(await best(other, 'automobile purchase'), CAR)
      assert.equal((await other.client.call('embed.status', {})).dimensions, 32)
      await other.stop()
    })
  } finally {
    await server.close()
  }
})

test('a service that hangs or answers with rubbish costs the vectors only', TIMEOUT, async () => {
  const server = await startEmbedServer()
  server.mood = 'hang'
  try {
    await withYard('embed', async (yard) => {
      const quick = { 'embed.timeoutMs': '200', 'embed.queryTimeoutMs': '50' }
      const daemon = await yard.start(await yard.newHome(), settings(server, quick))
      await daemon.client.learn(CAR)
      assert.equal(await best(daemon, 'sedan'), CAR)
      await until('it is given up', async () => (await vectorState(daemon)) === 'unavailable')
      server.mood = 'nan'
      await daemon.client.learn(CAT)
      assert.equal(await best(daemon, 'kitten'), CAT)
      assert.equal(await vectorState(daemon), 'unavailable')
      await daemon.stop()
    })
  } finally {
    await server.close()
  }
})

test('a process of an agent brings the vectors', TIMEOUT, async () => {
  await withYard('embed', async (yard) => {
    const daemon = await yard.start(await yard.newHome(), {
      set: { 'embed.provider': 'client', 'embed.model': 'mine' }
    })
    const asked: number[] = []
    const client = await daemon.connect({
      embed: async (texts) => {
        asked.push(texts.length)
        return texts.map((text) => embedText(text, 1_024))
      }
    })
    await client.learnMany(
      Array.from({ length: 100 }, (_, i) => ({ content: `memory ${i}`, dedupe: 'allow' as const }))
    )
    await client.learn(CAR)
    assert.equal(await client.embedPending(), 101)
    assert.equal(await client.embedPending(), 0)
    await until('all have vectors', () => isWhole(daemon, 101))
    const { items } = await client.recall('automobile purchase')
    assert.equal(items[0]?.content, CAR)
    assert.deepEqual(asked, [64, 37, 1])
    await assert.rejects(daemon.client.embedPending(), { code: 'invalid_state' })
    await daemon.stop()
  })
})

test('a configuration that cannot be meant is refused at the start, and the key is nowhere', TIMEOUT, async () => {
  const server = await startEmbedServer()
  try {
    await withYard('embed', async (yard) => {
      const home = await yard.newHome()
      const refused = async (set: Record<string, string>): Promise<string> => {
        const daemon = yard.launch(home, { set: { 'embed.provider': 'openai', ...set } })
        await assert.rejects(daemon.answered())
        return daemon.logTail()
      }
      assert.match(await refused({ 'embed.apiKeyVariable': 'NO_SUCH_VARIABLE' }), /no such environment variable/)
      const open = { 'embed.url': 'http://192.0.2.1', 'embed.apiKeyVariable': 'PATH' }
      assert.match(await refused(open), /not encrypted/)
      assert.match(await refused({ 'embed.url': 'http://me:secret@localhost' }), /embed\.url/)

      const variable = 'CHRYSALIS_TEST_EMBED_KEY'
      process.env[variable] = 'a-key-that-nobody-sees'
      const keyed = { 'embed.provider': 'openai', 'embed.apiKeyVariable': variable, 'log.level': 'debug' }
      const daemon = await yard.start(home, settings(server, keyed))
      await daemon.client.learn(CAR)
      await until('it has its vector', () => isWhole(daemon, 1))
      assert.equal(server.requests[0]?.authorization, 'Bearer a-key-that-nobody-sees')
      const printed = JSON.stringify([await daemon.client.call('config.get', {}), await daemon.client.status()])
      await daemon.stop()
      const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      const all = [printed, daemon.logTail(), ...files.map((file) => read(path.join(file.parentPath, file.name)))]
      assert.ok(all.every((text) => !text.includes('a-key-that-nobody-sees')))
    })
  } finally {
    delete process.env['CHRYSALIS_TEST_EMBED_KEY']
    await server.close()
  }
})

test('a graph that was saved is loaded after a stop, and built again when it is damaged', TIMEOUT, async () => {
  const server = await startEmbedServer({ dimensions: 64 })
  try {
    await withYard('embed', async (yard) => {
      const home = await yard.newHome()
      const first = await yard.start(home, settings(server))
      // One more than are compared one by one.
      const count = 20_001
      for (let i = 0; i < count; i += 500) {
        const items = Array.from({ length: Math.min(500, count - i) }, (_, j) => ({ content: `memory ${i + j}` }))
        await first.client.learnMany(items)
      }
      await until('all have vectors', () => isWhole(first, count), { everyMs: 200 })
      await findsItself(first)
      await first.stop()
      const graphs = (): string[] => {
        const files = readdirSync(path.join(home, 'vectors'), { recursive: true }).map(String)
        return files.filter((file) => file.endsWith('.usearch'))
      }
      const [graph] = graphs()
      assert.ok(graph, 'it was saved')
      const file = path.join(home, 'vectors', graph)
      const bytes = readFileSync(file)
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 255
      writeFileSync(file, bytes)
      const embedded = server.embedded
      const second = await yard.start(home, settings(server))
      await until('it is whole again', () => isWhole(second, count), { everyMs: 200 })
      await findsItself(second)
      assert.equal(server.embedded - embedded, PROBES, 'the queries, and no memory')
      await second.stop()
      assert.equal(graphs().length, 1)
      assert.notEqual(graphs()[0], graph)
    })
  } finally {
    await server.close()
  }
})

/** Asks for memories in their own words, by meaning alone. Lines this alike are the worst case of a graph: it is to answer, not to shine. */
async function findsItself(daemon: DaemonProcess): Promise<void> {
  let found = 0
  for (let i = 0; i < PROBES; i++) {
    const query = `memory ${i * 997}`
    const { items } = await daemon.client.recall(query, { modes: ['vector'], limit: 5 })
    if (items.some((item) => item.content === query)) found++
  }
  assert.ok(found >= 0.4 * PROBES, `${found} of ${PROBES}`)
}

function read(file: string): string {
  return readFileSync(file, 'latin1')
}
