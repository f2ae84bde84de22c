/**
 * The shared memory of a home as a library, for processes that only read it: no daemon is asked, no socket opened, and
 * nothing of the network is loaded. What is found is what the daemon of the home last published; while it runs, that is
 * some milliseconds old, and when it is gone, searching goes on.
 *
 *     import { openReader } from 'chrysalis/reader'
 *     const reader = openReader({ home: '/home/me/.chrysalis' })
 *     const { hits } = reader.search('when can I deploy', { kinds: ['decision'] })
 *
 * Words only: nothing here knows vectors, graphs or near words, and no search is counted. Whoever needs those asks the
 * daemon. Everything is synchronous; every error is a ChrysalisError.
 */
import { readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { IndexReader, type IndexHit } from './adapters/index/reader.ts'
import { readIndexFile, type IndexFile } from './adapters/index/folder.ts'
import { tagTerm } from './adapters/index/layout.ts'
import { ChrysalisError } from './base/errors.ts'
import { LIMITS } from './base/limits.ts'
import { utf8 } from './base/bytes.ts'
import { parseAuthor, authorToPeerId } from './base/peer-id.ts'
import { KINDS, type Kind } from './memory/ops.ts'
import type { SharedMemory } from './ports/shared-index.ts'
import { SHARED_TERMS, sharedQueryWords } from './recall/shared-terms.ts'
import { reaches, TRUST_FACTOR, TRUST_TIERS, type TrustTier } from './trust/tier.ts'

export { ChrysalisError, isChrysalisError, type ErrorCode } from './base/errors.ts'
export type { Kind, SharedMemory, TrustTier }

export interface ReaderOptions {
  /** Home of the daemon. Default: CHRYSALIS_HOME, else `.chrysalis` in the home of the user. */
  readonly home?: string
  /** Name or id of a space. Default: the default space of the home, or the only one. */
  readonly space?: string
}

export interface SharedQuery {
  /** Default 10, at most 200. */
  readonly limit?: number
  /**
   * `bm25` (default): by the weight of shared words. `jaccard`: by the share of shared words, pinned memories before all
   * others. Both times the weight of trust, as in recall.
   */
  readonly mode?: 'bm25' | 'jaccard'
  readonly kinds?: readonly Kind[]
  readonly tagsAll?: readonly string[]
  readonly tagsAny?: readonly string[]
  /** Peer ids or raw keys of creators. */
  readonly authors?: readonly string[]
  /** Created at or after, wall milliseconds. */
  readonly sinceMs?: number
  /** Default `known`; `any` shows all but what is blocked. */
  readonly minTrust?: TrustTier | 'any'
  readonly pinnedOnly?: boolean
  /** Also says why. */
  readonly explain?: boolean
}

export interface SharedHit extends SharedMemory {
  readonly score: number
  /** As the daemon judged when it published. */
  readonly tier: TrustTier
  /** Every factor of the score by name. */
  readonly why?: Readonly<Record<string, number>>
}

export interface SharedAnswer {
  readonly hits: readonly SharedHit[]
  /** Matches that the limit cut off. */
  readonly dropped: number
  readonly index: SharedIndexState
}

export interface SharedIndexState {
  readonly space: string
  readonly spaceName: string
  /** Grows with everything the daemon publishes: equal numbers, nothing new. */
  readonly generation: number
  readonly indexed: number
  /** `partial` while the daemon fills the index: an empty answer then proves nothing. */
  readonly state: 'complete' | 'partial'
}

export interface SharedReader {
  readonly space: string
  readonly spaceName: string
  search(query: string, options?: SharedQuery): SharedAnswer
  /** By full id; undefined when it is not there. */
  get(id: string): (SharedMemory & { readonly tier: TrustTier }) | undefined
  /** What a search would see now. Asking costs some microseconds, so news can be polled for. */
  state(): SharedIndexState
  close(): void
}

/**
 * Opens the index of one space. Throws `not_found` when there is none, `unsupported_version` when another version made
 * it, `corrupt` when it is damaged, `ambiguous_id` when the space must be named. An index the daemon makes anew later is
 * followed by itself.
 */
export function openReader(options: ReaderOptions = {}): SharedReader {
  const root = path.join(homeOf(options), 'index')
  const file = chosen(root, options.space)
  return new Reader(new IndexReader(path.join(root, file.space), SHARED_TERMS.version), file)
}

/** Spaces of a home that have an index, by name. */
export function sharedSpaces(
  options: Pick<ReaderOptions, 'home'> = {}
): { id: string; name: string; isDefault: boolean }[] {
  return filesIn(path.join(homeOf(options), 'index')).map(({ space, name, isDefault }) => ({
    id: space,
    name,
    isDefault
  }))
}

class Reader implements SharedReader {
  readonly space: string
  readonly spaceName: string
  readonly #index: IndexReader

  constructor(index: IndexReader, { space, name }: IndexFile) {
    this.#index = index
    this.space = space
    this.spaceName = name
  }

  search(query: string, options: SharedQuery = {}): SharedAnswer {
    if (utf8(query).length > LIMITS.queryBytesMax) {
      throw new ChrysalisError('too_large', `the query is longer than ${LIMITS.queryBytesMax} bytes`, {
        hint: 'Ask with a few words or a sentence.'
      })
    }
    const { limit = 10, mode = 'bm25', minTrust = 'known', sinceMs = -Infinity, pinnedOnly = false } = options
    const words = sharedQueryWords(query)
    const { hits, matches, figures } = this.#index.search({
      words,
      stopWords: words.length > 0 && SHARED_TERMS.isStopWord(words[0]?.term ?? ''),
      jaccard: mode === 'jaccard',
      tierWeights: TRUST_TIERS.map((tier) => (reaches(tier, minTrust) ? TRUST_FACTOR[tier] : 0)),
      kinds: options.kinds && new Set(options.kinds.map((kind) => KINDS.indexOf(kind))),
      authors: options.authors?.map(peerOf),
      sinceMs,
      pinnedOnly,
      tagsAll: options.tagsAll?.map(tagTerm),
      tagsAny: options.tagsAny?.map(tagTerm),
      limit: Math.min(Math.max(1, Math.trunc(limit)), LIMITS.recallResultsMax),
      nowMs: Date.now()
    })
    return {
      hits: hits.map((hit) => shown(hit, mode, options.explain === true)),
      dropped: Math.max(0, matches - hits.length),
      index: this.#state(figures)
    }
  }

  get(id: string): (SharedMemory & { readonly tier: TrustTier }) | undefined {
    if (!/^[0-9a-f]{64}$/.test(id)) {
      throw new ChrysalisError('invalid_argument', `'${id.slice(0, 80)}' is not a full memory id`, {
        hint: 'Give all 64 hexadecimal digits in lower case.'
      })
    }
    const found = this.#index.get(id)
    return found && { ...found.memory, tier: tierNamed(found.tier) }
  }

  state(): SharedIndexState {
    return this.#state(this.#index.figures())
  }

  close(): void {
    this.#index.close()
  }

  #state({
    generation,
    indexed,
    complete
  }: {
    generation: number
    indexed: number
    complete: boolean
  }): SharedIndexState {
    const { space, spaceName } = this
    return { space, spaceName, generation, indexed, state: complete ? 'complete' : 'partial' }
  }
}

