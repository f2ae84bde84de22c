/**
 * A home: made once, read at every start, joined to a network by a ticket.
 *
 * Making one is a row of steps, each of which is done whole or not at all and skipped when it is done already; the list
 * of spaces comes last and marks the home as finished. So a crash at any moment leaves a home that the next init
 * finishes, and two inits at once end with one and the same home. Nothing here starts a daemon or opens the store.
 */
import { existsSync, realpathSync } from 'node:fs'
import { chmod, readdir, rename } from 'node:fs/promises'
import { readIfExists, writeFileAtomic } from '../adapters/system/atomic-file.ts'
import { createCrypto, createVerifier } from '../adapters/system/crypto.ts'
import { toHex, utf8, type Bytes, type Hex } from '../base/bytes.ts'
import { ChrysalisError, isChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { authorToPeerId } from '../base/peer-id.ts'
import { encodeGenesis, spaceIdOf, type SpacePolicy } from '../memory/names.ts'
import type { Hasher } from '../ports/crypto.ts'
import type { Random } from '../ports/random.ts'
import type { Ticket } from '../trust/ticket.ts'
import { CONFIG_KEYS } from './config-schema.ts'
import {
  decodeBootstrap,
  decodeSpaces,
  encodeBootstrap,
  encodeSpaces,
  homePaths,
  type HomePaths,
  type HomeSpace
} from './home-files.ts'
import {
  assertPrivate,
  codeOf,
  createSecret,
  describeIdentity,
  encodeIdentity,
  encodeNetworkKey,
  makePrivateDirectory,
  readIdentity,
  readNetworkKey,
  sameNetworkKey,
  type Identity
} from './keystore.ts'
import { distinctName, readTicket, ticketSpace } from './ticket-space.ts'

export interface InitOptions {
  readonly home: string
  readonly name?: string | undefined
  readonly passphrase?: string | undefined
  readonly ticket?: string | undefined
}

/** Chance and time, handed in so that a test can repeat them. */
export interface InitPorts {
  readonly random: Random
  readonly nowMs: number
}

export interface InitReport {
  readonly home: string
  readonly peer: string
  /** false when the home existed and was left as it was. */
  readonly created: boolean
  readonly network: 'created' | 'joined'
  readonly spaces: readonly { readonly name: string; readonly id: string; readonly shared: boolean }[]
}

/** Everything a daemon needs from its home before it opens the store. */
export interface OpenHome {
  readonly paths: HomePaths
  readonly identity: Identity
  readonly peer: string
  /** Text of the pre-shared key, as the network adapter and tickets take it. */
  readonly networkKey: Bytes
  readonly spaces: readonly HomeSpace[]
  /** Addresses from tickets, newest first. */
  readonly bootstrap: readonly string[]
}

/**
 * Makes a home with a private space and one called `shared`, or with a ticket the private space and the ticket's.
 * A finished home is reported and left alone. Throws ChrysalisError `ticket` before anything is touched;
 * `permissions`, `disk_full`, `corrupt`, `invalid_argument`; `invalid_state` for a ticket that a finished home does not know.
 */
export async function initHome(options: InitOptions, ports: InitPorts): Promise<InitReport> {
  const paths = homePaths(options.home)
  const ticket = options.ticket === undefined ? undefined : readTicket(options.ticket, ports.nowMs)
  if (options.name !== undefined) checkName(options.name)
  return explained(paths.home, async () => {
    await prepareHome(paths.home)
    if (isFinished(paths)) return reportExisting(paths, ticket)
    const identity = await ensureIdentity(paths, options.passphrase, ports.random)
    await ensureNetworkKey(paths, ticket, ports.random)
    await makePrivateDirectory(paths.run)
    await makePrivateDirectory(paths.log)
    await createSecret(paths.config, configFile(options.name))
    if (ticket !== undefined) await writeFileAtomic(paths.bootstrap, encodeBootstrap(ticket.addresses))

    const spaces = [newSpace('private', 'private', identity.author, ports)]
    addSpace(spaces, ticket === undefined ? newSpace('shared', 'open', identity.author, ports) : ticketSpace(ticket))
    if (!(await createSecret(paths.spaces, encodeSpaces(spaces)))) return reportExisting(paths, ticket)
    return report(paths, identity.author, true, spaces)
  })
}

/**
 * Reads a home. Throws ChrysalisError `not_initialised` when there is none, `permissions` when others have access to
 * it, `passphrase`, `corrupt` when a part is missing or damaged. Touches nothing.
 */
export async function openHome(
  home: string,
  options: { readonly passphrase?: string | undefined } = {}
): Promise<OpenHome> {
  const paths = homePaths(home)
  requireFinished(paths)
  const identity = await readIdentity(paths.identity, options.passphrase)
  const crypto = createCrypto(identity.seed)
  if (toHex(crypto.publicKey) !== identity.author) {
    throw new ChrysalisError(
      'corrupt',
      `${paths.identity} is damaged: its seed and its public key do not belong together.`,
      {
        hint: 'Restore it from a backup. Nothing was touched.'
      }
    )
  }
  return {
    paths,
    identity,
    peer: authorToPeerId(identity.author),
    networkKey: await readNetworkKey(paths.networkKey),
    spaces: await readSpaces(paths, crypto),
    bootstrap: await readBootstrap(paths)
  }
}

/**
 * Throws `permissions` when others have access to the home, `not_initialised` unless init has finished here, and
 * `corrupt` when a finished home has lost a part.
 */
export function requireFinished(paths: HomePaths): void {
  // First, for in a directory of somebody else everything seems to be missing.
  if (existsSync(paths.home)) assertPrivate(realpathSync(paths.home), 'directory')
  if (isFinished(paths)) return
  throw new ChrysalisError('not_initialised', `There is no Chrysalis home at ${paths.home}. Nothing was touched.`, {
    hint: 'Run: chrysalis init (with --home for another place).'
  })
}

function isFinished(paths: HomePaths): boolean {
  const missing = [paths.identity, paths.networkKey, paths.spaces].filter((file) => !existsSync(file))
  if (missing.length === 0) return true
  // Spaces are written last and the store comes after them: if either is there, the missing part was there once.
  if (existsSync(paths.spaces) || existsSync(paths.data) || existsSync(paths.state)) {
    throw new ChrysalisError(
      'corrupt',
      `The home ${paths.home} has lost ${missing.join(' and ')}. Nothing was touched.`,
      {
        hint: 'Restore what is missing from a backup. Making it anew would make this daemon somebody else.',
        data: { missing }
      }
    )
  }
  return false
}

/** Throws `corrupt` when the file is missing or damaged. */
export async function readSpaces(paths: HomePaths, hasher: Hasher = createVerifier()): Promise<readonly HomeSpace[]> {
  return decodeSpaces((await readIfExists(paths.spaces)) ?? new Uint8Array(), paths.spaces, hasher)
}

export async function readBootstrap(paths: HomePaths): Promise<readonly string[]> {
  const bytes = await readIfExists(paths.bootstrap)
  return bytes === undefined ? [] : decodeBootstrap(bytes, paths.bootstrap)
}

export interface JoinOptions {
  readonly home: string
  readonly ticket: string
  /** Leave the old network even though memories were shared there. */
  readonly force?: boolean | undefined
  /** Whether any space that leaves this daemon holds a delta. Asked only when the network key would be replaced. */
  readonly hasSharedData: () => boolean | Promise<boolean>
}

export interface JoinReport {
  readonly home: string
  readonly space: { readonly name: string; readonly id: string }
  readonly addresses: readonly string[]
  /** The network key was replaced: a running daemon must restart. */
  readonly networkChanged: boolean
}

/**
 * Uses a ticket on a finished home: its space is added and becomes the default, its addresses are kept, and its network
 * key replaces the one of this home, which is put aside. A daemon is in one network at a time; so a home that has
 * shared memories in its own is refused with `invalid_state` unless forced. Repeating a join changes nothing.
 *
 * Own shared spaces that never held anything are dropped with the network they were made for. Throws as openHome, and
 * `ticket`, `quota`.
 */
export async function joinWithTicket(options: JoinOptions, ports: { readonly nowMs: number }): Promise<JoinReport> {
  const ticket = readTicket(options.ticket, ports.nowMs)
  const paths = homePaths(options.home)
  requireFinished(paths)
  const oldKey = await readNetworkKey(paths.networkKey)
  let spaces = [...(await readSpaces(paths))]
  const networkChanged = !sameNetworkKey(oldKey, ticket.networkKey)
  if (networkChanged) {
    const inUse = (await options.hasSharedData()) || spaces.some((space) => space.redeem !== undefined)
    if (inUse && options.force !== true) throw otherNetwork(paths)
    if (!inUse) spaces = spaces.filter((space) => !space.shared)
  }
  addSpace(spaces, ticketSpace(ticket))
  return explained(paths.home, async () => {
    const addresses = networkChanged ? ticket.addresses : [...ticket.addresses, ...(await readBootstrap(paths))]
    const kept = [...new Set(addresses)].slice(0, LIMITS.bootstrapAddressesMax)
    await writeFileAtomic(paths.bootstrap, encodeBootstrap(kept))
    if (networkChanged) {
      await keepAside(paths.networkKey, oldKey)
      await writeFileAtomic(paths.networkKey, ticket.networkKey)
      // Addresses seen in the old network would only be dialled in vain.
      if (existsSync(paths.peers)) await rename(paths.peers, `${paths.peers}.old`)
    }
    await writeFileAtomic(paths.spaces, encodeSpaces(spaces))
    const joined = spaces.find((space) => space.id === ticket.space)
    return {
      home: paths.home,
      space: { name: joined?.name ?? ticket.genesisFields.name, id: ticket.space },
      addresses: ticket.addresses,
      networkChanged
    }
  })
}

function otherNetwork(paths: HomePaths): ChrysalisError {
  return new ChrysalisError(
    'invalid_state',
    `The home ${paths.home} already shares memories in another network, and a daemon is in one network at a time. ` +
      'Nothing was touched.',
    {
      hint:
        'Make a second home for this network: chrysalis --home DIR init --join TICKET. Or leave the old network with ' +
        '--force: what was shared there stays there and here, and its key is kept beside the new one.'
    }
  )
}

/** Adds a space, or makes a known one the default. The newcomer keeps its name; an older one of that name yields. */
function addSpace(spaces: HomeSpace[], added: HomeSpace): void {
  for (const [index, space] of spaces.entries()) {
    if (space.id === added.id) continue
    const name = space.name === added.name && added.name !== 'private' ? distinctName(space) : space.name
    spaces[index] = { ...space, name, isDefault: added.isDefault ? false : space.isDefault }
  }
  const known = spaces.findIndex((space) => space.id === added.id)
  if (known >= 0) {
    spaces[known] = { ...(spaces[known] as HomeSpace), isDefault: true }
    return
  }
  if (spaces.length >= LIMITS.spacesMax) {
    throw new ChrysalisError('quota', `This home has ${LIMITS.spacesMax} spaces already. Nothing was touched.`, {
      hint: 'Use another home for more: chrysalis --home DIR init.'
    })
  }
  // `private` always means the space that never leaves the daemon, whatever a stranger calls his.
  spaces.push(added.name === 'private' && added.shared ? { ...added, name: distinctName(added) } : added)
}

function newSpace(name: string, policy: SpacePolicy, creator: Hex, ports: InitPorts): HomeSpace {
  const nonce = toHex(ports.random.bytes(16))
  const genesis = encodeGenesis({ version: 1, creator, name, policy, nonce, createdMs: ports.nowMs })
  const shared = policy !== 'private'
  return { id: spaceIdOf(createVerifier(), genesis), name, shared, isDefault: shared, creator, policy, genesis }
}

/** Makes the directory, or takes one that is ours; an empty one that is open to others is closed first. */
async function prepareHome(home: string): Promise<void> {
  await makePrivateDirectory(home)
  const real = realpathSync(home)
  if ((await readdir(real)).length === 0) await chmod(real, 0o700)
  assertPrivate(real, 'directory')
}

async function ensureIdentity(paths: HomePaths, passphrase: string | undefined, random: Random): Promise<Identity> {
  if (!existsSync(paths.identity)) {
    const seed = random.bytes(32)
    const identity: Identity = { seed, author: toHex(createCrypto(seed).publicKey) }
    if (await createSecret(paths.identity, await encodeIdentity(identity, passphrase))) return identity
  }
  // Left by an init that did not finish, or just made by another one: it is this home's identity either way.
  const { sealed } = await describeIdentity(paths.identity)
  const identity = await readIdentity(paths.identity, passphrase)
  if (!sealed && passphrase !== undefined) {
    await writeFileAtomic(paths.identity, await encodeIdentity(identity, passphrase))
  }
  return identity
}

async function ensureNetworkKey(paths: HomePaths, ticket: Ticket | undefined, random: Random): Promise<void> {
  if (ticket === undefined) await createSecret(paths.networkKey, encodeNetworkKey(random.bytes(32)))
  // An unfinished home has spoken to nobody, so a key that is there already may go.
  else await writeFileAtomic(paths.networkKey, ticket.networkKey)
}

async function reportExisting(paths: HomePaths, ticket: Ticket | undefined): Promise<InitReport> {
  const { author } = await describeIdentity(paths.identity)
  const spaces = await readSpaces(paths)
  if (ticket !== undefined && !spaces.some((space) => space.id === ticket.space)) {
    throw new ChrysalisError(
      'invalid_state',
      `${paths.home} is a home already, and not in the space of this ticket. Nothing was touched.`,
      {
        hint: 'Run: chrysalis join TICKET.'
      }
    )
  }
  return report(paths, author, false, spaces)
}

function report(paths: HomePaths, author: Hex, created: boolean, spaces: readonly HomeSpace[]): InitReport {
  return {
    home: paths.home,
    peer: authorToPeerId(author),
    created,
    network: spaces.some((space) => space.redeem !== undefined) ? 'joined' : 'created',
    spaces: spaces.map(({ name, id, shared }) => ({ name, id, shared }))
  }
}

function checkName(name: string): void {
  const usable = CONFIG_KEYS.get('name')?.schema.safeParse(name).success === true && !/[\p{Cc}\p{Cs}]/u.test(name)
  if (usable) return
  throw new ChrysalisError(
    'invalid_argument',
    `A daemon cannot be called ${JSON.stringify(name)}. Nothing was touched.`,
    {
      hint: `A name is ${CONFIG_KEYS.get('name')?.bounds ?? 'text'}, without control characters.`
    }
  )
}

function configFile(name: string | undefined): Bytes {
  // A JSON string is a TOML basic string, escapes included.
  const line = name === undefined ? '# name = "alpha"' : `name = ${JSON.stringify(name)}`
  return utf8(`# Configuration of this daemon; docs/CONFIG.md explains every key.
${line}
`)
}

/** Keeps a copy of a key under a name that was free. */
async function keepAside(file: string, bytes: Bytes): Promise<void> {
  for (let number = 1; ; number++) {
    if (await createSecret(`${file}.old-${number}`, bytes)) return
  }
}

/** Runs steps on a home and says in words why the system refused one. */
async function explained<T>(home: string, steps: () => Promise<T>): Promise<T> {
  try {
    return await steps()
  } catch (error) {
    if (isChrysalisError(error) || codeOf(error) === undefined) throw error
    throw homeError(home, error)
  }
}

function homeError(home: string, error: unknown): ChrysalisError {
  const again = 'Every step that was taken is whole; the same command goes on from there.'
  switch (codeOf(error)) {
    case 'EACCES':
    case 'EPERM':
      return new ChrysalisError('permissions', `The home ${home} cannot be written: ${messageOf(error)}. ${again}`, {
        hint: 'Choose a home that this user may write, with --home or CHRYSALIS_HOME.',
        cause: error
      })
    case 'EROFS':
      return new ChrysalisError('permissions', `The home ${home} is on a read-only file system. ${again}`, {
        hint: 'Remount it writable, or choose another home with --home or CHRYSALIS_HOME.',
        cause: error
      })
    case 'ENOSPC':
    case 'EDQUOT':
      return new ChrysalisError('disk_full', `There is no room left for the home ${home}. ${again}`, {
        hint: 'Free some space and run the command again.',
        cause: error
      })
    case 'EEXIST':
    case 'ENOTDIR':
      return new ChrysalisError(
        'invalid_argument',
        `${home} cannot be a home: a file is in its place. Nothing was touched.`,
        {
          hint: 'Choose another home with --home or CHRYSALIS_HOME.',
          cause: error
        }
      )
    default:
      return new ChrysalisError('failure', `The home ${home} cannot be used: ${messageOf(error)}. ${again}`, {
        cause: error
      })
  }
}
