/** The embedder of the fake node: one text waits, and every vector is taken. */
import type { EmbedApi, EmbedStatus } from '../../src/node/embed-api.ts'

const STATUS: EmbedStatus = {
  provider: 'client',
  model: 'fake-model',
  dimensions: 4,
  state: 'stale',
  reason: null,
  texts: 3,
  indexed: 2,
  waiting: 1,
  refused: 0
}

/** `enter`: notes the call, and fails or waits where a test wants it. */
export function fakeEmbed(enter: (method: string, ...args: unknown[]) => Promise<void>): EmbedApi {
  return {
    embedStatus: () => STATUS,
    async embedTest(text) {
      await enter('embedTest', text)
      return { ok: true, model: 'fake-model', dimensions: 4, tookMs: 7 }
    },
    async embedPending(request) {
      await enter('embedPending', request)
      return { model: 'fake-model', dimensions: 4, items: [{ textHash: 'ab'.repeat(16), text: 'a text' }], waiting: 1 }
    },
    async embedPut(request) {
      await enter('embedPut', request)
      return { accepted: request.items?.length ?? 0, waiting: 0 }
    }
  }
}
