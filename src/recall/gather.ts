/**
 * The candidates of a search: the union of what every source finds, fused by rank. Sources are shared words, likeness of
 * meaning (found elsewhere and handed in), names said outright, tags and paths mentioned, and the neighbours of the best
 * hits in the graph of parents, related and superseded records. No source gates another: what only one of them knows is
 * a candidate like all others.
 *
 * A source is asked with the filter, so that a narrow filter never starves it. When one author fills the keyword list
 * so far that others could not fill the answer, and the list is as good at its end as at its beginning, the list is
 * asked for once more without that author, unless that author is fully trusted and does not just repeat one text: who
 * wrote most of what a home knows is no intruder. So a flood pushes aside nothing that holds three fifths of the best
 * evidence.
 */
import { compareText } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { ranksOf, reciprocalRankFusion, type RankedList } from './fuse.ts'
import type { KeywordHit, KeywordIndex } from './keyword-index.ts'
import { recallKey, type Links } from './links.ts'
import { authorShare } from './pick.ts'
import { strengthOf, type Candidate } from './rank.ts'
import type { RecallDoc, RecallMode } from './recall-doc.ts'
import { hammingDistance, NEAR_DUPLICATE_BITS, type SimHash } from './similarity.ts'
import type { TagIndex } from './tag-index.ts'

/** The part each source has in the fused rank. A name said outright beats any likeness; a tag only helps. */
const KEYWORD_WEIGHT = 1
const VECTOR_WEIGHT = 1
const NAMED_WEIGHT = 2
const MENTIONED_WEIGHT = 0.5
const GRAPH_WEIGHT = 0.3
/** Candidates gathered for each result asked for, within bounds. */
const CANDIDATES_PER_RESULT = 10
const CANDIDATES_MIN = 100
/** How like the query a record is that only mentions one of its names. */
const MENTIONED_EVIDENCE = 0.5
/** The best hits whose neighbours are looked at. */
const GRAPH_SEEDS = 5
/** Authors who are left out for flooding before the list is taken as it is. */
const FLOODERS_MAX = 2
/** A list whose last hit has this part of the best score may hide others who are as good. */
const FLOOD_SCORE = 0.6
/** Texts that the others are compared with to see whether they repeat them. */
const ORIGINALS_MAX = 20

/** One record of the index as it is searched. */
export interface Shelved {
  readonly key: string
  readonly doc: RecallDoc
  readonly simHash: SimHash | undefined
}

export interface Shelves<T extends Shelved> {
  readonly keywords: KeywordIndex<T>
  readonly names: TagIndex
  readonly links: Links
  entry(key: string): T | undefined
  /** Records of the index written by others than these. */
  countByOthers(authors: ReadonlySet<string>): number
}

/** A record that another index found. */
export interface FoundElsewhere {
  readonly id: string
  readonly space: string
  /** Greater is more like the query; only its order and proportion matter. Nothing at or under 0 is a hit. */
  readonly similarity: number
}

export interface GatherRequest<T extends Shelved> {
  readonly query: string
  readonly limit: number
  readonly modes: readonly RecallMode[]
  /** Best first. */
  readonly vectorHits: readonly FoundElsewhere[]
  /** Found by words that the records no longer hold. */
  readonly pastHits: readonly FoundElsewhere[]
  readonly explain: boolean
  readonly accept: (entry: T) => boolean
  /** The record as it is to be ranked. */
  readonly docOf: (entry: T) => RecallDoc
  readonly trustOf: (doc: RecallDoc) => number
}

interface Source extends RankedList {
  readonly name: string
  /** 0 to 1 for each key: how good this evidence is beside the best of its kind. */
  readonly evidence: (index: number) => number
}

