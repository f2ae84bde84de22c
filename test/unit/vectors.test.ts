/**
 * Golden vectors: what the wire looked like when it was fixed. Every byte string in test/vectors is computed again from
 * a fixed seed and fixed times and must not have changed; a second implementation can be tested against the same files.
 * Regenerate with UPDATE_GOLDEN=1, and only together with a new wire version in CHANGELOG.md.
 *
 * The hashes and signatures are computed a second time from the files alone, with node:crypto and none of our code.
 */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createCrypto } from '../../src/adapters/system/crypto.ts'
import { concatBytes, fromBase64Url, fromHex, toHex, utf8 } from '../../src/base/bytes.ts'
import { authorToPeerId } from '../../src/base/peer-id.ts'
import { decodeCanonical, encodeCanonical, type CborValue } from '../../src/memory/codec.ts'
import { decodeDelta, decodeFrame, encodeDelta, encodeFrame } from '../../src/memory/delta-codec.ts'
import type { VerifiedDelta } from '../../src/memory/delta.ts'
import { bodyHashOf, signedMessage } from '../../src/memory/fingerprint.ts'
import { hlcOf } from '../../src/memory/ids.ts'
import {
  decodeGenesis,
  encodeGenesis,
  rangeKey,
  recordIdOfKey,
  recordIdOfOrdinal,
  spaceIdOf,
  topicOf,
  type Genesis
} from '../../src/memory/names.ts'
import { decodeBody, encodeBody } from '../../src/memory/ops-codec.ts'
import type { Op, Target } from '../../src/memory/ops.ts'
import { sealDelta } from '../../src/memory/seal.ts'
import { verifyDelta } from '../../src/memory/verify.ts'
import { decodeTicket, encodeTicket } from '../../src/trust/ticket.ts'
import { value } from '../support/sealed.ts'

const SEED = Uint8Array.from({ length: 32 }, (_, i) => i)
const OTHER_SEED = Uint8Array.from({ length: 32 }, (_, i) => 32 + i)
const alice = createCrypto(SEED)
const bob = createCrypto(OTHER_SEED)
const CREATED_MS = 1_750_000_000_000

const GENESIS: Genesis = {
  version: 1,
  creator: toHex(alice.publicKey),
  name: 'shared',
  policy: 'open',
  nonce: '101112131415161718191a1b1c1d1e1f',
  createdMs: CREATED_MS
}
const PRIVATE_GENESIS: Genesis = { ...GENESIS, name: 'größe', policy: 'private', nonce: '00'.repeat(16) }
const SPACE = spaceIdOf(alice, encodeGenesis(GENESIS))
const EPOCH = 'a0a1a2a3a4a5a6a7'
const FIRST: Target = { by: 'ordinal', ordinal: 0 }
const BY_KEY: Target = { by: 'key', key: 'deploy/window' }

const EXAMPLE: Op[] = [
  { op: 'create', target: FIRST, documentType: 'memory', memoryType: 'semantic', source: 'cli' },
  { op: 'set', target: FIRST, field: 'content', value: 'The staging database is read-only on Mondays.' },
  { op: 'set', target: FIRST, field: 'kind', value: 'fact' },
  { op: 'tag', target: FIRST, tag: 'staging' },
  { op: 'importance', target: FIRST, value: 8_000 }
]

function genesisVectors() {
  return [GENESIS, PRIVATE_GENESIS].map((genesis) => {
    const bytes = encodeGenesis(genesis)
    const space = spaceIdOf(alice, bytes)
    return { genesis, bytes: toHex(bytes), space, topic: topicOf(space) }
  })
}

