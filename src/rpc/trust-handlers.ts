/** What the methods of trust and tokens do. Names of spaces become ids here, so that a token never means another space. */
import { ChrysalisError } from '../base/errors.ts'
import type { NodeApi } from '../node/api.ts'
import type { Handlers } from './handlers.ts'
import type { SpaceRight } from './identity.ts'

export const TRUST_HANDLERS: Pick<
  Handlers,
  'peer.trust' | 'trust.list' | 'memory.review' | 'token.add' | 'token.list' | 'token.revoke'
> = {
  'peer.trust': (params, { node }) => node.trustPeer(params),
  'trust.list': (_, { node }) => node.trustList(),
  'memory.review': (params, { node }) => node.review(params),
  'token.add': ({ spaces, ...request }, { node, control }) =>
    control.tokens.add({ ...request, ...(spaces === undefined ? {} : { spaces: withIds(node, spaces) }) }),
  'token.list': (_, { control }) => ({ required: control.tokens.required, tokens: control.tokens.list() }),
  'token.revoke': async ({ name }, { control }) => {
    await control.tokens.revoke(name)
    return { revoked: true }
  }
}

function withIds(
  node: NodeApi,
  rights: readonly { readonly space: string; readonly right: SpaceRight }[]
): { space: string; right: SpaceRight }[] {
  const known = node.spaces()
  return rights.map(({ space: reference, right }) => {
    const space = known.find((one) => one.id === reference) ?? known.find((one) => one.name === reference)
    if (space !== undefined) return { space: space.id, right }
    throw new ChrysalisError('not_found', `there is no space '${reference}' on this daemon; no token was made`, {
      hint: `Spaces here: ${known.map((one) => one.name).join(', ')}.`
    })
  })
}
