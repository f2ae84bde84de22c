/**
 * A whole fuzzing run: so many hurt frames, spread over everything that takes bytes from strangers: sessions of
 * reconciliation, its small requests, gossip frames and delta records. A run follows from its seed, so a failure is found
 * again by its number.
 */
import { SeededRandom } from '../../src/base/prng.ts'
import { DeltaFuzz, someDeltas, Tally } from './deltas.ts'
import { RequestFuzz } from './requests.ts'
import { SessionFuzz } from './sessions.ts'

export interface FuzzOptions {
  /** Hurt frames in all. */
  readonly frames: number
  readonly seed: string
  /** Called about every hundred thousand frames. */
  readonly say?: (line: string) => void
}

export interface FuzzReport {
  readonly frames: number
  readonly sessions: number
  readonly verdicts: ReadonlyMap<string, number>
  readonly forged: Tally['forged']
  readonly crashes: Tally['crashes']
  /** The most processor time that one event cost the victim, and the most metadata that a session came to. */
  readonly slowestMs: number
  readonly longestMetadataBytes: number
  readonly peakRssMiB: number
  readonly seconds: number
}

const DELTAS = 500
const SAY_EVERY = 100_000
/** After so many the run has made its point. */
const CRASHES_MAX = 20
/** Of a hundred turns: gossip frames, records, requests; the others are sessions. */
const [GOSSIP, RECORDS, REQUESTS] = [24, 18, 4]

export async function fuzz({ frames, seed, say }: FuzzOptions): Promise<FuzzReport> {
  const startedMs = performance.now()
  const random = new SeededRandom(`fuzz/${seed}`)
  const tally = new Tally()
  const deltas = someDeltas(DELTAS, random.fork('deltas'))
  const deltaFuzz = new DeltaFuzz(deltas, tally, random.fork('frames'))
  const sessions = new SessionFuzz(deltas, deltaFuzz, tally, random.fork('sessions'))
  const requests = new RequestFuzz(deltas, deltaFuzz, tally)
  const seconds = (): number => (performance.now() - startedMs) / 1_000
  let done = 0
  let told = 0
  let peakRss = 0
  while (done < frames && tally.crashes.length < CRASHES_MAX && tally.forged.length === 0) {
    const turn = random.below(100)
    if (turn < GOSSIP) deltaFuzz.frame(random)
    else if (turn < GOSSIP + RECORDS) deltaFuzz.record(random)
    if (turn < GOSSIP + RECORDS) done++
    else if (turn < GOSSIP + RECORDS + REQUESTS) done += await requests.run(sessions.corpus, random)
    else done += sessions.run(random)
    if (done - told < SAY_EVERY) continue
    told = done
    peakRss = Math.max(peakRss, process.memoryUsage.rss())
    say?.(`${done} frames, ${sessions.sessions} sessions, ${Math.round(done / seconds())} frames/s`)
  }
  peakRss = Math.max(peakRss, process.memoryUsage.rss())
  return {
    frames: done,
    sessions: sessions.sessions,
    verdicts: tally.verdicts,
    forged: tally.forged,
    crashes: tally.crashes,
    slowestMs: sessions.slowestMs,
    longestMetadataBytes: sessions.longestMetadataBytes,
    peakRssMiB: peakRss / 2 ** 20,
    seconds: seconds()
  }
}
