import { Argument } from 'commander'
import type { Command } from 'commander'
import { print } from './print.ts'

/** Words that may follow each command, read from the program itself when the script is made. */
interface Level {
  /** `token create`; empty for the program. */
  readonly path: string
  readonly words: readonly { readonly word: string; readonly about: string }[]
}

const shells = { bash, zsh, fish }

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .summary('print a completion script')
    .addArgument(new Argument('<shell>', 'whose completion').choices(Object.keys(shells)))
    .addHelpText(
      'after',
      '\nExamples:\n  curfew completion bash > /etc/bash_completion.d/curfew\n  curfew completion zsh > "${fpath[1]}/_curfew"\n  curfew completion fish > ~/.config/fish/completions/curfew.fish\n',
    )
    .action((shell: keyof typeof shells) => print(shells[shell](levelsOf(program, []))))
}

function levelsOf(command: Command, path: readonly string[]): readonly Level[] {
  const { visibleCommands, visibleOptions } = visible(command)
  const words = [
    ...visibleCommands.map((inner) => ({ word: inner.name(), about: inner.summary() || inner.description() })),
    ...visibleOptions.map((option) => ({ word: option.long ?? option.short ?? '', about: option.description })),
  ]
  const inner = visibleCommands.filter((one) => one.name() !== 'help')
  return [{ path: path.join(' '), words }, ...inner.flatMap((one) => levelsOf(one, [...path, one.name()]))]
}

function visible(command: Command) {
  const help = command.createHelp()
  return { visibleCommands: help.visibleCommands(command), visibleOptions: help.visibleOptions(command) }
}

/** Finds the longest command that has been typed; what follows is completed by its words, or else by file names. */
function bash(levels: readonly Level[]): string {
  const cases = levels.map(({ path, words }) => `    '${path}') words='${words.map(({ word }) => word).join(' ')}' ;;`)
  return `# bash completion for curfew
_curfew() {
  local path='' words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) continue ;; esac
    if [[ " ${levels.map(({ path }) => path.replaceAll(' ', '/')).join(' ')} " == *" \${path:+\${path// //}/}$word "* ]]; then
      path="\${path:+$path }$word"
    fi
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _curfew curfew`
}

function zsh(levels: readonly Level[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
  const cases = levels.map(({ path, words }) => {
    const items = words.map(({ word, about }) => quote(`${word.replaceAll(':', '\\:')}:${about}`))
    return `    ${quote(path)}) items=(${items.join(' ')}) ;;`
  })
  return `#compdef curfew
local trail='' word
local -a items known
known=(${levels.map(({ path }) => quote(path)).join(' ')})
for word in \${words[2,CURRENT-1]}; do
  [[ $word == -* ]] && continue
  (( \${known[(Ie)\${trail:+$trail }$word]} )) && trail="\${trail:+$trail }$word"
done
case "$trail" in
${cases.join('\n')}
esac
_describe 'curfew' items || _files`
}

function fish(levels: readonly Level[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", `\\'`)}'`
  const lines = levels.flatMap(({ path, words }) => {
    const typed = path === '' ? [] : path.split(' ')
    const inner = words.filter(({ word }) => !word.startsWith('-')).map(({ word }) => word)
    const seen = typed.map((word) => `__fish_seen_subcommand_from ${word}`)
    const notYet = inner.length === 0 ? [] : [`not __fish_seen_subcommand_from ${inner.join(' ')}`]
    const when = quote([...seen, ...notYet].join('; and ') || 'true')
    return words.map(({ word, about }) => {
      const kind = word.startsWith('--')
        ? `-l ${word.slice(2)}`
        : word.startsWith('-')
          ? `-s ${word.slice(1)}`
          : `-f -a ${word}`
      return `complete -c curfew -n ${when} ${kind} -d ${quote(about)}`
    })
  })
  return `# fish completion for curfew\n${lines.join('\n')}`
}
