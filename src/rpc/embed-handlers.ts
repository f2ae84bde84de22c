/** What the methods of embed.* do. */
import type { MethodName } from './schema/methods.ts'
import type { Handlers } from './handlers.ts'

const TEST_TEXT = 'Deploys freeze on Fridays after 15:00 UTC.'

export const EMBED_HANDLERS: Pick<Handlers, Extract<MethodName, `embed.${string}`>> = {
  'embed.status': (_, { node }) => node.embedStatus(),
  'embed.test': ({ text }, { node }) => node.embedTest(text ?? TEST_TEXT),
  'embed.pending': (params, { node }) => node.embedPending(params),
  'embed.put': (params, { node }) => node.embedPut(params)
}
