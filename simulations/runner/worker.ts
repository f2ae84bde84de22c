/**
 * A worker process of a sweep: takes one case at a time from its parent, runs it, and sends back the report. It lives for
 * many runs, so that compiled code is shared, and not for ever, so that nothing one run leaves behind grows without end.
 */
import '../../src/polyfill.ts'
import { messageOf } from '../../src/base/errors.ts'
import { loadScenario } from '../scenarios/parse.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import { runSeed } from './run.ts'
import type { SeedCase } from './seed-case.ts'
import type { Finished } from './summary.ts'

export type Reply = Finished | { readonly broken: string }

const scenarios = new Map<string, Scenario>()

async function answer({ scenario: name, ...rest }: SeedCase): Promise<Reply> {
  const scenario = scenarios.get(name) ?? loadScenario(name)
  scenarios.set(name, scenario)
  const before = process.cpuUsage()
  const report = await runSeed({ ...rest, scenario })
  const { user, system } = process.cpuUsage(before)
  return { report, cpuMs: Math.round((user + system) / 1_000) }
}

process.on('message', (job: SeedCase) => {
  answer(job)
    .catch((error: unknown) => ({ broken: messageOf(error) }))
    .then((reply) => process.send?.(reply))
})
// The parent is gone: nobody wants the rest.
process.on('disconnect', () => process.exit(0))
// Interrupted together with the parent, which decides what that means.
process.on('SIGINT', () => undefined)
