/**
 * The pure rooms are compiled once more with no ambient types at all, so that a timer, a clock or a Node module is a
 * type error. This runs that compilation, and shows on planted files that it is not blind.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { tmpdir } from 'node:os'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { ROOMS } from './rooms.ts'
import { REPOSITORY, textOf } from './source-files.ts'

const PURE_CONFIG = path.join(REPOSITORY, 'src', 'tsconfig.pure.json')
const COMPILER = fileURLToPath(new URL('bin/tsc', import.meta.resolve('typescript/package.json')))

function compile(config: string): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMPILER, '-p', config], { encoding: 'utf8' })
  return { status, output: stdout + stderr }
}

test('the pure rooms compile without any ambient type', () => {
  const { status, output } = compile(PURE_CONFIG)
  assert.equal(status, 0, output)
})

test('the configuration covers exactly the rooms that the floor plan calls pure', () => {
  const { include, compilerOptions } = JSON.parse(textOf('src/tsconfig.pure.json')) as {
    include: string[]
    compilerOptions: { types: string[] }
  }
  const pure = ROOMS.filter((room) => room.pure === true).map((room) => room.path)
  assert.deepEqual([...include].sort(), pure.sort())
  assert.deepEqual(compilerOptions.types, [])
})

test('what a pure room may not touch is a type error', () => {
  const plants: readonly [name: string, text: string][] = [
    ['timer', 'setTimeout(() => undefined, 1)'],
    ['interval', 'setInterval(() => undefined, 1)'],
    ['process', 'export const a = process.env'],
    ['buffer', 'export const b = Buffer.alloc(1)'],
    ['monotonic', 'export const c = performance.now()'],
    ['console', 'console.log(1)'],
    ['network', `export const d = fetch('http://localhost')`],
    ['module', `import { readFileSync } from 'node:fs'\nexport const e = readFileSync`]
  ]
  const innocent = 'export const sum = (a: number, b: number): number => Math.max(a, b) + a\n'
  const folder = mkdtempSync(path.join(tmpdir(), 'chrysalis-pure-'))
  try {
    writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }')
    writeFileSync(path.join(folder, 'innocent.ts'), innocent)
    for (const [name, text] of plants) writeFileSync(path.join(folder, `${name}.ts`), `${text}\nexport {}\n`)
    const config = path.join(folder, 'tsconfig.json')
    const options = { extends: PURE_CONFIG, include: ['*.ts'], compilerOptions: { rootDir: '.' } }
    writeFileSync(config, JSON.stringify(options))
    const { status, output } = compile(config)
    assert.notEqual(status, 0)
    for (const [name] of plants)
      assert.match(output, new RegExp(`${name}\\.ts.*error TS`), `${name} was not noticed:\n${output}`)
    assert.doesNotMatch(output, /innocent\.ts/)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
