import type { Duplex } from 'node:stream'
import { asFault } from '../../../kernel/fault.ts'
import type { Log } from '../../../kernel/log.ts'
import { BrokenBody } from './borrowed-body.ts'
import type { Address, Addresses } from './addresses.ts'
import type { Hop, Reached, Taker, Try } from './hop.ts'
import type { AnswerSink, InFlight, RawHeaders, TargetRequest } from './target.ts'
import { answerFault, codeOf } from './words.ts'

export interface Route {
  readonly name: string
  readonly session: string
  readonly addresses: Addresses
  readonly hopTo: (address: Address) => Hop
  readonly log: Log
  /** Whether the gateway shows a certificate of the role's there. */
  readonly showsCertificate: boolean
}

const none: ReadonlySet<Address> = new Set()

/** Methods that may be sent again when nobody knows whether they arrived (RFC 9110, section 9.2.2). */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** One request, over as many tries as it may have. Its sink hears one story. */
export class Errand implements InFlight, Taker {
  readonly #route: Route
  readonly #request: TargetRequest
  readonly #sink: AnswerSink
  #tried: ReadonlySet<Address> = none
  #at: Address | null = null
  #try: Try | null = null
  #again = false
  #headed = false
  #over = false
  #isCalledOff = false

  constructor(route: Route, request: TargetRequest, sink: AnswerSink) {
    this.#route = route
    this.#request = request
    this.#sink = sink
    this.#goTo(route.addresses.pick(route.session, this.#tried)!, false)
  }

  get address(): string | null {
    return this.#at?.at.text ?? null
  }

  resume(): void {
    if (!this.#over) this.#try?.resume()
  }

  callOff(): void {
    this.#isCalledOff = true
    this.#try?.callOff()
  }

  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#try?.abort()
  }

  informational(status: number, headers: RawHeaders): void {
    this.#answered()
    if (!this.#over) this.#sink.informational(status, headers)
  }

  head(status: number, headers: RawHeaders, whole: boolean): void {
    this.#answered()
    this.#headed = true
    if (!this.#over) this.#sink.head(status, headers, whole)
  }

  body(chunk: Buffer): boolean {
    return this.#over || this.#sink.body(chunk)
  }

  end(trailers: RawHeaders): void {
    if (this.#over) return
    this.#over = true
    this.#sink.end(trailers)
  }

  upgraded(headers: RawHeaders, connection: Duplex, first: Buffer): void {
    this.#answered()
    if (this.#over) return void connection.destroy()
    this.#over = true
    this.#sink.upgraded(headers, connection, first)
  }

  failed(error: Error, reached: Reached): void {
    if (this.#over) return
    const next = this.#next(error, reached)
    if (next !== undefined) return this.#goTo(next, true)
    this.#over = true
    this.#log(error, reached)
    const { name } = this.#route
    this.#sink.failed(this.#headed ? error : answerFault(name, error))
  }

  #goTo(address: Address, fresh: boolean): void {
    this.#at = address
    this.#try = this.#route.hopTo(address).send(this.#request, this, fresh)
  }

  #next(error: Error, reached: Reached): Address | undefined {
    if (this.#isCalledOff) return undefined
    const { addresses, session } = this.#route
    if (reached === 'nowhere') {
      this.#tried = new Set(this.#tried).add(this.#at!)
      // What is wrong with one role's certificate is no reason to keep the others out.
      const ownFault = this.#route.showsCertificate && asFault(error)?.code === 'UPSTREAM_TLS'
      if (!ownFault) addresses.failed(this.#at!, whyOf(error))
      return addresses.pick(session, this.#tried)
    }
    const { method, body } = this.#request
    const harmless = reached === 'refused' || (reached === 'unanswered' && body === null && idempotent.has(method))
    if (this.#again || !harmless) return undefined
    this.#again = true
    return this.#at!
  }

  #log(error: Error, reached: Reached): void {
    const { name, log } = this.#route
    const fields = { resource: name, address: this.address, reached, ...reasonOf(error) }
    if (error instanceof BrokenBody) log.debug(fields, 'the client left in the middle of its request')
    else log.warn(fields, 'request to the target failed')
  }

  #answered(): void {
    this.#route.addresses.answered(this.#at!)
  }
}

function reasonOf(error: Error): { error: string; cause?: string } {
  const cause = error.cause instanceof Error ? { cause: `${codeOf(error.cause)} ${error.cause.message}`.trim() } : {}
  return { error: error.message, ...cause }
}

function whyOf(error: Error): string {
  const { error: message, cause } = reasonOf(error)
  return cause === undefined ? message : `${message} (${cause})`
}
