/**
 * A ticket as a home sees it: the key of a network and a space to add. What the text of a ticket means, and whether it
 * is genuine, is trust/ticket.ts; here is judged only whether a home can use it.
 */
import { createVerifier } from '../adapters/system/crypto.ts'
import { ChrysalisError } from '../base/errors.ts'
import { decodeTicket, type Ticket } from '../trust/ticket.ts'
import type { HomeSpace } from './home-files.ts'
import { isNetworkKey } from './keystore.ts'

/** Reads a pasted ticket. Throws ChrysalisError `ticket` for every reason it cannot be used; touches nothing. */
export function readTicket(text: string, nowMs: number): Ticket {
  const ticket = decodeTicket(text, createVerifier(), nowMs)
  if (!isNetworkKey(ticket.networkKey)) throw unusable('its network key is not one')
  if (ticket.genesisFields.policy === 'private') throw unusable('its space is private to the daemon that made it')
  return ticket
}

function unusable(why: string): ChrysalisError {
  return new ChrysalisError('ticket', `The ticket is genuine but cannot be used: ${why}. Nothing was touched.`, {
    hint: 'Ask whoever invites you for another one: chrysalis invite --space NAME.'
  })
}

/** The space a ticket brings, as the default space under its own name. */
export function ticketSpace(ticket: Ticket): HomeSpace {
  const { name, creator, policy } = ticket.genesisFields
  const redeem = { issuer: ticket.issuer, nonce: ticket.nonce }
  return { id: ticket.space, name, shared: true, isDefault: true, creator, policy, genesis: ticket.genesis, redeem }
}

/** A name for a space whose own is taken in this home: the start of its id makes it distinct, cut to fit if it must. */
export function distinctName(space: HomeSpace): string {
  const cut = space.name.length > 48 ? [...space.name].slice(0, 12).join('') : space.name
  return `${cut}-${space.id.slice(0, 8)}`
}
