/** The file of tokens: what it keeps, what it never keeps, and what happens when it is damaged. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import { ORIGIN_CLASSES } from '../../../src/memory/ops.ts'
import { TOKEN_PREFIX, TokenFile } from '../../../src/daemon/tokens.ts'
import { codeOf } from '../../support/engine.ts'

const home = mkdtempSync(path.join(tmpdir(), 'chrysalis-tokens-'))
after(() => rmSync(home, { recursive: true, force: true }))

let made = 0
const newFile = (): string => path.join(home, `tokens-${made++}.json`)
const open = (file: string, required = false): Promise<TokenFile> =>
  TokenFile.open({ file, required, nowMs: () => 1_700_000_000_000 })

describe('tokens', () => {
  it('a token says who it is for, in a file that holds no secret and is its owner’s alone', async () => {
    const file = newFile()
    const tokens = await open(file)
    const { token, secret } = await tokens.add({
      name: 'scout',
      spaces: [{ space: 'ab'.repeat(16), right: 'rw' }],
      origins: ['tool', 'document'],
      writesPerSecond: 2
    })
    assert.deepEqual(token, {
      name: 'scout',
      spaces: [{ space: 'ab'.repeat(16), right: 'rw' }],
      origins: ['tool', 'document'],
      verbs: ['read', 'write'],
      writesPerSecond: 2,
      createdAtMs: 1_700_000_000_000
    })
    assert.match(secret, /^chz-tok1:[\w-]{43}$/)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.ok(!readFileSync(file, 'utf8').includes(secret.slice(TOKEN_PREFIX.length)))
    for (const one of [tokens, await open(file)]) {
      const identity = one.identify(secret)
      assert.deepEqual([identity.agent, identity.writesPerSecond], ['scout', 2])
      assert.deepEqual([...(identity.spaces ?? [])], [['ab'.repeat(16), 'rw']])
      assert.equal(identity.pace, one.identify(secret).pace, 'one pace for all who show it')
      assert.deepEqual(one.list(), [token])
    }
  })

  it('an unknown secret is denied, and so is one taken back, also for who showed it before', async () => {
    const file = newFile()
    const tokens = await open(file)
    const { secret } = await tokens.add({ name: 'scout' })
    const identity = tokens.identify(secret)
    assert.equal(identity.revoked?.(), false)
    for (const wrong of ['', 'chz-tok1:', `${secret}x`, secret.toLowerCase(), '__proto__']) {
      assert.throws(() => tokens.identify(wrong), { code: 'denied' })
    }
    await tokens.revoke('scout')
    assert.equal(identity.revoked?.(), true)
    assert.throws(() => tokens.identify(secret), { code: 'denied' })
    const again = await open(file)
    assert.throws(() => again.identify(secret), { code: 'denied' })
    assert.deepEqual(again.list(), [])
    assert.equal(await codeOf(tokens.revoke('scout')), 'not_found')
    // The name is free again, and the new token is another one.
    await tokens.add({ name: 'scout' })
    assert.equal(identity.revoked?.(), true)
  })

  it('names are plain, and each is there once', async () => {
    const tokens = await open(newFile())
    await tokens.add({ name: 'Zoë 2' })
    assert.equal(await codeOf(tokens.add({ name: 'Zoe\u0308 2' })), 'conflict', 'one name in two normal forms')
    for (const name of ['', ' ', '-x', 'a\nb', 'a\u200bb', '../x', 'x'.repeat(LIMITS.agentNameBytesMax + 1)]) {
      assert.equal(await codeOf(tokens.add({ name })), 'invalid_argument', JSON.stringify(name))
    }
    assert.equal(await codeOf(tokens.add({ name: 'd', origins: ['derived'] })), 'invalid_argument')
    await tokens.add({ name: '__proto__' }).then(
      () => assert.fail('an underscore is no first letter'),
      () => undefined
    )
    const all = await tokens.add({ name: 'all', origins: ORIGIN_CLASSES.filter((one) => one !== 'derived') })
    assert.equal(all.token.origins.length, ORIGIN_CLASSES.length - 1)
    assert.deepEqual((await tokens.add({ name: 'writer', verbs: ['write'] })).token.verbs, ['read', 'write'])
    assert.deepEqual((await tokens.add({ name: 'reader', verbs: ['read'] })).token.verbs, ['read'])
  })

  it('so many tokens and no more', async () => {
    const file = newFile()
    const tokens = await open(file)
    const token = (n: number) => ({
      ...{ name: `t${n}`, spaces: null, origins: ['self'], verbs: ['read'], writesPerSecond: null, createdAtMs: 1 },
      sha256: n.toString(16).padStart(64, '0')
    })
    const list = Array.from({ length: LIMITS.tokensMax }, (_, n) => token(n))
    writeFileSync(file, JSON.stringify({ v: 1, tokens: list }), { mode: 0o600 })
    const full = await open(file)
    assert.equal(full.list().length, LIMITS.tokensMax)
    assert.equal(await codeOf(full.add({ name: 'one more' })), 'quota')
    await full.revoke('t0')
    assert.ok((await full.add({ name: 'one more' })).secret)
    writeFileSync(file, JSON.stringify({ v: 1, tokens: [...list, token(999)] }))
    assert.equal((await open(file)).notices().length, 1)
    assert.deepEqual(tokens.list(), [])
    // Spaces by the hundred make the file long before the tokens do.
    const spaces = Array.from({ length: 600 }, (_, n) => ({
      space: n.toString(16).padStart(32, '0'),
      right: 'r' as const
    }))
    const wide = await open(newFile())
    let outcome: string = 'resolved'
    for (let n = 0; outcome === 'resolved' && n < LIMITS.tokensMax; n++) {
      outcome = await codeOf(wide.add({ name: `w${n}`, spaces }))
    }
    assert.equal(outcome, 'quota', `a file has at most ${LIMITS.tokensFileBytesMax} bytes`)
  })

  it('a damaged file lets nobody in, is said, and is not written over', async () => {
    const good = newFile()
    const { secret } = await (await open(good)).add({ name: 'scout' })
    const text = readFileSync(good, 'utf8')
    const broken = [
      '',
      '{',
      '[]',
      'null',
      '{"v":2,"tokens":[]}',
      '{"v":1,"tokens":{}}',
      '{"v":1,"tokens":[null]}',
      text.replace('"self"', '"root"'),
      text.replace('"read"', '"everything"'),
      text.replace(/"sha256": "../, '"sha256": "xx'),
      text.replace('"writesPerSecond": null', '"writesPerSecond": -1'),
      `${text.slice(0, -3)}x`,
      ' '.repeat(LIMITS.tokensFileBytesMax + 1)
    ]
    for (const bytes of broken) {
      const file = newFile()
      writeFileSync(file, bytes, { mode: 0o600 })
      const tokens = await open(file)
      assert.throws(() => tokens.identify(secret), { code: 'config' }, bytes.slice(0, 40))
      assert.equal(await codeOf(tokens.add({ name: 'other' })), 'config')
      assert.equal(await codeOf(tokens.revoke('scout')), 'config')
      assert.match(tokens.notices()[0] ?? '', /tokens are refused/)
      assert.equal(readFileSync(file, 'utf8'), bytes)
    }
    assert.ok(!existsSync(newFile()))
  })

  it('a file that others could write, or a link to another, is not believed', async () => {
    const file = newFile()
    const { secret } = await (await open(file)).add({ name: 'scout' })
    const link = newFile()
    symlinkSync(file, link)
    const linked = await open(link)
    assert.throws(() => linked.identify(secret), { code: 'config' })
    chmodSync(file, 0o660)
    const loose = await open(file)
    assert.throws(() => loose.identify(secret), { code: 'config' })
    chmodSync(file, 0o600)
    assert.equal((await open(file, true)).required, true)
    assert.equal((await open(file)).identify(secret).agent, 'scout')
  })
})
