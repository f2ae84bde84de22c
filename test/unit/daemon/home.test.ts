/** A home is made whole or finished later, never doubled, never opened when it is damaged, and joined only knowingly. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { createCrypto } from '../../../src/adapters/system/crypto.ts'
import { toHex, utf8 } from '../../../src/base/bytes.ts'
import { ChrysalisError, type ErrorCode } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { authorToPeerId } from '../../../src/base/peer-id.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { loadConfig } from '../../../src/daemon/config.ts'
import { decodeSpaces, encodeSpaces, homePaths, type HomeSpace } from '../../../src/daemon/home-files.ts'
import { initHome, joinWithTicket, openHome, type InitOptions, type OpenHome } from '../../../src/daemon/home.ts'
import { encodeNetworkKey } from '../../../src/daemon/keystore.ts'
import { encodeGenesis } from '../../../src/memory/names.ts'
import { encodeTicket, type TicketFields } from '../../../src/trust/ticket.ts'

const NOW = 1_800_000_000_000
const scratch = mkdtempSync(path.join(tmpdir(), 'chrysalis-home-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
const noModes = process.platform === 'win32' ? 'this system has no permission bits' : false

let homes = 0
const newHome = () => path.join(scratch, `home-${homes++}`)
const init = (home: string, options: Omit<InitOptions, 'home'> = {}) =>
  initHome({ home, ...options }, { random: new SeededRandom(`home ${home}`), nowMs: NOW })

async function made(options: Omit<InitOptions, 'home'> = {}): Promise<string> {
  const home = newHome()
  await init(home, options)
  return home
}

function join(home: string, ticket: string, options: { force?: boolean; shared?: boolean } = {}) {
  return joinWithTicket(
    { home, ticket, force: options.force, hasSharedData: () => options.shared === true },
    { nowMs: NOW }
  )
}

function ticketOf(host: OpenHome, changes: Partial<TicketFields> = {}): string {
  const shared = host.spaces.find((space) => space.isDefault)
  assert.ok(shared)
  const fields = {
    networkKey: host.networkKey,
    genesis: shared.genesis,
    addresses: [`/ip4/127.0.0.1/tcp/4001/p2p/${host.peer}`],
    expiresMs: NOW + 60_000,
    uses: 1,
    nonce: '0f'.repeat(16)
  }
  return encodeTicket({ ...fields, ...changes }, createCrypto(host.identity.seed))
}

async function refused(code: ErrorCode, action: Promise<unknown>): Promise<ChrysalisError> {
  const caught = await action.then(
    () => undefined,
    (error: unknown) => error
  )
  assert.ok(caught instanceof ChrysalisError, `expected ${code}, got ${String(caught)}`)
  assert.equal(caught.code, code, caught.message)
  assert.ok(caught.hint !== undefined && caught.hint.length > 0, 'a hint')
  return caught
}

/** Every file below a directory with its content, so that "nothing was touched" can be checked. */
function contentOf(directory: string): Record<string, string> {
  const entries: Record<string, string> = {}
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()) {
    const file = path.join(directory, name)
    entries[name] = statSync(file).isFile() ? readFileSync(file, 'utf8') : '(directory)'
  }
  return entries
}

test('a new home has an identity, a network, a private space and a shared one', async () => {
  const home = newHome()
  const report = await init(home, { name: 'alpha' })
  assert.equal(report.created, true)
  assert.equal(report.network, 'created')
  assert.equal(report.home, home)
  assert.deepEqual(
    report.spaces.map(({ name, shared }) => [name, shared]),
    [
      ['private', false],
      ['shared', true]
    ]
  )
  const opened = await openHome(home)
  assert.equal(opened.peer, report.peer)
  assert.equal(opened.peer, authorToPeerId(toHex(createCrypto(opened.identity.seed).publicKey)))
  assert.deepEqual(
    opened.spaces.map(({ name, shared, isDefault, policy }) => [name, shared, isDefault, policy]),
    [
      ['private', false, false, 'private'],
      ['shared', true, true, 'open']
    ]
  )
  assert.ok(opened.spaces.every(({ creator }) => creator === opened.identity.author))
  assert.deepEqual(opened.bootstrap, [])
  assert.equal(loadConfig({ home }).config.name, 'alpha')
})

