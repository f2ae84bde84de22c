/**
 * The phrases in which the tests of ports/network are written, and what a pane must offer to them. Conditions are waited
 * for, never times.
 */
import assert from 'node:assert/strict'
import { isChrysalisError, type ErrorCode } from '../../src/base/errors.ts'
import type { Channel, Network, TopicHandler } from '../../src/ports/network.ts'

/** Several networks, started and not connected. */
export interface NetworkPane {
  readonly networks: readonly Network[]
  /** Connects `from` to `to`. */
  link(from: number, to: number): Promise<void>
  /** Lets time pass where it is simulated; called between two looks at a condition. */
  breathe(): Promise<void>
  stop(): Promise<void>
}

export interface PaneOptions {
  /** Deadline of one channel frame; the pane's usual one when omitted. */
  readonly streamIdleMs?: number
}

export type NetworkFactory = (count: number, options?: PaneOptions) => Promise<NetworkPane>

export const TOPIC = '/chrysalis/1/00112233445566778899aabbccddeeff'
export const PROTOCOL = '/chrysalis/test/1'
const LOOKS_MAX = 1_500

/** Runs `body` on a fresh pane of `count` networks and stops it whatever happens. */
export type RunOn = (count: number, body: (t: Bench) => Promise<void>, options?: PaneOptions) => Promise<void>

export function runner(factory: NetworkFactory): RunOn {
  return async (count, body, options) => {
    const pane = await factory(count, options)
    try {
      await body(new Bench(pane))
    } finally {
      await pane.stop()
    }
  }
}

/** A pane with the phrases the tests are written in. */
export class Bench {
  readonly #pane: NetworkPane
  #fresh = 0

  constructor(pane: NetworkPane) {
    this.#pane = pane
  }

  at(index: number): Network {
    return this.#pane.networks[index] as Network
  }

  async link(from: number, to: number): Promise<void> {
    await this.#pane.link(from, to)
    await this.until(() => this.linked(from, to) && this.linked(to, from), `link ${from}-${to}`)
  }

  async open(from: number, to: number): Promise<Channel> {
    return this.at(from).open(this.at(to).self, PROTOCOL)
  }

  linked(from: number, to: number): boolean {
    return this.info(from, to)?.connected === true
  }

  /** Whether `from` knows that `to` follows the topic. */
  listens(from: number, to: number): boolean {
    return this.info(from, to)?.topics.includes(TOPIC) === true
  }

  /** Lets a little time pass. */
  async breathe(): Promise<void> {
    await this.#pane.breathe()
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    for (let look = 0; look < LOOKS_MAX; look++) {
      if (condition()) return
      await this.#pane.breathe()
    }
    assert.fail(`waited in vain for: ${what}`)
  }

  /** A mesh link may take a heartbeat to form, so a frame may be lost on the way: fresh ones follow. */
  async publishUntil(from: number, condition: () => boolean, what: string): Promise<void> {
    for (let look = 0; look < LOOKS_MAX; look++) {
      if (condition()) return
      if (look % 10 === 0) await this.at(from).publish(TOPIC, text(`good ${from} ${this.#fresh++}`))
      await this.#pane.breathe()
    }
    assert.fail(`published in vain for: ${what}`)
  }

  async retry(attempt: () => Promise<void>, what: string): Promise<void> {
    for (let look = 0; look < LOOKS_MAX; look++) {
      try {
        return await attempt()
      } catch {
        await this.#pane.breathe()
      }
    }
    assert.fail(`tried in vain: ${what}`)
  }

  info(from: number, to: number): ReturnType<Network['peers']>[number] | undefined {
    return this.at(from)
      .peers()
      .find(({ peer }) => peer === this.at(to).self)
  }
}

export async function echo(channel: Channel): Promise<void> {
  for (let frame = await channel.receive(); frame !== undefined; frame = await channel.receive())
    await channel.send(frame)
}

export function hear(into: string[]): TopicHandler {
  return async (bytes) => {
    into.push(untext(bytes))
    return 'accept'
  }
}

export async function rejects(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(isChrysalisError(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.ok(error.message.length > 10 && (error.hint ?? '').length > 5, 'says what happened and what to do')
    return true
  })
}

export function text(words: string): Uint8Array {
  return new TextEncoder().encode(words)
}

export function untext(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

export function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7 + size) & 255)
}
