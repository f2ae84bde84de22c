/**
 * The first promise, in small: what was acknowledged survives kill -9 and, where disk images can be mounted, the loss of
 * power. The long runs are `npm run chaos`; this keeps them from rotting and the promise from being broken unnoticed.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { kill } from '../chaos/kill.ts'
import { power } from '../chaos/power.ts'
import type { Verdict } from '../chaos/verdict.ts'

const KILLS = 5
const IMAGES = 2
/** A short run on a slow disk still has to have acknowledged something worth losing. */
const ACKS_MIN = 50

const shown = ({ ending, reasons, figures }: Verdict): string =>
  `${ending}: ${reasons.join('; ')} ${JSON.stringify(figures)}`

test('a daemon killed five times loses nothing it had acknowledged', async (t) => {
  const verdict = await kill({ loops: KILLS, acksMin: ACKS_MIN, say: (line) => t.diagnostic(line) })
  assert.equal(verdict.ending, 'passed', shown(verdict))
  assert.equal(verdict.figures['kills'], KILLS, 'every kill hit a daemon that was running')
})

test('a daemon whose disk loses power twice loses nothing it had acknowledged', async (t) => {
  const verdict = await power({ loops: IMAGES, acksMin: ACKS_MIN, say: (line) => t.diagnostic(line) })
  if (verdict.ending === 'SKIPPED') return t.skip(verdict.reasons.join('; '))
  assert.equal(verdict.ending, 'passed', shown(verdict))
  assert.equal(verdict.figures['images'], IMAGES)
})
