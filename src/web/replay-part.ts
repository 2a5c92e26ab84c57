import type { Recording } from '../recording/reading.ts'
import { type Moment, momentsOf } from './replay-moments.ts'
import { playedLength, type ReplayPart, type ReplayPlan } from './replay-plan.ts'

type PlayedEvent = readonly [seconds: number, code: 'o' | 'i' | 'r', data: string]

/** One part as asciinema-player takes it: the screen before it, and its events. */
export interface PlayedPart {
  readonly snapshot: { readonly cols: number; readonly rows: number; readonly init: string }
  readonly events: readonly PlayedEvent[]
}

/** Reads one part of a plan. `recording` may have grown since; what came later is left out. */
export async function readPart(recording: Recording, plan: ReplayPlan, part: ReplayPart): Promise<PlayedPart> {
  const reader = new PartReader(plan, part)
  // A microsecond more on both sides, as seconds are rounded; the reader keeps to microseconds.
  const range = { fromSeconds: (part.primeFromUs - 1) / 1e6, toSeconds: (Math.min(part.toUs, plan.endUs) + 1) / 1e6 }
  for await (const moment of momentsOf(recording.events(range), plan.channel)) {
    if (moment.us > plan.endUs || moment.us >= part.toUs) break
    if (moment.us >= part.primeFromUs) reader.add(moment)
  }
  return reader.part()
}

const toOtherScreen = '\u001B[?1049h'

class PartReader {
  readonly #plan: ReplayPlan
  readonly #part: ReplayPart
  readonly #prime: string[] = []
  readonly #events: PlayedEvent[] = []
  readonly #text: OutputText
  #lastUs: number | null = null
  #playedUs: number

  constructor(plan: ReplayPlan, part: ReplayPart) {
    this.#plan = plan
    this.#part = part
    this.#playedUs = part.playedUs
    this.#text = new OutputText(plan.terminal)
  }

  add(moment: Moment): void {
    if (moment.us < this.#part.fromUs) {
      if (moment.kind === 'output') this.#prime.push(this.#text.decode(moment))
      return
    }
    if (this.#lastUs !== null) this.#playedUs += playedLength(moment.us - this.#lastUs, this.#plan.pauseUsMax)
    this.#lastUs = moment.us
    const seconds = this.#playedUs / 1e6
    if (moment.kind === 'output') this.#events.push([seconds, 'o', this.#text.decode(moment)])
    else if (moment.kind === 'input') this.#events.push([seconds, 'i', this.#text.decode(moment)])
    else if (moment.kind === 'size') this.#events.push([seconds, 'r', `${moment.cols}x${moment.rows}`])
    else this.#events.push([seconds, 'o', '']) // so that time goes on to here
  }

  part(): PlayedPart {
    const { cols, rows } = this.#part
    return { snapshot: { cols, rows, init: this.#init() }, events: this.#events }
  }

  #init(): string {
    const { primeFromUs, primeOnOtherScreen } = this.#part
    const drawn = this.#prime.join('')
    // What begins in the middle of a sequence would show its rest as text.
    const clean = primeFromUs === this.#plan.startUs ? drawn : drawn.slice(Math.max(0, drawn.search(sequenceOrLine)))
    return primeOnOtherScreen ? toOtherScreen + clean : clean
  }
}

const sequenceOrLine = /[\u001B\n]/ // oxlint-disable-line no-control-regex -- where a sequence begins

/** Bytes of several streams as text: a character may lie in two pieces. */
export class OutputText {
  readonly #terminal: boolean
  readonly #decoders = new Map<string, TextDecoder>()

  /** @param terminal false: programs end lines with a line feed alone, which a screen takes for "one down". */
  constructor(terminal: boolean) {
    this.#terminal = terminal
  }

  decode({ bytes, stream }: { readonly bytes: Buffer; readonly stream: string }): string {
    const decoder = this.#decoders.get(stream) ?? new TextDecoder('utf-8', { ignoreBOM: true })
    this.#decoders.set(stream, decoder)
    const text = decoder.decode(bytes, { stream: true })
    return this.#terminal ? text : text.replaceAll(/\r?\n/g, '\r\n')
  }
}
