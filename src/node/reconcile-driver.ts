/**
 * The four conversations of `/chrysalis/recon/1`: a session, started or answered, and two small requests, the outline of a
 * set and single deltas by id. All judgement is in sync/reconciler.ts; sessions are carried by node/session-pump.ts.
 *
 * A session never rejects: whatever breaks becomes its outcome. A request has nothing but its answer, and rejects.
 */
import { compareText, fromHex, toHex, type Hex } from '../base/bytes.ts'
import { ChrysalisError, isChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { DeltaId, SpaceId } from '../memory/ids.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Channel } from '../ports/network.ts'
import type { SetSnapshot } from '../sync/delta-set.ts'
import {
  decodeReconFrame,
  encodeReconFrame,
  PAGE_HEAD_BYTES_MAX,
  RECORD_HEAD_BYTES_MAX,
  type Frame,
  type Part
} from '../sync/recon-codec.ts'
import { outlineOf } from '../sync/recon-outline.ts'
import { deltaReader, SessionLedger, type SessionOutcome } from '../sync/recon-session.ts'
import { Initiator, Responder, type InitiatorOptions, type ResponderOptions } from '../sync/reconciler.ts'
import { SHORT_ID_BYTES } from '../sync/sketch.ts'
import { pumpSession, type SessionPorts } from './session-pump.ts'

export type { SessionOutcome, SessionPorts }

export type InitiatorSession = Omit<InitiatorOptions, 'records' | 'nowMs' | 'bounds'>

/** What a request needs of its ports. */
export type RequestPorts = Pick<SessionPorts, 'clock'>

export type ResponderSession = Pick<ResponderOptions, 'find' | 'nonce' | 'hasher'>

/** Drives a session over a channel just opened. When it resolves the channel is closed, or aborted after a failure. */
export function runInitiator(
  channel: Channel,
  session: InitiatorSession,
  ports: SessionPorts
): Promise<SessionOutcome> {
  const machine = new Initiator({ ...session, records: deltaReader(session.hasher), nowMs: ports.clock.nowMs() })
  return pumpSession(channel, machine, ports)
}

/**
 * Answers whatever a peer has opened a channel for. `find` is called once at most, before anything else is. Undefined when
 * it was a request for an outline or for deltas.
 */
export async function runResponder(
  channel: Channel,
  session: ResponderSession,
  ports: SessionPorts
): Promise<SessionOutcome | undefined> {
  let first: Uint8Array | undefined
  try {
    first = await channel.receive()
  } catch (error) {
    return new SessionLedger().broken(messageOf(error))
  }
  if (first === undefined) return new SessionLedger().broken('the peer closed the channel and had said nothing')
  const frame = decodeReconFrame(first)
  if (frame?.frame === 'outline' || frame?.frame === 'fetch') {
    await answerRequest(channel, frame, session, ports)
    return undefined
  }
  const nowMs = (): number => ports.clock.nowMs()
  const machine = new Responder({ ...session, records: deltaReader(session.hasher), nowMs })
  return pumpSession(channel, machine, ports, first)
}

async function answerRequest(
  channel: Channel,
  request: Frame & { frame: 'outline' | 'fetch' },
  session: ResponderSession,
  ports: SessionPorts
): Promise<void> {
  try {
    const found: SetSnapshot | 'busy' | undefined = session.find(request.space)
    if (found === undefined || found === 'busy') {
      await send(channel, { frame: 'refused', reason: found ?? 'unknown-space' })
    } else if (request.frame === 'outline') {
      const parts = outlineOf(found.tree, request.prefix, request.partDeltasMax)
      await send(channel, { frame: 'parts', parts })
    } else await answerFetch(channel, request, session.hasher, ports)
    await channel.close()
  } catch (error) {
    channel.abort(messageOf(error))
  }
}

/** Records go out as soon as a page of them is full; what is not here is simply not among them. */
async function answerFetch(
  channel: Channel,
  request: Frame & { frame: 'fetch' },
  hasher: Hasher,
  ports: SessionPorts
): Promise<void> {
  const reader = deltaReader(hasher)
  const wanted = new Set(request.ids)
  let page: Uint8Array[] = []
  let bytes = PAGE_HEAD_BYTES_MAX
  for (let at = 0; at < request.ids.length; at += LIMITS.reconLoadKeysMax) {
    const ids = request.ids.slice(at, at + LIMITS.reconLoadKeysMax)
    const shorts = [...new Set(ids.map((id) => id.slice(0, 2 * SHORT_ID_BYTES)))].map(fromHex)
    for (const record of await ports.loadShort(request.space, shorts)) {
      const key = reader.key(record, request.space)
      if (key === undefined || !wanted.delete(toHex(key.subarray(6)))) continue
      bytes += RECORD_HEAD_BYTES_MAX + record.length
      if (bytes > LIMITS.reconFrameBytesMax) {
        await send(channel, { frame: 'fetched', last: false, records: page })
        page = []
        bytes = PAGE_HEAD_BYTES_MAX + RECORD_HEAD_BYTES_MAX + record.length
      }
      page.push(record)
    }
  }
  await send(channel, { frame: 'fetched', last: true, records: page })
}

/**
 * Parts of all that the peer holds under `prefix`: ascending, disjoint, at most LIMITS.reconPartsMax, of at most
 * `partDeltasMax` deltas each as far as so many parts allow. The channel is closed when it resolves. Rejects with
 * ChrysalisError `unavailable` or `timeout` (also when the peer is busy), or `failure` when it broke the protocol, with
 * `data.violation`.
 */
export async function requestOutline(
  channel: Channel,
  request: { readonly space: SpaceId; readonly prefix: Hex; readonly partDeltasMax: number },
  ports: RequestPorts
): Promise<readonly Part[]> {
  return conversation(channel, ports, async () => {
    await send(channel, { frame: 'outline', ...request })
    const answer = await receive(channel)
    if (answer.frame !== 'parts') throw refusedOrBroken(answer)
    if (answer.parts.some((part) => !part.prefix.startsWith(request.prefix))) throw broken('unasked')
    return answer.parts
  })
}

/**
 * The records of these deltas (LIMITS.reconFetchIdsMax at most), those the peer has, in no order and not verified. The
 * channel is closed when it resolves. Rejects as requestOutline does.
 */
export async function requestDeltas(
  channel: Channel,
  request: { readonly space: SpaceId; readonly ids: readonly DeltaId[] },
  ports: RequestPorts
): Promise<readonly Uint8Array[]> {
  return conversation(channel, ports, async () => {
    const ids = [...new Set(request.ids)].sort(compareText)
    await send(channel, { frame: 'fetch', space: request.space, ids })
    const records: Uint8Array[] = []
    for (;;) {
      const answer = await receive(channel)
      if (answer.frame !== 'fetched') throw refusedOrBroken(answer)
      records.push(...answer.records)
      if (records.length > ids.length) throw broken('unasked')
      if (answer.last) return records
      if (answer.records.length === 0) throw broken('no-progress')
    }
  })
}

/** Closes the channel behind an answer, gives it up behind an error, or when a session would have taken too long. */
async function conversation<T>(channel: Channel, ports: RequestPorts, work: () => Promise<T>): Promise<T> {
  const cancel = ports.clock.setTimer(LIMITS.reconSessionMsMax, () => channel.abort('the request took too long'))
  try {
    const answer = await work()
    channel.close().catch(() => undefined)
    return answer
  } catch (error) {
    channel.abort(messageOf(error))
    throw isChrysalisError(error) ? error : new ChrysalisError('unavailable', messageOf(error), { cause: error })
  } finally {
    cancel()
  }
}

function send(channel: Channel, frame: Frame): Promise<void> {
  return channel.send(encodeReconFrame(frame))
}

async function receive(channel: Channel): Promise<Frame> {
  const bytes = await channel.receive()
  if (bytes === undefined) throw unavailable('closed the channel before it had answered')
  const frame = decodeReconFrame(bytes)
  if (frame === undefined) throw broken('malformed')
  return frame
}

function refusedOrBroken(answer: Frame): ChrysalisError {
  return answer.frame === 'refused' ? unavailable(`refused: ${answer.reason}`) : broken('out-of-order')
}

function unavailable(what: string): ChrysalisError {
  return new ChrysalisError('unavailable', `The peer ${what}. No state was touched.`, {
    hint: 'Ask another peer, or this one again later.'
  })
}

function broken(violation: string): ChrysalisError {
  return new ChrysalisError('failure', `The peer broke the protocol: ${violation}. No state was touched.`, {
    hint: 'Report it, and ask another peer.',
    data: { violation }
  })
}
