/**
 * The range trees on disk: every so many deltas, every so many seconds and at the end, the leaves that changed, the rows
 * of leaves that were split, the sketches, and the mark that says which set all this is. A restart reads these rows
 * (node/restore-sets.ts) and replays the arrival log behind the mark, in place of every key there is.
 *
 * A checkpoint must not hold a key whose delta is not on disk before it. The machines run ahead of the disk while a group is
 * being written, so one is taken only when the sets hold exactly as many deltas as the stored positions of the arrival
 * log account for; otherwise it waits for the end of the next group. It is derived data, so it is never synced: LevelDB
 * keeps the order of batches, and a checkpoint that a power cut takes is made good by a longer replay.
 *
 * Everything goes in one batch. Only what is too large for one (a set that grew by millions, or was built from rows) goes
 * in several; the mark is then deleted first and written last, so that half of it counts for nothing.
 */
import { fromUtf8, isHex, toHex, utf8 } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { SpaceId } from '../memory/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Store, StoreWrite } from '../ports/store.ts'
import type { DeltaSet } from '../sync/delta-set.ts'
import { leafKey, META, type Arrival } from './rows.ts'

/** One space in the mark. */
export interface SpaceMark {
  readonly count: number
  /** Of the range tree, 96 digits. */
  readonly root: string
  /** The first 16 bytes of SHA-384 of the sketch row, or null: there is none, it is made from the keys. */
  readonly sketch: string | null
}

/** Which set the leaf rows are. */
export interface CheckpointMark {
  /** The newest position of the arrival log whose delta is in it. */
  readonly watermark: Arrival
  /** From here on every position belongs to one delta; up to here `base` deltas were there. */
  readonly since: Arrival
  readonly base: number
  /** Of every space that ever was in a checkpoint, also of those this daemon no longer belongs to. */
  readonly spaces: ReadonlyMap<SpaceId, SpaceMark>
}

/** What a restart leaves for the checkpoints that follow. */
export interface Ledger {
  readonly since: Arrival
  readonly base: number
  /** As on disk. Of a space without an entry no leaf row on disk is of use. */
  readonly spaces: ReadonlyMap<SpaceId, SpaceMark>
  /** Rows of leaves that no entry accounts for: to be deleted, or overwritten. */
  readonly stale: readonly Uint8Array[]
  /** Deltas in memory that the rows do not have yet. */
  readonly unstored: number
}

const VERSION = 1
/** Making a sketch of so many keys takes less than writing 256 KiB every minute is worth. */
const SKETCH_ROW_KEYS_MIN = 16_384

export function encodeMark({ watermark, since, base, spaces }: CheckpointMark): Uint8Array {
  const sorted = [...spaces].sort(([a], [b]) => (a < b ? -1 : 1))
  return utf8(JSON.stringify({ version: VERSION, watermark, since, base, spaces: Object.fromEntries(sorted) }))
}

/** Undefined when it is no mark, or one of another version. */
export function decodeMark(bytes: Uint8Array): CheckpointMark | undefined {
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(bytes))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { version, watermark, since, base, spaces } = value as Record<string, unknown>
  if (version !== VERSION || !isCount(watermark) || !isCount(since) || !isCount(base)) return undefined
  if (typeof spaces !== 'object' || spaces === null) return undefined
  const marks = new Map<SpaceId, SpaceMark>()
  for (const [space, mark] of Object.entries(spaces as Record<string, unknown>)) {
    if (!isHex(space, 16) || !isSpaceMark(mark)) return undefined
    marks.set(space, mark)
  }
  return { watermark, since, base, spaces: marks }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isSpaceMark(value: unknown): value is SpaceMark {
  if (typeof value !== 'object' || value === null) return false
  const { count, root, sketch } = value as Record<string, unknown>
  return (
    isCount(count) &&
    typeof root === 'string' &&
    isHex(root, 48) &&
    (sketch === null || (typeof sketch === 'string' && isHex(sketch, 16)))
  )
}

/** What names the row of a sketch in the mark. */
export function sketchDigest(crypto: Hasher, row: Uint8Array): string {
  return toHex(crypto.sha384(row).subarray(0, 16))
}

/** What a checkpoint needs of a space. */
export interface SetHolder {
  readonly id: SpaceId
  readonly replica: { readonly set: DeltaSet }
}

/** Each by default as LIMITS says. */
export interface CheckpointOptions {
  readonly checkpointDeltasMax?: number
  readonly checkpointMsMax?: number
  readonly checkpointBatchBytesMax?: number
  /** Keys from which the sketch gets a row. Fewer: it is made from them, in milliseconds. Default 16,384. */
  readonly sketchRowKeysMin?: number
}

export interface CheckpointPorts {
  readonly store: Store
  readonly crypto: Hasher
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly spaces: () => readonly SetHolder[]
  /** The newest position of the arrival log that is stored. */
  readonly storedArrival: () => Arrival
}

interface Plan {
  readonly writes: StoreWrite[]
  readonly mark: CheckpointMark
  readonly confirm: () => void
}

export class Checkpoints {
  readonly #ports: CheckpointPorts
  readonly #deltasMax: number
  readonly #waitMsMax: number
  readonly #batchBytesMax: number
  readonly #sketchRowKeysMin: number
  #ledger: Ledger | undefined = undefined
  /** Deltas admitted since the last checkpoint. */
  #unstored = 0
  #isDue = false
  #cancel: (() => void) | undefined
  #writing: Promise<void> | undefined

