/** Entries in JSON that people edit: what is put in can be taken out, and nothing else moves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { withEntry, withoutEntry } from '../../../../src/cli/install/json-edit.ts'
import { parseJsonc } from '../../../../src/cli/install/jsonc.ts'
import { isChrysalisError } from '../../../../src/base/errors.ts'

const ENTRY = { command: 'chrysalis', args: ['mcp'] }
const put = (text: string | undefined): string => withEntry(text, 'mcpServers', 'chrysalis', ENTRY)
const take = (text: string): string | undefined => withoutEntry(text, 'mcpServers', 'chrysalis')

/** What a text says, as plain values. */
function said(text: string): unknown {
  return JSON.parse(JSON.stringify(parseJsonc(text).value)) as unknown
}

test('a file that is not there is made, and goes when the entry was all it held', () => {
  const made = put(undefined)
  assert.equal(
    made,
    `{
  "mcpServers": {
    "chrysalis": {
      "command": "chrysalis",
      "args": [
        "mcp"
      ]
    }
  }
}
`
  )
  assert.equal(take(made), undefined)
})

test('the entry goes behind its neighbours, in their indentation, and comments keep their places', () => {
  const text = `// mine
{
\t"theme": "dark", // stays
\t"mcpServers": {
\t\t"other": { "command": "x" } // the other one
\t\t// "off": {}
\t}
}
`
  const made = put(text)
  assert.equal(
    made,
    `// mine
{
\t"theme": "dark", // stays
\t"mcpServers": {
\t\t"other": { "command": "x" }, // the other one
\t\t"chrysalis": {
\t\t\t"command": "chrysalis",
\t\t\t"args": [
\t\t\t\t"mcp"
\t\t\t]
\t\t}
\t\t// "off": {}
\t}
}
`
  )
  assert.equal(take(made), text)
})

test('an entry that is there is left alone when equal and replaced in place when not', () => {
  const text = '{"mcpServers": {"chrysalis": {"args": ["mcp"], "command": "chrysalis"}, "b": 1}}'
  assert.equal(put(text), text)
  const other = text.replace('["mcp"]', '["mcp", "--space", "old"]')
  assert.deepEqual(said(put(other)), { mcpServers: { chrysalis: ENTRY, b: 1 } })
  assert.equal(take(put(other)), '{"mcpServers": { "b": 1}}')
})

test('what others added behind the entry stays when it goes', () => {
  const made = put('{\n  "a": 1\n}\n').replace('      ]\n    }', '      ]\n    },\n    "late": {}')
  assert.deepEqual(said(take(made) ?? ''), { a: 1, mcpServers: { late: {} } })
})

test('a section that was there and empty stays, also when the client has written the file anew', () => {
  assert.equal(take(put('{"mcpServers": {}}')), '{"mcpServers": {}}')
  const anew = JSON.stringify(said(put('{"a": 1, "mcpServers": {}}')), null, 4)
  assert.deepEqual(said(take(anew) ?? ''), { a: 1 }, 'nothing tells any more whose section it was')
})

test('broken texts are refused with the place, and so are sections that cannot hold an entry', () => {
  const refusals: readonly [string, RegExp][] = [
    ['{\n  "a": 1\n  "b": 2\n}', /^line 3, column 3: a comma or } is missing$/],
    ['{"a": }', /^line 1, column 7: a value is missing$/],
    ['{"a": 1', /^line 1, column 8: a comma or } is missing$/],
    ['{"a": "x\ny"}', /^line 1, column 7: a text is not closed/],
    ['{} {}', /^line 1, column 4: something follows/],
    ['{a: 1}', /^line 1, column 2: a key in quotes/],
    ['[1 2]', /^line 1, column 4: a comma or ] is missing/],
    ['[]', /^the document is no object$/],
    ['{"mcpServers": []}', /^mcpServers is no object$/],
    ['{"mcpServers": {}, "mcpServers": {}}', /^"mcpServers" is there more than once$/],
    ['['.repeat(100), /it nests too deep$/]
  ]
  for (const [text, message] of refusals) {
    for (const act of [put, take]) {
      assert.throws(
        () => act(text),
        (error) => isChrysalisError(error, 'config') && message.test(error.message),
        text
      )
    }
  }
})

test('a key named __proto__ is a key', () => {
  const text = '{"__proto__": {"x": 1}, "mcpServers": {"__proto__": {}}}'
  assert.equal(take(put(text)), text)
  assert.deepEqual(Object.keys(parseJsonc(text).value as object), ['__proto__', 'mcpServers'])
})

const eol = fc.constantFrom('\n', '\r\n')
const gap = fc.oneof(
  { arbitrary: fc.constantFrom('', ' ', '  ', '\t'), weight: 4 },
  {
    arbitrary: fc.constantFrom('/* c */', ' /* a\n b */ ', '\n', '\n\n  ', '\n\t', ' // x  \n', '// "y": {\n    '),
    weight: 2
  }
)
const key = fc.constantFrom('a', 'b', 'other', 'x y', '"', '__proto__', 'chrysalis2')
const scalar = fc.oneof(
  fc.string().map((text) => JSON.stringify(text)),
  fc.constantFrom('1', '-2.5e3', 'true', 'null')
)

/** Objects and lists as people and programs write them: any spacing, comments and trailing commas anywhere. */
const { object } = fc.letrec<{ value: string; object: string; list: string }>((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, scalar, tie('object'), tie('list')),
  object: members(tie('value'), key),
  list: fc
    .tuple(fc.array(fc.tuple(gap, tie('value'), gap), { maxLength: 3 }), fc.boolean(), gap)
    .map(([items, comma, end]) => {
      const inside = items.map(([before, value, after]) => before + value + after).join(',')
      return `[${inside}${comma && items.length > 0 ? ',' : ''}${end}]`
    })
}))

function members(value: fc.Arbitrary<string>, keys: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const member = fc.tuple(gap, keys, gap, gap, value, gap)
  const list = fc.uniqueArray(member, { maxLength: 4, selector: ([, name]) => name })
  return fc.tuple(list, fc.boolean(), gap).map(([items, comma, end]) => {
    const inside = items.map(([a, name, b, c, text, d]) => `${a}${JSON.stringify(name)}${b}:${c}${text}${d}`).join(',')
    return `{${inside}${comma && items.length > 0 ? ',' : ''}${end}}`
  })
}

const section = fc.tuple(object, gap, gap).map(([text, a, b]) => ({ text, a, b }))
const document = fc.tuple(gap, object, gap, fc.option(section), eol).map(([before, root, after, inside, end]) => {
  const empty = parseJsonc(root).members?.length === 0
  const text =
    inside === null ? root : `{${inside.a}"mcpServers"${inside.b}:${inside.text}${empty ? '' : ','}${root.slice(1)}`
  return (before + text + after).replace(/\r?\n/g, end)
})

test('put in and taken out again, every text is the same to the byte, and in between says one thing more', () => {
  fc.assert(
    fc.property(document, (text) => {
      const before = said(text) as { mcpServers?: object }
      const made = put(text)
      const expected = { ...before, mcpServers: { ...before.mcpServers, chrysalis: ENTRY } }
      assert.deepEqual(said(made), JSON.parse(JSON.stringify(expected)))
      assert.equal(put(made), made)
      assert.equal(take(made), text)
    }),
    { numRuns: 1_000 }
  )
})

test('white space alone is a file that was empty', () => {
  for (const text of ['', '\n', '  \r\n\t', '\ufeff']) assert.equal(take(put(text)), text, JSON.stringify(text))
})
