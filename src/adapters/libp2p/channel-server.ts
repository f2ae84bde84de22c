/**
 * Serves protocols over streams, within bounds: so many channels of a protocol in all, so many of them for one peer.
 * One more is reset at once, which the opener sees as `unavailable`; it then asks somebody else or tries again.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { messageOf } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logger } from '../../ports/logger.ts'
import type { Metrics } from '../../ports/metrics.ts'
import type { Channel, ChannelHandler, PeerId } from '../../ports/network.ts'
import { StreamChannel, type ChannelDeadlines } from './channels.ts'

export interface ChannelPorts {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

export class ChannelServer {
  readonly #ports: ChannelPorts
  readonly #deadlines: ChannelDeadlines
  /** Every open channel of either direction, so that `stop` can end it. */
  readonly #open = new Set<StreamChannel>()
  readonly #served = new Map<string, Map<StreamChannel, PeerId>>()
  readonly #handling = new Set<Promise<void>>()
  #stopped = false

  constructor(ports: ChannelPorts, deadlines: ChannelDeadlines) {
    this.#ports = ports
    this.#deadlines = deadlines
  }

  /** Channels open now, both directions. */
  get size(): number {
    return this.#open.size
  }

  /** Wraps a stream that we opened. `ended` is called once it is over. */
  adopt(stream: Stream, peer: PeerId, ended: () => void = () => undefined): Channel {
    const channel: StreamChannel = new StreamChannel(stream, peer, this.#ports.clock, this.#deadlines, () => {
      if (this.#open.delete(channel)) ended()
    })
    this.#open.add(channel)
    return channel
  }

  /** Takes an inbound stream: runs `handler` on it, or resets it when the bounds are reached. */
  accept(protocol: string, handler: ChannelHandler, stream: Stream, connection: Connection): void {
    const peer = connection.remotePeer.toString()
    const serving = this.#served.get(protocol) ?? new Map<StreamChannel, PeerId>()
    this.#served.set(protocol, serving)
    const ofPeer = [...serving.values()].filter((other) => other === peer).length
    const full = serving.size >= LIMITS.inboundStreamsPerProtocolMax || ofPeer >= LIMITS.inboundStreamsPerPeerMax
    if (this.#stopped || full) {
      this.#ports.metrics.count('chrysalis_channels_refused_total')
      stream.abort(new Error('too many channels'))
      return
    }
    const channel = this.adopt(stream, peer) as StreamChannel
    serving.set(channel, peer)
    const handling = this.#run(handler, channel).finally(() => {
      serving.delete(channel)
      this.#handling.delete(handling)
    })
    this.#handling.add(handling)
  }

  /** Ends every channel and waits for the handlers. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const channel of [...this.#open]) channel.abort('the daemon is stopping')
    await Promise.allSettled([...this.#handling])
  }

  async #run(handler: ChannelHandler, channel: StreamChannel): Promise<void> {
    try {
      await handler(channel)
      await channel.close()
    } catch (error) {
      const message = messageOf(error)
      this.#ports.logger.log('debug', 'a channel ended in an error', { peer: channel.peer, error: message })
      channel.abort(message)
    }
  }
}
