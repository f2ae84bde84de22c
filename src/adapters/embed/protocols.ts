/**
 * The two ways in which embedding services are spoken to, as a body to send and a way to read the answer:
 * Ollama `POST /api/embed` (docs/api.md of Ollama) and the `POST /v1/embeddings` of OpenAI, which many others speak.
 * Nothing is judged here but the shape of the answer; the vectors are checked by whoever asked.
 */
import { failure } from './http-json.ts'

export interface Protocol {
  readonly path: string
  /** Where the service usually is. */
  readonly defaultUrl: string
  body(texts: readonly string[], options: ProtocolOptions): unknown
  /** One list of numbers a text, in the order of the texts; what they are is not checked. */
  vectors(answer: unknown, count: number): readonly unknown[]
}

export interface ProtocolOptions {
  readonly model: string
  /** Asked for, where the model can give fewer than it has. */
  readonly dimensions: number | undefined
  /** How long Ollama is to keep the model in memory, as it spells durations. */
  readonly keepAlive: string | undefined
}

const ollama: Protocol = {
  path: '/api/embed',
  defaultUrl: 'http://127.0.0.1:11434',
  body: (texts, { model, dimensions, keepAlive }) => ({
    model,
    input: texts,
    truncate: true,
    ...(dimensions === undefined ? {} : { dimensions }),
    ...(keepAlive === undefined ? {} : { keep_alive: keepAlive })
  }),
  vectors: (answer) => listOf(field(answer, 'embeddings'), 'embeddings')
}

const openai: Protocol = {
  path: '/v1/embeddings',
  defaultUrl: 'https://api.openai.com',
  body: (texts, { model, dimensions }) => ({
    model,
    input: texts,
    encoding_format: 'float',
    ...(dimensions === undefined ? {} : { dimensions })
  }),
  vectors: (answer, count) => {
    const rows = listOf(field(answer, 'data'), 'data')
    if (rows.length !== count) return rows
    const vectors = new Array<unknown>(count)
    for (const [position, row] of rows.entries()) {
      // Services may answer in another order, and say so.
      const index = field(row, 'index') ?? position
      if (!Number.isInteger(index) || (index as number) < 0 || (index as number) >= count) {
        throw misshapen(`has a row with index ${String(index)} among ${count} texts`)
      }
      if (vectors[index as number] !== undefined) throw misshapen(`has two rows with index ${String(index)}`)
      vectors[index as number] = field(row, 'embedding')
    }
    return vectors
  }
}

export const PROTOCOLS = { ollama, openai } as const
export type ProtocolName = keyof typeof PROTOCOLS

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}

function listOf(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw misshapen(`has no list \`${name}\``)
  return value as unknown[]
}

function misshapen(what: string): Error {
  return failure('unavailable', `The answer of the embedder ${what}.`, {}, 'Does embed.provider fit embed.url?')
}
