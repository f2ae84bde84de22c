/**
 * The files of a home, by name, and the two of them that are read and written here: spaces.json and bootstrap.json.
 *
 *     identity.key    the Ed25519 seed of this daemon (keystore.ts)
 *     network.key     the pre-shared key of its network (keystore.ts)
 *     spaces.json     the spaces it belongs to, each with its genesis; written last, so it marks a finished home
 *     config.toml     what the owner wants otherwise (config.ts)
 *     bootstrap.json  addresses that came with tickets
 *     tokens.json     what agents with a token may do (tokens.ts)
 *     peers.json      addresses that were seen (the network adapter's)
 *     data/, STATE    the store and its sentinel (the store adapter's)
 *     TAIL, ballast   how far the store has come; room kept for a full disk (the store adapter's)
 *     index/          what other processes search (the index adapter's)
 *     run/, log/      socket, run file, log of a daemon in the background
 *
 * Both files are JSON for people to read; every id in spaces.json is checked against the genesis it stands for.
 */
import path from 'node:path'
import { fromBase64Url, fromUtf8, isHex, toBase64Url, utf8, type Bytes, type Hex } from '../base/bytes.ts'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { AuthorId, SpaceId } from '../memory/ids.ts'
import { decodeGenesis, spaceIdOf, type SpacePolicy } from '../memory/names.ts'
import type { Hasher } from '../ports/crypto.ts'

export interface HomePaths {
  readonly home: string
  readonly identity: string
  readonly networkKey: string
  readonly spaces: string
  readonly config: string
  readonly bootstrap: string
  readonly tokens: string
  readonly peers: string
  readonly data: string
  readonly vectors: string
  readonly index: string
  readonly state: string
  readonly tail: string
  readonly run: string
  readonly log: string
}

/** Absolute paths; nothing needs to exist. */
export function homePaths(home: string): HomePaths {
  const root = path.resolve(home)
  return {
    home: root,
    identity: path.join(root, 'identity.key'),
    networkKey: path.join(root, 'network.key'),
    spaces: path.join(root, 'spaces.json'),
    config: path.join(root, 'config.toml'),
    bootstrap: path.join(root, 'bootstrap.json'),
    tokens: path.join(root, 'tokens.json'),
    peers: path.join(root, 'peers.json'),
    data: path.join(root, 'data'),
    vectors: path.join(root, 'vectors'),
    index: path.join(root, 'index'),
    state: path.join(root, 'STATE'),
    tail: path.join(root, 'TAIL'),
    run: path.join(root, 'run'),
    log: path.join(root, 'log')
  }
}

/** One space of a home. The name is local: unique among the spaces of this home, whatever the genesis says. */
export interface HomeSpace {
  readonly id: SpaceId
  readonly name: string
  readonly shared: boolean
  readonly isDefault: boolean
  readonly creator: AuthorId
  readonly policy: SpacePolicy
  readonly genesis: Bytes
  /** Whose ticket let us in, for spaces that we did not make. */
  readonly redeem?: { readonly issuer: AuthorId; readonly nonce: Hex }
}

interface SpaceRow {
  readonly id: string
  readonly name: string
  readonly shared: boolean
  readonly default: boolean
  readonly genesis: string
  readonly redeem?: { readonly issuer: string; readonly nonce: string }
}

export function encodeSpaces(spaces: readonly HomeSpace[]): Bytes {
  const rows = spaces.map(({ id, name, shared, isDefault, genesis, redeem }): SpaceRow => ({
    id,
    name,
    shared,
    default: isDefault,
    genesis: toBase64Url(genesis),
    ...(redeem === undefined ? {} : { redeem })
  }))
  return utf8(`${JSON.stringify({ v: 1, spaces: rows }, null, 2)}\n`)
}

