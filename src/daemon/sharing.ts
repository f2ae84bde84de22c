/**
 * The pane of the shared read index from the configuration. Its library is native, and loaded only where it is wanted; a
 * platform without its binary has no shared index, and says so, and everything else works.
 */
import { rmSync } from 'node:fs'
import { messageOf } from '../base/errors.ts'
import type { SharedPanes } from '../node/publisher.ts'
import type { Logger } from '../ports/logger.ts'
import { SHARED_TERMS } from '../recall/shared-terms.ts'
import type { Config } from './config-schema.ts'

/**
 * `root`: folder of the indexes, one for each space. Undefined when it is switched off, and then what an earlier daemon
 * left there is deleted: nobody would keep it true. `notices` takes sentences for the status.
 */
export async function sharedPanes(
  root: string,
  { shared, private: withPrivate }: Config['index'],
  { logger, notices }: { logger: Logger; notices: string[] }
): Promise<SharedPanes | undefined> {
  if (!shared) {
    rmSync(root, { recursive: true, force: true })
    return undefined
  }
  try {
    const { createSharedIndex } = await import('../adapters/index/writer.ts')
    const index = createSharedIndex(root, SHARED_TERMS, (space, reason) =>
      logger.log('warn', 'a shared index is made anew', { space, reason })
    )
    return { index, withPrivate }
  } catch (error) {
    logger.log('warn', 'there is no shared index on this platform', { error: messageOf(error) })
    notices.push(`other processes cannot search this home directly: ${messageOf(error)}`)
    return undefined
  }
}
