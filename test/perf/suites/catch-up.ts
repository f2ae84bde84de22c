/** An empty daemon joins one that holds much: how long until both hold the same set. Two processes on loopback. */
import { GOALS } from '../goals.ts'
import { perSecond } from '../measure.ts'
import { residentMiB } from '../machine.ts'
import type { SuiteContext } from '../world.ts'
import { sharedDeltas, until, untilConnected } from '../../support/daemons.ts'

const CATCH_UP_MS_MAX = 600_000
const POLL_MS = 25

export async function catchUp({ world, report, quick }: SuiteContext): Promise<void> {
  for (const count of quick ? [10_000] : [10_000, 100_000]) {
    const full = await world.filledDaemon(count)
    const home = await world.yard.joinHome(full, 'newcomer')
    const newcomer = await world.yard.start(home)
    await untilConnected(newcomer)
    const connectedMs = performance.now()
    await until(`${count} deltas have arrived`, async () => (await sharedDeltas(newcomer)) >= count, {
      timeoutMs: CATCH_UP_MS_MAX,
      everyMs: POLL_MS
    })
    const ms = performance.now() - connectedMs
    const equal =
      (await full.client.call('memory.digest', {})).root === (await newcomer.client.call('memory.digest', {})).root
    if (!equal) throw new Error('the newcomer holds another set than the daemon it joined')
    const params = { deltas: count, where: 'two processes on loopback', from: 'first connection' }
    const name = `${count / 1_000}k deltas`
    report(`catch-up of an empty daemon, ${name}`, ms, 'ms', {
      params,
      ...(count === 10_000 ? { goal: GOALS.catchUpTenThousandMs } : {})
    })
    report(`catch-up rate, ${name}`, perSecond(count, ms), 'deltas/s', {
      params,
      ...(count === 100_000 ? { goal: GOALS.catchUpPerS } : {})
    })
    const resident = residentMiB(newcomer.pid)
    if (resident !== undefined) report(`resident memory of the newcomer, ${name}`, resident, 'MiB', { params })
    await newcomer.kill()
    await world.release(count)
  }
}
