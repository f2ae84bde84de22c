/**
 * The rest of persist → send → notify, once a group is on disk and acknowledged: first the outboxes, then the index,
 * then whoever listens. Nothing here is awaited and nothing may throw; what is lost here is made good by anti-entropy
 * or by the arrival log.
 */
import { messageOf } from '../base/errors.ts'
import { encodeDelta } from '../memory/delta-codec.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Ballots } from './ballots.ts'
import type { Store } from '../ports/store.ts'
import { changeOf, readChanges } from './changes.ts'
import type { Events } from './events.ts'
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
  readonly indexer: Indexer
  readonly storms: Storms
  readonly events: Events
  readonly intake: Intake
  readonly ballots: Ballots
  readonly upkeep: Upkeep
  readonly spaces: Spaces
}

export function tell(group: Group, parts: TellParts): void {
  const nowMs = parts.clock.nowMs()
  send(group, parts, nowMs)
  notify(group, parts, nowMs)
  report(group, parts)
}

function send(group: Group, { sender, reconciliation }: TellParts, nowMs: number): void {
  for (const { space, delta, own, arrival } of group.admitted) {
    if (own && space.options.shared) space.unoffered.add(delta.id, arrival)
  }
  for (const { space, delta, own } of group.announcements) {
    if (!space.options.shared) continue
    space.outbox.add({ id: delta.id, record: encodeDelta(delta) }, deltaImportance(delta), nowMs)
    if (own) reconciliation.hurry(space)
    sender.schedule(space)
  }
}

function notify(group: Group, { crypto, indexer, storms, metrics, events }: TellParts, nowMs: number): void {
  for (const { space, delta, arrival, own, records } of group.admitted) {
    for (const id of records) {
      indexer.note(space, id)
      storms.note(space.id, id, delta.header.author, nowMs)
    }
    metrics.count(own ? 'chrysalis_node_written_total' : 'chrysalis_node_ingested_total')
    events.emit({ type: 'memory', change: changeOf(crypto, arrival, delta) })
  }
}

/** What a person should know: refusals, proofs of double signing, a cloned identity, deltas from the future. */
function report(group: Group, { intake, ballots, indexer, spaces, events, logger, upkeep }: TellParts): void {
  for (const refusal of group.refusals) intake.refuse(refusal.reason)
  for (const { proof } of group.proofs) {
    if (ballots.convict(proof.author)) indexer.recheckValidated(spaces)
    const detail = `author ${proof.author} signed two deltas as number ${proof.seq}`
    logger.log('warn', 'equivocation', { author: proof.author, epoch: proof.epoch, seq: proof.seq })
    events.emit({ type: 'node', what: 'equivocation', detail })
  }
  for (const { epoch, because } of group.epochs) {
    const detail = 'deltas signed by this identity arrived from outside; a new epoch begins'
    logger.log('error', 'this identity has written elsewhere; a new epoch begins', { epoch, because })
    events.emit({ type: 'node', what: 'identity-cloned', detail })
  }
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
