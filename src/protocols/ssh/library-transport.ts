import type { Duplex } from 'node:stream'
import { SshWireError, sshByte, sshString, sshUint32 } from '../../identity/ssh/wire.ts'
import { IdentificationReader, printable } from './identification.ts'
import type { AlgorithmLists, HostKey, Library, Negotiated, Protocol } from './library/types.ts'
import { Outbox } from './outbox.ts'
import type { DisconnectReason, Transport, TransportTimes } from './transport.ts'

export interface LibraryTransportOptions extends Partial<TransportTimes> {
  readonly role:
    | { readonly server: true; readonly hostKeys: Readonly<Record<string, HostKey>>; readonly offer: AlgorithmLists }
    | { readonly server: false; readonly verifyHostKey: (hostKey: Buffer) => void; readonly offer: AlgorithmLists }
}

/** RFC 4253 section 11.1 */
const reasonCodes: Readonly<Record<DisconnectReason, number>> = {
  PROTOCOL_ERROR: 2,
  KEY_EXCHANGE_FAILED: 3,
  SERVICE_NOT_AVAILABLE: 7,
  HOST_KEY_NOT_VERIFIABLE: 9,
  CONNECTION_LOST: 10,
  BY_APPLICATION: 11,
  TOO_MANY_CONNECTIONS: 12,
  NO_MORE_AUTH_METHODS_AVAILABLE: 14,
}

const identification = 'Curfew'
const congestedBytes = 1024 * 1024
const drainedBytes = 256 * 1024
/** What a handshake may send us: KEXINIT, keys and their certificates need less than half of it. */
const handshakeBytesMax = 64 * 1024
/** What may come, though we asked for a rest, while we wait for the peer's part of a key exchange. */
const exchangeBytesMax = 32 * 1024 * 1024
/** RFC 4344 section 3.1: new keys long before the packet counter comes round. */
const packetsMax = 2 ** 31
const rekeyBytesDefault = 1024 ** 3
const rekeyMsDefault = 3_600_000
/** A longer timer would fire at once. */
const timerMsMax = 2 ** 31 - 1
const unimplementedMax = 100
/** How long a goodbye waits for the peer to take it, and for a key exchange to end. */
const lingerMs = 2000
const exchangeMsMax = 1000
/** How long the client's offer is waited for before ours is made. */
const offerMsMax = 500

/** A transport on ssh2's key exchange and packets. */
export class LibraryTransport implements Transport {
  readonly algorithms = { kex: '', cipher: '', hostKey: '' }
  onDrain: (() => void) | null = null
  /** Settles when the first keys are there, or the connection is over before. */
  readonly opened: Promise<void>
  /** What the peer takes as signatures, by EXT_INFO (RFC 8308); null when it did not say. */
  peerSignatureAlgorithms: readonly string[] | null = null
  peerSoftware = ''
  readonly #socket: Duplex
  readonly #protocol: Protocol
  readonly #outbox: Outbox
  readonly #isServer: boolean
  readonly #rekeyBytes: number
  readonly #rekeyMs: number
  readonly #open = Promise.withResolvers<void>()
  readonly #gone = new AbortController()
  #identification: IdentificationReader | undefined
  #sessionId: Buffer | undefined
  #hostKey: Buffer | undefined
  #onMessage: ((message: Buffer) => void) | null = null
  /** Messages for whom nobody listens yet. */
  #unheard: Buffer[] = []
  /** What is to be sent when the keys are exchanged. */
  #held: Uint8Array[] = []
  #heldBytes = 0
  #pauses = 0
  #isCongested = false
  #isOver = false
  #cause: Error | undefined
  #farewell: { reason: number; description: string } | undefined
  #bytesRead = 0
  #exchangeBytes = 0
  #unimplemented = 0
  #used = { sentBytes: 0, sentPackets: 0, readBytes: 0, readPackets: 0 }
  #rekeyTimer: NodeJS.Timeout | undefined
  #offerTimer: NodeJS.Timeout | undefined
  #lingerTimer: NodeJS.Timeout | undefined

  constructor(socket: Duplex, library: Library, options: LibraryTransportOptions) {
    this.#socket = socket
    this.#isServer = options.role.server
    this.#identification = new IdentificationReader(!this.#isServer)
    this.#rekeyBytes = options.rekeyBytes ?? rekeyBytesDefault
    this.#rekeyMs = options.rekeyMs ?? rekeyMsDefault
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
    this.#listen()
    if (socket.destroyed) this.#closed()
    else this.#protocol.start()
  }

