/**
 * `hook`: what a client runs at the moments of a session. It prints what the session should know (at its start, and
 * beside a prompt), or keeps what it came to (before a compaction, and at its end). A model is waiting meanwhile, so it
 * ends within two seconds whatever happens, prints nothing when there is nothing, and never fails: a hook that ends with
 * an error can stop the session it was meant to help.
 */
import type { Command } from 'commander'
import { ChrysalisError, isChrysalisError, messageOf } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import { Client } from '../../rpc/client.ts'
import type { Context, Outcome } from '../context.ts'
import { envelope, HOOK_EVENTS, HOOK_FORMATS, hitsText, type HookEvent, type HookFormat } from '../hook/context-text.ts'
import { cutToBytes, parsePayload, readAtMost, type Payload } from '../hook/payload.ts'
import { given, wholeNumber } from '../values.ts'
import type { Wrap } from './register.ts'

interface Flags {
  readonly format?: string
  readonly space?: string
  readonly budget?: string
}

/** Left for what comes after the answer: printing, and the end of the process. */
const RESERVE_MS = 150
const START_TOKENS = 1_500
const PROMPT_TOKENS = 600
const PROMPT_HITS_MAX = 5
/** A handoff is a note, not a transcript. */
const SUMMARY_BYTES_MAX = 4_096
const SESSION_BYTES_MAX = 120
const HANDOFF_PATH = 'handoff'

async function hook(context: Context, name: string | undefined, flags: Flags): Promise<number> {
  const { io } = context
  // Only a process of its own may count from its start, and be ended from here.
  const isAlone = io.stdout === process.stdout
  const endsMs = LIMITS.hookMsMax - (isAlone ? performance.now() : 0)
  if (isAlone) setTimeout(() => process.exit(0), Math.max(1, endsMs)).unref()
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(), Math.max(1, endsMs - RESERVE_MS))
  const late = new Promise<string>((resolve) => over.signal.addEventListener('abort', () => resolve('')))
  try {
    const event = HOOK_EVENTS.find((one) => one === name)
    if (event === undefined) throw unknown('event', name, HOOK_EVENTS)
    const format = HOOK_FORMATS.find((one) => one === (flags.format ?? 'plain'))
    if (format === undefined) throw unknown('format', flags.format, HOOK_FORMATS)
    const text = await Promise.race([perform(context, event, flags, over.signal), late])
    print(context, format, event, text)
  } catch (error) {
    context.terminal.note(`chrysalis hook: ${messageOf(error)}`)
  } finally {
    clearTimeout(timer)
    over.abort()
  }
  return 0
}

function print(context: Context, format: HookFormat, event: HookEvent, text: string): void {
  const out = envelope(format, event, text)
  if (out !== '') context.terminal.print(out)
}

/** The text to show; empty for events that only keep something. */
async function perform(context: Context, event: HookEvent, flags: Flags, over: AbortSignal): Promise<string> {
  const input = context.io.stdin as typeof context.io.stdin & { readonly isTTY?: boolean }
  const isTyped = input.isTTY === true
  const payload = parsePayload(isTyped ? '' : await readAtMost(input, LIMITS.hookInputBytesMax, over))
  if (over.aborted || !hasWork(event, payload)) return ''
  const client = await reached(context, event, payload.session, over)
  try {
    return await answered(context, client, { event, payload, flags })
  } finally {
    // Not awaited: a daemon that does not answer does not say goodbye either.
    void client.close()
  }
}

function hasWork(event: HookEvent, { prompt, summary }: Payload): boolean {
  if (event === 'session-start') return true
  return event === 'user-prompt' ? prompt !== undefined : summary !== undefined
}

