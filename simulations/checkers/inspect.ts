/**
 * A world at rest, as plain data: what is on the disk of every honest node, read row by row, and every distinct delta
 * decoded and verified once. Checkers work on this and not on the engines, so that a test can tamper with it.
 *
 * Signatures are verified with the platform's own Ed25519 and not with the code under test; where a world runs on the
 * fast stand-in for it, with that.
 */
import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto'
import { createVerifier } from '../../src/adapters/system/crypto.ts'
import { bytesToUint, concatBytes, fromHex, toBase64Url, toHex, utf8, type Hex } from '../../src/base/bytes.ts'
import { decodeDelta } from '../../src/memory/delta-codec.ts'
import type { Delta } from '../../src/memory/delta.ts'
import type { AuthorId, DeltaId, Epoch, RecordId, SpaceId } from '../../src/memory/ids.ts'
import type { DigestAnswer } from '../../src/node/api.ts'
import { decodeHeads, decodeProofIds, META, parseAuthorKey, parseRecordValue } from '../../src/node/rows.ts'
import { keyAfter, type Store, type StoreEntry, type Table } from '../../src/ports/store.ts'
import type { PeerId } from '../../src/ports/network.ts'
import type { SimNode } from '../world/sim-node.ts'
import type { Evidence } from './checker.ts'

/** One delta row. */
export interface StoredDelta {
  readonly id: DeltaId
  /** Its bytes, in hexadecimal. */
  readonly record: Hex
}

export interface AuthorRow {
  readonly author: AuthorId
  readonly epoch: Epoch
  readonly seq: number
  readonly id: DeltaId
}

/** The disk of one honest node, and what its engine says of itself. */
export interface NodeView {
  readonly name: string
  readonly peer: PeerId
  readonly author: AuthorId
  /** Delta id to the bytes of its record, in hexadecimal. */
  readonly deltas: ReadonlyMap<DeltaId, Hex>
  /** In the order of arrival. */
  readonly arrivals: readonly { readonly position: number; readonly id: DeltaId }[]
  readonly ranges: ReadonlySet<DeltaId>
  readonly authors: readonly AuthorRow[]
  /** Canonical states, in hexadecimal. */
  readonly records: ReadonlyMap<RecordId, Hex>
  /** `author:epoch:seq` of every proof, and the ids it names. */
  readonly proofs: ReadonlyMap<string, readonly DeltaId[]>
  /** Held back because they are dated ahead. */
  readonly held: readonly Delta[]
  readonly heads: readonly DeltaId[]
  /** Undefined when the node is down. */
  readonly digest: DigestAnswer | undefined
  readonly counters: Readonly<Record<string, number>>
}

/** A distinct delta, found on some disk. */
export interface Known {
  readonly delta: Delta
  /** Why no honest daemon may hold it; undefined when it is sound. */
  readonly flaw: string | undefined
}

export interface Scene {
  readonly evidence: Evidence
  readonly space: SpaceId
  readonly views: readonly NodeView[]
  /** Every delta on any honest disk. */
  readonly known: ReadonlyMap<DeltaId, Known>
  readonly honest: ReadonlySet<AuthorId>
  /** Authors whose log may have lost its tail, or was written by two processes. */
  readonly unsteady: ReadonlySet<AuthorId>
}

/** Faults after which a log may lack its tail, or have been continued twice. */
const UNSTEADYING: ReadonlySet<string> = new Set(['reformat', 'restore', 'clone'])

export async function inspect(evidence: Evidence): Promise<Scene> {
  const { world, honest } = evidence
  const hasher = { sha384: (bytes: Uint8Array) => new Uint8Array(createHash('sha384').update(bytes).digest()) }
  const known = new Map<DeltaId, Known>()
  const judged = new Map<Hex, Known | undefined>()
  const judge = (id: DeltaId, record: Hex): void => {
    if (judged.has(record)) return
    const decoded = decodeDelta(fromHex(record), hasher)
    if (!decoded.ok) {
      judged.set(record, undefined)
      return
    }
    const delta = decoded.value
    const flaw = delta.id === id ? flawOf(delta, evidence) : `is stored as ${id}`
    judged.set(record, { delta, flaw })
    const earlier = known.get(delta.id)
    // Of two copies the flawed one is kept: it is what has to be reported.
    if (earlier?.flaw === undefined) known.set(delta.id, { delta, flaw })
  }
  const views: NodeView[] = []
  for (const node of honest) {
    const view = await viewOf(node, hasher)
    for (const [id, record] of view.deltas) judge(id, record)
    views.push(view)
  }
  const wiped = evidence.faults.filter(({ kind }) => UNSTEADYING.has(kind))
  const unsteady = new Set(wiped.flatMap(({ target }) => target).map((index) => world.nodes[index]?.author ?? ''))
  return {
    evidence,
    space: spaceOf(honest),
    views,
    known,
    honest: new Set(honest.map(({ author }) => author)),
    unsteady
  }
}

