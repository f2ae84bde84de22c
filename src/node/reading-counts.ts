/**
 * How often memories were read here. A search must never be a network write, so reads are only counted in memory and
 * told to the others, as one delta, at long intervals. What was not told when the daemon stops is lost: it is a measure
 * of use, and a stop must not be one more write.
 */
import { messageOf } from '../base/errors.ts'
import { composeAccess } from '../memory/compose.ts'
import type { RecordId } from '../memory/ids.ts'
import type { Op } from '../memory/ops.ts'
import type { Logger } from '../ports/logger.ts'
import type { Records } from './records.ts'
import type { Space } from './space.ts'
import type { Place } from './spaces.ts'
import type { Writer } from './writer.ts'

/** Records counted between two tellings; reads of further ones are not counted. */
const COUNTED_MAX = 10_000
const OPS_PER_DELTA = 500

export class ReadingCounts {
  readonly #ports: { records: Records; writer: Writer; logger: Logger }
  /** By space and id: two spaces may hold a record of the same id. */
  readonly #counts = new Map<string, { space: Space; id: RecordId; reads: number }>()

  constructor(ports: { records: Records; writer: Writer; logger: Logger }) {
    this.#ports = ports
  }

  note(places: readonly Place[]): void {
    for (const { space, id } of places) {
      const known = this.#counts.get(space.id + id)
      if (known !== undefined) known.reads++
      else if (this.#counts.size < COUNTED_MAX) this.#counts.set(space.id + id, { space, id, reads: 1 })
    }
  }

  /** Writes what was counted since the last time. Counts stay when the write is refused. */
  async tell(): Promise<void> {
    const bySpace = new Map<Space, { id: RecordId; reads: number }[]>()
    for (const { space, id, reads } of this.#counts.values()) {
      const list = bySpace.get(space)
      if (list === undefined) bySpace.set(space, [{ id, reads }])
      else list.push({ id, reads })
    }
    for (const [space, counted] of bySpace) {
      for (let from = 0; from < counted.length; from += OPS_PER_DELTA) {
        await this.#tellSome(space, counted.slice(from, from + OPS_PER_DELTA))
      }
    }
  }

  async #tellSome(space: Space, counted: readonly { id: RecordId; reads: number }[]): Promise<void> {
    const states = await this.#ports.records.getMany(
      space.id,
      counted.map((one) => one.id)
    )
    const actor = `${space.replica.author}:${space.replica.epoch}`
    const ops: Op[] = []
    counted.forEach(({ id, reads }, index) => {
      const state = states[index]?.state
      if (state !== undefined) ops.push(...composeAccess(id, (state.access.get(actor) ?? 0) + reads))
    })
    if (ops.length === 0) return
    try {
      await this.#ports.writer.submit(space, { input: 'write', ops })
      for (const { id, reads } of counted) this.#told(space.id + id, reads)
    } catch (error) {
      this.#ports.logger.log('debug', 'reading counts were not written', { error: messageOf(error) })
    }
  }

  /** What was read while the counts were being written is told the next time. */
  #told(slot: string, reads: number): void {
    const counted = this.#counts.get(slot)
    if (counted === undefined) return
    counted.reads -= reads
    if (counted.reads <= 0) this.#counts.delete(slot)
  }
}
