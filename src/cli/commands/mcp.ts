/** mcp: what a host of models starts. It is a byte pipe to the daemon, which does the work. */
import type { Socket } from 'node:net'
import type { Command } from 'commander'
import { ERRORS, isChrysalisError } from '../../base/errors.ts'
import { asChrysalisError, type Context } from '../context.ts'
import { connectPipe, runPipe } from '../mcp-pipe.ts'
import { given } from '../values.ts'
import type { Wrap } from './register.ts'

interface McpFlags {
  profile: string
  space?: string
  token?: string
}

/** Standard output belongs to the protocol: whatever else there is to say goes to standard error, with --json too. */
async function mcp(context: Context, flags: McpFlags): Promise<number> {
  const { io, terminal } = context
  const profiles = flags.profile.split(',').map((name) => name.trim())
  const token = flags.token ?? io.env['CHRYSALIS_TOKEN']
  const signal = io.signal ?? new AbortController().signal
  try {
    const socket = await reach(context)
    await runPipe(
      socket,
      { profiles, ...given({ space: flags.space, token: token === '' ? undefined : token }) },
      {
        input: io.stdin,
        output: io.stdout,
        signal
      }
    )
    return 0
  } catch (thrown) {
    const error = asChrysalisError(thrown)
    terminal.complain(`chrysalis mcp: ${error.message}`)
    if (error.hint !== undefined) terminal.complain(`hint: ${error.hint}`)
    return ERRORS[error.code].exit
  }
}

/** The daemon of the home; started first when none runs. */
async function reach(context: Context): Promise<Socket> {
  const { mcpSocketPath } = context.io
  try {
    return await connectPipe(mcpSocketPath(context.home))
  } catch (error) {
    if (!isChrysalisError(error, 'daemon_unreachable')) throw error
  }
  await context.daemon()
  await context.close()
  return connectPipe(mcpSocketPath(context.home))
}

export function registerMcpVerb(program: Command, wrap: Wrap): void {
  program
    .command('mcp')
    .description('serve a model over standard input and output (Model Context Protocol); a pipe to the daemon')
    .option('--profile <names>', 'core, team, ops, server-memory or files; several with commas', 'core')
    .option('--space <space>', 'the space to read and write; the default one when omitted')
    .option('--token <token>', 'token of the agent (CHRYSALIS_TOKEN)')
    .action(wrap(mcp))
}
