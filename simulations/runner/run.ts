/**
 * One seed of one scenario, from an empty world to a verdict. Two phases: while agents write, faults happen and liars lie
 * (*safety*: nothing false may ever be done); then everything is healed, and all honest nodes have to come to hold the
 * same within a bounded time (*liveness*). After that the checkers look at every disk.
 *
 * With the overlay `gossipsub` the globals of the process belong to the world while it runs: one run at a time.
 */
import { SCORE } from '../../src/adapters/libp2p/peer-scores.ts'
import { messageOf } from '../../src/base/errors.ts'
import type { AuthorId } from '../../src/memory/ids.ts'
import { checkAll, checkDrained, Watch, type Ack, type Violation } from '../checkers/checker.ts'
import { FaultInjector } from '../faults/apply.ts'
import type { Fault } from '../faults/plan.ts'
import { createLiar, type Liar, type LiarKind } from '../liars/liar.ts'
import { loadScenario } from '../scenarios/parse.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import type { SimNode } from '../world/sim-node.ts'
import { World } from '../world/world.ts'
import { drawPlan, randomOf, type RunPlan } from './draw.ts'
import { deliveriesOf, latencyByRegionOf } from './figures.ts'
import { runModel } from './model-run.ts'
import type { RunReport } from './report.ts'
import { Workload } from './workload.ts'

export type { RunReport } from './report.ts'

export interface RunOptions {
  readonly scenario: Scenario
  /** Any text. */
  readonly seed: string
  /** Instead of the drawn number. */
  readonly nodes?: number
  readonly writes?: number
  /** Instead of drawn ones: shrinking and replaying. */
  readonly faults?: readonly Fault[]
  readonly liars?: readonly LiarKind[]
}

const SILENT_TICK_MS = 60_000
const TICK_MS = 1_000
/** How often it is asked whether everybody holds the same. */
const LOOK_MS = 50
/** Counted reads are told to the others this often, instead of every ten minutes, so that a short run sees it. */
const ACCESS_INTERVAL_MS = 7_000
const VOTERS_MAX = 7

/** Runs it. Never rejects for what goes wrong in the world: that is a violation, in the report. */
export async function runSeed(options: RunOptions): Promise<RunReport> {
  return options.scenario.tier === 'model' ? runModel(options) : new Run(options).run()
}

/** As `runSeed`, of a scenario by name or file. */
export async function runNamed(name: string, rest: Omit<RunOptions, 'scenario'>): Promise<RunReport> {
  return runSeed({ ...rest, scenario: loadScenario(name) })
}

class Run {
  readonly #options: RunOptions
  readonly #plan: RunPlan
  readonly #world: World
  readonly #watch: Watch
  readonly #injector: FaultInjector
  readonly #workload: Workload
  readonly #acks: Ack[] = []
  readonly #voters: readonly AuthorId[]
  readonly #liars: { readonly liar: Liar; readonly place: World['outsiders'][number] }[] = []
  readonly #violations: Violation[] = []