function spaceOf(nodes: readonly SimNode[]): SpaceId {
  for (const node of nodes) if (node.running) return node.engine.spaceTable.all[0]?.id ?? ''
  return ''
}

async function viewOf(node: SimNode, hasher: Parameters<typeof decodeDelta>[1]): Promise<NodeView> {
  const rows = node.disk.rows
  const deltas = await allRows(rows, 'delta')
  const arrivals = await allRows(rows, 'arrival')
  const held = (await allRows(rows, 'pending')).map(({ value }) => decodeDelta(value, hasher))
  const heads = (await allRows(rows, 'meta')).find(({ key }) => toHex(key).startsWith(HEADS_PREFIX))
  return {
    name: node.name,
    peer: node.peer,
    author: node.author,
    deltas: new Map(deltas.map(({ key, value }) => [toHex(key.subarray(16)), toHex(value)])),
    arrivals: arrivals.map(({ key, value }) => ({ position: Number(bytesToUint(key)), id: idOfRangeRow(value) })),
    ranges: new Set((await allRows(rows, 'range')).map(({ key }) => idOfRangeRow(key))),
    authors: (await allRows(rows, 'author')).map(({ key }) => parseAuthorKey(key)),
    records: new Map(
      (await allRows(rows, 'record')).map(({ key, value }) => [
        toHex(key.subarray(16)),
        toHex(parseRecordValue(value).state)
      ])
    ),
    proofs: new Map((await allRows(rows, 'proof')).map(({ key, value }) => [placeOfProof(key), decodeProofIds(value)])),
    held: held.flatMap((one) => (one.ok ? [one.value] : [])),
    heads: heads === undefined ? [] : decodeHeads(heads.value).map(({ id }) => id),
    digest: node.running ? await node.engine.digest() : undefined,
    counters: { ...node.metrics.snapshot() }
  }
}

const HEADS_PREFIX = toHex(META.heads('').subarray(0, 6))
const PAGE_ROWS = 5_000

export async function allRows(rows: Store, table: Table): Promise<StoreEntry[]> {
  const all: StoreEntry[] = []
  for (let gte: Uint8Array | undefined; ;) {
    const page = await rows.scan(table, { limit: PAGE_ROWS, ...(gte === undefined ? {} : { gte }) })
    all.push(...page)
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE_ROWS) return all
    gte = keyAfter(last.key)
  }
}

/** A row of the range table is named by space (16), time (6) and id (32). */
function idOfRangeRow(key: Uint8Array): DeltaId {
  return toHex(key.subarray(22, 54))
}

function placeOfProof(key: Uint8Array): string {
  return placeOf({
    author: toHex(key.subarray(16, 48)),
    epoch: toHex(key.subarray(48, 56)),
    seq: Number(bytesToUint(key.subarray(56, 64)))
  })
}

export function placeOf({ author, epoch, seq }: Omit<AuthorRow, 'id'>): string {
  return `${author}:${epoch}:${seq}`
}

// --- the second opinion

const DELTA_TAG = utf8('chrysalis/delta/1\0')
const SIGNATURE_TAG = utf8('chrysalis/sig/1\0')

function flawOf(delta: Delta, { world }: Evidence): string | undefined {
  const fingerprint = createHash('sha384').update(DELTA_TAG).update(delta.headerBytes).digest()
  if (fingerprint.subarray(0, 32).toString('hex') !== delta.id) return 'is stored under a name that is not its hash'
  const body = delta.bodyBytes ?? new Uint8Array(0)
  const bodyHash = createHash('sha384').update(body).digest().subarray(0, 32).toString('hex')
  if (bodyHash !== delta.header.bodyHash) return 'has another body than the one that was signed'
  const message = concatBytes(SIGNATURE_TAG, new Uint8Array(fingerprint))
  return isSigned(delta, message, world) ? undefined : 'was not signed by its author'
}

/** The platform's own Ed25519, or the stand-in of the world, under a key that is sound. */
function isSigned(delta: Delta, message: Uint8Array, world: Evidence['world']): boolean {
  const publicKey = fromHex(delta.header.author)
  const { signature } = delta
  if (world.options.crypto === 'fast') return world.identity('checker').verify({ publicKey, message, signature })
  // Of mixed order is for the key rule itself to say; those under which anybody can sign are known by heart.
  if (WEAK_KEYS.has(delta.header.author) || !createVerifier().keyOk(publicKey)) return false
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(publicKey) }, format: 'jwk' })
    return verifySignature(null, message, key, signature)
  } catch {
    return false
  }
}

/** Points of order 1, 2, 4 and 8, in their canonical encodings: under these keys anybody can sign anything. */
const WEAK_KEYS: ReadonlySet<Hex> = new Set([
  `01${'00'.repeat(31)}`,
  `ec${'ff'.repeat(30)}7f`,
  '00'.repeat(32),
  `${'00'.repeat(31)}80`,
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85'
])
