/** The care of memories as the engine of arrays has it: shapes and errors of the real one, and none of its judgement. */
import { createHash } from 'node:crypto'
import type { AddRequest, MemoryItem, SpaceInfo, UpkeepApi, WriteReceipt } from '../../src/node/api.ts'

interface FakeParts {
  /** Takes a note of the call. */
  readonly enter: (method: string, ...args: unknown[]) => Promise<void>
  readonly records: ReadonlyMap<string, MemoryItem>
  readonly spaceNamed: (name: string | undefined) => SpaceInfo
  /** Throws `not_found`. */
  readonly existing: (id: string) => MemoryItem
  readonly add: (request: AddRequest) => WriteReceipt
  readonly touch: (id: string, changes: Partial<MemoryItem>) => WriteReceipt
}

export function fakeUpkeep({ enter, records, spaceNamed, existing, add, touch }: FakeParts): UpkeepApi {
  return {
    async promote(request, writeOptions) {
      await enter('promote', request, writeOptions)
      const to = spaceNamed(request.space)
      const promoted = request.ids.map((from) => {
        const { content } = existing(from)
        return {
          from,
          id: add({ content: content ?? '', space: to.id, parents: [from] }).id,
          space: to.id,
          created: true
        }
      })
      return { promoted }
    },
    async consolidate(request) {
      await enter('consolidate', request)
      const [keeper, ...ids] = [...records.keys()]
      const space = spaceNamed(request.space).id
      const action = {
        id: createHash('sha256').update('action').digest('hex'),
        space,
        action: 'coalesce',
        keeper: keeper ?? null,
        ids
      } as const
      return {
        dryRun: request.dryRun ?? false,
        records: records.size,
        actions: ids.length === 0 ? [] : [{ ...action, detail: 'the same words twice' }],
        contradictions: ids.length === 0 ? [] : [{ kind: 'values', space, ids, reason: 'other numbers' }],
        skipped: [],
        unseen: 0,
        more: false
      }
    },
    async undo(request, writeOptions) {
      await enter('undo', request, writeOptions)
      const { space } = existing(request.id)
      return { id: request.id, space, restored: [], untagged: 0, kept: 0, overtaken: [] }
    },
    async restore(request, writeOptions) {
      await enter('restore', request, writeOptions)
      return touch(request.id, { retracted: null })
    },
    async rot(request) {
      await enter('rot', request)
      const ids = [...records.keys()]
      const findings = [{ kind: 'expired', count: ids.length, ids, meaning: 'They are past their time.' }] as const
      return { records: records.size, findings, unseen: 0 }
    }
  }
}
