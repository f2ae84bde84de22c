/**
 * Which spaces an identity can reach, and how. A space that is out of reach does not exist for the one who asks: the
 * same words answer a name that is hidden and a name that is wrong, and neither lists what is hidden.
 *
 * For an identity without bounds every question passes as it was asked.
 */
import { ChrysalisError, isChrysalisError } from '../base/errors.ts'
import type { NodeApi, SpaceInfo } from '../node/api.ts'
import type { Identity, SpaceRight } from './identity.ts'

export class Reach {
  readonly #node: NodeApi
  readonly #identity: Identity

  constructor(node: NodeApi, identity: Identity) {
    this.#node = node
    this.#identity = identity
  }

  get everything(): boolean {
    return this.#identity.spaces === null
  }

  spaces(): readonly SpaceInfo[] {
    return this.#node.spaces().filter((space) => this.#right(space) !== undefined)
  }

  sees(space: string): boolean {
    return this.everything || this.spaces().some((one) => one.id === space)
  }

  /** The named space, or the one meant when none is named: the default if it is in reach, or the only one that is. */
  one(reference: string | undefined): string | undefined {
    if (this.everything) return reference
    const visible = this.spaces()
    if (reference !== undefined) return this.#named(reference, visible).id
    const meant = visible.find((space) => space.isDefault) ?? (visible.length === 1 ? visible[0] : undefined)
    if (meant === undefined) throw unnamed(visible)
    return meant.id
  }

  /** As `one`, for questions that mean every space when none is named: with several in reach one must be named. */
  each(reference: string | undefined): string | undefined {
    if (this.everything || reference !== undefined) return this.one(reference)
    const visible = this.spaces()
    const [only] = visible
    if (only === undefined || visible.length > 1) throw unnamed(visible)
    return only.id
  }

  /** The named spaces, or all in reach. */
  many(references: readonly string[] | undefined): readonly string[] | undefined {
    if (this.everything) return references
    const visible = this.spaces()
    return references === undefined
      ? visible.map((space) => space.id)
      : references.map((reference) => this.#named(reference, visible).id)
  }

  /** Throws `denied` unless the space, once `one` has found it, may be written to. */
  mayWrite(space: string | undefined): void {
    if (this.everything) return
    const found = this.spaces().find((one) => one.id === space)
    if (found !== undefined && this.#right(found) === 'rw') return
    throw new ChrysalisError(
      'denied',
      `The token ${this.#identity.agent ?? ''} may only read the space ${found?.name ?? ''}; nothing was written.`,
      { hint: 'Write to another space, or ask the owner of the daemon for the right to write.' }
    )
  }

  /** The space in reach that a record is in. Rejects with `not_found` for one that is nowhere in reach. */
  async home(id: string, reference: string | undefined): Promise<string | undefined> {
    if (this.everything) return reference
    for (const space of this.many(reference === undefined ? undefined : [reference]) ?? []) {
      const [item] = await this.#node.get([id], space)
      if (item !== null && item !== undefined) return space
    }
    throw notHere(id)
  }

  /** Full id for a prefix or key, among what is in reach. */
  async resolve(reference: string, space: string | undefined): Promise<string> {
    if (this.everything || space !== undefined || reference.startsWith('key:')) {
      return this.#node.resolve(reference, this.one(space))
    }
    const found = new Set<string>()
    for (const { id } of this.spaces()) {
      try {
        found.add(await this.#node.resolve(reference, id))
      } catch (error) {
        if (!isChrysalisError(error, 'not_found')) throw error
      }
    }
    const [only] = found
    if (only === undefined) throw notHere(reference)
    if (found.size === 1) return only
    throw new ChrysalisError('ambiguous_id', `${found.size} memories have ids that start with ${reference}`, {
      hint: 'Give more digits, or name the space.'
    })
  }

  #right(space: SpaceInfo): SpaceRight | undefined {
    const { spaces } = this.#identity
    return spaces === null ? 'rw' : (spaces.get(space.id) ?? spaces.get(space.name))
  }

  #named(reference: string, visible: readonly SpaceInfo[]): SpaceInfo {
    const space = visible.find((one) => one.id === reference) ?? visible.find((one) => one.name === reference)
    if (space !== undefined) return space
    throw new ChrysalisError('not_found', `there is no space '${reference.slice(0, 80)}' on this daemon`, {
      hint: `Spaces here: ${visible.map((one) => one.name).join(', ')}.`
    })
  }
}

function unnamed(visible: readonly SpaceInfo[]): ChrysalisError {
  if (visible.length === 0) {
    return new ChrysalisError('not_found', 'there is no space here for this client', {
      hint: 'Ask the owner of the daemon for a token that reaches one.'
    })
  }
  return new ChrysalisError('invalid_argument', 'this client must say which space it means; nothing was done', {
    hint: `Name one of: ${visible.map((space) => space.name).join(', ')}.`
  })
}

function notHere(reference: string): ChrysalisError {
  return new ChrysalisError('not_found', `no memory has an id that starts with ${reference.slice(0, 64)}`, {
    hint: 'List ids with `chrysalis list`. A memory learned elsewhere may not have arrived yet: see `chrysalis sync`.'
  })
}
