import type { SigningKey } from './keys.ts'
import { encodeHeader, encodeManifest, manifestType } from './format.ts'
import type { RecordingFiles } from './files.ts'
import { JoinedParts } from './joined-parts.ts'
import { sparesOf } from './line-parts.ts'
import { Track } from './track.ts'
import type { Lines, OpenOrder, Orders, Report, SealOrder } from './writer-messages.ts'

export interface WriterSettings {
  /** A segment is closed when its lines reach this many bytes … */
  readonly segmentBytes: number
  /** … or when its first line has waited this long. */
  readonly closeAfterMs: number
  readonly freeBytesMin: number
}

export interface WriterDeps {
  readonly files: RecordingFiles
  readonly sign: SigningKey['sign']
  readonly settings: WriterSettings
  /** Must not throw. */
  report(report: Report): void
  monotonicMs(): number
  after(delayMs: number, task: () => void): void
}

/** Files written to at once. */
const writesAtOnceMax = 3
const freeSpaceEveryMs = 1000

/**
 * The half of the recorder that lives in a thread of its own: closes segments, compresses, chains, signs, and writes
 * each file in order while many files are written at once. While a file is written, its next segments are closed.
 */
export class RecordingWriter {
  readonly #deps: WriterDeps
  readonly #tracks = new Map<number, Track>()
  /** Tracks with pending lines, in the order of their due times. */
  readonly #waiting = new Set<Track>()
  #ready: Track[] = []
  readonly #joined = new JoinedParts()
  #running = 0
  #timerSet = false
  #finishing = false
  #report = emptyReport()
  #reportSet = false
  /** What may still be written before the disk must be looked at again. */
  #spareBytes = 0

  constructor(deps: WriterDeps) {
    this.#deps = deps
  }

  handle(orders: Orders): void {
    for (const order of orders.opens) this.#open(order)
    for (const lines of orders.lines) this.#take(lines)
    for (const order of orders.seals) this.#seal(order)
    for (const id of orders.forgets) this.#forget(this.#tracks.get(id))
    if (orders.finish) this.#finish()
    this.#pump()
  }

  /** Looks at the disk now and then, until the writer is finished. */
  watchFreeSpace(): void {
    this.#deps.after(freeSpaceEveryMs, () => void this.#lookAgainAndAgain())
  }

