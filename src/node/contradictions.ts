/**
 * Memories that cannot both hold, or that somebody doubts: found and listed, never changed. Which of two is right is not
 * for a program to say; what is listed is what a person or an agent should look at.
 *
 * Five kinds, in this order: texts of one record written side by side, neither knowing of the other; statements that deny
 * each other or give other values (recall/opposites.ts); records voted against; records that supersede each other.
 */
import { LIMITS } from '../base/limits.ts'
import type { VerifiedDelta } from '../memory/delta.ts'
import type { DeltaId, RecordId } from '../memory/ids.ts'
import { resolveTarget } from '../memory/names.ts'
import type { Hasher } from '../ports/crypto.ts'
import { Opposites } from '../recall/opposites.ts'
import { slices, type Census, type Fact, type Pacing } from './census.ts'
import { readHistory, readSoundDeltas, type DeltaReader } from './deltas.ts'
import type { Space } from './space.ts'
import type { Contradiction } from './upkeep-api.ts'

export interface ContradictionPorts extends DeltaReader, Pacing {}

/** In a fixed order, every pair once; of each sort at most LIMITS.contradictionsMax. */
export async function contradictionsOf(
  ports: ContradictionPorts,
  space: Space,
  census: Census
): Promise<Contradiction[]> {
  const live = census.facts.filter((fact) => fact.standing === 'live')
  return [
    ...(await versions(ports, space, census.rewritten.slice(0, LIMITS.consolidationHistoriesMax))),
    ...(await opposites(ports, space, live)),
    ...census.disputed.slice(0, LIMITS.contradictionsMax).map((id): Contradiction => {
      return { kind: 'disputed', space: space.id, ids: [id], reason: 'Somebody has voted against it.' }
    }),
    ...rivals(space, live).slice(0, LIMITS.contradictionsMax)
  ]
}

async function versions(ports: ContradictionPorts, space: Space, ids: readonly RecordId[]): Promise<Contradiction[]> {
  const found: Contradiction[] = []
  const pace = slices(ports)
  for (const id of ids) {
    const texts = await headTexts(ports, space, id)
    await pace()
    if (texts < 2) continue
    const reason = `${texts} texts were written side by side; the latest is shown, the others are in its history.`
    found.push({ kind: 'versions', space: space.id, ids: [id], reason })
  }
  return found
}

/** Distinct contents written last by authors who had not seen the others. 0 for a history too long to be judged. */
async function headTexts(ports: ContradictionPorts, space: Space, id: RecordId): Promise<number> {
  const deltas = await readHistory(ports, space.id, id, LIMITS.consolidationHistoryDeltasMax)
  if (deltas.length === LIMITS.consolidationHistoryDeltasMax) return 0
  // Of one chain only the last text counts: its author knew the earlier ones.
  const chains = new Map<string, { delta: VerifiedDelta; content: string }>()
  for (const delta of deltas) {
    const content = contentSet(ports.crypto, delta, id)
    const name = `${delta.header.author}${delta.header.epoch}`
    const before = chains.get(name)
    if (content === undefined || (before !== undefined && before.delta.header.seq > delta.header.seq)) continue
    chains.set(name, { delta, content })
  }
  const last = [...chains.values()]
  const texts = new Set<string>()
  for (const one of last) {
    let isSeen = false
    for (const other of last) isSeen ||= one !== other && (await hasSeen(ports, space, other.delta, one.delta))
    if (!isSeen) texts.add(one.content)
  }
  return texts.size
}

/**
 * Whether `later` was written with knowledge of `earlier`: a walk back over what it names as its past, which ends where
 * that is older than `earlier`. A past too large to be walked, or not here, counts as knowledge: nothing is claimed that
 * is not known.
 */
async function hasSeen(
  ports: ContradictionPorts,
  space: Space,
  later: VerifiedDelta,
  earlier: VerifiedDelta
): Promise<boolean> {
  const { author, epoch, seq, hlc } = earlier.header
  if (later.header.hlc <= hlc) return false
  const seen = new Set<DeltaId>()
  let open = [later]
  while (open.length > 0) {
    const next = new Set<DeltaId>()
    for (const { header } of open) {
      if (header.author === author && header.epoch === epoch && header.seq >= seq) return true
      if (header.hlc <= hlc) continue
      for (const id of header.prev === null ? header.parents : [header.prev, ...header.parents]) {
        if (!seen.has(id)) next.add(id)
        seen.add(id)
      }
    }
    if (seen.size > LIMITS.consolidationHistoryDeltasMax) return true
    const found = await readSoundDeltas(ports, space.id, [...next])
    if (found.includes(undefined)) return true
    open = found.filter((delta) => delta !== undefined)
  }
  return false
}

function contentSet(hasher: Hasher, delta: VerifiedDelta, id: RecordId): string | undefined {
  let content: string | undefined
  for (const op of delta.ops) {
    if (op.op !== 'set' || op.field !== 'content' || typeof op.value !== 'string') continue
    if (resolveTarget(hasher, delta.header.space, delta.id, op.target) === id) content = op.value
  }
  return content
}

async function opposites(pacing: Pacing, space: Space, live: readonly Fact[]): Promise<Contradiction[]> {
  const stating = live.filter((fact) => fact.statement !== undefined)
  const pairs = new Opposites()
  for (const { statement } of stating) if (statement !== undefined) pairs.count(statement)
  const found: Contradiction[] = []
  const pace = slices(pacing)
  for (const fact of stating) {
    if (fact.statement === undefined) continue
    for (const { kind, earlier } of pairs.meet(fact.statement, fact.topic)) {
      const other = stating[earlier] as Fact
      const reason =
        kind === 'negation'
          ? 'One says what the other denies, in nearly the same words.'
          : 'They give other numbers or dates in nearly the same words.'
      found.push({ kind, space: space.id, ids: [other.id, fact.id], reason })
    }
    if (found.length >= LIMITS.contradictionsMax) break
    await pace()
  }
  return found.slice(0, LIMITS.contradictionsMax)
}

function rivals(space: Space, live: readonly Fact[]): Contradiction[] {
  const byId = new Map(live.map((fact) => [fact.id, fact]))
  const found: Contradiction[] = []
  for (const fact of live) {
    for (const id of fact.supersedes) {
      // Once for each pair: from the one with the lesser id.
      if (fact.id >= id || byId.get(id)?.supersedes.includes(fact.id) !== true) continue
      const reason = 'Each claims to replace the other; both are shown.'
      found.push({ kind: 'supersedes', space: space.id, ids: [fact.id, id], reason })
    }
  }
  return found
}
