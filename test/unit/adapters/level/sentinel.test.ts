/** STATE: what is written, what is believed, and when an author may go on under its epoch. */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { identityOf, markFiles } from '../../../../src/adapters/level/file-marks.ts'
import { openLevelStore } from '../../../../src/adapters/level/level-store.ts'
import {
  inspectClosedDatabase,
  judgeSentinel,
  readSentinel,
  writeSentinel,
  type Observed,
  type OwnHead,
  type Sentinel
} from '../../../../src/adapters/level/sentinel.ts'
import { remedyOf, type Remedy } from '../../../../src/adapters/level/inspect.ts'
import { writeFileAtomic } from '../../../../src/adapters/system/atomic-file.ts'
import { isChrysalisError } from '../../../../src/base/errors.ts'

const SPACE = 'a1'.repeat(16)
const OTHER = 'b2'.repeat(16)
const EPOCH = 'e0'.repeat(8)
const HEAD: OwnHead = { epoch: EPOCH, seq: 41, id: 'cd'.repeat(32) }
const IDENTITY = { dev: '65024', ino: '18446744073709551615', birthtimeMs: 1_700_000_000_000 }

const clean: Sentinel = {
  schema: 1,
  deltas: 100,
  spaces: {
    [SPACE]: { deltas: 90, root: 'ff'.repeat(48), head: HEAD },
    [OTHER]: { deltas: 10, root: '00'.repeat(48), head: null }
  },
  epoch: EPOCH,
  clean: true,
  stopId: '57'.repeat(8),
  identity: IDENTITY,
  files: { CURRENT: { bytes: 16, sha256: 'ab'.repeat(32) }, '000005.ldb': { bytes: 1_234, sha256: null } },
  writtenAtMs: 1_700_000_000_123
}
const same: Observed = { identity: IDENTITY, stopId: '57'.repeat(8), deltas: 100, heads: { [SPACE]: HEAD } }
const isCorrupt = (error: unknown): boolean => isChrysalisError(error, 'corrupt')

async function temporaryDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'chrysalis-state-'))
  context.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

test('everything matches after an orderly stop: the epoch is kept', () => {
  const judgement = judgeSentinel(clean, same)
  assert.deepEqual(judgement, { fresh: false, keepEpoch: true, lostTail: false, reasons: [] })
  const explicit = { ...same, heads: { [SPACE]: { ...HEAD }, [OTHER]: null } }
  assert.equal(judgeSentinel(clean, explicit).keepEpoch, true)
})

test('every other case draws a new epoch and says why', () => {
  const rows: [string, Sentinel | undefined, Observed, { fresh?: boolean; lostTail?: boolean; reasons: RegExp[] }][] = [
    ['first start', undefined, { ...same, deltas: 0, heads: {} }, { fresh: true, reasons: [] }],
    ['no sentinel, but deltas', undefined, same, { reasons: [/^missing STATE: 100 deltas/] }],
    ['no sentinel, only a head', undefined, { ...same, deltas: 0 }, { reasons: [/^missing STATE/] }],
    ['unclean stop', { ...clean, clean: false, files: null }, same, { reasons: [/^unclean stop/] }],
    [
      'unclean stop with newer rows',
      { ...clean, clean: false, files: null },
      { ...same, deltas: 130, heads: { [SPACE]: { ...HEAD, seq: 50, id: 'ee'.repeat(32) } } },
      { reasons: [/^unclean stop/] }
    ],
    ['no note of the stop', clean, { ...same, stopId: undefined }, { reasons: [/^no note of the last stop/] }],
    ['a note of a later stop', clean, { ...same, stopId: '58'.repeat(8) }, { reasons: [/^the home was set back/] }],
    ['no id in STATE', { ...clean, stopId: null }, same, { reasons: [/^the home was set back/] }],
    ['other inode', clean, { ...same, identity: { ...IDENTITY, ino: '5' } }, { reasons: [/^copied or restored/] }],
    ['other device', clean, { ...same, identity: { ...IDENTITY, dev: '5' } }, { reasons: [/^copied or restored/] }],
    [
      'reused inode',
      clean,
      { ...same, identity: { ...IDENTITY, birthtimeMs: 5 } },
      { reasons: [/^copied or restored/] }
    ],
    [
      'fewer deltas',
      clean,
      { ...same, deltas: 97 },
      { lostTail: true, reasons: [/^lost tail: 100 deltas recorded, 97 found$/] }
    ],
    [
      'fewer deltas after an unclean stop',
      { ...clean, clean: false },
      { ...same, deltas: 0, heads: {} },
      { lostTail: true, reasons: [/^unclean/, /^lost tail/, /^own head of space a1.*seq 41.*none found/] }
    ],
    ['more deltas', clean, { ...same, deltas: 101 }, { reasons: [/^older STATE: 100 deltas recorded, 101 found$/] }],
    [
      'own head went back',
      clean,
      { ...same, heads: { [SPACE]: { ...HEAD, seq: 40 } } },
      { lostTail: true, reasons: [/^own head of space a1.*seq 41.*recorded, seq 40/] }
    ],
    ['own head is gone', clean, { ...same, heads: {} }, { lostTail: true, reasons: [/^own head.*none found/] }],
    ['own head went on', clean, { ...same, heads: { [SPACE]: { ...HEAD, seq: 42 } } }, { reasons: [/^own head/] }],
    [
      'another id at the head',
      clean,
      { ...same, heads: { [SPACE]: { ...HEAD, id: '11'.repeat(32) } } },
      { reasons: [/^own head/] }
    ],
    [
      'another epoch at the head',
      clean,
      { ...same, heads: { [SPACE]: { ...HEAD, epoch: '11'.repeat(8) } } },
      { reasons: [/^own head/] }
    ],
    [
      'a head nobody recorded',
      clean,
      { ...same, heads: { [SPACE]: HEAD, [OTHER]: HEAD } },
      { reasons: [/^own head of space b2/] }
    ],
    [
      'a head in a space nobody recorded',
      clean,
      { ...same, heads: { [SPACE]: HEAD, ['c3'.repeat(16)]: HEAD } },
      { reasons: [/^own head of space c3/] }
    ]
  ]
  for (const [what, sentinel, observed, expected] of rows) {
    const judgement = judgeSentinel(sentinel, observed)
    assert.equal(judgement.keepEpoch, false, what)
    assert.equal(judgement.fresh, expected.fresh ?? false, what)
    assert.equal(judgement.lostTail, expected.lostTail ?? false, what)
    assert.equal(judgement.reasons.length, expected.reasons.length, `${what}: ${judgement.reasons.join('; ')}`)
    for (const [i, pattern] of expected.reasons.entries()) assert.match(judgement.reasons[i] ?? '', pattern, what)
  }
})

