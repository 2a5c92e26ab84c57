import type { RecordedEvent } from '../recording/format.ts'

/** One thing that happened on a channel, as a replay needs it. `label`: what a marker says. */
export type Moment = { readonly us: number; readonly label?: string | undefined } & (
  | { readonly kind: 'output'; readonly bytes: Buffer; readonly stream: string }
  | { readonly kind: 'input'; readonly bytes: Buffer; readonly stream: string }
  /** `opens`: the terminal begins with this size. */
  | { readonly kind: 'size'; readonly cols: number; readonly rows: number; readonly opens: boolean }
  | { readonly kind: 'tick' }
)

/** The person who is watched chooses the size: a player must not draw what no screen can show. */
const sideMax = 1000
/** Of what has no terminal, or one without a size. */
export const usualSize = { cols: 80, rows: 24 } as const
const labelCharsMax = 80

/**
 * What happened on one channel, and what the gate said meanwhile to everybody on the connection.
 * @param begun the events begin in the middle: the channel is open already.
 */
export async function* momentsOf(
  events: AsyncIterable<RecordedEvent>,
  channel: number,
  begun = false,
): AsyncGenerator<Moment> {
  for await (const event of events) {
    const own = fieldOf(event.data, 'ch') === channel
    begun ||= own // oxlint-disable-line no-param-reassign -- from here on
    const moment = begun ? momentOf(event, channel) : undefined
    if (moment !== undefined) yield moment
    if (own && event.code === 'end') return
  }
}

function momentOf(event: RecordedEvent, channel: number): Moment | undefined {
  const us = usOf(event)
  const { data } = event
  const concerns = fieldOf(data, 'ch')
  if (concerns !== channel && concerns !== undefined) return undefined
  switch (event.code) {
    case '=o':
    case '=e':
      return event.bytes && { us, kind: 'output', bytes: event.bytes, stream: event.code }
    case '=i':
      return event.bytes && { us, kind: 'input', bytes: event.bytes, stream: event.code }
    case 'pty':
    case 'r':
      return { us, kind: 'size', ...sizeOf(data), opens: event.code === 'pty' }
    case 'env':
    case 'f':
      return undefined
    default:
      return { us, kind: 'tick', label: labelOf(event) }
  }
}

function usOf({ seconds }: RecordedEvent): number {
  return Math.round(seconds * 1e6)
}

function sizeOf(data: unknown): { cols: number; rows: number } {
  return {
    cols: bounded(fieldOf(data, 'cols'), usualSize.cols, sideMax),
    rows: bounded(fieldOf(data, 'rows'), usualSize.rows, sideMax),
  }
}

/** A terminal without a size says 0 (RFC 4254, section 6.2). */
function bounded(value: unknown, unknown: number, max: number): number {
  return Number.isSafeInteger(value) && (value as number) > 0 ? Math.min(value as number, max) : unknown
}

function labelOf({ code, data }: RecordedEvent): string | undefined {
  const text = (name: string) => textField(data, name)
  switch (code) {
    case 'run':
      return shortLine(text('what') === 'shell' ? 'shell' : text('command'))
    case 'sig':
      return shortLine(`signal ${text('name')}`)
    case 'x':
      return shortLine(`exit ${text('status') || text('signal')}`)
    case 'no':
      return shortLine(`refused: ${text('what')}`)
    case 'm':
      return shortLine(`gateway: ${text('text')}`)
    default:
      return undefined
  }
}

function textField(data: unknown, name: string): string {
  const value = fieldOf(data, name)
  return typeof value === 'string' || typeof value === 'number' ? `${value}` : ''
}

/** For labels: one line, without what a terminal would take for orders. */
export function shortLine(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim()
  return line.length > labelCharsMax ? `${line.slice(0, labelCharsMax - 1)}…` : line
}

export function fieldOf(data: unknown, name: string): unknown {
  return typeof data === 'object' && data !== null ? (data as Readonly<Record<string, unknown>>)[name] : undefined
}
