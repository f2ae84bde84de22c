/**
 * What is on the disks: the same everywhere (I1), nothing acknowledged missing (I2), nothing forged (I3), no hole in any
 * log (I14), and every derived table exactly what the deltas say (I15). All pure functions of what was read.
 */
import type { DeltaId } from '../../src/memory/ids.ts'
import type { LiarKind } from '../liars/liar.ts'
import type { Evidence, Violation } from './checker.ts'
import { placeOf, type NodeView, type Scene } from './inspect.ts'

/** Causal heads a daemon keeps at most; beyond them the oldest is let go, and which that is depends on the order. */
const HEADS_MAX = 64

export function checkStores(scene: Scene): Violation[] {
  return [
    ...checkConvergence(scene),
    ...checkAcknowledged(scene),
    ...checkForgery(scene),
    ...checkForwarding(scene.evidence),
    ...scene.views.flatMap((view) => [...checkLog(view), ...checkTables(view, scene)])
  ]
}

/** I1. Every node against the union of all: the message says who lacks what, not only that two differ. */
export function checkConvergence({ views, known }: Scene): Violation[] {
  const found: Violation[] = []
  const records = new Map<string, Set<string>>()
  for (const { records: states } of views) {
    for (const [id, state] of states) records.set(id, (records.get(id) ?? new Set()).add(state))
  }
  const digests = new Set<string>()
  for (const view of views) {
    const { name, deltas, digest } = view
    const lacks = [...known.keys()].filter((id) => !deltas.has(id))
    if (lacks.length > 0) {
      found.push({ invariant: 'I1', node: name, what: `lacks ${lacks.length} deltas, ${short(lacks[0])} among them` })
    }
    if (digest === undefined) found.push({ invariant: 'I1', node: name, what: 'is down at the end' })
    else digests.add(`${digest.root}/${digest.state}`)
    if (digest !== undefined && digest.deltas !== deltas.size) {
      found.push({ invariant: 'I1', node: name, what: `counts ${digest.deltas} deltas and stores ${deltas.size}` })
    }
  }
  for (const [id, states] of records) {
    if (states.size > 1)
      found.push({ invariant: 'I1', what: `record ${short(id)} has ${states.size} different states` })
  }
  if (digests.size > 1) found.push({ invariant: 'I1', what: `${digests.size} different digests of state and set` })
  return found
}

/** I2, as a set: stable where every node has it, lost where somebody lacks it. */
export function checkAcknowledged({ views, evidence, unsteady }: Scene): Violation[] {
  const found: Violation[] = []
  const names = new Map(views.map(({ name, author }) => [name, author]))
  for (const { node, receipt, atMs } of evidence.acknowledged) {
    const lacking = views.filter(({ deltas }) => !deltas.has(receipt.delta)).map(({ name }) => name)
    if (lacking.length === 0) continue
    const author = names.get(node)
    // A disk that was wiped, or a copy that ended for good, may take along what nobody else had yet; what one has, all must.
    const mayBeGone = lacking.length === views.length && (author === undefined || unsteady.has(author))
    if (mayBeGone) continue
    const where = lacking.length === views.length ? 'everywhere' : `on ${lacking.join(', ')}`
    const when = `acknowledged by ${node} at ${Math.round(atMs)} ms`
    found.push({
      invariant: 'I2',
      node: lacking[0] ?? node,
      what: `${short(receipt.delta)}, ${when}, is missing ${where}`
    })
  }
  return found
}

/** I3. */
export function checkForgery({ known, views, space }: Scene): Violation[] {
  const found: Violation[] = []
  for (const view of views) {
    for (const [id] of view.deltas) {
      const one = known.get(id)
      const flaw =
        one === undefined
          ? 'is no delta at all'
          : (one.flaw ?? (one.delta.header.space === space ? undefined : 'belongs to another space'))
      if (flaw !== undefined)
        found.push({ invariant: 'I3', node: view.name, what: `stored delta ${short(id)} ${flaw}` })
    }
  }
  return found
}

