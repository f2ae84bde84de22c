/**
 * The report as one page: a verdict, the pictures, and below them the tables they were drawn from. It asks for nothing
 * outside itself, follows the reader's choice of light or dark, and is read on a telephone as well as on a desk.
 */
import { ms, whole, type Chart } from './chart-parts.ts'
import { median, type Digest, type FoundViolation, type ScenarioDigest } from './digest.ts'
import { DARK, FONT, LIGHT, variables, withVariables } from './theme.ts'

export interface Picture extends Chart {
  readonly svg: string
}

const VIOLATIONS_SHOWN = 100

export function page(digest: Digest, pictures: readonly Picture[]): string {
  const title = 'Chrysalis simulation report'
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<title>${title}: ${headline(digest)}</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    '<body>',
    '<main>',
    header(digest),
    violations(digest.violations),
    `<div class="pictures">${pictures.map(figure).join('')}</div>`,
    scenarioTable(digest.scenarios),
    regionTable(digest),
    reading(),
    '</main>',
    '</body>',
    '</html>',
    ''
  ].join('\n')
}

function headline({ verdict, violations: found }: Digest): string {
  if (verdict === 'held') return 'every promise held'
  if (verdict === 'violated') return `${found.length} ${found.length === 1 ? 'violation' : 'violations'}`
  return 'too little was tested'
}

function header(digest: Digest): string {
  const { verdict, scenarios, runs, nodesMax, acknowledged, missing, faults, virtualMs, events } = digest
  const colour = { held: 'good', violated: 'bad', 'failed-to-test': 'warn' }[verdict]
  const facts: [string, string][] = [
    [whole(runs), runs === 1 ? 'run' : 'runs'],
    [whole(scenarios.length), scenarios.length === 1 ? 'scenario' : 'scenarios'],
    [whole(nodesMax), 'nodes at most'],
    [whole(acknowledged), 'writes acknowledged'],
    [whole(missing), 'of them lost'],
    [whole(faults), 'faults injected'],
    [span(virtualMs), 'of simulated time'],
    [whole(events), 'events']
  ]
  return [
    '<header>',
    '<p class="brand">Chrysalis · simulation report</p>',
    `<h1 class="${colour}">${escape(sentence(digest))}</h1>`,
    `<p class="lead">${escape(lead(digest))}</p>`,
    `<dl class="facts">${facts.map(([figure_, word]) => `<div><dd>${figure_}</dd><dt>${word}</dt></div>`).join('')}</dl>`,
    '</header>'
  ].join('\n')
}

function sentence({ verdict, violations: found }: Digest): string {
  if (verdict === 'held') return 'Every promise held.'
  if (verdict === 'violated')
    return found.length === 1 ? 'A promise was broken.' : `Promises were broken ${whole(found.length)} times.`
  return 'Too little was tested to say anything.'
}

function lead(digest: Digest): string {
  const { scenarios, acknowledged, missing, runs } = digest
  const names = scenarios.map(({ scenario }) => scenario).join(', ')
  const lost =
    missing === 0 ? 'none of them was lost' : `${whole(missing)} of them ${missing === 1 ? 'was' : 'were'} lost`
  return `${whole(runs)} ${runs === 1 ? 'run' : 'runs'} of ${names}: ${whole(acknowledged)} writes were acknowledged, and ${lost}.`
}

function violations(found: readonly FoundViolation[]): string {
  if (found.length === 0) return ''
  const shown = found.slice(0, VIOLATIONS_SHOWN)
  const items = shown.map(({ scenario, seed, invariant, node, what, replay }) => {
    const where = node === null ? '' : ` at ${escape(node)}`
    return [
      '<li>',
      `<p><strong>${escape(invariant)}</strong>${where} in ${escape(scenario)}, seed ${escape(seed)}: ${escape(what)}</p>`,
      `<pre><code>${escape(replay)}</code></pre>`,
      '</li>'
    ].join('')
  })
  const rest = found.length - shown.length
  return [
    '<section>',
    '<h2>What was broken</h2>',
    `<ol class="violations">${items.join('')}</ol>`,
    rest > 0 ? `<p>And ${whole(rest)} more, in runs.jsonl.</p>` : '',
    '</section>'
  ].join('\n')
}

function figure({ name, title, caption, svg }: Picture): string {
  // The drawing scales with its column; what it says is told to those who do not see it.
  const drawn = withVariables(svg).replace(/<svg ([^>]*?)width="[\d.]+" height="[\d.]+"/, '<svg $1')
  const labelled = drawn.replace('<svg ', `<svg role="img" aria-label="${escape(`${title}. ${caption}`)}" `)
  return `<figure id="${name}">${labelled}<figcaption>${escape(caption)}</figcaption></figure>`
}

