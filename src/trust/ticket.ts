/**
 * An invitation as one line of text that a person can paste: what a new daemon needs to join a network and a space, and
 * who invites it (docs/WIRE.md §7). It is a secret while it is valid: it contains the network key.
 *
 * `chz1:` and base64url of a canonical array, signed by the issuer, so that a mistyped, cut or altered ticket is told
 * apart from an expired one. How often a ticket is redeemed is counted by its issuer, not by the ticket.
 */
import { ChrysalisError, type ErrorDetails } from '../base/errors.ts'
import { concatBytes, fromBase64Url, fromHex, toBase64Url, utf8, type Bytes, type Hex } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { decodeCanonical, encodeCanonical, hexOf, isBytes, isUint, type CborValue } from '../memory/codec.ts'
import type { Checked } from '../memory/delta.ts'
import type { AuthorId, SpaceId } from '../memory/ids.ts'
import { decodeGenesis, spaceIdOf, WALL_MS_MAX, type Genesis } from '../memory/names.ts'
import type { Hasher, Signer, Verifier } from '../ports/crypto.ts'

const PREFIX = 'chz1:'
const TICKET_TAG = utf8('chrysalis/ticket/1\0')
const TICKET_VERSION = 1
const NETWORK_KEY_BYTES_MAX = 128
const NONCE_BYTES = 16
const USES_MAX = 0xffff_ffff

export interface TicketFields {
  /** The pre-shared key file of the network, as bytes: at most 128. */
  readonly networkKey: Bytes
  /** The space, as encoded by encodeGenesis. */
  readonly genesis: Bytes
  /** Multiaddrs that answered when the ticket was made, at most LIMITS.ticketAddressesMax. */
  readonly addresses: readonly string[]
  /** Wall milliseconds after which the ticket is refused. */
  readonly expiresMs: number
  /** How many daemons the issuer will let in with it; 0 for no bound. */
  readonly uses: number
  /** 16 bytes; the issuer's name for this ticket. */
  readonly nonce: Hex
}

export interface Ticket extends TicketFields {
  readonly issuer: AuthorId
  /** Derived from the genesis. */
  readonly space: SpaceId
  readonly genesisFields: Genesis
}

/** Throws ChrysalisError `too_large` when the text would exceed LIMITS.ticketBytesMax, `invalid_argument` on bad fields. */
export function encodeTicket(fields: TicketFields, crypto: Hasher & Signer): string {
  const items: CborValue[] = [
    TICKET_VERSION,
    fields.networkKey,
    fields.genesis,
    fields.addresses,
    fields.expiresMs,
    fields.uses,
    fromHex(fields.nonce),
    crypto.publicKey
  ]
  const text = PREFIX + toBase64Url(encodeCanonical([...items, crypto.sign(ticketMessage(items, crypto))]))
  if (text.length > LIMITS.ticketBytesMax) {
    throw new ChrysalisError(
      'too_large',
      `The ticket would have ${text.length} characters, at most ${LIMITS.ticketBytesMax}`,
      {
        hint: 'Name fewer or shorter addresses in it.'
      }
    )
  }
  if (readFields(items) === undefined || !decodeGenesis(fields.genesis).ok) {
    throw new ChrysalisError('invalid_argument', 'The ticket has a field out of bounds', {
      hint: `It takes a network key of at most ${NETWORK_KEY_BYTES_MAX} bytes, a genesis, at most ${LIMITS.ticketAddressesMax} addresses, an expiry and a 16-byte nonce.`
    })
  }
  return text
}

/**
 * Reads a pasted ticket; white space in it, such as the line breaks of a terminal, does not matter. Throws ChrysalisError
 * `ticket` saying whether it is none at all, of a newer version, cut short, altered or expired.
 */
