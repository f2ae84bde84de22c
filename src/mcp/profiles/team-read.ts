/** Tools of the team profile that read: context, changes, spaces, peers, sync_wait. */
import { z } from 'zod'
import { plainLine } from '../../base/fence.ts'
import { LIMITS } from '../../base/limits.ts'
import type { ToolContext } from '../profile.ts'
import { asData, asLines, fencedData, memory, shortPeer, type MemoryData } from '../render.ts'
import { tool } from '../tool.ts'
import { given, spaceOf, spacesOf, texts } from '../words.ts'
import { memoryWords } from './memory-words.ts'

const CHANGES = 50
const PEERS_SHOWN_MAX = 100
const WAIT_MS = 10_000

export const context = tool({
  name: 'context',
  title: 'Context',
  description:
    'What to know before you begin: pinned, open tasks and decisions, news since your cursor, and what bears on the goal, within a token budget.',
  effect: 'read',
  input: z.object({
    goal: z.string().optional(),
    space: z.string().optional(),
    path: z.string().optional(),
    budget_tokens: z.int().min(1).max(20_000).optional(),
    cursor: z.string().optional(),
    min_trust: z.enum(['any', 'untrusted', 'unknown', 'known', 'trusted', 'validated']).optional()
  }),
  output: z.object({
    pinned: z.array(memory),
    open: z.array(memory),
    changes: z.array(memory),
    relevant: z.array(memory),
    used_tokens: z.number(),
    overflow: z.boolean(),
    cursor: z.string()
  }),
  aliases: { ...memoryWords, query: 'goal', q: 'goal', task: 'goal', budget: 'budget_tokens', subject: 'path' },
  run: async ({ goal, space, path, budget_tokens: budgetTokens, cursor, min_trust: minTrust }, toolContext) => {
    const nowMs = toolContext.nowMs()
    const answer = await toolContext.caller.call('memory.context', {
      ...given({ goal, path, budgetTokens, cursor, minTrust }),
      ...spacesOf(space, toolContext)
    })
    const list = (items: typeof answer.pinned): MemoryData[] => items.map((item) => asData(item, nowMs))
    const found = answer.text === '' ? 'Nothing to tell.' : answer.text
    return {
      structured: {
        pinned: list(answer.pinned),
        open: list(answer.open),
        changes: list(answer.changes),
        relevant: list(answer.relevant),
        used_tokens: answer.usedTokens,
        overflow: answer.overflow,
        cursor: answer.cursor
      },
      text: `${found}\nYour cursor for what comes next: ${plainLine(answer.cursor, 256)}`
    }
  }
})

export const changes = tool({
  name: 'changes',
  title: 'Changes',
  description:
    'Memories that changed since a cursor, oldest first. Without a cursor: the newest, and a cursor to begin with.',
  effect: 'read',
  input: z.object({
    cursor: z.string().optional(),
    space: z.string().optional(),
    k: z.int().min(1).max(CHANGES).optional()
  }),
  output: z.object({ items: z.array(memory), cursor: z.string(), more: z.boolean() }),
  aliases: { ...memoryWords, since: 'cursor' },
  run: async ({ cursor, space, k = 20 }, toolContext) => {
    const nowMs = toolContext.nowMs()
    const found =
      cursor === undefined ? await newest(space, k, toolContext) : await since(cursor, space, k, toolContext)
    const items = found.items.map((item) => asData(item, nowMs, LIMITS.mcpExcerptCharactersMax))
    const text = [
      items.length === 0 ? 'Nothing changed.' : fencedData(items, nowMs),
      `Your cursor for what comes next: ${plainLine(found.cursor, 256)}${found.more ? ' (there is more)' : ''}`
    ]
    return { structured: { items, cursor: found.cursor, more: found.more }, text: text.join('\n') }
  }
})

type Items = Awaited<ReturnType<typeof itemsOf>>

async function newest(
  space: string | undefined,
  k: number,
  { caller, ...rest }: ToolContext
): Promise<{ items: Items; cursor: string; more: boolean }> {
  const spaces = spacesOf(space, { caller, ...rest })
  const { cursor } = await caller.call('memory.changes', { limit: 0, ...spaces })
  const { items } = await caller.call('memory.list', { limit: k, ...spaces })
  return { items: [...items], cursor, more: false }
}

