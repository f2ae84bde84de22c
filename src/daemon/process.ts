/**
 * A daemon as a process: from flags to an exit status. It runs until it is told to stop, composes itself anew when its
 * home has changed (after a join), and ends at once on a defect: everything acknowledged is on disk, so a crash costs
 * nothing but a restart.
 */
import path from 'node:path'
import { createLogger, type SystemLogger } from '../adapters/system/logger.ts'
import { ERRORS, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { composeDaemon, type Daemon } from './compose.ts'
import { loadConfig, type ConfigFlags } from './config.ts'

export interface DaemonOptions {
  readonly home: string
  readonly preset?: string | undefined
  readonly flags: ConfigFlags
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Restarts asked for by a join, never more than this in a row without a stop. */
const RESTARTS_MAX = 1_000
/** A stop that hangs must not keep the machine from shutting down. */
const STOP_MS_MAX = 15_000

/** Resolves with the exit status. Rejects with ChrysalisError when the daemon cannot start. */
export function runDaemon(options: DaemonOptions): Promise<number> {
  return repeatedly((how) => runOnce(options, how))
}

/** How one composition is to begin. */
export interface Beginning {
  /** The database was found damaged by the run before. */
  readonly suspect: boolean
  /** Whether a database that is found damaged may be repaired once more. */
  readonly maySalvage: boolean
}

/** Runs compositions one after the other until one ends with an exit status. */
export async function repeatedly(run: (how: Beginning) => Promise<Ending>): Promise<number> {
  let salvages = 0
  let suspect = false
  for (let start = 0; start < RESTARTS_MAX; start++) {
    const ended = await run({ suspect, maySalvage: salvages < LIMITS.storeSalvagesMax })
    if (typeof ended === 'number') return ended
    suspect = ended === 'salvage'
    if (suspect) salvages++
  }
  return ERRORS.failure.exit
}

/** `salvage`: compose anew, and repair the database on the way. */
export type Ending = number | 'restart' | 'salvage'

async function runOnce(options: DaemonOptions, { suspect, maySalvage }: Beginning): Promise<Ending> {
  const loaded = loadConfig(options)
  const logger = createLogger({ target: { stream: process.stderr }, ...loaded.config.log })
  for (const warning of loaded.warnings) logger.log('warn', warning)
  const end = Promise.withResolvers<Ending>()
  const crash = (error: unknown): void => {
    logger.log('error', 'a defect: the daemon ends now; everything acknowledged is on disk', {
      error: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined
    })
    void logger.close().finally(() => process.exit(ERRORS.failure.exit))
  }
  const onSignal = (): void => end.resolve(0)
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
  try {
    const daemon = await composeDaemon({
      home: options.home,
      loaded,
      passphrase: options.env['CHRYSALIS_PASSPHRASE'],
      logger,
      env: options.env,
      onStop: () => end.resolve(0),
      suspect,
      onRestart: (how) => {
        if (how?.suspect !== true) end.resolve('restart')
        // Damage that comes back so often comes from the machine: better read-only than repairing for ever.
        else if (maySalvage) end.resolve('salvage')
        else
          logger.log('error', 'the database is damaged again and again: check the disk and the memory of this machine')
      },
      onCrash: crash
    })
    announce(daemon, logger)
    const ended = await end.promise
    await bounded(daemon.stop(), logger)
    return ended
  } finally {
    process.off('SIGTERM', onSignal)
    process.off('SIGINT', onSignal)
    process.off('uncaughtException', crash)
    process.off('unhandledRejection', crash)
    await logger.close()
  }
}

function announce({ node, socket }: Daemon, logger: SystemLogger): void {
  const { peer, home, addresses, epoch } = node.status()
  logger.log('info', 'ready', { peer, home: path.resolve(home), socket, addresses, epoch })
}

async function bounded(stop: Promise<void>, logger: SystemLogger): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), STOP_MS_MAX)
  })
  if ((await Promise.race([stop, late])) === 'late') {
    logger.log('error', 'stopping took too long; the process ends as it is, and the next start draws a new epoch')
  }
  clearTimeout(timer)
}