/** Liars of whose gossip not one frame is sound. */
const NEVER_SOUND: ReadonlySet<LiarKind> = new Set(['bad-signature', 'mixed-order-key'])

/** I3, on the way: what every honest node refuses is heard from liars alone. */
export function checkForwarding({ world, liars }: Pick<Evidence, 'world' | 'liars'>): Violation[] {
  const forgers = new Set(liars.filter(({ kind }) => NEVER_SOUND.has(kind)).map(({ peer }) => peer))
  const found: Violation[] = []
  for (const { id, publisher, arrivals } of world.deliveries) {
    const passedOn = forgers.has(publisher) ? arrivals.find(({ hops }) => hops > 1) : undefined
    if (passedOn === undefined) continue
    const what = `forged frame ${short(id)} came to it over ${passedOn.hops} hops: somebody honest passed it on`
    found.push({ invariant: 'I3', node: passedOn.node, what })
  }
  return found
}

/** I14, the part that shows at rest: the log has no hole, and each table has a row for each delta. */
export function checkLog({ name, arrivals, deltas, ranges, authors }: NodeView): Violation[] {
  const found: Violation[] = []
  const hole = arrivals.findIndex(({ position }, index) => position !== index + 1)
  if (hole >= 0) {
    const at = arrivals[hole]?.position ?? 0
    found.push({ invariant: 'I14', node: name, what: `the arrival log jumps from ${hole} to ${at}` })
  }
  const twice = arrivals.length - new Set(arrivals.map(({ id }) => id)).size
  if (twice > 0) found.push({ invariant: 'I14', node: name, what: `${twice} deltas stand twice in the arrival log` })
  for (const [table, ids] of [
    ['arrival', new Set(arrivals.map(({ id }) => id))],
    ['range', ranges],
    ['author', new Set(authors.map(({ id }) => id))]
  ] as const) {
    const lacks = [...deltas.keys()].filter((id) => !ids.has(id)).length
    const extra = [...ids].filter((id) => !deltas.has(id)).length
    if (lacks + extra === 0) continue
    const what = `table ${table} lacks ${lacks} deltas that are stored and names ${extra} that are not`
    found.push({ invariant: 'I14', node: name, what })
  }
  return found
}

/** I15, but for the records themselves, which reference.ts recomputes. */
export function checkTables(view: NodeView, { known, evidence }: Scene): Violation[] {
  const found: Violation[] = []
  for (const row of view.authors) {
    const header = known.get(row.id)?.delta.header
    if (header === undefined || placeOf(header) === placeOf(row)) continue
    found.push({
      invariant: 'I15',
      node: view.name,
      what: `${short(row.id)} is filed under another place in its chain`
    })
  }
  const cited = new Set<DeltaId>()
  for (const id of view.deltas.keys()) {
    const header = known.get(id)?.delta.header
    for (const parent of header?.parents ?? []) cited.add(parent)
    if (typeof header?.prev === 'string') cited.add(header.prev)
  }
  const uncited = [...view.deltas.keys()].filter((id) => !cited.has(id))
  const heads = new Set(view.heads)
  // What was cited before it came is forgotten when a process ends: then a head may be one that is cited already.
  const restarted = evidence.faults.length > 0
  const stale = view.heads.filter((id) => !view.deltas.has(id) || (cited.has(id) && !restarted))
  if (stale.length > 0) {
    const what = `${stale.length} causal heads are none, ${short(stale[0])} first`
    found.push({ invariant: 'I15', node: view.name, what })
  }
  // A crowd of loose deltas makes a daemon forget some heads; only liars leave that many.
  const forgotten = uncited.filter((id) => !heads.has(id))
  if (forgotten.length > 0 && uncited.length < HEADS_MAX && evidence.liars.length === 0) {
    found.push({ invariant: 'I15', node: view.name, what: `${forgotten.length} causal heads are missing` })
  }
  return found
}

/** Enough of an id to find it again. */
export function short(id: string | undefined): string {
  return (id ?? '').slice(0, 12)
}
