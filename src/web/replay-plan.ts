import type { RecordedEvent } from '../recording/format.ts'
import { type Moment, momentsOf, usualSize } from './replay-moments.ts'

/** How a channel's output is cut for the player, which fetches part after part and never holds more than three. */
export interface ReplayPlan {
  readonly channel: number
  readonly cols: number
  readonly rows: number
  /** Without a terminal a line feed alone begins a line. */
  readonly terminal: boolean
  /** Of the first and the last moment, since the start of the recording. */
  readonly startUs: number
  readonly endUs: number
  /** Pauses longer than this are shown as this long; null: as they were. */
  readonly pauseUsMax: number | null
  /** Length as it is played. */
  readonly playedUs: number
  readonly parts: readonly ReplayPart[]
  /** `[played microseconds, words]`, ascending. */
  readonly markers: readonly (readonly [playedUs: number, label: string])[]
  /** What was cut out: from and to, since the start of the recording. */
  readonly pauses: readonly (readonly [fromUs: number, toUs: number])[]
  readonly outputBytes: number
}

export interface ReplayPart {
  readonly fromUs: number
  /** Exclusive. */
  readonly toUs: number
  readonly playedUs: number
  /** Size of the terminal when the part begins. */
  readonly cols: number
  readonly rows: number
  /** From here the screen is drawn for somebody who jumps to this part. */
  readonly primeFromUs: number
  /** A full-screen program had the screen at that time. */
  readonly primeOnOtherScreen: boolean
}

/** Of output and events, a part at a time. */
const usualPartBytes = 2 * 1024 * 1024
/** What an event costs besides its text. */
const eventBytes = 24
/** Output before a part that draws its first screen. */
const primeBytes = 256 * 1024
const checkpointBytes = 16 * 1024
const markersMax = 300
const resizeMarkerEveryUs = 2_000_000

interface Checkpoint {
  readonly us: number
  readonly outputBytes: number
  readonly otherScreen: boolean
}

/** @returns undefined when nothing happened on that channel. */
export async function planReplay(
  events: AsyncIterable<RecordedEvent>,
  channel: number,
  { pauseUsMax, partBytes = usualPartBytes }: { readonly pauseUsMax: number | null; readonly partBytes?: number },
): Promise<ReplayPlan | undefined> {
  const planner = new Planner(channel, pauseUsMax, partBytes)
  for await (const moment of momentsOf(events, channel)) planner.add(moment)
  return planner.plan()
}

class Planner {
  readonly #channel: number
  readonly #pauseUsMax: number | null
  readonly #partBytesMax: number
  readonly #parts: ReplayPart[] = []
  readonly #markers: [number, string][] = []
  readonly #pauses: [number, number][] = []
  readonly #checkpoints: Checkpoint[] = []
  #first: Moment | null = null
  #size: { readonly cols: number; readonly rows: number } = usualSize
  #firstSize: { readonly cols: number; readonly rows: number } | null = null
  #terminal = false
  #lastUs = 0
  #playedUs = 0
  #outputBytes = 0
  #partBytes = 0
  #otherScreen = false
  #lastResizeUs = -Infinity

  constructor(channel: number, pauseUsMax: number | null, partBytesMax: number) {
    this.#channel = channel
    this.#pauseUsMax = pauseUsMax
    this.#partBytesMax = partBytesMax
  }

  add(moment: Moment): void {
    this.#advance(moment.us)
    if (this.#first === null) this.#begin(moment)
    else if (this.#partBytes >= this.#partBytesMax && moment.us > this.#lastUs) this.#cut(moment.us)
    this.#lastUs = moment.us
    this.#partBytes += eventBytes
    if (moment.kind === 'output') this.#onOutput(moment)
    if (moment.kind === 'size') this.#onSize(moment)
    if (moment.label !== undefined) this.#mark(moment.label)
  }

  plan(): ReplayPlan | undefined {
    if (this.#first === null) return undefined
    return {
      channel: this.#channel,
      ...(this.#firstSize ?? this.#size),
      terminal: this.#terminal,
      startUs: this.#first.us,
      endUs: this.#lastUs,
      pauseUsMax: this.#pauseUsMax,
      playedUs: this.#playedUs,
      parts: this.#parts,
      markers: this.#markers,
      pauses: this.#pauses,
      outputBytes: this.#outputBytes,
    }
  }

  #advance(us: number): void {
    if (this.#first === null) return
    const passedUs = us - this.#lastUs
    if (this.#pauseUsMax !== null && passedUs > this.#pauseUsMax) this.#pauses.push([this.#lastUs, us])
    this.#playedUs += playedLength(passedUs, this.#pauseUsMax)
  }

  #begin(moment: Moment): void {
    this.#first = moment
    this.#checkpoint(moment.us)
    this.#cut(moment.us)
  }

  #cut(us: number): void {
    const last = this.#parts.pop()
    if (last !== undefined) this.#parts.push({ ...last, toUs: us })
    const prime = this.#checkpoints.findLast((one) => one.outputBytes <= this.#outputBytes - primeBytes)
    const from = prime ?? this.#checkpoints[0]!
    this.#parts.push({
      fromUs: us,
      toUs: Infinity,
      playedUs: this.#playedUs,
      ...this.#size,
      primeFromUs: from.us,
      primeOnOtherScreen: from.otherScreen,
    })
    this.#partBytes = 0
  }

  #onOutput({ us, bytes }: Moment & { kind: 'output' }): void {
    const last = this.#checkpoints.at(-1)!
    if (this.#outputBytes - last.outputBytes >= checkpointBytes && us > last.us) this.#checkpoint(us)
    this.#outputBytes += bytes.length
    this.#partBytes += bytes.length
    this.#otherScreen = onOtherScreen(bytes, this.#otherScreen)
  }

  #checkpoint(us: number): void {
    this.#checkpoints.push({ us, outputBytes: this.#outputBytes, otherScreen: this.#otherScreen })
    const oldest = this.#checkpoints[1]
    if (oldest !== undefined && oldest.outputBytes <= this.#outputBytes - primeBytes) this.#checkpoints.shift()
  }

  #onSize({ us, cols, rows, opens }: Moment & { kind: 'size' }): void {
    this.#size = { cols, rows }
    this.#terminal ||= opens
    if (opens) this.#resizeFirstPart()
    if (opens || us - this.#lastResizeUs < resizeMarkerEveryUs) return
    this.#lastResizeUs = us
    this.#mark(`${cols} x ${rows}`)
  }

  /** The terminal is asked for after the channel is open: until then there was nothing to see. */
  #resizeFirstPart(): void {
    if (this.#firstSize !== null || this.#parts.length !== 1) return
    this.#firstSize = this.#size
    this.#parts[0] = { ...this.#parts[0]!, ...this.#size }
  }

  #mark(label: string): void {
    if (this.#markers.length < markersMax) this.#markers.push([this.#playedUs, label])
  }
}

/** How long a stretch without events is when it is played. */
export function playedLength(passedUs: number, pauseUsMax: number | null): number {
  return pauseUsMax === null ? passedUs : Math.min(passedUs, pauseUsMax)
}

/** @see xterm, "XTerm Control Sequences", DECSET 47, 1047 and 1049: the alternate screen buffer */
const screenSwitch = /\u001B\[\?(?:\d+;)*(?:47|1047|1049)([hl])/g // oxlint-disable-line no-control-regex -- is one

function onOtherScreen(bytes: Buffer, before: boolean): boolean {
  if (!bytes.includes('\u001B[?')) return before
  const last = [...bytes.toString('latin1').matchAll(screenSwitch)].at(-1)
  return last === undefined ? before : last[1] === 'h'
}
