/**
 * Every number that was ever signed: (space, author, epoch, sequence) of each delta in the stores that were looked at,
 * those that were thrown away afterwards included. No honest author gives one number to two deltas; one pair is a fork,
 * and the author counts as a forger everywhere and for good.
 *
 * Reads a copy of the store: opening the original would change the files that the daemon has listed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openLevelStore } from '../../src/adapters/level/level-store.ts'
import { createVerifier } from '../../src/adapters/system/crypto.ts'
import { decodeDeltaParts } from '../../src/memory/delta-codec.ts'
import { keyAfter, type Store } from '../../src/ports/store.ts'
import { copyOver } from './home-copy.ts'

const PAGE = 1_000

export class SignedNumbers {
  readonly #idOf = new Map<string, string>()
  readonly #forks = new Map<string, Set<string>>()
  readonly #hasher = createVerifier()

  get count(): number {
    return this.#idOf.size
  }

  /** One sentence for each number with two contents. */
  get forks(): readonly string[] {
    return [...this.#forks].map(([number, ids]) => `${number} stands for ${[...ids].join(' and ')}`)
  }

  /** Reads the database of a stopped daemon. Answers how many deltas it holds. */
  async read(data: string): Promise<number> {
    const place = mkdtempSync(path.join(tmpdir(), 'chrysalis-numbers-'))
    try {
      const copy = path.join(place, 'data')
      copyOver(data, copy)
      const store = await openLevelStore(copy, { mustExist: true })
      try {
        return await this.#scan(store)
      } finally {
        await store.close()
      }
    } finally {
      rmSync(place, { recursive: true, force: true })
    }
  }

  async #scan(store: Store): Promise<number> {
    let found = 0
    let gte: Uint8Array = new Uint8Array(0)
    for (;;) {
      const rows = await store.scan('delta', { gte, limit: PAGE })
      for (const { value } of rows) {
        const delta = decodeDeltaParts(value, this.#hasher, { prunedAllowed: true })
        if (!delta.ok) throw new Error(`a stored delta is unreadable: ${delta.detail}`)
        const { space, author, epoch, seq } = delta.value.header
        this.#note(`${space}/${author}/${epoch}/${seq}`, delta.value.id)
      }
      found += rows.length
      const last = rows.at(-1)
      if (last === undefined || rows.length < PAGE) return found
      gte = keyAfter(last.key)
    }
  }

  #note(number: string, id: string): void {
    const known = this.#idOf.get(number)
    if (known === undefined) this.#idOf.set(number, id)
    else if (known !== id) this.#forks.set(number, (this.#forks.get(number) ?? new Set([known])).add(id))
  }
}
