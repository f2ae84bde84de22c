/**
 * Virtual time and seeded chance for code that asks the process for them: libraries set timers, read the clock and roll
 * dice through globals, and while a world runs these globals belong to its queue and its seed. Nothing set through them
 * ever waits for a real clock, and equal seeds give equal runs.
 *
 * What took a reference before (`import { setTimeout } from 'node:timers'`) escapes, and so does whatever awaits a thread
 * pool; `escaped` counts real timers, so that a test can prove there are none. One world at a time: the globals are one.
 */
import type { Random } from '../../src/ports/random.ts'
import type { EventQueue } from '../world/event-queue.ts'
import { WORLD_EPOCH_MS } from '../world/sim-clock.ts'

export interface VirtualGlobals {
  /** Puts everything back. Idempotent. */
  restore(): void
  /**
   * Real timers that keep this process alive, came into being since the globals were taken over, and are still there.
   */
  escaped(): number
}

let isTaken = false

/**
 * Takes over setTimeout, setInterval, setImmediate and what clears them, Date, performance.now, Math.random,
 * crypto.getRandomValues, crypto.randomUUID and AbortSignal.timeout. Throws when a world has them already.
 */
export function virtualGlobals(queue: EventQueue, random: Random): VirtualGlobals {
  if (isTaken) throw new Error('another world runs in this process: stop it first')
  isTaken = true
  const before = realTimers()
  const undo = [
    replaceAll(globalThis, { ...timers(queue), Date: virtualDate(queue) }),
    replaceAll(performance, { now: () => queue.nowMs }),
    replaceAll(Math, { random: () => random.unit() }),
    replaceAll(crypto, chance(random)),
    replaceAll(AbortSignal, { timeout: (ms: number) => abortAfter(queue, ms) })
  ]
  return {
    restore() {
      if (undo.length === 0) return
      for (const put of undo.splice(0).reverse()) put()
      isTaken = false
    },
    escaped: () => Math.max(0, realTimers() - before)
  }
}

function realTimers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
}

/** Sets properties of `target`; the returned function puts back what was there, and removes what was not. */
function replaceAll(target: object, values: Readonly<Record<string, unknown>>): () => void {
  const before = Object.keys(values).map((name) => [name, Object.getOwnPropertyDescriptor(target, name)] as const)
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(target, name, { value, configurable: true, enumerable: true, writable: true })
  }
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor !== undefined) Object.defineProperty(target, name, descriptor)
      else Reflect.deleteProperty(target, name)
    }
  }
}

type Callback = (...args: unknown[]) => void

/** What Node's timers return, as far as anybody uses it. */
class VirtualTimer {
  readonly #queue: EventQueue
  readonly #delayMs: number
  readonly #repeats: boolean
  readonly #run: () => void
  readonly id: number
  #cancel: (() => void) | undefined = undefined
  #hasRef = true

  constructor(queue: EventQueue, id: number, delayMs: number, repeats: boolean, run: () => void) {
    this.#queue = queue
    this.#delayMs = delayMs
    this.#repeats = repeats
    this.#run = run
    this.id = id
    this.#arm()
  }

  #arm(): void {
    this.#cancel = this.#queue.after(this.#delayMs, () => {
      this.#cancel = undefined
      this.#fire()
    })
  }

  #fire(): void {
    // Armed before it runs, so that what runs can clear it.
    if (this.#repeats) this.#arm()
    this.#run()
  }

  clear(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  close(): this {
    this.clear()
    return this
  }

  /** Starts over, also when it has fired. */
  refresh(): this {
    this.clear()
    this.#arm()
    return this
  }

  /** A virtual world goes on for as long as somebody lets it: no timer keeps it alive. */
  ref(): this {
    this.#hasRef = true
    return this
  }

  unref(): this {
    this.#hasRef = false
    return this
  }

  hasRef(): boolean {
    return this.#hasRef
  }

  [Symbol.toPrimitive](): number {
    return this.id
  }

  [Symbol.dispose](): void {
    this.clear()
  }
}

function timers(queue: EventQueue): Record<string, unknown> {
  let ids = 0
  /** Those that were turned into a number; only they need to be found again by it. */
  const numbered = new Map<number, WeakRef<VirtualTimer>>()
  const set = (repeats: boolean, least: number) => {
    return (run: Callback, delayMs?: unknown, ...args: unknown[]): VirtualTimer => {
      const timer = new NumberedTimer(queue, ++ids, delayOf(delayMs, least), repeats, () => {
        run(...args)
      })
      timer.onNumber = () => numbered.set(timer.id, new WeakRef(timer))
      return timer
    }
  }
  const clear = (timer: unknown): void => {
    if (timer instanceof VirtualTimer) timer.clear()
    else if (typeof timer === 'number' || typeof timer === 'string') {
      numbered.get(Number(timer))?.deref()?.clear()
      numbered.delete(Number(timer))
    }
  }
  const after = set(false, 1)
  return {
    setTimeout: after,
    setInterval: set(true, 1),
    setImmediate: (run: Callback, ...args: unknown[]) => new VirtualTimer(queue, ++ids, 0, false, () => run(...args)),
    clearTimeout: clear,
    clearInterval: clear,
    clearImmediate: clear
  }
}

class NumberedTimer extends VirtualTimer {
  onNumber: () => void = () => undefined;

  override [Symbol.toPrimitive](): number {
    this.onNumber()
    return this.id
  }
}

/** As Node reads a delay: what is no number, too small or too large is the least. */
function delayOf(delayMs: unknown, least: number): number {
  const ms = Number(delayMs)
  return ms >= least && ms <= 2_147_483_647 ? ms : least
}

function virtualDate(queue: EventQueue): DateConstructor {
  const RealDate = Date
  const nowMs = (): number => WORLD_EPOCH_MS + Math.floor(queue.nowMs)
  const VirtualDate = function (this: unknown, ...args: []): Date | string {
    // Called without `new` it is a text, whatever it is given.
    if (new.target === undefined) return new RealDate(nowMs()).toString()
    const made = args.length === 0 ? new RealDate(nowMs()) : new RealDate(...args)
    return Object.setPrototypeOf(made, new.target.prototype as object) as Date
  }
  VirtualDate.prototype = RealDate.prototype
  VirtualDate.now = nowMs
  VirtualDate.parse = (text: string) => RealDate.parse(text)
  VirtualDate.UTC = (...parts: Parameters<typeof Date.UTC>) => RealDate.UTC(...parts)
  return VirtualDate as unknown as DateConstructor
}

function chance(random: Random): Record<string, unknown> {
  return {
    getRandomValues: <T extends ArrayBufferView>(into: T): T => {
      new Uint8Array(into.buffer, into.byteOffset, into.byteLength).set(random.bytes(into.byteLength))
      return into
    },
    randomUUID: () => {
      const bytes = random.bytes(16)
      bytes[6] = ((bytes[6] as number) & 15) | 64
      bytes[8] = ((bytes[8] as number) & 63) | 128
      const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
    }
  }
}

function abortAfter(queue: EventQueue, ms: number): AbortSignal {
  const controller = new AbortController()
  queue.after(ms, () => {
    controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'))
  })
  return controller.signal
}
