import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { isChrysalisError } from '../../../../src/base/errors.ts'
import { charts } from '../../../../simulations/report/charts.ts'
import { digest, meanCurve, median, replayCommand, shareAt } from '../../../../simulations/report/digest.ts'
import { growth } from '../../../../simulations/report/growth.ts'
import { plotReport, readRuns } from '../../../../simulations/report/plot.ts'
import { DRAWING } from '../../../../simulations/report/render.ts'
import { LIGHT } from '../../../../simulations/report/theme.ts'
import type { RunReport } from '../../../../simulations/runner/report.ts'

const CALM: RunReport = {
  scenario: 'calm',
  seed: '1',
  tier: 'engine',
  nodes: 9,
  verdict: 'held',
  violations: [],
  reached: ['partition-healed'],
  faults: 3,
  faultKinds: { crash: 2, pause: 1 },
  liars: {},
  attempted: 60,
  acknowledged: 58,
  missing: 0,
  states: 1,
  root: 'aa',
  healMs: 2_000,
  virtualMs: 40_000,
  events: 1_234,
  trace: 'tt',
  deliveries: {
    frames: 40,
    t50Ms: 80,
    t99Ms: 200,
    t100Ms: 210,
    coverage: [
      [0, 0.1],
      [80, 0.5],
      [210, 1]
    ],
    hops: [4, 3, 1],
    copies: 3.1,
    controlBytesPerDelta: 400
  },
  latencyByRegion: { europe: { p50Ms: 40, p99Ms: 90 }, 'east-asia': { p50Ms: 120, p99Ms: 200 } },
  counters: {}
}

const BROKEN: RunReport = {
  ...CALM,
  scenario: 'churn',
  seed: 'it’s <7>',
  verdict: 'violated',
  missing: 1,
  healMs: null,
  violations: [{ invariant: 'I2', node: 'node-3', what: 'a write of <node-1> & others is gone' }]
}

describe('digest', () => {
  it('adds up, by scenario and over all', () => {
    const all = digest([CALM, { ...CALM, seed: '2', healMs: 4_000, nodes: 12 }, BROKEN])
    assert.deepEqual([all.runs, all.verdict, all.acknowledged, all.missing, all.faults], [3, 'violated', 174, 1, 9])
    const [calm, churn] = all.scenarios
    assert.deepEqual([calm?.runs, calm?.nodesMin, calm?.nodesMax, calm?.healMs], [2, 9, 12, [2_000, 4_000]])
    assert.deepEqual([churn?.verdicts.violated, churn?.healMs], [1, []])
    assert.deepEqual(all.hops, [0.5, 0.375, 0.125])
    assert.deepEqual(all.faultKinds, [
      { kind: 'crash', count: 6 },
      { kind: 'pause', count: 3 }
    ])
    assert.equal(all.sometimes.find(({ what }) => what === 'partition-healed')?.runs, 3)
    assert.equal(all.sometimes.find(({ what }) => what === 'disk-full')?.runs, 0)
  })

  it('is as bad as its worst run, and nothing is too little', () => {
    assert.equal(digest([CALM]).verdict, 'held')
    assert.equal(digest([CALM, { ...CALM, verdict: 'failed-to-test' }]).verdict, 'failed-to-test')
    assert.equal(digest([BROKEN, { ...CALM, verdict: 'failed-to-test' }]).verdict, 'violated')
    assert.equal(digest([]).verdict, 'failed-to-test')
  })

  it('says what to type to see a broken run again', () => {
    assert.equal(replayCommand(CALM), 'chrysalis sim replay calm 1')
  })

  it('means and medians', () => {
    assert.deepEqual([median([]), median([3]), median([4, 1]), median([9, 1, 5])], [null, 3, 2.5, 5])
    const low: [number, number][] = [
      [0, 0],
      [10, 0.4]
    ]
    const high: [number, number][] = [
      [0, 0.2],
      [5, 0.6]
    ]
    assert.deepEqual([shareAt(low, 9), shareAt(low, 10), shareAt([], 3)], [0, 0.4, 0])
    assert.deepEqual(meanCurve([low, high]), [
      [0, 0.1],
      [5, 0.3],
      [10, 0.5]
    ])
  })
})

