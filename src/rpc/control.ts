/**
 * What the daemon does that the engine does not: stopping, letting others in, and knowing its own configuration. The
 * daemon implements this and hands it to the RPC server beside the engine.
 */
import type { Tokens } from './identity.ts'

export interface Invitation {
  readonly ticket: string
  /** Name of the space. */
  readonly space: string
  readonly expiresAtMs: number
  readonly uses: number
}

export interface Admission {
  readonly space: { readonly name: string; readonly id: string }
  readonly addresses: readonly string[]
  /** The network key changed: the daemon restarts by itself and this connection will end. */
  readonly restarting: boolean
}

export interface ConfigurationEntry {
  /** Dotted path, as `network.fanout`. */
  readonly key: string
  readonly value: unknown
  readonly source: 'default' | 'file' | 'environment' | 'flag'
}

/** Methods that return promises reject with ChrysalisError only. */
export interface Control {
  /**
   * Asks the daemon to stop and returns at once: it is called after the answer was written, and stopping will in turn
   * close the server that called it.
   */
  stop(): void
  invite(request: { space?: string; expiresInMs?: number; uses?: number }): Promise<Invitation>
  join(request: { ticket: string; force?: boolean }): Promise<Admission>
  configuration(): readonly ConfigurationEntry[]
  /** Who else may use the door. */
  readonly tokens: Tokens
}
