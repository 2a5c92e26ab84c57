import { Fault } from '../kernel/fault.ts'
import { headerFacts } from './header-facts.ts'
import type { Recording } from './reading.ts'
import { readSshEvent, type SshEvent } from './ssh-event-shapes.ts'

export interface CastOptions {
  /** v3 for asciinema 3 and its player, v2 for older ones. */
  readonly format?: 'v3' | 'v2'
}

/** One thing that a terminal did; `at` in microseconds since the start of the recording. */
export type TerminalEvent =
  | { readonly kind: 'begin'; readonly atUs: number; readonly terminal: TerminalFacts }
  | { readonly kind: 'output' | 'input'; readonly atUs: number; readonly text: string }
  | { readonly kind: 'resize'; readonly atUs: number; readonly cols: number; readonly rows: number }
  | { readonly kind: 'marker'; readonly atUs: number; readonly text: string }
  | { readonly kind: 'exit'; readonly atUs: number; readonly status: number }

export interface TerminalFacts {
  readonly cols: number
  readonly rows: number
  /** `TERM`; null when the channel has no terminal. */
  readonly type: string | null
  readonly command: string | null
}

/** A player keeps a screen of this size in memory; SSH sets no bound. */
const sideMax = 1000
const usualSize = { cols: 80, rows: 24 }

/**
 * One channel's terminal as an asciicast, line by line (each with its line feed). Without a terminal: what a terminal of
 * 80 by 24 would have shown of the command's output and errors.
 * @param ch the channel's number.
 * @throws Fault INPUT_INVALID when the recording has no such channel, RECORDING_TAMPERED as `recording.events`.
 * @see https://docs.asciinema.org/manual/asciicast/v3/ and /v2/
 */
export async function* terminalCast(
  recording: Recording,
  ch: number,
  { format = 'v3' }: CastOptions = {},
): AsyncGenerator<string> {
  let startUs = 0
  let lastUs = 0
  for await (const event of terminalEvents(recording, ch)) {
    if (event.kind === 'begin') {
      startUs = lastUs = event.atUs
      yield json(castHeader(recording, event, format))
      continue
    }
    if (event.kind === 'exit' && format === 'v2') continue
    const timeUs = event.atUs - (format === 'v3' ? lastUs : startUs)
    lastUs = event.atUs
    yield json([timeUs / 1e6, ...castEvent(event)])
  }
}

function json(value: unknown): string {
  return `${JSON.stringify(value)}\n`
}

function castHeader(recording: Recording, { atUs, terminal }: TerminalEvent & { kind: 'begin' }, format: 'v3' | 'v2') {
  const { startedAt, personName, role, resource } = headerFacts(recording.header)
  const startedMs = Date.parse(startedAt ?? '')
  const { cols, rows, type, command } = terminal
  const facts = {
    ...(Number.isNaN(startedMs) ? {} : { timestamp: Math.floor((startedMs + atUs / 1000) / 1000) }),
    ...(command === null ? {} : { command }),
    ...(personName === null ? {} : { title: `${personName} as ${role ?? '?'} on ${resource ?? '?'}` }),
  }
  if (format === 'v3') return { version: 3, term: { cols, rows, ...(type === null ? {} : { type }) }, ...facts }
  return { version: 2, width: cols, height: rows, ...facts, ...(type === null ? {} : { env: { TERM: type } }) }
}

function castEvent(event: Exclude<TerminalEvent, { kind: 'begin' }>): [code: string, data: string] {
  switch (event.kind) {
    case 'output':
      return ['o', event.text]
    case 'input':
      return ['i', event.text]
    case 'resize':
      return ['r', `${event.cols}x${event.rows}`]
    case 'marker':
      return ['m', event.text]
    case 'exit':
      return ['x', String(event.status)]
  }
}

/**
 * What one channel's terminal showed, for players: `begin` first, text decoded from UTF-8, `exit` last.
 * @throws as `terminalCast`.
 */
export async function* terminalEvents(recording: Recording, ch: number): AsyncGenerator<TerminalEvent> {
  const reader = new ChannelReader(ch)
  for await (const recorded of recording.events()) {
    const event = readSshEvent(recorded)
    if (event !== undefined) yield* reader.take(Math.round(recorded.seconds * 1e6), event)
    if (reader.over) break
  }
  if (!reader.seen) throw new Fault('INPUT_INVALID', `There is no channel ${ch} in this recording.`)
  yield* reader.rest()
}

