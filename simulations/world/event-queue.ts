/**
 * Virtual time. Events run in the order (time, sequence of scheduling); between two instants all microtasks are drained by
 * one real turn of the event loop, so that promises settle as they would in a process with nothing else to do. Nothing
 * ever waits for a real clock: a simulated hour takes as long as its work.
 *
 * Whatever awaits a thread pool or a real timer escapes this clock; simulated panes must not.
 */
import { setImmediate as realTurn } from 'node:timers/promises'
import { MinHeap } from '../../src/base/min-heap.ts'

interface Scheduled {
  readonly atMs: number
  readonly seq: number
  action: (() => void) | undefined
}

export class EventQueue {
  readonly #heap = new MinHeap<Scheduled>((a, b) => a.atMs - b.atMs || a.seq - b.seq)
  #seq = 0
  #nowMs = 0
  #ran = 0
  #live = 0

  /** Milliseconds since the beginning of this world. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Events run so far. */
  get ran(): number {
    return this.#ran
  }

  get size(): number {
    return this.#heap.size
  }

  /** Events that will run: those that were cancelled are kept until they are due, and not counted here. */
  get live(): number {
    return this.#live
  }

  /** Runs `action` once after `delayMs` of virtual time. The returned function cancels it, any number of times. */
  after(delayMs: number, action: () => void): () => void {
    const event: Scheduled = { atMs: this.#nowMs + Math.max(0, delayMs), seq: this.#seq++, action }
    this.#heap.push(event)
    this.#live++
    return () => {
      if (event.action === undefined) return
      event.action = undefined
      this.#live--
    }
  }

  /** Resolves after `delayMs` of virtual time, which somebody else must let pass. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve)
    })
  }

  /** Lets time pass up to `untilMs`, or until `enough` holds after some instant. Returns whether it did. */
  async run(untilMs: number, enough: () => boolean = () => false): Promise<boolean> {
    await realTurn()
    while (!enough()) {
      const next = this.#heap.peek()
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs)
        return enough()
      }
      if (this.#runInstant(next.atMs)) await realTurn()
    }
    return true
  }

  /** Runs what was due at this instant when it began; true when anything was. */
  #runInstant(atMs: number): boolean {
    this.#nowMs = atMs
    const before = this.#seq
    let any = false
    for (let next = this.#heap.peek(); next !== undefined; next = this.#heap.peek()) {
      // What is scheduled for this same instant while it runs waits until the microtasks are drained.
      if (next.atMs !== atMs || next.seq >= before) break
      this.#heap.pop()
      const { action } = next
      if (action === undefined) continue
      next.action = undefined
      this.#live--
      this.#ran++
      any = true
      action()
    }
    return any
  }
}
