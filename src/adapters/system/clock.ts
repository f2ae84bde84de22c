/**
 * The system's time. Wall time for stamps, the monotonic clock for durations, timers for schedules.
 *
 * Timers do not keep the process alive: a daemon lives by its listening sockets, and a forgotten schedule must not be
 * able to stop it from ending.
 */
import type { Clock } from '../../ports/clock.ts'

/** The longest delay that setTimeout takes; it silently turns a longer one into 1 ms. */
const DELAY_MS_MAX = 2 ** 31 - 1

export interface SystemClockOptions {
  /** true only for a program that has nothing else to live by. Default false. */
  readonly timersKeepProcessAlive?: boolean
}

export function createSystemClock(options: SystemClockOptions = {}): Clock {
  const keepAlive = options.timersKeepProcessAlive ?? false
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    setTimer: (delayMs, action) => startTimer(delayMs, action, keepAlive)
  }
}

export const systemClock: Clock = createSystemClock()

/** Delays below zero count as zero; those beyond 24.8 days are waited for in pieces. */
function startTimer(delayMs: number, action: () => void, keepAlive: boolean): () => void {
  let timer: NodeJS.Timeout
  const wait = (leftMs: number): void => {
    const pieceMs = Math.min(Math.max(leftMs, 0), DELAY_MS_MAX)
    timer = setTimeout(() => {
      if (leftMs > pieceMs) wait(leftMs - pieceMs)
      else action()
    }, pieceMs)
    if (!keepAlive) timer.unref()
  }
  wait(delayMs)
  return () => {
    clearTimeout(timer)
  }
}
