/**
 * What all pictures share: their size and look, their axes, and how figures are said in words.
 */
import { FONT, LIGHT, SERIES } from './theme.ts'

/** A vega-lite specification: plain data, checked by vega-lite itself when it is drawn. */
export type Spec = Readonly<Record<string, unknown>>

export interface Chart {
  /** Name of its files, and of its place on the page. */
  readonly name: string
  readonly title: string
  /** What it shows, in a sentence or two with the figures that matter. */
  readonly caption: string
  readonly spec: Spec
}

/** All in all: wide enough for a desk, narrow enough that its letters are still read on a telephone of 400 pixels. */
const WIDTH = 420
export const HEIGHT = 210

/** The look of every picture; a chart adds what it shows. */
export const BASE = {
  $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
  width: WIDTH,
  height: HEIGHT,
  autosize: { type: 'fit-x', contains: 'padding' },
  padding: 8,
  background: LIGHT.paper,
  config: {
    font: FONT,
    view: { stroke: null },
    axis: {
      labelColor: LIGHT.muted,
      titleColor: LIGHT.muted,
      gridColor: LIGHT.grid,
      domainColor: LIGHT.grid,
      tickColor: LIGHT.grid,
      labelFontSize: 12,
      titleFontSize: 12,
      titleFontWeight: 'normal',
      titlePadding: 8
    },
    legend: {
      labelColor: LIGHT.ink,
      titleColor: LIGHT.muted,
      labelFontSize: 12,
      orient: 'bottom',
      columns: 2,
      title: null,
      labelLimit: 200,
      symbolStrokeWidth: 3
    },
    range: { category: [...SERIES] }
  }
} as const

/** Number of nodes, logarithmic. */
export function sizeAxis(): Spec {
  return {
    field: 'nodes',
    type: 'quantitative',
    scale: { type: 'log', nice: false },
    axis: { title: 'nodes', format: ',d', values: [10, 100, 1_000, 10_000, 100_000], grid: false }
  } as const
}

/** Colours by `field`, in the order of `domain`. */
export function seriesOf(domain: readonly string[], field = 'who'): Spec {
  return { field, type: 'nominal', scale: { domain: [...domain], range: SERIES.slice(0, domain.length) } } as const
}

/** `80 ms`, `12.5 s`, `never`. */
export function ms(value: number | null): string {
  if (value === null) return 'never'
  if (value >= 10_000) return `${(value / 1_000).toFixed(1)} s`
  return value >= 10 ? `${whole(Math.round(value))} ms` : `${value.toFixed(1)} ms`
}

/** 0.9405 as `94.05 %`. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(share > 0.9 && share < 1 ? 2 : 0)} %`
}

/** 12345 as 12,345; the same on every machine. */
export function whole(value: number): string {
  return `${value}`.replace(/\B(?=(\d{3})+$)/g, ',')
}
