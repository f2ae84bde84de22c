// Runs the tests: `npm test` for all of them, `node test/run.mjs live unit/rpc` for some folders or files under test/.
//
// One child process of the Node test runner does the work; this file only finds the files, because the patterns of
// `node --test` differ between Node 20, 22 and 24. It ends with the runner's own summary and exit status. No test found
// is a failure: a typing mistake in a folder name must never look like success.
import { spawn } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const testRoot = path.dirname(fileURLToPath(import.meta.url))
const root = path.dirname(testRoot)
const FOLDERS = ['unit', 'property', 'conformance', 'interaction', 'architecture', 'live']
/** Longest one test file may take. Generous: a busy machine with two cores must not fail by the clock. */
const FILE_TIMEOUT_MS = 10 * 60_000

/** Every test file at or below `target`, in byte order, so that two runs see the same order. */
function testFiles(target) {
  const stats = statSync(target, { throwIfNoEntry: false })
  if (stats === undefined) return []
  if (stats.isFile()) return target.endsWith('.test.ts') ? [target] : []
  return readdirSync(target)
    .sort()
    .flatMap((name) => testFiles(path.join(target, name)))
}

const wanted = process.argv.slice(2)
const files = []
for (const folder of wanted.length > 0 ? wanted : FOLDERS) {
  const found = testFiles(path.resolve(testRoot, folder))
  if (found.length === 0 && wanted.length > 0) {
    console.error(`No *.test.ts file under test/${folder}. Folders: ${FOLDERS.join(', ')}.`)
    process.exit(2)
  }
  for (const file of found) if (!files.includes(file)) files.push(file)
}
if (files.length === 0) {
  console.error('No *.test.ts file was found under test/.')
  process.exit(2)
}

const child = spawn(
  process.execPath,
  [
    '--import',
    'tsx',
    '--import',
    './src/polyfill.ts',
    '--test',
    '--test-concurrency=2',
    `--test-timeout=${FILE_TIMEOUT_MS}`,
    '--test-reporter=spec',
    ...files.map((file) => path.relative(root, file))
  ],
  // mDNS would speak to everyone on the local network: the few tests of it run in a network namespace of their own.
  { cwd: root, stdio: 'inherit', env: { ...process.env, CHRYSALIS_MDNS: '0' } }
)
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => {
  console.error(`The test runner did not start: ${error.message}`)
  process.exit(1)
})
child.on('exit', (code, signal) => {
  // A signal is reported as the shell does it, 128 + its number.
  process.exit(code ?? 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 15))
})
