/**
 * Colours of pictures and page. A picture is drawn once, in the light palette; on the page each of its colours becomes a
 * variable of the style sheet, so that one drawing suits light and dark. That is why no two light colours are equal.
 */
export interface Palette {
  readonly paper: string
  readonly ink: string
  readonly muted: string
  readonly grid: string
  readonly good: string
  readonly warn: string
  readonly bad: string
  readonly first: string
  readonly second: string
  readonly third: string
  readonly fourth: string
  readonly fifth: string
}

export const LIGHT: Palette = {
  paper: '#fdfdfb',
  ink: '#1f2328',
  muted: '#59636e',
  grid: '#e3e5e8',
  good: '#1a7f37',
  warn: '#9a6700',
  bad: '#cf222e',
  first: '#0b62c4',
  second: '#c2570c',
  third: '#0f8a6c',
  fourth: '#8250df',
  fifth: '#b02a6f'
}

export const DARK: Palette = {
  paper: '#14181d',
  ink: '#e6e9ec',
  muted: '#9aa4ae',
  grid: '#2b3138',
  good: '#4ac26b',
  warn: '#d8a634',
  bad: '#ff7b72',
  first: '#5aa5f7',
  second: '#f0914a',
  third: '#3fc9a4',
  fourth: '#b392f0',
  fifth: '#f07fb5'
}

/** In the order in which series take them. */
export const SERIES: readonly string[] = [LIGHT.first, LIGHT.second, LIGHT.third, LIGHT.fourth, LIGHT.fifth]

export const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

/** The same drawing with the page's variables for colours. */
export function withVariables(svg: string): string {
  let themed = svg
  for (const [name, colour] of Object.entries(LIGHT)) themed = themed.replaceAll(colour, `var(--${name})`)
  return themed
}

/** `--ink: #1f2328; …` */
export function variables(palette: Palette): string {
  return Object.entries(palette)
    .map(([name, colour]) => `--${name}: ${colour};`)
    .join(' ')
}