function nameVectors() {
  const delta = 'd0'.repeat(32)
  return {
    authors: [
      { seed: toHex(SEED), author: toHex(alice.publicKey), peer: authorToPeerId(toHex(alice.publicKey)) },
      { seed: toHex(OTHER_SEED), author: toHex(bob.publicKey), peer: authorToPeerId(toHex(bob.publicKey)) }
    ],
    keys: ['deploy/window', 'ß', 'x'.repeat(512)].map((key) => ({
      space: SPACE,
      key,
      record: recordIdOfKey(alice, SPACE, key)
    })),
    ordinals: [0, 1, 4_095].map((ordinal) => ({ delta, ordinal, record: recordIdOfOrdinal(alice, delta, ordinal) })),
    rangeKeys: [hlcOf(CREATED_MS, 7), hlcOf(0), 2n ** 64n - 1n].map((hlc) => ({
      hlc: hlc.toString(),
      delta,
      rangeKey: toHex(rangeKey(hlc, delta))
    }))
  }
}

function bodyVectors() {
  const id = 'ab'.repeat(32)
  const bodies: [string, Op[]][] = [
    ['empty', []],
    ['example', EXAMPLE],
    ['create by key', [{ op: 'create', target: BY_KEY, documentType: 'bead', memoryType: null, source: null }]],
    [
      'every field',
      [
        { op: 'set', target: { by: 'id', id }, field: 'content', value: '\ufeffä😀' },
        { op: 'set', target: { by: 'id', id }, field: 'kind', value: 'note' },
        { op: 'set', target: { by: 'id', id }, field: 'path', value: 'docs/plan.md' },
        { op: 'set', target: { by: 'id', id }, field: 'path', value: null },
        { op: 'set', target: { by: 'id', id }, field: 'pinned', value: true },
        { op: 'set', target: { by: 'id', id }, field: 'validFrom', value: CREATED_MS },
        { op: 'set', target: { by: 'id', id }, field: 'validTo', value: 2 ** 48 - 1 },
        { op: 'set', target: { by: 'id', id }, field: 'expiresAt', value: null },
        { op: 'set', target: { by: 'id', id }, field: 'retracted', value: 'superseded' }
      ]
    ],
    [
      'tags',
      [
        { op: 'tag', target: { by: 'ordinal', ordinal: 4_095 }, tag: 'a' },
        { op: 'untag', target: FIRST, tag: 'a', dots: [`${id}.0`, `${id}.300`] },
        { op: 'untag', target: FIRST, tag: 'b', dots: [] }
      ]
    ],
    [
      'links',
      [
        { op: 'link', target: FIRST, relation: 'evidence', value: 'https://example.org/log' },
        { op: 'link', target: FIRST, relation: 'related', value: id },
        { op: 'link', target: FIRST, relation: 'parents', value: id },
        { op: 'link', target: FIRST, relation: 'supersedes', value: id }
      ]
    ],
    [
      'claims and votes',
      [
        { op: 'importance', target: FIRST, value: 0 },
        { op: 'confidence', target: FIRST, value: 10_000 },
        { op: 'access', target: BY_KEY, total: 70_000 },
        { op: 'vote', target: BY_KEY, verdict: 'confirm', confidence: 9_000, reason: null },
        { op: 'vote', target: BY_KEY, verdict: 'flag', confidence: 10, reason: 'spam' }
      ]
    ],
    [
      'origins',
      [
        { op: 'origin', target: FIRST, origin: 'user', agent: null },
        { op: 'origin', target: BY_KEY, origin: 'document', agent: 'scout/2' },
        { op: 'origin', target: FIRST, origin: 'derived', agent: 'é' }
      ]
    ],
    [
      'from a later version',
      [
        { op: 'unknown', code: 11, items: [0, [1, null, 'x'], true] },
        { op: 'unknown', code: 2, items: [0, 99, 'x'] }
      ]
    ]
  ]
  return bodies.map(([name, ops]) => {
    const bytes = encodeBody(ops)
    return { name, ops, bytes: toHex(bytes), bodyHash: bodyHashOf(alice, bytes) }
  })
}

