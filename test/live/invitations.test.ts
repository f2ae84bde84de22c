/** Tickets between real daemons: uses are counted by the issuer, and who comes too late is told so. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { systemRandom } from '../../src/adapters/system/random.ts'
import { initHome } from '../../src/daemon/home.ts'
import { until, untilConnected, withYard } from '../support/daemons.ts'

test('a ticket for one lets one in, at every start, and turns the second away', { timeout: 180_000 }, async () => {
  await withYard('ticket', async (yard) => {
    const issuer = await yard.start(await yard.newHome())
    const { ticket } = await issuer.client.call('space.invite', { uses: 1 })
    const ports = { random: systemRandom, nowMs: Date.now() }
    const [firstHome, secondHome] = [path.join(yard.root, 'first'), path.join(yard.root, 'second')]
    await initHome({ home: firstHome, ticket }, ports)
    await initHome({ home: secondHome, ticket }, ports)

    let first = await yard.start(firstHome)
    await untilConnected(first)
    const { id } = await issuer.client.call('memory.add', { content: 'for those who were invited' })
    const arrived = async (): Promise<boolean> =>
      (await first.client.call('memory.get', { ids: [id] }).catch(() => ({ items: [null] }))).items[0] !== null
    await until('the first guest has it', arrived)

    const second = await yard.start(secondHome)
    await until('the second guest knows that it was refused', async () => {
      const { reasons } = await second.client.status()
      return reasons.some((reason) => reason.includes('used-up'))
    })

    await first.stop()
    first = await yard.start(firstHome)
    await untilConnected(first)
    await until('the first guest is still welcome', arrived)
    assert.deepEqual((await first.client.status()).reasons, [])
  })
})
