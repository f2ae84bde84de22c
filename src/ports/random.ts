/** Chance. Production: the system's generator; simulation: one seeded stream for each component. */
export interface Random {
  /** A float in [0, 1). */
  unit(): number
  /** An integer in [0, bound). */
  below(bound: number): number
  /** Unpredictable bytes in production, reproducible ones in simulation. */
  bytes(length: number): Uint8Array
  /** An independent stream. */
  fork(label: string): Random
}
