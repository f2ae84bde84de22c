/** A channel that counts what passes through it, so that a session can say what it cost on the wire. */
import type { Channel, PeerId } from '../ports/network.ts'

export class MeteredChannel implements Channel {
  readonly peer: PeerId
  readonly #channel: Channel
  readonly #heard: () => void
  /** Bytes of all frames, both ways; the transport's own heads are not among them. */
  bytes = 0

  /** `heard`: called at every frame that arrives. */
  constructor(channel: Channel, heard: () => void = () => undefined) {
    this.#channel = channel
    this.#heard = heard
    this.peer = channel.peer
  }

  async send(frame: Uint8Array): Promise<void> {
    await this.#channel.send(frame)
    this.bytes += frame.length
  }

  async receive(): Promise<Uint8Array | undefined> {
    const frame = await this.#channel.receive()
    this.bytes += frame?.length ?? 0
    this.#heard()
    return frame
  }

  close(): Promise<void> {
    return this.#channel.close()
  }

  abort(reason: string): void {
    this.#channel.abort(reason)
  }
}