function scenarioTable(scenarios: readonly ScenarioDigest[]): string {
  const head = [
    'scenario',
    'runs',
    'held',
    'nodes',
    'writes',
    'lost',
    'faults',
    'healed',
    'to 99 %',
    'to all',
    'copies'
  ]
  const rows = scenarios.map((one) => {
    const { verdicts } = one
    const broken = verdicts.violated > 0
    const nodes = one.nodesMin === one.nodesMax ? whole(one.nodesMin) : `${whole(one.nodesMin)}–${whole(one.nodesMax)}`
    const cells = [
      whole(one.runs),
      `<span class="${broken ? 'bad' : verdicts['failed-to-test'] > 0 ? 'warn' : 'good'}">${whole(verdicts.held)}</span>`,
      nodes,
      whole(one.acknowledged),
      whole(one.missing),
      whole(one.faults),
      one.healMs.length === 0 ? '–' : ms(median(one.healMs)),
      one.t99Ms === null ? '–' : ms(one.t99Ms),
      one.t100Ms === null ? '–' : ms(one.t100Ms),
      one.copies === null ? '–' : one.copies.toFixed(2)
    ]
    return `<tr><th scope="row">${escape(one.scenario)}</th>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
  })
  return [
    '<section>',
    '<h2>What was run</h2>',
    '<div class="wide"><table>',
    `<thead><tr>${head.map((name) => `<th scope="col">${name}</th>`).join('')}</tr></thead>`,
    `<tbody>${rows.join('')}</tbody>`,
    '</table></div>',
    '<p class="note">Times are medians over runs: of the messages of a run to 99 % and to all of its nodes, and from the last fault to agreement.</p>',
    '</section>'
  ].join('\n')
}

function regionTable({ regions }: Digest): string {
  if (regions.length === 0) return ''
  const rows = regions.map(
    ({ region, p50Ms, p99Ms }) =>
      `<tr><th scope="row">${escape(region)}</th><td>${ms(p50Ms)}</td><td>${ms(p99Ms)}</td></tr>`
  )
  return [
    '<section>',
    '<h2>From writing to arrival</h2>',
    '<div class="wide"><table>',
    '<thead><tr><th scope="col">region of the reader</th><th scope="col">median</th><th scope="col">99 %</th></tr></thead>',
    `<tbody>${rows.join('')}</tbody>`,
    '</table></div>',
    '</section>'
  ].join('\n')
}

function reading(): string {
  return [
    '<section class="reading">',
    '<h2>How to read this</h2>',
    '<p>The same node code that a daemon runs was run here in virtual time: its clocks, its dice, its disks and its wires were simulated, so every run can be repeated exactly from its seed. The pictures of growth come from an abstract model of the same protocol, which is checked against the real code up to 1,000 nodes.</p>',
    '</section>'
  ].join('\n')
}

function span(milliseconds: number): string {
  const seconds = milliseconds / 1_000
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`
  const minutes = seconds / 60
  return minutes < 120 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`
}

export function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

const STYLE = `
:root { ${variables(LIGHT)} }
@media (prefers-color-scheme: dark) { :root { ${variables(DARK)} } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 ${FONT}; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 16px 64px; }
.brand { margin: 0; color: var(--muted); letter-spacing: .04em; }
h1 { margin: 4px 0 8px; font-size: clamp(26px, 5vw, 40px); line-height: 1.15; }
h2 { margin: 0 0 8px; font-size: 19px; }
.lead { margin: 0 0 20px; max-width: 75ch; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(104px, 1fr)); gap: 12px; margin: 0 0 32px; }
.facts div { border-top: 2px solid var(--grid); padding-top: 6px; }
.facts dd { margin: 0; font-size: 22px; font-variant-numeric: tabular-nums; }
.facts dt { color: var(--muted); font-size: 14px; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 36px 28px; margin-bottom: 40px; }
figure { margin: 0; min-width: 0; }
figure svg { display: block; width: 100%; height: auto; max-width: 520px; }
figcaption { color: var(--muted); font-size: 14px; margin-top: 6px; max-width: 60ch; }
section { margin-bottom: 36px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 15px; min-width: 60%; }
th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th:first-child { text-align: left; font-weight: 600; padding-left: 0; }
thead th { color: var(--muted); font-weight: normal; }
.note, .reading p { color: var(--muted); font-size: 14px; max-width: 75ch; }
.violations { padding-left: 22px; } .violations p { margin: 0 0 4px; overflow-wrap: anywhere; }
pre { margin: 0 0 14px; padding: 8px 10px; background: var(--grid); border-radius: 6px; overflow-x: auto; font-size: 14px; }
@media print { .pictures { grid-template-columns: 1fr 1fr; } }
`
