import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { SshWireError } from '../../identity/ssh/wire.ts'
import { Exchanges } from './exchanges.ts'
import { printable } from './identification.ts'
import { Intake } from './intake.ts'
import { KeyAge } from './key-age.ts'
import type { AlgorithmLists, HostKey, Library, Negotiated, Protocol } from './library/types.ts'
import { Mailbox, type MessageListener } from './mailbox.ts'
import { Outbox } from './outbox.ts'
import { Outgoing } from './outgoing.ts'
import type { SharedReads } from './shared-reads.ts'
import { disconnectMessage, reasonCodes, unimplementedMessage } from './transport-messages.ts'
import { PeerLeft, type DisconnectReason, type Transport, type TransportTimes } from './transport.ts'

export interface LibraryTransportOptions extends Partial<TransportTimes> {
  readonly role:
    | { readonly server: true; readonly hostKeys: Readonly<Record<string, HostKey>>; readonly offer: AlgorithmLists }
    | { readonly server: false; readonly verifyHostKey: (hostKey: Buffer) => void; readonly offer: AlgorithmLists }
  /** Where the socket's bytes come instead of `data`. */
  readonly reads?: SharedReads
}

const identification = 'Curfew'
const unimplementedMax = 100
/** How long a goodbye waits for the peer to take it, and for a key exchange to end. */
const lingerMs = 2000
const exchangeMsMax = 1000
/** How long the client's offer is waited for before ours is made. */
const offerMsMax = 500

/** A transport on ssh2's key exchange and packets. */
export class LibraryTransport implements Transport {
  onDrain: (() => void) | null = null
  /** Settles when the first keys are there, or the connection is over before. */
  readonly opened: Promise<void>
  /** What the peer takes as signatures, by EXT_INFO (RFC 8308); null when it did not say. */
  peerSignatureAlgorithms: readonly string[] | null = null
  readonly #socket: Duplex
  readonly #protocol: Protocol
  readonly #outbox: Outbox
  readonly #isServer: boolean
  readonly #keyAge: KeyAge
  readonly #exchanges: Exchanges
  readonly #intake: Intake
  readonly #outgoing: Outgoing
  readonly #mailbox: Mailbox
  readonly #open = Promise.withResolvers<void>()
  readonly #gone = new AbortController()
  #pauses = 0
  #isOver = false
  #cause: Error | undefined
  #farewell: { reason: number; description: string } | undefined
  #unimplemented = 0
  #offerTimer: NodeJS.Timeout | undefined
  #lingerTimer: NodeJS.Timeout | undefined

