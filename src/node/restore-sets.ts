/**
 * The sets of deltas from disk: the leaf rows of the last checkpoint, then the arrival log behind its mark. When these rows
 * do not agree with each other or with the store, the reason is logged and the sets are built from the `range` rows, one
 * for every delta, which takes some seconds a million.
 *
 * What is checked, so that the tree in memory is the set on disk:
 *   - the leaves are well formed, each where its name says, and have the shape their keys demand; count and root are those
 *     of the mark. So no leaf is missing, left over, old, or changed.
 *   - the mark is not newer than the arrival log, and its counts add up to the positions it accounts for.
 *   - the log behind the mark is without a gap up to the position the writer goes on from, and names no delta twice. The
 *     newest positions before the mark are looked up in the trees as well: a damaged log of LevelDB may drop a batch in
 *     the middle, of the last megabytes written.
 *   - of keys evenly spread over each tree, the `range` rows are there: a table of the database that is gone shows.
 * What is not: every single delta row. A damaged one is found by whoever reads it, or by the scrub.
 */
import { bytesToUint, fromHex, toHex } from '../base/bytes.ts'
import { isChrysalisError, type ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Logger } from '../ports/logger.ts'
import type { Store } from '../ports/store.ts'
import { DeltaSet } from '../sync/delta-set.ts'
import { RangeTreeLoader } from '../sync/range-load.ts'
import { RANGE_KEY_BYTES } from '../sync/range-nodes.ts'
import type { LeafSource } from '../sync/range-pages.ts'
import { RangeTree, type RangeTreeOptions } from '../sync/range-tree.ts'
import { Sketch } from '../sync/sketch.ts'
import { decodeMark, sketchDigest, type CheckpointMark, type Ledger, type SpaceMark } from './checkpoint.ts'
import { scanPages } from './restore.ts'
import { arrivalKey, leafKey, META, parseLeafKey, rangeRowKey, type Arrival } from './rows.ts'

export interface SetSpace {
  readonly id: SpaceId
  readonly policy: 'open' | 'private'
}

export interface RestoreSetsOptions {
  /** Default LIMITS.residentKeysMax, for each space. */
  readonly residentKeysMax?: number
  /** Default LIMITS.restoreTailPositionsMax. */
  readonly tailPositionsMax?: number
  /** A leaf row of this set proved damaged when it was read back. */
  readonly damaged?: (set: DeltaSet, error: ChrysalisError) => void
}

export interface RestoredSets {
  /** One for every space asked for. */
  readonly sets: ReadonlyMap<SpaceId, DeltaSet>
  readonly ledger: Ledger
}

interface Context {
  readonly store: Store
  readonly crypto: Hasher
  readonly logger: Logger
  readonly spaces: readonly SetSpace[]
  /** The arrival log goes on behind this position. */
  readonly position: Arrival
  readonly options: RestoreSetsOptions
}

/** Rows that do not agree. Never leaves this file. */
class Contradiction extends Error {
  override readonly name = 'Contradiction'
}

/** About a megabyte. */
const LEAF_PAGE_ROWS = 512
/** Keys of each tree whose rows are looked up. */
const SAMPLES = 256
const RANGE_KEY_OFFSET = 16
const ID_OFFSET = 6

/** Rejects with the errors of the store. `position`: where the arrival log stands. */
export async function restoreSets(
  spaces: readonly SetSpace[],
  position: Arrival,
  ports: { readonly store: Store; readonly crypto: Hasher; readonly logger: Logger },
  options: RestoreSetsOptions = {}
): Promise<RestoredSets> {
  const context: Context = { ...ports, spaces, position, options }
  try {
    const row = await ports.store.get('meta', META.checkpoint)
    if (row === undefined) return await fromRows(context)
    const mark = decodeMark(row)
    if (mark === undefined) throw new Contradiction('the mark cannot be read')
    return await fromCheckpoint(context, mark)
  } catch (error) {
    if (!(error instanceof Contradiction) && !isChrysalisError(error, 'corrupt')) throw error
    ports.logger.log('warn', 'the range trees on disk are not used; they are built from the range rows', {
      reason: error.message
    })
    return fromRows(context)
  }
}

