/**
 * The main job in one command: two daemons on this machine, each in a process of its own. One learns a sentence, the
 * other recalls it with its author and a verified signature; both are killed without warning and started again, and
 * nothing is lost. Loopback only, no multicast; everything is in a temporary folder that is removed at the end.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { systemClock } from '../adapters/system/clock.ts'
import { systemRandom } from '../adapters/system/random.ts'
import { ChrysalisError } from '../base/errors.ts'
import { connect, type Client } from '../rpc/client.ts'
import { initHome } from './home.ts'
import { readRunFile } from './socket-path.ts'
import { launcherPath } from './spawn.ts'

const SENTENCE = 'Deploys freeze on Fridays after 15:00 UTC'
const QUESTION = 'when are deploys frozen?'
const WAIT_MS_MAX = 40_000
const POLL_MS = 50

interface DemoOptions {
  readonly json: boolean
  readonly keep: boolean
  readonly print: (line: string) => void
}

interface Running {
  readonly name: string
  readonly home: string
  process: ChildProcess
  client: Client
}

/** Resolves with the exit status: 0 when every step did what it should. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const root = await mkdtemp(path.join(tmpdir(), 'chrysalis-demo-'))
  const running: Running[] = []
  try {
    const report = await play(root, running, options)
    if (options.json) options.print(JSON.stringify({ ok: true, command: 'demo', data: report, v: 1 }))
    return 0
  } finally {
    for (const one of running) one.process.kill('SIGKILL')
    if (options.keep) options.print(`kept: ${root}`)
    else await rm(root, { recursive: true, force: true })
  }
}

async function play(root: string, running: Running[], options: DemoOptions): Promise<Record<string, unknown>> {
  const say = (line: string): void => {
    if (!options.json) options.print(line)
  }
  const startedMs = performance.now()
  const alphaHome = path.join(root, 'alpha')
  const betaHome = path.join(root, 'beta')
  const ports = { random: systemRandom, nowMs: systemClock.nowMs() }

  const alphaReport = await initHome({ home: alphaHome, name: 'alpha' }, ports)
  const alpha = await start('alpha', alphaHome)
  running.push(alpha)
  say(`alpha  ${alphaReport.peer}`)
  const invitation = await alpha.client.call('space.invite', {})
  const betaReport = await initHome({ home: betaHome, name: 'beta', ticket: invitation.ticket }, ports)
  const beta = await start('beta', betaHome)
  running.push(beta)
  say(`beta   ${betaReport.peer}   joined ${invitation.space} with a ticket\n`)
  await until('the daemons have met', async () => (await beta.client.call('node.status', {})).peers.connected > 0)

  const learned = await alpha.client.call('memory.add', {
    content: SENTENCE,
    kind: 'decision',
    tags: ['deploy'],
    importance: 0.9
  })
  say(`alpha $ chrysalis learn "${SENTENCE}"`)
  say(`        ${learned.id.slice(0, 12)}  on disk, signed`)
  say(`        fingerprint ${learned.fingerprint}\n`)
  const hit = await recall(beta, learned.id)
  say(`beta  $ chrysalis recall "${QUESTION}"`)
  say(`        ${hit.content ?? ''}`)
  say(`        by ${hit.peer}   ${hit.verified ? 'verified' : 'NOT VERIFIED'}`)
  const check = await beta.client.call('memory.verify', { ids: [learned.id] })
  demand(check.valid === check.checked && check.checked > 0, 'every signature verifies on beta')
  say(`        signatures: ${check.valid} of ${check.checked} verified\n`)

  for (const one of running) await kill(one)
  say('both daemons killed with SIGKILL, and started again')
  for (const one of running) await restart(one)
  const again = await recall(beta, learned.id)
  demand(again.content === SENTENCE, 'beta still knows the sentence')
  const kept = await recall(alpha, learned.id)
  demand(kept.content === SENTENCE, 'alpha still knows the sentence')

  const [digestA, digestB] = await equalDigests(alpha, beta)
  say(`alpha  digest ${digestA}`)
  say(`beta   digest ${digestB}   equal\n`)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  say(`Nothing was lost. ${seconds} s, two processes, no server.`)
  for (const one of running) await one.client.close()
  return {
    peers: [alphaReport.peer, betaReport.peer],
    id: learned.id,
    fingerprint: learned.fingerprint,
    verified: hit.verified && check.valid === check.checked,
    digests: [digestA, digestB],
    equal: digestA === digestB
  }
}

async function start(name: string, home: string): Promise<Running> {
  const child = spawn(
    process.execPath,
    [launcherPath(), '--home', home, 'daemon', '--preset', 'local', '--log-level', 'error'],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, CHRYSALIS_MDNS: '0' }
    }
  )
  let exited: number | null | undefined
  child.once('exit', (code) => {
    exited = code
  })
  let client: Client | undefined
  await until(`${name} answers`, async () => {
    if (exited !== undefined)
      throw new ChrysalisError('failure', `the daemon ${name} ended with status ${String(exited)}`)
    const run = readRunFile(home)
    if (run === undefined || run.pid !== child.pid) return false
    client = await connect(run.socket)
    return true
  })
  return { name, home, process: child, client: client as unknown as Client }
}

async function kill(one: Running): Promise<void> {
  const gone = new Promise((resolve) => one.process.once('exit', resolve))
  await one.client.close()
  one.process.kill('SIGKILL')
  await gone
}

async function restart(one: Running): Promise<void> {
  const next = await start(one.name, one.home)
  one.process = next.process
  one.client = next.client
}

async function recall(one: Running, id: string): Promise<{ content: string | null; peer: string; verified: boolean }> {
  let found: { content: string | null; peer: string; verified: boolean } | undefined
  await until(`${one.name} recalls it`, async () => {
    const { items } = await one.client.call('memory.search', { query: QUESTION })
    found = items.find((item) => item.id === id)
    return found !== undefined
  })
  return found as unknown as { content: string | null; peer: string; verified: boolean }
}

async function equalDigests(alpha: Running, beta: Running): Promise<[string, string]> {
  let digests: [string, string] = ['', '']
  await until('both digests are equal', async () => {
    const [a, b] = await Promise.all([alpha.client.call('memory.digest', {}), beta.client.call('memory.digest', {})])
    digests = [a.root, b.root]
    return a.root === b.root && a.state === b.state
  })
  return digests
}

async function until(what: string, done: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + WAIT_MS_MAX
  for (;;) {
    if (await done()) return
    if (performance.now() > deadlineMs) {
      throw new ChrysalisError('timeout', `waited ${WAIT_MS_MAX / 1000} s in vain until ${what}`)
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

function demand(holds: boolean, what: string): void {
  if (!holds) throw new ChrysalisError('verification_failed', `the demonstration failed: not true that ${what}`)
}