test('nothing in a home is open to others', { skip: noModes }, async () => {
  const before = process.umask(0)
  try {
    const home = await made()
    assert.equal(statSync(home).mode & 0o777, 0o700)
    for (const name of readdirSync(home)) assert.equal(statSync(path.join(home, name)).mode & 0o077, 0, name)
  } finally {
    process.umask(before)
  }
})

test('a second init reports the home and changes nothing', async () => {
  const home = newHome()
  const first = await init(home, { name: 'alpha' })
  const before = contentOf(home)
  const second = await initHome({ home, name: 'beta' }, { random: new SeededRandom('other'), nowMs: NOW + 1 })
  assert.deepEqual(second, { ...first, created: false })
  assert.deepEqual(contentOf(home), before)
})

test('an init that died at any step is finished by the next one, with the identity it had begun', async () => {
  const whole = newHome()
  await init(whole)
  const files = ['identity.key', 'network.key', 'config.toml', 'spaces.json']
  for (let kept = 0; kept < files.length; kept++) {
    const home = newHome()
    mkdirSync(home, { mode: 0o700 })
    for (const name of files.slice(0, kept)) {
      writeFileSync(path.join(home, name), readFileSync(path.join(whole, name)), { mode: 0o600 })
    }
    writeFileSync(path.join(home, '.identity.key.abcdef.tmp'), 'half', { mode: 0o600 })
    if (kept > 0) await refused('not_initialised', openHome(home))
    const report = await init(home)
    assert.equal(report.created, true)
    const opened = await openHome(home)
    if (kept > 0) assert.equal(opened.peer, (await openHome(whole)).peer)
    if (kept > 1) assert.deepEqual(opened.networkKey, (await openHome(whole)).networkKey)
  }
})

test('eight inits at once make one home', async () => {
  const home = newHome()
  const reports = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      initHome({ home }, { random: new SeededRandom(`racer ${index}`), nowMs: NOW })
    )
  )
  assert.equal(new Set(reports.map((report) => report.peer)).size, 1)
  assert.equal(new Set(reports.map((report) => JSON.stringify(report.spaces))).size, 1)
  assert.equal(reports.filter((report) => report.created).length, 1)
  assert.equal((await openHome(home)).peer, reports[0]?.peer)
})

test('a passphrase protects the home, and init needs it no more to report', async () => {
  const home = await made({ passphrase: 'secret' })
  assert.match((await refused('passphrase', openHome(home))).message, /none was given/)
  await refused('passphrase', openHome(home, { passphrase: 'wrong' }))
  const opened = await openHome(home, { passphrase: 'secret' })
  assert.equal((await init(home)).peer, opened.peer)
})

test('an unfinished home made without a passphrase is sealed when the second init gives one', async () => {
  const home = await made()
  rmSync(path.join(home, 'spaces.json'))
  await init(home, { passphrase: 'secret' })
  await refused('passphrase', openHome(home))
  await openHome(home, { passphrase: 'secret' })
})

test('where there is no home, none is opened and none is made', async () => {
  const home = newHome()
  assert.match((await refused('not_initialised', openHome(home))).hint ?? '', /chrysalis init/)
  assert.equal(existsSync(home), false)
})

test('a home that lost a part is refused, not made anew', async () => {
  for (const lost of ['identity.key', 'network.key']) {
    const home = await made()
    rmSync(path.join(home, lost))
    assert.match((await refused('corrupt', openHome(home))).message, new RegExp(lost))
    await refused('corrupt', init(home))
    assert.equal(existsSync(path.join(home, lost)), false)
  }
  const home = await made()
  mkdirSync(path.join(home, 'data'), { mode: 0o700 })
  rmSync(path.join(home, 'spaces.json'))
  assert.match((await refused('corrupt', init(home))).message, /spaces\.json/)
})

