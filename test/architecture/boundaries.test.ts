/**
 * Imports go down only. The floor plan is rooms.ts; here every file is held to it, the plan is held to the folders that
 * exist, and each kind of violation is planted once to prove that it would be found.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { importsOf, violations } from './imports.ts'
import { OUTBUILDINGS, PACKAGES, ROOMS, STREET } from './rooms.ts'
import { filesBelow, foldersIn, sources, textOf } from './source-files.ts'

const house = sources('src', 'bin', 'simulations')
// The doors are JavaScript, one of them without an extension.
for (const door of filesBelow('bin', (file) => !file.endsWith('.ts'))) house.set(door, textOf(door))

test('no file imports what its room may not', () => {
  assert.ok(house.size > 50, 'the files were found')
  assert.deepEqual(violations(house), [])
})

test('every room of the plan exists and holds files', () => {
  const files = [...house.keys()]
  for (const { path } of ROOMS)
    assert.ok(
      files.some((file) => file.startsWith(`src/${path}/`)),
      `src/${path}`
    )
  for (const { path } of STREET) assert.ok(house.has(`src/${path}`), `src/${path}`)
  for (const { path } of OUTBUILDINGS)
    assert.ok(
      files.some((file) => file.startsWith(`${path}/`)),
      path
    )
})

test('every folder of src is a room of the plan', () => {
  const folders = foldersIn('src').flatMap((name) =>
    name === 'adapters' ? foldersIn('src/adapters').map((a) => `adapters/${a}`) : [name]
  )
  assert.deepEqual(folders, ROOMS.map(({ path }) => path).sort())
})

test('the plan has no way round: a room reaches only rooms that do not reach it', () => {
  const roomNamed = new Map(ROOMS.map((room) => [room.path, room]))
  const below = (path: string, seen: Set<string>): Set<string> => {
    for (const place of roomNamed.get(path)?.mayImport ?? []) {
      const next = ROOMS.find((room) => place === room.path || place.startsWith(`${room.path}/`))?.path
      if (next !== undefined && !seen.has(next)) below(next, seen.add(next))
    }
    return seen
  }
  for (const { path } of ROOMS) assert.ok(!below(path, new Set()).has(path), path)
})

test('pure rooms reach only pure rooms, and no room but the composition root reaches an adapter', () => {
  const roomAt = (place: string) => ROOMS.find((room) => place === room.path || place.startsWith(`${room.path}/`))
  for (const room of ROOMS) {
    for (const place of room.mayImport) {
      if (room.pure === true) assert.equal(roomAt(place)?.pure, true, `${room.path} → ${place}`)
      if (room.path !== 'daemon') assert.doesNotMatch(place, /^adapters/, room.path)
    }
  }
})

test('every dependency of package.json has its place, and every place a dependency', () => {
  const { dependencies, devDependencies } = JSON.parse(textOf('package.json')) as Record<string, Record<string, string>>
  // Declared for the types that the packages above share, or so that a test can be an oracle.
  const tools = new Set([
    ...['@types/node', 'cborg', 'eslint', 'fast-check', 'prettier', 'typescript', 'typescript-eslint'],
    ...['@modelcontextprotocol/client', '@modelcontextprotocol/sdk', 'minisearch']
  ])
  const known = Object.keys({ ...dependencies, ...devDependencies }).filter((name) => !tools.has(name))
  for (const name of known)
    assert.ok(
      PACKAGES.some((entry) => entry.name.test(name)),
      name
    )
  for (const { name } of PACKAGES)
    assert.ok(
      known.some((dependency) => name.test(dependency)),
      String(name)
    )
})

test('every dependency at run time is imported somewhere and explained in docs/adr/0002-dependencies.md', () => {
  const { dependencies, devDependencies } = JSON.parse(textOf('package.json')) as Record<string, Record<string, string>>
  const imported = [...house].flatMap(([file, text]) => importsOf(file, text).map((each) => each.target ?? ''))
  const runtime = Object.keys(dependencies ?? {})
  assert.ok(runtime.length > 10)
  const idle = runtime.filter((name) => !imported.some((target) => target === name || target.startsWith(`${name}/`)))
  assert.deepEqual(idle, [], 'a package that nobody imports')
  const decision = textOf('docs/adr/0002-dependencies.md')
  const unexplained = [...runtime, ...Object.keys(devDependencies ?? {})].filter(
    (name) => !decision.includes(`\`${name}\``)
  )
  assert.deepEqual(unexplained, [])
})

/** Plants one file among two innocent ones and returns what is found. */
function planted(file: string, text: string): string[] {
  const base = [
    'src/base/limits.ts',
    'src/ports/clock.ts',
    'src/ports/crypto.ts',
    'src/memory/ids.ts',
    'src/adapters/system/clock.ts'
  ]
  const files = new Map(base.map((name) => [name, '/** Nothing. */']))
  return violations(files.set('src/daemon/compose.ts', '').set('src/polyfill.ts', '').set(file, text))
}