/** In no order. */
export function gather<T extends Shelved>(shelves: Shelves<T>, request: GatherRequest<T>): Candidate[] {
  const { query, limit, modes, accept } = request
  const wanted = Math.min(Math.max(CANDIDATES_PER_RESULT * limit, CANDIDATES_MIN), LIMITS.recallCandidatesMax)
  const keywordHits = modes.includes('keyword') ? keywordsOf(shelves, request, wanted) : []
  const isAccepted = (key: string): boolean => {
    const entry = shelves.entry(key)
    return entry !== undefined && accept(entry)
  }
  // What was found by its present words too is not to count twice.
  const present = new Set(keywordHits.map((hit) => hit.document.key))
  const pastHits = request.pastHits.filter(({ id, space }) => !present.has(recallKey(id, space)))
  const sources = [
    scored(
      'bm25',
      keywordWeight(shelves, request, keywordHits),
      keywordHits.map((hit) => hit.document.key),
      keywordHits.map((hit) => hit.score)
    ),
    elsewhere('vector', VECTOR_WEIGHT, modes.includes('vector') ? request.vectorHits : [], wanted, isAccepted),
    elsewhere('past', KEYWORD_WEIGHT, modes.includes('keyword') ? pastHits : [], wanted, isAccepted),
    ...namesOf(shelves, query, wanted, isAccepted)
  ]
  let fused = reciprocalRankFusion(sources)
  if (modes.includes('graph') && !shelves.links.isEmpty) {
    const keys = neighboursOf(shelves, request, sources, fused, isAccepted)
    if (keys.length > 0) {
      sources.push({ name: 'graph', weight: GRAPH_WEIGHT, keys, evidence: () => 0 })
      fused = reciprocalRankFusion(sources)
    }
  }
  const evidence = evidenceOf(sources)
  const explained = request.explain ? explain(sources) : undefined
  const jaccards = new Map(keywordHits.map((hit) => [hit.document.key, hit.jaccard]))
  return [...fused].map(([key, relevance]): Candidate => {
    const entry = shelves.entry(key) as T
    const doc = request.docOf(entry)
    const best = evidence.get(key) ?? 0
    const about = { evidence: best, similarity: best, jaccard: jaccards.get(key) ?? 0, trust: request.trustOf(doc) }
    const why = explained?.get(key)
    return { key, doc, simHash: entry.simHash, relevance, ...about, ...(why === undefined ? {} : { sources: why }) }
  })
}

function scored(name: string, weight: number, keys: readonly string[], scores: readonly number[]): Source {
  const best = scores[0] ?? 1
  return { name, weight, keys, scores, evidence: (index) => (scores[index] as number) / best }
}

function elsewhere(
  name: string,
  weight: number,
  hits: readonly FoundElsewhere[],
  wanted: number,
  isAccepted: (key: string) => boolean
): Source {
  const keys: string[] = []
  const scores: number[] = []
  const seen = new Set<string>()
  for (const { id, space, similarity } of hits) {
    if (keys.length >= wanted) break
    const key = recallKey(id, space)
    if (!(similarity > 0) || seen.has(key) || !isAccepted(key)) continue
    seen.add(key)
    keys.push(key)
    scores.push(similarity)
  }
  return scored(name, weight, keys, scores)
}

/**
 * Where likeness of meaning is known too, words count as far as the best text has what was asked for: of a question in
 * other words a few common ones are left, and a text weakly in both lists would push aside the one that was meant. The
 * square was measured on the paraphrases of test/fixtures/recall: 78 of 100 found among ten, 48 with a constant weight.
 */
function keywordWeight<T extends Shelved>(
  { keywords }: Shelves<T>,
  { query, modes, vectorHits }: GatherRequest<T>,
  hits: readonly KeywordHit<T>[]
): number {
  const [best] = hits
  if (best === undefined || vectorHits.length === 0 || !modes.includes('vector')) return KEYWORD_WEIGHT
  const covered = Math.min(1, best.score / keywords.scoreOfWhole(query))
  return KEYWORD_WEIGHT * covered * covered
}

/** Best first; more than `wanted` when one author floods the list. */
function keywordsOf<T extends Shelved>(
  { keywords, countByOthers }: Shelves<T>,
  { query, limit, accept, trustOf }: GatherRequest<T>,
  wanted: number
): readonly KeywordHit<T>[] {
  const needed = limit - authorShare(limit)
  const flooders = new Set<string>()
  let hits = keywords.search(query, wanted, accept)
  let page = hits
  while (page.length === wanted && flooders.size < FLOODERS_MAX) {
    const flooder = flooderOf(page, needed, trustOf)
    if (flooder === undefined) break
    flooders.add(flooder)
    if (countByOthers(flooders) === 0) break
    page = keywords.search(query, wanted, (entry) => !flooders.has(entry.doc.author) && accept(entry))
    hits = [...hits.filter((hit) => flooders.has(hit.document.doc.author)), ...page].sort(
      (a, b) => b.score - a.score || compareText(a.document.key, b.document.key)
    )
  }
  return hits
}