test('an identity file that was exchanged in part is refused', async () => {
  const home = await made()
  const other = await openHome(await made())
  const file = path.join(home, 'identity.key')
  const content = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  writeFileSync(file, JSON.stringify({ ...content, author: other.identity.author }))
  assert.match((await refused('corrupt', openHome(home))).message, /do not belong together/)
})

test(
  'a home or a key that others can enter is refused with the command that repairs it',
  { skip: noModes },
  async () => {
    const home = await made()
    chmodSync(home, 0o755)
    assert.equal((await refused('permissions', openHome(home))).hint, `Run: chmod 700 ${home}`)
    await refused('permissions', init(home))
    chmodSync(home, 0o700)
    chmodSync(path.join(home, 'network.key'), 0o640)
    assert.match((await refused('permissions', openHome(home))).hint ?? '', /chmod 600 .*network\.key/)
  }
)

test(
  'an empty directory that is open to others is closed and taken; one with files in it is refused',
  { skip: noModes },
  async () => {
    const empty = newHome()
    mkdirSync(empty)
    chmodSync(empty, 0o755)
    await init(empty)
    assert.equal(statSync(empty).mode & 0o777, 0o700)
    const used = newHome()
    mkdirSync(used)
    chmodSync(used, 0o755)
    writeFileSync(path.join(used, 'thesis.txt'), 'x')
    await refused('permissions', init(used))
    assert.deepEqual(readdirSync(used), ['thesis.txt'])
  }
)

test('a file in the place of the home is said to be one', async () => {
  const file = path.join(scratch, 'a-file')
  writeFileSync(file, '')
  await refused('invalid_argument', init(file))
  await refused('invalid_argument', init(path.join(file, 'below')))
})

test('a name that cannot be shown is refused before anything is made', async () => {
  const home = newHome()
  for (const name of ['', 'x'.repeat(LIMITS.spaceNameBytesMax + 1), 'a\nb', '\ud800']) {
    await refused('invalid_argument', init(home, { name }))
  }
  assert.equal(existsSync(home), false)
  await init(home, { name: 'Zoë "the agent" \\ 7' })
  assert.equal(loadConfig({ home }).config.name, 'Zoë "the agent" \\ 7')
})

test('init with a ticket is in the network and the space of the ticket from the start', async () => {
  const host = await openHome(await made())
  const home = newHome()
  const report = await init(home, { ticket: ticketOf(host) })
  assert.equal(report.network, 'joined')
  const guest = await openHome(home)
  assert.deepEqual(guest.networkKey, host.networkKey)
  assert.notEqual(guest.peer, host.peer)
  const [own, joined] = guest.spaces
  assert.equal(own?.name, 'private')
  assert.equal(joined?.id, host.spaces.find((space) => space.isDefault)?.id)
  assert.equal(joined?.creator, host.identity.author)
  assert.deepEqual(joined?.redeem, { issuer: host.identity.author, nonce: '0f'.repeat(16) })
  assert.equal(joined?.isDefault, true)
  assert.deepEqual(guest.bootstrap, [`/ip4/127.0.0.1/tcp/4001/p2p/${host.peer}`])
  assert.equal((await init(home, { ticket: ticketOf(host) })).created, false)
})

test('tickets that are expired, altered, cut or no tickets are refused before anything is made', async () => {
  const host = await openHome(await made())
  const good = ticketOf(host)
  const middle = Math.floor(good.length / 2)
  const altered = good.slice(0, middle) + (good[middle] === 'A' ? 'B' : 'A') + good.slice(middle + 1)
  const bad: [RegExp, string][] = [
    [/expired/, ticketOf(host, { expiresMs: NOW - 1 })],
    [/./, altered],
    [/./, good.slice(0, -10)],
    [/not a ticket/i, 'hello'],
    [/network key/, ticketOf(host, { networkKey: utf8('not a key') })]
  ]
  const home = newHome()
  const existing = await made()
  const before = contentOf(existing)
  for (const [message, ticket] of bad) {
    assert.match((await refused('ticket', init(home, { ticket }))).message, message)
    await refused('ticket', join(existing, ticket))
  }
  assert.equal(existsSync(home), false)
  assert.deepEqual(contentOf(existing), before)
})

