/**
 * What a reader expects of every file: short lines, short files, a head that says what it is, plain names, nothing left
 * half done, and no bound or error code that nobody uses. Each rule is a function of the text and is tried on a planted
 * breach first, so that it cannot pass by being blind.
 */
import assert from 'node:assert/strict'
import path from 'node:path'
import test from 'node:test'
import ts from 'typescript'
import { ERRORS } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { filesBelow, sources, textOf } from './source-files.ts'

const LINE_CHARACTERS_MAX = 140
const CODE_LINES_MAX = 450
const SELF = 'test/architecture/tidy.test.ts'

const house = sources('src', 'simulations')
const everything = sources('src', 'simulations', 'test')
/** The names of its tests say what a test file is. */
const untested = new Map([...everything].filter(([file]) => !file.endsWith('.test.ts')))

/** A rule gives the complaints about one file, without the file's name. */
type Rule = (text: string, file: string) => string[]

/** A text or pattern in quotes is kept in one piece, so that it can be searched for; the code around it must be short. */
const shortLines: Rule = (text) =>
  text.split('\n').flatMap((line, index) => {
    const code = line.replaceAll(/'(\\.|[^'\\])*'|`(\\.|[^`\\])*`|"(\\.|[^"\\])*"|\/(\\.|[^/\\\n])+\/[a-z]*/g, "''")
    return code.length > LINE_CHARACTERS_MAX ? [`line ${index + 1} has ${line.length} characters`] : []
  })

const shortFile: Rule = (text) => {
  const lines = codeLines(text)
  return lines > CODE_LINES_MAX ? [`${lines} lines of code: it holds more than one thought`] : []
}

const nothingLeft: Rule = (text) => (text.match(/\b(FIXME|TODO|XXX|HACK)\b/g) ?? []).map((word) => `holds a ${word}`)

const opensWithComment: Rule = (text) =>
  /^(#![^\n]*\n)?\/\*\*[\s\S]{20,}?\*\//.test(text) ? [] : ['does not open with a comment that says what it is']

const kebabName: Rule = (_text, file) =>
  /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|part))?\.(d\.)?ts$/.test(path.basename(file)) ? [] : ['is not named-like-this.ts']

const noBarrel: Rule = (text, file) => {
  if (file === 'src/index.ts') return []
  const statements = parsed(file, text).statements
  const passesOn = statements.filter((s) => ts.isExportDeclaration(s) && s.moduleSpecifier !== undefined)
  const barrel =
    path.basename(file) === 'index.ts' ||
    (passesOn.length > 0 && statements.every((s) => passesOn.includes(s) || ts.isImportDeclaration(s)))
  return barrel ? ['only passes on what other files export'] : []
}

const noDefaultExport: Rule = (text, file) =>
  parsed(file, text).statements.some(isDefaultExport) ? ['has a default export: name it'] : []

const plainNames: Rule = (text, file) =>
  parsed(file, text).statements.flatMap((statement) => {
    if (!ts.isClassDeclaration(statement) && !ts.isInterfaceDeclaration(statement)) return []
    const name = statement.name?.text ?? ''
    if (/(Manager|Helper|Util|Utils|Service)$/.test(name)) return [`${name}: the name says nothing about the thing`]
    return /^I[A-Z][a-z]/.test(name) && ts.isInterfaceDeclaration(statement)
      ? [`${name}: no I before an interface`]
      : []
  })

/** Paths of the machine it was written on, and hosts of package registries: neither is anyone else's business. */
const noPrivateWords: Rule = (text) =>
  (text.match(/\/work\/|\/root\/|bash_jobs|registry\.[a-z0-9.-]+\.(org|com|io)|artifactory/gi) ?? []).map(
    (word) => `mentions ${word}`
  )

function parsed(file: string, text: string): ts.SourceFile {
  return ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
}

function isDefaultExport(statement: ts.Statement): boolean {
  if (ts.isExportAssignment(statement)) return true
  if (
    ts.isExportDeclaration(statement) &&
    statement.exportClause !== undefined &&
    ts.isNamedExports(statement.exportClause)
  ) {
    return statement.exportClause.elements.some((element) => element.name.text === 'default')
  }
  return (
    ts.canHaveModifiers(statement) &&
    (ts.getModifiers(statement) ?? []).some((m) => m.kind === ts.SyntaxKind.DefaultKeyword)
  )
}

