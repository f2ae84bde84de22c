import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromBase64Url, fromHex, toBase64Url, toHex, utf8 } from '../../../src/base/bytes.ts'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { decodeCanonical, encodeCanonical, type CborValue } from '../../../src/memory/codec.ts'
import { encodeGenesis, spaceIdOf } from '../../../src/memory/names.ts'
import { decodeTicket, encodeTicket, type TicketFields } from '../../../src/trust/ticket.ts'
import { identity, value } from '../../support/sealed.ts'

const issuer = identity()
const GENESIS = encodeGenesis({
  version: 1,
  creator: toHex(issuer.publicKey),
  name: 'shared',
  policy: 'open',
  nonce: '01'.repeat(16),
  createdMs: 1_700_000_000_000
})
const FIELDS: TicketFields = {
  networkKey: utf8('/key/swarm/psk/1.0.0/\n/base16/\n' + '0a'.repeat(32) + '\n'),
  genesis: GENESIS,
  addresses: ['/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf'],
  expiresMs: 2_000,
  uses: 3,
  nonce: '0f'.repeat(16)
}
const TICKET = encodeTicket(FIELDS, issuer)
const ROOM = { bytesMax: 9_999 }

function refused(text: string, nowMs = 1_000): { message: string; what: unknown; hint: string } {
  try {
    decodeTicket(text, issuer, nowMs)
  } catch (error) {
    assert.ok(error instanceof ChrysalisError)
    assert.equal(error.code, 'ticket')
    assert.equal(error.stateTouched, false)
    return { message: error.message, what: error.data?.['what'], hint: error.hint ?? '' }
  }
  throw new Error('the ticket was accepted')
}

/** The ticket with one item replaced, signed anew by `by`, or with its old signature. */
function altered(at: number, item: CborValue, by?: typeof issuer): string {
  const items = [...(value(decodeCanonical(fromBase64Url(TICKET.slice(5)), ROOM)) as CborValue[])]
  items[at] = item
  if (by !== undefined) {
    const digest = by.sha384(encodeCanonical(items.slice(0, 8)))
    items[8] = by.sign(new Uint8Array([...utf8('chrysalis/ticket/1\0'), ...digest]))
  }
  return 'chz1:' + toBase64Url(encodeCanonical(items))
}