/** The running daemon. Only the start of a session may start one, and does not wait for it beyond the limit. */
async function reached(
  context: Context,
  event: HookEvent,
  session: string | undefined,
  over: AbortSignal
): Promise<Client> {
  // Each hook is a connection of its own. What one session is shown a hundred times must not look like a hundred sessions.
  const conversation = session === undefined ? 'hook' : `hook:${cutToBytes(session, SESSION_BYTES_MAX)}`
  const open = async (): Promise<Client> => {
    const client = new Client(context.io.socketPath(context.home), {
      name: 'chrysalis-hook',
      version: context.io.version,
      token: context.io.env['CHRYSALIS_TOKEN'] ?? '',
      session: context.io.env['CHRYSALIS_SESSION'] ?? conversation,
      timeoutMs: LIMITS.hookMsMax,
      connectMs: LIMITS.hookMsMax
    })
    over.addEventListener('abort', () => void client.close(), { once: true })
    await client.open()
    return client
  }
  try {
    return await open()
  } catch (error) {
    if (event !== 'session-start' || !context.autostart || !isChrysalisError(error, 'daemon_unreachable')) throw error
  }
  const { spawnDaemon } = await context.io.actions()
  await spawnDaemon({ home: context.home, flags: {} })
  return open()
}

async function answered(
  context: Context,
  client: Client,
  { event, payload, flags }: { event: HookEvent; payload: Payload; flags: Flags }
): Promise<string> {
  const spaces = flags.space === undefined ? undefined : [flags.space]
  const budget = flags.budget === undefined ? undefined : wholeNumber(flags.budget)
  if (event === 'session-start') {
    const budgetTokens = budget ?? START_TOKENS
    const { text, pinned, open, changes, relevant } = await client.call('memory.context', {
      budgetTokens,
      ...given({ spaces })
    })
    return [pinned, open, changes, relevant].some((part) => part.length > 0) ? text : ''
  }
  if (event === 'user-prompt') {
    const { items } = await client.call('memory.search', {
      query: cutToBytes(payload.prompt ?? '', LIMITS.queryBytesMax),
      limit: PROMPT_HITS_MAX,
      budgetTokens: budget ?? PROMPT_TOKENS,
      ...given({ spaces })
    })
    return hitsText(items, context.nowMs())
  }
  await keep(client, payload, flags.space)
  return ''
}

/** One note for each session: what it came to last. */
async function keep(client: Client, { summary, session }: Payload, space: string | undefined): Promise<void> {
  if (summary === undefined) return
  const name = session === undefined ? undefined : cutToBytes(session, SESSION_BYTES_MAX)
  await client.call('memory.add', {
    content: cutToBytes(summary, SUMMARY_BYTES_MAX),
    kind: 'episode',
    path: HANDOFF_PATH,
    origin: 'self',
    source: name === undefined ? 'hook' : `hook of session ${name}`,
    ...(name === undefined ? {} : { key: `handoff:${name}` }),
    ...given({ space })
  })
}

function unknown(what: string, name: string | undefined, known: readonly string[]): ChrysalisError {
  return new ChrysalisError('usage', `there is no ${what} ${name ?? '(none given)'}; known: ${known.join(', ')}`)
}

export function registerHookVerbs(program: Command, wrap: Wrap): void {
  program
    .command('hook')
    .description('For hooks of a client: prints context for a session, or keeps what it came to; exit status 0 always')
    .argument('[event]', HOOK_EVENTS.join(', '))
    .option('--format <name>', `${HOOK_FORMATS.join(', ')} (default plain)`)
    .option('-s, --space <name>', 'space by name or id; every space when omitted')
    .option(
      '--budget <tokens>',
      `estimated tokens to print (default ${START_TOKENS}, beside a prompt ${PROMPT_TOKENS})`
    )
    // A client of tomorrow may hand over more than is known today, and must not be stopped by that.
    .allowUnknownOption()
    .allowExcessArguments()
    .action(
      wrap(async (context, name: string | undefined, flags: Flags): Promise<Outcome | number> => {
        return hook(context, name, flags)
      })
    )
}
