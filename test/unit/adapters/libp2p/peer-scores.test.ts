/** Points, fading, sanctions and the bounded table of adapters/libp2p/peer-scores. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { PeerScores, SCORE } from '../../../../src/adapters/libp2p/peer-scores.ts'

describe('peer scores', () => {
  it('disconnects at -20 and bans at -50', () => {
    const scores = new PeerScores(10)
    const sanctions = [1, 2, 3, 4, 5].map(() => scores.record('p', 'invalid', 0))
    assert.deepEqual(sanctions, ['none', 'disconnect', 'disconnect', 'disconnect', 'ban'])
    assert.equal(scores.score('p', 0), -50)
    assert.ok(scores.isBanned('p', 0))
  })

  it('bans although a few milliseconds pass between the offences', () => {
    const scores = new PeerScores(10)
    let last = ''
    for (let i = 0; i < 5; i++) last = scores.record('p', 'invalid', i * 10)
    assert.equal(last, 'ban')
  })

  it('halves in ten minutes and forgets in the end', () => {
    const scores = new PeerScores(10)
    scores.record('p', 'invalid', 0)
    assert.equal(scores.score('p', SCORE.halfLifeMs), -5)
    assert.equal(scores.score('p', SCORE.halfLifeMs * 2), -2.5)
    assert.equal(scores.score('p', SCORE.halfLifeMs * 20), 0)
    assert.equal(scores.size, 0)
  })

  it('lifts a ban after half an hour, not before, and an early offence does not lengthen it', () => {
    const scores = new PeerScores(10)
    for (let i = 0; i < 5; i++) scores.record('p', 'invalid', 0)
    assert.equal(scores.record('p', 'invalid', 1_000), 'ban')
    assert.ok(scores.isBanned('p', SCORE.banMs - 1))
    assert.ok(!scores.isBanned('p', SCORE.banMs))
    assert.equal(scores.bannedUntilMs('p', 0), SCORE.banMs)
    assert.equal(scores.bannedUntilMs('p', SCORE.banMs), 0)
  })

  it('never bans or disconnects for slowness alone', () => {
    const crowd = new PeerScores(10)
    for (let i = 0; i < 1_000; i++) assert.equal(crowd.record('p', 'timeout', i), 'none')
    fc.assert(
      fc.property(fc.array(fc.nat(60_000), { maxLength: 300, size: 'max' }), (gapsMs) => {
        const scores = new PeerScores(10)
        let nowMs = 0
        for (const gapMs of gapsMs) {
          nowMs += gapMs
          if (scores.record('p', 'timeout', nowMs) !== 'none') return false
        }
        return true
      })
    )
  })

  it('never rises above zero and survives a clock that steps back', () => {
    const scores = new PeerScores(10)
    scores.record('p', 'protocol', 1_000_000)
    assert.equal(scores.score('p', 0), -10)
    assert.ok(scores.score('p', 2_000_000) <= 0)
    assert.equal(scores.score('stranger', 0), 0)
  })

  it('keeps bans when somebody floods the table with new names', () => {
    const scores = new PeerScores(3)
    for (let i = 0; i < 5; i++) scores.record('banned', 'invalid', 0)
    for (let i = 0; i < 100; i++) scores.record(`sybil ${i}`, 'flood', 0)
    assert.ok(scores.isBanned('banned', 1))
    assert.equal(scores.size, 3)
  })

  it('stays bounded when everybody is banned', () => {
    const scores = new PeerScores(3)
    for (let peer = 0; peer < 10; peer++) for (let i = 0; i < 5; i++) scores.record(`p${peer}`, 'invalid', peer)
    assert.equal(scores.size, 3)
    assert.ok(scores.isBanned('p9', 10))
  })
})
