/** The profile `files` against a real engine: the texts models expect, and what happens to paths and to races. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIMITS } from '../../../src/base/limits.ts'
import type { Caller } from '../../../src/mcp/profile.ts'
import { filesProfile } from '../../../src/mcp/profiles/files.ts'
import { codeOf } from '../../support/engine.ts'
import { withProfile, type ProfileBench } from '../../support/profile-bench.ts'

const NOTES = '/memories/notes.md'

interface Files {
  readonly bench: ProfileBench
  /** Runs a command and answers its text. */
  say(command: string, args: Record<string, unknown>): Promise<string>
  code(command: string, args: Record<string, unknown>): Promise<string>
}

function withFiles(act: (files: Files) => Promise<void>): Promise<void> {
  return withProfile(filesProfile(), async (bench) => {
    const run = (command: string, args: Record<string, unknown>) => bench.run('memory', { command, ...args })
    await act({
      bench,
      say: async (command, args) => {
        const { text, structured } = await run(command, args)
        assert.deepEqual(structured, { result: text })
        return text
      },
      code: (command, args) => codeOf(run(command, args))
    })
  })
}

test('a file is created, viewed by numbered lines, edited, renamed and deleted', () =>
  withFiles(async ({ say }) => {
    const created = await say('create', { path: NOTES, file_text: 'one\ntwo\nthree\n' })
    assert.equal(created, `File created successfully at: ${NOTES}`)
    const head = `Here's the content of ${NOTES} with line numbers:`
    assert.equal(await say('view', { path: NOTES }), `${head}\n     1\tone\n     2\ttwo\n     3\tthree`)
    assert.equal(await say('view', { path: NOTES, view_range: [2, -1] }), `${head}\n     2\ttwo\n     3\tthree`)
    const replaced = await say('str_replace', { path: NOTES, old_str: 'two', new_str: 'zwei\ndrei' })
    assert.equal(replaced, 'The memory file has been edited.\n     1\tone\n     2\tzwei\n     3\tdrei\n     4\tthree')
    const inserted = await say('insert', { path: NOTES, insert_line: 0, insert_text: 'zero\n' })
    assert.match(inserted, /^The file \/memories\/notes\.md has been edited\.\n {5}1\tzero\n {5}2\tone/)
    await say('insert', { path: NOTES, insert_line: 5, insert_text: 'end' })
    const moved = '/memories/old/notes.md'
    assert.equal(await say('rename', { old_path: NOTES, new_path: moved }), `Successfully renamed ${NOTES} to ${moved}`)
    const lines = ['zero', 'one', 'zwei', 'drei', 'three', 'end'].map((line, i) => `     ${i + 1}\t${line}`)
    assert.equal(await say('view', { path: moved }), [head.replace(NOTES, moved), ...lines].join('\n'))
    assert.equal(await say('delete', { path: moved }), `Successfully deleted ${moved}`)
    assert.equal(await say('view', { path: '/memories' }), `${LISTING} /memories:\n0B\t/memories`)
  }))

const LISTING = `Here're the files and directories up to 2 levels deep in`

test('a folder lists what is at most two levels below it, with sizes', () =>
  withFiles(async ({ say, code }) => {
    await say('create', { path: '/memories/a.txt', file_text: 'abc' })
    await say('create', { path: '/memories/deep/er/still/x', file_text: 'y'.repeat(1_536) })
    await say('create', { path: '/memories/deep/b', file_text: '' })
    const rows = ['1.5K\t/memories', '3B\t/memories/a.txt', '1.5K\t/memories/deep/', '0B\t/memories/deep/b']
    const expected = [`${LISTING} /memories:`, ...rows, '1.5K\t/memories/deep/er/'].join('\n')
    assert.equal(await say('view', { path: '/memories' }), expected)
    assert.equal(await say('view', { path: '/memories/' }), expected)
    assert.equal(
      await say('view', { path: '/memories/deep/er' }),
      `${LISTING} /memories/deep/er:\n1.5K\t/memories/deep/er\n1.5K\t/memories/deep/er/still/\n1.5K\t/memories/deep/er/still/x`
    )
    assert.equal(await code('view', { path: '/memories/dee' }), 'not_found', 'a folder is not found by half its name')
  }))

test('folders are renamed and deleted with all that is in them, and lineage tells where a file came from', () =>
  withFiles(async ({ say, code, bench }) => {
    for (const name of ['a/1', 'a/b/2', 'ab']) await say('create', { path: `/memories/${name}`, file_text: name })
    await say('rename', { old_path: '/memories/a', new_path: '/memories/c' })
    assert.equal(await code('view', { path: '/memories/a' }), 'not_found')
    assert.match(await say('view', { path: '/memories/c/b/2' }), /\ta\/b\/2$/)
    const { engine } = bench
    const id = await bench.bench.finish(engine.node.resolve('key:file:/memories/c/1'))
    const lineage = await bench.bench.finish(engine.node.lineage(id))
    assert.deepEqual(
      lineage.map(({ relation, content }) => [relation, content]),
      [
        ['self', '/memories/c/1\na/1'],
        ['parents', '/memories/a/1\na/1']
      ]
    )
    await say('delete', { path: '/memories/c' })
    assert.equal(await code('delete', { path: '/memories/c' }), 'not_found')
    assert.match(await say('view', { path: '/memories/ab' }), /\tab$/)
  }))