  #open({ id, path, header }: OpenOrder): void {
    const track = new Track(id, path, header)
    this.#tracks.set(id, track)
    this.#enqueue(track)
  }

  #take(lines: Lines): void {
    const track = this.#tracks.get(lines.id)
    if (track === undefined || track.broken) return // its failure is on the way to the other half
    track.take(lines)
    if (track.pendingBytes >= this.#deps.settings.segmentBytes) {
      if (!track.isNew) this.#closePending(track)
      return this.#enqueue(track)
    }
    if (track.dueAtMs !== Infinity) return
    track.dueAtMs = this.#deps.monotonicMs() + this.#deps.settings.closeAfterMs
    this.#waiting.add(track)
    this.#setTimer()
  }

  #seal(order: SealOrder): void {
    const track = this.#tracks.get(order.id)
    if (track === undefined || track.broken) return
    track.seal = order
    this.#enqueue(track)
  }

  #finish(): void {
    this.#finishing = true
    for (const track of this.#tracks.values()) if (track.pendingBytes > 0) this.#enqueue(track)
  }

  #enqueue(track: Track): void {
    if (track.queued) return // looked at again when its write is over
    track.queued = true
    this.#ready.push(track)
  }

  #setTimer(): void {
    const [first] = this.#waiting
    if (this.#timerSet || first === undefined) return
    this.#timerSet = true
    this.#deps.after(Math.max(1, first.dueAtMs - this.#deps.monotonicMs()), () => {
      this.#timerSet = false
      const nowMs = this.#deps.monotonicMs()
      for (const track of this.#waiting) {
        if (track.dueAtMs > nowMs) break
        this.#waiting.delete(track)
        this.#enqueue(track)
      }
      this.#pump()
      this.#setTimer()
    })
  }

  #pump(): void {
    let next = 0
    while (this.#running < writesAtOnceMax && next < this.#ready.length) void this.#run(this.#ready[next++]!)
    if (next > 0) this.#ready = this.#ready.slice(next)
    if (this.#finishing && this.#running === 0) void this.#finished()
  }

  async #run(track: Track): Promise<void> {
    this.#running++
    try {
      await this.#write(track)
    } catch (error) {
      this.#break(track, error as Error)
    }
    this.#running--
    track.queued = false
    if (this.#hasMore(track)) this.#enqueue(track)
    this.#pump()
  }

  #hasMore(track: Track): boolean {
    if (track.broken || !this.#tracks.has(track.id)) return false
    if (track.seal !== null || track.closed !== null) return true
    if (track.pendingBytes >= this.#deps.settings.segmentBytes) return true
    return track.pendingBytes > 0 && (this.#finishing || track.dueAtMs <= this.#deps.monotonicMs())
  }

  async #write(track: Track): Promise<void> {
    // Given up while it waited for its turn: what it held is gone, and must not be signed over.
    if (track.broken) return
    if (track.isNew) return this.#create(track)
    const { seal } = track
    this.#closePending(track)
    const { offset, buffers, bytes, parts } = track.closed ?? track.noSegments()
    const { chain } = track
    if (seal !== null) buffers.push(await this.#closeFile(track, seal))
    if (buffers.length === 0) return
    track.closed = null
    const fileBytes = track.offset - offset
    await this.#keepWatch(fileBytes)
    await this.#deps.files.append(track.path, buffers, offset)
    this.#tell((report) => {
      report.saved.push({ id: track.id, bytes, fileBytes, chain })
      report.spares.push(...sparesOf(parts))
    })
    if (seal !== null) await this.#sealed(track)
  }

  #closePending(track: Track): void {
    track.closePending(this.#deps.settings.segmentBytes, this.#joined)
    this.#waiting.delete(track)
  }

  async #create(track: Track): Promise<void> {
    const bytes = encodeHeader(track.header)
    await this.#deps.files.create(track.path, bytes)
    track.begun(bytes)
    this.#tell((report) => {
      report.opened.push(track.id)
      report.saved.push({ id: track.id, bytes: 0, fileBytes: bytes.length, chain: track.chain })
    })
  }

  async #closeFile(track: Track, order: SealOrder): Promise<Buffer> {
    const record = encodeManifest(await this.#deps.sign(manifestType, track.manifest(order)))
    track.offset += record.length
    return record
  }

  async #sealed(track: Track): Promise<void> {
    this.#tracks.delete(track.id)
    this.#tell((report) => report.sealed.push(track.id))
    await this.#deps.files.close(track.path)
  }

  #break(track: Track, error: Error): void {
    this.#forget(track)
    this.#tell((report) => report.failed.push({ id: track.id, message: error.message }))
  }

  #forget(track: Track | undefined): void {
    if (track === undefined) return
    track.giveUp()
    this.#waiting.delete(track)
    this.#tracks.delete(track.id)
    void this.#deps.files.close(track.path).catch(() => {}) // nothing more is lost: the recording is given up
  }

  /** A second is long: what is written meanwhile counts, and when it comes near to what was spare the disk is asked. */
  async #keepWatch(bytes: number): Promise<void> {
    this.#spareBytes -= bytes
    if (this.#spareBytes < 0) await this.#lookAtFreeSpace()
  }

  async #lookAgainAndAgain(): Promise<void> {
    if (this.#finishing) return
    try {
      if (this.#tracks.size > 0) await this.#lookAtFreeSpace()
    } catch (error) {
      for (const track of [...this.#tracks.values()]) this.#break(track, error as Error)
    }
    this.watchFreeSpace()
  }

  async #lookAtFreeSpace(): Promise<void> {
    const { freeBytesMin } = this.#deps.settings
    const freeBytes = await this.#deps.files.freeBytes()
    this.#spareBytes = (freeBytes - freeBytesMin) / 2
    if (freeBytes < freeBytesMin) this.#tell((report) => void (report.lowBytes = freeBytes))
  }

  async #finished(): Promise<void> {
    this.#finishing = false
    await this.#deps.files[Symbol.asyncDispose]()
    this.#tell((report) => void (report.finished = true))
  }

  /** Everything that happens in one turn of the loop goes into one message. */
  #tell(write: (report: ReturnType<typeof emptyReport>) => void): void {
    write(this.#report)
    if (this.#reportSet) return
    this.#reportSet = true
    setImmediate(() => {
      this.#reportSet = false
      const report = this.#report
      this.#report = emptyReport()
      this.#deps.report(report)
    })
  }
}

function emptyReport() {
  return {
    opened: [] as number[],
    saved: [] as Report['saved'][number][],
    sealed: [] as number[],
    failed: [] as Report['failed'][number][],
    lowBytes: null as number | null,
    finished: false,
    spares: [] as ArrayBuffer[],
  }
}
