/** Tiers and classes: what is worth how much, and who may claim what. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ORIGIN_CLASSES, type OriginClass } from '../../../src/memory/ops.ts'
import {
  CLASS_TIER,
  leastTier,
  mayClaim,
  OPINIONS,
  reaches,
  tierOfClasses,
  tierRank,
  TRUST_FACTOR,
  TRUST_TIERS,
  worstClass
} from '../../../src/trust/tier.ts'

test('tiers are ordered, and each is worth more than the one before', () => {
  const factors = TRUST_TIERS.map((tier) => TRUST_FACTOR[tier])
  assert.deepEqual(factors, [0, 0.25, 0.5, 0.8, 1, 1.1])
  assert.deepEqual([...OPINIONS], TRUST_TIERS.slice(0, -1), 'no opinion is a ballot')
  assert.equal(leastTier('known', 'trusted'), 'known')
  assert.equal(leastTier('validated', 'blocked'), 'blocked')
})

test('the classes of a record are worth the least of them; none lowers nothing', () => {
  assert.equal(tierOfClasses([]), 'trusted')
  assert.equal(tierOfClasses(['self', 'derived']), 'trusted')
  assert.equal(tierOfClasses(['self', 'tool', 'document']), 'untrusted')
  assert.equal(tierOfClasses(['import', 'user']), 'unknown')
  assert.equal(worstClass([]), undefined)
  assert.equal(worstClass(['user', 'document', 'tool']), 'document')
  assert.equal(worstClass(['derived', 'self']), 'derived', 'of equals the one that says more')
  for (const origin of ORIGIN_CLASSES) assert.equal(worstClass([origin, 'document']), 'document')
})

test('any shows all but what is blocked; a tier shows itself and what is above', () => {
  for (const tier of TRUST_TIERS) {
    assert.equal(reaches(tier, 'any'), tier !== 'blocked')
    for (const least of TRUST_TIERS) assert.equal(reaches(tier, least), tierRank(tier) >= tierRank(least))
  }
})

test('who may claim a class may claim what is worth less, never as much, and never derived', () => {
  const allowed = (entitled: OriginClass[]): OriginClass[] => ORIGIN_CLASSES.filter((one) => mayClaim(entitled, one))
  assert.deepEqual(allowed([]), [])
  assert.deepEqual(allowed(['self']), ['self', 'tool', 'peer', 'document', 'import'])
  assert.deepEqual(allowed(['tool']), ['tool', 'document', 'import'])
  assert.deepEqual(allowed(['import']), ['document', 'import'])
  assert.deepEqual(allowed(['document']), ['document'])
  // Whatever is claimed, it is worth no more than the best that was given.
  for (const given of ORIGIN_CLASSES.filter((one) => one !== 'derived')) {
    for (const claim of allowed([given])) assert.ok(tierRank(CLASS_TIER[claim]) <= tierRank(CLASS_TIER[given]))
  }
})
