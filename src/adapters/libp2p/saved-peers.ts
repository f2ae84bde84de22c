/**
 * The address book: who was met where, kept in one JSON file so that a restarted daemon finds its network again without
 * any discovery. Written whole and atomically (temporary file, fsync, rename, fsync of the directory).
 *
 * Losing it costs a rediscovery, never data. So nothing here is fatal: a file that cannot be read is moved aside, one
 * that cannot be written is reported and tried again at the next change.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Logger } from '../../ports/logger.ts'
import type { PeerId } from '../../ports/network.ts'

export interface SavedPeer {
  readonly peer: PeerId
  /** Multiaddrs with or without the peer id at the end, newest first. */
  readonly addresses: readonly string[]
  /** Wall milliseconds of the last proof that the peer was there. */
  readonly seenMs: number
}

/** A book of savedPeersMax peers in full is about 2 MiB. */
const FILE_BYTES_MAX = 8 * 1_048_576

export class SavedPeers {
  readonly #file: string | undefined
  readonly #logger: Logger
  readonly #peers = new Map<PeerId, SavedPeer>()
  #dirty = false
  #writing: Promise<void> = Promise.resolve()

  /** Keeps the book in memory only when `file` is undefined. */
  constructor(file: string | undefined, logger: Logger) {
    this.#file = file
    this.#logger = logger
  }

  get size(): number {
    return this.#peers.size
  }

  all(): SavedPeer[] {
    return [...this.#peers.values()]
  }

  get(peer: PeerId): SavedPeer | undefined {
    return this.#peers.get(peer)
  }

  /** Reads the file. A missing one is an empty book; a broken one is renamed to `<file>.corrupt` and reported. */
  async load(): Promise<void> {
    if (this.#file === undefined) return
    try {
      const bytes = await readFile(this.#file)
      if (bytes.length > FILE_BYTES_MAX) throw new RangeError(`it has ${bytes.length} bytes`)
      for (const peer of decodeBook(bytes.toString('utf8'))) this.#peers.set(peer.peer, peer)
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return
      this.#peers.clear()
      this.#logger.log('warn', 'the saved peers cannot be read and were moved aside; they are found again', {
        file: this.#file,
        error: messageOf(error)
      })
      await rename(this.#file, `${this.#file}.corrupt`).catch(() => undefined)
    }
  }

  /** Puts the addresses first, keeps at most addressesPerPeerMax, and forgets the peer not seen for longest. */
  note(peer: PeerId, addresses: readonly string[], nowMs: number): void {
    if (addresses.length === 0) return
    const known = this.#peers.get(peer)
    const merged = [...new Set([...addresses, ...(known?.addresses ?? [])])].slice(0, LIMITS.addressesPerPeerMax)
    this.#peers.set(peer, { peer, addresses: merged, seenMs: nowMs })
    this.#dirty = true
    if (this.#peers.size <= LIMITS.savedPeersMax) return
    let oldest: SavedPeer | undefined
    for (const saved of this.#peers.values()) {
      if (saved.peer !== peer && (oldest === undefined || saved.seenMs < oldest.seenMs)) oldest = saved
    }
    if (oldest !== undefined) this.#peers.delete(oldest.peer)
  }

  forget(peer: PeerId): void {
    if (this.#peers.delete(peer)) this.#dirty = true
  }

  /** Writes what changed. Never rejects. */
  async save(): Promise<void> {
    const file = this.#file
    if (file === undefined || !this.#dirty) return this.#writing
    this.#dirty = false
    this.#writing = this.#writing.then(async () => {
      try {
        await replaceFile(file, encodeBook(this.all()))
      } catch (error) {
        this.#dirty = true
        this.#logger.log('warn', 'the saved peers could not be written', { file, error: messageOf(error) })
      }
    })
    return this.#writing
  }
}

export function encodeBook(peers: readonly SavedPeer[]): string {
  return (
    JSON.stringify({ v: 1, peers: peers.map(({ peer, addresses, seenMs }) => ({ peer, addresses, seenMs })) }) + '\n'
  )
}

/** Throws on anything but a book of version 1; entries beyond the limits are left out. */
export function decodeBook(text: string): SavedPeer[] {
  const book = JSON.parse(text) as { v?: unknown; peers?: unknown } | null
  if (book === null || typeof book !== 'object' || book.v !== 1 || !Array.isArray(book.peers)) {
    throw new SyntaxError('not a book of peers, version 1')
  }
  return book.peers.slice(0, LIMITS.savedPeersMax).map(decodePeer)
}

function decodePeer(entry: unknown): SavedPeer {
  const { peer, addresses, seenMs } = (entry ?? {}) as { peer?: unknown; addresses?: unknown; seenMs?: unknown }
  if (typeof peer !== 'string' || peer.length > 128 || typeof seenMs !== 'number' || !Array.isArray(addresses)) {
    throw new SyntaxError('an entry of the book of peers is malformed')
  }
  const texts = addresses.filter((address): address is string => typeof address === 'string' && address.length <= 512)
  return { peer, addresses: texts.slice(0, LIMITS.addressesPerPeerMax), seenMs }
}

/** After a crash at any point the file holds either the old text or the new one. */
async function replaceFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.tmp`
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const handle = await open(temporary, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  try {
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  const directory = await open(dirname(file), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
