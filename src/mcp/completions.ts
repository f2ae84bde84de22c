/** What may come next while somebody types the name of a space, a tag or a peer. */
import type { ToolContext } from './profile.ts'
import { plainLine } from '../base/fence.ts'
import { compareText } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { given } from './words.ts'

/** The protocol's own bound. */
const COMPLETIONS_MAX = 100

type Complete = (value: string) => Promise<string[]>

export function completions(context: () => ToolContext): Readonly<Record<'space' | 'tag' | 'peer', Complete>> {
  const from =
    (list: (context: ToolContext) => Promise<readonly string[]>): Complete =>
    async (value) =>
      matching(await list(context()), value)
  return {
    space: from(async ({ caller }) => (await caller.call('space.list', {})).spaces.map((space) => space.name)),
    peer: from(async ({ caller }) => (await caller.call('peer.list', {})).peers.map((peer) => peer.peer)),
    tag: from(async ({ caller, space }) => {
      const spaces = space === undefined ? undefined : [space]
      const { items } = await caller.call('memory.list', { limit: LIMITS.recallResultsMax, ...given({ spaces }) })
      return items.flatMap((item) => item.tags)
    })
  }
}

/** Those that begin with it first, then those that contain it; what has invisible characters is not offered. */
function matching(words: readonly string[], value: string): string[] {
  const wanted = value.toLowerCase()
  const known = [...new Set(words)].filter((word) => plainLine(word, 256) === word).sort(compareText)
  const begins = known.filter((word) => word.toLowerCase().startsWith(wanted))
  const contains = known.filter((word) => !begins.includes(word) && word.toLowerCase().includes(wanted))
  return [...begins, ...contains].slice(0, COMPLETIONS_MAX)
}
