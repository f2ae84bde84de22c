/** The profile for whoever looks after the daemon: how it is, what rots, what verifies, and who may come in. */
import { z } from 'zod'
import { plainLine } from '../../base/fence.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Profile } from '../profile.ts'
import { asLines, iso } from '../render.ts'
import { tool } from '../tool.ts'
import { given, texts } from '../words.ts'
import { memoryWords } from './memory-words.ts'

const HOUR_MS = 3_600_000
const everySpace = z.string().optional()

const status = tool({
  name: 'status',
  title: 'Status',
  description: 'How this daemon is: version, peers, spaces, index, disk.',
  effect: 'read',
  input: z.object({}),
  output: z.object({
    version: z.string(),
    peer: z.string(),
    state: z.string(),
    reasons: texts,
    uptime_ms: z.number(),
    peers: z.object({ connected: z.number(), known: z.number() }),
    spaces: z.array(z.object({ name: z.string(), shared: z.boolean(), records: z.number(), deltas: z.number() })),
    index: z.object({ state: z.string(), indexed: z.number(), records: z.number(), vector: z.string() }),
    rss_bytes: z.number()
  }),
  run: async (_, { caller }) => {
    const answer = await caller.call('node.status', {})
    const structured = {
      version: answer.version,
      peer: answer.peer,
      state: answer.state,
      reasons: answer.reasons.map((reason) => plainLine(reason, 400)),
      uptime_ms: answer.uptimeMs,
      peers: { ...answer.peers },
      spaces: answer.spaces.map(({ name, shared, records, deltas }) => ({
        name: plainLine(name),
        shared,
        records,
        deltas
      })),
      index: { ...answer.index },
      rss_bytes: answer.memory.rssBytes
    }
    return { structured, text: asLines(structured) }
  }
})

const doctor = tool({
  name: 'doctor',
  title: 'Doctor',
  description: 'Is the daemon well? Each check with its finding.',
  effect: 'read',
  input: z.object({}),
  output: z.object({
    well: z.boolean(),
    checks: z.array(z.object({ check: z.string(), ok: z.boolean(), detail: z.string() }))
  }),
  run: async (_, { caller }) => {
    const [health, answer] = await Promise.all([caller.call('node.health', {}), caller.call('node.status', {})])
    const { disk, index, peers } = answer
    const shared = answer.spaces.some((space) => space.shared)
    const checks = [
      {
        check: 'ready',
        ok: health.ready,
        detail: health.reasons.map((one) => plainLine(one, 200)).join('; ') || 'yes'
      },
      { check: 'index', ok: index.state === 'complete', detail: `${index.indexed} of ${index.records} records` },
      { check: 'embedder', ok: index.vector !== 'unavailable', detail: index.vector },
      {
        check: 'disk',
        ok: disk === null || disk.freeBytes > disk.floorBytes,
        detail: disk === null ? 'not known' : `${disk.freeBytes} bytes free, floor ${disk.floorBytes}`
      },
      { check: 'peers', ok: !shared || peers.connected > 0, detail: `${peers.connected} of ${peers.known} connected` }
    ]
    const lines = checks.map((one) => `${one.ok ? 'ok ' : 'BAD'} ${one.check}: ${one.detail}`)
    return { structured: { well: checks.every((one) => one.ok), checks }, text: lines.join('\n') }
  }
})

const audit = tool({
  name: 'audit',
  title: 'Audit',
  description: 'What has gone stale, double or doubtful: counts and first ids of each kind. Changes nothing.',
  effect: 'read',
  input: z.object({ space: everySpace, k: z.int().min(1).max(LIMITS.recallResultsMax).optional() }),
  output: z.object({
    records: z.number(),
    findings: z.array(z.object({ kind: z.string(), count: z.number(), ids: texts, meaning: z.string() })),
    unseen: z.number()
  }),
  aliases: memoryWords,
  run: async ({ space, k: limit }, { caller, space: own }) => {
    const answer = await caller.call('memory.audit', given({ space: space ?? own, limit }))
    const findings = answer.findings.map(({ kind, count, ids, meaning }) => ({ kind, count, ids: [...ids], meaning }))
    const lines = findings.map((one) => `${one.kind}: ${one.count} (${one.meaning}) ${one.ids.slice(0, 5).join(', ')}`)
    const text = [`${answer.records} records looked at.`, ...lines].join('\n')
    return { structured: { records: answer.records, findings, unseen: answer.unseen }, text }
  }
})

