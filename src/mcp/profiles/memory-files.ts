/**
 * Files that are records: each file is one keyed record whose first line is its path and whose rest is its text. The
 * line keeps equal texts apart, lets a file be empty, and tells whoever recalls the text where it belongs. Folders are
 * implied by paths.
 *
 * An edit reads, changes and writes only if nobody wrote in between on this daemon; else it looks again. Deleting is
 * retracting; a renamed file is a new record with the old one as parent. Texts are kept in one Unicode form (NFC).
 */
import { utf8 } from '../../base/bytes.ts'
import { ChrysalisError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { ToolContext } from '../profile.ts'
import type { Turns } from '../turns.ts'
import { FILE_KEY, foldersAbove, ROOT } from './file-paths.ts'
import { isLive, KeyedStore, type Item, type NewRecord } from './keyed-store.ts'

export interface MemoryFile {
  readonly path: string
  readonly text: string
}

/** Edits by other doors of this daemon that one may meet in a row before it is given up. */
const EDIT_ATTEMPTS_MAX = 8

export class MemoryFiles {
  readonly #store: KeyedStore
  readonly #turns: Turns

  private constructor(store: KeyedStore, turns: Turns) {
    this.#store = store
    this.#turns = turns
  }

  /** `turns` must be that of every connection of this daemon. */
  static async open(context: ToolContext, turns: Turns): Promise<MemoryFiles> {
    return new MemoryFiles(await KeyedStore.open(context), turns)
  }

  /** The file of this path, or undefined. */
  async read(path: string): Promise<MemoryFile | undefined> {
    const item = await this.#itemAt(path)
    return item === undefined ? undefined : { path, text: textOf(item, path) }
  }

  /** All files below a folder, by path. Empty where there is no such folder. */
  async below(folder: string): Promise<MemoryFile[]> {
    return (await this.#itemsBelow(folder)).map(({ path, item }) => ({ path, text: textOf(item, path) }))
  }

  /** Throws `conflict` when the path is taken by a file or a folder, or leads through a file. */
  async create(path: string, text: string): Promise<void> {
    const record = recordOf(path, text)
    await this.#inTurn(async () => {
      await this.#mustBeFree(path)
      await this.#store.put([record], await this.#store.get([keyOf(path)]))
    })
  }

  /**
   * Replaces the text by what `change` makes of it, and answers the new text. `change` may be called again when somebody
   * else wrote meanwhile, and throws to refuse. Throws `not_found` when there is no such file, `too_large`, `conflict`.
   */
  edit(path: string, change: (text: string) => string): Promise<string> {
    return this.#turns.take([`${this.#store.space} ${path}`], () => this.#edit(path, change))
  }

  async #edit(path: string, change: (text: string) => string): Promise<string> {
    for (let attempt = 0; attempt < EDIT_ATTEMPTS_MAX; attempt++) {
      const item = await this.#itemAt(path)
      if (item === undefined) throw noSuchFile(path)
      const before = textOf(item, path)
      const text = change(before)
      const { content } = recordOf(path, text)
      if (content === item.content || (await this.#store.revise(item, content))) return text
    }
    throw new ChrysalisError('conflict', `${path} is being changed by others all the time; nothing was written.`, {
      hint: 'View it again and repeat the edit.'
    })
  }

  /** A file, or a folder with everything below it; answers how many files. Throws `not_found`. */
  async delete(path: string): Promise<number> {
    return this.#inTurn(async () => {
      const doomed = await this.#filesOf(path)
      await this.#store.retract(
        doomed.map(({ item }) => item.id),
        'deleted'
      )
      return doomed.length
    })
  }

  /** A file or a folder. Throws `not_found`, `conflict` when the new path is taken, `invalid_argument`. */
  async rename(from: string, to: string): Promise<void> {
    if (to.startsWith(`${from}/`)) {
      throw new ChrysalisError('invalid_argument', `${from} cannot be moved into itself.`, {
        hint: 'Nothing was touched. Choose a path outside of it.'
      })
    }
    await this.#inTurn(async () => {
      const old = await this.#filesOf(from)
      await this.#mustBeFree(to)
      const records = old.map(({ path, item }) => ({
        ...recordOf(to + path.slice(from.length), textOf(item, path)),
        parents: [item.id]
      }))
      // The new ones are on disk before the old ones go, so that a crash leaves a file twice rather than nowhere.
      await this.#store.put(records, await this.#store.get(records.map(({ key }) => key)))
      await this.#store.retract(
        old.map(({ item }) => item.id),
        `renamed to ${to}`
      )
    })
  }

  async #itemAt(path: string): Promise<Item | undefined> {
    const item = (await this.#store.get([keyOf(path)])).get(keyOf(path))
    return isLive(item) ? item : undefined
  }

  async #itemsBelow(folder: string): Promise<{ path: string; item: Item }[]> {
    const items = await this.#store.list(folder.slice(1))
    const files = items.flatMap((item) => {
      const path = item.key?.startsWith(`${FILE_KEY}${folder}/`) === true ? item.key.slice(FILE_KEY.length) : undefined
      return path === undefined ? [] : [{ path, item }]
    })
    return files.sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  async #filesOf(path: string): Promise<{ path: string; item: Item }[]> {
    const item = await this.#itemAt(path)
    const files = [...(item === undefined ? [] : [{ path, item }]), ...(await this.#itemsBelow(path))]
    if (files.length === 0) throw noSuchFile(path)
    return files
  }

  async #mustBeFree(path: string): Promise<void> {
    const above = foldersAbove(path)
    const found = await this.#store.get([path, ...above].map(keyOf))
    const through = above.find((folder) => isLive(found.get(keyOf(folder))))
    if (through !== undefined) throw taken(`${through} is a file, so nothing can be below it.`)
    if (isLive(found.get(keyOf(path)))) throw taken(`File ${path} already exists.`)
    if (path === ROOT || (await this.#itemsBelow(path)).length > 0) throw taken(`${path} is a folder.`)
  }

  /** Whatever adds, moves or removes a name waits for its like: a folder is only its files, and has no lock of its own. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    return this.#turns.take([`${this.#store.space} names`], act)
  }
}

function keyOf(path: string): string {
  return FILE_KEY + path
}

function recordOf(path: string, text: string): NewRecord & { key: string } {
  const content = `${path}\n${text}`.normalize('NFC')
  const bytes = utf8(content).length
  if (bytes > LIMITS.contentBytesMax) {
    const room = LIMITS.contentBytesMax - utf8(path).length - 1
    throw new ChrysalisError(
      'too_large',
      `The file would have ${bytes - utf8(path).length - 1} bytes; a memory holds ${room}. Nothing was written.`,
      { hint: 'Split it into several files.', data: { bytes, bytesMax: LIMITS.contentBytesMax } }
    )
  }
  return { key: keyOf(path), content, path: path.slice(1) }
}

/** A record that was revised through another door without the line is a file all the same. */
function textOf(item: Item, path: string): string {
  const content = item.content ?? ''
  return content.startsWith(`${path}\n`) ? content.slice(path.length + 1) : content
}

export function noSuchFile(path: string): ChrysalisError {
  return new ChrysalisError('not_found', `The path ${path} does not exist. Please provide a valid path.`, {
    hint: `Nothing was touched. view ${ROOT} lists what there is.`
  })
}

function taken(message: string): ChrysalisError {
  return new ChrysalisError('conflict', message, {
    retryable: false,
    hint: 'Nothing was touched. Choose another path, or edit the file that is there.'
  })
}