describe('charts', () => {
  it('draws what there is something for, and nothing else', () => {
    const names = (runs: RunReport[]): string[] => charts(digest(runs), []).map(({ name }) => name)
    assert.deepEqual(names([CALM]), ['coverage', 'hops', 'regions', 'copies', 'heal', 'faults', 'sometimes'])
    const bare: RunReport = { ...CALM, deliveries: null, latencyByRegion: {}, healMs: null, faultKinds: {}, faults: 0 }
    assert.deepEqual(names([bare]), ['sometimes'])
    assert.deepEqual(names([{ ...bare, tier: 'model' }]), [])
  })

  it('says the figures below the picture', () => {
    const [coverage] = charts(digest([CALM]), [])
    for (const part of ['80 ms', '200 ms', '210 ms', '94.05 %']) assert.ok(coverage?.caption.includes(part), part)
  })
})

describe('growth', () => {
  it('degree stays, links grow with N, paths with its logarithm, triangles vanish', () => {
    const [small, large] = growth([30, 1_000])
    assert.ok(small !== undefined && large !== undefined)
    assert.ok(Math.abs(large.degree / small.degree - 1) < 0.2)
    assert.ok(Math.abs(large.edges / small.edges / (1_000 / 30) - 1) < 0.2)
    assert.ok(large.path > small.path && large.path < 3 * small.path)
    assert.ok(large.clustering < small.clustering / 3)
    assert.ok(large.t100Ms > small.t50Ms && large.treeRounds === 7)
  })
})

describe('plotReport', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chrysalis-report-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('writes a page that asks for nothing outside itself, and pictures that are pictures', async () => {
    await writeFile(join(folder, 'runs.jsonl'), `${JSON.stringify(CALM)}\n${JSON.stringify(BROKEN)}\n\n`)
    const { html, svgs, pngs } = await plotReport(folder, { growthSizes: [10, 100] })
    assert.equal(svgs.length, 10)
    for (const svg of svgs) assert.match(await readFile(svg, 'utf8'), /^<svg [^]*<\/svg>$/)
    for (const png of pngs) assert.deepEqual([...(await readFile(png)).subarray(1, 4)], [0x50, 0x4e, 0x47])
    const page = await readFile(html, 'utf8')
    const links = [...page.matchAll(/(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)/g)].map(([, target]) => target ?? '')
    assert.deepEqual(
      links.filter((target) => !target.startsWith('#')),
      []
    )
    assert.ok(!/<script|<link|@import/.test(page))
    assert.equal(page.split('<figure').length - 1, svgs.length)
    assert.ok(page.includes('A promise was broken.') && page.includes('a write of &lt;node-1&gt; &amp; others is gone'))
    assert.ok(page.includes('chrysalis sim replay churn'))
    assert.ok(!page.includes('<7>'))
    // Colours of the drawings follow the page's; only the palettes themselves name any.
    const body = page.slice(page.indexOf('<body>'))
    for (const colour of Object.values(LIGHT)) assert.ok(!body.includes(colour), colour)
    assert.ok(body.includes('var(--first)') && page.includes('prefers-color-scheme: dark'))
  })

  it('draws the same every time', async () => {
    const first = await plotReport(folder, { growthSizes: [10, 30] })
    const before_ = await readFile(first.html, 'utf8')
    await plotReport(folder, { growthSizes: [10, 30] })
    assert.equal(await readFile(first.html, 'utf8'), before_)
  })

  it('says what to install when a drawing package is missing', async () => {
    const drawing = { ...DRAWING, 'vega-lite': () => Promise.reject(new Error('Cannot find package')) }
    await assert.rejects(
      plotReport(folder, { drawing }),
      (error) =>
        isChrysalisError(error, 'unavailable') && error.message.includes('vega-lite') && /npm install/.test(error.hint!)
    )
  })

  it('refuses folders without runs, and lines that are no report', async () => {
    await assert.rejects(readRuns(join(folder, 'nowhere')), (error) => isChrysalisError(error, 'not_found'))
    await writeFile(join(folder, 'runs.jsonl'), '\n')
    await assert.rejects(plotReport(folder), (error) => isChrysalisError(error, 'not_found'))
    await writeFile(join(folder, 'runs.jsonl'), `${JSON.stringify(CALM)}\n{"half":`)
    await assert.rejects(
      plotReport(folder),
      (error) => isChrysalisError(error, 'corrupt') && error.message.includes('runs.jsonl:2')
    )
  })

  it('says so when the folder cannot be written', async () => {
    const sealed = await mkdtemp(join(folder, 'sealed-'))
    await writeFile(join(sealed, 'runs.jsonl'), JSON.stringify(CALM))
    await writeFile(join(sealed, 'plots'), 'in the way')
    await assert.rejects(plotReport(sealed, { growthSizes: [] }), (error) => isChrysalisError(error, 'permissions'))
  })
})
