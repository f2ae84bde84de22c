/** Hostile bytes, one kind at a time, on the path every foreign delta takes: each is refused for its own reason. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { concatBytes, fromHex, toHex, utf8 } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { encodeCanonical } from '../../../src/memory/codec.ts'
import {
  decodeDelta,
  decodeFrame,
  encodeDelta,
  encodeFrame,
  encodeHeader,
  RECORD_BYTES_MAX
} from '../../../src/memory/delta-codec.ts'
import { encodeBody } from '../../../src/memory/ops-codec.ts'
import { sealDelta } from '../../../src/memory/seal.ts'
import { verifyDelta } from '../../../src/memory/verify.ts'
import { admit } from '../../../src/trust/admit.ts'
import { draft, header, identity, note, reason, record, recordWith, SPACE, value } from '../../support/sealed.ts'

const crypto = identity()
const sealed = sealDelta(draft(), crypto)
const good = encodeDelta(sealed)
const facts = { space: SPACE, policy: 'open', creator: toHex(crypto.publicKey) } as const

/** Frame, record, signature, space: the stages of a foreign delta. */
function verdict(recordBytes: Uint8Array): string {
  const [bytes] = value(decodeFrame(encodeFrame([recordBytes])))
  const delta = decodeDelta(bytes!, crypto)
  if (!delta.ok) return delta.reason
  const verified = verifyDelta(delta.value, crypto)
  if (!verified.ok) return verified.reason
  const admission = admit(verified.value.header, facts)
  return admission.ok ? 'accepted' : admission.reason
}

/** The good record around a header or body written by hand, signed by the author all the same. */
const aroundHeader = (headerBytes: Uint8Array) => record(crypto, headerBytes, sealed.bodyBytes)
function aroundBody(body: Uint8Array): Uint8Array {
  return record(crypto, encodeHeader(header(crypto, body)), body)
}

