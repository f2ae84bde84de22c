import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EventQueue } from '../../../simulations/world/event-queue.ts'
import { SimClock } from '../../../simulations/world/sim-clock.ts'
import { createMetrics } from '../../../src/adapters/system/counters.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeDelta, encodeHeader } from '../../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../../src/memory/delta.ts'
import { hlcMs } from '../../../src/memory/ids.ts'
import { topicOf } from '../../../src/memory/names.ts'
import { Quarantine, type HeldSet } from '../../../src/node/quarantine.ts'
import { Repair, type RequestDeltas } from '../../../src/node/repair.ts'
import { deltaKey } from '../../../src/node/rows.ts'
import type { Space } from '../../../src/node/space.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { Network, PeerInfo } from '../../../src/ports/network.ts'
import { Disk } from '../../support/damage.ts'
import { at, FaultyStore, quickIdentity } from '../../support/engine.ts'
import { Author } from '../../support/replica-bench.ts'
import { record, header, SPACE } from '../../support/sealed.ts'

const author = new Author(2)
const deltas = Array.from({ length: 600 }, (_, n) => author.write(at(n)))
const recordOf = new Map(deltas.map((delta) => [delta.id, encodeDelta(delta)]))

interface Asked {
  readonly peer: string
  readonly ids: readonly string[]
  readonly atMs: number
}

/** A repair whose peers answer as the test says, on a disk that has lost its deltas. */
class Clinic {
  readonly disk = new Disk()
  readonly store = new FaultyStore(this.disk.store)
  readonly queue = new EventQueue()
  readonly metrics = createMetrics()
  readonly asked: Asked[] = []
  readonly reports: string[] = []
  readonly restored: string[] = []
  readonly admitted: string[] = []
  readonly set = new Map(deltas.map((delta) => [delta.id, hlcMs(delta.header.hlc)]))
  readonly space = { id: SPACE, options: { shared: true, name: 'shared' } } as unknown as Space
  peers: string[] = ['p1']
  /** What a peer answers; by default whatever it is asked for. */
  answer: (peer: string, ids: readonly string[]) => readonly Uint8Array[] | Promise<never> = (_peer, ids) => give(ids)
  readonly quarantine: Quarantine
  readonly repair: Repair

  constructor() {
    const clock = new SimClock(this.queue)
    const held: HeldSet = {
      has: (_space, ms, id) => this.set.get(id) === ms,
      locate: () => Promise.resolve(this.set)
    }
    const shared = {
      store: this.store,
      crypto: quickIdentity(1),
      clock,
      metrics: this.metrics,
      logger: silentLogger,
      held
    }
    this.quarantine = new Quarantine({ ...shared, confirmed: () => this.repair.wake(), misplaced: () => undefined })
    const network = {
      peers: () =>
        this.peers.map((peer) => ({ peer, connected: true, topics: [topicOf(SPACE)] }) as unknown as PeerInfo),
      report: (peer: string, offence: string, detail: string) => this.reports.push(`${peer} ${offence}: ${detail}`)
    } as unknown as Network
    const request: RequestDeltas = async (peer, space, ids) => {
      assert.equal(space, SPACE)
      this.asked.push({ peer, ids, atMs: this.queue.nowMs })
      return this.answer(peer, ids)
    }
    this.repair = new Repair({
      ...shared,
      network,
      random: new SeededRandom('repair'),
      quarantine: this.quarantine,
      spaces: () => [this.space],
      request,
      admit: (_space, bytes) => {
        this.admitted.push([...recordOf].find(([, known]) => known.join() === bytes.join())?.[0] ?? 'unknown')
        return Promise.resolve()
      },
      restored: (_space, whole) => this.restored.push(...whole.map((delta) => delta.id))
    })
  }

  async miss(...lost: readonly VerifiedDelta[]): Promise<void> {
    await this.quarantine.start()
    this.repair.start()
    for (const { id } of lost) this.quarantine.suspect(SPACE, id)
    await this.quarantine.confirm()
  }

  pass(ms: number): Promise<boolean> {
    return this.queue.run(this.queue.nowMs + ms)
  }
}

function give(ids: readonly string[]): Uint8Array[] {
  return ids.flatMap((id) => recordOf.get(id) ?? [])
}

