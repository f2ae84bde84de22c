/**
 * Chaos runs in small: the promises about loss, damage, full disks, copies and the two roads, each tried once or twice
 * on real daemons. The long runs are `npm run chaos`; this keeps them from rotting and the promises from being broken
 * unnoticed. Runs that need many deltas or much patience are left to it. Nothing here asserts how long anything took.
 */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { antiEntropy } from '../chaos/anti-entropy.ts'
import { clone } from '../chaos/clone.ts'
import { corrupt } from '../chaos/corrupt.ts'
import { FAULTS } from '../chaos/faults.ts'
import { full } from '../chaos/full.ts'
import { kill } from '../chaos/kill.ts'
import { power } from '../chaos/power.ts'
import type { ChaosOptions, Verdict } from '../chaos/verdict.ts'

const KILLS = 3
const IMAGES = 1
/** A short run on a slow disk still has to have acknowledged something worth losing. */
const ACKS_MIN = 20

const options = (t: TestContext, loops: number): ChaosOptions => ({
  loops,
  acksMin: ACKS_MIN,
  daemons: 2,
  say: (line) => t.diagnostic(line)
})

function assertPassed(t: TestContext, { ending, reasons, figures }: Verdict): void {
  if (ending === 'SKIPPED') return t.skip(reasons.join('; '))
  assert.equal(ending, 'passed', `${ending}: ${reasons.join('; ')} ${JSON.stringify(figures)}`)
}

// Two at a time: each waits for the other's disk and network more than for a processor.
test('chaos in small', { concurrency: 2 }, async (t) => {
  await Promise.all([
    t.test('a daemon killed thrice loses nothing it had acknowledged', async (t) => {
      const verdict = await kill(options(t, KILLS))
      assertPassed(t, verdict)
      assert.equal(verdict.figures['kills'], KILLS, 'every kill hit a daemon that was running')
    }),
    t.test('a daemon whose disk loses power loses nothing, and without sync it would', async (t) => {
      const verdict = await power(options(t, IMAGES))
      assertPassed(t, verdict)
      if (verdict.ending !== 'SKIPPED') assert.equal(verdict.figures['images'], IMAGES)
    }),
    t.test('a damaged table is told alone, and mended beside a peer', async (t) => {
      const fault = FAULTS.filter(({ name }) => name === 'table: gone')
      assertPassed(t, await corrupt(options(t, 1), { memories: 60, sessions: 2, stops: ['clean'] }, fault))
    }),
    t.test('a full disk refuses writes, answers reads and is forgotten when there is room', async (t) => {
      assertPassed(t, await full(options(t, 1)))
    }),
    t.test('a disk that is rolled back forks nobody', async (t) => {
      assertPassed(t, await clone({ ...options(t, 1), only: 'the whole home, in place' }))
    }),
    t.test('each road alone brings everything', async (t) => {
      assertPassed(t, await antiEntropy(options(t, 1), 40))
    })
  ])
})
