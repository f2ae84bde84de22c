/**
 * What gossip weighs on the wire beside the message itself, encoded by gossipsub's own codec, with the length that goes
 * before every frame: an announcement and a request of one id each, and the envelope of a copy. With many messages in
 * flight one frame carries many ids, so this is the dear case.
 */
import { RPC } from '@libp2p/gossipsub/message'
import { topicOf } from '../../src/memory/names.ts'

/** Bytes of a message id: src/adapters/libp2p/gossip-options.ts. */
const ID = new Uint8Array(20)
/** A frame below 128 bytes has one byte of length before it. */
const LENGTH_BYTES = 1

const TOPIC = topicOf('0'.repeat(32))
/** Bytes of a frame, for its lengths: a frame of one small delta. */
const PAYLOAD = new Uint8Array(400)

export const frameBytes = {
  ihave: controlBytes({ ihave: [{ topicID: TOPIC, messageIDs: [ID] }], iwant: [] }),
  iwant: controlBytes({ ihave: [], iwant: [{ messageIDs: [ID] }] }),
  /** Of one copy, without the message. */
  envelope: RPC.encode({ subscriptions: [], messages: [{ topic: TOPIC, data: PAYLOAD }] }).length + 2 - PAYLOAD.length
}

function controlBytes(control: {
  ihave: { topicID: string; messageIDs: Uint8Array[] }[]
  iwant: { messageIDs: Uint8Array[] }[]
}): number {
  const frame = { subscriptions: [], messages: [], control: { ...control, graft: [], prune: [], idontwant: [] } }
  return RPC.encode(frame).length + LENGTH_BYTES
}
