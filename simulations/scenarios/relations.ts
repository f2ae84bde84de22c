/**
 * What no single key of a scenario can be blamed for: values that are each fine and together impossible, or that would
 * make a run test something else than it says.
 */
import type { Scenario } from './scenario.ts'

export interface Broken {
  readonly what: string
  readonly hint: string
}

type Relation = (scenario: Scenario, hasModel: boolean) => Broken | undefined

/** Kinds that strike the air and no node. */
const AIRBORNE: ReadonlySet<string> = new Set(['loss', 'duplication', 'straggling'])

const RELATIONS: readonly Relation[] = [
  ({ tier }, hasModel) => {
    if ((tier === 'model') === hasModel) return undefined
    return hasModel
      ? { what: 'model is only for tier = "model"', hint: 'Add tier = "model" at the top, or take [model] out.' }
      : { what: 'tier = "model" needs a [model] table', hint: 'Add [model] with nodes at least.' }
  },
  ({ nodes, world }) =>
    world.dials < nodes[1] || nodes[1] === 1
      ? undefined
      : {
          what: `world.dials is ${world.dials}, and there are only ${nodes[1]} nodes`,
          hint: 'A node cannot dial itself: use fewer dials, or more nodes.'
        },
  ({ work }) => {
    const sum = work.revise + work.tag + work.retract + work.vote + work.link + work.bulk
    // A sum of decimal fractions is rarely exact.
    return sum <= 1 + 1e-9
      ? undefined
      : {
          what: `the shares of work add up to ${sum.toFixed(2)}`,
          hint: 'revise, tag, retract, vote, link and bulk are shares of all writes: at most 1 together.'
        }
  },
  ({ heal }) =>
    heal.withinMs <= heal.patienceMs
      ? undefined
      : {
          what: `heal.withinMs (${heal.withinMs}) is more than heal.patienceMs (${heal.patienceMs})`,
          hint: 'Patience has to last longer than what is asked for.'
        },
  ({ seeds }) =>
    seeds.pushOff + seeds.pullOff <= 1
      ? undefined
      : {
          what: 'seeds.pushOff and seeds.pullOff are more than 1 together',
          hint: 'Sessions that neither push nor pull repair nothing: no seed does without both.'
        },
  ({ planned, work }) => {
    const late = planned.find(({ atMs }) => atMs >= work.writingMs)
    return late === undefined
      ? undefined
      : {
          what: `a fault (${late.kind}) begins at ${late.atMs} ms, and writing ends at ${work.writingMs} ms`,
          hint: 'Everything is healed when writing ends: let the fault begin before, or write longer.'
        }
  },
  ({ planned, nodes }) => {
    const lost = planned.find((fault) => fault.nodes?.some((index) => index >= nodes[0]))
    return lost === undefined
      ? undefined
      : {
          what: `a fault (${lost.kind}) names node ${Math.max(...(lost.nodes ?? []))}, and there may be only ${nodes[0]}`,
          hint: 'Nodes are numbered from 0; the least number of world.nodes counts.'
        }
  },
  ({ planned }) => {
    const vague = planned.find(
      ({ kind, nodes, share }) => !AIRBORNE.has(kind) && (nodes === undefined) === (share === undefined)
    )
    return vague === undefined
      ? undefined
      : {
          what: `a fault (${vague.kind}) needs either nodes or share`,
          hint: 'nodes = [0, 2] names them; share = 0.5 draws half of them for each seed.'
        }
  },
  ({ liars, nodes }) => {
    if (liars.kinds.length > 0 && liars.count[1] === 0 && liars.share === 0) {
      return { what: 'liars has kinds and neither count nor share', hint: 'Say how many: count = 1.' }
    }
    if (liars.kinds.length === 0 && (liars.count[1] > 0 || liars.share > 0)) {
      return { what: 'liars has a number and no kinds', hint: 'Say how they lie: kinds = ["equivocator"].' }
    }
    return liars.surround === undefined || liars.surround < nodes[0]
      ? undefined
      : {
          what: `liars surround node ${liars.surround}, and there may be only ${nodes[0]}`,
          hint: 'Nodes are numbered from 0; the least number of world.nodes counts.'
        }
  }
]

export function relationBroken(scenario: Scenario, hasModel: boolean): Broken | undefined {
  for (const relation of RELATIONS) {
    const broken = relation(scenario, hasModel)
    if (broken !== undefined) return broken
  }
  return undefined
}
