/** What `scp` runs at the other end: it gets files there (`to`), or sends them from there. */
export interface ScpCommand {
  readonly direction: 'up' | 'down'
  /** As the client wrote them: `~` and patterns are the target's to expand. */
  readonly paths: readonly string[]
  /** The path is surely a folder (`-d`). */
  readonly intoFolder: boolean
}

/** Room for two paths of the greatest length. A recording repeats them. */
const commandCharsMax = 8192
/** Where systems keep programs that only their owner changes. */
const scpProgram = /^(?:(?:\/usr(?:\/local)?)?\/bin\/)?scp$/
const sftpServerProgram = /^\/usr\/(?:local\/)?(?:lib|lib64|libexec)\/(?:openssh\/|ssh\/|misc\/)?sftp-server$/

/**
 * The old protocol of scp, as OpenSSH, PuTTY and WinSCP ask for it. Null for everything that is not plainly one call
 * of scp with options that are known: that is a command like any other.
 */
export function readScpCommand(command: string): ScpCommand | null {
  const words = command.length > commandCharsMax ? null : plainWords(command)
  if (words === null || !scpProgram.test(words[0] ?? '')) return null
  const given = words.slice(1)
  const optionsEnd = given.findIndex((word) => word === '--' || !word.startsWith('-'))
  if (optionsEnd < 0) return null
  const isMarked = given[optionsEnd] === '--'
  const paths = given.slice(isMarked ? optionsEnd + 1 : optionsEnd)
  // Behind a path an option may still count.
  if (!isMarked && paths.some((path) => path.startsWith('-'))) return null
  return scpCommand(given.slice(0, optionsEnd), paths)
}

export function isScpCommand(command: string): boolean {
  return readScpCommand(command) !== null
}

function scpCommand(options: readonly string[], paths: readonly string[]): ScpCommand | null {
  if (!options.every((option) => /^-[tfrpdvq]+$/.test(option))) return null
  const letters = options.join('')
  const isTo = letters.includes('t')
  if (isTo === letters.includes('f') || paths.length === 0 || (isTo && paths.length > 1)) return null
  return { direction: isTo ? 'up' : 'down', paths, intoFolder: letters.includes('d') }
}

/** One call of the system's own SFTP server, as an SFTP client without the subsystem asks for it. */
export function isSftpServerCommand(command: string): boolean {
  const words = plainWords(command)
  return (
    words !== null && sftpServerProgram.test(words[0] ?? '') && words.slice(1).every((word) => /^[-\w./]+$/.test(word))
  )
}

/** Ends a command, or runs, expands to or reads something else, in one shell or the other. */
const special = /[|&;<>()$`{}!#^\n\r\0]/
/** What a backslash takes its meaning from within double quotes; behind all others it stands for itself. */
const escapable = /^[$`"\\]$/
const doubleQuotedSpecial = /[$`!\n\r\0]/

/**
 * The words of a command that any shell runs as just these: nothing is substituted, redirected or run beside it
 * (patterns stay as they are, and can only become names of files). Null when that is not plain.
 */
function plainWords(command: string): readonly string[] | null {
  const words: string[] = []
  let at = 0
  while (at < command.length) {
    if (command[at] === ' ' || command[at] === '\t') {
      at += 1
      continue
    }
    const word = plainWord(command, at)
    if (word === null) return null
    words.push(word.text)
    at = word.end
  }
  return words
}

interface Word {
  readonly text: string
  readonly end: number
}

function plainWord(command: string, from: number): Word | null {
  let text = ''
  let at = from
  while (at < command.length && command[at] !== ' ' && command[at] !== '\t') {
    const part = plainPart(command, at)
    if (part === null) return null
    text += part.text
    at = part.end
  }
  return { text, end: at }
}

/** A quoted part, an escaped character, or a character. */
function plainPart(command: string, at: number): Word | null {
  const character = command[at]!
  if (character === "'") return singleQuoted(command, at + 1)
  if (character === '"') return doubleQuoted(command, at + 1)
  if (character !== '\\') return special.test(character) ? null : { text: character, end: at + 1 }
  const escaped = command[at + 1]
  return escaped === undefined || /[\n\r\0]/.test(escaped) ? null : { text: escaped, end: at + 2 }
}

function singleQuoted(command: string, from: number): Word | null {
  const end = command.indexOf("'", from)
  if (end < 0) return null
  const text = command.slice(from, end)
  return /[\n\r\0!]/.test(text) ? null : { text, end: end + 1 }
}

function doubleQuoted(command: string, from: number): Word | null {
  let text = ''
  for (let at = from; at < command.length; at++) {
    const character = command[at]!
    if (character === '"') return { text, end: at + 1 }
    const isEscape = character === '\\' && escapable.test(command[at + 1] ?? '')
    if (isEscape) at += 1
    else if (doubleQuotedSpecial.test(character)) return null
    text += command[at]
  }
  return null
}