describe('a ticket', () => {
  it('carries its fields, the issuer and the space', () => {
    assert.match(TICKET, /^chz1:[A-Za-z0-9_-]+$/)
    const { issuer: by, space, genesisFields, ...fields } = decodeTicket(TICKET, issuer, 2_000)
    assert.deepEqual(fields, FIELDS)
    assert.equal(by, toHex(issuer.publicKey))
    assert.equal(space, spaceIdOf(issuer, GENESIS))
    assert.equal(genesisFields.name, 'shared')
  })

  it('survives the line breaks of a terminal', () => {
    const wrapped = `  ${TICKET.slice(0, 80)}\n${TICKET.slice(80, 160)}\r\n ${TICKET.slice(160)}\n`
    assert.deepEqual(decodeTicket(wrapped, issuer, 1), decodeTicket(TICKET, issuer, 1))
  })

  it('expires one millisecond after its time', () => {
    assert.equal(decodeTicket(TICKET, issuer, FIELDS.expiresMs).uses, 3)
    const late = refused(TICKET, FIELDS.expiresMs + 1)
    assert.deepEqual([late.what, late.message], ['expired', 'The ticket has expired'])
    assert.match(late.hint, /chrysalis invite/)
  })

  it('is told from other text', () => {
    for (const text of [
      '',
      'hello',
      'chz:abc',
      '12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf',
      'chz1:' + 'A'.repeat(LIMITS.ticketBytesMax)
    ]) {
      assert.equal(refused(text).what, 'not-a-ticket')
    }
  })

  it('is called cut short or damaged wherever it ends', () => {
    for (let length = 5; length < TICKET.length; length++) {
      assert.equal(refused(TICKET.slice(0, length)).what, 'damaged', `at ${length}`)
    }
    assert.equal(refused(TICKET + 'AAAA').what, 'damaged')
    assert.equal(refused('chz1:!!!!').what, 'damaged')
    assert.equal(refused('chz1:' + toBase64Url(encodeCanonical('text'))).what, 'damaged')
    assert.equal(refused('chz1:' + toBase64Url(encodeCanonical([1, 2]))).what, 'damaged')
  })

  it('is never accepted with one character changed', () => {
    for (let at = 5; at < TICKET.length; at += 7) {
      const other = TICKET[at] === 'A' ? 'B' : 'A'
      const { what } = refused(TICKET.slice(0, at) + other + TICKET.slice(at + 1))
      assert.ok(what === 'damaged' || what === 'signature' || what === 'newer-version', String(what))
    }
  })

  it('signs every item', () => {
    const others: CborValue[] = [
      1,
      utf8('other key'),
      encodeGenesis({ ...decodeTicket(TICKET, issuer, 1).genesisFields, name: 'x' }),
      [],
      9_999,
      0,
      new Uint8Array(16),
      identity(2).publicKey
    ]
    for (let at = 1; at < 8; at++) {
      assert.equal(refused(altered(at, others[at]!)).what, 'signature', `item ${at}`)
    }
    // The same change, signed by the one it names, is another sound ticket: the signature is what was missing.
    assert.equal(decodeTicket(altered(5, 0, issuer), issuer, 1).uses, 0)
  })

  it('refuses an unsound issuer key whatever it signed', () => {
    // R = A = identity and S = 0 satisfy the equation for every message; only the key rule stands against it.
    const identityPoint = fromHex('01' + '00'.repeat(31))
    const items = [...(value(decodeCanonical(fromBase64Url(altered(7, identityPoint).slice(5)), ROOM)) as CborValue[])]
    items[8] = new Uint8Array([...identityPoint, ...new Uint8Array(32)])
    assert.equal(refused('chz1:' + toBase64Url(encodeCanonical(items))).what, 'signature')
  })

  it('says so when it comes from a newer version', () => {
    for (const text of ['chz2:abc', altered(0, 2, issuer)]) {
      const newer = refused(text)
      assert.equal(newer.what, 'newer-version')
      assert.match(newer.hint, /Upgrade/)
    }
  })

  it('keeps its bounds when made and when read', () => {
    const made = (changes: Partial<TicketFields>) => {
      try {
        return encodeTicket({ ...FIELDS, ...changes }, issuer).slice(0, 5)
      } catch (error) {
        return error instanceof ChrysalisError ? error.code : error
      }
    }
    assert.equal(made({ networkKey: new Uint8Array(128) }), 'chz1:')
    assert.equal(made({ networkKey: new Uint8Array(129) }), 'invalid_argument')
    const addresses = (count: number) => new Array<string>(count).fill('/ip4/127.0.0.1/tcp/1')
    assert.equal(made({ addresses: addresses(LIMITS.ticketAddressesMax) }), 'chz1:')
    assert.equal(made({ addresses: addresses(LIMITS.ticketAddressesMax + 1) }), 'invalid_argument')
    assert.equal(made({ addresses: ['/dns4/' + 'x'.repeat(LIMITS.ticketBytesMax)] }), 'too_large')
    assert.equal(made({ genesis: utf8('no genesis') }), 'invalid_argument')
    assert.equal(made({ nonce: '00' }), 'invalid_argument')
    assert.equal(refused(altered(1, new Uint8Array(129), issuer)).what, 'damaged')
    assert.equal(refused(altered(2, utf8('no genesis'), issuer)).what, 'damaged')
    assert.equal(refused(altered(3, [1], issuer)).what, 'damaged')
    assert.equal(refused(altered(4, 'soon', issuer)).what, 'damaged')
  })
})
