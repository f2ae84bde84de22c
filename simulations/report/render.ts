/**
 * Specifications into pictures: vega-lite to vega to SVG, and SVG to PNG with resvg. No browser, no network. The packages
 * are only needed by whoever draws, so they are loaded here and not before, and their absence is an error with a remedy.
 */
import type * as Resvg from '@resvg/resvg-js'
import type * as Vega from 'vega'
import type * as VegaLite from 'vega-lite'
import { ChrysalisError } from '../../src/base/errors.ts'
import type { Spec } from './chart-parts.ts'

export interface Renderer {
  svg(spec: Spec): Promise<string>
  /** PNG bytes, twice the size of the SVG. */
  png(svg: string): Uint8Array
}

/** What draws, by package. */
export interface Drawing {
  readonly vega: () => Promise<typeof Vega>
  readonly 'vega-lite': () => Promise<typeof VegaLite>
  readonly '@resvg/resvg-js': () => Promise<Pick<typeof Resvg, 'Resvg'>>
}

export const DRAWING: Drawing = {
  vega: () => import('vega'),
  'vega-lite': () => import('vega-lite'),
  '@resvg/resvg-js': () => import('@resvg/resvg-js')
}

const PNG_ZOOM = 2

/** Throws ChrysalisError `unavailable` when a package is not installed; nothing was written then. */
export async function createRenderer(drawing: Drawing = DRAWING): Promise<Renderer> {
  const vega = await loaded('vega', drawing.vega)
  const vegaLite = await loaded('vega-lite', drawing['vega-lite'])
  const { Resvg } = await loaded('@resvg/resvg-js', drawing['@resvg/resvg-js'])
  return {
    svg: async (spec) => {
      const view = new vega.View(vega.parse(vegaLite.compile(spec as unknown as VegaLite.TopLevelSpec).spec), {
        renderer: 'none'
      })
      try {
        return await view.toSVG()
      } finally {
        view.finalize()
      }
    },
    png: (svg) => {
      const picture = new Resvg(svg, {
        fitTo: { mode: 'zoom', value: PNG_ZOOM },
        font: { loadSystemFonts: true, defaultFontFamily: 'DejaVu Sans', sansSerifFamily: 'DejaVu Sans' }
      })
      return picture.render().asPng()
    }
  }
}

async function loaded<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    throw new ChrysalisError(
      'unavailable',
      `Pictures need the package ${name}, which is not installed. Nothing was drawn.`,
      {
        hint: 'Install it where this program is: npm install --no-save vega vega-lite @resvg/resvg-js',
        cause: error
      }
    )
  }
}
