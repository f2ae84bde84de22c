/**
 * The spaces this daemon belongs to, found by name or id, and records found by id, by unique prefix or by key.
 */
import { ChrysalisError } from '../base/errors.ts'
import { fromHex, isHex, toHex } from '../base/bytes.ts'
import type { RecordId, SpaceId } from '../memory/ids.ts'
import { recordIdOfKey } from '../memory/names.ts'
import type { Hasher } from '../ports/crypto.ts'
import { prefixEnd, type Store } from '../ports/store.ts'
import { bounded } from './restore.ts'
import { recordKey } from './rows.ts'
import type { Space } from './space.ts'

export interface Place {
  readonly space: Space
  readonly id: RecordId
}

/** Fewer digits would name half the store by accident. */
const PREFIX_DIGITS_MIN = 6
const SHOWN_MAX = 5

export class Spaces {
  readonly all: readonly Space[]
  readonly #byId: ReadonlyMap<SpaceId, Space>

  constructor(spaces: readonly Space[]) {
    this.all = spaces
    this.#byId = new Map(spaces.map((space) => [space.id, space]))
  }

  byId(id: SpaceId): Space | undefined {
    return this.#byId.get(id)
  }

  /** By name or id; the default space when omitted. Throws `not_found`. */
  find(reference: string | undefined): Space {
    if (reference === undefined) {
      const space = this.all.find((one) => one.options.isDefault) ?? this.all[0]
      if (space !== undefined) return space
      throw new ChrysalisError('not_found', 'this daemon belongs to no space', {
        hint: 'Run `chrysalis init` or `chrysalis join TICKET`.'
      })
    }
    const space = this.#byId.get(reference) ?? this.all.find((one) => one.options.name === reference)
    if (space !== undefined) return space
    const names = this.all.map((one) => one.options.name).join(', ')
    throw new ChrysalisError('not_found', `there is no space '${reference}' on this daemon`, {
      hint: `Spaces here: ${names}. Use \`chrysalis join TICKET\` to join another.`
    })
  }

  /** The spaces to look in: the named one, or all. */
  among(reference: string | undefined): readonly Space[] {
    return reference === undefined ? this.all : [this.find(reference)]
  }
}

/**
 * A full id, a unique prefix of at least six digits, or `key:NAME` (in the named or default space).
 * Throws `not_found`, `ambiguous_id` or `invalid_argument`.
 */
export async function resolveRecord(
  ports: { store: Store; crypto: Hasher },
  spaces: Spaces,
  reference: string,
  spaceReference: string | undefined
): Promise<Place> {
  if (reference.startsWith('key:')) {
    const space = spaces.find(spaceReference)
    const id = recordIdOfKey(ports.crypto, space.id, reference.slice(4).normalize('NFC'))
    if ((await ports.store.get('record', recordKey(space.id, id))) !== undefined) return { space, id }
    throw new ChrysalisError('not_found', `no memory with key '${reference.slice(4)}' in space ${space.options.name}`)
  }
  const prefix = reference.toLowerCase()
  if (!/^[0-9a-f]+$/.test(prefix) || prefix.length > 64 || prefix.length < PREFIX_DIGITS_MIN) {
    throw new ChrysalisError('invalid_argument', `'${reference}' is not a memory id`, {
      hint: `Give at least ${PREFIX_DIGITS_MIN} hexadecimal digits of an id, or key:NAME.`
    })
  }
  const found: Place[] = []
  for (const space of spaces.among(spaceReference)) found.push(...(await matches(ports.store, space, prefix)))
  const [only] = found
  if (only !== undefined && found.length === 1) return only
  if (only === undefined) {
    throw new ChrysalisError('not_found', `no memory has an id that starts with ${prefix}`, {
      hint: 'List ids with `chrysalis list`. A memory learned elsewhere may not have arrived yet: see `chrysalis sync`.'
    })
  }
  throw new ChrysalisError(
    'ambiguous_id',
    `${found.length > SHOWN_MAX ? 'many' : found.length} memories have ids that start with ${prefix}`,
    {
      hint: `Give more digits: ${found
        .slice(0, SHOWN_MAX)
        .map((place) => place.id.slice(0, prefix.length + 6))
        .join(', ')}`
    }
  )
}

async function matches(store: Store, space: Space, prefix: string): Promise<Place[]> {
  if (prefix.length === 64 && isHex(prefix, 32)) {
    const row = await store.get('record', recordKey(space.id, prefix))
    return row === undefined ? [] : [{ space, id: prefix }]
  }
  const even = prefix.slice(0, prefix.length - (prefix.length % 2))
  const bytes = fromHex(space.id + even)
  // An odd digit leaves up to sixteen byte prefixes; the rows between are filtered below.
  const last = prefix.length % 2 === 0 ? bytes : fromHex(`${space.id}${prefix}f`)
  const first = prefix.length % 2 === 0 ? bytes : fromHex(`${space.id}${prefix}0`)
  const rows = await store.scan('record', bounded(first, prefixEnd(last), SHOWN_MAX + 1))
  return rows
    .map((row) => ({ space, id: toHex(row.key.subarray(16, 48)) }))
    .filter((place) => place.id.startsWith(prefix))
}
