import { CliProblem } from '../problem.ts'

/** What follows `curfew ssh`. */
export interface SshWords {
  readonly resource: string | undefined
  readonly role: string | undefined
  /** For ssh, as they were typed. */
  readonly options: readonly string[]
  /** For the target; empty: a shell. */
  readonly command: readonly string[]
  /** `--print`, which people also write here. */
  readonly isPrinted: boolean
}

/** @see ssh(1), "SYNOPSIS" */
const flags = new Set('46AaCfGgKkMNnqsTtVvXxYy')
const withValue = new Set('BbcDEeFIiJLmOoPQRSWw')

/**
 * Sorts resource, role, options of ssh, and command apart.
 * @throws CliProblem (exit code 2) for words that are neither.
 */
export function readSshWords(words: readonly string[]): SshWords {
  const end = words.indexOf('--')
  const [own, command] = end < 0 ? [words, []] : [words.slice(0, end), words.slice(end + 1)]
  const options: string[] = []
  const names: string[] = []
  let isPrinted = false
  for (let at = 0; at < own.length; at++) {
    const word = own[at]!
    if (word === '--print') isPrinted = true
    else if (word.startsWith('-') && word !== '-') {
      options.push(word)
      if (wantsNext(word)) options.push(valueOf(own[++at], word))
    } else names.push(word)
  }
  const [resource, role, ...more] = names
  if (more.length > 0) throw tooMany(more.join(' '))
  return { resource, role, options, command, isPrinted }
}

/** `-vL` wants one, `-vL8080:localhost:80` has it. @throws CliProblem */
function wantsNext(word: string): boolean {
  for (let at = 1; at < word.length; at++) {
    const letter = word.charAt(at)
    if (withValue.has(letter)) return at === word.length - 1
    if (!flags.has(letter)) throw unknownOption(word, letter)
  }
  return false
}

function valueOf(value: string | undefined, option: string): string {
  if (value !== undefined) return value
  throw new CliProblem(`${option} wants a value`, { exitCode: 2 })
}

function unknownOption(word: string, letter: string): CliProblem {
  if (letter === 'l' || letter === 'p') {
    return new CliProblem(`-${letter} is not for you to say: curfew knows the login and the port`, {
      exitCode: 2,
      hint: 'The login comes with the role: curfew ssh RESOURCE ROLE',
    })
  }
  return new CliProblem(`ssh has no option ${word}`, {
    exitCode: 2,
    hint: 'Try: curfew ssh --help. A command goes after --',
  })
}

function tooMany(words: string): CliProblem {
  return new CliProblem(`"${words}" follows resource and role, and is no option of ssh`, {
    exitCode: 2,
    hint: `A command goes after --: curfew ssh RESOURCE ROLE -- ${words}`,
  })
}
