/** Secrets: born whole, never overwritten, read only when nobody else could have read or replaced them. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { chownSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { createCrypto } from '../../../src/adapters/system/crypto.ts'
import { fromUtf8, toHex, utf8 } from '../../../src/base/bytes.ts'
import { ChrysalisError, type ErrorCode } from '../../../src/base/errors.ts'
import {
  assertPrivate,
  createSecret,
  describeIdentity,
  encodeIdentity,
  encodeNetworkKey,
  isNetworkKey,
  readIdentity,
  readNetworkKey,
  sameNetworkKey,
  type Identity
} from '../../../src/daemon/keystore.ts'

const scratch = mkdtempSync(path.join(tmpdir(), 'chrysalis-keys-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
const noModes = process.platform === 'win32' ? 'this system has no permission bits' : false
const notRoot = process.getuid?.() === 0 ? false : 'only root may give a file away'

let files = 0
const newFile = () => path.join(scratch, `${files++}.key`)

function someIdentity(fill: number): Identity {
  const seed = new Uint8Array(32).fill(fill)
  return { seed, author: toHex(createCrypto(seed).publicKey) }
}

async function written(bytes: Uint8Array): Promise<string> {
  const file = newFile()
  assert.equal(await createSecret(file, bytes), true)
  return file
}

async function refused(code: ErrorCode, action: () => unknown): Promise<ChrysalisError> {
  let caught: unknown
  try {
    await action()
  } catch (error) {
    caught = error
  }
  assert.ok(caught instanceof ChrysalisError, `expected ${code}, got ${String(caught)}`)
  assert.equal(caught.code, code)
  return caught
}

test('an identity without a passphrase comes back as it was', async () => {
  const identity = someIdentity(7)
  const file = await written(await encodeIdentity(identity))
  assert.deepEqual(await readIdentity(file), identity)
  assert.deepEqual(await readIdentity(file, 'a passphrase that is not needed'), identity)
  assert.deepEqual(await describeIdentity(file), { author: identity.author, sealed: false })
})

test('an identity under a passphrase opens with it and with nothing else', async () => {
  const identity = someIdentity(8)
  const bytes = await encodeIdentity(identity, 'corr\u00e9ct horse')
  const file = await written(bytes)
  assert.deepEqual(await readIdentity(file, 'corr\u00e9ct horse'), identity)
  assert.deepEqual(
    await readIdentity(file, 'corre\u0301ct horse'),
    identity,
    'the other Unicode form is the same passphrase'
  )
  assert.match((await refused('passphrase', () => readIdentity(file, 'wrong'))).message, /does not open/)
  assert.match((await refused('passphrase', () => readIdentity(file))).hint ?? '', /CHRYSALIS_PASSPHRASE/)
  assert.deepEqual(await describeIdentity(file), { author: identity.author, sealed: true })
  const plain = JSON.parse(fromUtf8(await encodeIdentity(identity))) as { seed: string }
  assert.doesNotMatch(fromUtf8(bytes), new RegExp(plain.seed), 'the seed is not in the sealed file')
})

test('a sealed seed and the public key beside it cannot be exchanged', async () => {
  const sealed = JSON.parse(fromUtf8(await encodeIdentity(someIdentity(9), 'p'))) as Record<string, unknown>
  const file = await written(utf8(JSON.stringify({ ...sealed, author: someIdentity(10).author })))
  await refused('passphrase', () => readIdentity(file, 'p'))
})

test('two sealings of one seed have nothing in common', async () => {
  const [a, b] = await Promise.all([encodeIdentity(someIdentity(1), 'p'), encodeIdentity(someIdentity(1), 'p')])
  const [first, second] = [JSON.parse(fromUtf8(a)), JSON.parse(fromUtf8(b))] as [
    Record<string, string>,
    Record<string, string>
  ]
  for (const part of ['salt', 'iv', 'ciphertext', 'tag']) assert.notEqual(first[part], second[part], part)
})

test('damaged, foreign and greedy identity files are refused by name', async () => {
  const plain = JSON.parse(fromUtf8(await encodeIdentity(someIdentity(2)))) as Record<string, unknown>
  const sealed = JSON.parse(fromUtf8(await encodeIdentity(someIdentity(2), 'p'))) as Record<string, unknown>
  const cases: [ErrorCode, Record<string, unknown> | string][] = [
    ['corrupt', ''],
    ['corrupt', 'null'],
    ['corrupt', '{"v":1'],
    ['unsupported_version', { ...plain, v: 2 }],
    ['unsupported_version', { ...plain, kind: 'hardware' }],
    ['corrupt', { ...plain, author: 'abc' }],
    ['corrupt', { ...plain, seed: 'AAAA' }],
    ['corrupt', { ...plain, seed: 7 }],
    ['corrupt', { ...sealed, N: 2 ** 24 }],
    ['corrupt', { ...sealed, p: 1e6 }],
    ['corrupt', { ...sealed, r: -8 }],
    ['corrupt', { ...sealed, iv: 'AAAA' }],
    ['corrupt', { ...sealed, ciphertext: 'AAAA' }]
  ]
  for (const [code, content] of cases) {
    const file = await written(utf8(typeof content === 'string' ? content : JSON.stringify(content)))
    const error = await refused(code, () => readIdentity(file, 'p'))
    assert.ok(error.message.includes(file), 'the message names the file')
  }
})

test('a secret is created 0600 whatever the umask, once, and leaves nothing beside it', { skip: noModes }, async () => {
  const directory = mkdtempSync(path.join(scratch, 'once-'))
  const file = path.join(directory, 'secret')
  const before = process.umask(0)
  try {
    assert.equal(await createSecret(file, utf8('one')), true)
  } finally {
    process.umask(before)
  }
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(await createSecret(file, utf8('two')), false)
  assert.equal(readFileSync(file, 'utf8'), 'one')
  assert.deepEqual(readdirSync(directory), ['secret'])
})

test('of many that create one secret at once exactly one wins, and its bytes are whole', async () => {
  const file = newFile()
  const contents = Array.from({ length: 16 }, (_, index) => `${index}`.repeat(1_000))
  const won = await Promise.all(contents.map((content) => createSecret(file, utf8(content))))
  assert.equal(won.filter(Boolean).length, 1)
  assert.equal(readFileSync(file, 'utf8'), contents[won.indexOf(true)])
})

test('a key file that others can read is refused with the command that repairs it', { skip: noModes }, async () => {
  const file = await written(await encodeIdentity(someIdentity(3)))
  for (const mode of [0o640, 0o604, 0o620, 0o660, 0o644]) {
    chmodSync(file, mode)
    const error = await refused('permissions', () => readIdentity(file))
    assert.match(error.message, new RegExp(`mode 0${mode.toString(8)}`))
    assert.equal(error.hint, `Run: chmod 600 ${file}`)
  }
  chmodSync(file, 0o600)
  await readIdentity(file)
  chmodSync(file, 0o400)
  await readIdentity(file)
})

test('a wide directory is refused, and a name with blanks is quoted in the hint', { skip: noModes }, async () => {
  const directory = path.join(scratch, "it's wide")
  mkdirSync(directory, { mode: 0o755 })
  chmodSync(directory, 0o755)
  const error = await refused('permissions', () => assertPrivate(directory, 'directory'))
  assert.equal(error.hint, `Run: chmod 700 '${scratch}/it'\\''s wide'`)
  chmodSync(directory, 0o700)
  assertPrivate(directory, 'directory')
})

test('a file of somebody else, a link and a directory in place of a file are refused', { skip: noModes }, async (t) => {
  const file = await written(utf8('x'))
  const alias = newFile()
  symlinkSync(file, alias)
  await refused('permissions', () => assertPrivate(alias, 'file'))
  await refused('permissions', () => assertPrivate(scratch, 'file'))
  await refused('not_found', () => assertPrivate(newFile(), 'file'))
  await t.test('owned by another user', { skip: notRoot }, async () => {
    chownSync(file, 65534, 65534)
    const error = await refused('permissions', () => assertPrivate(file, 'file'))
    assert.match(error.message, /belongs to user 65534/)
    assert.match(error.hint ?? '', /^Run: chown 0 /)
  })
})

test('the network key is the text that private libp2p networks take', async () => {
  const text = encodeNetworkKey(new Uint8Array(32).fill(0xab))
  assert.equal(fromUtf8(text), `/key/swarm/psk/1.0.0/\n/base16/\n${'ab'.repeat(32)}`)
  assert.deepEqual(await readNetworkKey(await written(text)), text)
})

test('a network key file that is cut, widened or of another kind is refused', async () => {
  const good = fromUtf8(encodeNetworkKey(new Uint8Array(32).fill(1)))
  assert.ok(isNetworkKey(utf8(`${good}\n`)), 'a line break at the end is what an editor leaves')
  assert.ok(sameNetworkKey(utf8(`${good}\n`), utf8(good)))
  assert.ok(!sameNetworkKey(utf8(good.replace(/1$/, '2')), utf8(good)))
  for (const bad of [
    '',
    good.slice(0, -1),
    `${good}0`,
    good.toUpperCase(),
    good.replace('base16', 'base64'),
    `x${good}`
  ]) {
    assert.ok(!isNetworkKey(utf8(bad)), JSON.stringify(bad))
    const file = await written(utf8(bad))
    await refused('corrupt', () => readNetworkKey(file))
  }
  assert.ok(!isNetworkKey(new Uint8Array([0xff, 0xfe])))
  const file = newFile()
  writeFileSync(file, good, { mode: 0o644 })
  if (noModes === false) await refused('permissions', () => readNetworkKey(file))
})
