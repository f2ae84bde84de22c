/**
 * Tokens: what the owner of a home hands to agents so that they can use its local door with less than the owner's
 * rights. One file in the home, readable by its owner only, holds what each may do and the SHA-256 of its secret; the
 * secret has 256 bits of chance, so a plain hash of it gives nothing away.
 *
 * A file that is damaged lets nobody in who shows a token, and is never written over: whoever mends or removes it
 * decides. Clients without a token are not concerned, unless the configuration asks for one.
 */
import { createHash, randomBytes } from 'node:crypto'
import { writeFileAtomic, readIfExists } from '../adapters/system/atomic-file.ts'
import { fromUtf8, isHex, toBase64Url, utf8 } from '../base/bytes.ts'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { ORIGIN_CLASSES, type OriginClass } from '../memory/ops.ts'
import {
  VERBS,
  type Identity,
  type SpaceRight,
  type TokenInfo,
  type TokenRequest,
  type Tokens
} from '../rpc/identity.ts'
import { Pace } from '../rpc/pace.ts'
import { assertPrivate } from './keystore.ts'

/** What every secret begins with, so that people and scanners of secrets know it. */
export const TOKEN_PREFIX = 'chz-tok1:'

const SECRET_BYTES = 32
const NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._@+-]*$/u

interface Token {
  readonly info: TokenInfo
  /** SHA-256 of the secret, hexadecimal. */
  readonly hash: string
  readonly identity: Identity
  /** What `identity.revoked` answers. */
  revoked: boolean
}

export interface TokenFileOptions {
  readonly file: string
  readonly required: boolean
  /** Wall milliseconds. */
  readonly nowMs: () => number
}

export class TokenFile implements Tokens {
  readonly #options: TokenFileOptions
  readonly #byName = new Map<string, Token>()
  readonly #byHash = new Map<string, Token>()
  #damage: ChrysalisError | undefined
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(options: TokenFileOptions) {
    this.#options = options
  }

  /** Never rejects: a file that cannot be read is said by `notices`, and to everybody who shows a token. */
  static async open(options: TokenFileOptions): Promise<TokenFile> {
    const tokens = new TokenFile(options)
    try {
      const bytes = await readIfExists(options.file)
      if (bytes === undefined) return tokens
      assertPrivate(options.file, 'file')
      for (const { info, hash } of decode(bytes)) tokens.#keep(info, hash)
    } catch (error) {
      tokens.#byName.clear()
      tokens.#byHash.clear()
      tokens.#damage = new ChrysalisError('config', `${options.file} cannot be used: ${messageOf(error)}`, {
        hint: 'Restore it, or move it away and make new tokens; then restart the daemon. It was not changed.',
        cause: error
      })
    }
    return tokens
  }

  get required(): boolean {
    return this.#options.required
  }

  /** For status. */
  notices(): string[] {
    return this.#damage === undefined ? [] : [`tokens are refused: ${this.#damage.message}`]
  }

  identify(secret: string): Identity {
    if (this.#damage !== undefined) throw this.#damage
    const token = this.#byHash.get(hashOf(secret))
    if (token !== undefined) return token.identity
    throw new ChrysalisError('denied', 'This token is not known here, or has been revoked; nothing was done.', {
      hint: 'Check CHRYSALIS_TOKEN; `chrysalis token list` shows the tokens of this home, `token add` makes one.'
    })
  }

  list(): readonly TokenInfo[] {
    return [...this.#byName.values()].map((token) => token.info)
  }

  async add(request: TokenRequest): Promise<{ token: TokenInfo; secret: string }> {
    const secret = `${TOKEN_PREFIX}${toBase64Url(randomBytes(SECRET_BYTES))}`
    const info: TokenInfo = {
      name: nameOf(request.name),
      spaces: request.spaces ?? null,
      origins: originsOf(request),
      // Whoever writes must be able to read what became of it.
      verbs: VERBS.filter((verb) => verb === 'read' || (request.verbs ?? ['write']).includes(verb)),
      writesPerSecond: request.writesPerSecond ?? null,
      createdAtMs: this.#options.nowMs()
    }
    await this.#change(() => {
      if (this.#byName.has(info.name)) {
        throw new ChrysalisError('conflict', `there is a token ${info.name} already; none was made`, {
          hint: 'Choose another name, or revoke that one first.',
          retryable: false
        })
      }
      if (this.#byName.size >= LIMITS.tokensMax) {
        throw new ChrysalisError('quota', `this home has ${LIMITS.tokensMax} tokens; none was made`, {
          hint: 'Revoke those you no longer need: chrysalis token list.'
        })
      }
      return [...this.#byName.values(), { info, hash: hashOf(secret) }]
    })
    this.#keep(info, hashOf(secret))
    return { token: info, secret }
  }

  async revoke(name: string): Promise<void> {
    const wanted = name.normalize('NFC')
    await this.#change(() => {
      const token = this.#byName.get(wanted)
      if (token !== undefined) {
        // First, whatever becomes of the file: nobody goes on acting by it.
        token.revoked = true
        this.#byHash.delete(token.hash)
        return [...this.#byName.values()].filter((one) => one !== token)
      }
      throw new ChrysalisError('not_found', `there is no token ${wanted.slice(0, 80)}; nothing was changed`, {
        hint: 'chrysalis token list names them.'
      })
    })
    this.#byName.delete(wanted)
  }

  /** Writes the list that `next` answers, one change after the other. */
  async #change(next: () => readonly { info: TokenInfo; hash: string }[]): Promise<void> {
    const write = this.#writing
      .catch(() => undefined)
      .then(async () => {
        if (this.#damage !== undefined) throw this.#damage
        await writeFileAtomic(this.#options.file, encode(next()), 0o600)
      })
    this.#writing = write
    await write
  }

  #keep(info: TokenInfo, hash: string): void {
    const { name, spaces, origins, verbs, writesPerSecond } = info
    const token: Token = {
      info,
      hash,
      revoked: false,
      identity: {
        agent: name,
        spaces: spaces === null ? null : new Map(spaces.map(({ space, right }) => [space, right])),
        origins,
        verbs,
        writesPerSecond,
        session: name,
        ...(writesPerSecond === null ? {} : { pace: new Pace(writesPerSecond) }),
        revoked: () => token.revoked
      }
    }
    this.#byName.set(name, token)
    this.#byHash.set(hash, token)
  }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret, 'utf8').digest('hex')
}

