/** The system clock; what is tested is order and life, never how long anything took. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { createSystemClock, systemClock } from '../../../../src/adapters/system/clock.ts'

const keepingAlive = createSystemClock({ timersKeepProcessAlive: true })

test('wall time is that of the system and monotonic time never runs back', () => {
  const before = Date.now()
  const now = systemClock.nowMs()
  assert.ok(now >= before && now <= Date.now())
  let last = systemClock.monotonicMs()
  for (let i = 0; i < 1_000; i++) {
    const next = systemClock.monotonicMs()
    assert.ok(next >= last)
    last = next
  }
})

test('a timer fires once; a cancelled one never, however often it is cancelled', async () => {
  const fired: string[] = []
  const cancel = keepingAlive.setTimer(0, () => fired.push('cancelled'))
  cancel()
  cancel()
  keepingAlive.setTimer(-5, () => fired.push('past'))
  await new Promise<void>((resolve) => {
    keepingAlive.setTimer(20, resolve)
  })
  assert.deepEqual(fired, ['past'])
  cancel()
})

test('a delay beyond the 31 bits of setTimeout is waited for in pieces', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const dayMs = 86_400_000
  const pass = (days: number): void => {
    for (let i = 0; i < days; i++) context.mock.timers.tick(dayMs)
  }
  let fired = 0
  keepingAlive.setTimer(60 * dayMs, () => fired++)
  const cancel = keepingAlive.setTimer(60 * dayMs, () => fired++)
  pass(30)
  assert.equal(fired, 0)
  cancel()
  pass(29)
  assert.equal(fired, 0)
  // The mocked clock only looks at the ends of days, so each of the three pieces may come up to a day late.
  pass(4)
  assert.equal(fired, 1)
})

test('a pending timer does not keep the process alive, unless asked to', () => {
  const module = JSON.stringify(new URL('../../../../src/adapters/system/clock.ts', import.meta.url).href)
  const run = (code: string): string => {
    const script = `const { createSystemClock } = await import(${module}); ${code}`
    // The extension of this very file says whether sources or compiled files are running.
    const loader = import.meta.url.endsWith('.ts') ? ['--import', 'tsx'] : []
    const child = spawnSync(process.execPath, [...loader, '--input-type=module', '-e', script], { timeout: 60_000 })
    assert.equal(child.status, 0, child.stderr.toString())
    return child.stdout.toString()
  }
  assert.equal(run(`createSystemClock().setTimer(1_000_000, () => {}); console.log('end')`), 'end\n')
  const alive = `createSystemClock({ timersKeepProcessAlive: true }).setTimer(30, () => console.log('fired'))`
  assert.equal(run(alive), 'fired\n')
})