function exampleDeltas(): VerifiedDelta[] {
  const base = { space: SPACE, epoch: EPOCH, parents: [] }
  const first = sealDelta({ ...base, seq: 0, prev: null, hlc: hlcOf(CREATED_MS, 0), ops: EXAMPLE }, alice)
  const reply = sealDelta(
    {
      ...base,
      epoch: 'b0b1b2b3b4b5b6b7',
      seq: 0,
      prev: null,
      hlc: hlcOf(CREATED_MS + 1, 2),
      parents: [first.id],
      ops: [{ op: 'vote', target: { by: 'id', id: first.id }, verdict: 'confirm', confidence: 9_500, reason: null }]
    },
    bob
  )
  const third = sealDelta(
    {
      ...base,
      seq: 1,
      prev: first.id,
      hlc: hlcOf(CREATED_MS + 1, 3),
      parents: [reply.id],
      flags: 1,
      ops: [{ op: 'untag', target: { by: 'id', id: first.id }, tag: 'staging', dots: [`${first.id}.3`] }]
    },
    alice
  )
  return [first, reply, third]
}

function deltaVectors(deltas: readonly VerifiedDelta[]) {
  return deltas.map((delta) => ({
    header: { ...delta.header, hlc: delta.header.hlc.toString() },
    body: toHex(delta.bodyBytes ?? new Uint8Array(0)),
    headerBytes: toHex(delta.headerBytes),
    fingerprint: delta.fingerprint,
    id: delta.id,
    message: toHex(signedMessage(fromHex(delta.fingerprint))),
    signature: toHex(delta.signature),
    record: toHex(encodeDelta(delta))
  }))
}

function frameVectors(deltas: readonly VerifiedDelta[]) {
  return [deltas.slice(0, 1), deltas].map((list) => ({
    deltas: list.map((delta) => delta.id),
    bytes: toHex(encodeFrame(list.map(encodeDelta)))
  }))
}

function ticketVectors() {
  const fields = {
    networkKey: utf8(`/key/swarm/psk/1.0.0/\n/base16/\n${'0123456789abcdef'.repeat(4)}\n`),
    genesis: encodeGenesis(GENESIS),
    addresses: [`/ip4/192.0.2.7/tcp/4001/p2p/${authorToPeerId(toHex(alice.publicKey))}`],
    expiresMs: CREATED_MS + 86_400_000,
    uses: 3,
    nonce: 'c0c1c2c3c4c5c6c7c8c9cacbcccdcecf'
  }
  const text = encodeTicket(fields, alice)
  const items = value(decodeCanonical(fromBase64Url(text.slice(5)), { bytesMax: 9_999 })) as readonly CborValue[]
  const signedItems = encodeCanonical(items.slice(0, 8))
  return [
    {
      fields: { ...fields, networkKey: toHex(fields.networkKey), genesis: toHex(fields.genesis) },
      issuer: toHex(alice.publicKey),
      space: SPACE,
      signedItems: toHex(signedItems),
      message: toHex(concatBytes(utf8('chrysalis/ticket/1\0'), alice.sha384(signedItems))),
      signature: toHex(items[8] as Uint8Array),
      text
    }
  ]
}

const deltas = exampleDeltas()
const COMPUTED = {
  names: nameVectors(),
  genesis: genesisVectors(),
  body: bodyVectors(),
  delta: deltaVectors(deltas),
  frame: frameVectors(deltas),
  ticket: ticketVectors()
}

function stored<K extends keyof typeof COMPUTED>(name: K): (typeof COMPUTED)[K] {
  const url = new URL(`../vectors/${name}.json`, import.meta.url)
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(url, `${JSON.stringify(COMPUTED[name], null, 2)}\n`)
  return JSON.parse(readFileSync(url, 'utf8')) as (typeof COMPUTED)[K]
}

