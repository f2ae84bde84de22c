/**
 * `node --import tsx test/fuzz/frames.ts [--frames N] [--seed S]`: feeds N hurt frames, a million when omitted, to everything
 * that reads what strangers send, and tells what became of them. Exit status 0: nothing threw, nothing was forged, every
 * session ended within its budget; 1: something did not; 2: usage.
 */
import '../../src/polyfill.ts'
import { parseArgs } from 'node:util'
import { fuzz } from './fuzz.ts'

const FRAMES = 1_000_000
const SHOWN = 5

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { frames: { type: 'string', default: String(FRAMES) }, seed: { type: 'string', default: '1' } }
  })
  const frames = Number(values.frames)
  if (!Number.isSafeInteger(frames) || frames < 1) {
    console.error('--frames is a whole number from 1.')
    return 2
  }
  const report = await fuzz({ frames, seed: values.seed, say: (line) => console.log(`  ${line}`) })
  const figures: [string, string | number][] = [
    ['seed', values.seed],
    ['hurt frames', report.frames],
    ['sessions', report.sessions],
    ['frames a second', Math.round(report.frames / report.seconds)],
    ['dearest event, ms of processor time', report.slowestMs.toFixed(1)],
    ['most metadata of a session, bytes', report.longestMetadataBytes],
    ['peak resident memory, MiB', Math.round(report.peakRssMiB)],
    ['forged deltas accepted', report.forged.length],
    ['crashes and broken promises', report.crashes.length]
  ]
  console.log()
  for (const [what, count] of [...report.verdicts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    console.log(`  ${what.padEnd(44)} ${count}`)
  }
  console.log()
  for (const [what, value] of figures) console.log(`  ${what.padEnd(44)} ${value}`)
  for (const { message, bytes } of report.crashes.slice(0, SHOWN)) console.log(`\n${message}\n  by ${bytes}`)
  for (const record of report.forged.slice(0, SHOWN)) console.log(`\nforged: ${record}`)
  const passed = report.crashes.length === 0 && report.forged.length === 0 && report.frames >= frames
  console.log(`\nfuzz: ${passed ? 'passed' : 'FAILED'}`)
  return passed ? 0 : 1
}

process.exitCode = await main()
