/**
 * A process of an agent as the embedder of a daemon (`embed.provider = "client"`): it asks which texts wait, makes their
 * vectors with a function of its own, and brings them. Nothing is remembered here; two processes may do it at once, and
 * the vector that comes second is let go.
 */
import { ChrysalisError } from '../base/errors.ts'
import type { MethodName, Params, Result } from './schema/methods.ts'

/** One vector a text, in order. Of any length above zero; all of one call with equally many components. */
export type EmbedFunction = (texts: readonly string[]) => Promise<readonly (readonly number[])[]>

/** The part of a client that is needed here. */
interface Caller {
  call<M extends MethodName>(method: M, params: Params<M>): Promise<Result<M>>
}

/** Vectors in one call: as numbers in JSON they are large, and a frame of the door holds a mebibyte. */
const PUT_NUMBERS_MAX = 32_768

/**
 * Makes vectors until no text waits, and resolves with how many were taken. Rejects with the errors of the door, with
 * what the function rejects with, and with `invalid_argument` when it answers with another number of vectors.
 */
export async function embedPending(client: Caller, embed: EmbedFunction): Promise<number> {
  let taken = 0
  for (;;) {
    const { model, items } = await client.call('embed.pending', {})
    if (items.length === 0) return taken
    const vectors = await vectorsOf(
      embed,
      items.map(({ text }) => text)
    )
    const made = items.map(({ textHash }, i) => ({ textHash, vector: [...(vectors[i] ?? [])] }))
    let accepted = 0
    for (const part of parts(made)) accepted += (await client.call('embed.put', { model, items: part })).accepted
    taken += accepted
    // Another process was quicker, or the texts are gone: asking again at once would find the same.
    if (accepted === 0) return taken
  }
}

/** Has the next recall with exactly these words go by meaning as well. */
export async function embedQuery(client: Caller, embed: EmbedFunction, text: string): Promise<void> {
  const { model } = await client.call('embed.status', {})
  const [vector] = await vectorsOf(embed, [text])
  if (model === null || vector === undefined) return
  await client.call('embed.put', { model, queries: [{ text, vector: [...vector] }] })
}

async function vectorsOf(embed: EmbedFunction, texts: readonly string[]): Promise<readonly (readonly number[])[]> {
  const vectors = await embed(texts)
  if (vectors.length === texts.length) return vectors
  throw new ChrysalisError(
    'invalid_argument',
    `The embed function gave ${vectors.length} vectors for ${texts.length} texts; none was sent.`,
    { hint: 'It must give one vector for each text, in order.' }
  )
}

function* parts<T extends { readonly vector: readonly number[] }>(items: readonly T[]): Generator<T[]> {
  let part: T[] = []
  let numbers = 0
  for (const item of items) {
    if (part.length > 0 && numbers + item.vector.length > PUT_NUMBERS_MAX) {
      yield part
      part = []
      numbers = 0
    }
    part.push(item)
    numbers += item.vector.length
  }
  if (part.length > 0) yield part
}
