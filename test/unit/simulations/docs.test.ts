/** docs/SIMULATIONS.md lists the scenarios and faults there are. Regenerate with UPDATE_GOLDEN=1. */
import { test } from 'node:test'
import { FAULT_KINDS } from '../../../simulations/faults/plan.ts'
import { loadScenario, scenarioNames } from '../../../simulations/scenarios/parse.ts'
import { assertGenerated, cell } from '../../support/generated-docs.ts'

test('the scenarios of docs/SIMULATIONS.md are those of the package', () => {
  const rows = scenarioNames().map((name) => {
    const { tier, shows } = loadScenario(name)
    return `| \`${name}\` | ${tier} | ${cell(shows)} |`
  })
  assertGenerated('SIMULATIONS.md', 'scenarios', ['| name | tier | shows |', '|---|---|---|', ...rows])
})

test('the faults of docs/SIMULATIONS.md are those that can be injected', () => {
  const rows = Object.entries(FAULT_KINDS).map(([kind, does]) => `| \`${kind}\` | ${cell(does)} |`)
  assertGenerated('SIMULATIONS.md', 'faults', ['| kind | what it does |', '|---|---|', ...rows])
})
