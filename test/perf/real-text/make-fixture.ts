/**
 * Makes the real text that recall is judged by (test/fixtures/recall/real-text.json) out of this project's own prose at
 * one commit: `node --import tsx test/perf/real-text/make-fixture.ts [COMMIT]`. The file is frozen: made anew, it is another
 * yardstick, and figures before and after are not comparable.
 *
 * A pair is a question and the one passage that answers it, taken from where authors wrote both and neither copies the
 * other: the first sentence of a file → the rest of what the file says of itself; of a paragraph → its rest; a heading →
 * its section; the subject of a commit → its body; the comment of a function → its code. Everything else that is prose
 * here stands around them as passages that answer nothing, down to single sentences and the names of tests.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PASSAGE_CHARACTERS_MAX = 800
const QUESTION_WORDS_MIN = 4
const ANSWER_WORDS_MIN = 12
/** A paragraph says little of what it began with in fewer words. */
const REST_WORDS_MIN = 40
/** Shorter ones are fragments. */
const FILLER_WORDS_MIN = 6

type Kind = 'opening' | 'heading' | 'commit' | 'code'

const git = (...args: string[]): string =>
  execFileSync('git', args, { encoding: 'utf8', maxBuffer: 1 << 28, cwd: fileURLToPath(new URL('.', import.meta.url)) })

const passages: string[] = []
const known = new Map<string, number>()
const pairs: { kind: Kind; question: string; passage: number }[] = []

const words = (text: string): number => text.split(/\s+/).filter((word) => /\p{L}/u.test(word)).length
const squeezed = (text: string): string => text.replace(/\s+/g, ' ').trim()

function addPassage(text: string): number {
  const passage = squeezed(text).slice(0, PASSAGE_CHARACTERS_MAX)
  const place = known.get(passage)
  if (place !== undefined) return place
  known.set(passage, passages.length)
  return passages.push(passage) - 1
}

function addPair(kind: Kind, question: string, answer: string): boolean {
  if (words(question) < (kind === 'heading' ? 2 : QUESTION_WORDS_MIN) || words(answer) < ANSWER_WORDS_MIN) return false
  // A passage that answers two questions would make one of them a matter of luck.
  if (known.has(squeezed(answer).slice(0, PASSAGE_CHARACTERS_MAX))) return false
  pairs.push({ kind, question: squeezed(question), passage: addPassage(answer) })
  return true
}

/** The first sentence and what follows it. */
function opening(text: string): [string, string] {
  const end = /[.:;?!]\s+(?=[A-Z`(])/.exec(text)
  return end === null ? [text, ''] : [text.slice(0, end.index + 1), text.slice(end.index + end[0].length)]
}

function addProse(text: string): void {
  const prose = squeezed(text)
  const [first, rest] = opening(prose)
  if (words(rest) >= REST_WORDS_MIN && addPair('opening', first, rest)) return
  if (words(prose) >= FILLER_WORDS_MIN) addPassage(prose)
}

const COMMENT = /\/\*\*([\s\S]*?)\*\/\n?([^\n]*(?:\n[^\n]+)*)/g
const TEST_NAME = /\b(?:it|test|describe)\(\s*(['"`])((?:(?!\1)[^\\\n]|\\.)+)\1/g

function addSource(source: string): void {
  const comments = [...source.matchAll(COMMENT)].map(([, comment = '', code = '']) => ({
    prose: comment.replace(/^\s*\* ?/gm, ''),
    code
  }))
  const [head, ...others] = comments
  if (head !== undefined) {
    const [first, rest] = opening(squeezed(head.prose))
    // What a file says of itself, and what its parts say of themselves.
    if (!addPair('opening', first, [rest, ...others.map(({ prose }) => prose)].join(' '))) addProse(head.prose)
  }
  for (const { prose, code } of others) {
    if (addPair('code', opening(squeezed(prose))[0], withoutComments(code))) continue
    for (const paragraph of prose.split(/\n\s*\n/)) addProse(paragraph)
  }
  for (const [, , name = ''] of source.matchAll(TEST_NAME)) if (words(name) >= FILLER_WORDS_MIN) addPassage(name)
  for (const [line] of source.matchAll(/^\s*\/\/ .+(?:\n\s*\/\/ .+)*/gm)) addProse(line.replace(/^\s*\/\/ /gm, ''))
}

const withoutComments = (code: string): string => code.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')

function addMarkdown(source: string): void {
  let heading = ''
  for (const block of source.replace(/```[\s\S]*?```/g, '').split(/\n\s*\n/)) {
    const title = /^#+ (.+)$/.exec(block.trim())
    if (title !== null) {
      heading = title[1] ?? ''
      continue
    }
    const text = block.replace(/^\s*(?:[-*|]|\d+\.)\s*/gm, '')
    if (heading !== '' && addPair('heading', heading, text)) heading = ''
    else
      for (const item of /^\s*[-*] /.test(block) ? block.split(/\n(?=\s*[-*] )/) : [text])
        addProse(item.replace(/^\s*[-*] /, ''))
  }
}

const commit = git('rev-parse', process.argv[2] ?? 'HEAD').trim()
const log = git('log', '--no-merges', '--reverse', '--format=%s%x1f%b%x1e', commit)
for (const entry of log.split('\x1e')) {
  const [subject = '', body = ''] = entry.trim().split('\x1f')
  addPair('commit', subject.replace(/^\w+(?:\([^)]*\))?: /, ''), body)
}
for (const file of git('ls-tree', '-r', '--name-only', '--full-tree', commit).trim().split('\n').sort()) {
  const isMarkdown = file.endsWith('.md')
  if (!isMarkdown && !/^(?:src|test|simulations)\/.*\.ts$/.test(file)) continue
  const source = git('show', `${commit}:${file}`)
  if (isMarkdown) addMarkdown(source)
  else addSource(source)
}

// One entry a line, so that a difference can be read.
const lines = (list: readonly unknown[]): string => list.map((one) => `    ${JSON.stringify(one)}`).join(',\n')
const target = fileURLToPath(new URL('../../fixtures/recall/real-text.json', import.meta.url))
const rows = pairs.map(({ kind, question, passage }) => [kind, question, passage])
writeFileSync(
  target,
  `{\n  "commit": "${commit}",\n  "pairs": [\n${lines(rows)}\n  ],\n  "passages": [\n${lines(passages)}\n  ]\n}\n`
)
const counted = (kind: Kind): string => `${kind} ${pairs.filter((pair) => pair.kind === kind).length}`
console.log(
  `${passages.length} passages; pairs: ${(['opening', 'heading', 'commit', 'code'] as const).map(counted).join(', ')}`
)
