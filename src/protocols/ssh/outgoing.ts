import type { Exchanges } from './exchanges.ts'
import type { KeyAge } from './key-age.ts'
import type { Protocol } from './library/types.ts'
import type { Outbox } from './outbox.ts'

const congestedBytes = 1024 * 1024
const drainedBytes = 256 * 1024
/** Far more than passes on its way before the sender rests: answers to questions that the peer asks and does not read. */
const untakenBytesMax = 64 * 1024 * 1024
/** What keeping a message costs beside its bytes. */
const heldMessageBytes = 128

/** Messages on their way to the peer: held while keys are exchanged, encrypted, and counted until the system has them. */
export class Outgoing {
  readonly #protocol: Protocol
  readonly #exchanges: Exchanges
  readonly #keyAge: KeyAge
  readonly #outbox: Outbox
  /** What is to be sent when the keys are exchanged. */
  #held: Uint8Array[] = []
  #heldBytes = 0
  #isCongested = false
  #isClosed = false
  #taken: PromiseWithResolvers<void> | undefined

  constructor(protocol: Protocol, exchanges: Exchanges, keyAge: KeyAge, outbox: Outbox) {
    this.#protocol = protocol
    this.#exchanges = exchanges
    this.#keyAge = keyAge
    this.#outbox = outbox
  }

  get congested(): boolean {
    return this.#isCongested
  }

  get #waitingBytes(): number {
    return this.#outbox.waitingBytes + this.#heldBytes
  }

  /** @param message copied before this returns. @returns false when far too much waits. */
  send(message: Uint8Array): boolean {
    if (this.#exchanges.isUnderWay) {
      this.#held.push(Buffer.from(message))
      this.#heldBytes += message.length + heldMessageBytes
    } else {
      this.#encrypt(message)
      this.#keyAge.sent(message.length)
    }
    const waitingBytes = this.#waitingBytes
    this.#isCongested ||= waitingBytes > congestedBytes
    return waitingBytes <= untakenBytesMax
  }

  /** The keys are there. */
  sendHeld(): void {
    const held = this.#held
    this.#drop()
    // A new exchange may begin among them: the rest is held again.
    for (const message of held) this.send(message)
  }

  /** The last message, behind all others that can be encrypted now. */
  sendLast(message: Uint8Array): void {
    try {
      if (!this.#exchanges.isUnderWay) for (const held of this.#held.splice(0)) this.#encrypt(held)
      this.#encrypt(message)
    } catch {
      // The goodbye is a courtesy; the connection ends in any case.
    }
    this.#outbox.end()
  }

  /** Resolves when nothing waits any more, or the connection is over. */
  taken(): Promise<void> {
    if (this.#isClosed || this.#waitingBytes === 0) return Promise.resolve()
    return (this.#taken ??= Promise.withResolvers()).promise
  }

  /** Something was written. @returns whether it was congested, and is no more. */
  ease(): boolean {
    if (this.#taken !== undefined && this.#waitingBytes === 0) this.#allTaken()
    if (!this.#isCongested || this.#waitingBytes > drainedBytes) return false
    this.#isCongested = false
    return true
  }

  /** The connection is over. */
  close(): void {
    this.#isClosed = true
    this.#drop()
    this.#allTaken()
  }

  #allTaken(): void {
    this.#taken?.resolve()
    this.#taken = undefined
  }

  #drop(): void {
    this.#held = []
    this.#heldBytes = 0
  }

  #encrypt(message: Uint8Array): void {
    const cipher = this.#protocol._cipher
    if (cipher.encryptMessage !== undefined) return cipher.encryptMessage(message)
    const packet = cipher.allocPacket(message.length)
    packet.set(message, 5)
    cipher.encrypt(packet)
  }
}
