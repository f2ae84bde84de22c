/**
 * What the owner of this daemon thinks of other authors: a list of peers and tiers, kept in one row of the store and
 * told to nobody. Opinions are not evidence for others; each daemon has its own.
 *
 * Nobody in the list is a newcomer, and this daemon itself is always trusted. A row that cannot be read is no reason to
 * believe more than before: until the list is written anew every other author counts as `unknown`.
 */
import { fromUtf8, utf8 } from '../base/bytes.ts'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { authorToPeerId, parseAuthor } from '../base/peer-id.ts'
import type { AuthorId } from '../memory/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Store } from '../ports/store.ts'
import { OPINIONS, type Opinion } from '../trust/tier.ts'
import type { TrustEntry, TrustList } from './trust-api.ts'
import { META } from './rows.ts'

export interface TrustBookOptions {
  readonly self: AuthorId
  /** What is thought of an author nobody has an opinion of. */
  readonly newcomers: 'known' | 'unknown'
}

export interface TrustBookPorts {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  /** An opinion has changed: what follows from opinions is to be worked out again. */
  readonly changed: () => void
}

interface Kept {
  readonly tier: Opinion
  readonly atMs: number
  readonly reason: string | null
}

export class TrustBook {
  readonly #options: TrustBookOptions
  readonly #ports: TrustBookPorts
  #kept = new Map<AuthorId, Kept>()
  #damage: string | undefined
  /** Changes are written one after the other, each the whole list. */
  #writing: Promise<unknown> = Promise.resolve()

  constructor(options: TrustBookOptions, ports: TrustBookPorts) {
    this.#options = options
    this.#ports = ports
  }

  /** From disk. Never rejects: a list that cannot be read is said in `reasons`. */
  async load(): Promise<void> {
    try {
      const row = await this.#ports.store.get('meta', META.trust)
      this.#kept = row === undefined ? new Map() : parseBook(fromUtf8(row))
      this.#damage = undefined
    } catch (error) {
      this.#kept = new Map()
      this.#damage = messageOf(error)
      this.#ports.logger.log('error', 'the trust book could not be read', { error: this.#damage })
    }
    this.#ports.changed()
  }

  /** For status: why opinions are not what the owner made them. */
  reasons(): string[] {
    if (this.#damage === undefined) return []
    return [
      `the trust book could not be read (${this.#damage}): every other author counts as unknown; set your opinions again with chrysalis trust`
    ]
  }

  opinionOf(author: AuthorId): Opinion {
    if (author === this.#options.self) return 'trusted'
    if (this.#damage !== undefined) return this.#kept.get(author)?.tier ?? 'unknown'
    return this.#kept.get(author)?.tier ?? this.#options.newcomers
  }

  /** Whether the owner has said so, or it is what is thought of anybody. */
  isSet(author: AuthorId): boolean {
    return this.#kept.has(author)
  }

  /** Whether anybody is blocked. */
  get blocksAny(): boolean {
    for (const { tier } of this.#kept.values()) if (tier === 'blocked') return true
    return false
  }

  list(): TrustList {
    const entries = [...this.#kept]
      .map(([author, kept]) => ({ peer: authorToPeerId(author), author, ...kept }))
      .sort((a, b) => (a.peer < b.peer ? -1 : 1))
    return { newcomers: this.#damage === undefined ? this.#options.newcomers : 'unknown', entries }
  }

  /**
   * From now on, and on disk before it resolves; null takes the opinion back. Rejects with `invalid_argument` for a name
   * that is no peer and for this daemon itself, and with `quota` when the list is full.
   */
  async set(peer: string, tier: Opinion | null, reason?: string): Promise<TrustEntry> {
    const author = this.#author(peer)
    const kept = { tier: tier ?? this.#options.newcomers, atMs: this.#ports.clock.nowMs(), reason: reason ?? null }
    const write = this.#writing
      .catch(() => undefined)
      .then(async () => {
        const next = new Map(this.#kept)
        if (tier === null) next.delete(author)
        else next.set(author, kept)
        if (next.size > LIMITS.trustBookPeersMax) throw bookFull()
        const row = { table: 'meta', key: META.trust, value: utf8(formatBook(next)) } as const
        await this.#ports.store.batch([row], { durable: true })
        this.#kept = next
        // Now the list is whole again, and it is what the owner said last.
        this.#damage = undefined
        this.#ports.changed()
      })
    this.#writing = write
    await write
    return { peer: authorToPeerId(author), author, ...kept }
  }

  #author(peer: string): AuthorId {
    const author = parseAuthor(peer)
    if (author === undefined) {
      throw new ChrysalisError('invalid_argument', `'${peer.slice(0, 80)}' is no peer; nothing was changed`, {
        hint: 'Give a peer id such as 12D3KooW…; see `chrysalis peers`.'
      })
    }
    if (author === this.#options.self) {
      throw new ChrysalisError('invalid_argument', 'this daemon always trusts itself; nothing was changed', {
        hint: 'Name another peer. To trust what an agent of yours writes less, give it a token with a lower origin.'
      })
    }
    return author
  }
}

function bookFull(): ChrysalisError {
  return new ChrysalisError('quota', `the trust book holds ${LIMITS.trustBookPeersMax} peers; nothing was changed`, {
    hint: 'Take back opinions you no longer need with `chrysalis trust PEER default`.'
  })
}

function formatBook(book: ReadonlyMap<AuthorId, Kept>): string {
  return JSON.stringify([...book].map(([author, { tier, atMs, reason }]) => [author, tier, atMs, reason]))
}

function parseBook(text: string): Map<AuthorId, Kept> {
  const rows: unknown = JSON.parse(text)
  if (!Array.isArray(rows)) throw new Error('it is no list')
  const book = new Map<AuthorId, Kept>()
  for (const row of rows as readonly unknown[]) {
    const [author, tier, atMs, reason] = Array.isArray(row) ? (row as readonly unknown[]) : []
    const opinion = OPINIONS.find((one) => one === tier)
    const known = typeof author === 'string' ? parseAuthor(author) : undefined
    if (known === undefined || opinion === undefined || typeof atMs !== 'number')
      throw new Error('an entry is no opinion')
    book.set(known, { tier: opinion, atMs, reason: typeof reason === 'string' ? reason : null })
  }
  return book
}
