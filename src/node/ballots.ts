/**
 * Votes on a memory, counted over the roster that the configuration names. The count itself is trust/ballot.ts; here
 * the votes are taken from the record's state and proven equivocators are known.
 */
import type { AuthorId } from '../memory/ids.ts'
import type { RecordState } from '../memory/record.ts'
import { tally, type Tally } from '../trust/ballot.ts'

export class Ballots {
  readonly roster: readonly AuthorId[]
  readonly #equivocators = new Set<AuthorId>()

  constructor(roster: readonly AuthorId[]) {
    this.roster = roster
  }

  /** From now on the author's votes do not count. False when they did not count before. */
  convict(author: AuthorId): boolean {
    if (this.#equivocators.has(author)) return false
    this.#equivocators.add(author)
    return true
  }

  get equivocators(): ReadonlySet<AuthorId> {
    return this.#equivocators
  }

  count(record: RecordState): Tally {
    const votes = [...record.votes].map(([voter, { value }]) => ({
      voter,
      verdict: value.verdict,
      confidence: value.confidence
    }))
    return tally({ votes, roster: this.roster, equivocators: this.#equivocators })
  }
}
