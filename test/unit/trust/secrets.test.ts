/** Secrets are found by their form; texts that only speak of them are not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secretIn } from '../../../src/trust/secrets.ts'

/** Put together here, so that scanners of this repository do not find them. */
const join = (...parts: string[]): string => parts.join('')
const noise = (length: number): string => 'aB3xK9'.repeat(40).slice(0, length)

test('each kind is found, and named', () => {
  const found: [string, string][] = [
    ['private key', join('-----BEGIN OPENSSH PRIVATE', ' KEY-----\nb3BlbnNza')],
    ['private key', join('-----BEGIN PGP PRIVATE', ' KEY BLOCK-----')],
    ['AWS access key', join('key is AKIA', 'IOSFODNN7EXAMPLE.')],
    ['GitHub token', join('ghp_', noise(36))],
    ['GitHub token', join('github_pat_', noise(70))],
    ['GitLab token', join('glpat-', noise(20))],
    ['Slack token', join('xoxb-', '123456789012-abcdef')],
    ['Anthropic key', join('sk-ant-', 'api03-', noise(30))],
    ['OpenAI key', join('sk-proj-', noise(30))],
    ['Stripe key', join('sk_live_', noise(24))],
    ['Google API key', join('AIza', noise(35))],
    ['npm token', join('npm_', noise(36))],
    ['Chrysalis token', join('chz-tok1:', noise(43))],
    ['JSON Web Token', join('eyJhbGciOiJIUzI1NiJ9.', 'eyJzdWIiOiIxMjM0In0.', noise(20))],
    ['password in an address', join('postgres://bob:', 's3cr3tpw@db.example/x')],
    ['password', join('password=', 'hunter22')],
    ['password', join('the api_key: "', 'Zx81kk3Qp0"')],
    ['password', join('DB_PASSWORD = ', 'Tr0ub4dor&3')]
  ]
  for (const [kind, text] of found) {
    assert.equal(secretIn(text), kind, text.slice(0, 20))
    assert.equal(secretIn(`before it ${text} and after`), kind)
  }
})

test('what speaks of secrets holds none', () => {
  const honest = [
    'password: required',
    'the password is kept in the vault',
    'reset with password=<your password>',
    'set password=${DB_PASSWORD}',
    'api_key = process.env.KEY1',
    'secret: see the vault please',
    'passwordless login: enabled',
    'sk-learn-is-a-python-library-for-all',
    'the token bucket holds 100 per second',
    'http://localhost:8080/a@b',
    'compass: n0rth',
    'a git hash: 9f3c1ab2d4e5f60718293a4b5c6d7e8f90a1b2c3',
    'SHA-256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
  ]
  for (const text of honest) assert.equal(secretIn(text), undefined, text)
})
