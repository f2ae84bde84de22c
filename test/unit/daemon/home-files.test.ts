import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { decodeBootstrap, encodeBootstrap } from '../../../src/daemon/home-files.ts'

const addresses = (count: number): string[] => Array.from({ length: count }, (_, i) => `/ip4/10.0.0.1/tcp/${i + 1}`)

test('of a file of addresses the first ones are taken, up to the bound', () => {
  const taken = (count: number): number => decodeBootstrap(encodeBootstrap(addresses(count)), 'bootstrap.json').length
  const max = LIMITS.bootstrapAddressesMax
  assert.deepEqual([taken(max - 1), taken(max), taken(max + 1)], [max - 1, max, max])
  assert.deepEqual(decodeBootstrap(encodeBootstrap(addresses(max + 1)), 'bootstrap.json'), addresses(max))
})
