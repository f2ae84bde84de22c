/**
 * A network for packaged daemons: every one lives in a network namespace of its own, its cable ends in one bridge, and
 * what passes the bridge can be cut or thinned out, each direction of each pair by itself. The bridge stands in a
 * namespace made for this command alone, so that nothing of it is seen, or can leave, outside.
 *
 * Needs Linux, root, `unshare`, `nsenter`, `ip` and `nft`; `whyNot` says what is missing. Lost packets are drawn by the
 * kernel's own dice: what happens on real wires has no seed. Delay is not added here: it takes a queueing discipline
 * that many kernels leave out, and the simulated networks have it.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { ChrysalisError } from '../../src/base/errors.ts'
import { inOwnNetwork } from '../../test/support/own-network.ts'

const TABLE = 'chrysalis'
/** Of the addresses 10.77.0.x. */
export const PLACES_MAX = 200
const HOLDER_MS_MAX = 10_000
const TOOLS = ['unshare', 'nsenter', 'ip', 'nft'] as const

/** Why namespaces cannot be used here; undefined when they can. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return `network namespaces exist on Linux only, not on ${process.platform}`
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const missing = TOOLS.filter((tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error !== undefined)
  if (missing.length > 0) return `${missing.join(', ')} cannot be found`
  const probe = 'ip link add name probe type bridge && nft add table bridge probe'
  const { status } = spawnSync('unshare', ['-n', '--', 'sh', '-c', probe], { stdio: 'ignore' })
  return status === 0 ? undefined : 'the kernel refuses a bridge or a filter in a namespace of its own'
}

/** An ordered pair of places: what the first sends to the second. */
export type Way = readonly [from: number, to: number]

interface Place {
  readonly holder: ChildProcess
  readonly pid: number
}

export class Bridge {
  readonly #places: Place[] = []

  /** So many places, all connected. Rejects with `unavailable` outside of a namespace of one's own. */
  static async lay(places: number): Promise<Bridge> {
    if (!inOwnNetwork()) {
      throw new ChrysalisError('unavailable', 'A bridge is only laid in a network namespace made for it; nothing was', {
        hint: 'Call enterOwnNetwork first.'
      })
    }
    const network = new Bridge()
    run('ip', 'link add name br0 type bridge')
    run('ip', 'link set br0 up')
    nft(`
      table bridge ${TABLE} {
        set cut { type ifname . ifname; }
        set lossy { type ifname . ifname; }
        chain crossing {
          type filter hook forward priority 0; policy accept;
        }
      }`)
    nft(`add rule bridge ${TABLE} crossing iifname . oifname @cut counter drop`)
    for (let place = 0; place < places; place++) await network.#add(place)
    return network
  }

  async #add(place: number): Promise<void> {
    // It holds the namespace open, and ends by itself when this process is gone and its input with it.
    const holder = spawn('unshare', ['-n', '--', 'cat'], { stdio: ['pipe', 'ignore', 'ignore'] })
    const { pid } = holder
    if (pid === undefined) throw new Error('a namespace could not be made')
    this.#places.push({ holder, pid })
    await inNamespaceOfItsOwn(pid)
    run('ip', `link add ${cable(place)} type veth peer name eth0 netns ${pid}`)
    run('ip', `link set ${cable(place)} master br0 up`)
    const inside = `-t ${pid} -n ip`
    run('nsenter', `${inside} addr add ${this.address(place)}/24 dev eth0`)
    run('nsenter', `${inside} link set eth0 up`)
    run('nsenter', `${inside} link set lo up`)
  }

  address(place: number): string {
    return `10.77.0.${place + 1}`
  }

  /** The command line in front of a program that is to live there. */
  entrance(place: number): readonly string[] {
    const { pid } = this.#places[place] as Place
    return ['nsenter', `--net=/proc/${pid}/ns/net`, '--']
  }

  /** These ways are cut from now on, and no others. */
  cut(ways: readonly Way[]): void {
    nft(`flush set bridge ${TABLE} cut`)
    if (ways.length > 0) nft(`add element bridge ${TABLE} cut { ${ways.map(pair).join(', ')} }`)
  }

  /** This share of the packets on these ways is lost from now on, and none on others. */
  lose(ways: readonly Way[], share: number): void {
    nft(`flush chain bridge ${TABLE} crossing`)
    nft(`add rule bridge ${TABLE} crossing iifname . oifname @cut counter drop`)
    nft(`flush set bridge ${TABLE} lossy`)
    if (ways.length === 0 || share === 0) return
    nft(`add element bridge ${TABLE} lossy { ${ways.map(pair).join(', ')} }`)
    const chance = `numgen random mod 1000 < ${Math.round(share * 1_000)}`
    nft(`add rule bridge ${TABLE} crossing iifname . oifname @lossy ${chance} counter drop`)
  }

  /** Packets dropped by the rules that stand now: by cuts, and by loss. */
  dropped(): { readonly cut: number; readonly lost: number } {
    const { stdout } = spawnSync('nft', ['list', 'chain', 'bridge', TABLE, 'crossing'], { encoding: 'utf8' })
    const count = (set: string): number => Number(new RegExp(`@${set}.*packets (\\d+)`).exec(stdout)?.[1] ?? 0)
    return { cut: count('cut'), lost: count('lossy') }
  }

  /** Ends the holders. The bridge goes with its namespace, when this process ends. */
  close(): void {
    for (const { holder } of this.#places.splice(0)) holder.stdin?.end()
  }
}

/** One of the two sides alone, or both. */
export function waysBetween(some: readonly number[], others: readonly number[], symmetric: boolean): Way[] {
  return some.flatMap((a) =>
    others.flatMap((b): Way[] =>
      symmetric
        ? [
            [a, b],
            [b, a]
          ]
        : [[a, b]]
    )
  )
}

async function inNamespaceOfItsOwn(pid: number): Promise<void> {
  const ours = readlinkSync('/proc/self/ns/net')
  for (let waitedMs = 0; waitedMs < HOLDER_MS_MAX; waitedMs += 5) {
    if (readlinkSync(`/proc/${pid}/ns/net`) !== ours) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`process ${pid} did not enter a namespace of its own`)
}

function cable(place: number): string {
  return `place${place}`
}

function pair([from, to]: Way): string {
  return `"${cable(from)}" . "${cable(to)}"`
}

function nft(rules: string): void {
  check('nft', spawnSync('nft', ['-f', '-'], { input: rules, encoding: 'utf8' }), rules)
}

function run(tool: string, line: string): void {
  check(tool, spawnSync(tool, line.split(' '), { encoding: 'utf8' }), line)
}

function check(tool: string, { status, stderr }: { status: number | null; stderr: string }, line: string): void {
  if (status !== 0) throw new Error(`${tool} refused '${line.trim()}': ${stderr.trim()}`)
}
