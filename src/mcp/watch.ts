/**
 * Who wants to be told when a resource changes. Both eras of the protocol end here: the older asks for one address at a
 * time, the newer lists them in one request. Changes within a moment are told once, nothing is kept for addresses nobody
 * watches, and while the client does not read nothing is written: what is waiting is a set of at most so many addresses
 * as are watched.
 */
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'

/** What the daemon tells; of the engine's events only these members matter here. */
export interface DaemonEvent {
  readonly type: string
  readonly change?: { readonly space: string; readonly peer: string; readonly records: readonly string[] }
  readonly peer?: string
}

export interface WatchOptions {
  /** Begins to listen to the daemon; the result ends it. */
  readonly listen: (listener: (event: DaemonEvent) => void) => () => void
  readonly notify: (uri: string) => void
  /** The client has not read what was written before. */
  readonly full: () => boolean
  /** Name of a space by its id, where it is known. */
  readonly spaceName: (id: string) => string | undefined
}

export class Watch {
  readonly #options: WatchOptions
  /** By the request that asked; the older era has one entry for all. */
  readonly #wanted = new Map<string, ReadonlySet<string>>()
  readonly #dirty = new Set<string>()
  #unlisten: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: WatchOptions) {
    this.#options = options
  }

  /** Addresses watched, each counted as often as it was asked for. */
  get size(): number {
    let size = 0
    for (const uris of this.#wanted.values()) size += uris.size
    return size
  }

  /** Replaces what `request` watches. Throws `rate_limited` when it would be too much; then nothing changed. */
  set(request: string, uris: Iterable<string>): void {
    const wanted = new Set(uris)
    const others = this.size - (this.#wanted.get(request)?.size ?? 0)
    if (others + wanted.size > LIMITS.mcpWatchedMax) {
      throw new ChrysalisError('rate_limited', `A connection may watch ${LIMITS.mcpWatchedMax} resources.`, {
        hint: 'Watch chrysalis://recent instead of many single memories.'
      })
    }
    if (wanted.size === 0) this.#wanted.delete(request)
    else this.#wanted.set(request, wanted)
    this.#attend()
  }

  add(request: string, uri: string): void {
    this.set(request, [...(this.#wanted.get(request) ?? []), uri])
  }

  remove(request: string, uri?: string): void {
    const left = [...(this.#wanted.get(request) ?? [])].filter((one) => uri !== undefined && one !== uri)
    this.set(request, left)
  }

  close(): void {
    this.#wanted.clear()
    this.#attend()
  }

  /** The daemon is listened to exactly while somebody watches. */
  #attend(): void {
    if (this.#wanted.size > 0) {
      this.#unlisten ??= this.#options.listen((event) => this.#heard(event))
      return
    }
    this.#unlisten?.()
    this.#unlisten = undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#dirty.clear()
  }

  #heard(event: DaemonEvent): void {
    const space = event.change === undefined ? undefined : this.#options.spaceName(event.change.space)
    for (const uris of this.#wanted.values()) {
      for (const uri of uris) if (!this.#dirty.has(uri) && touches(uri, event, space)) this.#dirty.add(uri)
    }
    if (this.#dirty.size > 0) this.#timer ??= setTimeout(() => this.#tell(), LIMITS.mcpNotifyMs)
  }

  #tell(): void {
    this.#timer = undefined
    if (this.#options.full()) {
      this.#timer = setTimeout(() => this.#tell(), LIMITS.mcpNotifyMs)
      return
    }
    const uris = [...this.#dirty]
    this.#dirty.clear()
    const watched = new Set([...this.#wanted.values()].flatMap((one) => [...one]))
    for (const uri of uris) if (watched.has(uri)) this.#options.notify(uri)
  }
}

const MEMORY = 'chrysalis://memory/'
const PEER = 'chrysalis://peer/'
const SPACE = /^chrysalis:\/\/space\/([^/]*)\/recent$/

/** Whether what was heard may have changed what reading this address gives. Strange addresses change with every memory. */
export function touches(uri: string, event: DaemonEvent, spaceName?: string): boolean {
  const { change } = event
  if (uri === 'chrysalis://status') return true
  if (uri.startsWith(PEER)) return uri === `${PEER}${change?.peer ?? event.peer ?? ''}`
  if (change === undefined) return false
  if (uri.startsWith(MEMORY)) {
    const id = uri.slice(MEMORY.length)
    return id.length >= 6 && change.records.some((record) => record.startsWith(id))
  }
  const place = SPACE.exec(uri)?.[1]
  if (place === undefined) return true
  const name = decoded(place)
  return name === change.space || spaceName === undefined || name === spaceName
}

/** A part of an address as it was meant; one that is no percent-encoding stands for itself. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
