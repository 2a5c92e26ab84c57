import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { Turns } from './turns.ts'

/** A client's hello: key shares with ML-KEM, and a ticket that holds its certificate. */
const helloBytesMax = 8 * 1024
/** What follows a flight of ours: two certificates, its proof of the key, and its end. */
const flightBytesMax = 4 * 1024

/** What is passed on at once of somebody unknown: some hundred records of a byte each. */
const pieceBytes = 4 * 1024

type Done = (error?: Error | null) => void

/**
 * A client's socket as TLS sees it: until the handshake is done, no flight of the client's may be longer than honest ones
 * are. OpenSSL checks each signature of whatever chain of certificates is sent, up to 100 KB, before anybody is asked whether
 * to go on, and everybody else waits meanwhile; Node bounds neither their number nor their size. Where TLS reads the socket
 * itself there is no place to count.
 *
 * Until it is known who the client is, a few KiB are passed on in each turn of the event loop, and all of them together
 * take no more than a turn: Node decrypts 65,000 records of a byte each before it stops for somebody who has paused.
 */
export class BoundedHandshake extends Duplex {
  readonly #socket: Socket
  readonly #turns: Turns
  #leftBytes = helloBytesMax
  #isDone = false
  #isKnown = false
  /** What came behind all that may come waits, until TLS has looked at what came before. */
  #isHolding = false
  #isEnded = false
  /** It was ended for saying more than a handshake takes. */
  exceeded = false

  constructor(socket: Socket, turns: Turns) {
    super()
    this.#socket = socket
    this.#turns = turns
    socket.on('data', this.#onData).once('end', this.#onEnd).once('close', this.#onEnd).once('error', this.#onError)
  }

  /** The handshake is over: from now on anything may come. */
  done(): void {
    this.#isDone = true
  }

  /** The client has proved who they are. */
  known(): void {
    this.#isKnown = true
  }

  override _read(): void {
    if (!this.#isHolding) this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#leftBytes = flightBytesMax
    this.#socket.write(chunk, done)
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: Done): void {
    this.#leftBytes = flightBytesMax
    this.#socket.cork()
    for (const [index, { chunk }] of chunks.entries()) {
      this.#socket.write(chunk, index === chunks.length - 1 ? done : undefined)
    }
    this.#socket.uncork()
  }

  override _final(done: Done): void {
    this.#socket.end(() => done())
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#socket.off('data', this.#onData).destroy()
    done(error)
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isDone) return this.#isKnown ? this.#pass(chunk) : this.#passAlone(chunk)
    const fits = Math.min(chunk.length, this.#leftBytes)
    this.#leftBytes -= fits
    if (fits === chunk.length) return this.#pass(chunk)
    this.exceeded = fits === 0
    if (this.exceeded) return void this.destroy()
    // A client that has said its last of the handshake goes on at once, with a startup message of up to 10,000 bytes.
    this.#isHolding = true
    this.#socket.pause()
    this.#pass(chunk.subarray(0, fits))
    setImmediate(() => this.#goOn(chunk.subarray(fits)))
  }

  /** @param rest of what was held. */
  #goOn(rest: Buffer): void {
    this.#isHolding = false
    if (!this.destroyed && rest.length > 0) this.#onData(rest)
    if (this.#isHolding || this.destroyed) return
    if (this.#isEnded) this.push(null)
    else if (this.readableLength < this.readableHighWaterMark) this.#socket.resume()
  }

  #passAlone(chunk: Buffer): void {
    this.#isHolding = true
    this.#socket.pause()
    if (this.#turns.isFree) this.#passPiece(chunk)
    else this.#turns.waitToComeIn(() => this.#passPiece(chunk))
  }

  #passPiece(chunk: Buffer): void {
    if (this.destroyed) return
    const begunMs = this.#turns.begin()
    this.#pass(chunk.subarray(0, pieceBytes))
    this.#turns.end(begunMs)
    setImmediate(() => this.#goOn(chunk.subarray(pieceBytes)))
  }

  #pass(chunk: Buffer): void {
    if (!this.push(chunk)) this.#socket.pause()
  }

  /** What was read may still be wanted. */
  readonly #onEnd = (): void => {
    if (this.#isEnded) return
    this.#isEnded = true
    if (!this.#isHolding) this.push(null)
  }
  readonly #onError = (error: Error): void => void this.destroy(error)
}
