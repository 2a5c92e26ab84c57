import { Fault } from '../kernel/fault.ts'
import type { Clock } from '../kernel/time.ts'
import { bytesCodePrefix, encodeLine, eventBytesMax, lineBytesMax } from './format.ts'
import { LineParts, type SpareBuffers } from './line-parts.ts'
import type { GivenUp, Recorder } from './recorder.ts'
import type { Lines, Saved, SealOrder } from './writer-messages.ts'

/** What one session's recorder needs of the room. */
export interface RecorderHost {
  readonly clock: Clock
  readonly unsavedBytesMax: number
  readonly unsavedMsMax: number
  readonly spares: SpareBuffers
  /** `recorder` has `bytes` more to take. `first`: since it was taken from. */
  recorded(recorder: SessionRecorder, bytes: number, first: boolean): void
  seal(recorder: SessionRecorder, order: SealOrder): void
  /** Nothing more of `recorder` can be written: break it, and let its file be. */
  abandon(recorder: SessionRecorder, error: Error): void
  /** A recording, or the rest of it, is lost. */
  failed(recorder: SessionRecorder, error: Error): void
}

interface Settled {
  readonly promise: Promise<void>
  resolve(): void
  reject(error: Error): void
}

/**
 * The half of the recorder that the relay touches: turns events into lines and counts what is not on disk yet.
 * - recording: as it should be
 * - refused: strict, and the disk is nearly full; the session must end, and what it still does is written
 * - stopped: bestEffort, and the disk is nearly full; the manifest will tell of the gap
 * - broken: the file can no longer be written
 */
export class SessionRecorder implements Recorder {
  readonly id: number
  readonly session: string
  readonly #strict: boolean
  readonly #host: RecorderHost
  readonly #onFailure: (error: Error) => void
  readonly #startedMs: number
  #state: 'recording' | 'refused' | 'stopped' | 'broken' = 'recording'
  #failure: Fault | null = null
  #gap: SealOrder['gap'] = null
  readonly #parts: LineParts
  #bytes = 0
  #events = 0
  #raw = false
  /** Of the last event with bytes and frozen data. */
  #head: { readonly code: string; readonly data: object; readonly json: Buffer | null } | null = null
  #firstUs = 0
  #lastUs = 0
  #firstAtMs = 0
  /** Bytes of lines since the start: taken over, and known to be on disk. */
  #recordedBytes = 0
  #savedBytes = 0
  /** Of the file, as far as it is known to be on disk: its length, and the chain hash there. */
  #fileBytes = 0
  #chain = ''
  #givenUp: GivenUp | undefined
  /** What was handed over and is not on disk, oldest first. */
  #onTheWay: { readonly endBytes: number; readonly atMs: number }[] = []
  #drained: Settled | null = null
  #opened: Settled | null = Promise.withResolvers<void>()
  #sealed: Settled | null = null
  #sealAskedMs = Infinity

  constructor(
    id: number,
    session: string,
    mode: 'strict' | 'bestEffort',
    host: RecorderHost,
    onFailure: (error: Error) => void,
  ) {
    this.id = id
    this.session = session
    this.#strict = mode === 'strict'
    this.#host = host
    this.#parts = new LineParts(host.spares)
    this.#onFailure = onFailure
    this.#startedMs = host.clock.monotonicMs()
  }

  get active(): boolean {
    return this.#state === 'recording' || this.#state === 'refused'
  }

  event(code: string, data: unknown): void {
    if (code.startsWith(bytesCodePrefix)) return this.#host.abandon(this, new Error(`an event ${code} without bytes`))
    this.#add(code, data, null)
  }

