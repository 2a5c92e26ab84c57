import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Log } from '../../src/kernel/log.ts'
import type { Metrics } from '../../src/kernel/metrics.ts'
import type { RecordingFiles } from '../../src/recording/files.ts'
import type { RecordedEvent } from '../../src/recording/format.ts'
import { openSigningKey, type SigningKey } from '../../src/recording/keys.ts'
import { signWith } from '../../src/recording/sign.ts'
import { openRecordings, type RecordingSettings } from '../../src/recording/recordings.ts'
import type { ByteSource } from '../../src/recording/source.ts'
import { RecordingWriter, type WriterSettings } from '../../src/recording/writer.ts'
import type { Lines, Orders, Report } from '../../src/recording/writer-messages.ts'
import { LineParts, SpareBuffers } from '../../src/recording/line-parts.ts'
import { encodeLine } from '../../src/recording/format.ts'
import { systemClock } from '../../src/system.ts'

export interface Folder extends AsyncDisposable {
  readonly path: string
}

export async function temporaryFolder(): Promise<Folder> {
  const made = await mkdtemp(path.join(tmpdir(), 'curfew-recording-'))
  return { path: made, [Symbol.asyncDispose]: () => rm(made, { recursive: true, force: true }) }
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog }

export interface CountingMetrics extends Metrics {
  readonly counts: Map<string, number>
}

export function countingMetrics(): CountingMetrics {
  const counts = new Map<string, number>()
  return {
    counts,
    add: (name, _labels, by = 1) => void counts.set(name, (counts.get(name) ?? 0) + by),
    set: (name, _labels, value) => void counts.set(name, value),
    forget: (name) => void counts.delete(name),
    observe() {},
  }
}

export const usualSettings: RecordingSettings = { unsavedBytesMax: 1024 * 1024, unsavedMsMax: 250, freeBytesMin: 1 }

/** The real room in a folder, with its key in the same folder. */
export async function startRecordings(folder: string, settings: Partial<RecordingSettings> = {}) {
  const key = await openSigningKey(folder)
  const metrics = countingMetrics()
  const recordings = await openRecordings({
    folder: path.join(folder, 'recordings'),
    key,
    settings: { ...usualSettings, ...settings },
    clock: systemClock,
    log: silentLog,
    metrics,
  })
  const fileOf = (below: string | null) => path.join(folder, 'recordings', below ?? 'none')
  return { key, metrics, recordings, fileOf, [Symbol.asyncDispose]: () => recordings[Symbol.asyncDispose]() }
}

/** A disk in memory. `before` runs ahead of each write and may fail or wait. */
export class MemoryFiles implements RecordingFiles {
  readonly files = new Map<string, Buffer>()
  free = Infinity
  writes = 0
  readonly #before: (write: number) => Promise<void> | void

  constructor(before: (write: number) => Promise<void> | void = () => {}) {
    this.#before = before
  }

  async create(file: string, bytes: Buffer): Promise<void> {
    await this.#before(++this.writes)
    if (this.files.has(file)) throw new Error('EEXIST')
    this.files.set(file, bytes)
  }

  async append(file: string, buffers: readonly Uint8Array[], offset: number): Promise<void> {
    await this.#before(++this.writes)
    const known = this.files.get(file)!
    if (known.length !== offset) throw new Error(`write at ${offset}, but the file has ${known.length} bytes`)
    this.files.set(file, Buffer.concat([known, ...buffers]))
  }

  async close(): Promise<void> {}
  async freeBytes(): Promise<number> {
    return this.free
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The writing half on this thread, with what it reports collected. */
export function writerOn(files: RecordingFiles, key: SigningKey, settings: Partial<WriterSettings> = {}) {
  const reports: Report[] = []
  const waiting = new Set<() => void>()
  const writer = new RecordingWriter({
    files,
    sign: signWith(key.forThread()),
    settings: { segmentBytes: 256, closeAfterMs: 20, freeBytesMin: 0, ...settings },
    report(report) {
      reports.push(report)
      for (const look of waiting) look()
    },
    monotonicMs: () => performance.now(),
    after: (delayMs, task) => void setTimeout(task, delayMs),
  })
  const until = (fact: (report: Report) => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!reports.some(fact)) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      look()
    })
  return { writer, reports, until, order: (orders: Partial<Orders>) => writer.handle({ ...noOrders, ...orders }) }
}

export const noOrders: Orders = { opens: [], lines: [], seals: [], forgets: [], finish: false }

export function linesOf(id: number, events: readonly RecordedEvent[]): Lines[] {
  return events.map(({ seconds, code, data, bytes: raw }) => {
    const us = Math.round(seconds * 1e6)
    const line = encodeLine(us, code, data)
    const gathered = new LineParts(new SpareBuffers())
    if (raw === undefined) gathered.addLine(line, Buffer.byteLength(line))
    else gathered.addBytes(line, Buffer.byteLength(line), raw)
    const bytes = Buffer.byteLength(line) + (raw === undefined ? 0 : raw.length + 1)
    return { id, parts: gathered.take(), raw: raw !== undefined, bytes, events: 1, firstUs: us, lastUs: us }
  })
}

/** A whole recording in memory: one segment per `segmentBytes` of lines. */
export async function recordInMemory(
  key: SigningKey,
  events: readonly RecordedEvent[],
  { seal = true, segmentBytes = 256, header = { session: 'session-1' } } = {},
): Promise<Buffer> {
  const files = new MemoryFiles()
  const { order, until } = writerOn(files, key, { segmentBytes })
  order({
    opens: [{ id: 1, path: 'a', header: `${JSON.stringify(header)}\n` }],
    lines: linesOf(1, events),
    seals: seal ? [{ id: 1, end: '{"by":"client","code":null,"message":null}', gap: null }] : [],
    finish: true,
  })
  await until((report) => report.finished)
  return files.files.get('a')!
}

export function memorySource(bytes: Buffer): ByteSource & { reads: number; readBytes: number } {
  return {
    sizeBytes: bytes.length,
    reads: 0,
    readBytes: 0,
    async read(offset, lengthBytes) {
      const found = bytes.subarray(offset, offset + lengthBytes)
      this.reads++
      this.readBytes += found.length
      return found
    },
    async [Symbol.asyncDispose]() {},
  }
}

export async function collect<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const all: Value[] = []
  for await (const value of values) all.push(value)
  return all
}