test('a ticket for a private space is refused: it would bring nothing', async () => {
  const host = await openHome(await made())
  const genesis = host.spaces.find((space) => !space.shared)?.genesis
  assert.ok(genesis)
  assert.match((await refused('ticket', init(newHome(), { ticket: ticketOf(host, { genesis }) }))).message, /private/)
})

test('a finished home takes a ticket by join, not by init', async () => {
  const host = await openHome(await made())
  const home = await made()
  assert.match((await refused('invalid_state', init(home, { ticket: ticketOf(host) }))).hint ?? '', /chrysalis join/)
})

test('join moves a home that has shared nothing into the network of the ticket', async () => {
  const host = await openHome(await made())
  const home = await made()
  const before = await openHome(home)
  writeFileSync(path.join(home, 'peers.json'), '{}')
  const report = await join(home, ticketOf(host))
  assert.deepEqual(report, {
    home,
    space: { name: 'shared', id: host.spaces[1]?.id },
    addresses: [`/ip4/127.0.0.1/tcp/4001/p2p/${host.peer}`],
    networkChanged: true
  })
  const opened = await openHome(home)
  assert.deepEqual(opened.networkKey, host.networkKey)
  assert.equal(opened.peer, before.peer)
  assert.deepEqual(
    opened.spaces.map(({ name, id, isDefault }) => [name, id, isDefault]),
    [
      ['private', before.spaces[0]?.id, false],
      ['shared', host.spaces[1]?.id, true]
    ]
  )
  assert.deepEqual(new Uint8Array(readFileSync(path.join(home, 'network.key.old-1'))), before.networkKey)
  if (noModes === false) assert.equal(statSync(path.join(home, 'network.key.old-1')).mode & 0o777, 0o600)
  assert.equal(existsSync(path.join(home, 'peers.json')), false)
})

test('joining twice changes nothing more', async () => {
  const host = await openHome(await made())
  const home = await made()
  await join(home, ticketOf(host))
  const before = contentOf(home)
  const again = await join(home, ticketOf(host), { shared: true })
  assert.equal(again.networkChanged, false)
  assert.deepEqual(contentOf(home), before)
})

test('join refuses to leave a network in which something was shared, unless forced', async () => {
  const host = await openHome(await made())
  const home = await made()
  const before = contentOf(home)
  const own = await openHome(home)
  const error = await refused('invalid_state', join(home, ticketOf(host), { shared: true }))
  assert.match(error.hint ?? '', /--force/)
  assert.deepEqual(contentOf(home), before)

  const report = await join(home, ticketOf(host), { shared: true, force: true })
  assert.equal(report.networkChanged, true)
  const opened = await openHome(home)
  assert.equal(opened.spaces.length, 3)
  const kept = opened.spaces.find((space) => space.id === own.spaces[1]?.id)
  assert.equal(kept?.name, `shared-${kept?.id.slice(0, 8)}`, 'the older space yields its name')
  assert.equal(kept?.isDefault, false)
  assert.equal(opened.spaces.filter((space) => space.isDefault).length, 1)
})

test('join refuses to leave a network that was joined by a ticket, even when it is still empty', async () => {
  const [first, second] = [await openHome(await made()), await openHome(await made())]
  const home = await made()
  await join(home, ticketOf(first))
  await refused('invalid_state', join(home, ticketOf(second)))
  await join(home, ticketOf(second), { force: true })
  assert.deepEqual((await openHome(home)).networkKey, second.networkKey)
})

