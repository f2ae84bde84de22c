/** Parts of a document between `<!-- generated: NAME -->` and `<!-- /generated -->`: compared, or with UPDATE_GOLDEN=1 rewritten. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const docs = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../docs')

export function assertGenerated(file: string, name: string, lines: readonly string[]): void {
  const document = path.join(docs, file)
  const text = readFileSync(document, 'utf8')
  const [open, close] = [`<!-- generated: ${name} -->\n`, '<!-- /generated -->']
  const start = text.indexOf(open)
  const end = text.indexOf(close, start)
  assert.ok(start >= 0 && end >= 0, `${file} has no place for ${name}`)
  const wanted = `${text.slice(0, start)}${open}${lines.join('\n')}\n${text.slice(end)}`
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(document, wanted)
  else assert.equal(text, wanted, `docs/${file} is behind the code; run this test with UPDATE_GOLDEN=1`)
}

/** A cell of a table: a bar in it would end it. */
export function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
