/**
 * The same memories through the doors that read other rows: the log of changes, the history of each memory, and who
 * points at it. What `memory.get` shows may be whole while one of these has a hole.
 */
import { isChrysalisError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { Client } from '../../src/rpc/client.ts'
import type { Result } from '../../src/rpc/schema/methods.ts'
import type { Acknowledged } from './acknowledged.ts'

const IN_FLIGHT = 16

export interface Gaps {
  /** Answers that lack something acknowledged, one line each. */
  readonly missing: readonly string[]
  /** Answers refused as damaged: nobody is misled by those. */
  readonly refused: number
}

/** Asks for every acknowledged memory that `memory.get` shows: `lost` are those known to be gone. */
export async function findGaps(client: Client, book: Acknowledged, lost: ReadonlySet<string>): Promise<Gaps> {
  const missing: string[] = []
  let refused = 0
  const ask = async (act: () => Promise<void>): Promise<void> => {
    try {
      await act()
    } catch (error) {
      if (!isChrysalisError(error, 'corrupt')) throw error
      refused++
    }
  }
  const shown = [...book.ids].filter((id) => !lost.has(id))
  await ask(async () => {
    const told = await changedDeltas(client)
    for (const id of shown) if (!told.has(id)) missing.push(`changes lack ${id}`)
  })
  await overAll(shown, (id) =>
    ask(async () => {
      const { entries } = await client.history(id)
      const expected = book.deltasOf(id)
      if (entries.length < expected) missing.push(`history of ${id} has ${entries.length} of ${expected} deltas`)
    })
  )
  const links = book.links.filter(({ from, to }) => !lost.has(from) && !lost.has(to))
  await overAll(links, ({ from, to }) =>
    ask(async () => {
      const { nodes } = await client.lineage(to, { depth: 1 })
      if (!nodes.some(({ id }) => id === from)) missing.push(`nothing says that ${from} points at ${to}`)
    })
  )
  return { missing, refused }
}

/** Every delta of the log of changes. */
async function changedDeltas(client: Client): Promise<Set<string>> {
  const found = new Set<string>()
  let cursor: string | undefined
  for (;;) {
    const page: Result<'memory.changes'> = await client.call('memory.changes', {
      limit: LIMITS.rpcPageItemsMax,
      ...(cursor === undefined ? {} : { cursor })
    })
    for (const { delta } of page.changes) found.add(delta)
    if (!page.more) return found
    ;({ cursor } = page)
  }
}

async function overAll<T>(list: readonly T[], act: (one: T) => Promise<void>): Promise<void> {
  let next = 0
  const loop = async (): Promise<void> => {
    while (next < list.length) await act(list[next++] as T)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop))
}
