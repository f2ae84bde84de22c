/**
 * Real daemons: a newcomer catches up from both others, is killed in the middle, and goes on where it was. What the three
 * hold in the end is compared by their digests.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedDeltas, until, untilConnected, withYard, type DaemonProcess } from '../support/daemons.ts'

const MEMORIES = 6_000
const AT_ONCE = 60

async function writeMany(daemon: DaemonProcess, count: number): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      const mine = next++
      await daemon.client.learn(`memory ${mine} of many, long enough to be one of those that agents write down`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

async function link(from: DaemonProcess, to: DaemonProcess): Promise<void> {
  const [address = ''] = (await to.client.status()).addresses
  await from.client.call('peer.connect', { address })
}

test('a newcomer catches up from two daemons, and after a kill asks for the rest only', async () => {
  await withYard('catch-up', async (yard) => {
    // Without gossip everything the second gets, and all the newcomer gets, comes by reconciliation.
    const set = { 'sync.gossip': 'false', 'log.level': 'info' }
    const first = await yard.start(await yard.newHome(), { set })
    const second = await yard.start(await yard.joinHome(first), { set })
    const home = await yard.joinHome(first)
    await writeMany(first, MEMORIES)
    await link(second, first)
    const total = await sharedDeltas(first)
    await until('the second holds everything', async () => (await sharedDeltas(second)) === total)

    // It knows both from the start: one from its ticket, one from its configuration.
    const [address = ''] = (await second.client.status()).addresses
    const knowing = { ...set, 'network.bootstrap': address }
    const newcomer = await yard.start(home, { set: knowing })
    await until('some of it has come', async () => (await sharedDeltas(newcomer)) > MEMORIES / 20, { everyMs: 2 })
    await newcomer.kill()

    const again = await yard.start(home, { set: knowing })
    const had = await sharedDeltas(again)
    assert.ok(had > 0 && had < total, `${had} of ${total} deltas were stored when it was killed`)
    await untilConnected(again, 2)
    await until('it holds everything', async () => (await sharedDeltas(again)) === total)
    await again.client.call('sync.now', { wait: true }, { timeoutMs: 60_000 })
    const digests = await Promise.all(
      [first, second, again].map(async (daemon) => await daemon.client.call('memory.digest', {}))
    )
    assert.equal(new Set(digests.map(({ root, state }) => `${root} ${state}`)).size, 1)

    const { peers } = await again.client.call('sync.status', {})
    const received = peers.map((peer) => peer.received).filter((deltas) => deltas > 0)
    const moved = received.reduce((sum, deltas) => sum + deltas, 0)
    assert.equal(received.length, 2, `from both: ${received.join()}`)
    assert.equal(moved, total - had, 'nothing was asked for that was there')

    // What the waiting doors say is true of the other processes.
    const { id } = await again.client.learn('after all of it')
    const waited = await again.client.syncWait({ ids: [id], minPeers: 2 }, { timeoutMs: 60_000 })
    assert.equal(waited.spaces[0]?.holders.length, 2)
    for (const daemon of [first, second]) assert.notEqual(await daemon.client.get(id), null)
    const { frontiers } = await again.client.call('sync.frontiers', {})
    assert.ok(frontiers.length >= 2)
    for (const frontier of frontiers) assert.deepEqual([frontier.missing, frontier.equivocated], [0, false])
  })
})
