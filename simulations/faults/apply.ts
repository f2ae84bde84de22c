/**
 * Makes a plan of faults happen in a world. Each kind is a function that begins the fault and returns what ends it; the
 * injector calls the one at its time and the other when its time is over, or when everything is healed.
 *
 * A fault that makes no sense at its moment (the power of a node that is already down) does not happen and is not
 * counted: `injected` holds those that did.
 */
import type { PeerId } from '../../src/ports/network.ts'
import type { Random } from '../../src/ports/random.ts'
import type { SimNode } from '../world/sim-node.ts'
import type { World } from '../world/world.ts'
import { inOrder, type Fault, type FaultKind } from './plan.ts'

/** Ends a fault. */
type Undo = () => void | Promise<void>
/** Begins a fault; undefined when it cannot happen now. */
type Begin = (stage: Stage, fault: Fault, random: Random) => Undo | undefined

/** What was on a disk that is no more: acknowledged there, and gone if nobody else had it yet. */
export interface LostDisk {
  /** Name of the node. */
  readonly node: string
  /** Virtual milliseconds; writes acknowledged by it before then may be gone for good. */
  readonly atMs: number
}

/** What faults work on. */
export interface Stage {
  readonly world: World
  /** Nodes that are down, restarting or standing still because of a fault: no second one of that sort at a time. */
  readonly busy: Set<SimNode>
  readonly lostDisks: LostDisk[]
  /** Second processes of an identity, running now or ended. */
  readonly clones: SimNode[]
  /** Runs in the background; healing waits for it. Must not reject. */
  background(work: Promise<unknown>): void
  /** What air-wide faults are on, by kind, as sizes. */
  readonly airborne: Map<Fault, number>
}

/** A supervisor starts a daemon again that failed to start. */
const RESTART_MS = 1_000
const RESTARTS_MAX = 120

export class FaultInjector {
  readonly #stage: Stage
  readonly #random: Random
  readonly #plan: readonly Fault[]
  readonly #injected: Fault[] = []
  /** Faults that go on, and what ends them. */
  readonly #going = new Map<Fault, Undo>()
  readonly #working = new Set<Promise<unknown>>()
  #healed = false
  #lastHealMs = 0

  constructor(world: World, plan: readonly Fault[], random: Random) {
    this.#plan = inOrder(plan)
    this.#random = random
    this.#stage = {
      world,
      busy: new Set(),
      lostDisks: [],
      clones: [],
      airborne: new Map(),
      background: (work) => {
        const watched = work.finally(() => this.#working.delete(watched))
        this.#working.add(watched)
      }
    }
  }

  /** Those that happened, in order. */
  get injected(): readonly Fault[] {
    return this.#injected
  }

  get lostDisks(): readonly LostDisk[] {
    return this.#stage.lostDisks
  }

  /** Second processes that were started, for whoever wants their acknowledgements. */
  get clones(): readonly SimNode[] {
    return this.#stage.clones
  }

  /** Virtual milliseconds at which the last fault ended; 0 before. */
  get healedMs(): number {
    return this.#lastHealMs
  }

  /** Whether a client of this node gets an answer just now. */
  isAnswering(node: SimNode): boolean {
    return node.running && !node.paused && !this.#stage.busy.has(node)
  }

