/**
 * Where simulated nodes can be. The eight regions, their one-way delays and their shares of all nodes are facts from
 * libp2p/test-plans (gossipsub-interop, network_graph.py); the nineteen are cities with large data centres, by their
 * coordinates.
 */
export interface Region {
  readonly name: string
  /** Degrees north and east. */
  readonly latitude: number
  readonly longitude: number
}

export const REGIONS8 = [
  'australia',
  'europe',
  'east-asia',
  'west-asia',
  'na-east',
  'na-west',
  'south-america',
  'south-africa'
] as const

/** How many nodes of a large public network were seen in each. */
export const WEIGHTS8: readonly number[] = [290, 5_599, 1_059, 161, 2_894, 1_240, 36, 47]

/** One-way milliseconds, in the order of the regions: the upper triangle, row by row. */
const TRIANGLE8_MS: readonly (readonly number[])[] = [
  [2, 165, 110, 180, 150, 110, 190, 220],
  [2, 125, 60, 70, 110, 140, 95],
  [4, 110, 140, 100, 175, 175],
  [5, 110, 150, 145, 110],
  [2, 60, 100, 130],
  [2, 100, 160],
  [7, 195],
  [7]
]

export const MATRIX8_MS: readonly (readonly number[])[] = REGIONS8.map((_, row) =>
  REGIONS8.map((__, column) => {
    const [low, high] = row < column ? [row, column] : [column, row]
    return TRIANGLE8_MS[low]?.[high - low] as number
  })
)

export const REGIONS19: readonly Region[] = [
  { name: 'amsterdam', latitude: 52.37, longitude: 4.9 },
  { name: 'ashburn', latitude: 39.04, longitude: -77.49 },
  { name: 'bogota', latitude: 4.71, longitude: -74.07 },
  { name: 'chicago', latitude: 41.88, longitude: -87.63 },
  { name: 'dallas', latitude: 32.78, longitude: -96.8 },
  { name: 'frankfurt', latitude: 50.11, longitude: 8.68 },
  { name: 'hong-kong', latitude: 22.32, longitude: 114.17 },
  { name: 'johannesburg', latitude: -26.2, longitude: 28.05 },
  { name: 'london', latitude: 51.51, longitude: -0.13 },
  { name: 'los-angeles', latitude: 34.05, longitude: -118.24 },
  { name: 'mumbai', latitude: 19.08, longitude: 72.88 },
  { name: 'paris', latitude: 48.86, longitude: 2.35 },
  { name: 'sao-paulo', latitude: -23.55, longitude: -46.63 },
  { name: 'seattle', latitude: 47.61, longitude: -122.33 },
  { name: 'singapore', latitude: 1.35, longitude: 103.82 },
  { name: 'stockholm', latitude: 59.33, longitude: 18.07 },
  { name: 'sydney', latitude: -33.87, longitude: 151.21 },
  { name: 'tokyo', latitude: 35.68, longitude: 139.69 },
  { name: 'toronto', latitude: 43.65, longitude: -79.38 }
]
