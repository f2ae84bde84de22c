/**
 * The two secrets of a home: the identity (an Ed25519 seed) and the network key, each in a file of its own.
 *
 * A secret is born complete: it is written to a temporary file with mode 0600, synced, and linked to its name, which
 * fails when the name is taken; so a crash leaves either no key or a whole one, and no key is ever overwritten by
 * accident. It is read only when nobody but its owner could have read or replaced it. Under a passphrase the seed is
 * sealed by AES-256-GCM with a key from scrypt (RFC 7914); the public key stays readable, so that status and doctor
 * need no passphrase. A seed on an unencrypted disk is as safe as the disk: this file cannot do better.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { lstatSync, statSync, type Stats } from 'node:fs'
import { link, mkdir, open, readFile, rename, unlink } from 'node:fs/promises'
import path from 'node:path'
import { syncDirectory } from '../adapters/system/atomic-file.ts'
import { fromBase64Url, fromUtf8, isHex, toBase64Url, toHex, utf8, type Hex } from '../base/bytes.ts'
import { ChrysalisError, messageOf } from '../base/errors.ts'

export interface Identity {
  /** 32 bytes. Whoever has them is this daemon. */
  readonly seed: Uint8Array
  /** The public key that belongs to the seed. */
  readonly author: Hex
}

interface PlainFile {
  readonly v: 1
  readonly kind: 'plain'
  readonly author: Hex
  readonly seed: string
}

interface SealedFile {
  readonly v: 1
  readonly kind: 'scrypt-aes-256-gcm'
  readonly author: Hex
  readonly salt: string
  readonly N: number
  readonly r: number
  readonly p: number
  readonly iv: string
  readonly tag: string
  readonly ciphertext: string
}

/** RFC 7914 at its interactive setting doubled: 32 MiB and about a tenth of a second, once at each start. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1 }
/** Memory that a key file may make scrypt take; a file that asks for more was not written by us. */
const SCRYPT_BYTES_MAX = 256 * 1_024 * 1_024
const SEED_BYTES = 32
const NETWORK_KEY = /^\/key\/swarm\/psk\/1\.0\.0\/\n\/base16\/\n[0-9a-f]{64}\n?$/

/** The file content for an identity: sealed when a passphrase is given. */
export async function encodeIdentity(identity: Identity, passphrase?: string): Promise<Uint8Array> {
  if (passphrase === undefined) {
    return json({ v: 1, kind: 'plain', author: identity.author, seed: toBase64Url(identity.seed) } satisfies PlainFile)
  }
  const salt = randomBytes(16)
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', await deriveKey(passphrase, salt, SCRYPT), iv)
  cipher.setAAD(bound(identity.author))
  const ciphertext = Buffer.concat([cipher.update(identity.seed), cipher.final()])
  return json({
    v: 1,
    kind: 'scrypt-aes-256-gcm',
    author: identity.author,
    salt: toBase64Url(salt),
    ...SCRYPT,
    iv: toBase64Url(iv),
    tag: toBase64Url(cipher.getAuthTag()),
    ciphertext: toBase64Url(ciphertext)
  } satisfies SealedFile)
}

/** What can be said of an identity without opening it. Throws `permissions`, `corrupt` or `unsupported_version`. */
export async function describeIdentity(file: string): Promise<{ author: Hex; sealed: boolean }> {
  const content = await readIdentityFile(file)
  return { author: content.author, sealed: content.kind !== 'plain' }
}

/**
 * Opens an identity. Throws ChrysalisError `permissions` when others could have read it, `passphrase` when one is
 * missing or wrong, `corrupt` and `unsupported_version` when the content is not what this version writes.
 */
