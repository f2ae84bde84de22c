/**
 * Completion scripts for bash, zsh and fish, made from the tree of commands. They are static: a shell that asks the
 * program at every keystroke would wait for a process to start each time.
 */
import type { CommandDescription, OptionDescription } from './describe.ts'
import { namesOf } from './describe.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

export function completionScript(shell: Shell, program: CommandDescription): string {
  switch (shell) {
    case 'bash':
      return bash(program)
    case 'zsh':
      return zsh(program)
    case 'fish':
      return fish(program)
  }
}

function words(command: CommandDescription, globals: readonly OptionDescription[]): string {
  return [
    ...command.commands.flatMap(namesOf),
    ...command.arguments.flatMap((argument) => argument.choices),
    ...command.options.map((option) => option.long),
    ...globals.map((option) => option.long)
  ].join(' ')
}

/** Case patterns of all nested commands: every spelling of each. */
function cases(program: CommandDescription): { pattern: string; words: string }[] {
  const globals = program.options
  return program.commands.flatMap((command) => [
    { pattern: namesOf(command).join('|'), words: words(command, globals) },
    ...command.commands.flatMap((child) =>
      namesOf(command).map((name) => ({
        pattern: namesOf(child)
          .map((inner) => `'${name} ${inner}'`)
          .join('|'),
        words: words(child, globals)
      }))
    )
  ])
}

/** Global options whose next word is a value, not a verb. */
function valued(program: CommandDescription): string[] {
  return program.options.filter((option) => option.takesValue).map((option) => option.long)
}

/** Options that take one of a few words, by option. */
function choices(program: CommandDescription): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>()
  for (const command of [program, ...program.commands, ...program.commands.flatMap((one) => one.commands)]) {
    for (const { long, choices: allowed } of command.options) if (allowed.length > 0) found.set(long, allowed)
  }
  return found
}

function bash(program: CommandDescription): string {
  return `# bash completion for chrysalis; load with: source <(chrysalis completion bash)
_chrysalis() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local verb="" inner="" word skip=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "$skip" ]; then skip=""; continue; fi
    case "$word" in
      ${valued(program).join('|')}) skip=1 ;;
      -*) ;;
      *) if [ -z "$verb" ]; then verb="$word"; elif [ -z "$inner" ]; then inner="$word"; fi ;;
    esac
  done
  case "$previous" in
${[...choices(program)].map(([long, allowed]) => `    ${long}) COMPREPLY=($(compgen -W "${allowed.join(' ')}" -- "$current")); return ;;`).join('\n')}
    --home) COMPREPLY=($(compgen -d -- "$current")); return ;;
  esac
  local words="${words(program, [])}"
  case "$verb" in
${cases(program)
  .filter(({ pattern }) => !pattern.includes(' '))
  .map((one) => `    ${one.pattern}) words="${one.words}" ;;`)
  .join('\n')}
  esac
  case "$verb $inner" in
${cases(program)
  .filter(({ pattern }) => pattern.includes(' '))
  .map((one) => `    ${one.pattern}) words="${one.words}" ;;`)
  .join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _chrysalis chrysalis
`
}

function zsh(program: CommandDescription): string {
  const verbs = program.commands.flatMap((command) =>
    namesOf(command).map((name) => `    '${name}:${quoteZsh(command.description)}'`)
  )
  const perVerb = program.commands.map((command) => {
    const options = [...command.options, ...program.options].map(
      (option) => `      '${option.long}[${quoteZsh(option.description)}]${zshValue(option)}'`
    )
    const values = [...command.commands.flatMap(namesOf), ...command.arguments.flatMap((argument) => argument.choices)]
    const rest = values.length === 0 ? "'*: :_files'" : `'*: :(${values.join(' ')})'`
    return `    ${namesOf(command).join('|')})\n      _arguments \\\n${options.map((one) => `  ${one} \\`).join('\n')}\n        ${rest} ;;`
  })
  return `#compdef chrysalis
# zsh completion for chrysalis; load with: source <(chrysalis completion zsh)
_chrysalis() {
  local -a verbs
  verbs=(
${verbs.join('\n')}
  )
  local verb="" i
  for (( i = 2; i < CURRENT; i++ )); do
    case "\${words[i]}" in
      ${valued(program).join('|')}) (( i++ )) ;;
      -*) ;;
      *) verb="\${words[i]}"; break ;;
    esac
  done
  if [[ -z "$verb" ]]; then
    _describe 'command' verbs
    return
  fi
  case "$verb" in
${perVerb.join('\n')}
  esac
}
compdef _chrysalis chrysalis
`
}

function quoteZsh(text: string): string {
  return text.replace(/'/g, '’').replace(/[[\]:]/g, (mark) => `\\${mark}`)
}

function zshValue(option: OptionDescription): string {
  if (!option.takesValue) return ''
  return option.choices.length > 0 ? `:value:(${option.choices.join(' ')})` : ':value:'
}

function fish(program: CommandDescription): string {
  const lines = [
    '# fish completion for chrysalis; load with: chrysalis completion fish | source',
    'complete -c chrysalis -f'
  ]
  for (const option of program.options) lines.push(fishOption(option, ''))
  for (const command of program.commands) {
    const names = namesOf(command)
    for (const name of names) {
      lines.push(`complete -c chrysalis -n __fish_use_subcommand -a ${name} -d '${quoteFish(command.description)}'`)
    }
    const inside = `-n '__fish_seen_subcommand_from ${names.join(' ')}' `
    for (const option of command.options) lines.push(fishOption(option, inside))
    const values = [...command.commands.flatMap(namesOf), ...command.arguments.flatMap((argument) => argument.choices)]
    if (values.length > 0) lines.push(`complete -c chrysalis ${inside}-a '${values.join(' ')}'`)
  }
  return `${lines.join('\n')}\n`
}

function fishOption(option: OptionDescription, inside: string): string {
  const long = option.long.replace(/^--/, '')
  const short = option.short === null ? '' : ` -s ${option.short.slice(1)}`
  const values = option.choices.length > 0 ? ` -a '${option.choices.join(' ')}'` : ''
  const takes = option.takesValue ? ' -r' : ''
  return `complete -c chrysalis ${inside}-l ${long}${short}${takes}${values} -d '${quoteFish(option.description)}'`
}

function quoteFish(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")
}
