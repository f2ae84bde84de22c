/**
 * Who wrote what, in which order, and knowing of what: chains (I5), own clocks (I6), causal overwrite (I7), parents (I10),
 * and the question a reader asks of all this: of two writes to one field, one made in full knowledge of the other, is the
 * later one what is shown? Convergence alone would never notice that it is not, for then all are wrong alike.
 *
 * Only honest authors are held to these; what liars may claim about themselves is their own affair.
 */
import { decodeRecord } from '../../src/memory/record-codec.ts'
import { fromHex } from '../../src/base/bytes.ts'
import { hlcMs, type AuthorId, type DeltaId, type Hlc } from '../../src/memory/ids.ts'
import type { DeltaHeader } from '../../src/memory/delta.ts'
import type { Violation } from './checker.ts'
import type { Known, NodeView, Scene } from './inspect.ts'
import { targetsOf } from './reference.ts'
import { short } from './stores.ts'

export function checkCausality(scene: Scene): Violation[] {
  return [
    ...checkChains(scene),
    ...scene.views.flatMap((view) => checkOwnTimes(view, scene)),
    ...checkParents(scene),
    ...checkOverwrites(scene)
  ]
}

/** I5. */
export function checkChains({ known, honest, unsteady }: Scene): Violation[] {
  const found: Violation[] = []
  const chains = new Map<string, Map<number, { id: DeltaId; header: DeltaHeader }[]>>()
  for (const { delta } of known.values()) {
    const { author, epoch, seq } = delta.header
    if (!honest.has(author)) continue
    const chain = chains.get(`${author}:${epoch}`) ?? new Map()
    chain.set(seq, [...(chain.get(seq) ?? []), delta])
    chains.set(`${author}:${epoch}`, chain)
  }
  for (const [name, chain] of chains) {
    const author = name.slice(0, 64)
    for (const [seq, deltas] of chain) {
      if (deltas.length > 1) {
        found.push({
          invariant: 'I5',
          what: `honest author ${short(author)} signed ${deltas.length} deltas as number ${seq}`
        })
      }
      for (const { id, header } of deltas) {
        const before = chain.get(seq - 1)
        if (seq === 0 || (before === undefined && unsteady.has(author))) continue
        if (before?.some((one) => one.id === header.prev) === true) continue
        const why = before === undefined ? `number ${seq - 1} is missing` : 'it names another delta as the one before'
        found.push({ invariant: 'I5', what: `delta ${short(id)} is number ${seq} of ${short(author)}, but ${why}` })
      }
      found.push(...checkRise(author, seq, deltas, chain.get(seq - 1)))
    }
  }
  return found
}

/** I6, within a chain. */
function checkRise(
  author: AuthorId,
  seq: number,
  deltas: readonly { header: DeltaHeader }[],
  before: readonly { header: DeltaHeader }[] | undefined
): Violation[] {
  const late = before?.some((one) => deltas.some(({ header }) => header.hlc <= one.header.hlc)) === true
  return late ? [{ invariant: 'I6', what: `the clock of ${short(author)} did not rise before number ${seq}` }] : []
}

/**
 * I6 and I7 from the writer's own log: what it wrote is dated after everything it held then. Where a disk was wiped or
 * copied, own deltas also come back from others, and the order of arrival says nothing.
 */
export function checkOwnTimes(view: NodeView, { known, unsteady }: Scene): Violation[] {
  if (unsteady.has(view.author)) return []
  const found: Violation[] = []
  let latest: Dated | undefined
  // What came since the last own delta and was cited by nothing that was here: the next own one has to cite some of it.
  const loose = new Set<DeltaId>()
  const cited = new Set<DeltaId>()
  for (const { id, position } of view.arrivals) {
    const header = known.get(id)?.delta.header
    if (header === undefined) continue
    const own = header.author === view.author
    if (own && latest !== undefined && header.hlc <= latest.hlc) {
      const one = `${short(id)} (${timeOf(header.hlc)}, arrival ${position}, number ${header.seq} of ${header.epoch})`
      const other = `${short(latest.id)} (${timeOf(latest.hlc)}, arrival ${latest.position})`
      const what = `dated ${one} no later than ${other}, which it ${latest.own ? 'wrote before' : 'held by then'}`
      found.push({ invariant: latest.own ? 'I6' : 'I7', node: view.name, what })
    }
    if (own && loose.size > 0 && header.parents.length === 0) {
      found.push({ invariant: 'I10', node: view.name, what: `wrote ${short(id)} citing nothing of what it had seen` })
    }
    if (own) loose.clear()
    for (const parent of citedBy(header)) {
      cited.add(parent)
      loose.delete(parent)
    }
    if (!own && !cited.has(id)) loose.add(id)
    if (latest === undefined || header.hlc > latest.hlc) latest = { hlc: header.hlc, id, own, position }
  }
  return found
}

