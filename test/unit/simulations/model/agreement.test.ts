/**
 * The model must say what the real gossipsub does in virtual time: |Δt99| and |Δt100| within 15 %, copies within 10 %.
 *
 * How many worlds: the mean over a world's messages varies by 7 % from world to world at 200 nodes, because it matters who
 * sits in the far regions; six worlds leave 3 %. 1,000 nodes are in the long run (test/perf/agreement.test.ts).
 */
import '../../../../src/polyfill.ts'
import { describe, it } from 'node:test'
import { measureAgreement } from '../../../../simulations/model/agreement.ts'
import { assertAgreement } from '../../../support/agreement.ts'

describe('the model agrees with the real code', () => {
  it('at 200 nodes: six worlds, four messages each', async () => {
    assertAgreement(await measureAgreement({ nodes: 200, seeds: 6, messages: 4 }))
  })

  it('at 500 nodes: three worlds, three messages each', async () => {
    assertAgreement(await measureAgreement({ nodes: 500, seeds: 3, messages: 3, modelSeeds: 20 }))
  })
})
