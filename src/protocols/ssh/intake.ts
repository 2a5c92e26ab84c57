import type { Exchanges } from './exchanges.ts'
import { IdentificationReader } from './identification.ts'
import type { Protocol } from './library/types.ts'
import { freeMemory } from './memory.ts'

/** What a handshake may send us: KEXINIT, keys and their certificates need less than half of it. */
const handshakeBytesMax = 64 * 1024
/** What may come, though we asked for a rest, while we wait for the peer's part of a key exchange. */
const exchangeBytesMax = 32 * 1024 * 1024

export interface IntakeOptions {
  /** What the socket hands out is ours alone, belongs to the next chunk soon, or is somebody else's. */
  readonly chunks: 'own' | 'shared' | 'foreign'
  /** The peer may say something before its identification. */
  readonly mayGreet: boolean
  readonly onIdentified: () => void
}

/** What a socket hands out, on its way to the library: its first line is read here, and its bytes are bounded. */
export class Intake {
  peerSoftware = ''
  readonly #protocol: Protocol
  readonly #exchanges: Exchanges
  readonly #options: IntakeOptions
  #identification: IdentificationReader | undefined
  #bytes = 0
  #exchangeBytes = 0

  constructor(protocol: Protocol, exchanges: Exchanges, options: IntakeOptions) {
    this.#protocol = protocol
    this.#exchanges = exchanges
    this.#options = options
    this.#identification = new IdentificationReader(options.mayGreet)
  }

  /** All that came. */
  get bytes(): number {
    return this.#bytes
  }

  /** A chunk that nobody wants any more. */
  drop(chunk: Buffer): void {
    this.#bytes += chunk.length
  }

  /** @param isHeld the peer should rest. @throws Error when it is too much, or no identification; what the library throws. */
  take(chunk: Buffer, isHeld: boolean): void {
    this.#bytes += chunk.length
    this.#bound(chunk.length, isHeld)
    const rest = this.#identification === undefined ? chunk : this.#identify(chunk)
    if (rest !== undefined && rest.length > 0) this.#parse(rest)
  }

  exchangeOver(): void {
    this.#exchangeBytes = 0
  }

  #bound(bytes: number, isHeld: boolean): void {
    if (this.#exchanges.sessionId === undefined && this.#bytes > handshakeBytesMax) {
      throw new Error('too much was sent before keys were exchanged')
    }
    if (!isHeld || !this.#exchanges.isUnderWay) return
    this.#exchangeBytes += bytes
    if (this.#exchangeBytes > exchangeBytesMax) throw new Error('the key exchange is not answered')
  }

  #identify(chunk: Buffer): Buffer | undefined {
    const found = this.#identification!.take(chunk)
    if (found === undefined) return undefined
    this.#identification = undefined
    this.peerSoftware = found.software
    const line = Buffer.concat([found.line, Buffer.from('\r\n')])
    this.#protocol.parse(line, 0, line.length)
    this.#options.onIdentified()
    return found.rest
  }

  #parse(chunk: Buffer): void {
    const { chunks } = this.#options
    const keepsNothing = this.#protocol._decipher?.release !== undefined
    // Keys that are exchanged may bring another cipher in the middle of a chunk.
    const isSafe = keepsNothing && !this.#exchanges.isUnderWay
    const bytes = chunks === 'shared' && !isSafe ? Buffer.from(chunk) : chunk
    this.#protocol.parse(bytes, 0, bytes.length)
    if (chunks === 'own' && keepsNothing && this.#protocol._decipher?.release !== undefined) freeMemory(chunk)
  }
}
