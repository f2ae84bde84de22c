/**
 * What the suites share: a folder, homes filled with memories, and one daemon for each of them. Filling is slow, so it
 * is done once and lazily; a home belongs to one process at a time, first to an engine in this process, then to a
 * daemon until the end.
 */
import { openEngine } from './engine.ts'
import { memory } from './corpus.ts'
import { concurrently, type Report } from './measure.ts'
import { until, type DaemonProcess, type Yard } from '../support/daemons.ts'

const FILL_WORKERS = 256

export interface SuiteContext {
  readonly world: World
  readonly report: Report
  readonly quick: boolean
}

export class World {
  readonly yard: Yard
  readonly #homes = new Map<number, Promise<string>>()
  readonly #daemons = new Map<number, Promise<DaemonProcess>>()

  constructor(yard: Yard) {
    this.yard = yard
  }

  /** A home with memories 0 to `count` - 1 of the corpus, one delta each. */
  filledHome(count: number): Promise<string> {
    let home = this.#homes.get(count)
    if (home === undefined) this.#homes.set(count, (home = this.#fill(count)))
    return home
  }

  async #fill(count: number): Promise<string> {
    const home = await this.yard.newHome(`filled-${count}`)
    await fill(home, 0, count)
    return home
  }

  /** A daemon on that home, its index complete. */
  async filledDaemon(count: number): Promise<DaemonProcess> {
    const daemon = await this.#daemons.get(count)?.catch(() => undefined)
    if (daemon?.running === true) return daemon
    const started = this.#startFilled(count)
    this.#daemons.set(count, started)
    return started
  }

  async #startFilled(count: number): Promise<DaemonProcess> {
    const daemon = await this.yard.start(await this.filledHome(count))
    await untilIndexed(daemon, count)
    return daemon
  }

  /** Hands the home back: whoever takes it next starts a process of its own. */
  async release(count: number): Promise<void> {
    const daemon = await this.#daemons.get(count)?.catch(() => undefined)
    this.#daemons.delete(count)
    if (daemon?.running === true) await daemon.stop()
  }
}

/** Writes memories `from` to `from + count` - 1 of the corpus into a home that nobody has open, one delta each. */
export async function fill(home: string, from: number, count: number): Promise<void> {
  const engine = await openEngine(home)
  try {
    await concurrently(FILL_WORKERS, count, (n) => engine.node.add(memory(from + n)))
  } finally {
    await engine.close()
  }
}

/** Resolves once a search on the daemon would look at all `count` records. */
export async function untilIndexed(daemon: DaemonProcess, count: number): Promise<void> {
  await until(
    'the index is complete',
    async () => {
      const { index } = await daemon.client.status()
      return index.state === 'complete' && index.indexed >= count
    },
    { everyMs: 10 }
  )
}
