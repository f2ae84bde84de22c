/**
 * The rest of persist → send → notify, once a group is on disk and acknowledged: first the outboxes, then the index,
 * then whoever listens. Nothing here is awaited and nothing may throw; what is lost here is made good by anti-entropy
 * or by the arrival log.
 */
import { messageOf } from '../base/errors.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Ballots } from './ballots.ts'
import type { CloneWatch } from './clone-watch.ts'
import type { Store } from '../ports/store.ts'
import { changeOf, readChanges } from './changes.ts'
import type { Events } from './events.ts'
import type { Frontiers } from './frontiers.ts'
import { deltaImportance } from './importance.ts'
import type { Indexer } from './indexer.ts'
import type { Intake } from './intake.ts'
import type { Group } from './perform.ts'
import type { Reconciliation } from './reconciliation.ts'
import type { Arrival } from './rows.ts'
import type { Sender } from './sender.ts'
import type { Spaces } from './spaces.ts'
import type { Storms } from './storms.ts'
import type { Upkeep } from './upkeep.ts'

export interface TellParts {
  readonly crypto: Hasher
  readonly clock: Clock
  readonly metrics: Metrics
  readonly logger: Logger
  readonly sender: Sender
  readonly reconciliation: Reconciliation
  readonly frontiers: Frontiers
  readonly indexer: Indexer
  readonly storms: Storms
  readonly events: Events
  readonly intake: Intake
  readonly ballots: Ballots
  readonly upkeep: Upkeep
  readonly clones: CloneWatch
  readonly spaces: Spaces
}

export function tell(group: Group, parts: TellParts): void {
  const nowMs = parts.clock.nowMs()
  send(group, parts)
  register(group, parts)
  notify(group, parts, nowMs)
  report(group, parts)
}

function send(group: Group, { clock, sender, reconciliation }: TellParts): void {
  const nowMs = clock.monotonicMs()
  for (const { space, delta, own, arrival } of group.admitted) {
    if (own && space.options.shared) space.unoffered.add(delta.id, arrival)
  }
  for (const { space, delta, own } of group.announcements) {
    if (!space.options.shared) continue
    space.outbox.add({ id: delta.id, record: delta.record }, deltaImportance(delta), nowMs)
    if (own) reconciliation.hurry(space)
    sender.schedule(space)
  }
}

/** Whose delta it was. One that leaves a gap before it says that others were lost: compare soon. */
function register(group: Group, { frontiers, reconciliation }: TellParts): void {
  const rivals = new Set(group.proofs.map(({ proof }) => `${proof.author}:${proof.epoch}:${proof.seq}`))
  for (const { space, delta, via } of group.admitted) {
    const { author, epoch, seq } = delta.header
    const isRival = rivals.size > 0 && rivals.has(`${author}:${epoch}:${seq}`)
    if (frontiers.note(space.id, delta.header, isRival) && via === 'gossip') reconciliation.hurry(space)
  }
}

function notify(group: Group, { crypto, indexer, storms, metrics, events }: TellParts, nowMs: number): void {
  let written = 0
  for (const { space, delta, arrival, own, via, records } of group.admitted) {
    const states = group.records.get(space)
    for (const id of records) {
      // Whoever wrote it will look for it at once; what a session brings is searched when there is time to index it.
      if (via === 'recon') indexer.note(space, id)
      else indexer.noteFresh(space, id, states?.get(id))
      storms.note(space.id, id, delta.header.author, nowMs)
    }
    if (own) written++
    if (events.heard) events.emit({ type: 'memory', change: changeOf(crypto, arrival, delta) })
  }
  if (written > 0) metrics.count('chrysalis_node_written_total', written)
  if (group.admitted.length > written) {
    metrics.count('chrysalis_node_ingested_total', group.admitted.length - written)
  }
}

/** What a person should know: refusals, proofs of double signing, a cloned identity, deltas from the future. */
function report(group: Group, { intake, ballots, clones, indexer, spaces, events, logger, upkeep }: TellParts): void {
  for (const refusal of group.refusals) intake.refuse(refusal.reason)
  for (const { proof } of group.proofs) {
    if (ballots.convict(proof.author)) indexer.recheckValidated(spaces)
    const detail = `author ${proof.author} signed two deltas as number ${proof.seq}`
    logger.log('warn', 'equivocation', { author: proof.author, epoch: proof.epoch, seq: proof.seq })
    events.emit({ type: 'node', what: 'equivocation', detail })
  }
  clones.note(group)
  if (group.held.length > 0) upkeep.scheduleRelease()
}

/**
 * A batch of which only the sync had failed may be back once the store is reopened: nobody was told of it then, so the
 * index and the listeners hear now of what arrived after the last acknowledged position. Never rejects.
 */
export async function tellResurrected(
  acknowledged: Arrival,
  newest: Arrival,
  parts: Pick<TellParts, 'crypto' | 'indexer' | 'events' | 'logger'> & {
    readonly store: Store
    readonly spaces: Spaces
  }
): Promise<void> {
  const { indexer, events, logger, spaces } = parts
  try {
    for (let cursor = String(acknowledged), more = true; more;) {
      const page = await readChanges(parts, { cursor }, newest)
      for (const change of page.changes) {
        const space = spaces.byId(change.space)
        if (space !== undefined) for (const id of change.records) indexer.note(space, id)
        events.emit({ type: 'memory', change })
      }
      cursor = page.cursor
      more = page.more
    }
  } catch (error) {
    logger.log('warn', 'the index may lack what came back with the store', { error: messageOf(error) })
  }
}
