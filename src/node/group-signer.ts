/**
 * Signatures of one group of writes, made while the group is still being put together. What an author signs, and the id
 * of the delta, follow from the header alone, so the next delta of the chain does not wait for the signature of the one
 * before: a replica leaves 64 bytes open, the platform fills them on other threads, and the writer waits for all of them
 * before anything of the group is written or shown. Places in the chain are given out in order, by the machine, as ever.
 *
 * A write that comes alone is signed at once: the way to another thread and back would only delay it.
 */
import type { Hasher, Signer } from '../ports/crypto.ts'

interface Job {
  readonly message: Uint8Array
  readonly into: Uint8Array
}

/** Waiting jobs that make it worth to involve other threads. */
const TOGETHER_MIN = 4

export class GroupSigner implements Hasher, Signer {
  readonly publicKey: Uint8Array
  readonly #crypto: Hasher & Signer
  readonly #waiting: Job[] = []
  readonly #underWay: Promise<void>[] = []

  constructor(crypto: Hasher & Signer) {
    this.#crypto = crypto
    this.publicKey = crypto.publicKey
  }

  sha384(bytes: Uint8Array): Uint8Array {
    return this.#crypto.sha384(bytes)
  }

  sign(message: Uint8Array): Uint8Array {
    return this.#crypto.sign(message)
  }

  /** `into` is filled when the next `finish` has resolved. */
  signInto(message: Uint8Array, into: Uint8Array): void {
    this.#waiting.push({ message, into })
    if (this.#crypto.signAsync === undefined) return
    if (this.#underWay.length > 0 || this.#waiting.length >= TOGETHER_MIN) {
      for (const job of this.#waiting.splice(0)) this.#underWay.push(this.#start(job))
    }
  }

  /** Resolves once every signature asked for so far is in its place; rejects when one could not be made. */
  async finish(): Promise<void> {
    for (const { message, into } of this.#waiting.splice(0)) into.set(this.#crypto.sign(message))
    const underWay = this.#underWay.splice(0)
    if (underWay.length > 0) await Promise.all(underWay)
  }

  async #start({ message, into }: Job): Promise<void> {
    into.set((await this.#crypto.signAsync?.(message)) ?? this.#crypto.sign(message))
  }
}
