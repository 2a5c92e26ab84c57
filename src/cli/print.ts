import { once } from 'node:events'
import { styleText } from 'node:util'
import { timeForPeople, type Instant } from '../kernel/time.ts'
import { terminalJson, terminalText } from './terminal-text.ts'

/** The one file of the CLI that prints. Results go to standard output, everything else to standard error. */

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** As it is, with nothing added. Resolves when more may be written. */
export async function printRaw(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

/** One line of JSON on standard output. */
export function printJson(value: unknown): void {
  process.stdout.write(`${terminalJson(value)}\n`)
}

/** For people who watch: progress, advice, warnings. Never part of the result. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** `curfew: message`, and the hint on a line of its own. Both may quote what a gateway or a file says. */
export function complain(message: string, hint?: string | null): void {
  const lines = [`curfew: ${message}`, ...(hint === undefined || hint === null || hint === '' ? [] : [`  ${hint}`])]
  process.stderr.write(`${terminalText(lines.join('\n'))}\n`)
}

/** `2026-11-22T14:48:07.120Z` as `2026-11-22 14:48:07 UTC`. */
export function forPeople(time: string): string {
  return timeForPeople(Date.parse(time) as Instant)
}

type Style = Parameters<typeof styleText>[0]

/** Styled only where a terminal shows it (and NO_COLOR does not forbid it). */
export function styled(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout })
}

/** Rows in columns, two spaces apart. @param head printed first, dimmed on a terminal. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => (row[column] ?? '').length)))
  const line = (cells: readonly string[]) =>
    widths
      .map((width, column) => (cells[column] ?? '').padEnd(width))
      .join('  ')
      .trimEnd()
  return [styled('dim', line(head)), ...rows.map(line)].join('\n')
}
