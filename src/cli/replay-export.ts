import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { terminalCast } from '../recording/asciicast.ts'
import { version } from '../kernel/version.ts'
import { harText } from '../recording/har.ts'
import { jsonLines } from '../recording/json-lines.ts'
import type { Recording } from '../recording/reading.ts'
import { terminalText as plainTerminalText } from '../recording/terminal-text.ts'
import { printRaw } from './print.ts'
import { terminalText } from './terminal-text.ts'

export const exportFormats = ['cast', 'cast2', 'txt', 'har', 'jsonl'] as const
export type ExportFormat = (typeof exportFormats)[number]

/** Whether the format holds one channel's terminal, rather than the whole session. */
export function isOfOneChannel(format: ExportFormat): boolean {
  return format !== 'jsonl' && format !== 'har'
}

export function exported(recording: Recording, format: ExportFormat, ch: number): AsyncGenerator<string> {
  switch (format) {
    case 'cast':
      return terminalCast(recording, ch)
    case 'cast2':
      return terminalCast(recording, ch, { format: 'v2' })
    case 'txt':
      return plainTerminalText(recording, ch)
    case 'har':
      return harText(recording, version())
    case 'jsonl':
      return jsonLines(recording)
  }
}

/** To a new file that only its owner reads, or to standard output; on a terminal nothing in it takes effect. */
export async function writeExport(lines: AsyncIterable<string>, file: string | undefined): Promise<void> {
  if (file !== undefined) return pipeline(gathered(lines), createWriteStream(file, { mode: 0o600 }))
  for await (const text of gathered(lines)) await printRaw(process.stdout.isTTY ? terminalText(text) : text)
}

/** Few large writes instead of one a line. */
async function* gathered(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let text = ''
  for await (const line of lines) {
    text += line
    if (text.length < 64 * 1024) continue
    yield text
    text = ''
  }
  yield text
}
