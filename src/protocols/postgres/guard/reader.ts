import path from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Clock, Timer } from '../../../kernel/time.ts'
import type { Reading } from './facts.ts'
import { loadParser, type Parse } from './parse.ts'
import { shapeOf } from './shape.ts'
import { readStatements } from './walk.ts'

export interface ReadOrder {
  readonly id: number
  readonly text: string
}
export interface ReadReport {
  readonly id: number
  readonly reading: Reading
}

/** Reads what statements do; every session shares one. Never throws, never rejects: what cannot be read is unparsable. */
export interface StatementReader extends AsyncDisposable {
  /** Loads the parser, the first time. */
  ready(): Promise<void>
  /** Call `ready` before. Short texts are read at once. */
  read(text: string): Reading | Promise<Reading>
}

/** Longer texts are read in a thread of their own: at some 100 ns for each character, they would hold everybody up. */
const atOnceCharsMax = 4096
/** What the longest text takes is far below. */
const readMsMax = 10_000
/** A thread that has held a long text keeps its memory; so it goes when it has nothing to do. */
const idleMs = 30_000
const resourceLimits = { stackSizeMb: 16, maxOldGenerationSizeMb: 768 } as const
/** Texts that are sent again and again, with these or other numbers, are read once: so many, each at most so long. */
const rememberedMax = 2000
const rememberedCharsMax = 1024
const failed: Reading = { unparsable: 'the parser gave up on it', isSyntax: false }

export function createStatementReader(clock: Clock): StatementReader {
  return new Reader(clock)
}

class Reader implements StatementReader {
  readonly #clock: Clock
  #parse: Promise<Parse> | undefined
  #parser: Parse | undefined
  #thread: Thread | undefined
  /** The one that was used last stands last. */
  readonly #remembered = new Map<string, Reading>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async ready(): Promise<void> {
    this.#parse ??= loadParser()
    this.#parser = await this.#parse
  }

  read(text: string): Reading | Promise<Reading> {
    if (text.length > atOnceCharsMax || this.#parser === undefined) return this.#inThread(text)
    return text.length > rememberedCharsMax ? readStatements(this.#parser(text)) : this.#remember(text, this.#parser)
  }

  #remember(text: string, parse: Parse): Reading {
    const shape = shapeOf(text)
    const reading = this.#remembered.get(shape) ?? readStatements(parse(text))
    if ('unparsable' in reading) return reading // what is wrong with it may be its numbers
    this.#remembered.delete(shape)
    this.#remembered.set(shape, reading)
    if (this.#remembered.size > rememberedMax) this.#remembered.delete(this.#remembered.keys().next().value!)
    return reading
  }

  #inThread(text: string): Promise<Reading> {
    if (this.#thread === undefined || this.#thread.isOver) this.#thread = new Thread(this.#clock)
    return this.#thread.read(text)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread?.end()
  }
}

/** When it breaks or takes too long, it ends, and whatever it was to read is unparsable. */
class Thread {
  isOver = false
  readonly #clock: Clock
  readonly #worker: Worker
  readonly #waiting = new Map<number, (reading: Reading) => void>()
  #last = 0
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    // Sources run as .ts; the published package holds .js.
    const entry = new URL(`./reader-thread${path.extname(import.meta.url)}`, import.meta.url)
    this.#worker = new Worker(entry, { name: 'statements', execArgv: [], resourceLimits })
    this.#worker.unref()
    this.#worker.on('message', (report: ReadReport) => this.#read(report))
    this.#worker.on('error', () => void this.end()) // such as too little memory for a text; those who wait are told
    this.#worker.on('exit', () => void this.end())
  }

  read(text: string): Promise<Reading> {
    const { promise, resolve } = Promise.withResolvers<Reading>()
    this.#last += 1
    this.#waiting.set(this.#last, resolve)
    this.#worker.postMessage({ id: this.#last, text } satisfies ReadOrder)
    if (this.#waiting.size === 1) this.#watch()
    return promise
  }

  async end(): Promise<void> {
    this.isOver = true
    this.#timer?.cancel()
    for (const resolve of this.#waiting.values()) resolve(failed)
    this.#waiting.clear()
    await this.#worker.terminate()
  }

  #read({ id, reading }: ReadReport): void {
    this.#waiting.get(id)?.(reading)
    this.#waiting.delete(id)
    this.#watch()
  }

  #watch(): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(this.#waiting.size > 0 ? readMsMax : idleMs, () => void this.end())
  }
}