export async function readIdentity(file: string, passphrase?: string): Promise<Identity> {
  const content = await readIdentityFile(file)
  if (content.kind === 'plain') return { author: content.author, seed: secretBytes(file, content.seed, SEED_BYTES) }
  if (passphrase === undefined) {
    throw new ChrysalisError(
      'passphrase',
      `${file} is kept under a passphrase and none was given; nothing was touched.`,
      {
        hint: 'Set CHRYSALIS_PASSPHRASE.'
      }
    )
  }
  const { N, r, p } = content
  if (![N, r, p].every((n) => Number.isSafeInteger(n) && n > 0) || 128 * N * r > SCRYPT_BYTES_MAX || p > 16) {
    throw corruptKey(file, 'its scrypt parameters are out of bounds')
  }
  const key = await deriveKey(passphrase, secretBytes(file, content.salt, 16), { N, r, p })
  const decipher = createDecipheriv('aes-256-gcm', key, secretBytes(file, content.iv, 12))
  decipher.setAAD(bound(content.author))
  decipher.setAuthTag(secretBytes(file, content.tag, 16))
  const opened = decipher.update(secretBytes(file, content.ciphertext, SEED_BYTES))
  try {
    decipher.final()
  } catch (error) {
    throw new ChrysalisError('passphrase', `The passphrase does not open ${file}; nothing was touched.`, {
      hint: 'Check CHRYSALIS_PASSPHRASE. A lost passphrase cannot be recovered: the daemon then needs a new home.',
      cause: error
    })
  }
  return { author: content.author, seed: new Uint8Array(opened) }
}

async function readIdentityFile(file: string): Promise<PlainFile | SealedFile> {
  const bytes = await readSecret(file)
  let content: Partial<PlainFile | SealedFile>
  try {
    content = JSON.parse(fromUtf8(bytes)) as Partial<PlainFile | SealedFile>
  } catch (error) {
    throw corruptKey(file, messageOf(error))
  }
  if (typeof content !== 'object' || content === null) throw corruptKey(file, 'it is not an object')
  if (content.v !== 1 || (content.kind !== 'plain' && content.kind !== 'scrypt-aes-256-gcm')) {
    const version = `version ${JSON.stringify(content.v)}, kind ${JSON.stringify(content.kind)}`
    throw new ChrysalisError(
      'unsupported_version',
      `${file} has ${version}; this program knows version 1. Nothing was touched.`,
      {
        hint: 'Use the program that wrote it, or a newer one.'
      }
    )
  }
  if (typeof content.author !== 'string' || !isHex(content.author, 32))
    throw corruptKey(file, 'its public key is not one')
  return content as PlainFile | SealedFile
}

/** `/key/swarm/psk/1.0.0/`: the text that libp2p's private networks take, from 32 random bytes. */
export function encodeNetworkKey(key: Uint8Array): Uint8Array {
  return utf8(`/key/swarm/psk/1.0.0/\n/base16/\n${toHex(key)}`)
}

/** Throws `permissions` or `corrupt`. Returns the text as it stands, for the network adapter and for tickets. */
export async function readNetworkKey(file: string): Promise<Uint8Array> {
  const bytes = await readSecret(file)
  if (!isNetworkKey(bytes)) throw corruptKey(file, 'it is not a network key of three lines')
  return bytes
}

export function isNetworkKey(bytes: Uint8Array): boolean {
  try {
    return NETWORK_KEY.test(fromUtf8(bytes))
  } catch {
    return false
  }
}

/** Two texts of one key may differ by the last line break. */
export function sameNetworkKey(a: Uint8Array, b: Uint8Array): boolean {
  return fromUtf8(a).trimEnd() === fromUtf8(b).trimEnd()
}

/**
 * Creates a secret file, whole and 0600 whatever the umask, or returns false when the name is taken. Rejects with the
 * system's error, and then there is no such file.
 */
