/** What happened, for a person. Data is machine-readable; memory content never goes into it. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface Logger {
  log(level: LogLevel, message: string, data?: Record<string, unknown>): void
}

export const silentLogger: Logger = {
  log() {
    // Nothing is said on purpose.
  }
}
