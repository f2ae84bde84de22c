/**
 * Each liar among honest nodes: that it really does what its name says, seen in what the others counted, refused, held
 * or convicted; and that none of it breaks anything. What it does not manage to do at all would prove nothing.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { checkAll, Watch, type Ack, type Evidence } from '../../../simulations/checkers/checker.ts'
import { carelesslySound, mixedOrder } from '../../../simulations/liars/forgers.ts'
import { Hoard } from '../../../simulations/liars/hoard.ts'
import { createLiar, LIAR_KINDS, type LiarKind } from '../../../simulations/liars/liar.ts'
import { note, Pen } from '../../../simulations/liars/pen.ts'
import { loadScenario } from '../../../simulations/scenarios/parse.ts'
import type { SimNode } from '../../../simulations/world/sim-node.ts'
import { World } from '../../../simulations/world/world.ts'
import { createVerifier } from '../../../src/adapters/system/crypto.ts'
import { toHex } from '../../../src/base/bytes.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { decodeDelta } from '../../../src/memory/delta-codec.ts'
import { hlcOf } from '../../../src/memory/ids.ts'
import { verifyDelta } from '../../../src/memory/verify.ts'

const crypto = createVerifier()
const LYING_MS = 18_000

interface Outcome {
  readonly found: readonly string[]
  readonly reached: ReadonlySet<string>
  /** Sums over the honest nodes. */
  readonly counters: Readonly<Record<string, number>>
  /** Deltas of liars, or of identities they made up, that honest nodes hold. */
  readonly spread: number
  readonly acknowledged: number
}

/** Five honest nodes write while two liars of one kind do what they do; then the liars leave. */
async function lies(kind: LiarKind, seed: string): Promise<Outcome> {
  const world = new World({ seed, nodes: 5, outsiders: 2 })
  const watch = new Watch(world)
  const acks: Ack[] = []
  await world.start()
  const liars = world.outsiders.map((outsider) => ({ liar: createLiar(kind), outsider }))
  for (const [i, { liar, outsider }] of liars.entries()) {
    await world.settled(liar.start(outsider, world, world.random.fork(`liar/${i}`)))
  }
  const random = world.random.fork('writes')
  for (let i = 0; i < 30; i++) {
    const node = world.nodes[random.below(world.nodes.length)] as SimNode
    const key = random.unit() < 0.5 ? { key: `shared-${random.below(4)}` } : {}
    world.queue.after(random.unit() * LYING_MS * 0.8, () => {
      void node.engine.add({ content: `memory ${i} of ${node.name}`, ...key }).then((receipt) => {
        const ack = { node: node.name, receipt, request: null, atMs: world.queue.nowMs }
        acks.push(ack)
        watch.acknowledged(ack)
      })
    })
  }
  for (let second = 1; second * 1_000 <= LYING_MS; second++) {
    await world.queue.run(second * 1_000)
    watch.tick()
  }
  for (const { liar } of liars) await world.settled(liar.stop())
  const convergedInTime = await world.queue.run(world.queue.nowMs + 40_000, () => world.converged())
  const evidence: Evidence = {
    world,
    honest: world.nodes,
    acknowledged: acks,
    faults: [],
    liars: world.outsiders.map((outsider) => ({ kind, peer: outsider.peer, author: toHex(outsider.crypto.publicKey) })),
    healedMs: world.queue.nowMs,
    options: { scenario: loadScenario('calm'), seed }
  }
  const found = (await checkAll(evidence, watch)).map(
    ({ invariant, node, what }) => `${invariant} ${node ?? ''} ${what}`
  )
  const counters: Record<string, number> = {}
  for (const node of world.nodes) {
    for (const [name, count] of Object.entries(node.metrics.snapshot())) counters[name] = (counters[name] ?? 0) + count
  }
  const first = world.nodes[0] as SimNode
  const spread = first.engine.spaces()[0]?.deltas ?? 0
  await world.stop()
  return {
    found: convergedInTime ? found : ['did not converge', ...found],
    reached: watch.reached,
    counters,
    spread: spread - acks.length,
    acknowledged: acks.length
  }
}

