/**
 * An embedding service for tests: a real HTTP server that speaks both protocols, with a model of its own that is the same
 * on every machine. Words of one group of synonyms share an axis, so a paraphrase is near; every word also leaves a
 * little residue of its own, so that equal words are nearer still. It can be told to misbehave in every way a service can.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'

/** Each group is one axis. */
const CONCEPTS: readonly (readonly string[])[] = [
  ['car', 'cars', 'automobile', 'vehicle', 'sedan'],
  ['buy', 'bought', 'purchase', 'purchased', 'acquire', 'acquired'],
  ['doctor', 'physician', 'medic', 'surgeon'],
  ['deploy', 'release', 'rollout', 'ship', 'shipping', 'releases'],
  ['friday', 'weekend', 'saturday'],
  ['error', 'failure', 'crash', 'fault', 'bug'],
  ['fast', 'quick', 'rapid', 'speedy', 'latency'],
  ['cat', 'feline', 'kitten'],
  ['money', 'budget', 'cash', 'funds'],
  ['secret', 'password', 'credential']
]

const AXES = new Map(CONCEPTS.flatMap((words, axis) => words.map((word) => [word, axis] as const)))

/** What a word adds along its axis, against 1 for its residue. */
const CONCEPT_WEIGHT = 3

/** How it answers the next requests. */
export type Mood =
  | 'well'
  /** Takes the request and says nothing. */
  | 'hang'
  /** Accepts connections and drops them. */
  | 'drop'
  | 'not-json'
  | 'nan'
  | 'null'
  | 'huge-number'
  | 'zero'
  | 'too-few'
  | 'too-many'
  | 'no-list'
  | 'oversized'
  | 'redirect'
  /** Rows in another order, with their index; of OpenAI's protocol only. */
  | 'shuffled'
  /** Two rows of one index. */
  | 'doubled'
  | number

export interface EmbedServer {
  readonly url: string
  readonly port: number
  /** `well` at the start; a number is a status. */
  mood: Mood
  /** Components of each vector. */
  dimensions: number
  /** Before each answer. */
  delayMs: number
  /** A request with a text that contains this is answered with status 500. */
  poison: string | undefined
  /** What was asked, in order. */
  readonly requests: readonly EmbedQuestion[]
  /** Texts that got their vectors. */
  readonly embedded: number
  close(): Promise<void>
}

export interface EmbedQuestion {
  readonly path: string
  readonly texts: readonly string[]
  readonly body: Readonly<Record<string, unknown>>
  readonly authorization: string | undefined
}

/** The vector of a text; not of length 1, as models may answer. */
export function embedText(text: string, dimensions: number): number[] {
  const vector = new Array<number>(dimensions).fill(0)
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    const axis = AXES.get(word)
    if (axis !== undefined) vector[axis % dimensions] = (vector[axis % dimensions] ?? 0) + CONCEPT_WEIGHT
    let hash = 2_166_136_261
    for (const unit of word) hash = Math.imul(hash ^ (unit.codePointAt(0) ?? 0), 16_777_619) >>> 0
    // Spread over the axes behind those of the concepts, both signs.
    const room = Math.max(1, dimensions - CONCEPTS.length)
    for (let i = 0; i < 4; i++) {
      hash = Math.imul(hash ^ (hash >>> 15), 2_246_822_519) >>> 0
      const at = Math.min(dimensions - 1, CONCEPTS.length + (hash % room))
      vector[at] = (vector[at] ?? 0) + ((hash & 0x8000) === 0 ? 0.5 : -0.5)
    }
  }
  if (!vector.some((component) => component !== 0)) vector[dimensions - 1] = 1
  return vector
}

/** `port`: one that is known to be free, to come back under the same address; any when omitted. */
export async function startEmbedServer(options: { dimensions?: number; port?: number } = {}): Promise<EmbedServer> {
  const requests: EmbedQuestion[] = []
  const server = createServer((request, response) => {
    void answer(state, requests, request, response).catch(() => response.destroy())
  })
  server.keepAliveTimeout = 60_000
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const state = {
    url: `http://127.0.0.1:${port}`,
    port,
    mood: 'well' as Mood,
    dimensions: options.dimensions ?? 64,
    delayMs: 0,
    poison: undefined as string | undefined,
    requests,
    embedded: 0,
    close: () => closeServer(server)
  }
  return state
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

type State = { -readonly [K in keyof EmbedServer]: EmbedServer[K] }

async function answer(
  state: State,
  requests: EmbedQuestion[],
  request: IncomingMessage,
  response: ServerResponse
): Promise<void> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  const body = JSON.parse(Buffer.concat(pieces).toString()) as Record<string, unknown>
  const input = body['input']
  const texts = Array.isArray(input) ? input.map(String) : [String(input)]
  const path = request.url ?? ''
  requests.push({ path, texts, body, authorization: request.headers.authorization })
  const { mood } = state
  if (state.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, state.delayMs))
  if (mood === 'hang') return
  if (mood === 'drop') return void request.socket.destroy()
  if (mood === 'redirect') return void response.writeHead(307, { location: state.url + path }).end()
  if (typeof mood === 'number') return void response.writeHead(mood, { 'retry-after': '0' }).end('{"error":"no"}')
  const { poison } = state
  if (poison !== undefined && texts.some((text) => text.includes(poison))) return void response.writeHead(500).end('{}')
  if (path !== '/api/embed' && path !== '/v1/embeddings') return void response.writeHead(404).end('{}')
  response.writeHead(200, { 'content-type': 'application/json' })
  if (mood === 'not-json') return void response.end('<html>well</html>')
  if (mood === 'no-list') return void response.end('{"embeddings":7,"data":"none"}')
  if (mood === 'oversized') {
    response.write(`{"embeddings":[[`)
    return pour(response)
  }
  const vectors = texts.map((text) => written(embedText(text, state.dimensions), mood))
  if (mood === 'too-few') vectors.pop()
  if (mood === 'too-many') vectors.push(vectors[0] ?? '[]')
  if (mood === 'well' || mood === 'shuffled') state.embedded += texts.length
  response.end(path === '/api/embed' ? `{"embeddings":[${vectors.join()}]}` : openai(vectors, mood))
}

function written(vector: number[], mood: Mood): string {
  if (mood === 'zero') return JSON.stringify(vector.map(() => 0))
  const text = JSON.stringify(vector)
  if (mood === 'nan') return text.replace(/-?[\d.]+/, 'NaN')
  if (mood === 'null') return text.replace(/-?[\d.]+/, 'null')
  if (mood === 'huge-number') return text.replace(/-?[\d.]+/, '1e999')
  return text
}

function openai(vectors: readonly string[], mood: Mood): string {
  const rows = vectors.map((vector, index) => `{"index":${mood === 'doubled' ? 0 : index},"embedding":${vector}}`)
  if (mood === 'shuffled') rows.reverse()
  return `{"object":"list","data":[${rows.join()}]}`
}

/** Numbers without end. */
function pour(response: ServerResponse): void {
  const piece = '0.123456,'.repeat(10_000)
  const more = (): void => {
    while (!response.destroyed && response.write(piece));
  }
  response.on('drain', more)
  more()
}