  #protocolRole(role: LibraryTransportOptions['role']) {
    // The library adds names to the list of key exchanges it is given.
    const offer = { ...role.offer, kex: [...role.offer.kex] }
    if (role.server) return { server: true, hostKeys: role.hostKeys, offer }
    return { server: false, offer, hostVerifier: (key: Buffer) => this.#isVerified(key, role.verifyHostKey) }
  }

  #listen(): void {
    const socket = this.#socket
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', (error) => (this.#cause ??= error))
    socket.on('end', () => this.destroy())
    socket.on('close', () => this.#closed())
  }

  get sessionId(): Buffer {
    if (this.#sessionId === undefined) throw new Error('no keys have been exchanged yet')
    return this.#sessionId
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  get bytesRead(): number {
    return this.#bytesRead
  }

  get bytesWritten(): number {
    return this.#outbox.bytesWritten
  }

  // Messages

  get onMessage(): ((message: Buffer) => void) | null {
    return this.#onMessage
  }

  set onMessage(listener: ((message: Buffer) => void) | null) {
    this.#onMessage = listener
    if (listener !== null && this.#unheard.length > 0) queueMicrotask(() => this.#deliverUnheard())
  }

  #take(payload: Buffer): number | undefined {
    if (this.#isOver) return this.#farewell === undefined ? Infinity : undefined
    this.#used.readBytes += payload.length
    this.#used.readPackets += 1
    if (this.#onMessage === null || this.#unheard.length > 0) this.#unheard.push(payload)
    else this.#deliver(payload)
    if (this.#used.readBytes >= this.#rekeyBytes || this.#used.readPackets >= packetsMax) this.rekey()
    return undefined
  }

  #deliver(message: Buffer): void {
    try {
      this.#onMessage!(message)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)), reasonCodes.PROTOCOL_ERROR)
    }
  }

  #deliverUnheard(): void {
    while (this.#onMessage !== null && this.#unheard.length > 0 && !this.#isOver) this.#deliver(this.#unheard.shift()!)
    this.#setPace()
  }

  send(message: Uint8Array): void {
    if (this.#isOver) return
    if (this.#isExchanging) {
      this.#held.push(message)
      this.#heldBytes += message.length
    } else {
      this.#encrypt(message)
      this.#used.sentBytes += message.length
      this.#used.sentPackets += 1
      if (this.#used.sentBytes >= this.#rekeyBytes || this.#used.sentPackets >= packetsMax) this.rekey()
    }
    this.#isCongested ||= this.#waitingBytes > congestedBytes
  }

  #encrypt(message: Uint8Array): void {
    const cipher = this.#protocol._cipher
    if (cipher.encryptMessage !== undefined) return cipher.encryptMessage(message)
    const packet = cipher.allocPacket(message.length)
    packet.set(message, 5)
    cipher.encrypt(packet)
  }

  // Pace

  get congested(): boolean {
    return this.#isCongested
  }

  get #waitingBytes(): number {
    return this.#outbox.waitingBytes + this.#heldBytes
  }

  #easeCongestion(): void {
    if (!this.#isCongested || this.#isOver || this.#waitingBytes > drainedBytes) return
    this.#isCongested = false
    this.onDrain?.()
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
    return this.#pauses > 0 || this.#unheard.length > 0
  }

  // Keys

  get #isExchanging(): boolean {
    return this.#sessionId === undefined || this.#protocol._kexinit !== undefined
  }

  rekey(): void {
    if (this.#isExchanging || this.#isOver) return
    this.#protocol.rekey()
    this.#setPace()
  }

  #isVerified(hostKey: Buffer, verify: (hostKey: Buffer) => void): boolean {
    // As a later exchange shows the same key, its certificate may have run out since.
    if (this.#hostKey?.equals(hostKey) === true) return true
    try {
      verify(hostKey)
      this.#hostKey = Buffer.from(hostKey)
      return true
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error))
      this.#fail(cause, reasonCodes.HOST_KEY_NOT_VERIFIABLE, 'the host key is not known')
      return false
    }
  }

  #exchanged(negotiated: Negotiated): void {
    this.#exchangeBytes = 0
    this.#used = { sentBytes: 0, sentPackets: 0, readBytes: 0, readPackets: 0 }
    const { cs, sc } = negotiated
    const cipher = cs.cipher === sc.cipher ? cs.cipher : `${cs.cipher}/${sc.cipher}`
    Object.assign(this.algorithms, { kex: negotiated.kex, cipher, hostKey: negotiated.serverHostKey })
    clearTimeout(this.#offerTimer)
    clearTimeout(this.#rekeyTimer)
    this.#rekeyTimer = setTimeout(() => this.rekey(), Math.min(this.#rekeyMs, timerMsMax)).unref()
    this.#sessionId ??= this.#protocol._kex!.sessionID!
    if (this.#farewell === undefined) this.#sendHeld()
    else this.#leave(this.#farewell.reason, this.#farewell.description)
    this.#open.resolve()
    this.#setPace()
    this.#easeCongestion()
  }

  #sendHeld(): void {
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    // A new exchange may begin among them: the rest is held again.
    for (const message of held) this.send(message)
  }

  #learn(values: ReadonlyMap<string, Buffer>): undefined {
    this.#peerSignature(values.get('server-sig-algs'))
  }

  #peerSignature(names: Buffer | undefined): void {
    if (names !== undefined) this.peerSignatureAlgorithms ??= names.toString('latin1').split(',')
  }

  /** "An implementation MUST respond to all unrecognized messages with an SSH_MSG_UNIMPLEMENTED" (RFC 4253 section 11.4). */
  #refuse(type: number): number | undefined {
    this.#unimplemented += 1
    if (type >= 20 || this.#unimplemented > unimplementedMax) throw new Error(`message ${type} has no place here`)
    const { inSeqno } = this.#protocol._decipher!
    this.send(Buffer.concat([sshByte(3), sshUint32((inSeqno - 1) >>> 0)]))
    return undefined
  }

  // Reading

  #read(chunk: Buffer): void {
    this.#bytesRead += chunk.length
    if (this.#isOver && this.#farewell === undefined) return
    try {
      this.#boundBytes(chunk.length)
      const rest = this.#identification === undefined ? chunk : this.#identify(chunk)
      if (rest !== undefined && rest.length > 0) this.#protocol.parse(rest, 0, rest.length)
    } catch (error) {
      this.#fail(
        readable(error),
        this.#sessionId === undefined ? reasonCodes.KEY_EXCHANGE_FAILED : reasonCodes.PROTOCOL_ERROR,
      )
    }
    this.#setPace()
  }

