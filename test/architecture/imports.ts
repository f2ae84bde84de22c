/**
 * Reads the imports of a source text and judges them by the floor plan.
 *
 * Files come in as a map from path to text, so that a test can plant a file that exists nowhere. Imports are found in
 * the syntax tree: static, dynamic, re-exports, types (`import('x').T`) and `require`.
 */
import path from 'node:path'
import ts from 'typescript'
import { OUTBUILDINGS, PACKAGES, ROOMS, STREET, type Room } from './rooms.ts'

export interface Import {
  /** undefined when the target is computed at run time. */
  readonly target: string | undefined
  readonly typeOnly: boolean
  readonly line: number
}

export function importsOf(file: string, text: string): Import[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
  const found: Import[] = []
  const add = (node: ts.Node, target: ts.Node | undefined, typeOnly: boolean) => {
    const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1
    found.push({
      target: target !== undefined && ts.isStringLiteralLike(target) ? target.text : undefined,
      typeOnly,
      line
    })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, isTypeImport(node))
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier) add(node, node.moduleSpecifier, node.isTypeOnly)
    else if (ts.isImportTypeNode(node))
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true)
    else if (ts.isExternalModuleReference(node)) add(node, node.expression, false)
    else if (ts.isCallExpression(node) && isLoad(node.expression)) add(node, node.arguments[0], false)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

function isTypeImport(node: ts.ImportDeclaration): boolean {
  const clause = node.importClause
  if (clause === undefined) return false
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const bindings = clause.namedBindings
  return (
    clause.name === undefined &&
    bindings !== undefined &&
    ts.isNamedImports(bindings) &&
    bindings.elements.every((e) => e.isTypeOnly)
  )
}

function isLoad(callee: ts.Expression): boolean {
  return callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require')
}

/** Every import that the floor plan forbids, one sentence each: what, where, and what is allowed there. */
export function violations(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = []
  for (const [file, text] of files) {
    const room = roomOf(file)
    if (room === undefined) {
      found.push(`${file}: is in no room of the floor plan (test/architecture/rooms.ts)`)
      continue
    }
    for (const each of importsOf(file, text)) {
      const complaint = judge(file, room, each, files)
      if (complaint !== undefined) found.push(`${file}:${each.line}: ${complaint}`)
    }
  }
  return found
}

/** The room of a file by its path from the root of the repository. */
export function roomOf(file: string): Room | undefined {
  const inside = file.startsWith('src/') ? file.slice('src/'.length) : undefined
  if (inside === undefined) return OUTBUILDINGS.find((room) => file.startsWith(`${room.path}/`))
  return STREET.find((room) => room.path === inside) ?? ROOMS.find((room) => inside.startsWith(`${room.path}/`))
}

function judge(
  file: string,
  room: Room,
  { target, typeOnly }: Import,
  files: ReadonlyMap<string, string>
): string | undefined {
  if (target === undefined) {
    // The program itself loads rooms late, by literal names; only a door may compute which build it starts.
    return room.path === 'bin' ? undefined : 'the target of an import must be a literal, or nobody can judge it'
  }
  if (target.startsWith('.')) return judgeRelative(file, room, target, typeOnly, files)
  if (target.startsWith('node:')) {
    return room.node === true ? undefined : `${room.path} may not import ${target}: the world comes in through ports`
  }
  const entry = PACKAGES.find(({ name }) => name.test(target))
  if (entry?.places.some((place) => file.startsWith(place)) === true) return undefined
  const allowed = entry === undefined ? 'no room: it is not in the table' : entry.places.join(', ')
  return `${room.path} may not import the package ${target}; it belongs to ${allowed}`
}

function judgeRelative(
  file: string,
  room: Room,
  target: string,
  typeOnly: boolean,
  files: ReadonlyMap<string, string>
): string | undefined {
  const resolved = path.posix.join(path.posix.dirname(file), target)
  const own = roomOf(resolved)
  if (own?.path === room.path && own !== undefined && !STREET.includes(own)) {
    return files.has(resolved) ? undefined : `${target} does not exist`
  }
  // Inside the house rooms are named without src/, from the outbuildings with it.
  const inHouse = file.startsWith('src/')
  const name = inHouse && resolved.startsWith('src/') ? resolved.slice('src/'.length) : resolved
  const covers = (place: string) => name === place || name.startsWith(`${place}/`)
  if (room.mayImport.some(covers) || (typeOnly && room.mayImportTypes?.some(covers) === true)) {
    if (!files.has(resolved) && resolved.startsWith('src/')) return `${target} does not exist`
    return undefined
  }
  const types = room.mayImportTypes === undefined ? '' : `, and types of ${room.mayImportTypes.join(', ')}`
  const other = own?.path ?? path.posix.dirname(resolved)
  return `${room.path} may not import ${other} (${name}); it may import ${room.mayImport.join(', ') || 'nothing'}${types}`
}
