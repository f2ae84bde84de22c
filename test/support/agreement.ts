/** The bounds within which the abstract model has to agree with the real code; they are never widened. */
import assert from 'node:assert/strict'
import type { Agreement, Compared } from '../../simulations/model/agreement.ts'

const BOUNDS: readonly (readonly [Compared, number])[] = [
  ['t99Ms', 0.15],
  ['t100Ms', 0.15],
  ['copies', 0.1],
  ['controlBytesPerDelivery', 0.1]
]

export function assertAgreement({ real, model, error }: Agreement): void {
  for (const [name, bound] of BOUNDS) {
    const figures = `${name}: the real code ${real[name].toFixed(2)}, the model ${model[name].toFixed(2)}`
    assert.ok(Math.abs(error[name]) <= bound, `${figures}: ${(100 * error[name]).toFixed(1)} % apart`)
  }
}
