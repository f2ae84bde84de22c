/**
 * A profile on a real engine in virtual time: tools are called by name, through the same door and the same checks as
 * those of a connected model, except that nothing goes over a socket.
 */
import type { Caller, Profile, ToolAnswer } from '../../src/mcp/profile.ts'
import { localCaller } from '../../src/rpc/local.ts'
import { Bench, type Engine } from './engine.ts'
import { createFakeControl } from './fake-node.ts'

export interface ProfileBench {
  readonly bench: Bench
  readonly engine: Engine
  readonly caller: Caller
  /** Methods called through the door, in order. */
  readonly calls: string[]
  /** Runs one tool; rejects as the tool does. */
  run(tool: string, args: Record<string, unknown>): Promise<ToolAnswer>
  /** Several at once, all started before time passes. */
  runAll(calls: readonly (readonly [string, Record<string, unknown>])[]): Promise<ToolAnswer[]>
  resource(uri: string): Promise<string>
}

/** Gives a profile on a fresh engine to `act` and stops the engine afterwards. */
export async function withProfile(profile: Profile, act: (bench: ProfileBench) => Promise<void>): Promise<void> {
  const bench = new Bench()
  const engine = await bench.start({ seed: 1 })
  const calls: string[] = []
  const door = localCaller(engine.node, createFakeControl())
  const caller: Caller = {
    call: (method, params, options) => {
      calls.push(method)
      return door.call(method, params, options)
    }
  }
  const context = { caller, space: undefined, nowMs: () => engine.clock.nowMs() }
  const start = async (name: string, args: Record<string, unknown>): Promise<ToolAnswer> => {
    const tool = profile.tools.find((one) => one.name === name)
    if (tool === undefined) throw new Error(`no tool ${name}`)
    const answer = await tool.run(tool.input.parse(args), context)
    tool.output.parse(answer.structured)
    return answer
  }
  try {
    await act({
      bench,
      engine,
      caller,
      calls,
      run: (name, args) => bench.finish(start(name, args)),
      runAll: (list) => bench.finish(Promise.all(list.map(([name, args]) => start(name, args)))),
      resource: (uri) => {
        const resource = profile.resources?.find((one) => one.uri === uri)
        if (resource === undefined) throw new Error(`no resource ${uri}`)
        return bench.finish(resource.read(context))
      }
    })
  } finally {
    await bench.stop()
  }
}
