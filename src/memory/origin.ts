/**
 * Where a text came from, as an element of a grow-only set: who says so, the class, and the agent behind that author.
 * The author is that of the delta, so nobody speaks for another; claims add up and none is taken back, because a claim
 * that could be written over would be written over by whoever gains from it. What follows for trust is decided at
 * reading, in trust/tier.ts.
 */
import { assert } from '../base/assert.ts'
import { compareCodePoints } from '../crdt/text-order.ts'
import { compareText } from '../base/bytes.ts'
import type { AuthorId } from './ids.ts'
import { ORIGIN_CLASSES, type OriginClass } from './ops.ts'

/** `author/class number` or `author/class number/agent`. The agent is last and may hold any character. */
export type OriginElement = string

export interface Origin {
  readonly author: AuthorId
  readonly origin: OriginClass
  readonly agent: string | null
}

const AUTHOR_DIGITS = 64

export function originOf(author: AuthorId, origin: OriginClass, agent: string | null): OriginElement {
  const claim = `${author}/${ORIGIN_CLASSES.indexOf(origin)}`
  return agent === null ? claim : `${claim}/${agent}`
}

/** Of an element that originOf made. */
export function parseOrigin(element: OriginElement): Origin {
  const end = element.indexOf('/', AUTHOR_DIGITS + 1)
  const origin = ORIGIN_CLASSES[Number(element.slice(AUTHOR_DIGITS + 1, end === -1 ? undefined : end))]
  assert(element[AUTHOR_DIGITS] === '/' && origin !== undefined, 'an origin is author/class/agent')
  return { author: element.slice(0, AUTHOR_DIGITS), origin, agent: end === -1 ? null : element.slice(end + 1) }
}

/** By author, then class in the order of the table, then agent; none comes before any. */
export function compareOrigins(a: Origin, b: Origin): number {
  if (a.author !== b.author) return compareText(a.author, b.author)
  if (a.origin !== b.origin) return ORIGIN_CLASSES.indexOf(a.origin) - ORIGIN_CLASSES.indexOf(b.origin)
  if (a.agent === null || b.agent === null) return Number(a.agent !== null) - Number(b.agent !== null)
  return compareCodePoints(a.agent, b.agent)
}
