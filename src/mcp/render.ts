/**
 * Memories as a model meets them: as data with short names, and as fenced text. Both are plain text in every field,
 * because everything in a memory, its tags and its author's names included, was chosen by somebody else.
 */
import { z } from 'zod'
import { fenced, plainLine, plainText, type FencedItem } from '../base/fence.ts'
import { LIMITS } from '../base/limits.ts'
import type { Result } from '../rpc/schema/methods.ts'

export type Item = NonNullable<Result<'memory.get'>['items'][number]>
type Hit = Result<'memory.search'>['items'][number]

const PEER_DIGITS = 8
const LISTED_MAX = 64

export const memory = z.object({
  id: z.string(),
  content: z.string(),
  kind: z.string(),
  space: z.string(),
  path: z.string().optional(),
  tags: z.array(z.string()),
  author: z.string().describe('Peer id that signed the content'),
  agent: z.string().optional(),
  trust: z.string(),
  flags: z.array(z.string()).optional(),
  state: z.enum(['active', 'expired', 'retracted', 'not_yet_valid', 'no_longer_valid']),
  created_at: z.string(),
  updated_at: z.string(),
  valid_from: z.string().optional(),
  valid_to: z.string().optional(),
  score: z.number().optional(),
  why: z.record(z.string(), z.number()).optional(),
  truncated: z.boolean().optional()
})
export type MemoryData = z.output<typeof memory>

export function iso(ms: number): string {
  // Times come from the wire as any 48 bits; those beyond the calendar are shown as its end.
  return new Date(Math.min(ms, 8.64e15)).toISOString()
}

export function optionalIso(name: string, ms: number | null): Record<string, string> {
  return ms === null ? {} : { [name]: iso(ms) }
}

/** `lengthMax`: characters of content shown; `truncated` says that there are more. */
export function asData(item: Item | Hit, nowMs: number, lengthMax = Number.POSITIVE_INFINITY): MemoryData {
  const content = plainText(item.content ?? '')
  const score = 'score' in item ? { score: Math.round(item.score * 1e4) / 1e4 } : {}
  const agent = agentOf(item)
  return {
    id: item.id,
    content: content.length <= lengthMax ? content : `${cut(content, lengthMax)}…`,
    kind: plainLine(item.kind),
    space: plainLine(item.spaceName),
    ...(item.path === null ? {} : { path: plainLine(item.path, LIMITS.pathBytesMax) }),
    tags: item.tags.slice(0, LISTED_MAX).map((tag) => plainLine(tag, LIMITS.tagBytesMax)),
    author: item.contentPeer,
    ...(agent === null ? {} : { agent }),
    trust: item.trust.tier,
    ...(item.flags.length === 0 ? {} : { flags: item.flags.map((flag) => plainLine(flag)) }),
    state: stateOf(item, nowMs),
    created_at: iso(item.createdAt),
    updated_at: iso(item.updatedAt),
    ...optionalIso('valid_from', item.validFrom),
    ...optionalIso('valid_to', item.validTo),
    ...score,
    ...('why' in item && item.why !== undefined ? { why: { ...item.why } } : {}),
    ...(content.length <= lengthMax ? {} : { truncated: true })
  }
}

/** A pair of surrogates is never cut in two. */
function cut(text: string, length: number): string {
  return text.slice(0, length).replace(/[\ud800-\udbff]$/u, '')
}

/** Who is behind the peer that wrote what is shown, as that peer says. */
function agentOf(item: Item): string | null {
  const claim = item.origins.find((origin) => origin.peer === item.contentPeer && origin.agent !== null)
  return claim?.agent === undefined || claim.agent === null ? null : plainLine(claim.agent)
}

function stateOf(item: Item, nowMs: number): MemoryData['state'] {
  if (item.retracted !== null) return 'retracted'
  if (item.expired) return 'expired'
  if (item.validFrom !== null && item.validFrom > nowMs) return 'not_yet_valid'
  if (item.validTo !== null && item.validTo <= nowMs) return 'no_longer_valid'
  return 'active'
}

/** One memory for the fence. */
export function asFenced(data: MemoryData, nowMs: number, section?: string): FencedItem {
  const notes = [
    data.space,
    ...(data.path === undefined ? [] : [data.path]),
    ...(data.state === 'active' ? [] : [data.state.toUpperCase()]),
    ...(data.flags ?? []).map((flag) => `flag: ${flag}`),
    ...(data.truncated === true ? ['cut short'] : [])
  ]
  return {
    id: data.id,
    kind: data.kind,
    author: `${data.agent === undefined ? '' : `${data.agent} at `}${shortPeer(data.author)}`,
    tier: data.trust,
    ageMs: nowMs - Date.parse(data.updated_at),
    content: data.content,
    notes,
    ...(section === undefined ? {} : { section })
  }
}

export function shortPeer(peer: string): string {
  return peer.length <= PEER_DIGITS ? peer : `…${peer.slice(-PEER_DIGITS)}`
}

export function fencedData(items: readonly MemoryData[], nowMs: number): string {
  return fenced(items.map((item) => asFenced(item, nowMs)))
}

/** Every text in it made plain, keys too; for answers that are data and no memories. */
export function plainData<T>(value: T): T {
  if (typeof value === 'string') return plainText(value) as T
  if (Array.isArray(value)) return value.map((one: unknown) => plainData(one)) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [plainLine(key, 256), plainData(one)])) as T
}

/** One `name: value` a line, for answers that people read too. */
export function asLines(data: Readonly<Record<string, unknown>>): string {
  return Object.entries(data)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? plainLine(value, 400) : JSON.stringify(value)}`)
    .join('\n')
}