function shown(
  { memory, tier: rank, score, bm25, jaccard, shared }: IndexHit,
  mode: string,
  explain: boolean
): SharedHit {
  const tier = tierNamed(rank)
  if (!explain) return { ...memory, tier, score }
  const pinned = memory.pinned ? 1 : 0
  const factors: Record<string, number> = mode === 'jaccard' ? { jaccard, pinned } : { bm25, jaccard }
  return { ...memory, tier, score, why: { ...factors, sharedWords: shared, trust: TRUST_FACTOR[tier] } }
}

function tierNamed(rank: number): TrustTier {
  return TRUST_TIERS[rank] ?? 'blocked'
}

function peerOf(author: string): string {
  const raw = parseAuthor(author)
  if (raw !== undefined) return authorToPeerId(raw)
  throw new ChrysalisError('invalid_argument', `'${author.slice(0, 80)}' is neither a peer id nor a public key`, {
    hint: 'Peer ids look like 12D3KooW…; see `chrysalis peers`.'
  })
}

function homeOf({ home }: Pick<ReaderOptions, 'home'>): string {
  return path.resolve(home ?? process.env['CHRYSALIS_HOME'] ?? path.join(homedir(), '.chrysalis'))
}

/** Those that can be read; a damaged one is met when it is named. */
function filesIn(root: string): IndexFile[] {
  let names: string[]
  try {
    names = readdirSync(root)
  } catch {
    return []
  }
  const files = names.flatMap((name) => readable(path.join(root, name)) ?? [])
  return files.sort((a, b) => (a.name < b.name ? -1 : 1))
}

function readable(directory: string): IndexFile | undefined {
  try {
    return readIndexFile(directory)
  } catch {
    return undefined
  }
}

function chosen(root: string, space: string | undefined): IndexFile {
  const files = filesIn(root)
  const named = files.filter((file) =>
    space === undefined ? file.isDefault : file.space === space || file.name === space
  )
  const [found, another] = space === undefined && named.length === 0 ? files : named
  if (found === undefined) {
    const names = files.map(({ name }) => name).join(', ')
    throw new ChrysalisError(
      'not_found',
      space === undefined ? `there is no shared index in ${root}` : `no shared index of a space '${space}' in ${root}`,
      {
        hint:
          names === ''
            ? 'The daemon makes it while it runs with index.shared = true (for a private space also index.private = true).'
            : `There are: ${names}.`
      }
    )
  }
  if (another !== undefined) {
    throw new ChrysalisError(
      'ambiguous_id',
      'more than one space has a shared index, and none of them is the default',
      {
        hint: `Name one: ${files.map(({ name }) => name).join(', ')}.`
      }
    )
  }
  return found
}