/** A record that changed often is told once; the page ends where its records would be more than were asked for. */
async function since(
  cursor: string,
  space: string | undefined,
  k: number,
  toolContext: ToolContext
): Promise<{ items: Items; cursor: string; more: boolean }> {
  const answer = await toolContext.caller.call('memory.changes', {
    cursor,
    limit: k,
    ...spacesOf(space, toolContext)
  })
  const records = new Map<string, string>()
  let at = cursor
  let cutShort = false
  for (const change of answer.changes) {
    if (records.size > 0 && records.size + change.records.length > LIMITS.recallResultsMax) {
      cutShort = true
      break
    }
    for (const id of change.records.slice(0, LIMITS.recallResultsMax)) records.set(id, change.space)
    at = change.cursor
  }
  const end = cutShort ? at : answer.cursor
  return { items: await itemsOf(records, toolContext), cursor: end, more: cutShort || answer.more }
}

/** In the order of the ids; what is not here is left out. */
async function itemsOf(records: ReadonlyMap<string, string>, { caller }: ToolContext) {
  const bySpace = new Map<string, string[]>()
  for (const [id, space] of records) bySpace.set(space, [...(bySpace.get(space) ?? []), id])
  const pages = await Promise.all([...bySpace].map(([space, ids]) => caller.call('memory.get', { ids, space })))
  const found = new Map(pages.flatMap((page) => page.items.flatMap((item) => (item === null ? [] : [[item.id, item]]))))
  return [...records.keys()].flatMap((id) => found.get(id) ?? [])
}

export const spaces = tool({
  name: 'spaces',
  title: 'Spaces',
  description: 'The spaces you may use. A private one never leaves this machine.',
  effect: 'read',
  input: z.object({}),
  output: z.object({
    spaces: z.array(
      z.object({ name: z.string(), id: z.string(), shared: z.boolean(), default: z.boolean(), records: z.number() })
    )
  }),
  run: async (_, { caller }) => {
    const answer = await caller.call('space.list', {})
    const list = answer.spaces.map((space) => ({
      name: plainLine(space.name),
      id: space.id,
      shared: space.shared,
      default: space.isDefault,
      records: space.records
    }))
    const lines = list.map(
      (one) =>
        `${one.name}: ${one.shared ? 'shared' : 'private'}${one.default ? ', default' : ''}, ${one.records} records`
    )
    return { structured: { spaces: list }, text: lines.join('\n') || 'None.' }
  }
})

export const peers = tool({
  name: 'peers',
  title: 'Peers',
  description: 'Other daemons this one knows, and whether they are connected.',
  effect: 'read',
  input: z.object({ connected: z.boolean().optional() }),
  output: z.object({
    peers: z.array(z.object({ peer: z.string(), connected: z.boolean(), found: z.string() })),
    more: z.boolean()
  }),
  run: async ({ connected }, { caller }) => {
    const answer = await caller.call('peer.list', {})
    const all = answer.peers.filter((peer) => connected !== true || peer.connected)
    const list = all
      .slice(0, PEERS_SHOWN_MAX)
      .map((peer) => ({ peer: peer.peer, connected: peer.connected, found: peer.source }))
    const lines = list.map((one) => `${one.peer} ${one.connected ? 'connected' : 'away'}`)
    return { structured: { peers: list, more: all.length > list.length }, text: lines.join('\n') || 'No peers.' }
  }
})

export const syncWait = tool({
  name: 'sync_wait',
  title: 'Wait for replicas',
  description: 'Wait until other daemons hold the given memories (or everything written so far).',
  effect: 'read',
  input: z.object({
    ids: texts.min(1).max(LIMITS.addManyItemsMax).optional(),
    space: z.string().optional(),
    min_peers: z.int().min(1).optional(),
    timeout_ms: z.int().min(1).max(60_000).optional()
  }),
  output: z.object({
    memories: z.number(),
    holders: z.array(z.object({ space: z.string(), peers: texts })),
    waited_ms: z.number()
  }),
  aliases: { ...memoryWords, id: 'ids', memory_id: 'ids', replicas: 'min_peers', timeout: 'timeout_ms' },
  run: async ({ ids, space, min_peers: minPeers, timeout_ms: timeoutMs = WAIT_MS }, toolContext) => {
    const { caller } = toolContext
    const place = spaceOf(space, toolContext)
    const answer = await caller.call('sync.wait', { ...given({ ids, minPeers }), ...place }, { timeoutMs })
    const holders = answer.spaces.map((one) => ({ space: plainLine(one.name), peers: [...one.holders] }))
    const structured = { memories: answer.memories, holders, waited_ms: Math.round(answer.waitedMs) }
    const who = holders.map((one) => `${one.space}: ${one.peers.map(shortPeer).join(', ')}`)
    return { structured, text: asLines({ memories: answer.memories, held_by: who.join('; ') }) }
  }
})