async function fromCheckpoint(context: Context, mark: CheckpointMark): Promise<RestoredSets> {
  const { watermark, since, base } = mark
  let marked = 0
  for (const { count } of mark.spaces.values()) marked += count
  if (watermark > context.position) {
    throw new Contradiction(`the checkpoint is of position ${watermark}, the arrival log ends at ${context.position}`)
  }
  if (watermark < since || marked !== base + watermark - since) {
    throw new Contradiction(`the checkpoint accounts for ${base + watermark - since} deltas and holds ${marked}`)
  }
  const sets = new Map<SpaceId, DeltaSet>()
  const stale: Uint8Array[] = []
  let unstored = 0
  for (const space of context.spaces) {
    const entry = mark.spaces.get(space.id)
    if (entry !== undefined) {
      sets.set(space.id, await loadSet(context, space, entry))
      continue
    }
    // New here, or here again: what it had before the mark is in no checkpoint.
    const set = await setFromRows(context, space)
    sets.set(space.id, set)
    stale.push(...(await leafKeysOf(context, space.id)))
    unstored += set.count
  }
  const replayed = await replay(context, mark, sets)
  const carried = new Map([...mark.spaces].filter(([id]) => sets.has(id) || !replayed.elsewhere.has(id)))
  return { sets, ledger: ledgerOf(context, sets, carried, stale, unstored + replayed.count) }
}

function ledgerOf(
  { position }: Context,
  sets: ReadonlyMap<SpaceId, DeltaSet>,
  spaces: ReadonlyMap<SpaceId, SpaceMark>,
  stale: readonly Uint8Array[],
  unstored: number
): Ledger {
  let base = 0
  for (const set of sets.values()) base += set.count
  for (const [id, { count }] of spaces) if (!sets.has(id)) base += count
  return { since: position, base, spaces, stale, unstored }
}

// --- from leaves

async function loadSet(context: Context, space: SetSpace, entry: SpaceMark): Promise<DeltaSet> {
  const { store, crypto } = context
  const source = new StoredLeaves(store, space.id)
  const loader = new RangeTreeLoader(crypto, treeOptions(context, source))
  const samples: Uint8Array[] = []
  const apart = Math.ceil(entry.count / SAMPLES)
  let keys = 0
  for await (const page of scanPages(store, 'leaf', fromHex(space.id), { pageRows: LEAF_PAGE_ROWS })) {
    for (const { key, value } of page) {
      const prefix = parseLeafKey(key)
      if (prefix === undefined) throw new Contradiction(`${toHex(key)} is the key of no leaf`)
      if (keys >= samples.length * apart) samples.push(value.slice(0, RANGE_KEY_BYTES))
      keys += value.length / RANGE_KEY_BYTES
      loader.add(prefix, value)
    }
  }
  const loaded = loader.finish()
  if (!loaded.ok) throw new Contradiction(loaded.reason)
  const { tree } = loaded
  if (tree.count !== entry.count)
    throw new Contradiction(`${tree.count} keys in the leaves, ${entry.count} in the mark`)
  if (toHex(tree.root()) !== entry.root) throw new Contradiction('the leaves are another set than the mark says')
  const rows = await store.getMany(
    'range',
    samples.map((key) => rangeRowKey(space.id, key))
  )
  if (rows.some((row) => row === undefined)) throw new Contradiction('a key of the leaves has no range row')
  const set = new DeltaSet(crypto, { tree, sketch: await sketchFor(context, space, entry, tree) })
  source.watch(context.options, set)
  return set
}

/** The stored sketch if it is the one of the mark, else one made from the keys. */
async function sketchFor(context: Context, space: SetSpace, entry: SpaceMark, tree: RangeTree): Promise<Sketch | null> {
  if (space.policy === 'private') return null
  if (entry.sketch === null) return sketchOf(tree)
  const row = await context.store.get('meta', META.sketch(space.id))
  const isMarked = row !== undefined && sketchDigest(context.crypto, row) === entry.sketch
  const sketch = isMarked ? Sketch.decode(row) : undefined
  if (sketch?.size === tree.count) return sketch
  context.logger.log('warn', 'the sketch of a space is made anew from its keys', {
    reason: row === undefined ? 'its row is missing' : 'its row is not the one that was written'
  })
  return sketchOf(tree)
}

function sketchOf(tree: RangeTree): Sketch {
  const sketch = new Sketch()
  for (const packed of tree.snapshot().leaves()) {
    for (let at = 0; at < packed.length; at += RANGE_KEY_BYTES) sketch.add(packed, at + ID_OFFSET)
  }
  return sketch
}

