/**
 * What agents do while things go wrong: they add memories, some under keys that all of them use, revise, tag, retract,
 * vote on and link what they know, write several at once, and search. Each write is drawn from a stream of its own, so
 * that leaving the last ones out changes none of the others.
 *
 * An agent talks to its own daemon only, as in life: when that does not answer, nothing is written.
 */
import { isChrysalisError } from '../../src/base/errors.ts'
import type { WriteReceipt } from '../../src/node/api.ts'
import type { Random } from '../../src/ports/random.ts'
import type { Ack } from '../checkers/checker.ts'
import type { Work } from '../scenarios/scenario.ts'
import type { SimNode } from '../world/sim-node.ts'
import type { World } from '../world/world.ts'

export interface WorkParts {
  readonly world: World
  readonly random: Random
  readonly work: Work
  /** Those whose agents write; asked at each write, because clones come and go. */
  readonly writers: () => readonly SimNode[]
  readonly isAnswering: (node: SimNode) => boolean
  /** Called at the moment of the acknowledgement. */
  readonly acknowledged: (ack: Ack) => void
}

type Act = 'add' | 'revise' | 'tag' | 'retract' | 'vote' | 'link' | 'bulk'

/** Records agents speak of most: the newest ones. */
const RECENT = 24
const KNOWN_MAX = 200
/** After this time others have usually heard of a memory. */
const HEARSAY_MS = 1_000
const SHARED_KEYS = 8
const TAGS = ['deploy', 'build', 'people', 'risk', 'done', 'later', 'costs', 'night', 'who', 'Überraschung', '決定']

export class Workload {
  readonly #parts: WorkParts
  /** Newest last. */
  readonly #known: { readonly id: string; readonly by: SimNode; readonly atMs: number }[] = []
  #attempted = 0
  #refused = 0

  constructor(parts: WorkParts) {
    this.#parts = parts
  }

  /** Writes that an agent tried, whether or not its daemon answered. */
  get attempted(): number {
    return this.#attempted
  }

  /** Writes that a daemon answered with an error. */
  get refused(): number {
    return this.#refused
  }

  /** Lets `writes` writes, and the reads that go with them, happen from now on. */
  schedule(writes: number): void {
    const { world, random, work } = this.#parts
    const burstAtMs = random.fork('burst').unit() * work.writingMs * 0.8
    for (let i = 0; i < writes; i++) {
      const dice = random.fork(`write/${i}`)
      const atMs =
        dice.unit() < work.burst
          ? burstAtMs + dice.unit() * work.writingMs * 0.1
          : // The last writes end with the faults, not after them.
            dice.unit() * work.writingMs * 0.98
      world.queue.after(atMs, () => void this.#write(i, dice))
    }
    for (let i = 0; i < Math.round(writes * work.reads); i++) {
      const dice = random.fork(`read/${i}`)
      world.queue.after(dice.unit() * work.writingMs, () => void this.#read(dice))
    }
  }

  #chosen(dice: Random): SimNode | undefined {
    const writers = this.#parts.writers()
    const node = writers[dice.below(writers.length)]
    return node !== undefined && this.#parts.isAnswering(node) ? node : undefined
  }

  async #write(i: number, dice: Random): Promise<void> {
    const { world, work, acknowledged } = this.#parts
    this.#attempted++
    const node = this.#chosen(dice)
    if (node === undefined) return
    const act = drawAct(dice.unit(), work)
    const request = this.#request(act, i, node, dice)
    try {
      const receipts = await perform(node, request)
      for (const receipt of receipts.slice(0, 1)) {
        acknowledged({ node: node.name, receipt, request, atMs: world.queue.nowMs })
      }
      for (const { id } of receipts) this.#learned(id, node)
    } catch (error) {
      // What is refused is not owed: no such memory here, a full disk, power lost in the middle. Anything but an
      // operating error is a defect, and must not pass for one.
      if (!isChrysalisError(error)) throw error
      this.#refused++
    }
  }

