import type { Socket } from 'node:net'
import { Fault } from '../../../kernel/fault.ts'
import { turnEnd, type PutOff } from '../../../kernel/turn-end.ts'
import { BadAnswer } from './answer-head.ts'
import { AnswerReader, type AnswerEvents } from './answer-reader.ts'
import { BorrowedBody } from './borrowed-body.ts'
import { bare, type Connector } from './connection.ts'
import type { KnownHeads } from './known-heads.ts'
import { aborted, type Reached, type Taker, type Try } from './hop.ts'
import { requestText } from './request-text.ts'
import type { RawHeaders, TargetRequest } from './target.ts'
import { codeOf } from './words.ts'

export interface KeptBy {
  /**
   * Where what a target sends is read into, as each read is dealt with before the next one begins, on whichever connection:
   * a place of its own for each would cost more than all else that is done with a small answer.
   */
  readonly readInto: Buffer
  /** Of answers that came from there lately. */
  readonly heads: KnownHeads
  /** It may carry another request. @param keepAliveS for how long, by the target's word; null without one. */
  resting(connection: KeptConnection, keepAliveS: number | null): void
  /** It is closed. */
  gone(connection: KeptConnection): void
}

/** One connection to a target, which carries one request at a time. */
export class KeptConnection implements AnswerEvents, PutOff {
  /** Until when nothing was asked of it and it may be used: monotonic. */
  restsUntilMs = 0
  readonly #connector: Connector
  readonly #by: KeptBy
  readonly #reader: AnswerReader
  readonly #opening = new AbortController()
  #socket: Socket | null = null
  #isShared = false
  #current: KeptTry | null = null
  /** Requests that were answered on it. */
  #served = 0
  #isAsked = false
  /** A byte of the answer has come. */
  #began = false
  #isPaused = false
  #isGone = false
  /** What was read and is not wanted yet. */
  #rest: Buffer | null = null

  constructor(connector: Connector, by: KeptBy) {
    this.#connector = connector
    this.#by = by
    this.#reader = new AnswerReader(this, by.heads)
  }

  take(attempt: KeptTry): void {
    this.#current = attempt
    this.#isAsked = false
    this.#began = false
  }