const PLANTS: readonly [string, string, string, RegExp][] = [
  [
    'upward',
    'src/crdt/g-set.ts',
    `import { x } from '../memory/ids.ts'`,
    /:1: crdt may not import memory .*it may import base$/
  ],
  [
    'upward, types only',
    'src/crdt/g-set.ts',
    `import type { X } from '../memory/ids.ts'`,
    /crdt may not import memory/
  ],
  ['upward, inline type', 'src/crdt/g-set.ts', `let x: import('../memory/ids.ts').X`, /crdt may not import memory/],
  ['upward, dynamic', 'src/crdt/g-set.ts', `const x = await import('../memory/ids.ts')`, /crdt may not import memory/],
  ['upward, re-export', 'src/crdt/g-set.ts', `export * from '../memory/ids.ts'`, /crdt may not import memory/],
  ['upward, for effect', 'src/crdt/g-set.ts', `import '../memory/ids.ts'`, /crdt may not import memory/],
  ['upward, require', 'src/crdt/g-set.ts', `import x = require('../memory/ids.ts')`, /crdt may not import memory/],
  ['base imports anything', 'src/base/x.ts', `import { x } from '../ports/clock.ts'`, /it may import nothing$/],
  [
    'between adapters',
    'src/adapters/level/x.ts',
    `import { x } from '../system/clock.ts'`,
    /adapters\/level may not import adapters\/system/
  ],
  [
    'another port',
    'src/memory/x.ts',
    `import type { C } from '../ports/clock.ts'`,
    /memory may not import ports \(ports\/clock\.ts\)/
  ],
  [
    'code of a port',
    'src/rpc/x.ts',
    `import { c } from '../ports/clock.ts'`,
    /rpc may not import ports .*types of ports$/
  ],
  [
    'the engine reaches an adapter',
    'src/node/x.ts',
    `import { x } from '../adapters/system/clock.ts'`,
    /node may not import/
  ],
  ['a face reaches the engine', 'src/cli/x.ts', `import { x } from '../node/api.ts'`, /cli may not import node/],
  [
    'a simulation reaches the daemon',
    'simulations/x.ts',
    `import '../src/daemon/compose.ts'`,
    /simulations may not import daemon/
  ],
  ['a door reaches a room', 'bin/x.ts', `import '../src/daemon/compose.ts'`, /bin may not import daemon/],
  [
    'node: in a pure room',
    'src/sync/x.ts',
    `import fs from 'node:fs/promises'`,
    /sync may not import node:fs\/promises/
  ],
  ['node: in the engine', 'src/node/x.ts', `import fs from 'node:fs'`, /node may not import node:fs/],
  [
    'package in a wrong room',
    'src/node/x.ts',
    `import { z } from 'zod'`,
    /the package zod; it belongs to src\/rpc\/schema/
  ],
  [
    'package in a wrong file',
    'src/memory/ids2.ts',
    `import * as u from 'uint8arrays'`,
    /the package uint8arrays; it belongs to src\/base\/bytes\.ts/
  ],
  [
    'libp2p in the daemon',
    'src/daemon/x.ts',
    `import { x } from '@libp2p/crypto/keys'`,
    /belongs to src\/adapters\/libp2p/
  ],
  ['unlisted package', 'src/cli/x.ts', `import x from 'left-pad'`, /left-pad; it belongs to no room/],
  ['bare built-in', 'src/cli/x.ts', `import fs from 'fs'`, /the package fs/],
  ['computed target', 'src/daemon/x.ts', `const x = await import(name)`, /must be a literal/],
  ['no such file', 'src/memory/x.ts', `import { x } from './nothing.ts'`, /nothing\.ts does not exist/],
  ['without its extension', 'src/memory/x.ts', `import { x } from './ids'`, /ids does not exist/],
  ['out of the repository', 'src/daemon/x.ts', `import x from '../../../elsewhere.ts'`, /daemon may not import/],
  [
    'tests from the house',
    'src/daemon/x.ts',
    `import x from '../../test/support/x.ts'`,
    /daemon may not import test\/support/
  ],
  ['a new folder', 'src/utils/x.ts', '', /is in no room/],
  ['a file on the street', 'src/helpers.ts', '', /is in no room/]
]

for (const [what, file, text, complaint] of PLANTS) {
  test(`a planted violation is found: ${what}`, () => {
    const found = planted(file, text)
    assert.equal(found.length, 1, found.join('\n') || 'nothing was found')
    assert.match(found[0] ?? '', complaint)
    assert.ok(found[0]?.startsWith(file))
  })
}

test('what is allowed is not complained about', () => {
  assert.deepEqual(
    planted('src/memory/x.ts', `import { x } from './ids.ts'\nimport type { C } from '../ports/crypto.ts'`),
    []
  )
  assert.deepEqual(
    planted('src/rpc/x.ts', `import type { C } from '../ports/clock.ts'\nimport { type D } from '../ports/clock.ts'`),
    []
  )
  assert.deepEqual(planted('src/rpc/schema/x.ts', `import { z } from 'zod'\nimport net from 'node:net'`), [])
  assert.deepEqual(
    planted('src/adapters/libp2p/x.ts', `import '../../polyfill.ts'\nimport { createLibp2p } from 'libp2p'`),
    []
  )
})

test('imports in comments and strings are none', () => {
  assert.deepEqual(importsOf('x.ts', `// import 'a'\n/* import('b') */ const s = "import 'c'"`), [])
})