test('a second space of the same network is added without a new key', async () => {
  const host = await openHome(await made())
  const home = await made({ ticket: ticketOf(host) })
  const genesis = encodeGenesis({
    version: 1,
    creator: host.identity.author,
    name: 'private',
    policy: 'open',
    nonce: '11'.repeat(16),
    createdMs: NOW
  })
  const report = await join(home, ticketOf(host, { genesis, addresses: ['/ip4/10.0.0.1/tcp/1'] }), { shared: true })
  assert.equal(report.networkChanged, false)
  assert.equal(report.space.name, `private-${report.space.id.slice(0, 8)}`, '`private` stays the space that is')
  const opened = await openHome(home)
  assert.equal(opened.spaces.length, 3)
  assert.deepEqual(opened.bootstrap, ['/ip4/10.0.0.1/tcp/1', `/ip4/127.0.0.1/tcp/4001/p2p/${host.peer}`])
})

test('join needs a home', async () => {
  const host = await openHome(await made())
  await refused('not_initialised', join(newHome(), ticketOf(host)))
})

test('a home holds LIMITS.spacesMax spaces and no more', async () => {
  const host = await openHome(await made())
  const home = await made({ ticket: ticketOf(host) })
  const crypto = createCrypto(host.identity.seed)
  const nth = (n: number) =>
    ticketOf(host, {
      genesis: encodeGenesis({
        version: 1,
        creator: toHex(crypto.publicKey),
        name: `space ${n}`,
        policy: 'open',
        nonce: n.toString(16).padStart(32, '0'),
        createdMs: NOW
      })
    })
  for (let n = 2; n < LIMITS.spacesMax; n++) await join(home, nth(n))
  assert.equal((await openHome(home)).spaces.length, LIMITS.spacesMax)
  await refused('quota', join(home, nth(LIMITS.spacesMax)))
  await join(home, nth(5))
})

test('a damaged list of spaces is refused by name, and never half believed', async () => {
  const home = await made()
  const { spaces, identity } = await openHome(home)
  const crypto = createCrypto(identity.seed)
  const [own, shared] = spaces as [HomeSpace, HomeSpace]
  const stranger = (await openHome(await made())).spaces[1] as HomeSpace
  const decode = (list: readonly HomeSpace[]) => () => decodeSpaces(encodeSpaces(list), 'spaces.json', crypto)
  assert.deepEqual(decode(spaces)(), spaces)
  const bad: [string, readonly HomeSpace[]][] = [
    ['none', []],
    ['too many', Array.from({ length: LIMITS.spacesMax + 1 }, () => shared)],
    ['twice', [own, shared, { ...shared, name: 'again', isDefault: false }]],
    ['one name', [own, { ...shared, name: 'private' }]],
    ['no default', [own, { ...shared, isDefault: false }]],
    ['two defaults', [{ ...own, isDefault: true }, shared]],
    ['private one shared', [{ ...own, shared: true }, shared]],
    ['shared one hidden', [own, { ...shared, shared: false }]],
    ['foreign genesis', [own, { ...shared, genesis: own.genesis }]],
    ['genesis of another shared space', [own, { ...shared, genesis: stranger.genesis }]],
    ['no genesis', [own, { ...shared, genesis: new Uint8Array() }]],
    ['no name', [own, { ...shared, name: '' }]],
    ['redeem', [own, { ...shared, redeem: { issuer: 'x', nonce: '' } }]]
  ]
  for (const [what, list] of bad) {
    assert.throws(decode(list), (error) => error instanceof ChrysalisError && error.code === 'corrupt', what)
  }
  for (const text of ['', 'null', '{"v":1}', '{"v":1,"spaces":[null]}']) {
    writeFileSync(homePaths(home).spaces, text)
    await refused('corrupt', openHome(home))
  }
  writeFileSync(homePaths(home).spaces, '{"v":2,"spaces":[]}')
  await refused('unsupported_version', openHome(home))
})

test('the network key of a new home is one, and differs from home to home', async () => {
  const [a, b] = [await openHome(await made()), await openHome(await made())]
  assert.equal(a.networkKey.length, encodeNetworkKey(new Uint8Array(32)).length)
  assert.notDeepEqual(a.networkKey, b.networkKey)
})
