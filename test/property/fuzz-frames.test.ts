/**
 * A short fuzzing run (test/fuzz): twenty thousand hurt frames of every kind, from a fixed seed. Nothing throws, nothing is
 * forged, every session ends within its budget, and the frames met enough different verdicts to mean something.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { fromHex } from '../../src/base/bytes.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { encodeCanonical } from '../../src/memory/codec.ts'
import { decodeReconFrame } from '../../src/sync/recon-codec.ts'
import { DeltaFuzz, someDeltas, Tally } from '../fuzz/deltas.ts'
import { fuzz } from '../fuzz/fuzz.ts'

const FRAMES = 20_000

suite('hurt frames', () => {
  test('none throws, none is taken for what nobody wrote, and every session ends', async () => {
    const report = await fuzz({ frames: FRAMES, seed: 'short' })
    assert.deepEqual(report.crashes, [])
    assert.deepEqual(report.forged, [])
    assert.ok(report.frames >= FRAMES)
    assert.ok(report.longestMetadataBytes <= LIMITS.reconSessionMetadataBytesMax + 2 * LIMITS.reconFrameBytesMax)
    const met = (prefix: string): number => [...report.verdicts.keys()].filter((name) => name.startsWith(prefix)).length
    assert.ok(met('session: ') >= 8, 'sessions ended in many ways')
    assert.ok(met('record: ') >= 6, 'records were refused for many reasons')
    for (const name of [
      'session: repaired',
      'session: malformed',
      'record: bad-signature',
      'delivered record: genuine'
    ]) {
      assert.ok((report.verdicts.get(name) ?? 0) > 0, `${name} was met`)
    }
  })

  test('one seed is one run', async () => {
    const [once, again] = [await fuzz({ frames: 400, seed: 'same' }), await fuzz({ frames: 400, seed: 'same' })]
    assert.deepEqual(once.verdicts, again.verdicts)
    assert.notDeepEqual((await fuzz({ frames: 400, seed: 'other' })).verdicts, once.verdicts)
  })

  test('the judge knows a forgery when it sees one', () => {
    const random = new SeededRandom('judge')
    const [mine, foreign] = [someDeltas(3, random), someDeltas(3, random.fork('elsewhere'))]
    const tally = new Tally()
    const judge = new DeltaFuzz(mine, tally, random)
    const recordOf = ({ headerBytes, signature, bodyBytes }: (typeof mine)[number]): Uint8Array =>
      encodeCanonical([headerBytes, signature, bodyBytes])
    assert.equal(judge.judge(recordOf(mine[0] as (typeof mine)[number])), 'genuine')
    // Sealed with keys this run knows, but not in this run: exactly what a forger would have to achieve.
    assert.equal(judge.judge(recordOf(foreign[0] as (typeof mine)[number])), 'FORGED')
    assert.equal(tally.forged.length, 1)
  })

  test('what a frame claims is not believed before the bytes are there', () => {
    const nines = 'ffffffffffffff0f'
    const claims = [
      // HELLO with more cells than there are, MORE, a page and records longer than the frame, parts and prefixes.
      `01${'ab'.repeat(16)}${'cd'.repeat(16)}00${nines}${'ef'.repeat(16)}0000${nines}`,
      `0400${nines}`,
      `0900${nines}${nines}`,
      `090000${nines}ffff`,
      `0cff${nines}${nines}`,
      `0600${nines}0102030405060708`,
      `0a${nines}${nines}${'ff'.repeat(12)}`
    ]
    for (const claim of claims) assert.equal(decodeReconFrame(fromHex(claim)), undefined, claim)
  })
})