/** The arrival log behind the mark into the sets, and the positions before it compared with them. */
async function replay(
  { store, position, options }: Context,
  { watermark, since, spaces }: CheckpointMark,
  sets: ReadonlyMap<SpaceId, DeltaSet>
): Promise<{ count: number; elsewhere: Set<SpaceId> }> {
  const tail = options.tailPositionsMax ?? LIMITS.restoreTailPositionsMax
  let next = Math.max(since, watermark - tail) + 1
  let count = 0
  const elsewhere = new Set<SpaceId>()
  /** One position; true when the set did not have it. */
  const take = (at: Arrival, id: SpaceId, key: Uint8Array): boolean => {
    const set = sets.get(id)
    const isMarked = spaces.has(id)
    if (at <= watermark) {
      if (isMarked && (set === undefined || set.tree.has(key))) return false
      throw new Contradiction(`the delta of position ${at} is not in the checkpoint`)
    }
    if (set === undefined) {
      elsewhere.add(id)
      return false
    }
    if (!isMarked) {
      if (set.tree.has(key)) return false
      throw new Contradiction(`the delta of position ${at} has no range row`)
    }
    if (!set.insert(key)) throw new Contradiction(`the delta of position ${at} is in the checkpoint already`)
    return true
  }
  for await (const page of scanPages(store, 'arrival', new Uint8Array(0), { from: arrivalKey(next) })) {
    for (const { key, value } of page) {
      const at = Number(bytesToUint(key))
      if (at !== next) throw new Contradiction(`position ${next} of the arrival log is missing`)
      next++
      const isNew = take(at, toHex(value.subarray(0, RANGE_KEY_OFFSET)), value.subarray(RANGE_KEY_OFFSET))
      if (isNew) count++
    }
  }
  if (next <= position) throw new Contradiction(`position ${next} of the arrival log is missing`)
  return { count, elsewhere }
}

// --- from range rows

async function fromRows(context: Context): Promise<RestoredSets> {
  const sets = new Map<SpaceId, DeltaSet>()
  const stale: Uint8Array[] = []
  let unstored = 0
  for (const space of context.spaces) {
    const set = await setFromRows(context, space)
    sets.set(space.id, set)
    stale.push(...(await leafKeysOf(context, space.id)))
    unstored += set.count
  }
  return { sets, ledger: ledgerOf(context, sets, new Map(), stale, unstored) }
}

async function setFromRows(context: Context, space: SetSpace): Promise<DeltaSet> {
  const source = new StoredLeaves(context.store, space.id)
  const tree = new RangeTree(context.crypto, treeOptions(context, source))
  const set = new DeltaSet(context.crypto, space.policy === 'private' ? { tree, sketch: null } : { tree })
  for await (const page of scanPages(context.store, 'range', fromHex(space.id))) {
    for (const row of page) set.insert(row.key.subarray(RANGE_KEY_OFFSET))
  }
  source.watch(context.options, set)
  return set
}

async function leafKeysOf({ store }: Context, space: SpaceId): Promise<Uint8Array[]> {
  const keys: Uint8Array[] = []
  const options = { pageRows: LEAF_PAGE_ROWS }
  for await (const page of scanPages(store, 'leaf', fromHex(space), options)) for (const { key } of page) keys.push(key)
  return keys
}

function treeOptions({ options }: Context, source: LeafSource): RangeTreeOptions {
  const { residentKeysMax } = options
  return residentKeysMax === undefined ? { source } : { source, residentKeysMax }
}

/** The leaf rows of one space, for the tree that reads them back. */
class StoredLeaves implements LeafSource {
  readonly #store: Store
  readonly #space: SpaceId
  #damaged: ((error: ChrysalisError) => void) | undefined = undefined

  constructor(store: Store, space: SpaceId) {
    this.#store = store
    this.#space = space
  }

  /** Damage found while the set is being read back is not news: the restart itself is looking for it. */
  watch({ damaged }: RestoreSetsOptions, set: DeltaSet): void {
    if (damaged !== undefined) this.#damaged = (error) => damaged(set, error)
  }

  read(prefix: string): Uint8Array | undefined {
    return this.#store.getSync('leaf', leafKey(this.#space, prefix))
  }

  damaged(error: ChrysalisError): void {
    this.#damaged?.(error)
  }
}