  /** Sends what it has taken, unless that was given up. */
  ask(): void {
    if (this.#current === null) return
    if (this.#socket === null) void this.#open()
    else turnEnd.do(this)
  }

  turnEnd(): void {
    if (this.#socket !== null && this.#current !== null) this.#write(this.#socket, this.#current)
  }

  is(attempt: KeptTry): boolean {
    return this.#current === attempt
  }

  /** Closes it. Who waits for an answer hears nothing more. */
  close(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#current?.body?.destroy()
    this.#current = null
    this.#reader.stop()
    this.#rest = null
    this.#opening.abort(aborted)
    this.#socket?.destroy()
    this.#by.gone(this)
  }

  resume(): void {
    if (!this.#isPaused || this.#isGone) return
    this.#isPaused = false
    const rest = this.#rest
    this.#rest = null
    if (rest !== null) this.#read(rest)
    if (!this.#isPaused && !this.#isGone) this.#socket?.resume()
  }

  fail(error: Error, reached: Reached = this.#reached(error)): void {
    const taker = this.#current?.taker
    this.close()
    taker?.failed(error, reached)
  }

  /** Not now: the caller does not know yet what it started. */
  failSoon(error: Error): void {
    queueMicrotask(() => this.fail(error, 'target'))
  }

  // ---- the answer, as it is read

  informational(status: number, headers: RawHeaders): void {
    this.#current?.taker.informational(status, headers)
  }

  head(status: number, headers: RawHeaders): void {
    this.#current?.taker.head(status, headers, false)
  }

  body(chunk: Buffer): boolean {
    // It may be kept by whoever gets it.
    const goesOn = this.#current?.taker.body(this.#isShared ? Buffer.from(chunk) : chunk) ?? false
    if (!goesOn) this.#isPaused = true
    return goesOn
  }

  end(trailers: RawHeaders, reusable: boolean): void {
    const attempt = this.#current!
    this.#current = null
    this.#isAsked = false
    this.#served += 1
    if (reusable && attempt.isSent) this.#rests()
    else {
      attempt.body?.destroy()
      this.close()
    }
    attempt.taker.end(trailers)
  }

  #rests(): void {
    if (this.#isPaused) this.#socket?.resume()
    this.#isPaused = false
    this.#by.resting(this, this.#reader.keepAliveS)
  }

  // ---- the socket

  async #open(): Promise<void> {
    try {
      const onread = { buffer: this.#by.readInto, callback: (bytes: number) => this.#took(bytes) }
      const socket = await this.#connector.open('http/1.1', this.#opening.signal, bare, onread)
      this.#isShared = !this.#connector.way.address.tls
      if (this.#isGone) return void socket.destroy()
      this.#listen(socket)
      this.#socket = socket
      if (this.#current !== null) this.#write(socket, this.#current)
    } catch (error) {
      this.fail(error as Error, error instanceof Fault ? 'nowhere' : 'target')
    }
  }

  #listen(socket: Socket): void {
    socket.on('error', (error) => this.fail(error))
    socket.on('end', () => {
      if (!this.#reader.close()) this.fail(closedEarly())
    })
    socket.on('close', () => this.fail(closedEarly()))
    socket.on('drain', () => this.#current?.body?.resume())
    if (!this.#isShared) socket.on('data', (bytes: Buffer) => this.#cameIn(bytes))
  }

  #took(bytes: number): boolean {
    this.#cameIn(this.#by.readInto.subarray(0, bytes))
    return !this.#isPaused
  }

  #cameIn(bytes: Buffer): void {
    // Nobody asked for that (yet).
    if (!this.#isAsked) return this.fail(new BadAnswer('something before it was asked'))
    this.#began = true
    this.#read(bytes)
    if (this.#isPaused && !this.#isShared) this.#socket?.pause()
  }

  #read(bytes: Buffer): void {
    try {
      const read = this.#reader.take(bytes)
      if (this.#isPaused && read < bytes.length) this.#rest = Buffer.from(bytes.subarray(read))
    } catch (error) {
      this.fail(error as Error, 'target')
    }
  }

  #write(socket: Socket, attempt: KeptTry): void {
    const { request } = attempt
    if (attempt.isCalledOff) return
    this.#isAsked = true
    this.#reader.begin(request.method)
    try {
      socket.write(requestText(request), 'latin1')
    } catch (error) {
      return this.failSoon(error as Error)
    }
    if (request.body !== null && !attempt.isSent) this.#writeBody(socket, attempt, request.body, request.bodyBytes!)
  }

  #writeBody(socket: Socket, attempt: KeptTry, source: NonNullable<TargetRequest['body']>, bytes: number): void {
    const body = new BorrowedBody(source)
    attempt.body = body
    let left = bytes
    const fail = (error: Error) => {
      if (this.#current === attempt) this.fail(error, 'target')
    }
    body.on('error', fail)
    body.on('data', (chunk: Buffer) => {
      left -= chunk.length
      attempt.isSent = left === 0
      if (left < 0) return fail(new Error('the body of the request is longer than announced'))
      if (!socket.write(chunk)) body.pause()
    })
    body.on('end', () => {
      if (left > 0) fail(new Error('the body of the request is shorter than announced'))
    })
  }

  #reached(error: Error): Reached {
    if (!this.#isAsked && this.#served > 0) return 'refused'
    const isClosed = ['ECONNRESET', 'EPIPE'].includes(codeOf(error))
    return isClosed && !this.#began && this.#served > 0 ? 'unanswered' : 'target'
  }
}

/** One request on its connection. */
export class KeptTry implements Try {
  readonly request: TargetRequest
  readonly taker: Taker
  body: BorrowedBody | null = null
  /** All of the request is with the system. */
  isSent: boolean
  isCalledOff = false
  readonly #connection: KeptConnection

  constructor(request: TargetRequest, taker: Taker, connection: KeptConnection) {
    this.request = request
    this.taker = taker
    this.#connection = connection
    this.isSent = request.body === null || request.bodyBytes === 0
  }

  resume(): void {
    // Not now: a chunk may be on its way to who calls.
    queueMicrotask(() => {
      if (this.#connection.is(this)) this.#connection.resume()
    })
  }

  callOff(): void {
    this.isCalledOff = true
  }

  abort(): void {
    if (this.#connection.is(this)) this.#connection.close()
  }
}

function closedEarly(): Error {
  return Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' })
}
