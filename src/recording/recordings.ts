import { mkdir } from 'node:fs/promises'
import { Fault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { type Clock, isoTime, type Timer } from '../kernel/time.ts'
import { reading } from './disk-turns.ts'
import { freeBytesAt } from './files.ts'
import { headerBytesMax, segmentRawBytes } from './format.ts'
import { FreeSpace } from './free-space.ts'
import type { SigningKey } from './keys.ts'
import { SpareBuffers } from './line-parts.ts'
import type { Recorder, Recordings } from './recorder.ts'
import { noRecorder, type RecorderHost, SessionRecorder } from './session-recorder.ts'
import { startWriterThread, type WriterThread } from './start-writer-thread.ts'
import type { WriterSettings } from './writer.ts'
import type { OpenOrder, Report, Saved, SealOrder } from './writer-messages.ts'

export interface RecordingSettings {
  /** A session is `full` when more than this is not on disk yet … */
  readonly unsavedBytesMax: number
  /** … or something is not on disk for longer than this. */
  readonly unsavedMsMax: number
  /** No new session, and no more events of strict ones, when the disk has less free. */
  readonly freeBytesMin: number
}

export interface RecordingsDeps {
  /** Absolute; made if missing. */
  readonly folder: string
  readonly key: SigningKey
  readonly settings: RecordingSettings
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

/** What is recorded is handed to the writer's thread when it is this many bytes over all sessions, or this old. */
const batchBytesMax = 256 * 1024
const batchBytesMin = 64 * 1024
const batchMsMax = 100
const lookEveryMs = 1000
/** A disk that has not answered for this long will not. */
const stalledMsMax = 30_000
const sessionShape = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

/**
 * Opens the room that records sessions below `folder`, as `YYYY/MM/DD/<session>.curfew`.
 * Disposing waits until everything recorded so far is on disk; it seals nothing.
 */
export async function openRecordings(deps: RecordingsDeps): Promise<Recordings & AsyncDisposable> {
  await mkdir(deps.folder, { recursive: true, mode: 0o700 })
  const recordings = new DiskRecordings(deps)
  await recordings.open()
  return recordings
}

class DiskRecordings implements Recordings, RecorderHost, AsyncDisposable {
  readonly clock: Clock
  readonly unsavedBytesMax: number
  readonly unsavedMsMax: number
  readonly spares: SpareBuffers = new SpareBuffers()
  readonly #deps: RecordingsDeps
  readonly #batchBytes: number
  readonly #recorders = new Map<number, SessionRecorder>()
  readonly #dirty = new Set<SessionRecorder>()
  #dirtyBytes = 0
  #unsavedBytes = 0
  #opens: OpenOrder[] = []
  #seals: SealOrder[] = []
  #forgets: number[] = []
  #batchTimer: Timer | null = null
  #lookTimer: Timer | null = null
  #postSoonSet = false
  #thread: Promise<WriterThread> | null = null
  #posting: WriterThread | null = null
  #nextId = 1
  readonly #free: FreeSpace
  #closing = false

  constructor(deps: RecordingsDeps) {
    this.#deps = deps
    this.clock = deps.clock
    this.#free = new FreeSpace(deps.clock, () => reading.take(() => freeBytesAt(deps.folder)))
    this.unsavedBytesMax = deps.settings.unsavedBytesMax
    this.unsavedMsMax = deps.settings.unsavedMsMax
    // Some batches must fit into what may be unsaved, or the disk waits for the relay and the relay for the disk.
    this.#batchBytes = Math.max(batchBytesMin, Math.min(batchBytesMax, this.unsavedBytesMax / 4))
  }

  async open(): Promise<void> {
    await this.#writer()
    this.#look()
  }

  async start(
    header: Readonly<Record<string, unknown>> & { readonly session: string },
    mode: 'strict' | 'bestEffort' | 'off',
    onFailure: (error: Error) => void,
  ): Promise<{ readonly recorder: Recorder; readonly path: string | null }> {
    if (mode === 'off') return { recorder: noRecorder, path: null }
    try {
      return await this.#begin(header, mode, onFailure)
    } catch (error) {
      if (mode === 'strict' || this.#closing) throw error
      this.#deps.log.warn({ session: header.session, error: (error as Error).message }, 'session goes unrecorded')
      return { recorder: noRecorder, path: null }
    }
  }

  async problem(): Promise<Error | null> {
    try {
      await this.#checkFreeSpace()
      await this.#writer()
      return null
    } catch (error) {
      return error as Error
    }
  }

  async #begin(
    header: Readonly<Record<string, unknown>> & { readonly session: string },
    mode: 'strict' | 'bestEffort',
    onFailure: (error: Error) => void,
  ) {
    if (this.#closing) throw new Fault('SHUTTING_DOWN', 'The gateway is shutting down.')
    await this.#checkFreeSpace()
    await this.#writer()
    const order = this.#describe(this.#nextId++, header)
    const recorder = new SessionRecorder(order.id, header.session, mode, this, onFailure)
    this.#recorders.set(order.id, recorder)
    this.#opens.push(order)
    this.#postSoon()
    await recorder.opened()
    return { recorder, path: order.path }
  }

  #describe(id: number, header: Readonly<Record<string, unknown>> & { readonly session: string }): OpenOrder {
    if (!sessionShape.test(header.session)) throw new RangeError('a session id must be fit for a file name')
    const startedAt = isoTime(this.clock.now())
    const line = `${JSON.stringify({ startedAt, ...header, format: 1 })}\n`
    if (Buffer.byteLength(line) > headerBytesMax) throw new RangeError('the header of a recording is too large')
    return { id, path: `${startedAt.slice(0, 10).replaceAll('-', '/')}/${header.session}.curfew`, header: line }
  }

  async #checkFreeSpace(): Promise<void> {
    const bytes = await this.#free.bytes()
    if (bytes < this.#deps.settings.freeBytesMin) throw diskFull(bytes, this.#deps.settings.freeBytesMin)
  }

  recorded(recorder: SessionRecorder, bytes: number, first: boolean): void {
    if (first) this.#dirty.add(recorder)
    this.#dirtyBytes += bytes
    this.#unsavedBytes += bytes
    if (this.#dirtyBytes >= this.#batchBytes) return this.#post()
    this.#batchTimer ??= this.clock.after(batchWaitMs(this.unsavedMsMax), () => {
      this.#batchTimer = null
      this.#post()
    })
  }

  seal(_recorder: SessionRecorder, order: SealOrder): void {
    this.#seals.push(order)
    this.#postSoon()
  }

  failed(recorder: SessionRecorder, error: Error): void {
    const { log, metrics } = this.#deps
    metrics.add('curfew_recording_failures_total', {})
    log.error({ session: recorder.session, error: error.message }, 'recording failed')
  }

  abandon(recorder: SessionRecorder, error: Error): void {
    this.#forgets.push(recorder.id)
    this.#break(recorder.id, error)
    this.#postSoon()
  }

  /** One message for everything that wants to begin or end in this turn of the loop. */
  #postSoon(): void {
    if (this.#postSoonSet) return
    this.#postSoonSet = true
    setImmediate(() => {
      this.#postSoonSet = false
      this.#post()
    })
  }

  #post(finish = false): void {
    const lines = [...this.#dirty].map((recorder) => recorder.takeLines()).filter((taken) => taken !== null)
    const orders = { opens: this.#opens, lines, seals: this.#seals, forgets: this.#forgets, finish }
    this.#dirty.clear()
    this.#dirtyBytes = 0
    this.#opens = []
    this.#seals = []
    this.#forgets = []
    this.#posting?.post(orders)
    this.#deps.metrics.set('curfew_recording_unsaved_bytes', {}, this.#unsavedBytes)
  }

  #writer(): Promise<WriterThread> {
    this.#thread ??= this.#startWriter()
    return this.#thread
  }

  async #startWriter(): Promise<WriterThread> {
    const { folder, key } = this.#deps
    const data = { folder, key: key.forThread(), settings: writerSettings(this.#deps.settings) }
    try {
      const thread = await startWriterThread(data, (report) => this.#onReport(report))
      this.#posting = thread
      void thread.ended.then((error) => this.#onThreadEnd(thread, error))
      return thread
    } catch (cause) {
      this.#thread = null
      throw new Fault('RECORDING_FAILED', 'The thread that writes recordings does not start.', { cause })
    }
  }

  #onReport(report: Report): void {
    this.spares.put(report.spares)
    for (const id of report.opened) this.#recorders.get(id)?.nowOpened()
    for (const saved of report.saved) this.#onSaved(saved)
    for (const id of report.sealed) this.#close(id, (recorder) => recorder.nowSealed())
    for (const { id, message } of report.failed) this.#break(id, new Error(message))
    if (report.lowBytes !== null) this.#refuseAll(report.lowBytes)
    this.#deps.metrics.set('curfew_recording_unsaved_bytes', {}, this.#unsavedBytes)
  }

  #onSaved(saved: Saved): void {
    this.#deps.metrics.add('curfew_recording_bytes_total', {}, saved.fileBytes)
    const recorder = this.#recorders.get(saved.id)
    if (recorder === undefined) return // broken meanwhile, and no longer counted
    this.#unsavedBytes -= saved.bytes
    recorder.nowSaved(saved)
  }

  #break(id: number, error: Error): void {
    this.#close(id, (recorder) => {
      this.#unsavedBytes -= recorder.unsavedBytes
      recorder.break(error)
    })
  }

  #close(id: number, last: (recorder: SessionRecorder) => void): void {
    const recorder = this.#recorders.get(id)
    this.#recorders.delete(id)
    if (recorder !== undefined) last(recorder)
  }

  #refuseAll(freeBytes: number): void {
    this.#free.tell(freeBytes)
    const fault = diskFull(freeBytes, this.#deps.settings.freeBytesMin)
    for (const recorder of this.#recorders.values()) recorder.refuse(fault)
  }

  #onThreadEnd(thread: WriterThread, error: Error): void {
    if (this.#posting !== thread) return
    this.#posting = null
    this.#thread = null // the next session starts another
    for (const id of [...this.#recorders.keys()]) this.#break(id, error)
    this.#dirty.clear()
    this.#opens = []
    this.#seals = []
    this.#forgets = []
  }

  /** One timer for all sessions: a disk that hangs tells nobody. */
  #look(): void {
    this.#lookTimer = this.clock.after(lookEveryMs, () => {
      this.spares.tidy()
      const stalledMs = this.clock.monotonicMs() - stalledMsMax
      for (const recorder of [...this.#recorders.values()]) {
        if (recorder.waitingSinceMs < stalledMs) this.abandon(recorder, new Error('the disk does not answer'))
      }
      this.#look()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    this.#batchTimer?.cancel()
    this.#lookTimer?.cancel()
    const thread = await this.#thread
    this.#post(true)
    if (thread === null) return
    const giveUp = this.clock.after(stalledMsMax, () => void thread[Symbol.asyncDispose]())
    await thread.finished
    giveUp.cancel()
    this.#posting = null
    for (const recorder of [...this.#recorders.values()]) recorder.break(new Error('the gateway has stopped'))
    await thread[Symbol.asyncDispose]()
  }
}

/** How long lines wait on this thread; part of the time that they may be unsaved. */
function batchWaitMs(unsavedMsMax: number): number {
  return Math.max(1, Math.min(batchMsMax, unsavedMsMax * 0.4))
}

/** Half of what may be unsaved is for waiting, so that the other half is left to the disk. See docs/decisions/. */
function writerSettings({ unsavedBytesMax, unsavedMsMax, freeBytesMin }: RecordingSettings): WriterSettings {
  const waitMs = Math.min(1000, unsavedMsMax / 2) - batchWaitMs(unsavedMsMax)
  return {
    segmentBytes: Math.max(1, Math.min(segmentRawBytes, unsavedBytesMax / 2)),
    closeAfterMs: Math.max(1, waitMs),
    freeBytesMin,
  }
}

function diskFull(freeBytes: number, freeBytesMin: number): Fault {
  const free = `${Math.floor(freeBytes / 1048576)} MiB`
  return new Fault(
    'DISK_FULL',
    `The disk for recordings has ${free} free; ${Math.ceil(freeBytesMin / 1048576)} MiB are needed.`,
  )
}
