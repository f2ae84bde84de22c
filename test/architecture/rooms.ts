/**
 * The floor plan as data: which room may import which, and which third-party package is known where. Imports go down
 * only; docs/ARCHITECTURE.md tells why. boundaries.test.ts holds every file to it.
 *
 * A room is a folder below src/. What a room may import is a list of rooms, or of single files of a room where only
 * those are meant (`ports/crypto.ts`).
 */

export interface Room {
  /** Path below src/. */
  readonly path: string
  readonly caption: string
  readonly mayImport: readonly string[]
  /** May be imported for their types only: no code of theirs runs because of this room. */
  readonly mayImportTypes?: readonly string[]
  /** No node: modules, no timers, no Date: time, chance and the world come in as arguments. */
  readonly pure?: true
  /** May use node: modules. A room that is neither pure nor this speaks to the world through ports alone. */
  readonly node?: true
}

export const ROOMS: readonly Room[] = [
  { path: 'base', caption: 'words every room uses', mayImport: [], pure: true },
  { path: 'crdt', caption: 'convergent types that know nothing of memories', mayImport: ['base'], pure: true },
  { path: 'ports', caption: 'windows to the world, interfaces only', mayImport: ['base'], pure: true },
  { path: 'memory', caption: 'what one memory is', mayImport: ['base', 'crdt', 'ports/crypto.ts'], pure: true },
  {
    path: 'trust',
    caption: 'who may speak and whom to believe',
    mayImport: ['base', 'crdt', 'memory', 'ports/random.ts', 'ports/crypto.ts'],
    pure: true
  },
  { path: 'recall', caption: 'how memories are found', mayImport: ['base', 'memory'], pure: true },
  {
    path: 'sync',
    caption: 'how replicas come to agree',
    mayImport: ['base', 'crdt', 'memory', 'trust', 'ports/random.ts', 'ports/crypto.ts'],
    pure: true
  },
  {
    path: 'node',
    caption: 'the engine',
    mayImport: ['base', 'crdt', 'ports', 'memory', 'trust', 'recall', 'sync']
  },
  {
    path: 'rpc',
    caption: 'the local door',
    mayImport: ['base', 'memory', 'node'],
    mayImportTypes: ['ports'],
    node: true
  },
  { path: 'cli', caption: 'the face for people', mayImport: ['base', 'rpc'], node: true },
  { path: 'mcp', caption: 'the face for models', mayImport: ['base', 'rpc'], node: true },
  { path: 'adapters/system', caption: 'clock, chance, keys, files', mayImport: ['base', 'ports'], node: true },
  { path: 'adapters/level', caption: 'the store on LevelDB', mayImport: ['base', 'ports'], node: true },
  {
    path: 'adapters/libp2p',
    caption: 'the network on libp2p',
    mayImport: ['base', 'ports', 'polyfill.ts'],
    node: true
  },
  { path: 'adapters/embed', caption: 'embedding services over HTTP', mayImport: ['base', 'ports'], node: true },
  { path: 'adapters/vector', caption: 'nearest vectors, exact and by graph', mayImport: ['base', 'ports'], node: true },
  { path: 'adapters/index', caption: 'the read index other processes map', mayImport: ['base', 'ports'], node: true },
  {
    path: 'daemon',
    caption: 'the composition root',
    mayImport: [
      ...[
        'base',
        'crdt',
        'ports',
        'memory',
        'trust',
        'recall',
        'sync',
        'node',
        'rpc',
        'cli',
        'mcp',
        'polyfill.ts',
        'reader.ts'
      ],
      ...['adapters/system', 'adapters/level', 'adapters/libp2p', 'adapters/embed', 'adapters/vector', 'adapters/index']
    ],
    node: true
  }
]

/** Files directly below src/: the street in front of the house. */
export const STREET: readonly Room[] = [
  { path: 'polyfill.ts', caption: 'what Node 20 lacks', mayImport: [] },
  {
    path: 'main.ts',
    caption: 'the program',
    mayImport: ['polyfill.ts', 'base', 'cli', 'daemon', 'rpc'],
    node: true
  },
  {
    path: 'index.ts',
    caption: 'the package as a library: a client',
    mayImport: ['polyfill.ts', 'base', 'memory', 'node', 'rpc'],
    node: true
  },
  {
    path: 'reader.ts',
    caption: 'the shared index as a library: no daemon, no door',
    mayImport: ['base', 'ports', 'memory', 'trust', 'recall', 'adapters/index'],
    node: true
  }
]

/** Folders beside src/. `src/…` stands for rooms and files of the house. */
export const OUTBUILDINGS: readonly Room[] = [
  { path: 'bin', caption: 'thin doors', mayImport: ['src/main.ts', 'src/polyfill.ts', 'dist'], node: true },
  {
    path: 'simulations',
    caption: 'the second composition root: the same engine, a simulated world',
    mayImport: [
      ...['base', 'crdt', 'ports', 'memory', 'trust', 'recall', 'sync', 'node', 'rpc', 'adapters', 'polyfill.ts'].map(
        (room) => `src/${room}`
      ),
      'test/support'
    ],
    node: true
  }
]

/**
 * Where each third-party package may be imported: folders, files, or the beginning of file names (`src/rpc/schema`).
 * A package that is not listed may be imported nowhere.
 */
export const PACKAGES: readonly { readonly name: RegExp; readonly places: readonly string[] }[] = [
  { name: /^uint8arrays(\/|$)/, places: ['src/base/bytes.ts'] },
  { name: /^@noble\/ed25519$/, places: ['src/adapters/system/'] },
  { name: /^(level|abstract-level)$/, places: ['src/adapters/level/'] },
  { name: /^(libp2p|datastore-level|it-[a-z-]+)(\/|$)/, places: ['src/adapters/libp2p/'] },
  { name: /^@(libp2p|multiformats|chainsafe)\//, places: ['src/adapters/libp2p/', 'simulations/'] },
  { name: /^zod(\/|$)/, places: ['src/rpc/schema', 'src/daemon/config', 'src/mcp/'] },
  { name: /^@modelcontextprotocol\/server(\/|$)/, places: ['src/mcp/'] },
  { name: /^(lmdb|msgpackr)$/, places: ['src/adapters/index/'] },
  { name: /^usearch$/, places: ['src/adapters/vector/'] },
  { name: /^smol-toml$/, places: ['src/daemon/config', 'simulations/'] },
  { name: /^(commander|picocolors)$/, places: ['src/cli/', 'simulations/'] },
  { name: /^tsx(\/|$)/, places: ['bin/'] },
  { name: /^memory-level$/, places: ['simulations/'] },
  { name: /^(vega|vega-lite|@resvg\/resvg-js)$/, places: ['simulations/report/'] }
]