describe('repair', () => {
  it('asks at once, writes the delta and nothing else, durably, and empties the quarantine', async () => {
    const clinic = new Clinic()
    const [lost] = deltas as [VerifiedDelta]
    await clinic.miss(lost)
    clinic.store.batches.length = 0
    await clinic.pass(100)
    assert.deepEqual(
      clinic.asked.map(({ ids }) => ids),
      [[lost.id]]
    )
    assert.equal(clinic.quarantine.size, 0)
    const key = deltaKey(SPACE, lost.id)
    assert.deepEqual(clinic.store.batches, [
      {
        writes: [
          { table: 'delta', key, value: encodeDelta(lost) },
          { table: 'quarantine', key, value: null }
        ],
        durable: true
      }
    ])
    assert.deepEqual(clinic.restored, [lost.id])
    assert.equal(clinic.metrics.snapshot()['chrysalis_node_repaired_total'], 1)
    await clinic.pass(600_000)
    assert.equal(clinic.asked.length, 1, 'and is quiet then')
  })

  it('asks for so many at once, one request after the other', async () => {
    const clinic = new Clinic()
    await clinic.miss(...deltas)
    await clinic.pass(100)
    assert.deepEqual(
      clinic.asked.map(({ ids }) => ids.length),
      [LIMITS.reconFetchIdsMax, LIMITS.reconFetchIdsMax, 600 - 2 * LIMITS.reconFetchIdsMax]
    )
    assert.equal(clinic.quarantine.size, 0)
  })

  it('asks the others for what one does not have, and backs off from 1 s to 60 s while nobody has it', async () => {
    const clinic = new Clinic()
    clinic.peers = ['p1', 'p2', 'p3']
    clinic.answer = (peer, ids) =>
      peer === 'p2' ? give(ids.slice(0, 1)) : peer === 'p3' ? Promise.reject(new Error('gone')) : []
    await clinic.miss(...deltas.slice(0, 3))
    await clinic.pass(200)
    assert.deepEqual(new Set(clinic.asked.map(({ peer }) => peer)), new Set(clinic.peers))
    assert.equal(clinic.quarantine.size, 2)
    clinic.answer = () => []
    clinic.peers = ['p1']
    clinic.asked.length = 0
    await clinic.pass(400_000)
    const gaps = clinic.asked
      .slice(1)
      .map(({ atMs }, index) => Math.round((atMs - (clinic.asked[index]?.atMs ?? 0)) / 1_000))
    assert.deepEqual(gaps.slice(0, 9), [2, 4, 8, 16, 32, 60, 60, 60, 60])
    assert.equal(clinic.repair.isHopeful(clinic.space), false)
    clinic.answer = (_peer, ids) => give(ids)
    clinic.repair.wake()
    await clinic.pass(100)
    assert.equal(clinic.quarantine.size, 0, 'a newcomer is asked at once')
    assert.equal(clinic.repair.isHopeful(clinic.space), true)
  })

  it('asks nobody about a space that never leaves the daemon', async () => {
    const clinic = new Clinic()
    Object.assign(clinic.space.options, { shared: false })
    await clinic.miss(deltas[0]!)
    await clinic.pass(10_000)
    assert.deepEqual(clinic.asked, [])
    assert.equal(clinic.repair.isHopeful(clinic.space), false)
  })

  it('believes nothing that is not the very delta, and holds it against the peer', async () => {
    const [lost, other] = deltas as [VerifiedDelta, VerifiedDelta]
    const body = lost.bodyBytes as Uint8Array
    const forged = record(quickIdentity(5), lost.headerBytes, body)
    const foreign = header(quickIdentity(2), body, { space: '77'.repeat(16) })
    const elsewhere = record(quickIdentity(2), encodeHeader(foreign), body)
    for (const [what, bytes] of [
      ['not CBOR', new Uint8Array([255, 1, 2])],
      ['a flipped bit', Uint8Array.from(encodeDelta(lost), (byte, i) => (i === 40 ? byte ^ 1 : byte))],
      ['the signature of another', forged],
      ['a delta without its body', record(quickIdentity(2), lost.headerBytes, null)],
      ['another space', elsewhere],
      ['what was not asked for', encodeDelta(other)]
    ] as const) {
      const clinic = new Clinic()
      clinic.answer = () => [bytes]
      await clinic.miss(lost)
      await clinic.pass(100)
      assert.equal(clinic.quarantine.size, 1, what)
      assert.match(clinic.reports.join(), /^p1 invalid/, what)
      assert.deepEqual(await clinic.disk.rows('delta'), [], what)
    }
  })

  it('takes a delta that the set does not hold through the common door', async () => {
    const clinic = new Clinic()
    const [lost] = deltas as [VerifiedDelta]
    await clinic.miss(lost)
    clinic.set.delete(lost.id)
    await clinic.pass(100)
    assert.deepEqual(clinic.admitted, [lost.id])
    assert.deepEqual(await clinic.disk.rows('delta'), [])
    assert.equal(clinic.quarantine.size, 0)
  })

  it('keeps in quarantine what the disk would not take', async () => {
    const clinic = new Clinic()
    await clinic.miss(deltas[0]!)
    clinic.store.failWith = 'disk_full'
    await clinic.pass(100)
    assert.equal(clinic.quarantine.size, 1)
    clinic.store.failWith = undefined
    await clinic.store.reopen()
    await clinic.pass(2_000)
    assert.equal(clinic.quarantine.size, 0)
  })

  it('stops with nothing under way', async () => {
    const clinic = new Clinic()
    clinic.answer = () => []
    await clinic.miss(deltas[0]!)
    await clinic.pass(100)
    await clinic.repair.stop()
    await clinic.quarantine.stop()
    const { length } = clinic.asked
    clinic.repair.wake()
    await clinic.pass(600_000)
    assert.equal(clinic.asked.length, length)
  })
})
