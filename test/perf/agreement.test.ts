/**
 * The model against the real gossipsub at 1,000 nodes, within the same bounds as at 200 and 500
 * (test/unit/simulations/model/agreement.test.ts). About a minute of processor time: `node test/run.mjs perf`. The mean over
 * a world's messages varies by 4 % from world to world at this size; three worlds leave 2 %.
 */
import '../../src/polyfill.ts'
import { describe, it } from 'node:test'
import { measureAgreement } from '../../simulations/model/agreement.ts'
import { assertAgreement } from '../support/agreement.ts'

describe('the model agrees with the real code', () => {
  it('at 1,000 nodes: three worlds, three messages each', async () => {
    assertAgreement(await measureAgreement({ nodes: 1_000, seeds: 3, messages: 3, modelSeeds: 20 }))
  })
})
