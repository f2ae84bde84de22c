/** The profiles there are, by name. */
import { ChrysalisError } from '../base/errors.ts'
import { plainLine } from '../base/fence.ts'
import { nearest } from '../rpc/nearest.ts'
import type { Profile } from './profile.ts'
import { core } from './profiles/core.ts'
import { filesProfile } from './profiles/files.ts'
import { ops } from './profiles/ops.ts'
import { serverMemoryProfile } from './profiles/server-memory.ts'
import { team } from './profiles/team.ts'

/** All of them. Made once for a daemon: writers of one profile may have to take turns over all its connections. */
export function createProfiles(): ReadonlyMap<string, Profile> {
  const all = [core, team, ops, serverMemoryProfile(), filesProfile()]
  return new Map(all.map((profile) => [profile.name, profile]))
}

/**
 * Those of these names, in the order in which they were named, each once. Throws `usage` for a name that is unknown, and
 * when two of them have a tool of one name.
 */
export function chooseProfiles(all: ReadonlyMap<string, Profile>, names: readonly string[]): readonly Profile[] {
  const chosen = [...new Set(names)].map((name) => {
    const profile = all.get(name)
    if (profile !== undefined) return profile
    const known = [...all.keys()]
    const meant = nearest(name, known)
    throw new ChrysalisError('usage', `There is no profile ${plainLine(name)}; there are ${known.join(', ')}.`, {
      hint: meant === undefined ? 'Name one or several of them: --profile core,team' : `Did you mean ${meant}?`
    })
  })
  const tools = new Set<string>()
  for (const { name } of chosen.flatMap((profile) => profile.tools)) {
    if (tools.has(name)) {
      throw new ChrysalisError('usage', `Two of these profiles have a tool ${name}.`, { hint: 'Choose one of them.' })
    }
    tools.add(name)
  }
  return chosen
}