  bytes(code: `=${string}`, data: Readonly<Record<string, unknown>>, bytes: Uint8Array): void {
    if (bytes.length > eventBytesMax) return this.#tooLarge(bytes.length)
    const head = Object.isFrozen(data) ? this.#headOf(code, data) : null
    if (head === null) return this.#add(code, { ...data, bytes: bytes.length }, bytes)
    if (!this.active || this.#sealed !== null) return
    const nowMs = this.#host.clock.monotonicMs()
    const us = this.#usAt(nowMs)
    this.#raw = true
    this.#count(us, nowMs, this.#parts.addCountedBytes(us, head, bytes))
  }

  /** What stands between a line's time and its number of bytes. */
  #headOf(code: string, data: Readonly<Record<string, unknown>>): Buffer | null {
    if (this.#head?.data !== data || this.#head.code !== code) this.#head = { code, data, json: encodeHead(code, data) }
    return this.#head.json
  }

  encoded(tail: Buffer, tailBytes: number, atMs: number): void {
    if (!this.active || this.#sealed !== null) return
    // What came before may have been written with a later look at the clock.
    const us = Math.max(this.#lastUs, this.#usAt(atMs))
    this.#count(us, atMs, this.#parts.addEncoded(us, tail, tailBytes))
  }

  #add(code: string, data: unknown, raw: Uint8Array | null): void {
    if (!this.active || this.#sealed !== null) return
    const nowMs = this.#host.clock.monotonicMs()
    const us = this.#usAt(nowMs)
    const line = tryEncode(us, code, data)
    if (line === undefined) return this.#host.abandon(this, new Error('an event could not be written as JSON'))
    const lineBytes = Buffer.byteLength(line)
    if (lineBytes > lineBytesMax) return this.#tooLarge(lineBytes)
    if (raw === null) this.#parts.addLine(line, lineBytes)
    else this.#parts.addBytes(line, lineBytes, raw)
    this.#raw ||= raw !== null
    this.#count(us, nowMs, raw === null ? lineBytes : lineBytes + raw.length + 1)
  }

  #count(us: number, nowMs: number, bytes: number): void {
    const first = this.#events === 0
    if (first) {
      this.#firstUs = us
      this.#firstAtMs = nowMs
    }
    this.#bytes += bytes
    this.#events++
    this.#lastUs = us
    this.#recordedBytes += bytes
    this.#host.recorded(this, bytes, first)
  }

  #tooLarge(bytes: number): void {
    this.#host.abandon(this, new Error(`an event of ${bytes} bytes is too large to record`))
  }

  get full(): boolean {
    return this.isFullAt(this.#host.clock.monotonicMs())
  }

  isFullAt(nowMs: number): boolean {
    if (this.#failure !== null) return this.#strict
    return this.unsavedBytes > this.#host.unsavedBytesMax || nowMs - this.#oldestMs() > this.#host.unsavedMsMax
  }

  async drained(): Promise<void> {
    if (this.#failure !== null && this.#strict) throw this.#failure
    if (!this.full) return
    this.#drained ??= Promise.withResolvers<void>()
    await this.#drained.promise
  }

  async seal(end: Readonly<Record<string, unknown>>): Promise<void> {
    if (this.#state === 'broken') {
      if (this.#strict && this.#failure !== null) throw this.#failure
      return // bestEffort: the failure was logged and counted when it came
    }
    if (this.#sealed === null) {
      this.#sealed = Promise.withResolvers<void>()
      this.#sealAskedMs = this.#host.clock.monotonicMs()
      this.#host.seal(this, { id: this.id, end: JSON.stringify(end), gap: this.#gap })
    }
    await this.#sealed.promise
  }

  get givenUp(): GivenUp | undefined {
    return this.#givenUp
  }

  /** Resolves when the file exists. Rejects when it cannot be made, in either mode. */
  async opened(): Promise<void> {
    await this.#opened?.promise
  }

  get unsavedBytes(): number {
    return this.#recordedBytes - this.#savedBytes
  }

  /** Since when the disk owes an answer; Infinity when it owes none. */
  get waitingSinceMs(): number {
    return Math.min(this.#opened === null ? Infinity : this.#startedMs, this.#oldestMs(), this.#sealAskedMs)
  }

  /** Hands over the lines since the last time; null when there are none. */
  takeLines(): Lines | null {
    if (this.#events === 0) return null
    const lines: Lines = {
      id: this.id,
      parts: this.#parts.take(),
      raw: this.#raw,
      bytes: this.#bytes,
      events: this.#events,
      firstUs: this.#firstUs,
      lastUs: this.#lastUs,
    }
    this.#onTheWay.push({ endBytes: this.#recordedBytes, atMs: this.#firstAtMs })
    this.#bytes = 0
    this.#events = 0
    this.#raw = false
    return lines
  }

  nowOpened(): void {
    this.#opened?.resolve()
    this.#opened = null
  }

  nowSaved({ bytes, fileBytes, chain }: Saved): void {
    this.#savedBytes += bytes
    this.#fileBytes += fileBytes
    this.#chain = chain
    while (this.#onTheWay.length > 0 && this.#onTheWay[0]!.endBytes <= this.#savedBytes) this.#onTheWay.shift()
    if (this.#drained === null || this.full) return
    this.#drained.resolve()
    this.#drained = null
  }

  nowSealed(): void {
    this.#sealAskedMs = Infinity
    this.#sealed?.resolve()
  }

  /** The disk is nearly full: no more sessions on it, but what is left of this one still fits. */
  refuse(cause: Fault): void {
    if (this.#state !== 'recording' || this.#sealed !== null) return
    this.#state = this.#strict ? 'refused' : 'stopped'
    if (!this.#strict) this.#gap = { fromUs: this.#usAt(this.#host.clock.monotonicMs()), why: cause.message }
    this.#fail(cause)
  }

  /** The file can no longer be written. */
  break(cause: Error): void {
    if (this.#state === 'broken') return
    this.#state = 'broken'
    this.#givenUp = { why: cause.message, bytes: this.#fileBytes, chain: this.#chain }
    this.#parts.clear()
    this.#bytes = 0
    this.#events = 0
    this.#onTheWay = []
    this.#savedBytes = this.#recordedBytes
    this.#fail(cause)
  }

  #fail(cause: Error): void {
    const first = this.#failure === null
    this.#failure ??= new Fault('RECORDING_FAILED', 'The recording of this session cannot be written.', { cause })
    this.#host.failed(this, cause)
    this.#settle(this.#drained, this.#strict)
    this.#drained = null
    if (this.#state !== 'broken') return this.#tell(first)
    this.#settle(this.#opened, true)
    this.#opened = null
    this.#sealAskedMs = Infinity
    this.#settle(this.#sealed, this.#strict)
    this.#tell(first && this.#sealed === null)
  }

  #tell(wanted: boolean): void {
    if (wanted && this.#strict && this.#failure !== null) this.#onFailure(this.#failure)
  }

  #settle(waiting: Settled | null, rejecting: boolean): void {
    if (waiting === null) return
    if (!rejecting) return waiting.resolve()
    // Whoever holds the promise sees the rejection; if nobody does, it must not end the process.
    waiting.promise.catch(() => {})
    waiting.reject(this.#failure!)
  }

  #oldestMs(): number {
    return this.#onTheWay[0]?.atMs ?? (this.#events > 0 ? this.#firstAtMs : Infinity)
  }

  #usAt(nowMs: number): number {
    return Math.max(0, Math.round((nowMs - this.#startedMs) * 1000))
  }
}

const headBytesMax = 256

/** @returns null when it is long or no JSON: such a line is written like any other. */
function encodeHead(code: string, data: Readonly<Record<string, unknown>>): Buffer | null {
  const line = tryEncode(0, code, { ...data, bytes: 0 })
  if (line === undefined || line.length > headBytesMax || 'bytes' in data) return null
  return Buffer.from(line.slice('[0,'.length, -'0}]\n'.length))
}

function tryEncode(us: number, code: string, data: unknown): string | undefined {
  try {
    return encodeLine(us, code, data)
  } catch {
    return undefined // a cycle or a bigint: a bug of the caller, told by the recording that breaks
  }
}

/** For `recording: off`, and where a bestEffort recording could not even begin. */
export const noRecorder: Recorder = {
  active: false,
  full: false,
  isFullAt: () => false,
  event() {},
  bytes() {},
  encoded() {},
  drained: async () => {},
  seal: async () => {},
}
