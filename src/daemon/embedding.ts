/**
 * The panes of the vectors from the configuration: which service embeds, with which key, and where indexes are kept. Here
 * it is decided what may leave the machine: a key only over an encrypted connection, and private memories only when the
 * owner has said so. It opens nothing: the first request is made when there is something to embed.
 */
import { isIP } from 'node:net'
import { HttpEmbedder } from '../adapters/embed/http-embedder.ts'
import { DiskShelf } from '../adapters/vector/shelf.ts'
import { ChrysalisError } from '../base/errors.ts'
import type { VectorPanes } from '../node/vectors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Config } from './config-schema.ts'

interface Around {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly logger: Logger
}

/** `root`: folder of the indexes. Undefined when there is no embedder. Throws `config`. */
export function vectorPanes(root: string, embed: Config['embed'], around: Around): VectorPanes | undefined {
  const { provider, model, batch, timeoutMs, queryTimeoutMs } = embed
  if (provider === 'off') return undefined
  const dimensions = embed.dimensions === 0 ? undefined : embed.dimensions
  const isNear = provider === 'client' || isThisMachine(embed.url, provider)
  const options = {
    provider,
    model,
    dimensions,
    batch,
    timeoutMs,
    queryTimeoutMs,
    includesPrivate: isNear || embed.privateSpaces
  }
  const shelf = new DiskShelf({ root, logger: around.logger })
  if (provider === 'client') return { options, shelf }
  const key = keyOf(embed, around.env)
  if (key !== undefined && !isNear && embed.url?.startsWith('http:') === true) {
    throw new ChrysalisError(
      'config',
      'embed.url is not encrypted, and the key of embed.apiKeyVariable would be sent there.',
      {
        hint: 'Use an https address, or a service on this machine.'
      }
    )
  }
  const embedder = new HttpEmbedder(
    {
      provider,
      model,
      dimensions,
      key,
      url: embed.url ?? undefined,
      keepAlive: embed.keepAlive ?? undefined,
      documentPrefix: embed.documentPrefix ?? undefined,
      queryPrefix: embed.queryPrefix ?? undefined
    },
    around.clock
  )
  return { options, embedder, shelf }
}

function keyOf({ apiKeyVariable: name }: Config['embed'], env: Around['env']): string | undefined {
  if (name === null) return undefined
  const key = env[name]?.trim()
  if (key !== undefined && key !== '') return key
  throw new ChrysalisError('config', `embed.apiKeyVariable names ${name}, and there is no such environment variable.`, {
    hint: `Set ${name} where the daemon is started, or remove the key from the configuration.`
  })
}

/** Whether what is sent there stays here. */
function isThisMachine(url: string | null, provider: 'ollama' | 'openai'): boolean {
  if (url === null) return provider === 'ollama'
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) === 4) return host.startsWith('127.')
  return host === '::1' || host === 'localhost'
}
