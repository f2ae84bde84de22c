/** Scenario files: all of the package's can be read, and every mistake is refused with its place and what was meant. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { suite, test } from 'node:test'
import { isChrysalisError } from '../../../src/base/errors.ts'
import { LISTS, SECTIONS } from '../../../simulations/scenarios/keys.ts'
import {
  isFaultless,
  loadScenario,
  parseScenario,
  scenarioFolder,
  scenarioNames
} from '../../../simulations/scenarios/parse.ts'

const SMALL = 'shows = "something"\n'

function refusal(text: string): { message: string; hint: string } {
  try {
    parseScenario('folder/odd.toml', text)
  } catch (error) {
    assert.ok(isChrysalisError(error, 'config'), String(error))
    assert.match(error.message, /^folder\/odd\.toml.*Nothing was run\.$/s)
    return { message: error.message, hint: error.hint ?? '' }
  }
  assert.fail(`accepted: ${text}`)
}

suite('scenario files', () => {
  test('those of the package can be read, and each opens with what it shows and asserts', () => {
    const names = scenarioNames()
    for (const expected of ['calm', 'byzantine-third', 'crash-restart', 'two-continents', 'propagation-100k']) {
      assert.ok(names.includes(expected), expected)
    }
    for (const name of names) {
      const scenario = loadScenario(name)
      assert.equal(scenario.name, name)
      const text = readFileSync(path.join(scenarioFolder(), `${name}.toml`), 'utf8')
      assert.ok(text.startsWith(`# ${name}: `), `${name} says what it shows`)
      assert.match(text, /\n# Asserts that /)
      assert.equal(isFaultless(scenario), name === 'calm' || scenario.tier === 'model', name)
    }
  })

  test('what is left out has a default, and what is said is kept', () => {
    const bare = parseScenario('bare.toml', SMALL)
    assert.deepEqual([bare.name, bare.tier, bare.nodes, bare.swarm], ['bare', 'engine', [5, 9], true])
    assert.deepEqual(bare.faults, {})
    assert.equal(bare.world.overlay, 'gossipsub')
    assert.equal('network' in bare.world, false)
    const said = parseScenario(
      'said.toml',
      `${SMALL}[world]\nnodes = 12\nnetwork = "wan8"\nloss = 0.25\n[faults]\ncrash = 2\nswarm = false\n` +
        '[[fault]]\nkind = "partition"\natMs = 5_000\nshare = 0.5\n[liars]\nkinds = ["equivocator"]\ncount = [1, 2]\n'
    )
    assert.deepEqual(said.nodes, [12, 12])
    assert.deepEqual([said.world.network, said.world.air.loss, said.swarm], ['wan8', 0.25, false])
    assert.deepEqual(said.faults, { crash: 2 })
    assert.deepEqual(said.planned, [{ kind: 'partition', atMs: 5_000, share: 0.5 }])
    assert.deepEqual(said.liars, { kinds: ['equivocator'], count: [1, 2], share: 0 })
  })

  test('an unknown key is refused with the nearest one, and with the table it belongs to', () => {
    const near = refusal(`${SMALL}[faults]\ncrahs = 1\n`)
    assert.match(near.message, /faults\.crahs is no key/)
    assert.match(near.hint, /Did you mean faults\.crash\?/)
    assert.match(refusal(`${SMALL}[wrold]\nnodes = 3\n`).hint, /Did you mean world\?/)
    assert.match(refusal(`${SMALL}[work]\nnetwork = "lan"\n`).hint, /network belongs under \[world\]/)
    assert.match(
      refusal(`${SMALL}[[fault]]\nkind = "crash"\natMs = 1\nnodes = [0]\nduration = 3\n`).message,
      /fault\.duration/
    )
  })

  test('a value of the wrong kind or out of bounds is refused, and a word with the nearest one', () => {
    for (const [text, what] of [
      ['[world]\nnodes = 0', /world\.nodes takes a whole number from 1/],
      ['[world]\nnodes = [9, 5]', /the smaller first, not \[9,5\]/],
      ['[world]\nnodes = 2.5', /world\.nodes/],
      ['[world]\nloss = 1.5', /world\.loss takes a number from 0 to 0\.9/],
      ['[work]\nshared = -0.1', /work\.shared takes a number from 0 to 1/],
      ['[work]\nshared = "half"', /work\.shared/],
      ['[faults]\nswarm = 1', /faults\.swarm takes true or false/],
      ['[faults]\ncrash = -1', /faults\.crash/],
      ['[heal]\nreaches = "partition-healed"', /heal\.reaches takes a list/],
      ['[seeds]\ned25519 = 2', /seeds\.ed25519/],
      ['world = 3', /world is a table/],
      ['fault = 3', /fault is a list of tables/],
      ['[fault]\nkind = "crash"', /fault is a list of tables/]
    ] as const) {
      assert.match(refusal(`${SMALL}${text}\n`).message, what)
    }
    assert.match(refusal(`${SMALL}[world]\nnetwork = "wan9"\n`).hint, /Did you mean "wan/)
    assert.match(refusal(`${SMALL}[liars]\nkinds = ["liar"]\ncount = 1\n`).message, /liars\.kinds takes a list of/)
    assert.match(refusal('[world]\nnodes = 3\n').message, /shows is missing/)
    assert.match(refusal(`${SMALL}[world\n`).message, /odd\.toml:2:\d+ is not valid TOML/)
  })

  test('what is impossible together is refused', () => {
    for (const [text, what] of [
      ['[world]\nnodes = 3\ndials = 3', /dials is 3, and there are only 3 nodes/],
      ['[work]\nrevise = 0.9\nvote = 0.2', /shares of work add up to/],
      ['[heal]\nwithinMs = 50_000\npatienceMs = 10_000', /heal\.withinMs \(50000\) is more/],
      ['[seeds]\npushOff = 0.6\npullOff = 0.6', /more than 1 together/],
      ['[[fault]]\nkind = "crash"\natMs = 90_000\nnodes = [0]', /begins at 90000 ms, and writing ends at 25000/],
      ['[[fault]]\nkind = "crash"\natMs = 1_000\nnodes = [7]', /names node 7, and there may be only 5/],
      ['[[fault]]\nkind = "crash"\natMs = 1_000', /needs either nodes or share/],
      ['[liars]\nkinds = ["dropper"]', /neither count nor share/],
      ['[liars]\ncount = 2', /a number and no kinds/],
      ['[liars]\nkinds = ["dropper"]\ncount = 2\nsurround = 6', /surround node 6/],
      ['[model]\nnodes = 10', /model is only for tier/]
    ] as const) {
      assert.match(refusal(`${SMALL}${text}\n`).message, what)
    }
    assert.match(refusal(`${SMALL}tier = "model"\n`).message, /needs a \[model\] table/)
  })

  test('every key says what it means', () => {
    for (const section of [...Object.values(SECTIONS), ...Object.values(LISTS)]) {
      for (const [key, { means }] of Object.entries(section)) assert.ok(means.length > 3, key)
    }
  })

  test('a scenario is found by name or by file; another name is refused with the nearest', (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'chrysalis-scenario-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = path.join(folder, 'mine.toml')
    writeFileSync(file, SMALL)
    assert.equal(loadScenario(file).name, 'mine')
    assert.throws(
      () => loadScenario('partition-heal'),
      (error) => isChrysalisError(error, 'invalid_argument') && /Did you mean partition-heals\?/.test(error.hint ?? '')
    )
    assert.throws(
      () => loadScenario(path.join(folder, 'none.toml')),
      (error) => isChrysalisError(error, 'config') && /cannot be read/.test(error.message)
    )
  })
})