export function decodeTicket(text: string, crypto: Hasher & Verifier, nowMs: number): Ticket {
  const items = ticketItems(text.replace(/\s+/g, ''))
  const signature = items[8]
  const fields = readFields(items.slice(0, 8))
  if (items.length !== 9 || fields === undefined || !isBytes(signature, 64)) throw damaged('a part of it is missing')
  const message = ticketMessage(items.slice(0, 8), crypto)
  const publicKey = fromHex(fields.issuer)
  if (!crypto.keyOk(publicKey) || !crypto.verify({ publicKey, message, signature })) {
    throw refusal('The signature of the ticket does not match: it was altered or mistyped', 'signature')
  }
  const genesis: Checked<Genesis> = decodeGenesis(fields.genesis)
  if (!genesis.ok) throw genesis.reason === 'unsupported-version' ? newer() : damaged('its space is unreadable')
  if (nowMs > fields.expiresMs) {
    throw refusal('The ticket has expired', 'expired', { data: { expiresMs: fields.expiresMs, nowMs } })
  }
  return { ...fields, space: spaceIdOf(crypto, fields.genesis), genesisFields: genesis.value }
}

function ticketItems(text: string): readonly CborValue[] {
  const prefix = /^chz([0-9]+):/.exec(text)
  if (prefix === null) {
    throw refusal(`This is not a ticket: a ticket starts with ${PREFIX}`, 'not-a-ticket')
  }
  if (prefix[0] !== PREFIX) throw newer()
  if (text.length > LIMITS.ticketBytesMax) {
    throw refusal(`This is not a ticket: it is longer than ${LIMITS.ticketBytesMax} characters`, 'not-a-ticket')
  }
  let bytes: Bytes
  try {
    bytes = fromBase64Url(text.slice(PREFIX.length))
  } catch (cause) {
    throw damaged('it holds a character that no ticket has, or the last ones are missing', cause)
  }
  const decoded = decodeCanonical(bytes, { bytesMax: LIMITS.ticketBytesMax })
  if (!decoded.ok) throw damaged(decoded.detail)
  const items = decoded.value
  if (!Array.isArray(items) || !isUint(items[0])) throw damaged('it does not hold what a ticket holds')
  if (items[0] !== TICKET_VERSION) throw newer()
  return items as readonly CborValue[]
}

/** Undefined unless the eight signed items have the right types and bounds. */
function readFields(items: readonly CborValue[]): (TicketFields & { issuer: AuthorId }) | undefined {
  const [version, networkKey, genesis, addresses, expiresMs, uses, nonceBytes, issuerBytes] = items
  const nonce = hexOf(nonceBytes, NONCE_BYTES)
  const issuer = hexOf(issuerBytes, 32)
  if (version !== TICKET_VERSION || nonce === undefined || issuer === undefined) return undefined
  if (!(networkKey instanceof Uint8Array) || networkKey.length > NETWORK_KEY_BYTES_MAX) return undefined
  if (!(genesis instanceof Uint8Array)) return undefined
  if (!isUint(expiresMs, WALL_MS_MAX) || !isUint(uses, USES_MAX)) return undefined
  if (!Array.isArray(addresses) || addresses.length > LIMITS.ticketAddressesMax) return undefined
  const texts = (addresses as readonly CborValue[]).filter((address) => typeof address === 'string')
  if (texts.length !== addresses.length) return undefined
  return { networkKey, genesis, addresses: texts, expiresMs, uses, nonce, issuer }
}

function ticketMessage(items: readonly CborValue[], hasher: Hasher): Bytes {
  return concatBytes(TICKET_TAG, hasher.sha384(encodeCanonical(items)))
}

const ASK_AGAIN = 'Ask for a new one: whoever invites you runs `chrysalis invite`. Nothing was changed here.'

function refusal(message: string, what: string, details: ErrorDetails = {}): ChrysalisError {
  return new ChrysalisError('ticket', message, { hint: ASK_AGAIN, ...details, data: { what, ...details.data } })
}

function damaged(detail: string, cause?: unknown): ChrysalisError {
  return refusal(`The ticket is cut short or damaged: ${detail}`, 'damaged', {
    cause,
    hint: `Copy the whole line again. ${ASK_AGAIN}`
  })
}

function newer(): ChrysalisError {
  return refusal('The ticket was made by a newer version of Chrysalis', 'newer-version', {
    hint: 'Upgrade Chrysalis on this machine, then join again. Nothing was changed here.'
  })
}
