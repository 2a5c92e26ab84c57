import type { SshChannel, SshItem, SshRan } from '../recording/ssh-timeline.ts'
import { sizeInWords } from './recording-words.ts'
import { terminalLine } from './terminal-text.ts'
import { duration, type Paint, timedLines } from './timeline-text.ts'

/** As `timelineText`, of an SSH session. */
export function sshTimelineText(item: SshItem, paint: Paint): string {
  return timedLines(item.at, linesOf(item, paint), paint)
}

function linesOf(item: SshItem, paint: Paint): readonly string[] {
  switch (item.kind) {
    case 'begin':
      return [`${channelName(item.channel)}  ${paint('bold', whatItDoes(item.channel))}${terminalWords(item.channel)}`]
    case 'end':
      return [`${channelName(item.channel)}  ${endLine(item.channel, item.at, paint)}`]
    case 'file':
      return fileLines(item, paint)
    case 'signal':
      return [`channel ${item.ch}  signal ${terminalLine(item.name)}`]
    case 'lost':
      return [paint('yellow', `channel ${item.ch}  files are not told from here on: ${terminalLine(item.why)}`)]
    case 'remote-forward': {
      const verb = item.action === 'listen' ? 'listens for the client on' : 'no longer listens on'
      const refused = item.ok ? '' : paint('red', ' -> the target refused')
      return [`target ${verb} ${terminalLine(item.address)}${refused}`]
    }
    case 'refused':
      return [paint('red', `refused: ${terminalLine(item.what)} (${terminalLine(item.why)})`)]
    case 'gate':
      return [paint('yellow', `Curfew: ${terminalLine(item.text)}`)]
    case 'unknown':
      return [paint('dim', `(a line ${terminalLine(item.code)} that this version cannot read)`)]
  }
}

function channelName({ ch }: SshChannel): string {
  return `channel ${ch}`
}

/** `exec tar cz /etc`, `shell`, `forward to db:5432, from 127.0.0.1:4711`. */
export function whatItDoes({ kind, ran, to, from }: SshChannel): string {
  if (ran !== null) return ranWords(ran)
  if (kind === 'session') return 'nothing yet'
  if (kind === 'agent') return 'agent of the client'
  const way = kind === 'forward-remote' ? 'forward to the client' : 'forward'
  const parts = [way, to === null ? '' : `to ${to}`, from === null ? '' : `from ${from}`]
  return kind === null ? 'opened before' : terminalLine(parts.filter((part) => part !== '').join(' '))
}

function ranWords({ what, command, commandBytes }: SshRan): string {
  const cut = commandBytes === null ? '' : ` ... (cut; ${sizeInWords(commandBytes)} in all)`
  return terminalLine(`${what}${command === null ? '' : ` ${command}`}${cut}`)
}

function terminalWords({ terminal }: SshChannel): string {
  return terminal === null ? '' : terminalLine(` (terminal ${terminal.type}, ${terminal.cols}x${terminal.rows})`)
}

function endLine(channel: SshChannel, at: number, paint: Paint): string {
  const { exit, bytesUp, bytesDown, openedAt, closedAt, inputBytes, outputBytes } = channel
  const traffic = `${sizeInWords(bytesUp ?? inputBytes)} up, ${sizeInWords(bytesDown ?? outputBytes)} down`
  const parts = [exitWords(exit), traffic, ...(openedAt === null ? [] : [duration((at - openedAt) * 1000)])]
  const text = `-> ${closedAt === null ? 'still open; ' : ''}${parts.filter((part) => part !== '').join(', ')}`
  const failed = exit !== null && exit.status !== 0
  return paint(failed ? 'red' : closedAt === null ? 'yellow' : 'green', text)
}

function exitWords(exit: SshChannel['exit']): string {
  if (exit === null) return ''
  if (exit.status !== null) return `exit status ${exit.status}`
  const message = exit.message === null || exit.message === '' ? '' : ` (${exit.message})`
  return terminalLine(`ended by signal ${exit.signal ?? '?'}${message}`)
}

function fileLines(item: SshItem & { kind: 'file' }, paint: Paint): string[] {
  const size = item.bytes === undefined ? '' : `, ${sizeInWords(item.bytes)}`
  const way = item.direction === undefined ? '' : ` ${item.direction}`
  const target = item.to === undefined ? '' : ` -> ${item.to}`
  const what = terminalLine(`channel ${item.ch}  ${item.op} ${item.path}${target}`)
  const good = item.result === 'ok'
  const result = good ? '' : paint('red', `, ${terminalLine(item.result)}`)
  const first = `${what}${size}${way}, ${duration(item.ms)}${result}`
  return item.sha256 === undefined ? [first] : [first, paint('dim', `SHA-256 ${terminalLine(item.sha256)}`)]
}
