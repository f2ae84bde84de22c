/** What the engine knows of trust, in one place: opinions, the judge that applies them, and what was said before. */
import type { AuthorId } from '../memory/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Store } from '../ports/store.ts'
import type { Ballots } from './ballots.ts'
import { Echoes } from './echoes.ts'
import type { Indexer } from './indexer.ts'
import type { Records } from './records.ts'
import { Repeats } from './repeats.ts'
import type { Spaces } from './spaces.ts'
import { TrustBook, type TrustBookOptions } from './trust-book.ts'
import { TrustJudge } from './trust-judge.ts'

export interface Trust {
  readonly book: TrustBook
  readonly judge: TrustJudge
  readonly repeats: Repeats
  readonly echoes: Echoes
}

export interface TrustPorts {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly records: Records
  readonly ballots: Ballots
  readonly spaces: Spaces
  /** Made later, and asked only when the engine runs. */
  readonly indexer: () => Indexer
}

/** `peer`: this daemon, as `self` is. */
export function makeTrust(
  options: TrustBookOptions & { readonly self: AuthorId; peer: string },
  ports: TrustPorts
): Trust {
  const { clock, records, ballots, spaces, indexer } = ports
  const book = new TrustBook(options, { ...ports, changed: () => judge.forget() })
  const judge = new TrustJudge({
    book,
    ballots,
    spaces: () => spaces.all.map((space) => space.id),
    docOf: (space, id) => indexer().index.get(id, space),
    awaits: (space, id) => indexer().awaits(space, id)
  })
  const repeats = new Repeats({ author: options.self, peer: options.peer }, { records, nowMs: () => clock.nowMs() })
  return { book, judge, repeats, echoes: new Echoes(records) }
}
