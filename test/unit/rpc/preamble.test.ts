/** The first line each way between the pipe and the door for models. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { utf8 } from '../../../src/base/bytes.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import {
  decodePreamble,
  decodeWelcome,
  encodePreamble,
  encodeRefusal,
  encodeWelcome
} from '../../../src/rpc/preamble.ts'

const line = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length - 1)

test('a greeting comes back as it was', () => {
  for (const preamble of [{ profiles: ['core'] }, { profiles: ['core', 'team'], space: 'team', token: 'chz-tok1:x' }]) {
    assert.deepEqual(decodePreamble(line(encodePreamble(preamble))), preamble)
  }
  assert.deepEqual(decodePreamble(utf8('{"chrysalis":1}')), { profiles: ['core'] })
})

test('anything else is refused, and a token is never quoted', () => {
  const secret = 'chz-tok1:verysecret'
  const cases: readonly (readonly [string, string])[] = [
    ['', 'invalid_argument'],
    ['{"jsonrpc":"2.0","id":1,"method":"initialize"}', 'invalid_argument'],
    ['[]', 'invalid_argument'],
    [`{"chrysalis":2,"token":"${secret}"}`, 'unsupported_version'],
    [`{"chrysalis":1,"profiles":[],"token":"${secret}"}`, 'invalid_argument'],
    [`{"chrysalis":1,"profiles":[1],"token":"${secret}"}`, 'invalid_argument'],
    [`{"chrysalis":1,"spaec":"x","token":"${secret}"}`, 'invalid_argument'],
    [`{"chrysalis":1,"space":"${'s'.repeat(LIMITS.spaceNameBytesMax + 1)}","token":"${secret}"}`, 'invalid_argument'],
    [`{"chrysalis":1,"token":["${secret}"]}`, 'invalid_argument']
  ]
  for (const [text, code] of cases) {
    assert.throws(
      () => decodePreamble(utf8(text)),
      (error) =>
        error instanceof ChrysalisError && error.code === code && !`${error.message}${error.hint}`.includes(secret),
      text
    )
  }
})

test('a welcome is silent and a refusal is the error again', () => {
  decodeWelcome(line(encodeWelcome()))
  const refusal = new ChrysalisError('denied', 'The token is not known.', { hint: 'Make one.' })
  assert.throws(() => decodeWelcome(line(encodeRefusal(refusal))), { code: 'denied', hint: 'Make one.' })
  assert.throws(() => decodeWelcome(utf8('hello')), { code: 'unsupported_version' })
})
