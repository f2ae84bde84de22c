/** What the local door may ask of the daemon as a whole: stop, let others in, join others, say how it is configured. */
import { systemClock } from '../adapters/system/clock.ts'
import { ChrysalisError } from '../base/errors.ts'
import type { Node } from '../node/node.ts'
import type { Admission, Control, Invitation } from '../rpc/control.ts'
import type { Tokens } from '../rpc/identity.ts'
import type { LoadedConfig } from './config.ts'
import { joinWithTicket, type OpenHome } from './home.ts'
import type { Invitations } from './invitations.ts'

export interface ControlParts {
  readonly home: OpenHome
  readonly node: Node
  readonly loaded: LoadedConfig
  readonly invitations: Invitations
  readonly tokens: Tokens
  readonly onStop: () => void
  readonly onRestart: () => void
}

const EXPIRES_IN_MS = 3_600_000
const EXPIRES_IN_MS_MAX = 30 * 86_400_000
const USES = 1
/** The answer to `space.join` must leave before the door closes. */
const RESTART_DELAY_MS = 200

export function createControl(parts: ControlParts): Control {
  return {
    stop: parts.onStop,
    invite: (request) => invite(parts, request),
    join: (request) => join(parts, request),
    tokens: parts.tokens,
    configuration: () => parts.loaded.entries.map(({ key, value, source }) => ({ key, value, source }))
  }
}

async function invite(
  { home, node, invitations }: ControlParts,
  request: { space?: string; expiresInMs?: number; uses?: number }
): Promise<Invitation> {
  const wanted = node.spaceTable.find(request.space)
  const space = home.spaces.find((one) => one.id === wanted.id)
  if (space === undefined) throw new ChrysalisError('not_found', `no space ${request.space ?? ''} in this home`)
  const expiresInMs = request.expiresInMs ?? EXPIRES_IN_MS
  if (expiresInMs < 1_000 || expiresInMs > EXPIRES_IN_MS_MAX) {
    throw new ChrysalisError('invalid_argument', `a ticket cannot last ${expiresInMs} ms; nothing was made`, {
      hint: 'Choose from one second to thirty days.'
    })
  }
  const uses = request.uses ?? USES
  const expiresAtMs = systemClock.nowMs() + expiresInMs
  const ticket = await invitations.issue(space, { expiresMs: expiresAtMs, uses })
  return { ticket, space: space.name, expiresAtMs, uses }
}

async function join(
  { home, node, onRestart }: ControlParts,
  request: { ticket: string; force?: boolean }
): Promise<Admission> {
  const report = await joinWithTicket(
    {
      home: home.paths.home,
      ticket: request.ticket,
      force: request.force,
      hasSharedData: () => node.spaces().some((space) => space.shared && space.deltas > 0)
    },
    { nowMs: systemClock.nowMs() }
  )
  // The new space is served from the next composition on, in this same process.
  setTimeout(onRestart, RESTART_DELAY_MS)
  return { space: report.space, addresses: report.addresses, restarting: true }
}
