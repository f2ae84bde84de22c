/** The mesh parameters for every fanout, and the relations that gossipsub itself never checks. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  assertMesh,
  gossipOptions,
  meshParameters,
  messageId,
  topicScore
} from '../../../../src/adapters/libp2p/gossip-options.ts'
import { isChrysalisError } from '../../../../src/base/errors.ts'
import { LIMITS } from '../../../../src/base/limits.ts'

const isConfig = (error: unknown): boolean => isChrysalisError(error, 'config')

describe('gossip options', () => {
  it('makes a fanout of 3 a mesh of 4', () => {
    const { D, Dlo, Dhi, Dscore, Dout, Dlazy, mcacheGossip } = meshParameters({ fanout: 3, heartbeatMs: 500 })
    assert.deepEqual(
      { D, Dlo, Dhi, Dscore, Dout, Dlazy, mcacheGossip },
      {
        D: 4,
        Dlo: 3,
        Dhi: 6,
        Dscore: 2,
        Dout: 1,
        Dlazy: 3,
        mcacheGossip: 2
      }
    )
  })

  it('keeps every relation for every fanout it accepts', () => {
    for (let fanout = 2; fanout <= 12; fanout++) {
      const p = meshParameters({ fanout, heartbeatMs: 500 })
      assert.equal(p.D, fanout + 1)
      assert.ok(p.Dlo <= p.D && p.D <= p.Dhi, `order at ${fanout}`)
      assert.ok(p.Dout < p.Dlo && p.Dout <= p.D / 2, `Dout at ${fanout}`)
      assert.ok(p.Dscore <= p.D && p.mcacheGossip <= p.mcacheLength, `rest at ${fanout}`)
    }
  })

  it('refuses fanouts and heartbeats that cannot work', () => {
    for (const fanout of [-1, 0, 1, 13, 2.5, Number.NaN]) {
      assert.throws(() => meshParameters({ fanout, heartbeatMs: 500 }), isConfig, String(fanout))
    }
    for (const heartbeatMs of [0, 99, 10_001, 500.5]) {
      assert.throws(() => meshParameters({ fanout: 3, heartbeatMs }), isConfig, String(heartbeatMs))
    }
    meshParameters({ fanout: 3, heartbeatMs: 100 })
    meshParameters({ fanout: 3, heartbeatMs: 10_000 })
  })

  it('names each relation that is broken', () => {
    const good = meshParameters({ fanout: 3, heartbeatMs: 500 })
    const broken: [object, RegExp][] = [
      [{ Dlo: 5 }, /Dlo <= D/],
      [{ Dhi: 3 }, /D <= Dhi/],
      [{ Dout: 3 }, /Dout < Dlo/],
      [{ D: 4, Dlo: 4, Dout: 3 }, /Dout <= D \/ 2/],
      [{ Dscore: 5 }, /Dscore <= D/],
      [{ Dlazy: 0 }, /Dlazy/],
      [{ mcacheGossip: 11 }, /mcacheGossip <= mcacheLength/]
    ]
    for (const [change, relation] of broken) {
      assert.throws(
        () => assertMesh({ ...good, ...change }),
        (error) => isConfig(error) && relation.test(String(error))
      )
    }
  })

  it('tells gossipsub everything whose default broke a network', () => {
    const options = gossipOptions({ fanout: 3, heartbeatMs: 500 }, () => 0)
    assert.equal(options.floodPublish, false)
    assert.equal(options.fallbackToFloodsub, false)
    assert.equal(options.globalSignaturePolicy, 'StrictNoSign')
    assert.equal(options.asyncValidation, true)
    assert.equal(options.scoreParams?.IPColocationFactorWeight, 0)
    assert.equal(options.maxInboundDataLength, LIMITS.gossipRpcBytesMax)
    assert.ok((options.idontwantMinDataSize ?? 0) > LIMITS.gossipFrameBytesMax)
    // One RPC may carry all the subscriptions and all the messages that our own limits allow.
    assert.equal(options.decodeRpcLimits?.maxSubscriptions, LIMITS.topicsMax)
    assert.equal(options.decodeRpcLimits?.maxMessages, options.decodeRpcLimits?.maxIwantMessageIDs)
  })

  it('punishes invalid frames and nothing else', () => {
    const score = topicScore()
    assert.ok(score.invalidMessageDeliveriesWeight < 0)
    assert.equal(score.timeInMeshWeight, 0)
    assert.equal(score.firstMessageDeliveriesWeight, 0)
    assert.equal(score.meshMessageDeliveriesWeight, 0)
    assert.equal(score.meshFailurePenaltyWeight, 0)
  })

  it('never lets our opinion lift a peer above zero', () => {
    const opinion = (value: number): number | undefined =>
      gossipOptions({ fanout: 3, heartbeatMs: 500 }, () => value).scoreParams?.appSpecificScore?.('peer')
    assert.equal(opinion(5), 0)
    assert.equal(opinion(-5), -5)
  })

  it('names a message by its content', () => {
    const empty = Buffer.from(messageId(new Uint8Array(0))).toString('hex')
    // SHA-256 of nothing, from FIPS 180-4 test data, cut to 20 bytes.
    assert.equal(empty, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4')
    assert.notDeepEqual(messageId(Buffer.from('a')), messageId(Buffer.from('b')))
  })
})
