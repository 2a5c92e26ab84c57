import { ExchangeAllowance } from './exchange-allowance.ts'
import type { Negotiated, Protocol } from './library/types.ts'
import type { TransportTimes } from './transport.ts'

/** The keys of one connection: what they were agreed on with, whose they are, and whether new ones are on their way. */
export class Exchanges {
  readonly algorithms = { kex: '', cipher: '', hostKey: '' }
  readonly #protocol: Protocol
  readonly #allowance: ExchangeAllowance
  /** The one that is under way was our wish. */
  #isOurs = false
  #sessionId: Buffer | undefined
  #hostKey: Buffer | undefined

  constructor(protocol: Protocol, times: Partial<TransportTimes>) {
    this.#protocol = protocol
    this.#allowance = new ExchangeAllowance(times)
  }

  /** Undefined before the first keys. */
  get sessionId(): Buffer | undefined {
    return this.#sessionId
  }

  get isUnderWay(): boolean {
    return this.#sessionId === undefined || this.#protocol._kexinit !== undefined
  }

  /** New keys, as we wish. */
  begin(): void {
    this.#isOurs = true
    this.#protocol.rekey()
  }

  /** @throws what `verify` throws. As a later exchange shows the same key, its certificate may have run out since. */
  believe(hostKey: Buffer, verify: (hostKey: Buffer) => void): void {
    if (this.#hostKey?.equals(hostKey) === true) return
    verify(hostKey)
    this.#hostKey = Buffer.from(hostKey)
  }

  /** The keys are there. @param bytes that passed so far, both ways. @throws Error when the peer asks too often. */
  done(negotiated: Negotiated, bytes: number): void {
    if (this.#sessionId !== undefined && !this.#isOurs) this.#allowance.take(bytes)
    this.#isOurs = false
    const { cs, sc } = negotiated
    const cipher = cs.cipher === sc.cipher ? cs.cipher : `${cs.cipher}/${sc.cipher}`
    Object.assign(this.algorithms, { kex: negotiated.kex, cipher, hostKey: negotiated.serverHostKey })
    this.#sessionId ??= this.#protocol._kex!.sessionID!
  }
}
