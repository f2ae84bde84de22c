/** A channel that counts what passes through it, so that a session can say what it cost on the wire. */
import type { Channel, PeerId } from '../ports/network.ts'

export class MeteredChannel implements Channel {
  readonly peer: PeerId
  readonly #channel: Channel
  /** Bytes of all frames, both ways; the transport's own heads are not among them. */
  bytes = 0

  constructor(channel: Channel) {
    this.#channel = channel
    this.peer = channel.peer
  }

  async send(frame: Uint8Array): Promise<void> {
    await this.#channel.send(frame)
    this.bytes += frame.length
  }

  async receive(): Promise<Uint8Array | undefined> {
    const frame = await this.#channel.receive()
    this.bytes += frame?.length ?? 0
    return frame
  }

  close(): Promise<void> {
    return this.#channel.close()
  }

  abort(reason: string): void {
    this.#channel.abort(reason)
  }
}
