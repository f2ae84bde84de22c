/**
 * Proof on demand: re-checks stored deltas as if they had just arrived (hashes, canonical form, signature, key), and
 * computes the two digests by which two daemons compare themselves.
 */
import { concatBytes, fromHex, toHex, type Bytes } from '../base/bytes.ts'
import { isChrysalisError } from '../base/errors.ts'
import { authorToPeerId } from '../base/peer-id.ts'
import { decodeDelta } from '../memory/delta-codec.ts'
import type { DeltaId, RecordId } from '../memory/ids.ts'
import { verifyDeltaAsync } from '../memory/verify.ts'
import type { Hasher, Verifier } from '../ports/crypto.ts'
import type { Store } from '../ports/store.ts'
import { splitRangeKey } from '../sync/replica.ts'
import type { VerifyReport } from './api.ts'
import { readRecords, type DeltaWatch } from './deltas.ts'
import { scanPrefix } from './restore.ts'
import { authorPrefix, deltaKey, historyPrefix, parseRecordValue } from './rows.ts'
import type { Space } from './space.ts'

export interface AuditPorts {
  readonly store: Store
  readonly crypto: Hasher & Verifier
  readonly watch?: DeltaWatch
}

interface Findings {
  checked: number
  valid: number
  pruned: number
  invalid: { delta: string; reason: string }[]
}

const PAGE_KEYS = 256

/** Checks deltas that should be stored: a row that is gone or damaged is a finding, not the end of the audit. */
async function checkAll(ports: AuditPorts, space: Space, ids: readonly DeltaId[], findings: Findings): Promise<void> {
  const keys = ids.map((id) => deltaKey(space.id, id))
  const rows = await readRecords(
    ports,
    space.id,
    ids.map((id) => ({ id }))
  )
  for (const [index, id] of ids.entries()) {
    const bytes = rows[index]
    if (bytes !== undefined) await check(ports, space, id, bytes, findings)
    else {
      findings.checked++
      findings.invalid.push({ delta: id, reason: await whyUnsound(ports.store, keys[index] as Bytes) })
    }
  }
}

async function whyUnsound(store: Store, key: Bytes): Promise<string> {
  try {
    return (await store.get('delta', key)) === undefined ? 'missing' : 'damaged'
  } catch (error) {
    if (isChrysalisError(error, 'corrupt')) return 'damaged'
    throw error
  }
}

async function check(ports: AuditPorts, space: Space, id: DeltaId, bytes: Bytes, findings: Findings): Promise<void> {
  findings.checked++
  const decoded = decodeDelta(bytes, ports.crypto)
  if (!decoded.ok || decoded.value.id !== id) {
    ports.watch?.suspect(space.id, id)
    findings.invalid.push({ delta: id, reason: decoded.ok ? 'another delta is stored in its place' : decoded.reason })
    return
  }
  const verified = await verifyDeltaAsync(decoded.value, ports.crypto)
  if (!verified.ok) findings.invalid.push({ delta: id, reason: verified.reason })
  else {
    findings.valid++
    if (decoded.value.bodyBytes === null) findings.pruned++
  }
}

/** Every delta of the given records, or every delta of the spaces when no record is named. */
export async function verifyStored(
  ports: AuditPorts,
  spaces: readonly Space[],
  records: readonly { space: Space; id: RecordId }[] | undefined
): Promise<VerifyReport> {
  const findings: Findings = { checked: 0, valid: 0, pruned: 0, invalid: [] }
  if (records === undefined) {
    for (const space of spaces) {
      const view = space.replica.tree.snapshot()
      for (let keys = view.keysFrom(undefined, PAGE_KEYS); keys.length > 0;) {
        const ids = keys.map((key) => splitRangeKey(key).id)
        await checkAll(ports, space, ids, findings)
        keys = view.keysFrom(keys.at(-1), PAGE_KEYS)
      }
    }
  } else {
    for (const { space, id } of records) {
      const history = scanPrefix(ports.store, 'history', historyPrefix(space.id, id))
      for await (const row of history) await checkAll(ports, space, [toHex(row.key.subarray(56, 88))], findings)
    }
  }
  const equivocators = new Set<string>()
  for (const space of spaces) for (const author of await equivocatorsOf(ports.store, space)) equivocators.add(author)
  return { ...findings, equivocators: [...equivocators].sort().map(authorToPeerId) }
}

/** Raw keys of authors with a stored proof. */
export async function equivocatorsOf(store: Store, space: Space): Promise<Set<string>> {
  const authors = new Set<string>()
  for await (const row of scanPrefix(store, 'proof', authorPrefix(space.id), { pageRows: 200 })) {
    authors.add(toHex(row.key.subarray(16, 48)))
  }
  return authors
}

/** SHA-384 chained over (id, canonical state) of every record in id order; 48 zero bytes for none. */
export async function stateDigest(ports: AuditPorts, space: Space): Promise<{ records: number; state: string }> {
  let digest: Bytes = new Uint8Array(48)
  let records = 0
  for await (const row of scanPrefix(ports.store, 'record', fromHex(space.id), { pageRows: 500 })) {
    const { state } = parseRecordValue(row.value)
    digest = ports.crypto.sha384(concatBytes(digest, row.key.subarray(16), state))
    records++
  }
  return { records, state: toHex(digest) }
}