/** Lines that hold at least one token. */
function codeLines(text: string): number {
  const source = parsed('x.ts', text)
  const lines = new Set<number>()
  const visit = (node: ts.Node): void => {
    if (node.getChildCount() === 0 && node.getWidth() > 0) {
      const [first, last] = [node.getStart(), node.getEnd()].map(
        (at) => source.getLineAndCharacterOfPosition(at).line
      ) as [number, number]
      for (let line = first; line <= last; line++) lines.add(line)
    }
    for (const child of node.getChildren()) if (!ts.isJSDoc(child)) visit(child)
  }
  visit(source)
  return lines.size
}

function complaints(rule: Rule, files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([file, text]) => rule(text, file).map((complaint) => `${file}: ${complaint}`))
}

const LONG = `/** A file that is only here to be too long. */\n${'export const a = 1\n'.repeat(CODE_LINES_MAX + 1)}`
const RULES: readonly [string, Rule, ReadonlyMap<string, string>, readonly string[]][] = [
  [
    `no line is longer than ${LINE_CHARACTERS_MAX} characters`,
    shortLines,
    everything,
    ['x'.repeat(LINE_CHARACTERS_MAX + 1)]
  ],
  [`no file has more than ${CODE_LINES_MAX} lines of code`, shortFile, everything, [LONG]],
  ['nothing is marked as left to do', nothingLeft, without(SELF, everything), ['// TODO later', '/* FIXME */']],
  [
    'every file opens with what it is',
    opensWithComment,
    untested,
    ['import x from "y"', '/** Short. */\n', '// a remark']
  ],
  [
    'no file only passes others on',
    noBarrel,
    house,
    [`export * from './a.ts'`, `export { a } from './a.ts'\nexport type { B } from './b.ts'`]
  ],
  [
    'nothing is exported by default',
    noDefaultExport,
    house,
    ['export default 1', 'export default function f() {}', 'export { a as default }']
  ],
  [
    'names say what a thing is',
    plainNames,
    everything,
    ['class PeerManager {}', 'export class Util {}', 'interface IPeer {}']
  ],
  [
    'no private word',
    noPrivateWords,
    without(SELF, everything),
    ['see /work/x', 'https://registry.example.org/', '/root/x']
  ]
]

function without(file: string, files: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...files].filter(([name]) => name !== file))
}

for (const [what, rule, files, breaches] of RULES) {
  test(what, () => {
    for (const breach of breaches)
      assert.notDeepEqual(rule(breach, 'src/base/planted.ts'), [], `blind to ${breach.slice(0, 60)}`)
    assert.ok(files.size > 20, 'files were read')
    assert.deepEqual(complaints(rule, files), [])
  })
}

test('files are named-like-this', () => {
  const names = [
    ...filesBelow('src', isTypeScript),
    ...filesBelow('test', isTypeScript),
    ...filesBelow('simulations', isTypeScript)
  ]
  for (const bad of ['Peer.ts', 'peer_store.ts', 'peerStore.ts', 'a--b.ts'])
    assert.notDeepEqual(kebabName('', bad), [], bad)
  assert.deepEqual(complaints(kebabName, new Map(names.map((name) => [name, '']))), [])
})

test('no private word in documents, scripts and configuration', () => {
  const files = ['docs', 'config', 'bin', '.ci'].flatMap((folder) => filesBelow(folder, () => true))
  const heads = filesBelow(
    '.',
    (file) => /^\.\/[^/]+\.(md|json|js|toml)$/.test(file) && !file.endsWith('package-lock.json')
  )
  assert.ok(files.length > 5 && heads.length > 2, 'files were read')
  assert.deepEqual(complaints(noPrivateWords, new Map([...files, ...heads].map((file) => [file, textOf(file)]))), [])
})

test('a line of code is counted once, a comment never', () => {
  assert.equal(codeLines('/** a\n * b\n */\n\n// c\nconst x = `1\n2`\n'), 2)
})

test('every bound of base/limits.ts is used', () => {
  const text = [...without('src/base/limits.ts', house).values()].join('\n')
  const unused = Object.keys(LIMITS).filter((name) => !new RegExp(`\\bLIMITS\\.${name}\\b`).test(text))
  assert.deepEqual(unused, [], 'a bound that nothing enforces is a promise that is not kept')
})

test('every error code of base/errors.ts is raised somewhere', () => {
  const text = [...without('src/base/errors.ts', house).values()].join('\n')
  const unused = Object.keys(ERRORS).filter((code) => !text.includes(`'${code}'`))
  assert.deepEqual(unused, [])
})

function isTypeScript(file: string): boolean {
  return file.endsWith('.ts')
}
