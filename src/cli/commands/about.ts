/** Verbs about the program: completion, help, sim, version. None of them needs a home or a daemon. */
import { Argument, type Command } from 'commander'
import { CLIENT_PROTOCOL } from '../../rpc/vocabulary.ts'
import { completionScript, SHELLS, type Shell } from '../completion.ts'
import { describeCommand, findCommand } from '../describe.ts'
import { usage } from '../values.ts'
import type { Wrap } from './register.ts'

export function registerAboutVerbs(program: Command, wrap: Wrap): void {
  program
    .command('completion')
    .description('Print a completion script')
    .addArgument(new Argument('<shell>', 'your shell').choices(SHELLS))
    .action(
      wrap(async (_, shell: Shell) => {
        const script = completionScript(shell, describeCommand(program))
        return { data: { shell, script }, lines: [script.trimEnd()] }
      })
    )
  program
    .command('help')
    .description('Help for a command; --json gives all of it as data')
    .argument('[command...]', 'as `sync` or `config print`')
    .action(
      wrap(async (_, path: string[]) => {
        const description = findCommand(describeCommand(program), path)
        if (description === undefined) {
          throw usage(`There is no command ${path.join(' ')}.`, 'chrysalis help lists the commands.')
        }
        let command: Command | undefined = program
        for (const word of path) {
          command = command?.commands.find((child) => child.name() === word || child.aliases().includes(word))
        }
        return { data: description, lines: [(command ?? program).helpInformation().trimEnd()] }
      })
    )
  program
    .command('sim')
    .description('Run the simulator: the code of the daemon in virtual time, under faults and liars')
    .argument('[words...]', 'as `chrysalis sim --help` lists them')
    .allowUnknownOption()
    .action(
      // The simulator stands above the daemon, so nothing here may load it: bin/chrysalis tells the two apart.
      wrap(() => {
        throw usage('The simulator is started by bin/chrysalis only.', 'Run it as: chrysalis sim --help')
      })
    )
  program
    .command('version')
    .description('Version of this program and of the door it speaks')
    .action(
      wrap(async (context) => {
        const data = { version: context.io.version, protocol: CLIENT_PROTOCOL, node: process.versions.node }
        return { data, lines: [`chrysalis ${data.version} (protocol ${data.protocol}, Node ${data.node})`] }
      })
    )
}