const verify = tool({
  name: 'verify',
  title: 'Verify',
  description: 'Check stored signatures and hashes again, of some memories or a whole space.',
  effect: 'read',
  input: z.object({ ids: texts.min(1).max(LIMITS.rpcPageItemsMax).optional(), space: everySpace }),
  output: z.object({
    checked: z.number(),
    valid: z.number(),
    pruned: z.number(),
    invalid: z.array(z.object({ delta: z.string(), reason: z.string() })),
    equivocators: texts
  }),
  aliases: { ...memoryWords, id: 'ids', memory_id: 'ids' },
  run: async ({ ids, space }, { caller, space: own }) => {
    const answer = await caller.call('memory.verify', given({ ids, space: space ?? own }))
    const structured = {
      checked: answer.checked,
      valid: answer.valid,
      pruned: answer.pruned,
      invalid: answer.invalid.slice(0, 50).map((one) => ({ delta: one.delta, reason: plainLine(one.reason, 200) })),
      equivocators: answer.equivocators.slice(0, 50)
    }
    return { structured, text: asLines(structured) }
  }
})

const consolidate = tool({
  name: 'consolidate',
  title: 'Plan a consolidation',
  description: 'What a consolidation would coalesce, link or expire, and the contradictions it sees. Changes nothing.',
  effect: 'read',
  input: z.object({ space: everySpace, k: z.int().min(1).max(200).optional() }),
  output: z.object({
    records: z.number(),
    actions: z.array(z.object({ action: z.string(), keeper: z.string().nullable(), ids: texts, detail: z.string() })),
    contradictions: z.array(z.object({ kind: z.string(), ids: texts, reason: z.string() })),
    more: z.boolean()
  }),
  aliases: memoryWords,
  run: async ({ space, k: limit = 50 }, { caller, space: own }) => {
    const answer = await caller.call('memory.consolidate', { dryRun: true, limit, ...given({ space: space ?? own }) })
    const actions = answer.actions.map(({ action, keeper, ids, detail }) => ({
      action,
      keeper,
      ids: [...ids],
      detail: plainLine(detail, 200)
    }))
    const contradictions = answer.contradictions
      .slice(0, limit)
      .map(({ kind, ids, reason }) => ({ kind, ids: [...ids], reason: plainLine(reason, 200) }))
    const lines = [
      `${answer.records} records looked at. Run it with: chrysalis consolidate`,
      ...actions.map((one) => `${one.action} ${one.ids.join(', ')}: ${one.detail}`),
      ...contradictions.map((one) => `contradiction (${one.kind}) ${one.ids.join(', ')}: ${one.reason}`)
    ]
    return {
      structured: { records: answer.records, actions, contradictions, more: answer.more },
      text: lines.join('\n')
    }
  }
})

const invite = tool({
  name: 'invite',
  title: 'Invite',
  description:
    'Make a ticket that lets another daemon into a space. Whoever has it can join: give it to a person only.',
  effect: 'change',
  input: z.object({
    space: everySpace,
    hours: z.number().min(0.1).max(168).optional(),
    uses: z.int().min(1).max(100).optional()
  }),
  output: z.object({ ticket: z.string(), space: z.string(), expires_at: z.string(), uses: z.number() }),
  aliases: memoryWords,
  run: async ({ space, hours = 1, uses = 1 }, { caller, space: own }) => {
    const expiresInMs = Math.round(hours * HOUR_MS)
    const answer = await caller.call('space.invite', { uses, expiresInMs, ...given({ space: space ?? own }) })
    const structured = {
      ticket: answer.ticket,
      space: plainLine(answer.space),
      expires_at: iso(answer.expiresAtMs),
      uses: answer.uses
    }
    return { structured, text: asLines(structured) }
  }
})

export const ops: Profile = {
  name: 'ops',
  instructions: 'The tools of ops look after the daemon itself. What they find is for your user to decide about.',
  tools: [status, doctor, audit, verify, consolidate, invite]
}
