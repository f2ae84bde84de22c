/**
 * `chrysalis sim plot FOLDER`: reads what a run or a sweep left in a folder (runs.jsonl, a report a line) and puts
 * pictures and a page beside it: report.html, and plots/NAME.svg and .png. Nothing else in the folder is touched.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ChrysalisError, messageOf } from '../../src/base/errors.ts'
import { RUNS_FILE } from '../runner/folder.ts'
import type { RunReport } from '../runner/report.ts'
import { charts } from './charts.ts'
import { digest } from './digest.ts'
import { growth, GROWTH_SIZES } from './growth.ts'
import { page, type Picture } from './page.ts'
import { createRenderer, type Drawing } from './render.ts'

export interface PlotOptions {
  /** Sizes of the pictures of growth; an empty list leaves them out. Default 10 to 10,000 nodes. */
  readonly growthSizes?: readonly number[]
  /** What draws; given in tests. */
  readonly drawing?: Drawing
}

export interface Plots {
  /** Paths of what was written. */
  readonly html: string
  readonly svgs: readonly string[]
  readonly pngs: readonly string[]
}

export const PAGE_FILE = 'report.html'
const PLOTS_FOLDER = 'plots'

/**
 * Draws the report of a folder. Throws ChrysalisError: `not_found` when there are no runs in it, `corrupt` when a line is
 * no report, `unavailable` when a package is missing, `permissions` when the folder cannot be written. Nothing is written
 * before all is drawn.
 */
export async function plotReport(folder: string, options: PlotOptions = {}): Promise<Plots> {
  const runs = await readRuns(folder)
  const renderer = await createRenderer(options.drawing)
  const summed = digest(runs)
  const pictures: (Picture & { readonly png: Uint8Array })[] = []
  for (const chart of charts(summed, growth(options.growthSizes ?? GROWTH_SIZES))) {
    const svg = await renderer.svg(chart.spec)
    pictures.push({ ...chart, svg, png: renderer.png(svg) })
  }
  const plots = join(folder, PLOTS_FOLDER)
  const html = join(folder, PAGE_FILE)
  const svgs: string[] = []
  const pngs: string[] = []
  try {
    await mkdir(plots, { recursive: true })
    for (const { name, svg, png } of pictures) {
      svgs.push(join(plots, `${name}.svg`))
      pngs.push(join(plots, `${name}.png`))
      await writeFile(join(plots, `${name}.svg`), svg)
      await writeFile(join(plots, `${name}.png`), png)
    }
    await writeFile(html, page(summed, pictures))
  } catch (error) {
    throw new ChrysalisError('permissions', `The report could not be written to ${folder}: ${messageOf(error)}`, {
      hint: 'Give a folder that can be written to. The runs themselves were not touched.',
      cause: error
    })
  }
  return { html, svgs, pngs }
}

/** Every line of runs.jsonl, in order. Throws as plotReport. */
export async function readRuns(folder: string): Promise<RunReport[]> {
  const file = join(folder, RUNS_FILE)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new ChrysalisError(
      'not_found',
      `There is no ${RUNS_FILE} in ${folder} that could be read. Nothing was written.`,
      {
        hint: 'Give the folder that `chrysalis sim run --out FOLDER` or `chrysalis sim sweep --out FOLDER` has written.',
        cause: error
      }
    )
  }
  const runs = text
    .split('\n')
    .map((line, index) => ({ line, index }))
    .filter(({ line }) => line.trim() !== '')
    .map(({ line, index }) => reportOf(line, `${file}:${index + 1}`))
  if (runs.length > 0) return runs
  throw new ChrysalisError('not_found', `${file} is empty. Nothing was written.`, {
    hint: 'The run or sweep that wrote it was probably stopped at once: run it again.'
  })
}

function reportOf(line: string, where: string): RunReport {
  try {
    const value: unknown = JSON.parse(line)
    if (isReport(value)) return value
  } catch {
    // Said below, with the place.
  }
  throw new ChrysalisError('corrupt', `${where} is not the report of a run. Nothing was written.`, {
    hint: 'Delete that line, or run the simulation again.'
  })
}

/** What drawing relies on; the rest of the line is the runner's own. */
function isReport(value: unknown): value is RunReport {
  if (typeof value !== 'object' || value === null) return false
  const report = value as Partial<Record<keyof RunReport, unknown>>
  return (
    typeof report.scenario === 'string' &&
    typeof report.seed === 'string' &&
    typeof report.nodes === 'number' &&
    Array.isArray(report.violations) &&
    Array.isArray(report.reached) &&
    typeof report.latencyByRegion === 'object' &&
    report.deliveries !== undefined
  )
}