  /** Nodes that are not there when the world starts. */
  absentAtStart(): ReadonlySet<SimNode> {
    const late = this.#plan.filter((fault) => fault.kind === 'late-start').flatMap((fault) => fault.target)
    return new Set(late.flatMap((index) => this.#stage.world.nodes[index] ?? []))
  }

  /** Everything in the plan is due from now on. Call once, when the world has started. */
  schedule(): void {
    for (const node of this.absentAtStart()) this.#stage.busy.add(node)
    for (const [index, fault] of this.#plan.entries()) {
      this.#stage.world.queue.after(fault.atMs, () => this.#begin(fault, this.#random.fork(`fault/${index}`)))
    }
  }

  #begin(fault: Fault, random: Random): void {
    const { world } = this.#stage
    if (this.#healed || fault.target.some((index) => world.nodes[index] === undefined)) return
    const undo = BEGIN[fault.kind](this.#stage, fault, random)
    if (undo === undefined) return
    this.#injected.push(fault)
    this.#going.set(fault, undo)
    world.trace.note(world.queue.nowMs, 'fault', fault.kind, fault.target.join('.'), fault.size ?? 0)
    if (fault.forMs !== undefined) world.queue.after(fault.forMs, () => this.#end(fault))
  }

  #end(fault: Fault): void {
    const undo = this.#going.get(fault)
    if (undo === undefined) return
    this.#going.delete(fault)
    const { world } = this.#stage
    world.trace.note(world.queue.nowMs, 'healed', fault.kind, fault.target.join('.'))
    const ended = undo()
    if (ended !== undefined) this.#stage.background(ended)
    this.#lastHealMs = world.queue.nowMs
  }

  /** Ends all that goes on, begins nothing more, and resolves when every node is up again; the caller lets time pass. */
  async heal(): Promise<void> {
    this.#healed = true
    for (const fault of [...this.#going.keys()]) this.#end(fault)
    while (this.#working.size > 0) await Promise.all([...this.#working])
    this.#lastHealMs = Math.max(this.#lastHealMs, this.#stage.world.queue.nowMs)
  }
}

/** Starts a node, again and again if need be: reads may fail, the disk may be full. */
async function bringUp(stage: Stage, node: SimNode): Promise<void> {
  for (let attempt = 0; attempt < RESTARTS_MAX; attempt++) {
    try {
      // Two faults may both be about to start it, such as two late starts of one node.
      if (!node.running) await node.start()
      break
    } catch {
      await stage.world.queue.sleep(RESTART_MS)
    }
  }
  stage.busy.delete(node)
}

/** The one target, if it can be taken down now; it is busy from here on. */
function take(stage: Stage, fault: Fault): SimNode | undefined {
  const node = nodesOf(stage, fault)[0]
  if (node === undefined || !node.running || node.paused || stage.busy.has(node)) return undefined
  stage.busy.add(node)
  return node
}

function nodesOf(stage: Stage, fault: Fault): SimNode[] {
  return fault.target.flatMap((index) => stage.world.nodes[index] ?? [])
}

function sides(stage: Stage, fault: Fault): { those: Set<PeerId>; rest: Set<PeerId> } | undefined {
  const those = new Set(nodesOf(stage, fault).map((node) => node.peer))
  const rest = new Set(stage.world.nodes.map((node) => node.peer).filter((peer) => !those.has(peer)))
  return those.size === 0 || rest.size === 0 ? undefined : { those, rest }
}

/** Takes the power, does something to the dead machine, and starts it when the fault is over. */
function powerless(
  stage: Stage,
  node: SimNode,
  whileDown: (node: SimNode) => Promise<void> | void = () => undefined
): Undo {
  const down = node.crash().then(() => whileDown(node))
  return () => down.then(() => bringUp(stage, node))
}

/** The strongest of those that are on counts. */
function airborne(kind: 'loss' | 'duplication' | 'straggling'): Begin {
  return (stage, fault) => {
    const { air } = stage.world
    const set = (): void => {
      const sizes = [...stage.airborne].flatMap(([other, size]) => (other.kind === kind ? [size] : []))
      air.options = { ...air.options, [kind]: Math.max(before, ...sizes) }
    }
    const before = baseOf(stage, kind)
    stage.airborne.set(fault, fault.size ?? 0)
    set()
    return () => {
      stage.airborne.delete(fault)
      set()
    }
  }
}

const BASES = new WeakMap<Stage, Record<'loss' | 'duplication' | 'straggling', number>>()

/** What the air was like before any fault. */
function baseOf(stage: Stage, kind: 'loss' | 'duplication' | 'straggling'): number {
  const { loss, duplication, straggling } = stage.world.air.options
  const base = BASES.get(stage) ?? { loss, duplication, straggling }
  BASES.set(stage, base)
  return base[kind]
}

/** Something about one disk. */
function disk(set: (faults: SimNode['disk']['faults'], size: number) => () => void): Begin {
  return (stage, fault) => {
    const [node] = nodesOf(stage, fault)
    return node === undefined ? undefined : set(node.disk.faults, fault.size ?? 0)
  }
}

const BEGIN: Readonly<Record<FaultKind, Begin>> = {
  crash: (stage, fault) => {
    const node = take(stage, fault)
    if (node === undefined) return undefined
    node.disk.faults.tornBatch = (fault.size ?? 0) >= 1
    return powerless(stage, node)
  },
  pause: (stage, fault) => {
    const node = take(stage, fault)
    if (node === undefined) return undefined
    const resume = node.pause()
    return () => {
      resume()
      stage.busy.delete(node)
    }
  },
  flap: (stage, fault) => {
    const nodes = nodesOf(stage, fault)
    const times = Math.max(1, fault.size ?? 1)
    let left = times
    const drop = (): void => {
      if (left-- <= 0) return
      for (const node of nodes) if (!node.paused) node.dropLinks()
      stage.world.queue.after((fault.forMs ?? 1_000) / times, drop)
    }
    drop()
    return () => {
      left = 0
    }
  },
  reformat: (stage, fault) => {
    const node = take(stage, fault)
    if (node === undefined) return undefined
    stage.lostDisks.push({ node: node.name, atMs: stage.world.queue.nowMs })
    return powerless(stage, node, (dead) => dead.reformat())
  },
  restore: (stage, fault) => {
    const node = take(stage, fault)
    if (node === undefined) return undefined
    // The copy is made now; what is written until the fault is over is what it does not have.
    const backup = node.backup()
    stage.busy.delete(node)
    return async () => {
      const copy = await backup
      if (!node.running || node.paused || stage.busy.has(node)) return
      stage.busy.add(node)
      stage.lostDisks.push({ node: node.name, atMs: stage.world.queue.nowMs })
      await node.crash()
      node.restore(copy)
      await bringUp(stage, node)
    }
  },
  clone: (stage, fault, random) => {
    const node = nodesOf(stage, fault)[0]
    if (node === undefined || !node.running || node.paused || stage.busy.has(node)) return undefined
    const name = `${node.name}-clone-${stage.clones.length}`
    const started = node.cloneTo(name).then(async (clone) => {
      stage.clones.push(clone)
      await clone.start().catch(() => undefined)
      return clone
    })
    stage.background(started)
    return async () => {
      const clone = await started
      if (!clone.running) return
      // Half of them end as they should, the others are switched off.
      stage.lostDisks.push({ node: name, atMs: stage.world.queue.nowMs })
      if (random.unit() < 0.5) await clone.stop()
      else await clone.crash()
    }
  },
  'clock-jump': (stage, fault) => {
    const [node] = nodesOf(stage, fault)
    if (node === undefined) return undefined
    const jumpMs = fault.size ?? 0
    node.clock.offsetMs += jumpMs
    return () => {
      node.clock.offsetMs -= jumpMs
    }
  },
  'clock-strobe': (stage, fault, random) => {
    const [node] = nodesOf(stage, fault)
    if (node === undefined) return undefined
    let going = true
    let shiftMs = 0
    const strobe = (): void => {
      if (!going) return
      const nextMs = shiftMs === 0 ? (fault.size ?? 100) : 0
      node.clock.offsetMs += nextMs - shiftMs
      shiftMs = nextMs
      stage.world.queue.after(5 + random.unit() * 95, strobe)
    }
    strobe()
    return () => {
      going = false
      node.clock.offsetMs -= shiftMs
    }
  },
  'slow-disk': disk((faults, size) => {
    faults.slowMs += size
    return () => {
      faults.slowMs -= size
    }
  }),
  'disk-full': disk((faults) => {
    faults.full = true
    return () => {
      faults.full = false
    }
  }),
  'read-error': disk((faults, size) => {
    faults.readErrorShare = size
    return () => {
      faults.readErrorShare = 0
    }
  }),
  partition: (stage, fault) => {
    const cut = sides(stage, fault)
    return cut === undefined ? undefined : stage.world.air.partition(cut.those, cut.rest, true)
  },
  'one-way': (stage, fault) => {
    const cut = sides(stage, fault)
    return cut === undefined ? undefined : stage.world.air.partition(cut.those, cut.rest, false)
  },
  clog: (stage, fault) => {
    const cut = sides(stage, fault)
    return cut === undefined ? undefined : stage.world.air.clog(cut.those, cut.rest)
  },
  'swizzle-clog': swizzle,
  'slow-peer': (stage, fault) => {
    const [node] = nodesOf(stage, fault)
    return node === undefined ? undefined : stage.world.air.slow(node.peer, fault.size ?? 2)
  },
  loss: airborne('loss'),
  duplication: airborne('duplication'),
  straggling: airborne('straggling'),
  'late-start': (stage, fault) => {
    for (const node of nodesOf(stage, fault)) stage.background(bringUp(stage, node))
    return () => undefined
  },
  nat: (stage, fault) => {
    const nodes = nodesOf(stage, fault)
    for (const node of nodes) {
      node.setUnreachable(true)
      node.dropLinks()
    }
    return () => {
      for (const node of nodes) node.setUnreachable(false)
    }
  },
  'other-version': (stage, fault) => {
    const node = take(stage, fault)
    if (node === undefined) return undefined
    node.version = node.version === OTHER_VERSION ? 'simulated' : OTHER_VERSION
    stage.background(node.stop().then(() => bringUp(stage, node)))
    return () => undefined
  }
}

/**
 * What "mixed versions" means today: there is one wire version, so the other one differs in what `status` says and in
 * nothing else; what is exercised is the clean stop and start of an upgrade in the middle of a run.
 */
const OTHER_VERSION = 'simulated, another version'

/** Clogged one after the other in the first half, freed in another order in the second. */
function swizzle(stage: Stage, fault: Fault, random: Random): Undo | undefined {
  const { world } = stage
  const nodes = nodesOf(stage, fault)
  if (nodes.length === 0) return undefined
  const stepMs = (fault.forMs ?? 4_000) / (2 * nodes.length)
  const going = new Map<SimNode, () => void>()
  let over = false
  const freed = nodes.map((node) => ({ node, lot: random.unit() })).sort((a, b) => a.lot - b.lot)
  for (const [step, node] of nodes.entries()) {
    world.queue.after(step * stepMs, () => {
      const others = new Set(world.nodes.filter((other) => other !== node).map((other) => other.peer))
      if (!over) going.set(node, world.air.clog(new Set([node.peer]), others))
    })
  }
  for (const [step, { node }] of freed.entries()) {
    world.queue.after((nodes.length + step) * stepMs, () => {
      going.get(node)?.()
      going.delete(node)
    })
  }
  return () => {
    over = true
    for (const release of going.values()) release()
    going.clear()
  }
}
