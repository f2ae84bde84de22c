/** What the configuration makes of the embedder, and above all what it does not let out of the machine. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../src/adapters/system/clock.ts'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { CONFIG_KEYS, type Config } from '../../../src/daemon/config-schema.ts'
import { vectorPanes } from '../../../src/daemon/embedding.ts'
import type { VectorPanes } from '../../../src/node/vectors.ts'
import { silentLogger } from '../../../src/ports/logger.ts'

const defaults = Object.fromEntries(
  [...CONFIG_KEYS].filter(([key]) => key.startsWith('embed.')).map(([key, spec]) => [key.slice(6), spec.fallback])
) as unknown as Config['embed']

function panes(changes: Partial<Config['embed']>, env: Record<string, string> = {}): VectorPanes | undefined {
  return vectorPanes('/nowhere', { ...defaults, ...changes }, { env, clock: systemClock, logger: silentLogger })
}

function refusal(changes: Partial<Config['embed']>, env: Record<string, string> = {}): string {
  try {
    panes(changes, env)
  } catch (error) {
    assert.ok(isChrysalisError(error, 'config') && (error.hint ?? '') !== '')
    return error.message
  }
  return 'taken'
}

test('nothing without a provider, and that is the default', () => {
  assert.equal(panes({}), undefined)
})

test('private memories stay on this machine unless their owner says so', () => {
  const near: Partial<Config['embed']>[] = [
    { provider: 'ollama' },
    { provider: 'client' },
    { provider: 'ollama', url: 'http://127.1.2.3:11434' },
    { provider: 'openai', url: 'http://localhost:8080' },
    { provider: 'openai', url: 'http://[::1]:8080' },
    { provider: 'openai', privateSpaces: true }
  ]
  for (const one of near) assert.equal(panes(one)?.options.includesPrivate, true, JSON.stringify(one))
  const far: Partial<Config['embed']>[] = [
    { provider: 'openai' },
    { provider: 'ollama', url: 'http://10.0.0.7:11434' },
    { provider: 'ollama', url: 'http://localhost.example.com' },
    { provider: 'openai', url: 'https://127.0.0.1.example.com' }
  ]
  for (const one of far) assert.equal(panes(one)?.options.includesPrivate, false, JSON.stringify(one))
})

test('a key goes over an encrypted connection, or stays on this machine', () => {
  const keyed = { provider: 'openai', apiKeyVariable: 'KEY' } as const
  const env = { KEY: ' secret\n' }
  assert.equal(refusal({ ...keyed, url: 'http://10.0.0.7' }, env).includes('not encrypted'), true)
  for (const url of [null, 'https://10.0.0.7', 'http://127.0.0.1:8080'])
    assert.equal(refusal({ ...keyed, url }, env), 'taken')
  assert.equal(
    refusal({ provider: 'openai', url: 'http://10.0.0.7' }),
    'taken',
    'without a key there is nothing to hide'
  )
})

test('a variable that is named must be there', () => {
  for (const env of [{}, { KEY: ' ' }]) {
    assert.match(refusal({ provider: 'openai', apiKeyVariable: 'KEY' }, env), /no such environment variable/)
  }
})

test('addresses: http and https, without a password', () => {
  const schema = CONFIG_KEYS.get('embed.url')?.schema
  for (const url of ['http://127.0.0.1:11434', 'https://api.example.com/base', null]) {
    assert.equal(schema?.safeParse(url).success, true, String(url))
  }
  for (const url of ['ftp://x', 'file:///etc/passwd', 'http://me:secret@x', 'http://me@x/y', 'localhost:11434', '']) {
    assert.equal(schema?.safeParse(url).success, false, url)
  }
})
