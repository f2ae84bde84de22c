/**
 * What happens to the disk of a daemon while it runs: a block of a table goes bad under it, and its home is copied and
 * started a second time. In both cases it says so, and nothing is lost, wrong or signed twice.
 */
import assert from 'node:assert/strict'
import { cpSync, openSync, readdirSync, statSync, writeSync, closeSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { checkTable } from '../../src/adapters/level/table-scan.ts'
import { isChrysalisError } from '../../src/base/errors.ts'
import { homePaths } from '../../src/daemon/home-files.ts'
import { readRunFile } from '../../src/daemon/socket-path.ts'
import { connect, type Client } from '../../src/rpc/client.ts'
import { sharedDeltas, until, untilConnected, withYard, type DaemonProcess } from '../support/daemons.ts'

const MEMORIES = 60

async function write(client: Client, label: string, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < count; i++) {
    const content = `${label} ${i} ${Math.sin(i).toString(36).repeat(60)}`
    ids.push((await client.call('memory.add', { content })).id)
  }
  return ids
}

/** Makes the middle block of the largest table one that LevelDB cannot read, in place, as a failing disk would. */
async function spoilTable(data: string): Promise<void> {
  const tables = readdirSync(data).filter((name) => name.endsWith('.ldb'))
  const sizes = tables.map((name) => ({ name, bytes: statSync(path.join(data, name)).size }))
  const largest = sizes.sort((a, b) => b.bytes - a.bytes)[0]
  assert.ok(largest !== undefined, 'the rows are in a table')
  const file = path.join(data, largest.name)
  const { blocks } = await checkTable(file, undefined, 'whole')
  const handle = openSync(file, 'r+')
  // Every data block: whatever is read next meets one.
  for (const block of blocks ?? []) writeSync(handle, Uint8Array.of(0x77), 0, 1, block.offset + block.bytes)
  closeSync(handle)
}

/** A connection to the daemon, however often it closed its door meanwhile. */
async function reconnected(daemon: DaemonProcess): Promise<Client> {
  const run = readRunFile(daemon.home)
  if (run === undefined || run.pid !== daemon.pid) throw new Error('its door is closed')
  return connect(run.socket)
}

test('a table that goes bad under a running daemon is repaired by the same process, and peers fill the gap', async () => {
  await withYard('bad-block', async (yard) => {
    const peer = await yard.start(await yard.newHome('peer'))
    const home = await yard.joinHome(peer, 'patient')
    const first = await yard.start(home)
    await untilConnected(first)
    const ids = await write(first.client, 'before', MEMORIES)
    await until('the peer holds all', async () => (await sharedDeltas(peer)) >= MEMORIES)
    await first.stop()
    // The log becomes a table when the database is opened.
    const daemon = await yard.start(home)
    const { data } = homePaths(home)
    await spoilTable(data)
    let whole = false
    let reasons: readonly string[] = []
    await until('every memory is there again', async () => {
      const client = await reconnected(daemon).catch(() => undefined)
      try {
        if (client === undefined) return false
        const { items } = await client.call('memory.get', { ids })
        // Damage is an error or a gap, never a wrong answer.
        for (const item of items) if (item !== null) assert.match(item.content ?? '', /^before \d+ /)
        const status = await client.status()
        reasons = status.reasons
        whole = items.every((item) => item !== null && item.verified) && status.state === 'ready'
        return whole && reasons.some((reason) => /was repaired/.test(reason))
      } catch (error) {
        if (!isChrysalisError(error)) throw error
        return false
      } finally {
        await client?.close()
      }
    })
    assert.ok(daemon.running, 'the process is the same')
    assert.ok(
      readdirSync(home).some((name) => name.startsWith('data.damaged-')),
      'a copy was made'
    )
    const client = await reconnected(daemon)
    await write(client, 'after', 3)
    await client.close()
  })
})

test('a home that was copied while it ran and started again is told, and so is the first', async () => {
  await withYard('clone', async (yard) => {
    const peer = await yard.start(await yard.newHome('peer'))
    const home = await yard.joinHome(peer, 'first')
    const first = await yard.start(home)
    await untilConnected(first)
    await write(first.client, 'before', 10)
    const copy = path.join(yard.root, 'copy')
    cpSync(home, copy, { recursive: true, filter: (from) => !from.includes(`${home}/run`) })
    const second = await yard.start(copy)
    const epochs = [(await first.client.status()).epoch, (await second.client.status()).epoch]
    assert.notEqual(epochs[0], epochs[1], 'they never number two deltas alike')
    await write(first.client, 'first', 5)
    await write(second.client, 'second', 5)
    for (const daemon of [first, second]) {
      await until('it is told', async () =>
        (await daemon.client.status()).reasons.some((reason) => reason.startsWith('identity cloned'))
      )
    }
    for (const daemon of [first, second, peer]) {
      await until('it holds what both wrote', async () => (await sharedDeltas(daemon)) >= 20)
    }
    const { equivocators } = await peer.client.call('memory.verify', {})
    assert.deepEqual(equivocators, [])
  })
})
