/**
 * The program behind bin/chrysalis: the command line with the real streams and the real daemon. What the daemon is made
 * of is loaded only by the verbs that need it, so that asking a running daemon starts fast.
 */
import './polyfill.ts'
import { runCli } from './cli/program.ts'
import type { LocalActions } from './cli/local-actions.ts'
import { socketPath } from './daemon/socket-path.ts'
import { VERSION } from './daemon/version.ts'
import { ERRORS } from './base/errors.ts'

async function loadActions(): Promise<LocalActions> {
  const { createLocalActions } = await import('./daemon/local-actions.ts')
  return createLocalActions()
}

const interruption = new AbortController()
process.on('SIGINT', () => {
  // The second time is meant: whatever is still being waited for is given up.
  if (interruption.signal.aborted) process.exit(ERRORS.cancelled.exit)
  interruption.abort()
})

process.exitCode = await runCli(process.argv.slice(2), {
  actions: loadActions,
  socketPath: (home) => socketPath(home, { env: process.env }),
  mcpSocketPath: (home) => socketPath(home, { env: process.env, door: 'mcp' }),
  version: VERSION,
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
  signal: interruption.signal
})
