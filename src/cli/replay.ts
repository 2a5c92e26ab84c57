import { type Command, InvalidArgumentError } from 'commander'
import { asFault } from '../kernel/fault.ts'
import { parseDurationMs } from '../kernel/durations.ts'
import { postgresTimeline, type TimelineItem } from '../recording/postgres-timeline.ts'
import { openRecording, type Recording } from '../recording/reading.ts'
import { complain, note, print, printJson, styled } from './print.ts'
import { describeSession } from './recording-words.ts'
import { timelineText } from './timeline-text.ts'
import { terminalLine } from './terminal-text.ts'
import { checkFile, verdictText, verifyExitCodes } from './verify.ts'

interface Options {
  readonly json?: boolean
  readonly from?: number
  readonly to?: number
  readonly key?: string
  readonly verify: boolean
}

export function addReplay(program: Command): void {
  program
    .command('replay')
    .summary('print what happened in a recorded session')
    .description('Prints the statements of a recording with times, row counts, errors and durations. Needs no gateway.')
    .argument('<file>', 'recording (.curfew)')
    .option('--json', 'print one JSON object per line')
    .option('--from <time>', 'skip what began before: seconds, 90s, 5m or h:mm:ss', readTime)
    .option('--to <time>', 'stop at what began after', readTime)
    .option('--key <file>', 'public keys to trust, as for verify')
    .option('--no-verify', 'print it even if it was tampered with')
    .action(replay)
}

async function replay(file: string, options: Options): Promise<void> {
  if (options.verify && !(await checked(file, options))) return
  try {
    await using recording = await openRecording(file)
    if (options.json !== true) print(heading(recording))
    for await (const item of chosen(recording, options)) {
      if (options.json === true) printJson(item)
      else print(timelineText(item, styled))
    }
    if (options.json !== true) print(ending(recording))
  } catch (error) {
    const fault = asFault(error)
    if (fault === undefined) throw error
    complain(`${terminalLine(file)}: ${terminalLine(fault.message)}`, fault.hint)
    process.exitCode = fault.code === 'RECORDING_TAMPERED' ? verifyExitCodes.tampered : verifyExitCodes.unreadable
  }
}

/** Tells on stderr what is not in order. @returns whether to go on. */
async function checked(file: string, { key }: Options): Promise<boolean> {
  const found = await checkFile(file, key)
  if (found.verdict === 'sealed') return true
  note(verdictText(found))
  if (found.verdict !== 'tampered' && found.verdict !== 'unreadable') return true
  if (found.verdict === 'tampered') note('To print it all the same: --no-verify')
  process.exitCode = verifyExitCodes[found.verdict]
  return false
}

/** Always read from the start: a statement may have been parsed long before it is executed. */
async function* chosen(recording: Recording, { from = 0, to = Infinity }: Options): AsyncGenerator<TimelineItem> {
  for await (const item of postgresTimeline(recording.events())) {
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