test('the file is private, read back whole, and a missing one is undefined', async (context) => {
  const directory = await temporaryDirectory(context)
  assert.equal(await readSentinel(directory), undefined)
  await writeSentinel(directory, clean, writeFileAtomic)
  assert.deepEqual(await readSentinel(directory), clean)
  await writeSentinel(directory, { ...clean, clean: false, files: null }, writeFileAtomic)
  assert.deepEqual(await readSentinel(directory), { ...clean, clean: false, files: null })
  assert.deepEqual(await readdir(directory), ['STATE'])
  if (process.platform !== 'win32') assert.equal((await stat(join(directory, 'STATE'))).mode & 0o777, 0o600)
})

test('a file that is not a sentinel is `corrupt`, one from a newer version `unsupported_version`', async (context) => {
  const directory = await temporaryDirectory(context)
  const write = (text: string): Promise<void> => writeFile(join(directory, 'STATE'), text)
  const writeSummed = (value: object): Promise<void> =>
    writeSentinel(directory, value as Sentinel, (path, bytes) => writeFile(path, bytes))
  const whole = JSON.parse(JSON.stringify(clean)) as Record<string, unknown>
  const broken: unknown[] = [
    [],
    null,
    7,
    { ...whole, deltas: -1 },
    { ...whole, deltas: 1.5 },
    { ...whole, clean: 'yes' },
    { ...whole, epoch: 'E0'.repeat(8) },
    { ...whole, epoch: undefined },
    { ...whole, spaces: { abc: {} } },
    { ...whole, spaces: { [SPACE]: { deltas: 1, root: 'zz', head: null } } },
    { ...whole, spaces: { [SPACE]: { deltas: 1, root: '', head: { epoch: EPOCH, seq: 1, id: 'cd' } } } },
    { ...whole, identity: { dev: 1, ino: '2', birthtimeMs: 3 } },
    { ...whole, files: { CURRENT: {} } },
    { ...whole, files: undefined }
  ]
  for (const value of broken) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) await writeSummed(value)
    else await write(JSON.stringify(value))
    await assert.rejects(readSentinel(directory), isCorrupt, JSON.stringify(value))
  }
  for (const text of ['', '{', '\u0000'.repeat(40)]) {
    await write(text)
    await assert.rejects(readSentinel(directory), isCorrupt)
  }
  await writeSummed({ ...whole, somethingNew: 1 })
  assert.deepEqual(await readSentinel(directory), clean)
  // Every field in its place, and one digit another one.
  const text = await readFile(join(directory, 'STATE'), 'utf8')
  await write(text.replace('"deltas": 100', '"deltas": 101'))
  await assert.rejects(readSentinel(directory), isCorrupt)
  await write(text.replace(/"sum": "(.)/, (_, digit) => `"sum": "${digit === '0' ? '1' : '0'}`))
  await assert.rejects(readSentinel(directory), isCorrupt)
  await write(JSON.stringify(whole))
  await assert.rejects(readSentinel(directory), isCorrupt, 'and one without a checksum')
  await write(JSON.stringify({ schema: 2 }))
  await assert.rejects(readSentinel(directory), (error: unknown) => isChrysalisError(error, 'unsupported_version'))
})

/** A home with a closed database of one row and the sentinel of an orderly stop. */
async function stoppedHome(context: TestContext): Promise<{ home: string; data: string; sentinel: Sentinel }> {
  const home = await temporaryDirectory(context)
  const data = join(home, 'data')
  const store = await openLevelStore(data)
  await store.batch([{ table: 'delta', key: new Uint8Array(48), value: new Uint8Array(100) }], { durable: true })
  await store.close()
  const identity = await identityOf(data)
  assert.ok(identity !== undefined)
  const sentinel: Sentinel = { ...clean, deltas: 1, spaces: {}, identity, files: await markFiles(data) }
  await writeSentinel(home, sentinel, writeFileAtomic)
  return { home, data, sentinel }
}

test('the real directory keeps its epoch over a restart; moved it does too, copied it does not', async (context) => {
  const { home, data, sentinel } = await stoppedHome(context)
  const judge = async (directory: string): Promise<boolean> => {
    const identity = await identityOf(directory)
    assert.ok(identity !== undefined)
    return judgeSentinel(await readSentinel(home), {
      identity,
      stopId: sentinel.stopId ?? undefined,
      deltas: 1,
      heads: {}
    }).keepEpoch
  }
  const { mustExist, inspection } = await inspectClosedDatabase(sentinel, data, { wholeBytesMax: 0 })
  assert.deepEqual([mustExist, inspection.findings], [true, []])
  assert.equal(await judge(data), true)
  await (await openLevelStore(data, { mustExist: true })).close()
  assert.equal(await judge(data), true, 'opening does not change the identity')
  await rename(data, join(home, 'moved'))
  assert.equal(await judge(join(home, 'moved')), true)
  await cp(join(home, 'moved'), data, { recursive: true, preserveTimestamps: true })
  assert.equal(await judge(data), false)
})

test('a sentinel without its database is `corrupt`, and nothing is created', async (context) => {
  const { home, data, sentinel } = await stoppedHome(context)
  await rm(data, { recursive: true })
  await assert.rejects(inspectClosedDatabase(sentinel, data, { wholeBytesMax: 0 }), isCorrupt)
  assert.deepEqual(await readdir(home), ['STATE'])
  await assert.rejects(inspectClosedDatabase(undefined, data, { wholeBytesMax: 0, wasThere: true }), isCorrupt)
  assert.equal((await inspectClosedDatabase(undefined, data, { wholeBytesMax: 0 })).mustExist, false)
})

test('damage done while stopped is found before opening', async (context) => {
  const { data, sentinel } = await stoppedHome(context)
  const names = await readdir(data)
  const manifest = String(names.find((name) => name.startsWith('MANIFEST-')))
  const log = String(names.find((name) => name.endsWith('.log')))
  const pristine = `${data}-pristine`
  await cp(data, pristine, { recursive: true })
  const logBytes = await readFile(join(data, log))
  assert.ok(logBytes.length > 100, 'the row is still in the log')
  const flipped = Uint8Array.from(logBytes)
  flipped[60]! ^= 1
  const damages: [RegExp, Remedy, () => Promise<void>][] = [
    [/^MANIFEST-\d+: it names no log number$/, 'repair', async () => truncate(join(data, manifest), 20)],
    [/^the log \d+\.log is gone$/, 'none', () => rm(join(data, log))],
    // The only record of the log: a crash could have left that, but not after an orderly stop.
    [/\.log has other content$/, 'none', () => writeFile(join(data, log), flipped)],
    [/^the file CURRENT is gone$/, 'point CURRENT', () => rm(join(data, 'CURRENT'))],
    [/^000099\.ldb is new$/, 'none', () => writeFile(join(data, '000099.ldb'), 'x')]
  ]
  const look = async (witness: Sentinel) =>
    (await inspectClosedDatabase(witness, data, { wholeBytesMax: 0 })).inspection.findings
  for (const [pattern, remedy, damage] of damages) {
    await damage()
    const findings = await look(sentinel)
    assert.match(findings[0]?.what ?? '', pattern)
    assert.equal(remedyOf(findings), remedy, String(pattern))
    await rm(data, { recursive: true })
    await cp(pristine, data, { recursive: true })
  }
  // LevelDB's own diary and lock are nobody's evidence, and after a kill there is nothing to compare with.
  await writeFile(join(data, 'LOG'), 'other')
  assert.deepEqual(await look(sentinel), [])
  await writeFile(join(data, log), flipped)
  assert.deepEqual(await look({ ...sentinel, clean: false }), [])
})
