/** The space of a simulated world, made as a daemon makes one. */
import { toHex } from '../../src/base/bytes.ts'
import type { AuthorId, SpaceId } from '../../src/memory/ids.ts'
import { encodeGenesis, spaceIdOf } from '../../src/memory/names.ts'
import type { Crypto } from '../../src/ports/crypto.ts'
import { WORLD_EPOCH_MS } from './sim-clock.ts'

export interface SimSpace {
  readonly id: SpaceId
  readonly creator: AuthorId
}

/** Equal creators and names are equal spaces. */
export function genesisSpace(crypto: Crypto, name: string): SimSpace {
  const creator = toHex(crypto.publicKey)
  const nonce = '00'.repeat(16)
  const genesis = encodeGenesis({ version: 1, creator, name, policy: 'open', nonce, createdMs: WORLD_EPOCH_MS })
  return { id: spaceIdOf(crypto, genesis), creator }
}
