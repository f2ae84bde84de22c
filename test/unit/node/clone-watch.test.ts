/** Own deltas from outside: the past coming home, or somebody writing with our identity now. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics } from '../../../src/adapters/system/counters.ts'
import { hlcOf } from '../../../src/memory/ids.ts'
import type { NodeEventBody } from '../../../src/node/api.ts'
import { CloneWatch } from '../../../src/node/clone-watch.ts'
import type { Admitted, Group } from '../../../src/node/perform.ts'

const SELF = 'a1'.repeat(32)
const OTHER = 'b2'.repeat(32)
const EPOCH = 'e0'.repeat(8)
const START_MS = 1_700_000_000_000

let made = 0
function admitted(
  author: string,
  ms: number,
  via: Admitted['via'],
  id = (++made).toString(16).padStart(64, '0')
): Admitted {
  const header = { author, epoch: EPOCH, hlc: hlcOf(ms, 0) }
  return { delta: { id, header }, via } as unknown as Admitted
}

function watch() {
  const events: NodeEventBody[] = []
  const log: { level: string; message: string }[] = []
  const metrics = createMetrics()
  const clones = new CloneWatch(
    { author: SELF, startedAtMs: START_MS },
    {
      metrics,
      logger: { log: (level, message) => log.push({ level, message }) },
      events: { emit: (event) => events.push(event) }
    }
  )
  const note = (list: readonly Admitted[], epochs: Group['epochs'] = []): void => {
    clones.note({ admitted: [...list], epochs })
  }
  return { clones, note, events, log, metrics }
}

test('own writes, and those of others, are nobody’s business here', () => {
  const { clones, note, events } = watch()
  note([
    admitted(SELF, START_MS + 5, 'write'),
    admitted(OTHER, START_MS + 5, 'gossip'),
    admitted(OTHER, START_MS - 5, 'recon')
  ])
  assert.deepEqual([clones.reasons(), events], [[], []])
})

test('own deltas of before this start came back: said, and no alarm', () => {
  const { clones, note, events } = watch()
  note([admitted(SELF, START_MS - 1_000, 'recon'), admitted(SELF, START_MS, 'gossip')])
  assert.equal(clones.reasons().length, 1)
  assert.match(clones.reasons()[0] ?? '', /^2 changes of this daemon came back/)
  assert.deepEqual(events, [])
})

test('own deltas since this start that were not written here are a clone, by whatever road they come', () => {
  for (const via of ['gossip', 'recon', 'held'] as const) {
    const { clones, note, events, log, metrics } = watch()
    note([admitted(SELF, START_MS + 1, via)])
    assert.match(clones.reasons().join(), /^identity cloned: .*\(1 change so far, the newest of 2023-11-14T/)
    assert.deepEqual(
      events.map((event) => (event.type === 'node' ? event.what : event.type)),
      ['identity-cloned']
    )
    assert.match(log[0]?.message ?? '', /identity cloned/)
    assert.equal(metrics.snapshot()['chrysalis_node_cloned_deltas_total'], 1)
  }
})

test('under our own epoch it is a clone, however old', () => {
  const { clones, note, events } = watch()
  const rival = admitted(SELF, START_MS - 1_000, 'recon')
  note([rival], [{ effect: 'epoch', epoch: 'e1'.repeat(8), because: rival.delta.id }])
  assert.match(clones.reasons().join(), /identity cloned/)
  assert.match(events[0]?.type === 'node' ? events[0].detail : '', /a new epoch begins/)
})

test('a busy clone is counted in full and told now and then', () => {
  const { clones, note, events } = watch()
  for (let i = 0; i < 2_500; i++) note([admitted(SELF, START_MS + 10 + i, 'gossip')])
  assert.match(clones.reasons().join(), /2500 changes so far/)
  assert.equal(events.length, 3)
})