  constructor(options: CheckpointOptions, ports: CheckpointPorts) {
    this.#ports = ports
    this.#deltasMax = options.checkpointDeltasMax ?? LIMITS.checkpointDeltasMax
    this.#waitMsMax = options.checkpointMsMax ?? LIMITS.checkpointMsMax
    this.#sketchRowKeysMin = options.sketchRowKeysMin ?? SKETCH_ROW_KEYS_MIN
    this.#batchBytesMax = options.checkpointBatchBytesMax ?? LIMITS.checkpointBatchBytesMax
  }

  /** The sets were read back: from here on checkpoints follow each other. Also after the store was reopened. */
  async begin(ledger: Ledger): Promise<void> {
    await this.#writing
    this.#ledger = ledger
    this.#unstored = ledger.unstored
    this.#isDue = false
    if (this.#unstored > 0 || ledger.stale.length > 0) this.#wait()
  }

  /** A group with so many new deltas is on disk, and no other is under way. */
  noted(deltas: number): void {
    this.#unstored += deltas
    if (this.#unstored === 0) return
    if (this.#isDue || this.#unstored >= this.#deltasMax) this.#start()
    else this.#wait()
  }

  /** A last one, when something changed; the writer is idle. */
  async stop(): Promise<void> {
    this.#cancel?.()
    await this.#writing
    if (this.#unstored > 0) this.#start()
    await this.#writing
    this.#cancel?.()
    this.#ledger = undefined
  }

  #wait(): void {
    this.#cancel ??= this.#ports.clock.setTimer(this.#waitMsMax, () => {
      this.#cancel = undefined
      this.#isDue = true
      this.#start()
    })
  }

  /** Now, or after the next group. */
  #start(): void {
    if (this.#writing !== undefined || this.#ledger === undefined) return
    if (!this.#isSettled(this.#ledger)) {
      this.#isDue = true
      this.#wait()
      return
    }
    this.#isDue = false
    this.#cancel?.()
    this.#cancel = undefined
    this.#writing = this.#write(this.#ledger)
      .catch((error: unknown) => {
        this.#ports.logger.log('warn', 'the range trees could not be written down; a restart will take longer', {
          error: messageOf(error)
        })
        this.#wait()
      })
      .finally(() => {
        this.#writing = undefined
      })
  }

  /** Every delta in the sets is on disk: none belongs to a group that is still being written. */
  #isSettled({ since, base, spaces }: Ledger): boolean {
    const here = this.#ports.spaces()
    let count = 0
    for (const space of here) count += space.replica.set.count
    for (const [id, mark] of spaces) if (!here.some((space) => space.id === id)) count += mark.count
    return count === base + this.#ports.storedArrival() - since
  }

  async #write(ledger: Ledger): Promise<void> {
    const { store, metrics } = this.#ports
    const plan = this.#plan(ledger)
    const before = this.#unstored
    this.#unstored = 0
    try {
      for (const batch of batches(plan, this.#batchBytesMax)) await store.batch(batch, { durable: false })
    } catch (error) {
      this.#unstored += before
      throw error
    }
    if (this.#ledger !== ledger) return
    plan.confirm()
    this.#ledger = { ...ledger, spaces: plan.mark.spaces, stale: [], unstored: 0 }
    metrics.count('chrysalis_node_checkpoints_total')
    for (const space of this.#ports.spaces()) space.replica.set.tree.pageOut()
  }

  /** All of it at one moment. */
  #plan(ledger: Ledger): Plan {
    const { crypto } = this.#ports
    const writes: StoreWrite[] = ledger.stale.map((key) => ({ table: 'leaf', key, value: null }))
    const spaces = new Map(ledger.spaces)
    const confirms: (() => void)[] = []
    for (const { id, replica } of this.#ports.spaces()) {
      const { view, leaves, removed, confirm } = replica.set.tree.checkpoint()
      const old = spaces.get(id)
      if (leaves.length === 0 && old?.count === view.count) continue
      for (const prefix of removed) writes.push({ table: 'leaf', key: leafKey(id, prefix), value: null })
      for (const { prefix, packed } of leaves) writes.push({ table: 'leaf', key: leafKey(id, prefix), value: packed })
      const row = view.count < this.#sketchRowKeysMin ? undefined : replica.set.sketch?.encode()
      if (row !== undefined) writes.push({ table: 'meta', key: META.sketch(id), value: row })
      else if (old !== undefined && old.sketch !== null)
        writes.push({ table: 'meta', key: META.sketch(id), value: null })
      const sketch = row === undefined ? null : sketchDigest(crypto, row)
      spaces.set(id, { count: view.count, root: toHex(view.root()), sketch })
      confirms.push(confirm)
    }
    const { since, base } = ledger
    const mark = { watermark: this.#ports.storedArrival(), since, base, spaces }
    const confirm = (): void => {
      for (const one of confirms) one()
    }
    return { writes, mark, confirm }
  }
}

/** One batch, or several of which the first takes the old mark away and the last brings the new one. */
function batches({ writes, mark }: Plan, bytesMax: number): StoreWrite[][] {
  const last = { table: 'meta', key: META.checkpoint, value: encodeMark(mark) } as const
  const slices: StoreWrite[][] = [[]]
  let bytes = 0
  for (const write of writes) {
    bytes += write.key.length + (write.value?.length ?? 0)
    if (bytes > bytesMax) {
      bytes = write.key.length + (write.value?.length ?? 0)
      slices.push([])
    }
    slices.at(-1)?.push(write)
  }
  slices.at(-1)?.push(last)
  return slices.length === 1 ? slices : [[{ ...last, value: null }], ...slices]
}
