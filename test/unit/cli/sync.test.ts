/** `chrysalis sync`: what reaches the daemon, what a person sees, and progress for those who watch. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { progressLine } from '../../../src/cli/commands/sync.ts'
import { OTHER_PEER } from '../../support/fake-node.ts'
import { openDoor } from '../../support/rpc-door.ts'
import { run, type Ran } from './cli-run.ts'

async function cli(t: TestContext) {
  const door = await openDoor(t)
  return {
    door,
    asked: (method: string) => door.node.calls.filter((call) => call.method === method).map((call) => call.args[0]),
    $: (...argv: string[]): Promise<Ran> => run(argv, { socket: door.path, home: door.home })
  }
}

test('sync wait names memories, or a cursor, or neither, and says how many hold it', async (t) => {
  const { $, door, asked } = await cli(t)
  const { id } = await door.node.add({ content: 'x' })
  const waited = await $('sync', 'wait', id.slice(0, 10), '--min-peers', '2', '-s', 'shared', '--timeout', '10s')
  assert.equal(waited.out, 'shared  held by one peer\n')
  await $('sync', 'wait', '--cursor', '1', '--peer', 'one', '--peer', 'two')
  await $('sync', 'wait')
  const requests = asked('syncWait') as { timeoutMs: number }[]
  // The daemon gives up a little before it is given up on, so that it can say how far it got.
  assert.deepEqual(
    requests.map(({ timeoutMs, ...rest }) => [rest, timeoutMs]),
    [
      [{ space: 'shared', minPeers: 2, ids: [id] }, 9_750],
      [{ cursor: '1', peers: ['one', 'two'] }, 29_750],
      [{}, 29_750]
    ]
  )
})

test('sync now asks each named peer, and shows how and at what cost', async (t) => {
  const { $, asked } = await cli(t)
  const shown = await $('sync', 'now', '--peer', 'one', '--peer', 'two', '--wait')
  assert.deepEqual(
    (asked('syncNow') as { timeoutMs: number }[]).map(({ timeoutMs: _, ...rest }) => rest),
    [
      { peer: 'one', wait: true },
      { peer: 'two', wait: true }
    ]
  )
  assert.match(shown.out, /RESULT +HOW +RECEIVED +SENT +BYTES +TRIPS/)
  assert.match(shown.out, /repaired +sketch +3 +4 +4096 +2/)
})

test('sync status shows how far behind each peer is, and a catch-up', async (t) => {
  const { $, door } = await cli(t)
  const plain = door.node.syncStatus.bind(door.node)
  assert.match((await $('sync')).out, /repaired +sketch +4 KiB +3 +4 +1 +1m +0/)
  door.node.syncStatus = async () => {
    const answer = await plain()
    const catchUp = { space: 'x', have: 1_000, target: 5_000, perSecond: 800, etaMs: 5_000, peers: 2 }
    return {
      spaces: answer.spaces.map((space) => ({ ...space, catchUp })),
      peers: answer.peers.map((peer) => ({ ...peer, stuck: true }))
    }
  }
  const { out } = await $('sync', 'status')
  assert.match(out, /catching up in shared: 1000 of 5000 deltas, 800\/s, 5s left, from 2 peers/)
  assert.match(out, new RegExp(`${OTHER_PEER.slice(-8)} +\\w+ +1m +stuck`))
})

test('sync frontiers lists chains and says how to go on', async (t) => {
  const { $, door, asked } = await cli(t)
  const plain = door.node.syncFrontiers.bind(door.node)
  door.node.syncFrontiers = async (request) => {
    const [one] = (await plain(request)).frontiers
    return {
      frontiers: [
        { ...one!, missing: null },
        { ...one!, missing: 3, equivocated: true }
      ],
      cursor: 'ab'
    }
  }
  const { out, err } = await $('sync', 'frontiers', '-s', 'shared', '--limit', '2', '--cursor', 'aa')
  assert.deepEqual(asked('syncFrontiers'), [{ space: 'shared', limit: 2, cursor: 'aa' }])
  assert.match(out, /counting/)
  assert.match(out, /3 +\w+ +signed two deltas with one number/)
  assert.match(err, /chrysalis sync frontiers --cursor ab/)
})

test('ids belong to sync wait only', async (t) => {
  const { $ } = await cli(t)
  const refused = await $('sync', 'now', 'abcdef12')
  assert.equal(refused.status, 2)
  assert.match(refused.err, /sync now takes no ids/)
})

test('progress is one line, with a rate and the time left when there is one', () => {
  const one = { have: 10, target: 20, perSecond: 0, etaMs: null, peers: 1 }
  assert.equal(progressLine(one), '10 of 20 deltas, 0/s, from one peer')
  assert.equal(
    progressLine({ ...one, perSecond: 5, etaMs: 2_000, peers: 3 }),
    '10 of 20 deltas, 5/s, 2s left, from 3 peers'
  )
})
