/**
 * Whom the honest nodes believe: who signed two deltas as one number is convicted on every one of them, nobody honest is
 * convicted or banned (I16), and every ballot comes out as a recount over the roster says, the same everywhere and, while
 * fewer than a third of the votes are liars', within what honest voters said (I17).
 */
import { fromHex } from '../../src/base/bytes.ts'
import type { RecordId } from '../../src/memory/ids.ts'
import { decodeRecord } from '../../src/memory/record-codec.ts'
import type { TallyAnswer } from '../../src/node/api.ts'
import type { Violation } from './checker.ts'
import { placeOf, type Scene } from './inspect.ts'
import { short } from './stores.ts'

export async function checkTrust(scene: Scene): Promise<Violation[]> {
  const found = [...checkProofs(scene)]
  const { evidence } = scene
  for (const id of votedOn(scene)) {
    for (const node of evidence.honest) {
      if (!node.running) continue
      const answer = await node.engine.tally(id)
      const wrong = judgeTally(answer, id, scene)
      if (wrong !== undefined) found.push({ invariant: 'I17', node: node.name, what: `record ${short(id)}: ${wrong}` })
    }
  }
  return found
}

/**
 * I16 but for bans, which are seen on the way. Place by place: whoever holds both twins has to know, also if they came
 * days and restarts apart.
 */
export function checkProofs({ views, honest }: Scene): Violation[] {
  const places = new Map<string, Set<string>>()
  for (const { authors } of views) {
    for (const row of authors) places.set(placeOf(row), (places.get(placeOf(row)) ?? new Set()).add(row.id))
  }
  const found: Violation[] = []
  for (const { name, proofs } of views) {
    for (const [place, ids] of places) {
      if (ids.size < 2 || proofs.has(place)) continue
      const [author = '', , seq] = place.split(':')
      const what = `does not know that ${short(author)} signed ${ids.size} deltas as number ${seq}`
      found.push({ invariant: 'I16', node: name, what })
    }
    for (const place of proofs.keys()) {
      const author = place.slice(0, 64)
      if (honest.has(author)) {
        found.push({ invariant: 'I16', node: name, what: `has a proof against honest ${short(author)}` })
      } else if ((places.get(place)?.size ?? 0) < 2) {
        found.push({
          invariant: 'I16',
          node: name,
          what: `has a proof against ${short(author)}, who signed nothing twice`
        })
      }
    }
  }
  return found
}

function votedOn({ views }: Scene): RecordId[] {
  const ids: RecordId[] = []
  for (const [id, state] of views[0]?.records ?? []) if (decodeRecord(fromHex(state)).votes.size > 0) ids.push(id)
  return ids
}

/** I17: what is wrong with an answer, if anything. */
export function judgeTally(answer: TallyAnswer, id: RecordId, scene: Scene): string | undefined {
  const { views, honest, evidence } = scene
  const state = views[0]?.records.get(id)
  if (state === undefined) return 'a tally of a record that nobody stores'
  const roster = new Set(evidence.voters ?? evidence.world.options.voters ?? [])
  const guilty = new Set([...(views[0]?.proofs.keys() ?? [])].map((place) => place.slice(0, 64)))
  const votes = [...decodeRecord(fromHex(state)).votes].map(([voter, { value }]) => ({ voter, ...value }))
  const counted = votes.filter(({ voter }) => roster.has(voter) && !guilty.has(voter))
  const of = (verdict: string): number => counted.filter((vote) => vote.verdict === verdict).length
  const quorum = roster.size > 0 && counted.length * 3 > roster.size * 2
  const figures = [
    ['electorate', answer.electorate, roster.size],
    ['cast', answer.cast, counted.length],
    ['uncounted', answer.uncounted, votes.length - counted.length],
    ['confirm', answer.confirm, of('confirm')],
    ['dispute', answer.dispute, of('dispute')],
    ['abstain', answer.abstain, of('abstain')],
    ['flag', answer.flag, of('flag')],
    ['quorum', answer.quorum, quorum]
  ] as const
  for (const [name, is, should] of figures) if (is !== should) return `${name} is ${is}, a recount says ${should}`
  const { median, trimmedMean } = answer
  if (!quorum) return median === undefined ? undefined : 'a number is given below the quorum'
  const sides = counted.filter(({ verdict }) => verdict !== 'abstain')
  const recount = numbersOf(sides.map(({ confidence }) => confidence))
  for (const [name, value] of Object.entries(recount)) {
    const given = answer[name as keyof typeof recount]
    if (given === undefined || Math.abs(given - value) > 1e-9) return `${name} is ${given}, a recount says ${value}`
  }
  const sincere = sides.filter(({ voter }) => honest.has(voter)).map(({ confidence }) => confidence / 10_000)
  // With a third or more of the votes in the hands of liars nothing is promised.
  if (sincere.length === 0 || (sides.length - sincere.length) * 3 >= sides.length) return undefined
  const [least, greatest] = [Math.min(...sincere), Math.max(...sincere)]
  for (const [name, value] of [
    ['median', median],
    ['trimmed mean', trimmedMean]
  ] as const) {
    if (value === undefined) return `no ${name} is given though ${sides.length} took a side`
    if (value < least || value > greatest) return `the ${name} ${value} lies outside of ${least} to ${greatest}`
  }
  return undefined
}

/** Mean, median, and the mean of what is left without the k least and greatest, k under a third; in fractions. */
function numbersOf(basisPoints: readonly number[]): { mean?: number; median?: number; trimmedMean?: number } {
  const sorted = [...basisPoints].sort((a, b) => a - b)
  const count = sorted.length
  if (count === 0) return {}
  const cut = Math.floor((count - 1) / 3)
  const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const middle = sorted.slice(Math.floor((count - 1) / 2), Math.floor(count / 2) + 1)
  return {
    mean: average(sorted) / 10_000,
    median: average(middle) / 10_000,
    trimmedMean: average(sorted.slice(cut, count - cut)) / 10_000
  }
}