  constructor(options: RunOptions) {
    const { scenario, seed } = options
    this.#options = options
    this.#plan = drawPlan(options)
    const { nodes, liars, crypto, off, faults } = this.#plan
    const random = randomOf(options)
    this.#world = new World({
      seed: `${scenario.name}/${seed}/world`,
      nodes,
      ...scenario.world,
      dials: Math.min(scenario.world.dials, Math.max(1, nodes - 1)),
      crypto,
      outsiders: liars.length,
      pushOff: off === 'push',
      pullOff: off === 'pull',
      accessIntervalMs: ACCESS_INTERVAL_MS
    })
    this.#voters = this.#world.nodes.slice(0, VOTERS_MAX).map((node) => node.author)
    for (const node of this.#world.nodes) node.setVoters(this.#voters)
    this.#surround()
    this.#watch = new Watch(this.#world)
    this.#injector = new FaultInjector(this.#world, faults, random.fork('faults'))
    this.#workload = new Workload({
      world: this.#world,
      random: random.fork('workload'),
      work: scenario.work,
      writers: () => [...this.#world.nodes, ...this.#injector.clones],
      isAnswering: (node) => this.#injector.isAnswering(node),
      acknowledged: (ack) => {
        this.#acks.push(ack)
        this.#watch.acknowledged(ack)
      }
    })
  }

  async run(): Promise<RunReport> {
    const world = this.#world
    let found: readonly Violation[] = []
    let healMs: number | null = null
    let facts: Facts | undefined
    let virtualMs = 0
    try {
      await this.#safety()
      const healedMs = await this.#heal()
      healMs = await this.#liveness(healedMs)
      if (this.#plan.outlastsBans) await this.#outlastBans()
      virtualMs = Math.round(world.queue.nowMs)
      found = await this.#check(healedMs)
      facts = await this.#facts()
    } catch (error) {
      this.#violations.push({ invariant: 'I19', what: `the run broke down: ${whereOf(error)}` })
    } finally {
      this.#watch.dispose()
    }
    await this.#end()
    const violations = [...this.#violations, ...found]
    const { scenario, seed } = this.#options
    return {
      scenario: scenario.name,
      seed,
      tier: 'engine',
      nodes: world.nodes.length,
      verdict: violations.length > 0 ? 'violated' : this.#acks.length === 0 ? 'failed-to-test' : 'held',
      violations,
      reached: [...this.#watch.reached].sort(),
      faults: this.#injector.injected.length,
      faultKinds: countBy(this.#injector.injected.map(({ kind }) => kind)),
      liars: countBy(this.#plan.liars),
      attempted: this.#workload.attempted,
      acknowledged: this.#acks.length,
      ...(facts ?? { missing: 0, states: 0, root: '', counters: {} }),
      healMs,
      virtualMs,
      events: world.trace.events,
      trace: world.trace.digest(),
      deliveries: deliveriesOf(world),
      latencyByRegion: latencyByRegionOf(world)
    }
  }

  // --- the phases

  async #safety(): Promise<void> {
    const world = this.#world
    const { writingMs } = this.#options.scenario.work
    await world.start(this.#injector.absentAtStart())
    await this.#startLiars()
    const originMs = world.queue.nowMs
    this.#injector.schedule()
    this.#workload.schedule(this.#plan.writes)
    for (let atMs = originMs + TICK_MS; atMs < originMs + writingMs; atMs += TICK_MS) {
      await world.queue.run(atMs)
      this.#watch.tick()
    }
    await world.queue.run(originMs + writingMs)
  }

  async #startLiars(): Promise<void> {
    const random = randomOf(this.#options).fork('lies')
    for (const [index, kind] of this.#plan.liars.entries()) {
      const place = this.#world.outsiders[index]
      if (place === undefined) continue
      const liar = createLiar(kind)
      this.#liars.push({ liar, place })
      await this.#world.settled(liar.start(place, this.#world, random.fork(`${index}`)))
    }
  }

  /** Resolves to the time at which the last fault was over. */
  async #heal(): Promise<number> {
    const world = this.#world
    for (const { liar } of this.#liars) await world.settled(liar.stop())
    this.#release()
    await world.settled(this.#injector.heal())
    this.#watch.tick()
    return world.queue.nowMs
  }

  /** Milliseconds from healing until everybody held the same; null when that never came. */
  async #liveness(healedMs: number): Promise<number | null> {
    const world = this.#world
    const { withinMs, patienceMs } = this.#options.scenario.heal
    let tickMs = healedMs + TICK_MS
    while (world.queue.nowMs < healedMs + patienceMs) {
      if (this.#isAtRest()) {
        const healMs = Math.round(world.queue.nowMs - healedMs)
        if (healMs > withinMs) this.#broke(`converged only ${healMs} ms after everything was healed, not ${withinMs}`)
        return healMs
      }
      await world.queue.run(world.queue.nowMs + LOOK_MS)
      if (world.queue.nowMs < tickMs) continue
      tickMs += TICK_MS
      this.#watch.tick()
    }
    const down = world.nodes.filter((node) => !node.running).map(({ name }) => name)
    this.#broke(
      down.length > 0
        ? `${down.join(', ')} did not come up again within ${patienceMs} ms`
        : `did not converge within ${patienceMs} ms of healing: ${world.roots().size} different sets`
    )
    return null
  }

  /** Nobody says anything until whoever was banned may come back. */
  async #outlastBans(): Promise<void> {
    const endMs = this.#world.queue.nowMs + SCORE.banMs + SILENT_TICK_MS
    while (this.#world.queue.nowMs < endMs) {
      await this.#world.queue.run(this.#world.queue.nowMs + SILENT_TICK_MS)
      this.#watch.tick()
    }
  }

  /** All run, can write again, hold the same in memory, and have it on disk. */
  #isAtRest(): boolean {
    const world = this.#world
    return world.converged() && world.nodes.every(({ engine, disk }) => engine.health().ready && disk.inFlight === 0)
  }

  #broke(what: string): void {
    this.#violations.push({ invariant: 'I1', what })
  }

  async #check(healedMs: number): Promise<readonly Violation[]> {
    const world = this.#world
    return checkAll(
      {
        world,
        honest: world.nodes.filter((node) => node.running),
        acknowledged: await this.#owed(),
        faults: this.#injector.injected,
        liars: this.#liars.map(({ liar, place }) => ({ kind: liar.kind, peer: place.peer, author: authorOf(place) })),
        healedMs,
        options: this.#options,
        voters: this.#voters
      },
      this.#watch
    )
  }

  /**
   * What is owed to the writers: every acknowledged write, except those on a disk that was destroyed before anybody else
   * had them. Such a write is on no honest disk at all; one that any disk holds is owed, whoever wrote it.
   */
  async #owed(): Promise<readonly Ack[]> {
    const lost = this.#injector.lostDisks
    if (lost.length === 0) return this.#acks
    const held = new Set<string>()
    for (const node of this.#world.nodes) {
      if (node.running) for (const id of await this.#world.settled(idsOf(node))) held.add(id)
    }
    const isExcused = ({ node, atMs, receipt }: Ack): boolean =>
      !held.has(receipt.delta) && lost.some((disk) => disk.node === node && atMs <= disk.atMs)
    return this.#acks.filter((ack) => !isExcused(ack))
  }

  async #facts(): Promise<Facts> {
    const world = this.#world
    const states = new Set<string>()
    const missing = new Set<string>()
    const counters: Record<string, number> = {}
    let root = ''
    const owed = await this.#owed()
    for (const node of world.nodes) {
      for (const [name, value] of Object.entries(node.metrics.snapshot()))
        counters[name] = (counters[name] ?? 0) + value
      if (!node.running) continue
      const digest = await world.settled(node.engine.digest())
      states.add(digest.state)
      root = digest.root
      const held = await world.settled(idsOf(node))
      for (const { receipt } of owed) if (!held.has(receipt.delta)) missing.add(receipt.delta)
    }
    return { missing: missing.size, states: states.size, root, counters }
  }

  async #end(): Promise<void> {
    const world = this.#world
    try {
      await world.stop()
      this.#violations.push(...(await checkDrained(world)))
      if (world.escaped > 0) {
        this.#violations.push({ invariant: 'I18', what: `${world.escaped} real timers were set in virtual time` })
      }
    } catch (error) {
      this.#violations.push({ invariant: 'I19', what: `the world could not be stopped: ${whereOf(error)}` })
    }
  }

  // --- one node that knows nobody but liars

  #freed: (() => void)[] = []

  #surround(): void {
    const { surround } = this.#options.scenario.liars
    const victim = surround === undefined ? undefined : this.#world.nodes[surround]
    if (victim === undefined || this.#world.outsiders.length === 0) return
    for (const node of this.#world.nodes) {
      const { neighbours } = node
      node.setNeighbours(
        node === victim ? this.#world.outsiders : neighbours.filter(({ peer }) => peer !== victim.peer)
      )
      this.#freed.push(() => node.setNeighbours(neighbours))
    }
    for (const outsider of this.#world.outsiders) outsider.neighbour(victim)
  }

  #release(): void {
    for (const free of this.#freed) free()
    this.#freed = []
  }
}

type Facts = Pick<RunReport, 'missing' | 'states' | 'root' | 'counters'>

function authorOf({ crypto }: World['outsiders'][number]): AuthorId {
  return Buffer.from(crypto.publicKey).toString('hex')
}

async function idsOf(node: SimNode): Promise<Set<string>> {
  const held = new Set<string>()
  let cursor: string | null = null
  do {
    const page: { ids: readonly string[]; cursor: string | null } = await node.engine.deltaIds({
      limit: 1_000,
      ...(cursor === null ? {} : { cursor })
    })
    for (const id of page.ids) held.add(id)
    cursor = page.cursor
  } while (cursor !== null)
  return held
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of [...names].sort()) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** The message and the innermost line of our own. */
function whereOf(error: unknown): string {
  const line =
    error instanceof Error ? error.stack?.split('\n').find((text) => /\/(src|simulations)\//.test(text)) : undefined
  return line === undefined
    ? messageOf(error)
    : `${messageOf(error)} (${line.trim().replace(/\(.*\/(src|simulations)\//, '($1/')})`
}
