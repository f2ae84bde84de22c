/**
 * An author is a raw Ed25519 public key; a person and libp2p read the same key as a peer id: base58 of the identity
 * multihash of the protobuf public key (libp2p peer-ids specification, "Ed25519").
 */
import { concatBytes, fromBase58, fromHex, isHex, toBase58, toHex, type Hex } from './bytes.ts'

/** identity multihash (0x00), 36 bytes, key type Ed25519 (08 01), 32 bytes of key (12 20). */
const PREFIX = new Uint8Array([0x00, 0x24, 0x08, 0x01, 0x12, 0x20])

/** Raw public key (64 hexadecimal digits) to `12D3Koo…`. */
export function authorToPeerId(author: Hex): string {
  return toBase58(concatBytes(PREFIX, fromHex(author)))
}

/** `12D3Koo…` to the raw public key, or undefined when it is no Ed25519 peer id. */
export function peerIdToAuthor(peerId: string): Hex | undefined {
  let bytes: Uint8Array
  try {
    bytes = fromBase58(peerId)
  } catch {
    return undefined
  }
  if (bytes.length !== 38 || toHex(bytes.subarray(0, 6)) !== toHex(PREFIX)) return undefined
  return toHex(bytes.subarray(6))
}

/** Accepts a peer id or a raw key in hexadecimal. */
export function parseAuthor(text: string): Hex | undefined {
  return isHex(text, 32) ? text : peerIdToAuthor(text)
}
