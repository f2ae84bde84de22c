/**
 * Who is known to hold what. A session that ends in agreement proves that the peer holds everything that had arrived
 * here when it began, so one number a peer says it all: the arrival position through which it holds everything. When a
 * later session shows that a peer lacks something below its mark (it was reset, or its disk failed), the mark falls.
 *
 * Local knowledge only: it is never replicated and never decides what is admitted.
 */
import type { SpaceId } from '../memory/ids.ts'
import { bytesToUint, fromUtf8, uintBytes } from '../base/bytes.ts'
import { BoundedMap } from '../base/bounded-map.ts'
import { LIMITS } from '../base/limits.ts'
import type { StoreEntry, StoreWrite } from '../ports/store.ts'
import { receiptKey, type Arrival } from './rows.ts'

export class Receipts {
  readonly #space: SpaceId
  readonly #heldThrough = new BoundedMap<string, Arrival>(LIMITS.savedPeersMax)

  constructor(space: SpaceId) {
    this.#space = space
  }

  restore(rows: readonly StoreEntry[]): void {
    for (const row of rows) this.#heldThrough.set(fromUtf8(row.key.subarray(16)), Number(bytesToUint(row.value)))
  }

  /** Returns the row to store, or undefined when nothing changed. */
  raise(peer: string, through: Arrival): StoreWrite | undefined {
    if ((this.#heldThrough.get(peer) ?? 0) >= through) return undefined
    return this.#set(peer, through)
  }

  /** The peer lacked the delta that arrived at `arrival`. */
  lower(peer: string, arrival: Arrival): StoreWrite | undefined {
    const known = this.#heldThrough.get(peer)
    if (known === undefined || known < arrival) return undefined
    return this.#set(peer, arrival - 1)
  }

  #set(peer: string, through: Arrival): StoreWrite {
    this.#heldThrough.set(peer, through)
    return { table: 'receipt', key: receiptKey(this.#space, peer), value: uintBytes(through, 8) }
  }

  through(peer: string): Arrival {
    return this.#heldThrough.get(peer) ?? 0
  }

  /** Everybody of whom anything is known. */
  peers(): string[] {
    return [...this.#heldThrough.entries()].map(([peer]) => peer)
  }

  /** Peers known to hold everything up to and including `arrival`, sorted by name. */
  holdersOf(arrival: Arrival): string[] {
    return this.peers()
      .filter((peer) => this.through(peer) >= arrival)
      .sort()
  }

  /** How many these are. */
  holders(arrival: Arrival): number {
    let holders = 0
    for (const [, through] of this.#heldThrough.entries()) if (through >= arrival) holders++
    return holders
  }

  /** The position up to which at least `count` peers hold everything. */
  heldBy(count: number): Arrival {
    const marks = [...this.#heldThrough.entries()].map(([, through]) => through).sort((a, b) => b - a)
    return marks[Math.max(1, count) - 1] ?? 0
  }

  /** The position that at least one peer has reached. */
  furthest(): Arrival {
    let furthest = 0
    for (const [, through] of this.#heldThrough.entries()) furthest = Math.max(furthest, through)
    return furthest
  }
}
