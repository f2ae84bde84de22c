/** `sim swarm` and `sim cables`: the tiers that use real wires, and real time. */
import { Option, type Command } from 'commander'
import type { WrapSim } from '../command.ts'
import { PLACES_MAX } from '../live/bridge.ts'
import { runCuts, runSwarm } from '../live/run.ts'
import { fraction, whole } from './options.ts'

const SWARM_MAX = 5_000

interface SwarmFlags {
  readonly seed: string
  readonly nodes: number
  readonly dials: number
  readonly messages: number
}

interface CablesFlags {
  readonly seed: string
  readonly daemons: number
  readonly seconds: number
  readonly loss: number
}

export function registerLive(program: Command, wrap: WrapSim): void {
  program
    .command('swarm')
    .description('Real libp2p and gossipsub over TCP on loopback, all nodes in this process')
    .addOption(new Option('--nodes <n>', 'nodes').argParser(whole('--nodes', 2, SWARM_MAX)).default(60))
    .addOption(new Option('--dials <n>', 'connections each dials').argParser(whole('--dials', 1, 32)).default(4))
    .addOption(new Option('--messages <n>', 'broadcasts').argParser(whole('--messages', 1, 1_000)).default(5))
    .option('--seed <text>', 'identities, links and publishers', '1')
    .action(wrap(({ note }, flags: SwarmFlags) => runSwarm(flags, note)))
  program
    .command('cables')
    .description('Packaged daemons in network namespaces whose cables are cut every five seconds (Linux, root)')
    .addOption(new Option('--daemons <n>', 'processes').argParser(whole('--daemons', 2, PLACES_MAX)).default(16))
    .addOption(new Option('--seconds <n>', 'of cuts').argParser(whole('--seconds', 5, 86_400)).default(300))
    .addOption(
      new Option('--loss <share>', 'of the packets on half of the ways')
        .argParser(fraction('--loss', 0, 0.9))
        .default(0.2)
    )
    .option('--seed <text>', 'links, cuts and writers; lost packets have no seed', '1')
    .action(wrap(({ note }, flags: CablesFlags) => runCuts(flags, note)))
}