class ChannelReader {
  seen = false
  over = false
  readonly #ch: number
  #facts: TerminalFacts = { ...usualSize, type: null, command: null }
  #begun = false
  #lastUs = 0
  #status: number | null = null
  readonly #output = new TextDecoder('utf-8', { ignoreBOM: true })
  readonly #errors = new TextDecoder('utf-8', { ignoreBOM: true })
  readonly #input = new TextDecoder('utf-8', { ignoreBOM: true })
  #afterReturn = false

  constructor(ch: number) {
    this.#ch = ch
  }

  *take(atUs: number, event: SshEvent): Generator<TerminalEvent> {
    if (event.code === 'm') {
      if (this.#begun) yield { kind: 'marker', atUs, text: event.data.text }
      return
    }
    if (!('ch' in event.data) || event.data.ch !== this.#ch) return
    this.seen = true
    this.#lastUs = atUs
    switch (event.code) {
      case 'pty':
        this.#facts = { ...this.#facts, ...screenSize(event.data), type: event.data.term }
        return
      case 'run':
        this.#facts = { ...this.#facts, command: commandOf(event.data) }
        return yield* this.#begin(atUs)
      case 'r':
        yield* this.#begin(atUs)
        return yield { kind: 'resize', atUs, ...screenSize(event.data) }
      case '=o':
        return yield* this.#show(atUs, this.#output.decode(event.bytes, { stream: true }))
      case '=e':
        return yield* this.#show(atUs, this.#errors.decode(event.bytes, { stream: true }))
      case '=i':
        return yield* this.#typed(atUs, this.#input.decode(event.bytes, { stream: true }))
      case 'x':
        this.#status = exitStatus(event.data)
        return
      case 'end':
        this.over = true
        return
      default:
    }
  }

  *rest(): Generator<TerminalEvent> {
    yield* this.#begin(this.#lastUs)
    yield* this.#show(this.#lastUs, this.#output.decode() + this.#errors.decode())
    yield* this.#typed(this.#lastUs, this.#input.decode())
    if (this.#status !== null) yield { kind: 'exit', atUs: this.#lastUs, status: this.#status }
  }

  *#begin(atUs: number): Generator<TerminalEvent> {
    if (!this.#begun) yield { kind: 'begin', atUs, terminal: this.#facts }
    this.#begun = true
  }

  *#show(atUs: number, text: string): Generator<TerminalEvent> {
    yield* this.#begin(atUs)
    if (text !== '') yield { kind: 'output', atUs, text: this.#facts.type === null ? this.#withReturns(text) : text }
  }

  *#typed(atUs: number, text: string): Generator<TerminalEvent> {
    yield* this.#begin(atUs)
    if (text !== '') yield { kind: 'input', atUs, text }
  }

  /** Without a terminal at the target, it is the person's own that begins a line on the left after a line feed. */
  #withReturns(text: string): string {
    const shown = (this.#afterReturn ? `\r${text}` : text).replaceAll(/\r?\n/g, '\r\n')
    const from = this.#afterReturn ? 1 : 0
    this.#afterReturn = text.endsWith('\r')
    return shown.slice(from)
  }
}

function screenSize({ cols, rows }: { cols: number; rows: number }): { cols: number; rows: number } {
  return {
    cols: Math.min(sideMax, cols === 0 ? usualSize.cols : cols),
    rows: Math.min(sideMax, rows === 0 ? usualSize.rows : rows),
  }
}

function commandOf({ what, command }: { what: string; command?: string }): string | null {
  return what === 'subsystem' && command !== undefined ? `(subsystem ${command})` : (command ?? null)
}

// The numbers that POSIX fixes, and those that every Linux has.
const signalNumbers: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  ABRT: 6,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
}

/** As a shell counts: 128 and the signal's number. A status of more than 31 bits wraps, as it does for `exit(-1)`. */
function exitStatus({ status, signal }: { status?: number; signal?: string }): number {
  if (status !== undefined) return status | 0
  return signal === undefined ? 0 : 128 + (signalNumbers[signal] ?? 0)
}
