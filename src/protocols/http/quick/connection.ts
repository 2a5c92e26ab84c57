import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { turnEnd, type PutOff } from '../../../kernel/turn-end.ts'
import { Blocks, requestOf, type Block } from './block.ts'
import { splitPlainHead, type PlainHead } from './plain-head.ts'

/** What wants to hear when its client leaves. */
export interface UnderWay {
  clientGone(): void
}

/** Who answers plain requests. */
export interface PlainAnswerer {
  /** Whether this host (lower-case, without port) is one of theirs. */
  has(host: string): boolean
  handle(request: IncomingMessage, response: ServerResponse): void
  /** Takes the request if all that it needs is at hand: then it answers it by `connection`. @returns false when it did nothing. */
  takeQuick(connection: QuickConnection, head: PlainHead, block: Block): boolean
}

export interface ConnectionDeps {
  readonly answerer: PlainAnswerer
  /** Counts on while time passes. */
  readonly beat: { readonly count: number }
  /** It is Node's now, or closed. */
  readonly onLeft: (connection: QuickConnection) => void
  /** Gives it to Node's own server. */
  readonly toNode: (socket: Socket) => void
}

/** What comes while an answer is under way is kept up to here, then the client has to wait. */
const heldBytesMax = 64 * 1024

/**
 * One client's connection of HTTP/1.1, as long as it sends nothing but plain requests, one at a time. Those are answered here,
 * at best in the quick way, else by the same code as all others. With the first thing that is not plain, the connection goes
 * to Node's server for good, which reads that from its first byte.
 */
export class QuickConnection implements PutOff {
  readonly socket: Socket
  readonly #deps: ConnectionDeps
  readonly #blocks = new Blocks()
  /**
   * The quick exchange that is under way, if any. Not a function: V8 puts one that is written into a property where it is made
   * (`object.name = () => …`) among the old objects at once, and whatever it refers to stays until these are collected.
   */
  quick: UnderWay | null = null
  /** Nothing came yet. */
  isFresh = true
  /** At which beat something came last, or was answered. */
  heardAt: number
  #isAnswering = false
  #isClosing = false
  /** Of an exchange that goes the usual way. */
  #response: ServerResponse | null = null
  /** An answer that is not written yet. */
  #answer = ''
  #held: Buffer[] = []
  #heldBytes = 0

  constructor(socket: Socket, deps: ConnectionDeps) {
    this.socket = socket
    this.#deps = deps
    this.heardAt = deps.beat.count
    socket.on('data', this.#onData).on('drain', this.#onDrain)
    socket.on('error', this.#onError).on('close', this.#onClose)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.heardAt = this.#deps.beat.count
    if (this.#isAnswering) return this.#hold(chunk)
    const head = splitPlainHead(chunk)
    const block = head === undefined ? undefined : this.#blocks.find(head.block)
    const { answerer } = this.#deps
    if (head === undefined || block === undefined || !answerer.has(block.hostName)) return this.#leave(chunk)
    this.isFresh = false
    this.#isAnswering = true
    if (answerer.takeQuick(this, head, block)) return this.#blocks.keep(block)
    const { request, response } = this.usual(head, block)
    answerer.handle(request, response)
  }

  /** The request, and an answer to it, as Node's server would give them to their handlers. */
  usual(head: PlainHead, block: Block): { readonly request: IncomingMessage; readonly response: ServerResponse } {
    const request = requestOf(head, block, this.socket)
    const response = new ServerResponse(request)
    this.quick = null
    this.#response = response
    // Of a connection that is closed nothing more is to be told.
    if (this.socket.destroyed) response.destroyed = true
    else response.assignSocket(this.socket)
    response.once('finish', () => this.#finished(response))
    return { request, response }
  }

  /** A whole answer, in Latin-1. */
  answer(text: string): void {
    this.quick = null
    this.#answer = text
    turnEnd.do(this)
  }

  turnEnd(): void {
    const text = this.#answer
    this.#answer = ''
    this.heardAt = this.#deps.beat.count
    // Who does not read its answers may not ask on.
    if (this.socket.write(text, 'latin1')) this.#next()
  }

  /** After the answer that is under way. */
  close(): void {
    this.#isClosing = true
    if (!this.#isAnswering) this.socket.destroy()
  }

  #finished(response: ServerResponse): void {
    this.heardAt = this.#deps.beat.count
    this.#response = null
    response.detachSocket(this.socket)
    response.destroyed = true
    response.emit('close')
    if (String(response.getHeader('connection')).toLowerCase() === 'close') this.#isClosing = true
    this.#next()
  }

  #next(): void {
    this.#isAnswering = false
    if (this.#isClosing) return this.socket.destroySoon()
    if (this.#heldBytes > 0) this.#release()
  }

  // ---- what comes too early

  #hold(chunk: Buffer): void {
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#heldBytes > heldBytesMax) this.socket.pause()
  }

  #release(): void {
    const chunk = Buffer.concat(this.#held)
    const wasPaused = this.#heldBytes > heldBytesMax
    this.#held = []
    this.#heldBytes = 0
    this.#onData(chunk)
    if (wasPaused) this.socket.resume()
  }

  #leave(chunk: Buffer): void {
    const { socket } = this
    socket.off('data', this.#onData).off('drain', this.#onDrain)
    socket.off('error', this.#onError).off('close', this.#onClose)
    this.#deps.onLeft(this)
    this.#deps.toNode(socket)
    // Behind the handing over: it is read at once, before anything that comes later.
    socket.unshift(chunk)
  }

  // ---- the socket

  readonly #onDrain = (): void => {
    if (this.#response !== null) this.#response.emit('drain')
    else if (this.#isAnswering && this.quick === null && this.#answer === '') this.#next()
  }
  readonly #onError = (): void => void this.socket.destroy()
  readonly #onClose = (): void => {
    this.#deps.onLeft(this)
    this.quick?.clientGone()
    this.quick = null
  }
}