/** Who leaves the others fewer than `needed` places in a page that gets no worse to its end, if that is suspicious. */
function flooderOf<T extends Shelved>(
  page: readonly KeywordHit<T>[],
  needed: number,
  trustOf: (doc: RecallDoc) => number
): string | undefined {
  const [first] = page
  const last = page.at(-1)
  if (first === undefined || last === undefined || last.score < FLOOD_SCORE * first.score) return undefined
  const pages = new Map<string, KeywordHit<T>[]>()
  for (const hit of page) {
    const known = pages.get(hit.document.doc.author)
    if (known === undefined) pages.set(hit.document.doc.author, [hit])
    else known.push(hit)
  }
  let most: KeywordHit<T>[] = []
  for (const own of pages.values()) if (own.length > most.length) most = own
  const doc = most[0]?.document.doc
  if (doc === undefined || page.length - most.length >= needed) return undefined
  return trustOf(doc) < 1 || areMostlyCopies(most) ? doc.author : undefined
}

function areMostlyCopies<T extends Shelved>(hits: readonly KeywordHit<T>[]): boolean {
  const originals: SimHash[] = []
  let copies = 0
  for (const { simHash } of hits.map((hit) => hit.document)) {
    if (simHash === undefined) continue
    if (originals.some((one) => hammingDistance(one, simHash) <= NEAR_DUPLICATE_BITS)) copies++
    else if (originals.length < ORIGINALS_MAX) originals.push(simHash)
  }
  return 2 * copies >= hits.length
}

/** Records whose id or key the query is, and records with a tag or path in it; newest first where nothing else decides. */
function namesOf<T extends Shelved>(
  { names, entry }: Shelves<T>,
  query: string,
  wanted: number,
  isAccepted: (key: string) => boolean
): Source[] {
  const exact = names.match(query)
  const newerFirst = (a: string, b: string): number =>
    (entry(b) as T).doc.createdAt - (entry(a) as T).doc.createdAt || compareText(a, b)
  const named = exact.named.filter(isAccepted).sort(newerFirst)
  const mentioned = [...exact.mentioned.keys()]
    .filter(isAccepted)
    .sort((a, b) => (exact.mentioned.get(b) ?? 0) - (exact.mentioned.get(a) ?? 0) || newerFirst(a, b))
    .slice(0, wanted)
  return [
    { name: 'named', weight: NAMED_WEIGHT, keys: named, evidence: () => 1 },
    { name: 'tag', weight: MENTIONED_WEIGHT, keys: mentioned, evidence: () => MENTIONED_EVIDENCE }
  ]
}

/** Neighbours of the best hits so far, in the order of those hits; LIMITS.recallNeighboursMax are looked at. */
function neighboursOf<T extends Shelved>(
  shelves: Shelves<T>,
  { docOf, trustOf }: GatherRequest<T>,
  sources: readonly Source[],
  fused: ReadonlyMap<string, number>,
  isAccepted: (key: string) => boolean
): string[] {
  const evidence = evidenceOf(sources)
  const seeds = [...fused]
    .map(([key, relevance]) => {
      const doc = docOf(shelves.entry(key) as T)
      return { key, doc, score: relevance * strengthOf(evidence.get(key) ?? 0) * trustOf(doc) }
    })
    .sort((a, b) => b.score - a.score || compareText(a.key, b.key))
    .slice(0, GRAPH_SEEDS)
  const found = new Set<string>()
  let asked = 0
  for (const { key, doc } of seeds) {
    for (const neighbour of shelves.links.neighbours(key, doc, LIMITS.recallNeighboursMax)) {
      if (asked++ >= LIMITS.recallNeighboursMax) return [...found]
      if (isAccepted(neighbour)) found.add(neighbour)
    }
  }
  return [...found]
}

function evidenceOf(sources: readonly Source[]): Map<string, number> {
  const best = new Map<string, number>()
  for (const { keys, evidence } of sources) {
    keys.forEach((key, index) => best.set(key, Math.max(best.get(key) ?? 0, evidence(index))))
  }
  return best
}

/** By record: `bm25`, `bm25Rank`, `vector`, `vectorRank`, `namedRank`, `tagRank`, `graphRank`, `past`, `pastRank`. */
function explain(sources: readonly Source[]): Map<string, Record<string, number>> {
  const explained = new Map<string, Record<string, number>>()
  for (const source of sources) {
    const ranks = ranksOf(source)
    source.keys.forEach((key, index) => {
      const why = explained.get(key) ?? {}
      const score = source.scores?.[index]
      if (score !== undefined) why[source.name] = score
      why[`${source.name}Rank`] = ranks.get(key) as number
      explained.set(key, why)
    })
  }
  return explained
}