/** Throws ChrysalisError `corrupt`, or `unsupported_version` for a file of a newer program; `file` is for the message. */
export function decodeSpaces(bytes: Bytes, file: string, hasher: Hasher): readonly HomeSpace[] {
  const rows = versionOne(bytes, file, 'spaces')
  if (rows.length === 0 || rows.length > LIMITS.spacesMax) throw damaged(file, `it names ${rows.length} spaces`)
  const spaces = rows.map((row) => decodeSpace(row, file, hasher))
  if (new Set(spaces.map((space) => space.id)).size !== spaces.length) throw damaged(file, 'one space is named twice')
  if (new Set(spaces.map((space) => space.name)).size !== spaces.length) throw damaged(file, 'two spaces have one name')
  if (spaces.filter((space) => space.isDefault).length !== 1)
    throw damaged(file, 'exactly one space must be the default')
  return spaces
}

function decodeSpace(value: unknown, file: string, hasher: Hasher): HomeSpace {
  if (typeof value !== 'object' || value === null) throw damaged(file, 'a space is not an object')
  const row = value as Partial<SpaceRow>
  const { id, name, shared, redeem } = row
  if (typeof name !== 'string' || name.length === 0 || utf8(name).length > LIMITS.spaceNameBytesMax) {
    throw damaged(file, 'a space has no usable name')
  }
  let genesis: Bytes
  try {
    genesis = fromBase64Url(String(row.genesis))
  } catch {
    throw damaged(file, `the genesis of ${name} is not base64url`)
  }
  const decoded = decodeGenesis(genesis)
  if (!decoded.ok) throw damaged(file, `the genesis of ${name} is unusable: ${decoded.detail}`)
  if (id !== spaceIdOf(hasher, genesis)) throw damaged(file, `the id of ${name} does not belong to its genesis`)
  const { creator, policy } = decoded.value
  // Whether a space leaves this daemon must not hang on one word in a file alone.
  if (typeof shared !== 'boolean' || shared !== (policy !== 'private'))
    throw damaged(file, `${name} is shared against its policy`)
  const space = { id, name, shared, isDefault: row.default === true, creator, policy, genesis }
  if (redeem === undefined) return space
  if (!isHex(String(redeem.issuer), 32) || !isHex(String(redeem.nonce)))
    throw damaged(file, `the ticket of ${name} is unusable`)
  return { ...space, redeem: { issuer: redeem.issuer, nonce: redeem.nonce } }
}

export function encodeBootstrap(addresses: readonly string[]): Bytes {
  return utf8(`${JSON.stringify({ v: 1, addresses }, null, 2)}\n`)
}

/** As decodeSpaces. At most LIMITS.bootstrapAddressesMax addresses are taken from it. */
export function decodeBootstrap(bytes: Bytes, file: string): readonly string[] {
  const rows = versionOne(bytes, file, 'addresses')
  const addresses = rows.filter((row): row is string => typeof row === 'string')
  if (addresses.length !== rows.length) throw damaged(file, 'an address is not text')
  return addresses.slice(0, LIMITS.bootstrapAddressesMax)
}

function versionOne(bytes: Bytes, file: string, list: string): readonly unknown[] {
  let content: Record<string, unknown> | null
  try {
    content = JSON.parse(fromUtf8(bytes)) as Record<string, unknown> | null
  } catch (error) {
    throw damaged(file, messageOf(error))
  }
  if (typeof content !== 'object' || content === null) throw damaged(file, 'it is not an object')
  if (content['v'] !== 1) {
    throw new ChrysalisError(
      'unsupported_version',
      `${file} has version ${JSON.stringify(content['v'])}; this program knows 1.`,
      {
        hint: 'Use the program that wrote it, or a newer one. Nothing was touched.'
      }
    )
  }
  const rows = content[list]
  if (!Array.isArray(rows)) throw damaged(file, `it has no list of ${list}`)
  return rows
}

function damaged(file: string, why: string): ChrysalisError {
  return new ChrysalisError('corrupt', `${file} is damaged: ${why}. Nothing was touched.`, {
    hint: 'Restore it from a backup, or move the whole home aside and run chrysalis init.',
    data: { path: file }
  })
}
