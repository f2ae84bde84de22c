/**
 * The tree of commands as data: `help --json`, the shell completions and docs/CLI.md are all made from it, so none of
 * them can fall behind the program.
 */
import type { Argument, Command, Option } from 'commander'

export interface OptionDescription {
  /** As written in help: `-n, --limit <n>`. */
  readonly flags: string
  readonly long: string
  readonly short: string | null
  readonly description: string
  readonly takesValue: boolean
  readonly choices: readonly string[]
}

export interface ArgumentDescription {
  readonly name: string
  readonly description: string
  readonly required: boolean
  readonly variadic: boolean
  readonly choices: readonly string[]
}

export interface CommandDescription {
  /** `config print`; empty for the program itself. */
  readonly command: string
  readonly aliases: readonly string[]
  readonly description: string
  readonly usage: string
  readonly arguments: readonly ArgumentDescription[]
  readonly options: readonly OptionDescription[]
  readonly commands: readonly CommandDescription[]
}

export function describeCommand(command: Command, parents: readonly string[] = []): CommandDescription {
  const path = command.parent === null ? [] : [...parents, command.name()]
  const args = command.registeredArguments.map((one) => (one.required ? `<${named(one)}>` : `[${named(one)}]`))
  const hasOptions = command.options.length > 0 ? ['[options]'] : []
  return {
    command: path.join(' '),
    aliases: command.aliases(),
    description: command.description(),
    usage: ['chrysalis', ...path, ...hasOptions, ...args].join(' '),
    arguments: command.registeredArguments.map(describeArgument),
    options: command.options.map(describeOption),
    commands: command.commands.map((child) => describeCommand(child, path))
  }
}

function named(argument: Argument): string {
  return argument.variadic ? `${argument.name()}...` : argument.name()
}

function describeArgument(argument: Argument): ArgumentDescription {
  const { description, required, variadic, argChoices = [] } = argument
  return { name: argument.name(), description, required, variadic, choices: argChoices }
}

function describeOption(option: Option): OptionDescription {
  return {
    flags: option.flags,
    long: option.long ?? option.short ?? option.flags,
    short: option.long === undefined ? null : (option.short ?? null),
    description: option.description,
    takesValue: option.required || option.optional,
    choices: option.argChoices ?? []
  }
}

/** The description of `path`, or undefined when there is no such command. */
export function findCommand(root: CommandDescription, path: readonly string[]): CommandDescription | undefined {
  let at: CommandDescription | undefined = root
  for (const word of path) {
    at = at?.commands.find((child) => child.command.split(' ').at(-1) === word || child.aliases.includes(word))
  }
  return at
}

/** Commands with their aliases, as a person types them. */
export function namesOf(command: CommandDescription): string[] {
  return [command.command.split(' ').at(-1) ?? '', ...command.aliases]
}