interface Dated {
  readonly hlc: Hlc
  readonly id: DeltaId
  readonly own: boolean
  readonly position: number
}

/** Milliseconds and counter. */
function timeOf(hlc: Hlc): string {
  return `${hlcMs(hlc)}.${hlc & 0xffffn}`
}

/** I10. */
export function checkParents({ known, honest, views }: Scene): Violation[] {
  const found: Violation[] = []
  for (const { delta } of known.values()) {
    if (!honest.has(delta.header.author)) continue
    for (const parent of citedBy(delta.header)) {
      const lacking = views.filter(({ deltas }) => deltas.has(delta.id) && !deltas.has(parent))
      if (lacking.length > 0) {
        const [first] = lacking
        found.push({
          invariant: 'I10',
          ...(first === undefined ? {} : { node: first.name }),
          what: `${short(delta.id)} is here without ${short(parent)}, which it cites`
        })
      }
      const cited = known.get(parent)?.delta.header
      if (cited !== undefined && cited.hlc >= delta.header.hlc) {
        found.push({ invariant: 'I7', what: `${short(delta.id)} cites ${short(parent)} and is dated no later` })
      }
    }
  }
  const looped = loops(known)
  if (looped > 0) found.push({ invariant: 'I10', what: `${looped} deltas are their own ancestors` })
  return found
}

function citedBy({ prev, parents }: DeltaHeader): readonly DeltaId[] {
  return prev === null ? parents : [prev, ...parents]
}

/** Deltas left over when those without unresolved parents are taken away again and again. */
function loops(known: ReadonlyMap<DeltaId, Known>): number {
  const waits = new Map<DeltaId, number>()
  const children = new Map<DeltaId, DeltaId[]>()
  for (const [id, { delta }] of known) {
    const here = citedBy(delta.header).filter((parent) => known.has(parent))
    waits.set(id, here.length)
    for (const parent of here) children.set(parent, [...(children.get(parent) ?? []), id])
  }
  const free = [...waits].filter(([, count]) => count === 0).map(([id]) => id)
  let left = waits.size
  for (let id = free.pop(); id !== undefined; id = free.pop()) {
    left--
    for (const child of children.get(id) ?? []) {
      const count = (waits.get(child) ?? 0) - 1
      waits.set(child, count)
      if (count === 0) free.push(child)
    }
  }
  return left
}

/** The shown value of a field was not written in ignorance by someone whom an honest writer, knowing of it, overwrote. */
export function checkOverwrites(scene: Scene): Violation[] {
  const { known, honest, views } = scene
  const writers = new Map<string, Set<DeltaId>>()
  for (const { delta } of known.values()) {
    delta.ops.forEach((op, index) => {
      if (op.op !== 'set') return
      const record = targetsOf(delta, scene.space)[index] ?? ''
      const slot = `${record}/${op.field}`
      writers.set(slot, (writers.get(slot) ?? new Set()).add(delta.id))
    })
  }
  const found: Violation[] = []
  const pasts = new Map<DeltaId, ReadonlySet<DeltaId>>()
  for (const [record, state] of views[0]?.records ?? []) {
    for (const [field, { stamp }] of decodeRecord(fromHex(state)).fields) {
      for (const rival of writers.get(`${record}/${field}`) ?? []) {
        const header = known.get(rival)?.delta.header
        if (rival === stamp.delta || header === undefined || !honest.has(header.author)) continue
        if (!pastOf(rival, scene, pasts).has(stamp.delta)) continue
        const what = `${field} of ${short(record)} shows ${short(stamp.delta)} (${hlcMs(stamp.hlc)} ms)`
        found.push({ invariant: 'causal', what: `${what}, though ${short(rival)} overwrote it knowingly` })
      }
    }
  }
  return found
}

/**
 * Everything the writer of a delta was aware of, as far as it is stored. What a liar cites, an honest writer that cites
 * the liar need not have seen: it may be held back still, because it is dated ahead.
 */
function pastOf(
  id: DeltaId,
  { known, honest }: Scene,
  pasts: Map<DeltaId, ReadonlySet<DeltaId>>
): ReadonlySet<DeltaId> {
  const ready = pasts.get(id)
  if (ready !== undefined) return ready
  const past = new Set<DeltaId>()
  const open = [id]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const header = known.get(next)?.delta.header
    const wasSeen = header !== undefined && honest.has(header.author)
    for (const parent of wasSeen ? citedBy(header) : []) {
      if (past.has(parent)) continue
      past.add(parent)
      open.push(parent)
    }
  }
  pasts.set(id, past)
  return past
}