describe('golden vectors', () => {
  for (const name of Object.keys(COMPUTED) as (keyof typeof COMPUTED)[]) {
    it(`${name}.json is what this code writes`, () => {
      assert.deepEqual(COMPUTED[name], stored(name))
    })
  }

  it('read back as what they were made of', () => {
    for (const { genesis, bytes } of stored('genesis')) assert.deepEqual(value(decodeGenesis(fromHex(bytes))), genesis)
    for (const { ops, bytes } of stored('body')) assert.deepEqual(value(decodeBody(fromHex(bytes))), ops)
    for (const { record, id, header } of stored('delta')) {
      const delta = value(decodeDelta(fromHex(record), alice))
      assert.equal(delta.id, id)
      assert.deepEqual({ ...delta.header, hlc: delta.header.hlc.toString() }, header)
      assert.equal(verifyDelta(delta, alice).ok, true)
    }
    for (const { deltas: ids, bytes } of stored('frame')) {
      const records = value(decodeFrame(fromHex(bytes)))
      assert.deepEqual(
        records.map((record) => value(decodeDelta(record, alice)).id),
        ids
      )
    }
    for (const { text, fields, space } of stored('ticket')) {
      const ticket = decodeTicket(text, alice, fields.expiresMs)
      assert.equal(ticket.space, space)
      assert.deepEqual([ticket.uses, ticket.nonce, ticket.addresses], [fields.uses, fields.nonce, fields.addresses])
    }
  })
})

describe('golden vectors without our code', () => {
  const sha384 = (...parts: (string | Buffer)[]) => {
    const hash = createHash('sha384')
    for (const part of parts) hash.update(part)
    return hash.digest('hex')
  }
  const bytesOf = (hex: string) => Buffer.from(hex, 'hex')

  function verified(author: string, message: string, signature: string): boolean {
    const x = bytesOf(author).toString('base64url')
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    return verify(null, bytesOf(message), key, bytesOf(signature))
  }

  it('names', () => {
    for (const { space, key, record } of stored('names').keys) {
      assert.equal(sha384('chrysalis/key/1\0', bytesOf(space), key).slice(0, 64), record)
    }
    for (const { delta, ordinal, record } of stored('names').ordinals.slice(1)) {
      const number = Buffer.alloc(4)
      number.writeUInt32BE(ordinal)
      assert.equal(sha384('chrysalis/record/1\0', bytesOf(delta), number).slice(0, 64), record)
    }
    for (const { bytes, space } of stored('genesis')) {
      assert.equal(sha384('chrysalis/space/1\0', bytesOf(bytes)).slice(0, 32), space)
    }
  })

  it('deltas', () => {
    for (const { header, headerBytes, body, fingerprint, id, message, signature, record } of stored('delta')) {
      assert.equal(sha384(bytesOf(body)).slice(0, 64), header.bodyHash)
      assert.equal(sha384('chrysalis/delta/1\0', bytesOf(headerBytes)), fingerprint)
      assert.equal(fingerprint.slice(0, 64), id)
      assert.equal(Buffer.from('chrysalis/sig/1\0').toString('hex') + fingerprint, message)
      assert.equal(verified(header.author, message, signature), true)
      assert.ok(record.includes(headerBytes) && record.includes(signature) && record.endsWith(body))
    }
  })

  it('tickets', () => {
    for (const { issuer, signedItems, message, signature, text } of stored('ticket')) {
      assert.equal(Buffer.from('chrysalis/ticket/1\0').toString('hex') + sha384(bytesOf(signedItems)), message)
      assert.equal(verified(issuer, message, signature), true)
      const whole = Buffer.from(text.slice(5), 'base64url').toString('hex')
      assert.equal(whole, '89' + signedItems.slice(2) + '5840' + signature)
    }
  })
})

describe('docs/WIRE.md', () => {
  const text = readFileSync(new URL('../../docs/WIRE.md', import.meta.url), 'utf8').replace(/\s+/g, '')

  it('quotes the vectors exactly', () => {
    const [delta] = stored('delta')
    const [genesis] = stored('genesis')
    const [ticket] = stored('ticket')
    const [alices] = stored('names').authors
    assert.ok(delta !== undefined && genesis !== undefined && ticket !== undefined && alices !== undefined)
    const { body, headerBytes, fingerprint, id, message, signature, record, header } = delta
    const quoted = [body, headerBytes, fingerprint, id, message, signature, record, header.bodyHash, header.hlc]
    for (const hex of [...quoted, genesis.space, genesis.topic, alices.author, alices.peer, ticket.text]) {
      assert.ok(text.includes(hex), hex)
    }
  })
})
