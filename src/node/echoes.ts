/**
 * Hearing oneself: an agent is shown a memory and writes it down again as if it were news, so that one claim becomes two
 * that seem to confirm each other, and what came from a document seems to come from the agent. What was shown to a
 * conversation is remembered for it, and a text that comes back equal, or nearly so, is marked as an echo with the memory
 * it repeats as its parent: repeating then changes nothing about how far it may be believed.
 *
 * A text said anew in other words is not found; that is what parents are named for. Nothing of this is kept over a
 * restart.
 */
import { BoundedMap } from '../base/bounded-map.ts'
import { LIMITS } from '../base/limits.ts'
import type { RecordId } from '../memory/ids.ts'
import { hammingDistance, NEAR_DUPLICATE_BITS, simHash, type SimHash } from '../recall/similarity.ts'
import { tokenize } from '../recall/tokenize.ts'
import type { Records } from './records.ts'
import type { Place } from './spaces.ts'

interface Shown {
  readonly place: Place
  /** Read when the conversation first writes something: most only read. */
  text: { readonly content: string; readonly simHash: SimHash | undefined } | undefined
}

export class Echoes {
  readonly #records: Records
  /** By conversation, then by place: the oldest go first. */
  readonly #shown = new BoundedMap<string, BoundedMap<string, Shown>>(LIMITS.echoSessionsMax)

  constructor(records: Records) {
    this.#records = records
  }

  /** An answer showed these. Without a conversation there is nothing to go by. */
  note(places: readonly Place[], session: string | undefined): void {
    if (session === undefined || places.length === 0) return
    let shown = this.#shown.get(session)
    if (shown === undefined) this.#shown.set(session, (shown = new BoundedMap(LIMITS.echoShownMax)))
    for (const place of places) {
      const key = place.id + place.space.id
      // It may have changed since it was shown before.
      shown.set(key, { place, text: undefined })
    }
  }

  /** Whether anything was shown to the conversation: if not, there is nothing to wait for. */
  mayEcho(session: string | undefined): boolean {
    return session !== undefined && this.#shown.has(session)
  }

  /** Memories that are remembered to have been shown to it. */
  shownTo(session: string): number {
    return this.#shown.get(session)?.size ?? 0
  }

  /** The shown memory that the text repeats, but for those in `cited`, which the caller has named itself. */
  async echoOf(content: string, session: string | undefined, cited: ReadonlySet<RecordId>): Promise<Place | undefined> {
    const shown = session === undefined ? undefined : this.#shown.get(session)
    if (shown === undefined) return undefined
    const text = content.normalize('NFC')
    const hash = simHash(tokenize(text))
    let near: Place | undefined
    for (const [, one] of shown.entries()) {
      const { place } = one
      const said = await this.#textOf(one)
      if (said === undefined) continue
      const isEqual = said.content === text
      if (!isEqual && !isNear(said.simHash, hash)) continue
      // Named by the caller: nothing is hidden then.
      if (cited.has(place.id)) return undefined
      if (isEqual) return place
      near ??= place
    }
    return near
  }

  async #textOf(shown: Shown): Promise<Shown['text']> {
    if (shown.text !== undefined) return shown.text
    const { space, id } = shown.place
    const content = (await this.#records.get(space.id, id))?.state.fields.get('content')?.value
    if (typeof content !== 'string') return undefined
    const text = content.normalize('NFC')
    shown.text = { content: text, simHash: simHash(tokenize(text)) }
    return shown.text
  }
}

function isNear(a: SimHash | undefined, b: SimHash | undefined): boolean {
  return a !== undefined && b !== undefined && hammingDistance(a, b) <= NEAR_DUPLICATE_BITS
}
