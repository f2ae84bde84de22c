/**
 * What an embedder answered, made into vectors of length 1, or refused: too few or too many, a component that is no
 * finite number, a length of zero, differing numbers of components. One such vector in the index would be near to
 * everything or to nothing, so none gets past here.
 */
import type { ChrysalisError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import { unitVector } from '../../base/unit-vector.ts'
import { failure } from './http-json.ts'

/** Throws `unavailable`. `dimensions`: wanted; when undefined the first vector decides. */
export function checkedVectors(
  answered: readonly unknown[],
  count: number,
  dimensions: number | undefined
): Float32Array[] {
  if (answered.length !== count) {
    throw broken(`gave ${answered.length} ${answered.length === 1 ? 'vector' : 'vectors'} for ${count} texts`, true)
  }
  let wanted = dimensions
  return answered.map((one) => {
    const vector = checkedVector(one)
    wanted ??= vector.length
    if (vector.length !== wanted) throw broken(`gave ${vector.length} components instead of ${wanted}`, false)
    return vector
  })
}

function checkedVector(one: unknown): Float32Array {
  if (!Array.isArray(one) || one.length === 0) throw broken('gave something that is no vector', true)
  if (one.length > LIMITS.embedDimensionsMax) {
    throw broken(`gave ${one.length} components; ${LIMITS.embedDimensionsMax} is the most`, false)
  }
  const vector = unitVector(one as unknown[])
  if (vector === undefined)
    throw broken('gave a component that is no finite number, or a vector without a direction', true)
  return vector
}

function broken(what: string, texts: boolean): ChrysalisError {
  return failure('unavailable', `The embedder ${what}.`, { texts })
}
