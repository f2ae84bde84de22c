/**
 * A knowledge graph as records: how entities, observations and relations are named, worded and found again.
 *
 * Each is one record under a key that says what it is: `kg:e:NAME`, `kg:r:[from, type, to]`, and for an observation the
 * hashes of its entity's name and of its text. So whoever creates the same thing, on whatever daemon, writes the same
 * record, and two that were created apart become one when they meet. The content is a sentence anybody can recall
 * (`Ada: wrote the first program`), never the only place where a name is kept: keys cannot be revised.
 *
 * The path ends in a stamp that rises with every creation, and stamps are the order in which the graph is listed.
 */
import { createHash } from 'node:crypto'
import { utf8 } from '../../base/bytes.ts'
import { ChrysalisError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Item, NewRecord } from './keyed-store.ts'

export interface Entity {
  readonly name: string
  readonly entityType: string
  readonly observations: readonly string[]
}

export interface Relation {
  readonly from: string
  readonly to: string
  readonly relationType: string
}

const ENTITY_PATH = 'kg/e'
export const RELATION_PATH = 'kg/r'
export const GRAPH_PATH = 'kg'

const ENTITY_KEY = 'kg:e:'
const RELATION_KEY = 'kg:r:'
const OBSERVATION_KEY = 'kg:o:'
const STAMP_LENGTH = 11
const HASH_LENGTH = 32

/** Rising numbers of fixed length, led by the time, so that those of several daemons are in order as well as clocks are. */
export class Stamps {
  #last = 0

  next(nowMs: number): string {
    this.#last = Math.max(this.#last + 1, Math.floor(nowMs) * 1_000)
    return this.#last.toString(36).padStart(STAMP_LENGTH, '0')
  }
}

/** Bytes that can be stored and one spelling of each word. Throws `invalid_argument`; nothing has been written then. */
export function cleaned(what: string, text: string): string {
  const broken = /\p{Surrogate}/u.test(text) ? 'half of a character pair' : text.includes('\0') ? 'a NUL character' : ''
  if (broken === '') return text.normalize('NFC')
  throw new ChrysalisError('invalid_argument', `The ${what} holds ${broken}; nothing was written.`, {
    hint: 'Give well-formed text.'
  })
}

export function entityKey(name: string): string {
  return ENTITY_KEY + name
}

export function relationKey({ from, to, relationType }: Relation): string {
  return RELATION_KEY + JSON.stringify([from, relationType, to])
}

export function observationKey(entity: string, text: string): string {
  return `${OBSERVATION_KEY}${hashOf(entity)}:${hashOf(text)}`
}

/** Where the observations of one entity are listed. */
export function observationsPath(entity: string): string {
  return `kg/o/${hashOf(entity)}`
}

/** Throws `too_large` when the name or the whole does not fit into a record; nothing has been written then. */
export function entityRecord(entity: Entity, stamp: string): NewRecord {
  return {
    key: bounded('name of an entity', entityKey(entity.name), LIMITS.keyBytesMax, ENTITY_KEY),
    content: bounded('entity', entityText(entity.name, entity.entityType), LIMITS.contentBytesMax),
    path: `${ENTITY_PATH}/${stamp}`
  }
}

export function observationRecord(entity: string, text: string, stamp: string): NewRecord {
  return {
    key: observationKey(entity, text),
    content: bounded('observation', `${entity}: ${text}`, LIMITS.contentBytesMax),
    path: `${observationsPath(entity)}/${stamp}`,
    kind: 'fact'
  }
}

export function relationRecord(relation: Relation, stamp: string): NewRecord {
  const { from, to, relationType } = relation
  const sentence = `${from} ${relationType} ${to}`
  return {
    key: bounded('three names of a relation together', relationKey(relation), LIMITS.keyBytesMax, RELATION_KEY),
    content: bounded('relation', sentence.trim() === '' ? relationKey(relation) : sentence, LIMITS.contentBytesMax),
    path: `${RELATION_PATH}/${stamp}`,
    kind: 'fact'
  }
}

/** What a record of the graph says, or undefined when it is none. */
export type GraphPart =
  | { readonly part: 'entity'; readonly name: string; readonly entityType: string }
  | { readonly part: 'relation'; readonly relation: Relation }
  | { readonly part: 'observation'; readonly entityHash: string; readonly content: string }

export function partOf(item: Item): GraphPart | undefined {
  const { key, content } = item
  if (key === null || content === null) return undefined
  if (key.startsWith(ENTITY_KEY)) {
    const name = key.slice(ENTITY_KEY.length)
    return { part: 'entity', name, entityType: typeIn(content, name) }
  }
  if (key.startsWith(RELATION_KEY)) {
    const relation = relationIn(key.slice(RELATION_KEY.length))
    return relation === undefined ? undefined : { part: 'relation', relation }
  }
  const hash = key.startsWith(OBSERVATION_KEY) ? key.slice(OBSERVATION_KEY.length, -(HASH_LENGTH + 1)) : ''
  return hash.length === HASH_LENGTH ? { part: 'observation', entityHash: hash, content } : undefined
}

/** The observation alone. One that was revised without its entity's name in front is taken as it is. */
export function observationIn(content: string, entity: string): string {
  const prefix = `${entity}: `
  return content.startsWith(prefix) ? content.slice(prefix.length) : content
}

export function hashOf(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex').slice(0, HASH_LENGTH)
}

/** In order of creation; equal stamps, which two daemons can draw, by key, so that every daemon lists alike. */
export function inOrder(items: readonly Item[]): Item[] {
  // The place of an item is worked out once and not for each comparison.
  const placed = items.map((item) => ({ item, stamp: stampOf(item), key: item.key ?? '' }))
  placed.sort((a, b) => compare(a.stamp, b.stamp) || compare(a.key, b.key))
  return placed.map(({ item }) => item)
}

function stampOf(item: Item): string {
  const last = item.path?.slice(-STAMP_LENGTH) ?? ''
  // Someone moved the record to another path: when it was created is the next best.
  return /^[0-9a-z]{11}$/.test(last) ? last : (item.createdAt * 1_000).toString(36).padStart(STAMP_LENGTH, '0')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function entityText(name: string, entityType: string): string {
  return `${name} (${entityType})`
}

/** A content that was revised into another form is no longer a name and a type: what it says stands for the type. */
function typeIn(content: string, name: string): string {
  const whole = content.startsWith(`${name} (`) && content.endsWith(')')
  return whole ? content.slice(name.length + 2, -1) : content
}

function relationIn(json: string): Relation | undefined {
  try {
    const names: unknown = JSON.parse(json)
    if (!Array.isArray(names) || names.length !== 3) return undefined
    const [from, relationType, to] = names as readonly unknown[]
    if (typeof from !== 'string' || typeof relationType !== 'string' || typeof to !== 'string') return undefined
    return { from, to, relationType }
  } catch {
    // A key of somebody who writes relations in another way.
    return undefined
  }
}

function bounded(what: string, text: string, bytesMax: number, prefix = ''): string {
  const bytes = utf8(text).length
  if (bytes <= bytesMax) return text
  const room = bytesMax - prefix.length
  throw new ChrysalisError('too_large', `The ${what} has ${bytes - prefix.length} bytes; at most ${room} fit.`, {
    hint: 'Nothing was written. Shorten it, or split it into several.',
    data: { bytes: bytes - prefix.length, bytesMax: room }
  })
}
