/**
 * The only names outside the ECMAScript language that a pure room may use. The pure rooms are compiled with no ambient
 * types at all, so this file is the whole list of exceptions; both classes are deterministic.
 */
declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>
  encodeInto(source: string, destination: Uint8Array): { read: number; written: number }
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(input?: Uint8Array): string
}