/** `derived` is added by the engine wherever parents are named; alone it would be worth as much as anything. */
function originsOf({ origins }: TokenRequest): readonly OriginClass[] {
  const usual: readonly OriginClass[] = origins ?? ['self']
  if (!usual.includes('derived')) return [...new Set(usual)]
  throw new ChrysalisError('invalid_argument', 'a token cannot claim "derived"; none was made', {
    hint: 'It is added by itself wherever a memory names its parents. Choose what else the agent may say.'
  })
}

/** A name is signed into deltas and printed: letters, digits and a few marks. */
function nameOf(name: string): string {
  const clean = name.normalize('NFC').trim()
  if (NAME.test(clean) && utf8(clean).length <= LIMITS.agentNameBytesMax) return clean
  throw new ChrysalisError('invalid_argument', 'this cannot be the name of a token; none was made', {
    hint: `Use letters, digits, spaces and . _ @ + -, at most ${LIMITS.agentNameBytesMax} bytes.`
  })
}

function encode(tokens: readonly { readonly info: TokenInfo; readonly hash: string }[]): Uint8Array {
  const bytes = utf8(
    `${JSON.stringify({ v: 1, tokens: tokens.map(({ info, hash }) => ({ ...info, sha256: hash })) }, null, 2)}\n`
  )
  if (bytes.length <= LIMITS.tokensFileBytesMax) return bytes
  throw new ChrysalisError('quota', 'the list of tokens would become too long; nothing was changed', {
    hint: 'Revoke those you no longer need, or give tokens fewer spaces.'
  })
}

/** Throws with what is wrong. */
function decode(bytes: Uint8Array): { info: TokenInfo; hash: string }[] {
  if (bytes.length > LIMITS.tokensFileBytesMax) throw new Error(`it has ${bytes.length} bytes`)
  const content: unknown = JSON.parse(fromUtf8(bytes))
  const { v, tokens } = object(content)
  if (v !== 1) throw new Error(`it has version ${JSON.stringify(v)}, and this program knows 1`)
  if (!Array.isArray(tokens) || tokens.length > LIMITS.tokensMax) throw new Error('it has no list of tokens')
  const read = tokens.map(decodeToken)
  if (new Set(read.map(({ info }) => info.name)).size !== read.length) throw new Error('two tokens have one name')
  return read
}

function decodeToken(value: unknown): { info: TokenInfo; hash: string } {
  const { name, spaces, origins, verbs, writesPerSecond, createdAtMs, sha256 } = object(value)
  if (typeof name !== 'string' || typeof sha256 !== 'string' || !isHex(sha256, 32))
    throw new Error('a token has no name or hash')
  const pace = writesPerSecond === null || (typeof writesPerSecond === 'number' && writesPerSecond > 0)
  if (!pace || typeof createdAtMs !== 'number') throw new Error(`the numbers of ${name} are no numbers`)
  return {
    info: {
      name,
      spaces: spaces === null ? null : listOf(spaces, name).map((one) => rightOf(one, name)),
      origins: listOf(origins, name).map((one) => choiceOf(one, ORIGIN_CLASSES, name)),
      verbs: listOf(verbs, name).map((one) => choiceOf(one, VERBS, name)),
      writesPerSecond,
      createdAtMs
    },
    hash: sha256
  }
}

function rightOf(value: unknown, name: string): { space: string; right: SpaceRight } {
  const { space, right } = object(value)
  if (typeof space !== 'string') throw new Error(`a space of ${name} has no name`)
  return { space, right: choiceOf(right, ['r', 'rw'] as const, name) }
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('an entry is not an object')
  return value as Record<string, unknown>
}

function listOf(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${name} lacks a list`)
  return value
}

function choiceOf<T extends string>(value: unknown, choices: readonly T[], name: string): T {
  const choice = choices.find((one) => one === value)
  if (choice === undefined) throw new Error(`${name} has an unknown right`)
  return choice
}
