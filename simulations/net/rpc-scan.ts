/**
 * What one gossipsub RPC carries, read off its bytes (protocol buffers; gossipsub specification, rpc.proto): the frames in
 * it, and whether it changes the standing of the link. It looks at three fields and skips the rest; bytes that are no RPC
 * are an RPC with nothing in it.
 */

export interface RpcContents {
  /** Data of the published messages, views into the bytes. */
  readonly frames: readonly Uint8Array[]
  /** It tells of subscriptions, or grafts, or prunes: what is never told twice over one connection. */
  readonly isStanding: boolean
}

const NOTHING: RpcContents = { frames: [], isStanding: false }

/** Field numbers. */
const RPC_SUBSCRIPTIONS = 1
const RPC_MESSAGE = 2
const RPC_CONTROL = 3
const MESSAGE_DATA = 2
const CONTROL_GRAFT = 3
const CONTROL_PRUNE = 4

/** `bytes`: one RPC with its length in front. */
export function scanRpc(bytes: Uint8Array): RpcContents {
  const head = varint(bytes, 0)
  if (head === undefined) return NOTHING
  const frames: Uint8Array[] = []
  let isStanding = false
  for (const [field, content] of fields(bytes.subarray(head.end))) {
    if (field === RPC_SUBSCRIPTIONS) isStanding = true
    if (field === RPC_MESSAGE) {
      for (const [inner, data] of fields(content)) if (inner === MESSAGE_DATA) frames.push(data)
    }
    if (field === RPC_CONTROL) {
      for (const [inner] of fields(content)) isStanding ||= inner === CONTROL_GRAFT || inner === CONTROL_PRUNE
    }
  }
  return { frames, isStanding }
}

/** Length-delimited fields of a message, in order, up to the first byte that makes no sense. */
function* fields(bytes: Uint8Array): Generator<readonly [field: number, content: Uint8Array]> {
  for (let at = 0; at < bytes.length;) {
    const tag = varint(bytes, at)
    if (tag === undefined) return
    const value = varint(bytes, tag.end)
    if (value === undefined) return
    at = value.end
    switch (tag.value & 7) {
      case 0:
        break
      case 2: {
        if (at + value.value > bytes.length) return
        yield [tag.value >>> 3, bytes.subarray(at, at + value.value)]
        at += value.value
        break
      }
      default:
        return
    }
  }
}

/** Up to 2^31 - 1. */
function varint(bytes: Uint8Array, from: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0
  for (let at = from, shift = 0; shift < 31; at++, shift += 7) {
    const byte = bytes[at]
    if (byte === undefined) return undefined
    value += (byte & 127) * 2 ** shift
    if (byte < 128) return { value, end: at + 1 }
  }
  return undefined
}
