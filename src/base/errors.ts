/**
 * Operating errors. One table gives every error its code, its number at the RPC door and its exit status at the command
 * line; the table only grows. Pure rooms return verdicts; these errors are thrown at ports and doors.
 */

export const ERRORS = {
  failure: { rpc: 1000, exit: 1, retryable: false },
  not_found: { rpc: 1001, exit: 4, retryable: false },
  denied: { rpc: 1002, exit: 5, retryable: false },
  conflict: { rpc: 1003, exit: 7, retryable: true },
  invalid_state: { rpc: 1004, exit: 7, retryable: false },
  quota: { rpc: 1005, exit: 1, retryable: true },
  rate_limited: { rpc: 1006, exit: 1, retryable: true },
  too_large: { rpc: 1007, exit: 2, retryable: false },
  unavailable: { rpc: 1008, exit: 1, retryable: true },
  timeout: { rpc: 1009, exit: 6, retryable: true },
  unsupported_version: { rpc: 1010, exit: 12, retryable: false },
  read_only: { rpc: 1013, exit: 7, retryable: true },
  disk_full: { rpc: 1014, exit: 7, retryable: true },
  corrupt: { rpc: 1015, exit: 9, retryable: false },
  ticket: { rpc: 1017, exit: 5, retryable: false },
  invalid_argument: { rpc: -32602, exit: 2, retryable: false },
  usage: { rpc: -32602, exit: 2, retryable: false },
  config: { rpc: 1018, exit: 2, retryable: false },
  ambiguous_id: { rpc: 1019, exit: 2, retryable: false },
  daemon_unreachable: { rpc: 1020, exit: 3, retryable: true },
  partial: { rpc: 1021, exit: 8, retryable: true },
  verification_failed: { rpc: 1022, exit: 9, retryable: false },
  not_initialised: { rpc: 1023, exit: 10, retryable: false },
  home_locked: { rpc: 1024, exit: 11, retryable: true },
  permissions: { rpc: 1025, exit: 5, retryable: false },
  passphrase: { rpc: 1026, exit: 5, retryable: false },
  address_in_use: { rpc: 1027, exit: 1, retryable: true },
  cancelled: { rpc: 1028, exit: 130, retryable: true },
  secret_refused: { rpc: 1029, exit: 2, retryable: false }
} as const

export type ErrorCode = keyof typeof ERRORS

export interface ErrorDetails {
  /** What the reader should do now: a full sentence, with the command if there is one. */
  hint?: string
  /** Whether anything had been written when the error was raised. Default false: state is untouched. */
  stateTouched?: boolean
  /** Overrides the table. */
  retryable?: boolean
  /** Machine-readable particulars. */
  data?: Record<string, unknown>
  cause?: unknown
}

export class ChrysalisError extends Error {
  override readonly name = 'ChrysalisError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly stateTouched: boolean
  readonly retryable: boolean
  readonly data: Record<string, unknown> | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.hint = details.hint
    this.stateTouched = details.stateTouched ?? false
    this.retryable = details.retryable ?? ERRORS[code].retryable
    this.data = details.data
  }
}

export function isChrysalisError(error: unknown, code?: ErrorCode): error is ChrysalisError {
  return error instanceof ChrysalisError && (code === undefined || error.code === code)
}

/** The message of anything that can be thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
