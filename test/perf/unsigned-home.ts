/**
 * A home with a set of any size, for measurements of the set: rows and checkpoints made by the daemon's own replica and
 * writer's code, on real LevelDB. Only the signatures are left out, because making a million of them takes a minute, and
 * whoever measures a set looks at none.
 */
import { rm } from 'node:fs/promises'
import { openLevelStore } from '../../src/adapters/level/level-store.ts'
import { migrate } from '../../src/adapters/level/migrations.ts'
import { systemClock } from '../../src/adapters/system/clock.ts'
import { createMetrics } from '../../src/adapters/system/counters.ts'
import { createCrypto } from '../../src/adapters/system/crypto.ts'
import { systemRandom } from '../../src/adapters/system/random.ts'
import { openHome } from '../../src/daemon/home.ts'
import { composeAdd } from '../../src/memory/compose.ts'
import type { VerifiedDelta } from '../../src/memory/delta.ts'
import { hlcOf } from '../../src/memory/ids.ts'
import { sealDelta } from '../../src/memory/seal.ts'
import { Checkpoints } from '../../src/node/checkpoint.ts'
import { collect, emptyGroup, persist } from '../../src/node/perform.ts'
import { WorkingSet } from '../../src/node/records.ts'
import type { Space } from '../../src/node/space.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import type { Store } from '../../src/ports/store.ts'
import { Replica } from '../../src/sync/replica.ts'
import { memory } from './corpus.ts'

const AUTHORS = 50
/** Deltas of one batch of rows. */
const GROUP = 1_000
const UNSIGNED = new Uint8Array(64)

/** A home as `count` deltas of strangers leave it, each creating a memory, and a checkpoint at the end. */
export async function fillUnsigned(home: string, count: number): Promise<void> {
  const opened = await openHome(home)
  await rm(opened.paths.state, { force: true })
  const store = await openLevelStore(opened.paths.data)
  await migrate(store)
  const here = opened.spaces.find((space) => space.isDefault)
  if (here === undefined) throw new Error('a home has a space')
  const crypto = createCrypto(opened.identity.seed)
  const records = new WorkingSet(here.id)
  const facts = { space: here.id, policy: here.policy, creator: here.creator }
  const replica = new Replica({ facts, epoch: 'ee'.repeat(8) }, { crypto, random: systemRandom, records })
  const space = { id: here.id, replica } as unknown as Space
  let arrival = 0
  const checkpoints = checkpointsOf(store, crypto, space, () => arrival)
  await checkpoints.begin({ since: 0, base: 0, spaces: new Map(), stale: [], unstored: 0 })
  let group = emptyGroup()
  for (const delta of unsignedDeltas(here.id, count)) {
    const effects = replica.handle({ input: 'delta', delta, via: 'recon', rivals: [] }, Date.now())
    collect(group, space, effects, () => ++arrival)
    if (group.admitted.length < GROUP && arrival < count) continue
    await persist(group, store, { durable: false })
    checkpoints.noted(group.admitted.length)
    records.reset()
    group = emptyGroup()
  }
  await checkpoints.stop()
  await store.close()
}

function checkpointsOf(store: Store, crypto: ReturnType<typeof createCrypto>, space: Space, arrival: () => number) {
  return new Checkpoints(
    {},
    {
      store,
      crypto,
      clock: systemClock,
      logger: silentLogger,
      metrics: createMetrics(),
      spaces: () => [space],
      storedArrival: arrival
    }
  )
}

function* unsignedDeltas(space: string, count: number): Generator<VerifiedDelta> {
  const writers = Array.from({ length: AUTHORS }, (_, n) => ({
    crypto: { ...createCrypto(new Uint8Array(32).fill(n + 1)), sign: () => UNSIGNED },
    epoch: (n + 1).toString(16).padStart(16, '0'),
    last: undefined as VerifiedDelta | undefined
  }))
  const firstMs = Date.now() - count * 3 - 10_000
  for (let n = 0; n < count; n++) {
    const writer = writers[n % AUTHORS] as (typeof writers)[number]
    const { crypto, epoch, last } = writer
    const seq = last === undefined ? 0 : last.header.seq + 1
    const hlc = hlcOf(firstMs + n * 3)
    const delta = sealDelta(
      { space, epoch, seq, prev: last?.id ?? null, hlc, parents: [], ops: composeAdd(memory(n), 0) },
      crypto
    )
    writer.last = delta
    yield delta
  }
}