  #boundBytes(bytes: number): void {
    if (this.#sessionId === undefined && this.#bytesRead > handshakeBytesMax) {
      throw new Error('too much was sent before keys were exchanged')
    }
    if (!this.#isExchanging || !this.#isHeld) return
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
    if (this.#isServer) this.#offerTimer = setTimeout(() => this.#offerUnasked(), offerMsMax).unref()
    return found.rest
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
    if (this.#sessionId === undefined || !this.#isExchanging) return this.#leave(code, description)
    // What is held, and this message itself between two sets of keys, could not be read before the exchange is over.
    this.#isOver = true
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
    this.#isOver = true
    this.#farewell = undefined
    this.#open.reject(this.#cause)
    try {
      if (!this.#isExchanging) for (const message of this.#held.splice(0)) this.#encrypt(message)
      this.#encrypt(Buffer.concat([sshByte(1), sshUint32(reason), sshString(description), sshString('')]))
    } catch {
      // The goodbye is a courtesy; the connection ends in any case.
    }
    this.#outbox.end()
    this.#socket.resume() // what still comes is thrown away, or the peer's own end would never be seen
    clearTimeout(this.#lingerTimer)
    this.#lingerTimer = setTimeout(() => this.destroy(), lingerMs).unref()
  }

  #peerLeft(description: string): number {
    this.#cause ??= new Error(`the peer left: ${printable(description).slice(0, 200)}`)
    this.destroy()
    return Infinity
  }

  destroy(): void {
    this.#isOver = true
    this.#farewell = undefined
    this.#socket.destroy()
  }

  #closed(): void {
    this.#isOver = true
    this.#cause ??= new Error('the peer hung up')
    for (const timer of [this.#rekeyTimer, this.#offerTimer, this.#lingerTimer]) clearTimeout(timer)
    this.#protocol.cleanup()
    this.#unheard = []
    this.#held = []
    this.#heldBytes = 0
    this.#open.reject(this.#cause)
    this.#gone.abort(this.#cause)
  }
}

function readable(error: unknown): Error {
  if (error instanceof SshWireError) return new Error('a message that cannot be read', { cause: error })
  return error instanceof Error ? error : new Error(String(error))
}