export async function createSecret(file: string, bytes: Uint8Array): Promise<boolean> {
  const directory = path.dirname(file)
  const temporary = path.join(directory, `.${path.basename(file)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(bytes)
      await handle.chmod(0o600)
      await handle.sync()
    } finally {
      await handle.close()
    }
    if (!(await claimName(temporary, file))) return false
  } finally {
    await unlink(temporary).catch(() => undefined)
  }
  await syncDirectory(directory)
  return true
}

async function claimName(temporary: string, file: string): Promise<boolean> {
  try {
    await link(temporary, file)
    return true
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EEXIST') return false
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error
  }
  // A file system without hard links: look first, then rename. Two first starts at one moment are not told apart here.
  if (lstatSync(file, { throwIfNoEntry: false }) !== undefined) return false
  await rename(temporary, file)
  return true
}

/**
 * Makes a directory that only its owner can enter, and the ones above it. One that is there is left as it is. Rejects
 * with the system's error; Node's own recursive mkdir calls a read-only file system a missing directory.
 */
export async function makePrivateDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 })
  } catch (error) {
    const parent = path.dirname(directory)
    if (codeOf(error) === 'ENOENT' && parent !== directory) {
      await makePrivateDirectory(parent)
      await mkdir(directory, { mode: 0o700 }).catch((again: unknown) => {
        // Another process that makes the same home may have been quicker.
        if (codeOf(again) !== 'EEXIST') throw again
      })
    } else if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) throw error
  }
}

/**
 * Throws ChrysalisError `permissions` unless `target` belongs to this user and to nobody else: other people who can
 * write it can replace it, and who can read it is this daemon. Symbolic links are refused for the same reason. A
 * missing target is `not_found`. Says nothing on Windows, which has no such bits.
 */
export function assertPrivate(target: string, what: 'file' | 'directory'): void {
  const stats = lstatSync(target, { throwIfNoEntry: false })
  if (stats === undefined) throw new ChrysalisError('not_found', `${target} does not exist.`)
  if (what === 'directory' ? !stats.isDirectory() : !stats.isFile()) {
    throw new ChrysalisError('permissions', `${target} is not a plain ${what}; nothing was touched.`, {
      hint: 'Symbolic links are not followed here: name the real path.'
    })
  }
  const reason = exposure(stats)
  if (reason === undefined) return
  const repair =
    reason === 'owner' ? `chown ${process.getuid?.() ?? 'you'}` : `chmod ${what === 'file' ? '600' : '700'}`
  const said = reason === 'owner' ? `belongs to user ${stats.uid}` : `is open to others (mode ${octal(stats)})`
  throw new ChrysalisError('permissions', `${target} ${said}; it must be yours alone. Nothing was touched.`, {
    hint: `Run: ${repair} ${shellQuoted(target)}`,
    data: { path: target, mode: octal(stats) }
  })
}

function exposure(stats: Stats): 'owner' | 'mode' | undefined {
  if (process.platform === 'win32' || process.getuid === undefined) return undefined
  if (stats.uid !== process.getuid()) return 'owner'
  return (stats.mode & 0o077) === 0 ? undefined : 'mode'
}

function octal(stats: Stats): string {
  return (stats.mode & 0o777).toString(8).padStart(4, '0')
}

function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

async function readSecret(file: string): Promise<Uint8Array> {
  assertPrivate(file, 'file')
  try {
    return new Uint8Array(await readFile(file))
  } catch (error) {
    throw new ChrysalisError('permissions', `${file} cannot be read: ${messageOf(error)}. Nothing was touched.`, {
      hint: 'Run the program as the user that made the home.',
      cause: error
    })
  }
}

function secretBytes(file: string, text: unknown, byteLength: number): Uint8Array {
  let bytes: Uint8Array | undefined
  try {
    if (typeof text === 'string') bytes = fromBase64Url(text)
  } catch {
    bytes = undefined
  }
  if (bytes?.length !== byteLength) throw corruptKey(file, 'a value has the wrong length')
  return bytes
}

function corruptKey(file: string, why: string): ChrysalisError {
  return new ChrysalisError('corrupt', `${file} is damaged: ${why}. Nothing was touched.`, {
    hint: 'Restore it from a backup. Without it this daemon is somebody else: move the home aside and run chrysalis init.',
    data: { path: file }
  })
}

/** Ties the sealed seed to the public key beside it, so that neither can be exchanged alone. */
function bound(author: Hex): Uint8Array {
  return utf8(`chrysalis/identity/1\0${author}`)
}

function deriveKey(passphrase: string, salt: Uint8Array, cost: { N: number; r: number; p: number }): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // One passphrase typed on two keyboards may arrive in two Unicode forms.
    const normalised = passphrase.normalize('NFKC')
    scrypt(normalised, salt, 32, { ...cost, maxmem: SCRYPT_BYTES_MAX + 1_024 * 1_024 }, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}

function json(content: PlainFile | SealedFile): Uint8Array {
  return utf8(`${JSON.stringify(content, null, 2)}\n`)
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
