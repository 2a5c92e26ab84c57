import type { Fault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/time.ts'
import type { HttpEvents, HttpHeaders, HttpResult } from '../../recording/http-events.ts'
import type { Recorder } from '../../recording/recorder.ts'
import { EncodedLines } from './encoded-lines.ts'
import { record } from './recording.ts'

/** A request as it is written down: what must not be (cookies, authorization, values in the URL) is left out already. */
export type RequestFacts = Omit<HttpEvents['q'], 'n'>

/** How an exchange went. Absent members are not known, or do not matter. */
export interface ExchangeEnd {
  /** Bytes of the bodies as they passed; of a WebSocket, all bytes after the upgrade. */
  readonly bytesUp: number
  readonly bytesDown: number
  readonly result: HttpResult
  /** Of the gate's own answer, where the target gave none. */
  readonly status?: number
  readonly code?: string
  readonly why?: string
  readonly trailers?: HttpHeaders
  readonly address?: string | null
}

/**
 * One exchange on its way into the recording. Each of these may be called when the one before was; after the first of `done`
 * and `refused` nothing more is written.
 */
export interface ExchangeRecord {
  /** 1, 2, 3, … within the session; 0 where nothing is recorded. */
  readonly n: number
  /**
   * The head of the target's answer passes (not 1xx).
   * @param goesOn its body may take a while (see `bodyGoesOn`): if it does, the head is written before its end.
   */
  answer(status: number, headers: HttpHeaders, goesOn: boolean): void
  /** `answer` for what does not go on. @param headers as JSON. */
  encodedAnswer(status: number, headers: string): void
  /** Instead of `answer`: the target switched to another protocol. */
  upgraded(protocol: string, headers: HttpHeaders): void
  done(end: ExchangeEnd): void
  /** The gate did not let it through, and answered with `status` itself. */
  refused(status: number, fault: Fault): void
}

/** How long a head waits for the end of its body, so that most exchanges make two lines. */
const headMs = 100
const smallBytesMax: number = 64 * 1024

/**
 * Whether a body may take so long that a crash in between should not lose the head.
 * @param contentLength as the header has it; undefined without one.
 */
export function bodyGoesOn(contentLength: string | undefined, contentType: string | undefined): boolean {
  if (contentLength === undefined || !(Number(contentLength) <= smallBytesMax)) return true
  return contentType !== undefined && /^\s*text\/event-stream\b/i.test(contentType)
}

/** Writes the requests of one session down: `q` when one comes, `a` when it is over, `s` and `u` between them where needed. */
export class HttpTranscript {
  readonly #recorder: Recorder
  readonly #heads: Heads
  readonly #lines: EncodedLines
  #requests = 0

  /** @param lines shared by all that write in one thread. */
  constructor(recorder: Recorder, clock: Clock, lines: EncodedLines = new EncodedLines()) {
    this.#recorder = recorder
    this.#heads = new Heads(clock)
    this.#lines = lines
  }

  request(facts: RequestFacts): ExchangeRecord {
    return this.#recorder.active ? this.encodedRequest(JSON.stringify(facts).slice(1)) : unrecorded
  }

  /** @param facts `RequestFacts` as JSON, without the first bracket. */
  encodedRequest(facts: string): ExchangeRecord {
    if (!this.#recorder.active) return unrecorded
    const n = ++this.#requests
    const nowMs = this.#heads.clock.monotonicMs()
    this.#lines.write(this.#recorder, `"q",{"n":${n},${facts}`, nowMs)
    return new RecordedExchange(n, nowMs, this.#recorder, this.#heads, this.#lines)
  }

  /** What the gate told the person. */
  message(kind: 'warning' | 'cut', text: string, code?: string): void {
    if (this.#recorder.active) record(this.#recorder, 'm', { kind, text, ...(code !== undefined && { code }) })
  }
}

class RecordedExchange implements ExchangeRecord {
  readonly n: number
  readonly #recorder: Recorder
  readonly #heads: Heads
  readonly #lines: EncodedLines
  readonly #startedMs: number
  #waitMs: number | null = null
  #status = 0
  /** JSON. Null: there are none, or they are written. */
  #headers: string | null = null
  #over = false

  constructor(n: number, startedMs: number, recorder: Recorder, heads: Heads, lines: EncodedLines) {
    this.n = n
    this.#recorder = recorder
    this.#heads = heads
    this.#lines = lines
    this.#startedMs = startedMs
  }

  answer(status: number, headers: HttpHeaders, goesOn: boolean): void {
    if (!this.#answered(status)) return
    this.#headers = JSON.stringify(headers)
    if (goesOn) this.#heads.add(this)
  }

  encodedAnswer(status: number, headers: string): void {
    if (this.#answered(status)) this.#headers = headers
  }

  upgraded(protocol: string, headers: HttpHeaders): void {
    if (!this.#answered(101)) return
    record(this.#recorder, 'u', { n: this.n, protocol, headers })
  }

  /** @returns false when it comes too late. */
  #answered(status: number): boolean {
    if (this.#over || this.#waitMs !== null) return false
    this.#waitMs = this.#msUntil(this.#heads.clock.monotonicMs())
    this.#status = status
    return true
  }

  writeHead(): void {
    if (this.#headers === null) return
    const facts = `"n":${this.n},"status":${this.#status},"headers":${this.#headers}`
    this.#lines.write(this.#recorder, `"s",{${facts}}`, this.#heads.clock.monotonicMs())
    this.#headers = null
  }

  done(end: ExchangeEnd): void {
    if (this.#over) return
    this.#over = true
    this.#heads.remove(this)
    const nowMs = this.#heads.clock.monotonicMs()
    const seen = this.#waitMs === null ? (end.status ?? 0) : this.#status
    const headers = this.#headers === null ? '' : `,"headers":${this.#headers}`
    const wait = this.#waitMs === null ? '' : `,"waitMs":${this.#waitMs}`
    const sizes = `,"bytesUp":${end.bytesUp},"bytesDown":${end.bytesDown}`
    const facts = `"status":${seen}${headers}${sizes}${wait},"totalMs":${this.#msUntil(nowMs)}${howText(end)}`
    this.#lines.write(this.#recorder, `"a",{"n":${this.n},${facts}}`, nowMs)
  }

  refused(status: number, { code, message }: Fault): void {
    this.done({ bytesUp: 0, bytesDown: 0, result: 'refused', status, code, why: message })
  }

  /** To a hundredth of a millisecond. */
  #msUntil(nowMs: number): number {
    return Math.round((nowMs - this.#startedMs) * 100) / 100
  }
}

/** Heads that wait for the end of their bodies, behind one timer for the session, which runs only while there may be some. */
class Heads {
  readonly clock: Clock
  readonly #waiting = new Set<RecordedExchange>()
  #isTimed = false

  constructor(clock: Clock) {
    this.clock = clock
  }

  add(exchange: RecordedExchange): void {
    this.#waiting.add(exchange)
    if (this.#isTimed) return
    this.#isTimed = true
    this.clock.after(headMs, this.#write)
  }

  remove(exchange: RecordedExchange): void {
    this.#waiting.delete(exchange)
  }

  readonly #write = (): void => {
    this.#isTimed = false
    for (const exchange of this.#waiting) exchange.writeHead()
    this.#waiting.clear()
  }
}

/** Members of JSON. */
function howText({ result, code, why, trailers, address = null }: ExchangeEnd): string {
  let text = `,"result":"${result}"`
  if (code !== undefined) text += `,"code":${JSON.stringify(code)}`
  if (why !== undefined) text += `,"why":${JSON.stringify(why)}`
  if (trailers !== undefined) text += `,"trailers":${JSON.stringify(trailers)}`
  if (address !== null) text += `,"address":${JSON.stringify(address)}`
  return text
}

const unrecorded: ExchangeRecord = {
  n: 0,
  answer() {},
  encodedAnswer() {},
  upgraded() {},
  done() {},
  refused() {},
}
