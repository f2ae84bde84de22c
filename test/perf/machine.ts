/** The circumstances of a run: figures without them say little. */
import { existsSync, readFileSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))))

export interface Machine {
  readonly node: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  /** One, five and fifteen minutes. More than the cores: the machine does other things as well. */
  readonly load: string
  readonly disk: string
  readonly durability: string
  readonly program: string
}

export function describeMachine(directory: string): Machine {
  const [first] = cpus()
  return {
    node: process.version,
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    load: loadavg()
      .map((value) => value.toFixed(1))
      .join(' '),
    disk: diskOf(directory),
    durability: 'fsync: own deltas are synced before they are acknowledged',
    program: programKind()
  }
}

/** Device and file system that hold a directory; what the system does not tell stays unknown. */
function diskOf(directory: string): string {
  try {
    const real = realpathSync(directory)
    const mounts = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(
        ([, place]) => place !== undefined && (real === place || real.startsWith(place === '/' ? '/' : `${place}/`))
      )
    const mount = mounts.sort((a, b) => (b[1] ?? '').length - (a[1] ?? '').length)[0]
    return mount === undefined ? 'unknown' : `${mount[2] ?? '?'} on ${mount[0] ?? '?'}`
  } catch {
    return 'unknown'
  }
}

/** What bin/chrysalis would run: the rule is its own, that a build counts when it is newer than every source. */
export function programKind(): 'compiled' | 'sources through tsx' {
  const compiled = path.join(ROOT, 'dist', 'src', 'main.js')
  if (!existsSync(compiled)) return 'sources through tsx'
  return statSync(compiled).mtimeMs > newestMs(path.join(ROOT, 'src')) ? 'compiled' : 'sources through tsx'
}

function newestMs(directory: string): number {
  let newest = 0
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const place = path.join(directory, entry.name)
    newest = Math.max(newest, entry.isDirectory() ? newestMs(place) : statSync(place).mtimeMs)
  }
  return newest
}

/** Undefined where the system does not tell. */
export function residentMiB(pid: number): number | undefined {
  try {
    const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return match === null ? undefined : Number(match[1]) / 1_024
  } catch {
    return undefined
  }
}

/** Milliseconds of processor time of all threads of a process; undefined where the system does not tell. */
export function cpuMsOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // Behind the name, which may contain anything: user and system time in ticks, of which Linux has a hundred a second.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return 10 * (Number(fields[11]) + Number(fields[12]))
  } catch {
    return undefined
  }
}
