/**
 * Why no signature is skipped because a verified successor names the delta by hash (docs/adr/0010): a model of daemons
 * that do so, in which one author splits the network for good, and real engines under our rule, in which the same deltas
 * split nobody.
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { toHex } from '../../src/base/bytes.ts'
import { decodeDelta, encodeDelta, encodeFrame } from '../../src/memory/delta-codec.ts'
import type { Delta } from '../../src/memory/delta.ts'
import { topicOf } from '../../src/memory/names.ts'
import { verifyDelta } from '../../src/memory/verify.ts'
import type { Intake } from '../../src/node/intake.ts'
import { at, Bench, type Engine } from '../support/engine.ts'
import { Author } from '../support/replica-bench.ts'
import { identity, note, SPACE, value } from '../support/sealed.ts'

const verifier = identity(1)
const isSigned = (delta: Delta): boolean => verifyDelta(delta, verifier).ok

/** What a page of records adds to a daemon that holds `held`. */
type Rule = (page: readonly Delta[], held: ReadonlyMap<string, Delta>) => Delta[]

/** Ours: each delta by its own bytes. */
const each: Rule = (page) => page.filter(isSigned)

/** The shortcut: the newest delta of a chain is verified, and those it leads back to by hash are taken with it. */
const headsOnly: Rule = (page) => {
  const byId = new Map(page.map((delta) => [delta.id, delta]))
  const named = new Set(page.map((delta) => delta.header.prev))
  const admitted: Delta[] = []
  for (const head of page) {
    if (named.has(head.id) || !isSigned(head)) continue
    for (
      let next: Delta | undefined = head;
      next !== undefined;
      next = next.header.prev === null ? undefined : byId.get(next.header.prev)
    ) {
      if (next.header.author === head.header.author) admitted.push(next)
    }
  }
  return admitted
}

class ModelDaemon {
  readonly held = new Map<string, Delta>()
  readonly #rule: Rule

  constructor(rule: Rule) {
    this.#rule = rule
  }

  receive(page: readonly Delta[]): void {
    for (const delta of this.#rule(page, this.held)) this.held.set(delta.id, delta)
  }

  /** A reconciliation: both hand over, as one page, what the other lacks. False when they were equal. */
  reconcile(other: ModelDaemon): boolean {
    const [ours, theirs] = [lacking(this, other), lacking(other, this)]
    other.receive(ours)
    this.receive(theirs)
    return ours.length + theirs.length > 0
  }
}

const lacking = (from: ModelDaemon, to: ModelDaemon): Delta[] =>
  [...from.held.values()].filter((delta) => !to.held.has(delta.id))

/** An author's chain whose second delta carries a signature that is none; the author signed the third over its hash. */
function trap(): Delta[] {
  const author = new Author(9)
  const [first, second, third] = [
    author.write(at(0), note('word 0')),
    author.write(at(1), note('word 1')),
    author.write(at(2), note('word 2'))
  ] as const
  const unsigned = encodeDelta({ ...second, signature: second.signature.map((byte) => byte ^ 0x5a) })
  return [first, value(decodeDelta(unsigned, verifier)), third]
}

/** One daemon catches up with the whole chain in a page, the other heard each delta as it was gossiped. */
function meet(rule: Rule): { rounds: number; caughtUp: ModelDaemon; listened: ModelDaemon } {
  const chain = trap()
  const [caughtUp, listened] = [new ModelDaemon(rule), new ModelDaemon(rule)]
  caughtUp.receive(chain)
  for (const delta of chain) listened.receive([delta])
  let rounds = 0
  while (rounds < 100 && caughtUp.reconcile(listened)) rounds++
  return { rounds, caughtUp, listened }
}

describe('the shortcut over chain heads, in a model', () => {
  it('takes the same sets when everything is signed: nobody would notice', () => {
    const author = new Author(9)
    const chain = [0, 1, 2, 3].map((n) => author.write(at(n), note(`word ${n}`)))
    for (const rule of [each, headsOnly]) {
      const daemon = new ModelDaemon(rule)
      daemon.receive(chain)
      assert.equal(daemon.held.size, 4)
    }
  })

  it('splits the network for good with one unsigned delta under a signed one', () => {
    const { rounds, caughtUp, listened } = meet(headsOnly)
    assert.equal(rounds, 100, 'anti-entropy never ends')
    assert.equal(caughtUp.held.size, 3)
    assert.equal(listened.held.size, 2)
  })

  it('does not with every signature checked, in whatever pages the deltas come', () => {
    const { rounds, caughtUp, listened } = meet(each)
    assert.equal(rounds, 0)
    assert.deepEqual([...caughtUp.held.keys()], [...listened.held.keys()])
    assert.equal(caughtUp.held.size, 2)
  })
})

describe('every signature before admission', () => {
  const bench = new Bench()
  after(() => bench.stop())
  const rootOf = (engine: Engine): string => toHex(engine.node.spaceTable.find(SPACE).replica.tree.root())

  it('engines agree on the trap, one by a page of a session, the other by gossip, and their session ends equal', async () => {
    const chain = trap().map(encodeDelta)
    const [a, b] = [await bench.start({ seed: 1 }), await bench.start({ seed: 2 })]
    const { intake } = a.node as unknown as { intake: Intake }
    const delivery = await intake.deliver(a.node.spaceTable.find(SPACE), chain, 'a stranger')
    assert.deepEqual(delivery, { accepted: 2, known: 0, refused: 1 })
    assert.equal(a.network.reports.length, 1, 'whoever hands it over answers for it')
    const stranger = bench.air.create('a stranger')
    const verdicts: string[] = []
    for (const record of chain) {
      verdicts.push(await b.network.hearNow(topicOf(SPACE), encodeFrame([record]), stranger))
      await b.node.idle()
    }
    assert.deepEqual(verdicts, ['accept', 'reject', 'accept'])
    assert.equal(rootOf(a), rootOf(b))
    a.network.link(b.network)
    await bench.pass(500)
    const { sessions } = await bench.finish(a.node.syncNow({}))
    assert.deepEqual(
      sessions.map((session) => session.result),
      ['equal']
    )
    a.network.unlink(b.network)
  })
})