  async #read(dice: Random): Promise<void> {
    const node = this.#chosen(dice)
    if (node === undefined) return
    const query = `${TAGS[dice.below(TAGS.length)] ?? ''} memory ${dice.below(50)}`
    await node.engine.search({ query, limit: 3 }).catch((error: unknown) => {
      if (!isChrysalisError(error)) throw error
    })
  }

  #learned(id: string, by: SimNode): void {
    this.#known.push({ id, by, atMs: this.#parts.world.queue.nowMs })
    if (this.#known.length > KNOWN_MAX) this.#known.shift()
  }

  /** What this agent may have heard of: its own newest memories, and those of others that had time to come. */
  #heardOf(node: SimNode): string[] {
    const untilMs = this.#parts.world.queue.nowMs - HEARSAY_MS
    return this.#known.flatMap(({ id, by, atMs }) => (by === node || atMs <= untilMs ? [id] : [])).slice(-RECENT)
  }

  #request(act: Act, i: number, node: SimNode, dice: Random): Request {
    const known = this.#heardOf(node)
    const target = known[dice.below(known.length)]
    const other = known[dice.below(known.length)]
    // Nobody has said anything yet: then this is the first memory.
    if (target === undefined || other === undefined || act === 'add' || act === 'bulk') {
      const count = act === 'bulk' ? 2 + dice.below(3) : 1
      return { act: 'add', items: Array.from({ length: count }, (_, part) => this.#item(i, part, node, dice)) }
    }
    const tag = TAGS[dice.below(TAGS.length)] as string
    switch (act) {
      case 'revise':
        return dice.unit() < 0.7
          ? { act, id: target, content: `memory ${i}, seen anew by ${node.name}` }
          : { act, id: target, importance: dice.below(101) / 100, pinned: dice.unit() < 0.5 }
      case 'tag':
        return {
          act,
          id: target,
          add: tag,
          ...(dice.unit() < 0.5 ? { remove: TAGS[dice.below(TAGS.length)] as string } : {})
        }
      case 'retract':
        return { act, id: target, reason: `outdated, says ${node.name}` }
      case 'vote':
        return {
          act,
          id: target,
          verdict: dice.unit() < 0.7 ? 'confirm' : 'dispute',
          confidence: dice.below(101) / 100
        }
      case 'link':
        // A memory is not linked to itself.
        if (target === other) return { act: 'tag', id: target, add: tag }
        return { act, from: target, to: other, relation: dice.unit() < 0.5 ? 'related' : 'parents' }
    }
  }

  #item(i: number, part: number, node: SimNode, dice: Random): AddItem {
    const isShared = dice.unit() < this.#parts.work.shared
    return {
      content: `memory ${i}.${part} of ${node.name}: ${'and so on, '.repeat(dice.below(6))}end`,
      tags: [TAGS[dice.below(TAGS.length)] as string],
      ...(isShared ? { key: `shared-${dice.below(SHARED_KEYS)}` } : {}),
      ...(dice.unit() < 0.5 ? { importance: dice.below(101) / 100 } : {}),
      ...(dice.unit() < 0.3 ? { confidence: dice.below(101) / 100 } : {})
    }
  }
}

interface AddItem {
  readonly content: string
  readonly tags: readonly string[]
  readonly key?: string
  readonly importance?: number
  readonly confidence?: number
}

export type Request =
  | { readonly act: 'add'; readonly items: readonly AddItem[] }
  | {
      readonly act: 'revise'
      readonly id: string
      readonly content?: string
      readonly importance?: number
      readonly pinned?: boolean
    }
  | { readonly act: 'tag'; readonly id: string; readonly add?: string; readonly remove?: string }
  | { readonly act: 'retract'; readonly id: string; readonly reason: string }
  | {
      readonly act: 'vote'
      readonly id: string
      readonly verdict: 'confirm' | 'dispute'
      readonly confidence: number
    }
  | { readonly act: 'link'; readonly from: string; readonly to: string; readonly relation: 'related' | 'parents' }

async function perform({ engine }: SimNode, request: Request): Promise<readonly WriteReceipt[]> {
  switch (request.act) {
    case 'add': {
      const [only] = request.items
      return request.items.length === 1 && only !== undefined
        ? [await engine.add(only)]
        : await engine.addMany(request.items)
    }
    case 'revise': {
      const { act: _, ...revision } = request
      return [await engine.revise(revision)]
    }
    case 'tag': {
      const tagsAdd = request.add === undefined ? {} : { tagsAdd: [request.add] }
      const tagsRemove = request.remove === undefined ? {} : { tagsRemove: [request.remove] }
      return [await engine.revise({ id: request.id, ...tagsAdd, ...tagsRemove })]
    }
    case 'retract':
      return [await engine.retract({ id: request.id, reason: request.reason })]
    case 'vote':
      return [await engine.vote({ id: request.id, verdict: request.verdict, confidence: request.confidence })]
    case 'link':
      return [await engine.link({ from: request.from, to: request.to, relation: request.relation })]
  }
}

function drawAct(lot: number, work: Work): Act {
  let left = lot
  for (const act of ['revise', 'tag', 'retract', 'vote', 'link', 'bulk'] as const) {
    if (left < work[act]) return act
    left -= work[act]
  }
  return 'add'
}
