import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { createCrypto } from '../../../src/adapters/system/crypto.ts'
import { systemRandom } from '../../../src/adapters/system/random.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { initHome, openHome } from '../../../src/daemon/home.ts'
import { Invitations } from '../../../src/daemon/invitations.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import type { Network } from '../../../src/ports/network.ts'

/** Only what an issuer asks of them before anybody calls. */
const network = { addresses: () => [], serve: () => {}, onEvent: () => () => {} } as unknown as Network
const clock = { nowMs: () => 1_000 } as unknown as Clock
const logger = { log: () => {} }

interface File {
  readonly issued: readonly { readonly nonce: string; readonly expiresMs: number }[]
}

test('the oldest of too many tickets is forgotten, and none sooner', async (t) => {
  const home = path.join(await mkdtemp(path.join(tmpdir(), 'chrysalis-invites-')), 'home')
  t.after(() => rm(path.dirname(home), { recursive: true, force: true }))
  await initHome({ home }, { random: systemRandom, nowMs: 1_000 })
  const opened = await openHome(home)
  const space = opened.spaces.find((one) => one.shared)
  assert.ok(space)
  const file = path.join(home, 'invites.json')
  const before = Array.from({ length: LIMITS.ticketsIssuedMax - 1 }, (_, i) => ({
    nonce: `old ${i}`,
    space: space.id,
    expiresMs: 2_000,
    uses: 0,
    usedBy: []
  }))
  await writeFile(file, JSON.stringify({ issued: before }))
  const invitations = new Invitations(opened, {
    network,
    clock,
    logger,
    crypto: createCrypto(new Uint8Array(32).fill(7))
  })
  invitations.start()
  // The file is read in the background; nobody can be asked for a ticket before the daemon is up.
  await new Promise((resolve) => setTimeout(resolve, 100))
  const issued = async (): Promise<File['issued']> => {
    await invitations.issue(space, { expiresMs: 3_000, uses: 1 })
    return (JSON.parse(await readFile(file, 'utf8')) as File).issued
  }
  const full = await issued()
  assert.deepEqual([full.length, full[0]?.nonce], [LIMITS.ticketsIssuedMax, 'old 0'])
  const over = await issued()
  assert.deepEqual([over.length, over[0]?.nonce], [LIMITS.ticketsIssuedMax, 'old 1'])
})
