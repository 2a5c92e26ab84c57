import { type Command, InvalidArgumentError, Option } from 'commander'
import { asFault, Fault } from '../kernel/fault.ts'
import { parseDurationMs } from '../kernel/durations.ts'
import { headerFacts, type HeaderFacts } from '../recording/header-facts.ts'
import { httpInOrder } from '../recording/http-order.ts'
import { httpTimeline } from '../recording/http-timeline.ts'
import { postgresTimeline } from '../recording/postgres-timeline.ts'
import { openRecording, type Recording } from '../recording/reading.ts'
import { type SshChannel, sshOverview, sshTimeline } from '../recording/ssh-timeline.ts'
import { httpJson, httpTimelineText } from './http-timeline-text.ts'
import { complain, note, print, styled } from './print.ts'
import { describeSession } from './recording-words.ts'
import { type ExportFormat, exported, exportFormats, isOfOneChannel, writeExport } from './replay-export.ts'
import { playTerminal } from './replay-terminal.ts'
import { sshTimelineText, whatItDoes } from './ssh-timeline-text.ts'
import { timelineText } from './timeline-text.ts'
import { terminalJson, terminalLine } from './terminal-text.ts'
import { givenKeys } from './recording-keys.ts'
import { checkFile, verdictText, verifyExitCodes } from './verify.ts'

interface Options {
  readonly list?: boolean
  readonly channel?: number
  readonly speed: number
  readonly idleLimit?: number
  readonly format?: ExportFormat
  readonly output?: string
  readonly json?: boolean
  readonly from?: number
  readonly to?: number
  readonly key?: string
  readonly verify: boolean
}

export function addReplay(program: Command): void {
  program
    .command('replay')
    .summary('show what happened in a recorded session')
    .description(
      `Shows what happened in a recording; needs no gateway. PostgreSQL: statements with times, row counts, errors.
SSH: plays the terminal in its own time when this is one, else lists channels, commands, files and forwards.
HTTP: requests with method, status, time, size and address; WebSockets with their messages counted.`,
    )
    .argument('<file>', 'recording (.curfew)')
    .option('--list', 'list what happened, rather than play the terminal')
    .option(
      '--channel <n>',
      'of an SSH session: the one to play or export (default: the first with a terminal)',
      readCount,
    )
    .option('--speed <n>', 'play so many times as fast', readSpeed, 1)
    .option('--idle-limit <time>', 'play pauses no longer than this', readTime)
    .addOption(
      new Option(
        '--format <format>',
        'export: asciicast v3, asciicast v2, plain text, HTTP archive, all events as JSON',
      ).choices(exportFormats),
    )
    .option('-o, --output <file>', 'export into this file')
    .option('--json', 'list as one JSON object per line')
    .option('--from <time>', 'skip what began before: seconds, 90s, 5m or h:mm:ss', readTime)
    .option('--to <time>', 'stop at what began after', readTime)
    .option('--key <file>', 'public keys to trust, as for verify')
    .option('--no-verify', 'show it even if it was tampered with')
    .addHelpText(
      'after',
      `
Examples:
  curfew replay session.curfew --speed 4 --idle-limit 2
  curfew replay session.curfew --format cast -o session.cast
  curfew replay session.curfew --format har -o session.har`,
    )
    .action(replay)
}

async function replay(file: string, options: Options): Promise<void> {
  if (options.verify && !(await checked(file, options))) return
  try {
    await using recording = await openRecording(file)
    await show(recording, options)
  } catch (error) {
    const fault = asFault(error)
    if (fault === undefined) throw error
    if (fault.code === 'INPUT_INVALID') {
      complain(`${terminalLine(file)}: ${terminalLine(fault.message)}`)
      process.exitCode = 2
      return
    }
    complain(`${terminalLine(file)}: ${terminalLine(fault.message)}`, fault.hint)
    process.exitCode = fault.code === 'RECORDING_TAMPERED' ? verifyExitCodes.tampered : verifyExitCodes.unreadable
  }
}

async function show(recording: Recording, options: Options): Promise<void> {
  if (options.format !== undefined) return exportAs(recording, options.format, options)
  if (options.output !== undefined) throw new Fault('INPUT_INVALID', '--output needs --format.')
  const { protocol } = headerFacts(recording.header)
  if (protocol === 'ssh' && process.stdout.isTTY && options.list !== true && options.json !== true) {
    const channel = await chosenChannel(recording, options)
    if (channel !== null && (channel.terminal !== null || options.channel !== undefined)) {
      return play(recording, channel, options)
    }
  }
  await list(recording, protocol, options)
}

async function list(recording: Recording, protocol: HeaderFacts['protocol'], options: Options): Promise<void> {
  const items = linesOf[protocol ?? 'postgres'](recording, options)
  if (options.json !== true) print(heading(recording))
  for await (const line of items) print(line)
  if (options.json !== true) print(ending(recording))
}

const linesOf = { postgres: postgresLines, ssh: sshLines, http: httpLines }

async function* sshLines(recording: Recording, options: Options): AsyncGenerator<string> {
  for await (const item of within(sshTimeline(recording.events()), options)) {
    if (options.channel !== undefined && channelOf(item) !== options.channel) continue
    yield options.json === true ? terminalJson(item) : sshTimelineText(item, styled)
  }
}

