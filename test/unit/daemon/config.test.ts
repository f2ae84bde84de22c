/** Which source wins, what is refused, and that a refusal names the place and the way out. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { CONFIG_KEYS, PRESETS, SHORT_VARIABLES, variableOf } from '../../../src/daemon/config-schema.ts'
import { loadConfig, presetLayer, type LoadOptions } from '../../../src/daemon/config.ts'
import { NODE_DEFAULTS } from '../../../src/node/options.ts'

const scratch = mkdtempSync(path.join(tmpdir(), 'chrysalis-config-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

let homes = 0
function homeWith(toml?: string): string {
  const home = mkdtempSync(path.join(scratch, `${homes++}-`))
  if (toml !== undefined) writeFileSync(path.join(home, 'config.toml'), toml)
  return home
}

function load(toml: string | undefined, options: Omit<LoadOptions, 'home'> = {}) {
  return loadConfig({ home: homeWith(toml), ...options })
}

function refusal(toml: string | undefined, options: Omit<LoadOptions, 'home'> = {}): ChrysalisError {
  try {
    load(toml, options)
  } catch (error) {
    assert.ok(error instanceof ChrysalisError, String(error))
    assert.equal(error.code, 'config')
    assert.equal(error.stateTouched, false)
    assert.ok(error.hint !== undefined && error.hint.length > 0, 'a hint')
    return error
  }
  return assert.fail('it was accepted')
}

function valueAndSource(key: string, toml: string | undefined, options: Omit<LoadOptions, 'home'> = {}) {
  const entry = load(toml, options).entries.find((candidate) => candidate.key === key)
  return [entry?.value, entry?.source]
}

test('with nothing said the preset is lan', () => {
  const { config, warnings } = load(undefined)
  assert.equal(config.preset, 'lan')
  assert.deepEqual(config.network.listen, ['/ip4/0.0.0.0/tcp/0'])
  assert.equal(config.network.mdns, true)
  assert.equal(config.network.dht, false)
  assert.equal(config.network.fanout, 3)
  assert.equal(config.network.heartbeatMs, 500)
  assert.equal(config.name, null)
  assert.deepEqual(warnings, [])
})

test('the preset local stays on this machine, wan uses the table of addresses', () => {
  const local = load(undefined, { preset: 'local' }).config.network
  assert.deepEqual([local.listen, local.mdns, local.dht], [['/ip4/127.0.0.1/tcp/0'], false, false])
  const wan = load(undefined, { preset: 'wan' }).config.network
  assert.deepEqual([wan.mdns, wan.dht], [true, true])
  assert.ok(wan.listen.every((address) => address.startsWith('/ip4/0.0.0.0/')))
  assert.ok(wan.inboundConnectionsPerSecond < LIMITS.inboundConnectionsPerSecondMax)
})

test('every preset file holds known keys and good values', () => {
  for (const preset of PRESETS) {
    assert.ok(presetLayer(preset).size > 0)
    assert.equal(load(undefined, { preset }).config.preset, preset)
  }
})

test('the engine and the configuration have the same defaults', () => {
  const { config } = load(undefined)
  assert.deepEqual(config.sync, NODE_DEFAULTS.sync)
  assert.equal(config.store.durability, NODE_DEFAULTS.store.durability)
  assert.deepEqual(config.access, NODE_DEFAULTS.access)
  assert.deepEqual(config.storm, NODE_DEFAULTS.storm)
})

test('flags win over the environment, the environment over the file, the file over the preset, that over the default', () => {
  const toml = '[network]\ninboundConnectionsPerSecond = 40\n'
  const key = 'network.inboundConnectionsPerSecond'
  const env = { CHRYSALIS_NETWORK_INBOUND_CONNECTIONS_PER_SECOND: '30' }
  const flags = { [key]: '25' }
  assert.deepEqual(valueAndSource(key, toml, { preset: 'wan', env, flags }), [25, 'flag'])
  assert.deepEqual(valueAndSource(key, toml, { preset: 'wan', env }), [30, 'environment'])
  assert.deepEqual(valueAndSource(key, toml, { preset: 'wan' }), [40, 'file'])
  assert.deepEqual(valueAndSource(key, undefined, { preset: 'wan' }), [20, 'default'])
  assert.deepEqual(valueAndSource(key, undefined), [100, 'default'])
})

test('the preset itself is chosen in the same order', () => {
  const toml = 'preset = "wan"\n'
  assert.equal(load(toml).config.preset, 'wan')
  assert.equal(load(toml, { env: { CHRYSALIS_PRESET: 'local' } }).config.preset, 'local')
  assert.equal(load(toml, { env: { CHRYSALIS_PRESET: 'local' }, flags: { preset: 'lan' } }).config.preset, 'lan')
  assert.equal(load(toml, { flags: { preset: 'lan' }, preset: 'local' }).config.preset, 'local')
  assert.equal(load(toml, { preset: 'local' }).config.network.mdns, false)
})

test('each entry says where it comes from', () => {
  const home = homeWith('name = "alpha"\n\n[log]\nlevel = "warn"\n')
  const { entries } = loadConfig({ home, env: { CHRYSALIS_MDNS: '0' }, flags: { 'recall.limit': 5 } })
  const origin = (key: string) => entries.find((entry) => entry.key === key)?.origin
  assert.equal(origin('log.level'), `${path.join(home, 'config.toml')}:4`)
  assert.equal(origin('name'), `${path.join(home, 'config.toml')}:1`)
  assert.equal(origin('network.mdns'), 'CHRYSALIS_MDNS')
  assert.equal(origin('recall.limit'), 'the flag recall.limit')
  assert.equal(origin('network.dht'), 'preset lan')
  assert.equal(origin('network.fanout'), 'built in')
  assert.deepEqual(
    entries.map((entry) => entry.key),
    [...CONFIG_KEYS.keys()]
  )
})

test('every key can be set from the environment, by its regular name', () => {
  assert.equal(variableOf('network.heartbeatMs'), 'CHRYSALIS_NETWORK_HEARTBEAT_MS')
  for (const [key, spec] of CONFIG_KEYS) {
    const text = Array.isArray(spec.fallback) ? spec.fallback.join(',') : String(spec.fallback ?? '')
    const { entries, warnings } = load(undefined, { env: { [variableOf(key)]: text } })
    const entry = entries.find((candidate) => candidate.key === key)
    assert.deepEqual(entry?.value, spec.fallback, key)
    assert.equal(entry?.source, 'environment', key)
    assert.deepEqual(warnings, [], key)
  }
})

test('short names: CHRYSALIS_MDNS, CHRYSALIS_DHT, CHRYSALIS_LISTEN, CHRYSALIS_BOOTSTRAP, CHRYSALIS_LOG_LEVEL', () => {
  const { config, warnings } = load(undefined, {
    env: {
      CHRYSALIS_MDNS: '0',
      CHRYSALIS_DHT: 'yes',
      CHRYSALIS_LISTEN: '/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/2',
      CHRYSALIS_BOOTSTRAP: '/dns4/example.org/tcp/3',
      CHRYSALIS_LOG_LEVEL: 'debug',
      CHRYSALIS_HOME: '/anywhere',
      CHRYSALIS_PASSPHRASE: 'secret'
    }
  })
  assert.equal(config.network.mdns, false)
  assert.equal(config.network.dht, true)
  assert.deepEqual(config.network.listen, ['/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/2'])
  assert.deepEqual(config.network.bootstrap, ['/dns4/example.org/tcp/3'])
  assert.equal(config.log.level, 'debug')
  assert.deepEqual(warnings, [])
  for (const key of Object.values(SHORT_VARIABLES)) assert.ok(CONFIG_KEYS.has(key), key)
})

test('a passphrase is never among the entries', () => {
  const { entries, warnings } = load(undefined, { env: { CHRYSALIS_PASSPHRASE: 'hunter2' } })
  assert.doesNotMatch(JSON.stringify([entries, warnings]), /hunter2/)
})

test('two names of one key may not disagree', () => {
  const same = { CHRYSALIS_MDNS: '0', CHRYSALIS_NETWORK_MDNS: 'off' }
  assert.equal(load(undefined, { env: same }).config.network.mdns, false)
  const error = refusal(undefined, { env: { CHRYSALIS_MDNS: '0', CHRYSALIS_NETWORK_MDNS: '1' } })
  assert.match(error.message, /CHRYSALIS_MDNS and CHRYSALIS_NETWORK_MDNS/)
})

test('an empty variable is none, except that it empties a list', () => {
  const { config } = load(undefined, { env: { CHRYSALIS_MDNS: '', CHRYSALIS_LISTEN: '', CHRYSALIS_PRESET: '' } })
  assert.equal(config.network.mdns, true)
  assert.deepEqual(config.network.listen, [])
})

test('a variable that means nothing is warned about, with the nearest that does', () => {
  const { warnings } = load(undefined, {
    env: { CHRYSALIS_NETWORK_FANOUTT: '3', CHRYSALIS_ZZZZZZZZZZ: '1', OTHER: 'x' }
  })
  assert.equal(warnings.length, 2)
  assert.match(warnings[0] ?? '', /CHRYSALIS_NETWORK_FANOUTT means nothing here; CHRYSALIS_NETWORK_FANOUT does/)
  assert.match(warnings[1] ?? '', /CHRYSALIS_ZZZZZZZZZZ means nothing here\.$/)
})

test('an unknown key names the line and the nearest known key', () => {
  const error = refusal('# a comment\n[network]\nmdns = true\nfanuot = 3\n')
  assert.match(error.message, /config\.toml:4: there is no configuration key "network\.fanuot"/)
  assert.match(error.hint ?? '', /Did you mean network\.fanout\?/)
})

test('a key without its section, in a wrong section, as a dotted key, or nothing like any', () => {
  assert.match(refusal('fanout = 3').hint ?? '', /network\.fanout/)
  assert.match(refusal('[sync]\nfanout = 3').hint ?? '', /network\.fanout/)
  const dotted = refusal('\nnetwork.fanuot = 3')
  assert.match(dotted.message, /config\.toml:2:/)
  assert.doesNotMatch(refusal('[quux]\nxyzzyplughplover = 3').hint ?? '', /Did you mean/)
  assert.match(refusal(undefined, { flags: { 'network.fanuot': 4 } }).message, /the flag network\.fanuot/)
  assert.equal(load('network.fanout = 4').config.network.fanout, 4)
})

test('a section is not a value and a value is not a section', () => {
  refusal('network = 3')
  refusal('[name]\nx = 1')
  refusal('[network.fanout]\nx = 1')
  refusal('[__proto__]\nx = 1')
  refusal('[constructor]\nname = "x"')
})

test('a bad value says what was expected, what was said and where', () => {
  const error = refusal('[network]\nfanout = 17\n')
  assert.match(error.message, /network\.fanout must be a whole number from 2 to 16; .*config\.toml:2 says 17/)
  assert.match(refusal('[network]\nfanout = "3"').message, /says "3"/)
  assert.match(refusal('[network]\nfanout = 2.5').message, /says 2\.5/)
  assert.match(refusal('[network]\nlisten = ["/ip4/1.2.3.4/tcp/1", "nonsense"]').message, /says "nonsense"/)
  assert.match(refusal('[sync]\nmode = "sometimes"').message, /one of streaming, batched, periodic/)
  assert.match(refusal('[ballot]\nvoters = ["bob"]').message, /peer ids; .* says "bob"/)
  assert.match(refusal(undefined, { env: { CHRYSALIS_MDNS: 'maybe' } }).message, /CHRYSALIS_MDNS says "maybe"/)
  assert.match(refusal(undefined, { env: { CHRYSALIS_NETWORK_FANOUT: '0x3' } }).message, /CHRYSALIS_NETWORK_FANOUT/)
  assert.match(refusal(undefined, { flags: { 'sync.retries': -1 } }).message, /the flag sync\.retries says -1/)
  assert.match(refusal(undefined, { preset: 'moon' }).message, /one of local, lan, wan/)
})

test('numbers are accepted up to their bounds and refused beyond', () => {
  const from = (value: number) => load(undefined, { flags: { 'network.fanout': value } }).config.network.fanout
  assert.equal(from(2), 2)
  assert.equal(from(16), 16)
  refusal(undefined, { flags: { 'network.fanout': 1 } })
  refusal(undefined, { flags: { 'network.fanout': 17 } })
  refusal(undefined, { flags: { 'sync.importanceThreshold': 1.01 } })
  refusal(undefined, { flags: { 'sync.importanceThreshold': Number.NaN } })
  const voter = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp'
  const voters = (count: number) => ({ flags: { 'ballot.voters': Array.from({ length: count }, () => voter) } })
  assert.equal(load(undefined, voters(LIMITS.votersMax)).config.ballot.voters.length, LIMITS.votersMax)
  refusal(undefined, voters(LIMITS.votersMax + 1))
})

test('broken TOML names line and column', () => {
  const error = refusal('name = "alpha"\nlisten = [\n')
  assert.match(error.message, /config\.toml:\d+:\d+ is not valid TOML/)
})

test('values that do not fit each other are refused with both places', () => {
  const error = refusal('[sync]\nretryBackoffMs = 70000\n')
  assert.match(error.message, /sync\.retryBackoffMs = 70000 \(.*config\.toml:2\)/)
  assert.match(error.message, /sync\.retryBackoffMsMax = 60000 \(built in\)/)
  refusal('[sync]\nreconcileIntervalMs = 70000')
  refusal('[sync]\nreconcileIntervalMs = 100\nflushIntervalMs = 51')
  assert.equal(load('[sync]\nreconcileIntervalMs = 100\nflushIntervalMs = 50').config.sync.flushIntervalMs, 50)
  refusal('[sync]\nbatchIntervalMs = 24')
  refusal('[network]\nconnectionsMax = 9\nfanout = 4')
  assert.equal(load('[network]\nconnectionsMax = 10\nfanout = 4').config.network.connectionsMax, 10)
})