test('a name that was deleted can be used again', () =>
  withFiles(async ({ say }) => {
    await say('create', { path: NOTES, file_text: 'first' })
    await say('delete', { path: NOTES })
    await say('create', { path: NOTES, file_text: 'second' })
    assert.match(await say('view', { path: NOTES }), /1\tsecond$/)
    await say('rename', { old_path: NOTES, new_path: '/memories/b' })
    await say('rename', { old_path: '/memories/b', new_path: NOTES })
    assert.match(await say('view', { path: NOTES }), /1\tsecond$/)
  }))

test('what is in the way is not overwritten', () =>
  withFiles(async ({ say, code }) => {
    await say('create', { path: NOTES, file_text: 'mine' })
    await say('create', { path: '/memories/d/x', file_text: 'x' })
    assert.equal(await code('create', { path: NOTES, file_text: 'yours' }), 'conflict')
    assert.equal(await code('create', { path: `${NOTES}/below`, file_text: 'x' }), 'conflict')
    assert.equal(await code('create', { path: '/memories/d', file_text: 'x' }), 'conflict')
    assert.equal(await code('create', { path: '/memories', file_text: 'x' }), 'conflict')
    assert.equal(await code('rename', { old_path: '/memories/d/x', new_path: NOTES }), 'conflict')
    assert.equal(await code('rename', { old_path: NOTES, new_path: '/memories/d' }), 'conflict')
    assert.equal(await code('rename', { old_path: '/memories/d', new_path: '/memories/d/e' }), 'invalid_argument')
    assert.match(await say('view', { path: NOTES }), /1\tmine$/)
  }))

test('edits that cannot be meant are refused in the words models know, and change nothing', () =>
  withFiles(async ({ say, code, bench }) => {
    await say('create', { path: NOTES, file_text: 'a\nb\na\n' })
    const refused = async (command: string, args: Record<string, unknown>, message: RegExp) =>
      assert.rejects(bench.run('memory', { command, path: NOTES, ...args }), message)
    await refused('str_replace', { old_str: 'c', new_str: 'd' }, /old_str `c` did not appear verbatim in \/memories/)
    await refused('str_replace', { old_str: 'a', new_str: 'd' }, /Multiple occurrences of old_str `a` in lines: 1, 3\./)
    await refused('str_replace', { old_str: '', new_str: 'd' }, /empty/)
    await refused('insert', { insert_line: 4, insert_text: 'x' }, /Invalid `insert_line` parameter: 4\..*\[0, 3\]/)
    await refused('insert', { insert_line: -1, insert_text: 'x' }, /insert_line/)
    await refused('view', { view_range: [2, 9] }, /view_range/)
    await refused('view', { view_range: [0, 1] }, /view_range/)
    await refused('view', { path: '/memories/none' }, /The path \/memories\/none does not exist\. Please provide/)
    await refused('create', { path: '/memories/x' }, /create needs `file_text`/)
    assert.equal(await code('str_replace', { path: '/memories/none', old_str: 'a' }), 'not_found')
    assert.equal(await code('delete', { path: '/memories' }), 'denied')
    assert.equal(await code('rename', { old_path: '/memories', new_path: '/memories/x' }), 'denied')
    assert.match(await say('view', { path: NOTES }), /1\ta\n {5}2\tb\n {5}3\ta$/)
  }))

test('no path leads out of the folder, however it is written', () =>
  withFiles(async ({ code, bench }) => {
    const bad = [
      ...['/etc/passwd', 'memories/x', '', '/', '/memoriesx', '/MEMORIES/x', '~/x', 'file:///memories/x'],
      ...['/memories/..', '/memories/../etc/passwd', '/memories/a/../../b', '/memories/./a', '/memories//a'],
      ...['/memories/%2e%2e/x', '/memories/%2E%2E%2Fx', '/memories/..%2fx', '/memories/%252e%252e/x', '/memories/a%00'],
      ...[
        '/memories\\..\\x',
        '/memories/\u2025/x',
        '/memories/\u2024\u2024',
        '/memories/ .. /x',
        '/memories/\uff0e\uff0e/x'
      ],
      ...['/memories/a\0b', '/memories/a\nb', '/memories/a\u200bb', '/memories/a\u202eb', '/memories/\ud83d']
    ]
    for (const path of bad) {
      for (const command of ['view', 'create', 'delete']) {
        assert.equal(await code(command, { path, file_text: 'x' }), 'invalid_argument', JSON.stringify(path))
      }
      assert.equal(await code('rename', { old_path: '/memories/a', new_path: path }), 'invalid_argument')
    }
    assert.deepEqual(
      bench.calls.filter((method) => method !== 'space.list'),
      [],
      'refused before anything is asked'
    )
    for (const path of ['/memories/..a', '/memories/a..', '/memories/...', '/memories/.hidden', '/memories/Ünï cödé']) {
      assert.equal(await code('create', { path, file_text: 'x' }), 'resolved', path)
    }
  }))

