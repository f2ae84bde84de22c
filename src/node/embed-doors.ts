/** The questions of EmbedApi, each checked and handed to the vectors; here it is decided what a daemon without any says. */
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { unitVector } from '../base/unit-vector.ts'
import type { EmbedPending, EmbedPut, EmbedStatus, EmbedTest } from './embed-api.ts'
import type { Vectors } from './vectors.ts'

const OFF: EmbedStatus = {
  provider: 'off',
  model: null,
  dimensions: null,
  state: 'off',
  reason: null,
  texts: 0,
  indexed: 0,
  waiting: 0,
  refused: 0
}

export function embedStatus(vectors: Vectors | undefined): EmbedStatus {
  return vectors?.status() ?? OFF
}

export async function embedTest(vectors: Vectors | undefined, text: string): Promise<EmbedTest> {
  if (vectors === undefined) throw noEmbedder()
  return { ok: true, model: vectors.options.model, ...(await vectors.test(text)) }
}

export async function embedPending(
  vectors: Vectors | undefined,
  limit: number = LIMITS.embedBatchMax
): Promise<EmbedPending> {
  const own = byClients(vectors)
  const items = await own.pending(Math.min(Math.max(1, limit), LIMITS.embedBatchMax))
  const { model, dimensions, waiting } = own.status()
  return { model, dimensions, items, waiting }
}

export async function embedPut(
  vectors: Vectors | undefined,
  { model, items = [], queries = [] }: EmbedPut
): Promise<{ accepted: number; waiting: number }> {
  const own = byClients(vectors)
  if (model !== own.options.model) {
    throw new ChrysalisError(
      'conflict',
      `These are vectors of ${model}; this daemon keeps those of ${own.options.model}.`,
      {
        hint: 'Use that model, or set embed.model in the configuration of the daemon.'
      }
    )
  }
  const checked = items.map(({ textHash, vector }) => ({ textHash, vector: checkedVector(vector) }))
  const asked = queries.map(({ text, vector }) => ({ text, vector: checkedVector(vector) }))
  const accepted = await own.accept(checked)
  for (const { text, vector } of asked) own.acceptQuery(text, vector)
  return { accepted, waiting: own.status().waiting }
}

function checkedVector(numbers: readonly number[]): Float32Array {
  const vector = numbers.length > LIMITS.embedDimensionsMax ? undefined : unitVector(numbers)
  if (vector !== undefined) return vector
  throw new ChrysalisError(
    'invalid_argument',
    'A vector has no direction, or too many components; nothing was taken.',
    {
      hint: `At most ${LIMITS.embedDimensionsMax} finite numbers, not all of them zero.`
    }
  )
}

function byClients(vectors: Vectors | undefined): Vectors {
  if (vectors === undefined) throw noEmbedder()
  if (vectors.options.provider === 'client') return vectors
  throw new ChrysalisError(
    'invalid_state',
    `The embedder of this daemon is ${vectors.options.provider}, not its clients.`,
    {
      hint: 'Set embed.provider to client in the configuration, and start the daemon anew.'
    }
  )
}

function noEmbedder(): ChrysalisError {
  return new ChrysalisError('invalid_state', 'There is no embedder: recall goes by words alone.', {
    hint: 'Set embed.provider, in the configuration or as CHRYSALIS_EMBED_PROVIDER, and start the daemon anew.'
  })
}
