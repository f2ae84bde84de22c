/**
 * Disk to memory at start, and again after the store failed and was reopened: the machine of one space is rebuilt from
 * its rows. Nothing is recomputed that the rows already say; the rows of one delta were written in one batch, so they
 * agree with each other. The set of deltas comes from node/restore-sets.ts.
 */
import { bytesToUint } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { hlcOf } from '../memory/ids.ts'
import { restoreDelta } from '../memory/verify.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Logger } from '../ports/logger.ts'
import { keyAfter, prefixEnd, type ScanOptions, type Store, type StoreEntry, type Table } from '../ports/store.ts'
import type { DeltaSet } from '../sync/delta-set.ts'
import { splitRangeKey, type Replica } from '../sync/replica.ts'
import { authorPrefix, decodeHeads, META, parseAuthorKey, type Arrival } from './rows.ts'
import { fromHex } from '../base/bytes.ts'
import type { Receipts } from './receipts.ts'

const PAGE_ROWS = 2_000

/** Rows under `prefix`, in order, read a page at a time. */
export async function* scanPrefix(
  store: Store,
  table: Table,
  prefix: Uint8Array,
  options: { from?: Uint8Array; pageRows?: number } = {}
): AsyncGenerator<StoreEntry> {
  for await (const page of scanPages(store, table, prefix, options)) yield* page
}

/** The same, a page at a time: a promise for each row is dear when there are thousands. */
export async function* scanPages(
  store: Store,
  table: Table,
  prefix: Uint8Array,
  options: { from?: Uint8Array; pageRows?: number } = {}
): AsyncGenerator<StoreEntry[]> {
  const end = prefixEnd(prefix)
  const limit = options.pageRows ?? PAGE_ROWS
  let gte = options.from ?? prefix
  for (;;) {
    const page = await store.scan(table, bounded(gte, end, limit))
    yield page
    if (page.length < limit) return
    gte = keyAfter((page.at(-1) as StoreEntry).key)
  }
}

export function bounded(gte: Uint8Array, lt: Uint8Array | undefined, limit: number, reverse = false): ScanOptions {
  return { gte, limit, reverse, ...(lt === undefined ? {} : { lt }) }
}

/** The newest position of the arrival log; 0 for an empty store. */
export async function lastArrival(store: Store): Promise<Arrival> {
  const [last] = await store.scan('arrival', { reverse: true, limit: 1 })
  return last === undefined ? 0 : Number(bytesToUint(last.key))
}

/** `set`: what was admitted; the replica owns it from now on. */
export async function restoreReplica(
  replica: Replica,
  set: DeltaSet,
  receipts: Receipts,
  ports: { store: Store; crypto: Hasher; logger: Logger }
): Promise<void> {
  const { store } = ports
  const prefix = fromHex(replica.space)
  replica.restoreSet(set)
  const lastKey = set.tree.snapshot().last()
  // The rows keep milliseconds only; the largest counter of that millisecond is a safe upper bound.
  if (lastKey !== undefined) replica.restoreClock(hlcOf(splitRangeKey(lastKey).ms, 0xffff))
  await restoreChains(replica, store)
  const heads = await store.get('meta', META.heads(replica.space))
  if (heads !== undefined) replica.restoreHeads(decodeHeads(heads))
  for await (const row of scanPrefix(store, 'pending', prefix)) {
    const delta = restoreDelta(row.value, ports.crypto)
    if (delta.ok) replica.restoreHeld(delta.value)
    else ports.logger.log('warn', 'a held delta could not be read back', { reason: delta.reason })
  }
  const receiptRows: StoreEntry[] = []
  for await (const row of scanPrefix(store, 'receipt', prefix)) receiptRows.push(row)
  receipts.restore(receiptRows.slice(-LIMITS.savedPeersMax))
}

/** The newest row of each (author, epoch): two seeks a chain, however long the chains are. */
async function restoreChains(replica: Replica, store: Store): Promise<void> {
  const space = fromHex(replica.space)
  const spaceEnd = prefixEnd(space)
  let gte: Uint8Array | undefined = space
  while (gte !== undefined) {
    const [first] = await store.scan('author', bounded(gte, spaceEnd, 1))
    if (first === undefined) return
    const { author, epoch } = parseAuthorKey(first.key)
    const chain = authorPrefix(replica.space, author, epoch)
    const chainEnd = prefixEnd(chain)
    const [last] = await store.scan('author', bounded(chain, chainEnd, 1, true))
    if (last !== undefined) {
      const head = parseAuthorKey(last.key)
      replica.restoreChain(author, epoch, head.seq, head.id)
    }
    gte = chainEnd
  }
}