test('a path and a text may be as long as they may be, and not a byte longer', () =>
  withFiles(async ({ say, code }) => {
    const long = `/memories/${'p'.repeat(LIMITS.keyBytesMax - 'file:/memories/'.length)}`
    const room = LIMITS.contentBytesMax - NOTES.length - 1
    assert.equal(await code('create', { path: `${long}p`, file_text: 'x' }), 'too_large')
    assert.equal(await code('create', { path: NOTES, file_text: 'x'.repeat(room + 1) }), 'too_large')
    await say('create', { path: long, file_text: 'x' })
    await say('create', { path: NOTES, file_text: 'x'.repeat(room - 1) })
    assert.equal(await code('insert', { path: NOTES, insert_line: 1, insert_text: 'y' }), 'too_large')
    await say('str_replace', { path: NOTES, old_str: 'x'.repeat(room - 1), new_str: 'y'.repeat(room) })
    assert.equal(await code('rename', { old_path: NOTES, new_path: '/memories/longer-name.md' }), 'too_large')
    assert.match(await say('view', { path: NOTES }), /y$/)
  }))

test('sixteen edits of one file at once are all in it', () =>
  withFiles(async ({ say, bench }) => {
    await say('create', { path: NOTES, file_text: '' })
    const edits = Array.from(
      { length: 16 },
      (_, i) => ['memory', { command: 'insert', path: NOTES, insert_line: 0, insert_text: `line ${i}` }] as const
    )
    await bench.runAll(edits)
    const text = await say('view', { path: NOTES })
    for (let i = 0; i < edits.length; i++) assert.match(text, new RegExp(`\tline ${i}$`, 'm'))
    const creates = Array.from(
      { length: 8 },
      (_, i) => ['memory', { command: 'create', path: '/memories/one', file_text: `${i}` }] as const
    )
    const settled = await Promise.allSettled(creates.map(([, args]) => bench.run('memory', args)))
    assert.equal(settled.filter(({ status }) => status === 'fulfilled').length, 1)
  }))

test('an edit that meets one through another door looks again and loses neither', () =>
  withFiles(async ({ bench, say }) => {
    await say('create', { path: NOTES, file_text: 'one\ntwo\n' })
    let met = 0
    const caller: Caller = {
      async call(method, params, options) {
        if (method === 'memory.revise' && met++ === 0) {
          const id = await bench.engine.node.resolve(`key:file:${NOTES}`)
          await bench.engine.node.revise({ id, content: `${NOTES}\nzero\none\ntwo\n` })
        }
        return bench.caller.call(method, params, options)
      }
    }
    const [tool] = filesProfile().tools
    const args = { command: 'str_replace', path: NOTES, old_str: 'two', new_str: 'three' }
    await bench.bench.finish(
      tool?.run(args, { caller, space: undefined, nowMs: () => 0 }) ?? Promise.reject(new Error())
    )
    assert.equal(met, 2)
    assert.match(await say('view', { path: NOTES }), /1\tzero\n {5}2\tone\n {5}3\tthree$/)
  }))

test('nothing invisible is shown, and an edit still finds the exact text', () =>
  withFiles(async ({ say }) => {
    await say('create', { path: NOTES, file_text: 'a\u001b[31mred\u200b\n     9\tforged line\rx' })
    const text = await say('view', { path: NOTES })
    assert.doesNotMatch(text, /[\u0000-\u0008\u000b-\u001f\u200b]/)
    await say('str_replace', { path: NOTES, old_str: '\u001b[31m', new_str: ' ' })
    assert.match(await say('view', { path: NOTES }), /1\ta red\n/)
  }))

test('a record of another kind below the same path is no file', () =>
  withFiles(async ({ say, code, bench }) => {
    await bench.bench.finish(bench.engine.node.add({ content: 'a note', path: 'memories/notes.md' }))
    await bench.bench.finish(bench.engine.node.add({ content: 'x', path: 'memories/y', key: 'file:/elsewhere' }))
    assert.equal(await say('view', { path: '/memories' }), `${LISTING} /memories:\n0B\t/memories`)
    assert.equal(await code('view', { path: NOTES }), 'not_found')
  }))
