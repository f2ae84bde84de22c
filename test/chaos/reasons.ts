/** What a daemon's status says about its health, without the sentences that every start has for a while. */
import type { Result } from '../../src/rpc/schema/methods.ts'

const EVERYDAY = /index is being rebuilt|the daemon is starting|dated ahead of this machine's clock/

export function unusualReasons({ reasons }: Result<'node.status'>): string[] {
  return reasons.filter((reason) => !EVERYDAY.test(reason))
}
