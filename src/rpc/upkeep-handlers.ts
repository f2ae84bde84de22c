/** What the methods of upkeep do: references become full ids, the rest is the engine's. */
import type { NodeApi, WriteOptions } from '../node/api.ts'
import type { Handlers } from './handlers.ts'

/** Resolves a full id, a unique prefix or key:NAME; from handlers.ts, which imports this file. */
type Resolve = (node: NodeApi, reference: string, space: string | undefined) => Promise<string>

type UpkeepMethod = `memory.${'promote' | 'consolidate' | 'undo' | 'restore' | 'audit'}`

export function upkeepHandlers(resolve: Resolve): Pick<Handlers, UpkeepMethod> {
  return {
    'memory.promote': async ({ ack, ids, ...request }, { node }) => {
      // `space` says where to, not where from: an id is looked for in every space.
      const full = await Promise.all(ids.map((id) => resolve(node, id, undefined)))
      return node.promote({ ...request, ids: full }, options(ack))
    },
    'memory.consolidate': (params, { node }) => node.consolidate(params),
    'memory.undo': async ({ ack, id, ...rest }, { node }) =>
      node.undo({ ...rest, id: await resolve(node, id, rest.space) }, options(ack)),
    'memory.restore': async ({ ack, id, ...rest }, { node }) =>
      node.restore({ ...rest, id: await resolve(node, id, rest.space) }, options(ack)),
    'memory.audit': (params, { node }) => node.rot(params)
  }
}

function options(ack: WriteOptions['ack'] | undefined): WriteOptions {
  return ack === undefined ? {} : { ack }
}
