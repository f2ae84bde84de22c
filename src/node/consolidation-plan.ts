/**
 * What a consolidation does, as a function of the census alone: the same memories give the same plan on every daemon,
 * whatever the order in which they arrived. Each step of it touches a bounded number of records.
 *
 * The rules, and why there is a fixed point:
 * - Of several memories in which one author says the same, the first by (createdAt, id) stays; the others become its
 *   duplicates. Being a duplicate is never passed on to an earlier memory, so no two ever absorb each other.
 * - The same words made from other sources, or from another sort of source, are not the same statement.
 * - What several authors say is left to stand: they are independent witnesses. All are linked to the first, once.
 * - What is nearly the same is linked to the first that is like it, once, and left to stand.
 * - What somebody has brought back from a retraction is not retracted again.
 */
import { compareText } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { NearIndex } from '../recall/near-index.ts'
import { slices, type Census, type Fact, type Pacing } from './census.ts'

export interface Link {
  readonly from: string
  readonly to: string
}

export type Step =
  | { readonly action: 'coalesce'; readonly keeper: string; readonly ids: readonly string[] }
  | { readonly action: 'relate'; readonly links: readonly Link[] }
  | { readonly action: 'expire'; readonly ids: readonly string[] }

export interface Skipped {
  readonly ids: readonly string[]
  readonly reason: string
}

export interface Plan {
  readonly steps: readonly Step[]
  /** Repetitions that stay, and why. */
  readonly skipped: readonly Skipped[]
  /** The memories that are left when all is done: what is still to be judged is judged among them. */
  readonly left: Census
}

/** Links in one action: two ids each. */
const LINKS_PER_STEP = LIMITS.consolidationIdsMax / 2

export async function planConsolidation(pacing: Pacing, census: Census): Promise<Plan> {
  const skipped: Skipped[] = []
  const absorbed = new Set<string>()
  const steps: Step[] = []
  const pace = slices(pacing)
  for (const group of await statements(pacing, census.facts)) {
    await pace()
    const { keeper, duplicates, kept } = coalesce(group)
    for (const { id, reason } of kept) skipped.push({ ids: [keeper?.id ?? id, id], reason })
    if (keeper === undefined) continue
    for (const { id } of duplicates) absorbed.add(id)
    const ids = duplicates.map((fact) => fact.id).sort(compareText)
    for (const some of chunks(ids, LIMITS.consolidationIdsMax - 1)) {
      steps.push({ action: 'coalesce', keeper: keeper.id, ids: some })
    }
  }
  const links = await missingLinks(
    pacing,
    census.facts.filter((fact) => fact.standing === 'live' && !absorbed.has(fact.id))
  )
  for (const some of chunks(links, LINKS_PER_STEP)) steps.push({ action: 'relate', links: some })
  for (const ids of chunks(census.expired, LIMITS.consolidationIdsMax)) steps.push({ action: 'expire', ids })
  return { steps, skipped, left: without(census, absorbed) }
}

function without(census: Census, gone: ReadonlySet<string>): Census {
  return {
    ...census,
    facts: census.facts.filter((fact) => !gone.has(fact.id)),
    rewritten: census.rewritten.filter((id) => !gone.has(id)),
    disputed: census.disputed.filter((id) => !gone.has(id))
  }
}

/**
 * What one author says, grouped by what it says and what that was made from: the same words taken from a source are worth
 * what the source is worth, and must not pull down what was said without it. That one was made from the other counts for
 * nothing here.
 */
async function statements(pacing: Pacing, facts: readonly Fact[]): Promise<Fact[][]> {
  const pace = slices(pacing)
  const found: Fact[][] = []
  for (const group of await groupsBy(pacing, facts, (fact) => `${fact.voice}${fact.sameness}`)) {
    const family = new Set(group.map((fact) => fact.id))
    const basisOf = (fact: Fact): string => fact.basis.filter((id) => !family.has(id)).join()
    for (const same of group.length === 1 ? [group] : await groupsBy(pacing, group, basisOf)) found.push(same)
    await pace()
  }
  return found
}

/** `group`: one author saying one thing, first to last. Duplicates of before are among those that are to be checked again. */
function coalesce(group: readonly Fact[]): {
  keeper: Fact | undefined
  duplicates: readonly Fact[]
  kept: readonly { id: string; reason: string }[]
} {
  const live = group.filter((fact) => fact.standing === 'live' && !fact.hasKey)
  const [keeper, ...later] = live
  const duplicates: Fact[] = []
  const kept: { id: string; reason: string }[] = []
  for (const fact of later) {
    if (fact.keptFor === undefined) duplicates.push(fact)
    else kept.push({ id: fact.id, reason: fact.keptFor })
  }
  if (keeper === undefined) return { keeper, duplicates: [], kept: [] }
  // What was absorbed by one that has itself been absorbed since: its tags may not have reached the one that stays.
  const merged = new Set([keeper.id, ...duplicates.map((fact) => fact.id)])
  let grows = true
  while (grows) {
    grows = false
    for (const fact of group) {
      if (fact.absorbedBy === undefined || merged.has(fact.id) || !merged.has(fact.absorbedBy)) continue
      merged.add(fact.id)
      duplicates.push(fact)
      grows = true
    }
  }
  return { keeper, duplicates, kept }
}

/** From each memory to the first that says the same, or nearly the same; without those that are linked already. */
async function missingLinks(pacing: Pacing, live: readonly Fact[]): Promise<Link[]> {
  const links: Link[] = []
  const byId = new Map(live.map((fact) => [fact.id, fact]))
  const link = (from: Fact, to: Fact): void => {
    if (from.related.includes(to.id) || byId.get(to.id)?.related.includes(from.id) === true) return
    links.push({ from: from.id, to: to.id })
  }
  const firsts: Fact[] = []
  for (const [first, ...others] of await groupsBy(pacing, live, (fact) => fact.sameness)) {
    if (first === undefined) continue
    firsts.push(first)
    for (const other of others) link(other, first)
  }
  const pace = slices(pacing)
  const near = new NearIndex()
  const placed: Fact[] = []
  for (const fact of firsts) {
    if (fact.simHash === undefined) continue
    placed.push(fact)
    const like = near.place(fact.simHash)
    if (like !== undefined) link(fact, placed[like] as Fact)
    await pace()
  }
  return links
}

/** In the order of their first members; each in the order of the facts. */
export async function groupsBy(
  pacing: Pacing,
  facts: readonly Fact[],
  nameOf: (fact: Fact) => string
): Promise<Fact[][]> {
  const pace = slices(pacing)
  const groups = new Map<string, Fact[]>()
  for (const fact of facts) {
    const name = nameOf(fact)
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [fact])
    else group.push(fact)
    await pace()
  }
  return [...groups.values()]
}

function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size)
}
