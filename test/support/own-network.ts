/**
 * A network of one's own: this very command again, in a fresh network namespace where nothing but its daemons uses
 * loopback, so that the system's byte counters tell of them alone. Needs Linux, root, `unshare` and `ip`.
 */
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'

const INSIDE = 'CHRYSALIS_OWN_NETWORK'
const ENTER = 'ip link set lo up && exec "$@"'
/** Among the numbers of an interface: eight for what was received, then what was sent. */
const SENT_BYTES = 8

export interface Traffic {
  readonly bytes: number
  readonly packets: number
}

/** Whether this process was started by `enterOwnNetwork`. */
export function inOwnNetwork(): boolean {
  return process.env[INSIDE] !== undefined
}

/** Runs this command inside and resolves with its exit status; undefined when it is inside already, or cannot be. */
export function enterOwnNetwork(): Promise<number> | undefined {
  if (inOwnNetwork() || process.platform !== 'linux' || process.getuid?.() !== 0) return undefined
  const within = ['-n', '--', 'sh', '-c', ENTER, 'sh']
  if (spawnSync('unshare', [...within, 'true'], { stdio: 'ignore' }).status !== 0) return undefined
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const child = spawn('unshare', [...within, ...command], { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (status, signal) => resolve(status ?? 128 + constants.signals[signal ?? 'SIGTERM']))
  })
}

/**
 * What has been sent on loopback so far, TCP and IP heads included (whoever reads it counts the same bytes again).
 * Undefined when others may be using it too.
 */
export function loopbackTraffic(): Traffic | undefined {
  if (!inOwnNetwork()) return undefined
  // Not from /sys, which shows the network of whoever mounted it.
  const line = readFileSync('/proc/self/net/dev', 'utf8')
    .split('\n')
    .find((one) => one.trim().startsWith('lo:'))
  const numbers = (line ?? '').split(':')[1]?.trim().split(/\s+/).map(Number) ?? []
  return { bytes: numbers[SENT_BYTES] ?? 0, packets: numbers[SENT_BYTES + 1] ?? 0 }
}
