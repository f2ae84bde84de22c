/**
 * The planting of faults: every entry of the list fits the code as it is today, a planted copy differs from the original
 * in nothing else, and a simple one is found from end to end. Whether all of them are found is for `sim mutants` to say.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { suite, test } from 'node:test'
import { chosen, outcomeOf } from '../../../simulations/commands/mutants.ts'
import { LIAR_KINDS } from '../../../simulations/liars/liar.ts'
import { MUTANTS } from '../../../simulations/mutants/mutants.ts'
import { edited, plant, projectRoot } from '../../../simulations/mutants/plant.ts'
import { tryMutant, type Trial } from '../../../simulations/mutants/trial.ts'
import { loadScenario } from '../../../simulations/scenarios/parse.ts'
import { isChrysalisError } from '../../../src/base/errors.ts'

const root = projectRoot()

suite('mutants', () => {
  test('there are many, with names of their own, and each fits the code exactly once', () => {
    assert.ok(MUTANTS.length >= 25)
    assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length)
    for (const { name, edits } of MUTANTS) {
      assert.ok(edits.length > 0)
      for (const edit of edits) {
        const text = readFileSync(path.join(root, edit.file), 'utf8')
        assert.notEqual(edited(text, edit, name), text)
      }
    }
  })

  test('their scenarios are there, and their liars are known', () => {
    const fileOf = (name: string): string =>
      name.endsWith('.toml') ? path.join(root, 'simulations/mutants', name) : name
    for (const { scenario, hiddenIn, liars = [] } of MUTANTS) {
      for (const name of [scenario, hiddenIn ?? scenario]) assert.equal(loadScenario(fileOf(name)).tier, 'engine')
      for (const kind of liars) assert.ok(kind in LIAR_KINDS)
    }
    assert.equal(MUTANTS.filter(({ hiddenIn }) => hiddenIn !== undefined).length, 2)
  })

  test('a text that is not there, or there twice, is refused before anything is copied', () => {
    const edit = { file: 'src/base/assert.ts', from: 'aa', to: 'b' }
    assert.equal(edited('x aa x', edit, 'one'), 'x b x')
    for (const text of ['', 'aa aa']) {
      assert.throws(
        () => edited(text, edit, 'one'),
        (error) => isChrysalisError(error, 'failure') && /not once/.test(error.message)
      )
    }
    assert.throws(() => plant({ name: 'none', edits: [{ ...edit, from: 'nowhere to be found' }] }))
  })

  test('a copy differs in the planted words alone, and is cleared away', () => {
    const [mutant] = MUTANTS
    assert.ok(mutant !== undefined)
    const plot = plant(mutant)
    const [edit] = mutant.edits
    const file = edit?.file ?? ''
    const [before, after] = [root, plot.folder].map((folder) => readFileSync(path.join(folder, file), 'utf8'))
    assert.equal(after, edited(before ?? '', edit ?? { file, from: '', to: '' }, mutant.name))
    const other = 'src/base/limits.ts'
    assert.equal(readFileSync(path.join(plot.folder, other), 'utf8'), readFileSync(path.join(root, other), 'utf8'))
    assert.ok(existsSync(path.join(plot.folder, 'node_modules/tsx')))
    plot.clear()
    plot.clear()
    assert.equal(existsSync(plot.folder), false)
    assert.ok(existsSync(path.join(root, 'node_modules/tsx')), 'the packages are linked, not copied')
  })

  test('one that breaks a merge is found, by a check that says so', async () => {
    const mutant = MUTANTS.find(({ name }) => name === 'first-creation')
    assert.ok(mutant !== undefined)
    const trial = await tryMutant(mutant, { seedsMax: 3 })
    assert.ok(trial.caughtBy.includes('I15'), trial.said)
    assert.ok(trial.seeds <= 3)
  })

  test('one that changes nothing is not found', async () => {
    const edits = [{ file: 'src/sync/pace.ts', from: 'const JITTER = 0.2', to: 'const JITTER = 0.2 + 0' }]
    const trial = await tryMutant({ name: 'none', breaks: 'nothing', edits, scenario: 'calm' }, { seedsMax: 1 })
    assert.deepEqual([trial.caughtBy, trial.seeds], [[], 1])
  })

  test('what is said in the end: found, missed, not hidden, not tried', () => {
    const trial: Trial = {
      name: 'a',
      breaks: 'it',
      scenario: 'calm',
      caughtBy: ['I1'],
      said: 'I1 x',
      seeds: 2,
      hidden: null
    }
    const elsewhere = { scenario: 'lossy', seeds: 8, wasFound: false }
    assert.equal(outcomeOf([trial, { ...trial, hidden: elsewhere }], 2).exit, 0)
    assert.equal(outcomeOf([trial, { ...trial, caughtBy: [] }], 2).exit, 1)
    assert.equal(outcomeOf([{ ...trial, hidden: { ...elsewhere, wasFound: true } }], 1).exit, 1)
    assert.equal(outcomeOf([trial], 2).exit, 2)
    assert.match(outcomeOf([{ ...trial, caughtBy: [] }], 1).lines.join('\n'), /NOTHING/)
    assert.deepEqual(
      chosen('lww-tie,epoch-kept').map(({ name }) => name),
      ['lww-tie', 'epoch-kept']
    )
    assert.throws(
      () => chosen('lww-ti'),
      (error) => isChrysalisError(error, 'not_found') && /lww-tie/.test(error.hint ?? '')
    )
  })
})
