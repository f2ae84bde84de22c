/** The block in TOML texts, and the diff that is shown for every format. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isChrysalisError } from '../../../../src/base/errors.ts'
import { unifiedDiff } from '../../../../src/cli/install/diff.ts'
import { withBlock, withoutBlock } from '../../../../src/cli/install/toml-edit.ts'
import { parseToml } from '../../../../src/daemon/config-toml.ts'

const TABLE = { command: 'a "quoted" \\ path', args: ['mcp', '--space', 'tëam\u007f'], env: { KEY: 'v' } }
const put = (text: string | undefined): string => withBlock(text, 'mcp_servers.chrysalis', TABLE)

test('the block is put at the end, once, and says in TOML what was asked for', () => {
  const text = '# mine\nmodel = "x"\n\n[mcp_servers.other]\ncommand = "y"\n'
  const made = put(text)
  assert.equal(
    made,
    `${text}
# >>> chrysalis: this block is managed by \`chrysalis install\`
[mcp_servers.chrysalis]
command = "a \\"quoted\\" \\\\ path"
args = ["mcp", "--space", "tëam\\u007f"]
env = { KEY = "v" }
# <<< chrysalis
`
  )
  assert.deepEqual(JSON.parse(JSON.stringify(parseToml(made))), {
    model: 'x',
    mcp_servers: { other: { command: 'y' }, chrysalis: TABLE }
  })
  assert.equal(put(made), made)
  assert.equal(withoutBlock(made), text)
  assert.equal(withoutBlock(text), text)
  assert.equal(withoutBlock(put(undefined)), undefined)
})

test('another block replaces the old one where it stands, and what follows stays', () => {
  const made = `${put('a = 1\n')}[later]\nb = 2\n`
  const other = withBlock(made, 'mcp_servers.chrysalis', { command: 'new', args: [] })
  assert.deepEqual(JSON.parse(JSON.stringify(parseToml(other))), {
    a: 1,
    mcp_servers: { chrysalis: { command: 'new', args: [] } },
    later: { b: 2 }
  })
  assert.equal(withoutBlock(other), 'a = 1\n[later]\nb = 2\n')
})

test('marks that are not in order are refused, and words that only look like marks are no marks', () => {
  const [begin, end] = [put(undefined).split('\n')[0] ?? '', '# <<< chrysalis']
  for (const text of [begin, `a = 1\n${end}\n`, `${end}\n${begin}\n`, `${begin}\n${put(undefined)}`]) {
    for (const act of [put, withoutBlock])
      assert.throws(
        () => act(text),
        (error) => isChrysalisError(error, 'config')
      )
  }
  const talk = `x = "${end}"\ny = """\n  ${end}\n"""\n${end}s\n`
  assert.equal(withoutBlock(put(talk)), talk)
})

test('put in and taken out again, every text is the same to the byte', () => {
  const line = fc.oneof(fc.constantFrom('', ' ', '[t]', 'a = 1', '# c', '# <<< chrysalis is fine'), fc.string())
  const text = fc
    .tuple(fc.array(line), fc.constantFrom('\n', '\r\n'), fc.constantFrom('', '\n', '\n\n', '\r\n'))
    .map(([lines, eol, end]) => lines.join(eol) + end)
    .filter((whole) => whole !== '')
  fc.assert(fc.property(text, (whole) => assert.equal(withoutBlock(put(whole)), whole)))
})

test('broken TOML is refused with the place', () => {
  assert.throws(
    () => parseToml('a = 1\nb = = 2\n'),
    (error) => isChrysalisError(error, 'config') && /^line 2, column 5: /.test(error.message)
  )
})

test('a diff is empty for equal texts, and is what patch makes the new text of', () => {
  assert.deepEqual(unifiedDiff('f', 'a\n', 'a\n'), [])
  assert.deepEqual(unifiedDiff('f', undefined, 'a\n'), ['--- /dev/null', '+++ f', '@@ -0,0 +1,1 @@', '+a'])
  assert.deepEqual(unifiedDiff('f', 'a\nb', 'a\nc\n'), [
    ...['--- f', '+++ f', '@@ -1,2 +1,2 @@', ' a', '-b', '\\ No newline at end of file', '+c']
  ])
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', '', '{', '}'), { maxLength: 40 })
  const text = fc.tuple(lines, fc.boolean()).map(([all, end]) => all.join('\n') + (end ? '\n' : ''))
  fc.assert(
    fc.property(text, text, (before, after) => {
      assert.equal(patched(before, unifiedDiff('f', before, after)), after)
    }),
    { numRuns: 300 }
  )
})

/** Applies a unified diff as the program `patch` does, with no tolerance. */
function patched(before: string, diff: readonly string[]): string {
  const old = before.split('\n')
  const made: string[] = []
  let at = 0
  let endsOpen = !before.endsWith('\n') && before !== ''
  for (const [i, line] of diff.slice(2).entries()) {
    const head = /^@@ -(\d+),(\d+) \+\d+,\d+ @@$/.exec(line)
    if (head !== null) {
      const start = Number(head[1]) - (head[2] === '0' ? 0 : 1)
      made.push(...old.slice(at, start))
      at = start
    } else if (line.startsWith('\\')) {
      // It speaks of the line before it.
      endsOpen = !(diff[i + 1] ?? '').startsWith('-')
    } else {
      if (!line.startsWith('+')) assert.equal(old[at++], line.slice(1))
      if (!line.startsWith('-')) made.push(line.slice(1))
      if (line.startsWith('+')) endsOpen = false
    }
  }
  const rest = old.slice(at, before.endsWith('\n') || before === '' ? -1 : undefined)
  const all = [...made, ...rest]
  return all.length === 0 ? '' : all.join('\n') + (endsOpen ? '' : '\n')
}

test('texts too different to compare are one large change', () => {
  const many = (word: string): string => Array.from({ length: 1_500 }, (_, i) => `${word}${i}\n`).join('')
  const diff = unifiedDiff('f', many('a'), many('b'))
  assert.equal(diff.filter((line) => line.startsWith('-a')).length, 1_500)
  assert.equal(diff.filter((line) => line.startsWith('+b')).length, 1_500)
})