describe('bad bytes', () => {
  it('are told from good ones', () => {
    assert.equal(verdict(good), 'accepted')
  })

  it('truncated anywhere: not-cbor', () => {
    for (let length = 0; length < good.length; length++) assert.equal(verdict(good.subarray(0, length)), 'not-cbor')
  })

  it('extended: not-cbor', () => {
    assert.equal(verdict(concatBytes(good, new Uint8Array(1))), 'not-cbor')
  })

  it('a header cut short or extended inside its byte string: not-cbor, though signed', () => {
    assert.equal(verdict(aroundHeader(sealed.headerBytes.subarray(0, 40))), 'not-cbor')
    assert.equal(verdict(aroundHeader(concatBytes(sealed.headerBytes, new Uint8Array(1)))), 'not-cbor')
  })

  it('oversize: too-large', () => {
    assert.equal(reason(decodeDelta(new Uint8Array(RECORD_BYTES_MAX + 1), crypto)), 'too-large')
    assert.equal(verdict(aroundHeader(encodeCanonical(['x'.repeat(LIMITS.deltaHeaderBytesMax)]))), 'too-large')
    assert.equal(verdict(aroundBody(encodeBody(note('x'.repeat(LIMITS.contentBytesMax + 1))))), 'too-large')
    assert.equal(reason(decodeFrame(new Uint8Array(LIMITS.gossipFrameBytesMax + 1))), 'too-large')
  })

  it('non-canonical, in record, header and body alike: not-canonical, though signed', () => {
    const indefinite = concatBytes(fromHex('9f'), good.subarray(1), fromHex('ff'))
    assert.equal(verdict(indefinite), 'not-canonical')
    const longVersion = concatBytes(fromHex('8b1801'), sealed.headerBytes.subarray(2))
    assert.equal(verdict(aroundHeader(longVersion)), 'not-canonical')
    const longLength = concatBytes(fromHex('9802'), sealed.bodyBytes!.subarray(1))
    assert.equal(verdict(aroundBody(longLength)), 'not-canonical')
    assert.equal(verdict(aroundBody(fromHex('81a0'))), 'not-canonical')
    assert.equal(verdict(aroundBody(fromHex('81830600f93c00'))), 'not-canonical')
  })

  it('a depth bomb: too-large', () => {
    assert.equal(verdict(aroundBody(new Uint8Array(60_000).fill(0x81))), 'too-large')
    assert.equal(verdict(new Uint8Array(60_000).fill(0x81)), 'too-large')
  })

  it('an item bomb: too-large', () => {
    assert.equal(verdict(aroundBody(encodeCanonical(new Array<number>(60_000).fill(0)))), 'too-large')
  })

  it('a length bomb: not-cbor', () => {
    for (const bomb of ['9affffffff', '9bffffffffffffffff', '5bffffffffffffffff', '837affffffff']) {
      assert.equal(verdict(fromHex(bomb)), 'not-cbor')
      assert.equal(verdict(aroundBody(fromHex(bomb))), 'not-cbor')
    }
  })

  it('the wrong shape: shape', () => {
    assert.equal(verdict(encodeCanonical(['not', 'a', 'delta'])), 'shape')
    assert.equal(verdict(aroundHeader(encodeCanonical([1, 2, 3]))), 'shape')
    assert.equal(verdict(aroundBody(encodeCanonical([[2, 0, 0, 7]]))), 'shape')
  })

  it('another body: body-hash', () => {
    assert.equal(verdict(record(crypto, sealed.headerBytes, encodeBody(note('hellp')))), 'body-hash')
    assert.equal(verdict(record(crypto, sealed.headerBytes, null)), 'body-hash')
  })

  it('an unknown version: unsupported-version', () => {
    assert.equal(verdict(recordWith({ version: 2 as 1 })), 'unsupported-version')
    assert.equal(verdict(aroundHeader(encodeCanonical([7]))), 'unsupported-version')
  })

  it('an impossible chain: chain-shape', () => {
    assert.equal(verdict(recordWith({ seq: 4 })), 'chain-shape')
  })

  it('mis-signed: bad-signature', () => {
    const stranger = identity(2)
    const claimed = encodeHeader(header(crypto, sealed.bodyBytes!))
    assert.equal(verdict(record(stranger, claimed, sealed.bodyBytes)), 'bad-signature')
    assert.equal(
      verdict(encodeCanonical([sealed.headerBytes, crypto.sign(sealed.headerBytes), sealed.bodyBytes])),
      'bad-signature'
    )
    const untagged = crypto.sign(fromHex(sealed.fingerprint))
    assert.equal(verdict(encodeCanonical([sealed.headerBytes, untagged, sealed.bodyBytes])), 'bad-signature')
  })

  it('an unsound key: bad-key', () => {
    for (const author of ['01' + '00'.repeat(31), '00'.repeat(32), 'ff'.repeat(32)]) {
      assert.equal(verdict(recordWith({ author })), 'bad-key')
    }
  })

  it('replayed into another space: wrong-space as it is, bad-signature when rewritten', () => {
    const elsewhere = { ...facts, space: 'cc'.repeat(16) }
    const checked = admit(sealed.header, elsewhere)
    assert.equal(checked.ok ? 'accepted' : checked.reason, 'wrong-space')
    const moved = encodeHeader({ ...sealed.header, space: 'cc'.repeat(16) })
    const delta = value(decodeDelta(encodeCanonical([moved, sealed.signature, sealed.bodyBytes]), crypto))
    assert.equal(reason(verifyDelta(delta, crypto)), 'bad-signature')
  })

  it('arbitrary text and noise never throw', () => {
    for (const bytes of [utf8('GET / HTTP/1.1\r\n\r\n'), new Uint8Array(0), utf8('{"v":1}'), fromHex('deadbeef')]) {
      assert.equal(decodeDelta(bytes, crypto).ok, false)
      assert.equal(decodeFrame(bytes).ok, false)
    }
  })
})
