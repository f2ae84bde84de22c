/**
 * An author is a raw Ed25519 public key; a person and libp2p read the same key as a peer id: base58 of the identity
 * multihash of the protobuf public key (libp2p peer-ids specification, "Ed25519").
 */
import { concatBytes, fromBase58, fromHex, isHex, toBase58, toHex, type Hex } from './bytes.ts'
import { GenerationMap } from './generation-map.ts'

const NAMES_MAX = 4_096

/** identity multihash (0x00), 36 bytes, key type Ed25519 (08 01), 32 bytes of key (12 20). */
const PREFIX = new Uint8Array([0x00, 0x24, 0x08, 0x01, 0x12, 0x20])

/** Every answer shows names of authors, who are few: writing one in base 58 takes as long as finding the memory. */
const names = new GenerationMap<Hex, string>(NAMES_MAX)

/** Raw public key (64 hexadecimal digits) to `12D3Koo…`. */
export function authorToPeerId(author: Hex): string {
  let name = names.get(author)
  if (name === undefined) {
    name = toBase58(concatBytes(PREFIX, fromHex(author)))
    names.set(author, name)
  }
  return name
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
