/**
 * What the command line can do by itself, wired to the real world: homes, configuration, and daemons as child
 * processes. Heavy parts are imported when they are first needed, so that asking a running daemon loads no libp2p.
 */
import { existsSync } from 'node:fs'
import { systemRandom } from '../adapters/system/random.ts'
import { systemClock } from '../adapters/system/clock.ts'
import { fromHex } from '../base/bytes.ts'
import { ChrysalisError } from '../base/errors.ts'
import type { InitReport, JoinReport, LocalActions } from '../cli/local-actions.ts'
import { prefixEnd } from '../ports/store.ts'
import { parseToml } from './config-toml.ts'
import { loadConfig } from './config.ts'
import { doctorFiles } from './doctor-files.ts'
import { homePaths, type HomePaths } from './home-files.ts'
import { initHome, joinWithTicket, readSpaces } from './home.ts'
import { socketPath } from './socket-path.ts'
import { spawnDaemon } from './spawn.ts'

export function createLocalActions(): LocalActions {
  return {
    init: ({ home, name, passphrase, ticket }): Promise<InitReport> =>
      initHome(
        { home, name, passphrase: passphrase ?? process.env['CHRYSALIS_PASSPHRASE'], ticket },
        { random: systemRandom, nowMs: systemClock.nowMs() }
      ),
    daemon: async ({ home, preset, flags }) => {
      const { runDaemon } = await import('./process.ts')
      return runDaemon({ home, preset, flags, env: process.env })
    },
    spawnDaemon: (options) => spawnDaemon(options),
    socketPath: (home) => socketPath(home, { env: process.env, configured: configuredSocket(home) }),
    join: ({ home, ticket, force }): Promise<JoinReport> =>
      joinWithTicket({ home, ticket, force, hasSharedData: () => hasSharedData(home) }, { nowMs: systemClock.nowMs() }),
    config: ({ home, preset, flags }) =>
      loadConfig({ home, preset, flags, env: process.env }).entries.map(({ key, value, source }) => ({
        key,
        value,
        source
      })),
    demo: async (options) => {
      const { runDemo } = await import('./demo.ts')
      return runDemo(options)
    },
    parseToml,
    searchShared: async ({ home, query, space, ...options }) => {
      const { openReader } = await import('../reader.ts')
      const reader = openReader({ home, ...(space === undefined ? {} : { space }) })
      try {
        return reader.search(query, options)
      } finally {
        reader.close()
      }
    },
    doctorFiles: (home) => doctorFiles(home, process.env)
  }
}

/** A configuration that cannot be read is for `daemon` and `doctor` to complain about; here it only means "not set". */
function configuredSocket(home: string): string | null {
  try {
    return loadConfig({ home, env: process.env }).config.rpc.socket
  } catch {
    return null
  }
}

/** Looks into the store of a home with no running daemon. Rejects with `home_locked` when one runs after all. */
async function hasSharedData(home: string): Promise<boolean> {
  const paths = homePaths(home)
  if (!existsSync(paths.data)) return false
  const { openLevelStore } = await import('../adapters/level/level-store.ts')
  await requireSound(paths)
  const store = await openLevelStore(paths.data, { mustExist: true })
  try {
    for (const space of await readSpaces(paths)) {
      if (!space.shared) continue
      const gte = fromHex(space.id)
      const lt = prefixEnd(gte)
      const rows = await store.scan('range', { gte, limit: 1, ...(lt === undefined ? {} : { lt }) })
      if (rows.length > 0) return true
    }
    return false
  } finally {
    await store.close()
  }
}

/** Opening a damaged database destroys what a repair would need, and only a daemon repairs. */
async function requireSound(paths: HomePaths): Promise<void> {
  const { probeLock } = await import('../adapters/level/lock.ts')
  const { inspectClosedDatabase, readSentinel } = await import('../adapters/level/sentinel.ts')
  await probeLock(paths.data)
  const { inspection } = await inspectClosedDatabase(await readSentinel(paths.home), paths.data, { wholeBytesMax: 0 })
  const [finding] = inspection.findings
  if (finding === undefined) return
  throw new ChrysalisError('corrupt', `the database is damaged (${finding.what}); nothing was touched`, {
    hint: 'Start the daemon once: it makes a copy and repairs the database. Then join again.'
  })
}
