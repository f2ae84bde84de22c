import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChrysalisError, ERRORS, type ErrorCode } from '../../../src/base/errors.ts'
import { fromWireError, readRequest, toWireError } from '../../../src/rpc/messages.ts'

const read = (value: unknown) => readRequest(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)))

test('every error code survives the door with all it says', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const details = { hint: 'Do this.', stateTouched: true, retryable: !ERRORS[code].retryable, data: { n: 1 } }
    const there = new ChrysalisError(code, `it is ${code}`, details)
    const wire = JSON.parse(JSON.stringify(toWireError(there))) as { code: number }
    assert.equal(wire.code, ERRORS[code].rpc)
    const here = fromWireError(wire)
    assert.deepEqual(
      [here.code, here.message, here.hint, here.stateTouched, here.retryable, here.data],
      [code, there.message, 'Do this.', true, !ERRORS[code].retryable, { n: 1 }]
    )
  }
})

test('an unknown kind falls back on the number, and anything at all becomes an error', () => {
  assert.equal(fromWireError({ code: 1001, message: 'x', data: { kind: 'from_the_future' } }).code, 'not_found')
  for (const odd of [undefined, null, 7, {}, { code: 'x', data: 3 }, { data: { kind: '__proto__' } }]) {
    assert.equal(fromWireError(odd).code, 'failure')
  }
})

test('a bug of the daemon says that state may have been touched', () => {
  const wire = toWireError(new TypeError('oops'))
  assert.equal(wire.code, ERRORS.failure.rpc)
  assert.equal(wire.data?.stateTouched, true)
})

test('requests: ids are echoed when they can be, faults have the standard numbers', () => {
  const cases: [unknown, number, unknown][] = [
    ['{', -32700, null],
    [[{ jsonrpc: '2.0', id: 1, method: 'node.health' }], -32600, null],
    ['"text"', -32600, null],
    [{ id: 1, method: 'node.health' }, -32600, 1],
    [{ jsonrpc: '2.0', id: null, method: 'node.health' }, -32600, null],
    [{ jsonrpc: '2.0', id: 'x'.repeat(129), method: 'node.health' }, -32600, null],
    [{ jsonrpc: '2.0', id: { a: 1 }, method: 'node.health' }, -32600, null],
    [{ jsonrpc: '2.0', id: 'a', method: 3 }, -32600, 'a'],
    [{ jsonrpc: '2.0', id: 'a', method: 'node.health', params: [1] }, -32602, 'a']
  ]
  for (const [value, code, id] of cases) {
    const incoming = read(value)
    assert.ok(!incoming.ok, JSON.stringify(value))
    assert.deepEqual([incoming.error.code, incoming.id], [code, id])
    assert.match(incoming.error.message, /\.$/)
  }
  const fine = read({ jsonrpc: '2.0', id: 'x'.repeat(128), method: 'node.health' })
  assert.ok(fine.ok && fine.request.id?.toString().length === 128)
  const note = read({ jsonrpc: '2.0', method: 'events.close', params: { subscription: 's1' } })
  assert.ok(note.ok && note.request.id === undefined)
})
