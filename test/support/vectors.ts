/** Vectors for tests: drawn around centres from a seed, as the vectors of texts lie, and the plain way to compare them. */
import { SeededRandom } from '../../src/base/prng.ts'

export interface Drawn {
  readonly count: number
  readonly dimensions: number
  readonly clusters: number
  readonly seed: number
  /** Vectors of the same draw that come before these. */
  readonly skip?: number
}

/** How far from its centre a vector lies, where the centres have components of about 1. */
const SPREAD = 0.7

export function clustered({ count, dimensions, clusters, seed, skip = 0 }: Drawn): Float32Array[] {
  const random = new SeededRandom(`clusters/${seed}`)
  const centres = Array.from({ length: clusters }, () =>
    Float32Array.from({ length: dimensions }, () => normal(random))
  )
  const vectors: Float32Array[] = []
  for (let i = 0; i < skip + count; i++) {
    const centre = centres[random.below(clusters)] as Float32Array
    const vector = centre.map((component) => component + SPREAD * normal(random))
    if (i >= skip) vectors.push(normalised(vector))
  }
  return vectors
}

/** The vector along one axis. */
export function unit(dimensions: number, axis: number): Float32Array {
  const vector = new Float32Array(dimensions)
  vector[axis] = 1
  return vector
}

export function normalised(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector)
  return vector.map((component) => component / length)
}

export function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, component, i) => sum + component * (b[i] as number), 0)
}

/** Positions of the nearest, best first, by comparing with every one in full precision. */
export function nearest(query: Float32Array, vectors: readonly Float32Array[], wanted: number): number[] {
  const scored = vectors.map((vector, position) => ({ position, score: cosine(query, vector) }))
  return scored
    .sort((a, b) => b.score - a.score)
    .slice(0, wanted)
    .map(({ position }) => position)
}

/** Box and Muller 1958. */
function normal(random: SeededRandom): number {
  return Math.sqrt(-2 * Math.log(1 - random.unit())) * Math.cos(2 * Math.PI * random.unit())
}