  constructor(socket: Duplex, library: Library, options: LibraryTransportOptions) {
    this.#socket = socket
    this.#isServer = options.role.server
    this.#keyAge = new KeyAge(options, () => this.rekey())
    this.#mailbox = new Mailbox(
      () => this.#setPace(),
      (error) => this.#fail(error, reasonCodes.PROTOCOL_ERROR),
    )
    this.#outbox = new Outbox(socket, () => this.#easeCongestion())
    this.opened = this.#open.promise
    this.opened.catch(() => undefined) // whoever gave up waiting has its own reason
    this.#protocol = new library.Protocol({
      ...this.#protocolRole(options.role),
      ident: identification,
      messageHandlers: {
        message: (payload) => this.#take(payload),
        disconnected: (description) => this.#peerLeft(description),
        extensions: (values) => this.#learn(values),
        unimplemented: (type) => this.#refuse(type),
        failed: (error, reason) => this.#fail(error, reason),
      },
      onWrite: (bytes) => this.#outbox.push(bytes),
      onError: (error) => this.#fail(error, reasonCodes.PROTOCOL_ERROR),
      onHandshakeComplete: (negotiated) => this.#exchanged(negotiated),
    })
    this.#exchanges = new Exchanges(this.#protocol, options)
    this.#intake = new Intake(this.#protocol, this.#exchanges, {
      chunks: options.reads === undefined ? (socket instanceof Socket ? 'own' : 'foreign') : 'shared',
      mayGreet: !this.#isServer,
      onIdentified: () => this.#identified(),
    })
    this.#outgoing = new Outgoing(this.#protocol, this.#exchanges, this.#keyAge, this.#outbox)
    this.#listen(options.reads)
    if (socket.destroyed) this.#closed()
    else this.#protocol.start()
  }

  #protocolRole(role: LibraryTransportOptions['role']) {
    // The library adds names to the list of key exchanges it is given.
    const offer = { ...role.offer, kex: [...role.offer.kex] }
    if (role.server) return { server: true, hostKeys: role.hostKeys, offer }
    return { server: false, offer, hostVerifier: (key: Buffer) => this.#isVerified(key, role.verifyHostKey) }
  }

  #listen(reads: SharedReads | undefined): void {
    const socket = this.#socket
    const read = (chunk: Buffer) => this.#read(chunk)
    if (reads === undefined) socket.on('data', read)
    else process.nextTick(() => this.#listenTo(reads, read))
    socket.on('error', (error) => (this.#cause ??= error))
    socket.on('end', () => {
      this.#cause ??= new PeerLeft('the peer hung up')
      this.destroy()
    })
    socket.on('close', () => this.#closed())
  }

  #listenTo(reads: SharedReads, read: (chunk: Buffer) => void): void {
    reads.listen(read)
    this.#setPace()
  }

  get sessionId(): Buffer {
    const { sessionId } = this.#exchanges
    if (sessionId === undefined) throw new Error('no keys have been exchanged yet')
    return sessionId
  }

  get algorithms(): Transport['algorithms'] {
    return this.#exchanges.algorithms
  }

  get peerSoftware(): string {
    return this.#intake.peerSoftware
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  get bytesRead(): number {
    return this.#intake.bytes
  }

  get bytesWritten(): number {
    return this.#outbox.bytesWritten
  }

  // Messages

  get onMessage(): MessageListener | null {
    return this.#mailbox.listener
  }

  set onMessage(listener: MessageListener | null) {
    this.#mailbox.listener = listener
  }

  #take(payload: Buffer): number | undefined {
    if (this.#isOver) return this.#farewell === undefined ? Infinity : undefined
    this.#mailbox.put(payload)
    this.#keyAge.read(payload.length)
    return undefined
  }

  send(message: Uint8Array): void {
    if (this.#isOver || this.#outgoing.send(message)) return
    this.#fail(new Error('the peer does not take what it is sent'), reasonCodes.PROTOCOL_ERROR)
  }

  release(message: Buffer): void {
    this.#protocol._decipher?.release?.(message)
  }

  // Pace

  get congested(): boolean {
    return this.#outgoing.congested
  }

  taken(): Promise<void> {
    return this.#outgoing.taken()
  }

  #easeCongestion(): void {
    if (this.#outgoing.ease() && !this.#isOver) this.onDrain?.()
  }

  pause(): void {
    this.#pauses += 1
    this.#setPace()
  }

  resume(): void {
    if (this.#pauses === 0) throw new Error('resumed more often than paused')
    this.#pauses -= 1
    this.#setPace()
  }

  /** While keys are exchanged we must read, or two connections that wait for each other's peers would do so for ever. */
  #setPace(): void {
    const isHeld = this.#isHeld && !this.#isExchanging && !this.#isOver
    if (isHeld) this.#socket.pause()
    else this.#socket.resume()
  }

  get #isHeld(): boolean {
    return this.#pauses > 0 || this.#mailbox.isKeeping
  }

  // Keys

  get #isExchanging(): boolean {
    return this.#exchanges.isUnderWay
  }

  rekey(): void {
    if (this.#isExchanging || this.#isOver) return
    this.#exchanges.begin()
    this.#setPace()
  }

  #isVerified(hostKey: Buffer, verify: (hostKey: Buffer) => void): boolean {
    try {
      this.#exchanges.believe(hostKey, verify)
      return true
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error))
      this.#fail(cause, reasonCodes.HOST_KEY_NOT_VERIFIABLE, 'the host key is not known')
      return false
    }
  }

  #exchanged(negotiated: Negotiated): void {
    this.#intake.exchangeOver()
    this.#exchanges.done(negotiated, this.bytesRead + this.bytesWritten)
    clearTimeout(this.#offerTimer)
    this.#keyAge.renew()
    if (this.#farewell === undefined) this.#outgoing.sendHeld()
    else this.#leave(this.#farewell.reason, this.#farewell.description)
    this.#open.resolve()
    this.#setPace()
    this.#easeCongestion()
  }

  #learn(values: ReadonlyMap<string, Buffer>): undefined {
    this.peerSignatureAlgorithms ??= values.get('server-sig-algs')?.toString('latin1').split(',') ?? null
  }

  /** "An implementation MUST respond to all unrecognized messages with an SSH_MSG_UNIMPLEMENTED" (RFC 4253 section 11.4). */
  #refuse(type: number): number | undefined {
    this.#unimplemented += 1
    if (type >= 20 || this.#unimplemented > unimplementedMax) throw new Error(`message ${type} has no place here`)
    const { inSeqno } = this.#protocol._decipher!
    this.send(unimplementedMessage((inSeqno - 1) >>> 0))
    return undefined
  }

  // Reading

  #read(chunk: Buffer): void {
    if (this.#isOver && this.#farewell === undefined) return this.#intake.drop(chunk)
    try {
      this.#intake.take(chunk, this.#isHeld)
    } catch (error) {
      this.#fail(
        readable(error),
        this.#exchanges.sessionId === undefined ? reasonCodes.KEY_EXCHANGE_FAILED : reasonCodes.PROTOCOL_ERROR,
      )
    }
    this.#setPace()
  }

  #identified(): void {
    if (this.#isServer) this.#offerTimer = setTimeout(() => this.#offerUnasked(), offerMsMax).unref()
  }

  /** Our offer answers the client's; but there are clients that wait for ours. */
  #offerUnasked(): void {
    if (!this.#isOver && this.#protocol._kexinit === undefined && this.#protocol._kex === undefined)
      this.#protocol.rekey()
  }

  // The end

  disconnect(reason: DisconnectReason, description: string): void {
    if (this.#isOver) return
    const code = reasonCodes[reason]
    this.#cause ??= new Error(`closed by the gateway: ${description}`)
    if (this.#exchanges.sessionId === undefined || !this.#isExchanging) return this.#leave(code, description)
    // What is held, and this message itself between two sets of keys, could not be read before the exchange is over.
    this.#over()
    this.#farewell = { reason: code, description }
    this.#setPace()
    this.#lingerTimer = setTimeout(() => this.#leave(code, description), exchangeMsMax).unref()
  }

  #fail(error: Error, reason: number, description: string = error.message): void {
    if (this.#isOver) return
    this.#cause ??= error
    this.#leave(reason, printable(description))
  }

  #leave(reason: number, description: string): void {
    this.#over()
    this.#farewell = undefined
    this.#open.reject(this.#cause)
    this.#outgoing.sendLast(disconnectMessage(reason, description))
    this.#socket.resume() // what still comes is thrown away, or the peer's own end would never be seen
    clearTimeout(this.#lingerTimer)
    this.#lingerTimer = setTimeout(() => this.destroy(), lingerMs).unref()
  }

  #peerLeft(description: string): number {
    this.#cause ??= new PeerLeft(`the peer left: ${printable(description).slice(0, 200)}`)
    this.destroy()
    return Infinity
  }

  destroy(): void {
    this.#cause ??= new Error('closed by the gateway')
    this.#over()
    this.#farewell = undefined
    this.#socket.destroy()
  }

  /** Nobody hears of it any more. */
  #over(): void {
    this.#isOver = true
    this.#mailbox.close()
  }

  #closed(): void {
    this.#over()
    this.#cause ??= new PeerLeft('the peer hung up')
    this.#keyAge.stop()
    for (const timer of [this.#offerTimer, this.#lingerTimer]) clearTimeout(timer)
    this.#protocol.cleanup()
    this.#outgoing.close()
    this.#open.reject(this.#cause)
    this.#gone.abort(this.#cause)
  }
}

function readable(error: unknown): Error {
  if (error instanceof SshWireError) return new Error('a message that cannot be read', { cause: error })
  return error instanceof Error ? error : new Error(String(error))
}