/** Refusals by reason, all honest nodes together. */
const refused = (outcome: Outcome, reason: string): number => outcome.counters[`chrysalis_refused_${reason}_total`] ?? 0

/** What each kind must have brought about. */
const EFFECTS: Readonly<Record<LiarKind, (outcome: Outcome) => boolean>> = {
  'bad-signature': (o) => refused(o, 'bad_signature') > 0 && refused(o, 'body_hash') > 0 && o.spread === 0,
  equivocator: (o) => o.reached.has('equivocation-seen') && o.spread > 8,
  replayer: (o) => refused(o, 'wrong_space') > 0 && o.spread === 0,
  withholder: (o) => (o.counters['chrysalis_recon_sessions_partial_total'] ?? 0) > 0 && o.spread === 0,
  'recon-liar': (o) => (o.counters['chrysalis_recon_sessions_failed_total'] ?? 0) > 0,
  'orphan-flooder': (o) => o.spread >= 50,
  'time-liar': (o) => o.reached.has('delta-held') && o.spread > 0,
  'vote-stuffer': (o) => o.spread >= 50,
  'mixed-order-key': (o) => refused(o, 'bad_key') > 0 && o.spread === 0,
  'rollback-clone': (o) => o.reached.has('equivocation-seen'),
  dropper: (o) => o.reached.has('repaired-by-anti-entropy') || o.reached.has('backoff-used'),
  'covert-flash': (o) => o.spread === 0
}

suite('liars', () => {
  for (const kind of Object.keys(LIAR_KINDS) as LiarKind[]) {
    test(`${kind}: the honest hold, and it did lie`, async () => {
      const outcome = await lies(kind, `liar ${kind}`)
      assert.deepEqual(outcome.found, [])
      assert.equal(outcome.acknowledged, 30)
      const summary = JSON.stringify({ ...outcome, reached: [...outcome.reached] })
      assert.ok(EFFECTS[kind](outcome), `no trace of ${kind}: ${summary}`)
    })
  }

  test('a key of mixed order is taken for sound by the platform, and by the key rule for what it is', () => {
    const random = new SeededRandom('mixed')
    for (let i = 0; i < 5; i++) {
      const signing = mixedOrder(random)
      const space = '5a'.repeat(16)
      const record = carelesslySound(signing, { space, epoch: '00'.repeat(8), hlc: hlcOf(1) }, `weak ${i}`)
      assert.ok(record !== undefined, 'half of all messages pass')
      const delta = decodeDelta(record, crypto)
      assert.ok(delta.ok)
      const verdict = verifyDelta(delta.value, crypto)
      assert.equal(verdict.ok ? 'accepted' : verdict.reason, 'bad-key')
    }
  })

  test('a pen goes back to where it was, and a hoard is generous or not', async () => {
    const world = new World({ seed: 'pen', nodes: 1 })
    const { id } = world.space
    const pen = new Pen(world.identity('pen'), id, new SeededRandom('pen'))
    const first = pen.write(note('one'), 1_000)
    const there = pen.place
    const [second, again] = [pen.write(note('two'), 2_000), (pen.goBackTo(there), pen.write(note('other'), 3_000))]
    assert.deepEqual([second.header.seq, again.header.seq], [1, 1])
    assert.deepEqual([second.header.prev, again.header.prev], [first.id, first.id])
    for (const generous of [true, false]) {
      const hoard = new Hoard(id, crypto, { generous })
      assert.deepEqual([hoard.add(first.record), hoard.add(first.record), hoard.size], [true, false, 1])
      const keys = hoard.snapshot().tree.keysFrom(undefined, 10)
      const ports = hoard.ports({ nowMs: () => 0, monotonicMs: () => 0, setTimer: () => () => undefined })
      assert.equal((await ports.load(keys)).length, generous ? 1 : 0)
      assert.equal(
        (
          await ports.loadShort(
            id,
            keys.map((key) => key.subarray(6, 14))
          )
        ).length,
        generous ? 1 : 0
      )
    }
  })
})
