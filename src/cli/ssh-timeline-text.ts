import type { SshFileAttributes } from '../recording/ssh-events.ts'
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
  if (terminal === null) return ''
  const { type, cols, rows } = terminal
  // A client that has no terminal itself may ask for one without kind or size.
  const words = [type === '' ? '' : ` ${type}`, cols * rows === 0 ? '' : `, ${cols}x${rows}`]
  return terminalLine(` (terminal${words.join('')})`)
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
  const result = item.result === 'ok' ? '' : paint('red', `, ${terminalLine(item.result)}`)
  const first = `${terminalLine(`channel ${item.ch}  ${fileWords(item)}`)}, ${duration(item.ms)}${result}`
  return item.sha256 === undefined ? [first] : [first, paint('dim', `SHA-256 ${terminalLine(item.sha256)}`)]
}

/** `write /srv/app.tar, 12.0 KiB up`, `setstat /srv/app.tar, mode 0755`, `rename /a -> /b`. */
function fileWords(item: SshItem & { kind: 'file' }): string {
  if (item.count !== undefined) return `${item.op}, ${item.count} more of them`
  const name = item.name === undefined ? '' : ` (sent as ${item.name})`
  const parts = [
    `${item.op} ${item.path}${name}${item.to === undefined ? '' : ` -> ${item.to}`}`,
    item.bytes === undefined
      ? ''
      : `${sizeInWords(item.bytes)}${item.direction === undefined ? '' : ` ${item.direction}`}`,
    item.names === undefined ? '' : `${item.names} name${item.names === 1 ? '' : 's'}`,
    item.set === undefined ? '' : attributeWords(item.set),
  ]
  return parts.filter((part) => part !== '').join(', ')
}

function attributeWords({ size, uid, gid, mode, times }: SshFileAttributes): string {
  const parts = [
    mode === undefined ? '' : `mode ${mode}`,
    uid === undefined ? '' : `owner ${uid}`,
    gid === undefined ? '' : `group ${gid}`,
    size === undefined ? '' : `size ${size}`,
    times === undefined ? '' : `changed ${timeText(times[1])}`,
  ]
  return parts.filter((part) => part !== '').join(', ')
}

/** A recording can hold any number here; SFTP's has 32 bits. */
function timeText(seconds: number): string {
  return seconds > 0xffff_ffff ? String(seconds) : `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
}
