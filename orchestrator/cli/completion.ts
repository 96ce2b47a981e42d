import type { Command, Option } from 'commander'
import { FAULTS } from './fault-task.js'
import { LEASE_ORDERS } from './lease.js'
import { NODE_ORDERS } from './node.js'
import { STEERS } from './operations.js'

// What shells complete, made of the command line's own tree: nothing is listed twice, so nothing can be forgotten.

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** One command as shells see it. */
export interface Entry {
  readonly name: string
  readonly about: string
  readonly options: readonly Flag[]
  /** What its first word can be, where that is one of a few. */
  readonly words: readonly string[]
}

export interface Flag {
  /** "--json" */
  readonly name: string
  readonly about: string
  /** Whether a value follows, and which there are, if they are few. */
  readonly takesValue: boolean
  readonly values: readonly string[]
}

const WORDS: Readonly<Record<string, readonly string[]>> = {
  fault: FAULTS,
  lease: LEASE_ORDERS,
  node: NODE_ORDERS,
  operations: STEERS,
  completion: SHELLS,
}

/** Every command of the program. */
export function entriesOf(program: Command): Entry[] {
  const entries = program.commands.map((command) => ({
    name: command.name(),
    about: command.description(),
    options: [...command.options.map(flagOf), HELP],
    words: WORDS[command.name()] ?? [],
  }))
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The options that stand before a command. */
export function flagsOf(program: Command): Flag[] {
  return [...program.options.map(flagOf), HELP]
}

const HELP: Flag = { name: '--help', about: 'display help', takesValue: false, values: [] }

function flagOf({ long, short, description, required, optional, argChoices }: Option): Flag {
  return { name: long ?? short ?? '', about: description, takesValue: required || optional, values: argChoices ?? [] }
}

export function completionFor(shell: Shell, program: Command): string {
  const [entries, flags] = [entriesOf(program), flagsOf(program)]
  switch (shell) {
    case 'bash':
      return bash(entries, flags)
    case 'zsh':
      return zsh(entries, flags)
    case 'fish':
      return fish(entries, flags)
  }
}

/** What can follow the words so far: commands, a command's first word and options, or an option's values. */
function cases(entries: readonly Entry[], flags: readonly Flag[]): string {
  const names = entries.map(({ name }) => name)
  const lines = entries.map(({ name, options, words }) => {
    return `    ${name}) words='${[...words, ...options.map((one) => one.name)].join(' ')}' ;;`
  })
  return [`    '') words='${[...names, ...flags.map(({ name }) => name)].join(' ')}' ;;`, ...lines].join('\n')
}

/** Of options whose value is one of a few, and of those whose value is anything: file names are offered then. */
function valueCases(entries: readonly Entry[], flags: readonly Flag[]): string {
  const all = new Map<string, readonly string[]>()
  for (const { name, takesValue, values } of [...flags, ...entries.flatMap(({ options }) => options)]) {
    if (takesValue) all.set(name, [...new Set([...(all.get(name) ?? []), ...values])])
  }
  return [...all].map(([name, values]) => `    ${name}) values='${values.join(' ')}'; valued=1 ;;`).join('\n')
}

function valued(entries: readonly Entry[], flags: readonly Flag[]): string {
  const options = [...flags, ...entries.flatMap((entry) => entry.options)]
  return [...new Set(options.filter(({ takesValue }) => takesValue).map(({ name }) => name))].join('|')
}

/** Plain bash, for version 3.2 as well (macOS), without the package bash-completion. */
function bash(entries: readonly Entry[], flags: readonly Flag[]): string {
  return `# bash completion of kvorum: source <(kvorum completion bash), in ~/.bashrc for ever
_kvorum() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command='' words='' values='' valued='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
    ${valued(entries, flags)}) i=$((i + 1)) ;;
    -*) ;;
    *) command=\${COMP_WORDS[i]}; break ;;
    esac
  done
  case $before in
${valueCases(entries, flags)}
  esac
  if [ -n "$valued" ]; then
    words=$values
  else
    case $command in
${cases(entries, flags)}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _kvorum kvorum
`
}

function zsh(entries: readonly Entry[], flags: readonly Flag[]): string {
  return `#compdef kvorum
# zsh completion of kvorum: source <(kvorum completion zsh), in ~/.zshrc for ever
_kvorum() {
  local before=\${words[CURRENT-1]} command='' values='' valued='' i
  local -a typed; typed=("\${words[@]}")
  local words=''
  for ((i = 2; i < CURRENT; i++)); do
    case \${typed[i]} in
    ${valued(entries, flags)}) ((i++)) ;;
    -*) ;;
    *) command=\${typed[i]}; break ;;
    esac
  done
  case $before in
${valueCases(entries, flags)}
  esac
  if [ -n "$valued" ]; then
    words=$values
    [ -z "$words" ] && { _files; return; }
  else
    case $command in
${cases(entries, flags)}
    esac
  fi
  compadd -- \${=words}
}
compdef _kvorum kvorum
`
}

function fish(entries: readonly Entry[], flags: readonly Flag[]): string {
  const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const option = (when: string, { name, about, takesValue, values }: Flag) => {
    const value = takesValue ? ` -r${values.length > 0 ? ` -f -a ${quoted(values.join(' '))}` : ''}` : ''
    return `complete -c kvorum -n ${when} -l ${name.replace(/^--/, '')}${value} -d ${quoted(about)}`
  }
  const lines = entries.flatMap(({ name, about, options, words }) => {
    const inside = quoted(`__fish_seen_subcommand_from ${name}`)
    return [
      `complete -c kvorum -f -n __fish_use_subcommand -a ${name} -d ${quoted(about)}`,
      ...(words.length === 0 ? [] : [`complete -c kvorum -f -n ${inside} -a ${quoted(words.join(' '))}`]),
      ...options.map((one) => option(inside, one)),
    ]
  })
  const before = flags.map((one) => option('__fish_use_subcommand', one))
  const head = '# fish completion of kvorum: kvorum completion fish > ~/.config/fish/completions/kvorum.fish'
  return `${[head, ...before, ...lines].join('\n')}\n`
}