function channelOf(item: object): number | null {
  if ('ch' in item) return item.ch as number
  return 'channel' in item ? (item.channel as SshChannel).ch : null
}

async function* postgresLines(recording: Recording, options: Options): AsyncGenerator<string> {
  for await (const item of within(postgresTimeline(recording.events()), options)) {
    yield options.json === true ? terminalJson(item) : timelineText(item, styled)
  }
}

/** Not `within`: one that was open for long comes behind those that began later. */
async function* httpLines(recording: Recording, options: Options): AsyncGenerator<string> {
  const { from = 0, to = Infinity, json } = options
  for await (const item of httpInOrder(httpTimeline(recording.events(), { bodies: json === true }))) {
    if (item.at < from || item.at > to) continue
    yield json === true ? httpJson(item) : httpTimelineText(item, styled)
  }
}

async function play(recording: Recording, { ch, terminal }: SshChannel, options: Options): Promise<void> {
  const { columns, rows } = process.stdout
  if (terminal !== null && (columns < terminal.cols || rows < terminal.rows)) {
    note(`Recorded on a terminal of ${terminal.cols}x${terminal.rows}; this one has ${columns}x${rows}.`)
  }
  const { speed, idleLimit = Infinity, from = 0, to = Infinity } = options
  await playTerminal(recording, ch, { speed, idleLimitMs: idleLimit * 1000, from, to })
  note(ending(recording))
}

async function exportAs(recording: Recording, format: ExportFormat, options: Options): Promise<void> {
  const { protocol } = headerFacts(recording.header)
  if (isOfOneChannel(format) && protocol !== 'ssh') {
    throw new Fault('INPUT_INVALID', `Only an SSH session has a terminal; --format ${format} is not for this one.`)
  }
  if (format === 'har' && protocol !== 'http') {
    throw new Fault('INPUT_INVALID', 'Only an HTTP session has requests; --format har is not for this one.')
  }
  const channel = isOfOneChannel(format) ? await chosenChannel(recording, options) : null
  if (isOfOneChannel(format) && channel === null) {
    throw new Fault('INPUT_INVALID', 'Nothing was run in this session: there is nothing to export.')
  }
  await writeExport(exported(recording, format, channel?.ch ?? 0), options.output)
}

/** So many are looked through for the one to show. */
const channelsMax = 100_000

/** Says on stderr when there was a choice. null: no channel of this session ran anything. */
async function chosenChannel(recording: Recording, options: Options): Promise<SshChannel | null> {
  const { channels } = await sshOverview(recording.events(), channelsMax)
  if (options.channel !== undefined) {
    const named = channels.find(({ ch }) => ch === options.channel)
    if (named === undefined)
      throw new Fault('INPUT_INVALID', `There is no channel ${options.channel} in this recording.`)
    return named
  }
  const ran = channels.filter((channel) => channel.ran !== null)
  const chosen = ran.find(({ terminal }) => terminal !== null) ?? ran[0] ?? null
  if (chosen !== null && ran.length > 1) {
    note(
      `This is channel ${chosen.ch}, ${whatItDoes(chosen)}, one of ${ran.length}; --list shows them, --channel chooses.`,
    )
  }
  return chosen
}

/** Tells on stderr what is not in order. @returns whether to go on. */
async function checked(file: string, { key }: Options): Promise<boolean> {
  const found = await checkFile(file, await givenKeys(key))
  if (found.verdict === 'sealed') return true
  note(verdictText(found))
  if (found.verdict !== 'tampered' && found.verdict !== 'unreadable') return true
  if (found.verdict === 'tampered') note('To print it all the same: --no-verify')
  process.exitCode = verifyExitCodes[found.verdict]
  return false
}

/** Always read from the start: a statement may have been parsed long before it is executed. */
async function* within<Item extends { readonly at: number }>(
  items: AsyncIterable<Item>,
  { from = 0, to = Infinity }: Options,
): AsyncGenerator<Item> {
  for await (const item of items) {
    if (item.at > to) return
    if (item.at >= from) yield item
  }
}

function heading({ header }: Recording): string {
  return `${styled('bold', describeSession(header))}\n`
}

function ending({ manifest }: Recording): string {
  if (manifest === null) return styled('yellow', 'The recording ends here; it was not sealed.')
  const { by, code, message } = manifest.end as { by?: unknown; code?: unknown; message?: unknown }
  const who = typeof by === 'string' ? ` by the ${by}` : ''
  const why = [code, message].filter((part) => typeof part === 'string').join(': ')
  return terminalLine(`Ended${who}${why === '' ? '' : `. ${why}`}`)
}

function readTime(text: string): number {
  const clock = /^(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)$/.exec(text)
  if (clock !== null) return Number(clock[1] ?? 0) * 3600 + Number(clock[2]) * 60 + Number(clock[3])
  if (/^\d{1,9}(\.\d+)?$/.test(text)) return Number(text)
  const lengthMs = parseDurationMs(text)
  if (lengthMs === undefined) throw new InvalidArgumentError('Give seconds (12.5), 90s, 5m, or 0:02:05.')
  return lengthMs / 1000
}

function readCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Give a whole number.')
  return Number(text)
}

function readSpeed(text: string): number {
  const speed = Number(text)
  if (!/^\d{1,4}(\.\d+)?$/.test(text) || speed < 0.01) throw new InvalidArgumentError('Give a number such as 2 or 0.5.')
  return speed
}
