import type { Clock } from '../../../kernel/time.ts'
import type { Fault } from '../../../kernel/fault.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Metrics } from '../../../kernel/metrics.ts'
import { Exchange } from '../exchange.ts'
import type { LiveExchange } from '../http-session.ts'
import type { Reception } from '../reception.ts'
import type { AnswerSink, InFlight, RawHeaders, TargetRequest } from '../targets/target.ts'
import type { ExchangeEnd, ExchangeRecord } from '../transcript.ts'
import { forwardFacts, headersFor, type Basis, type Derived } from './basis.ts'
import type { Block } from './block.ts'
import type { QuickConnection, UnderWay } from './connection.ts'
import { requestHeadOf, type PlainHead } from './plain-head.ts'
import { QuickAnswer } from './quick-answer.ts'

export interface QuickParts {
  readonly connection: QuickConnection
  readonly head: PlainHead
  readonly block: Block
  readonly basis: Basis
  readonly derived: Derived
  readonly record: ExchangeRecord
  readonly requestId: string
  readonly reception: Reception
  readonly deps: { readonly clock: Clock; readonly log: Log; readonly metrics: Metrics }
}

/**
 * A plain request whose answer, as most are, is small and comes as one piece: then it is written as one piece. Whatever else
 * happens, an `Exchange` takes it over where it stands.
 */
export class QuickExchange implements AnswerSink, LiveExchange, UnderWay {
  readonly #parts: QuickParts
  readonly #request: QuickRequest
  #inFlight: InFlight | null = null
  /** What took it over. */
  #usual: Exchange | null = null
  #answer: QuickAnswer | null = null
  #headers: RawHeaders = []
  #text = ''
  #isOver = false

  /** @param path as the target shall see it. */
  constructor(parts: QuickParts, path: string) {
    this.#parts = parts
    this.#request = new QuickRequest(parts, path)
  }

  start(): void {
    const { connection, basis, derived } = this.#parts
    const { session, known } = derived
    session.begin(this, known.entry)
    basis.peer.open++
    connection.quick = this
    this.#inFlight = session.target.send(session.admission, this.#request, this)
  }

  // ---- the answer

  informational(status: number, headers: RawHeaders): void {
    if (!this.#isOver && status === 103) this.#takenOver().informational(status, headers)
  }

  head(status: number, headers: RawHeaders, whole: boolean): void {
    if (this.#isOver) return this.#usual?.head(status, headers, whole)
    const answer = this.#answerOf(status, headers)
    if (answer === null) return this.#takenOver().head(status, headers, whole)
    this.#answer = answer
    this.#headers = headers
    // Nobody waits for a body to read a head, nor for the end of one that is empty, which may come later over HTTP/2.
    process.nextTick(noMoreWaiting, this)
  }

  #answerOf(status: number, headers: RawHeaders): QuickAnswer | null {
    const { basis, derived } = this.#parts
    const { method } = this.#request
    if (derived.answer?.is(method, headers) === true) return derived.answer
    const { clientFacts, session } = derived
    const to = { method, clientFacts, corsHeaders: basis.corsHeaders, recordedNames: session.recordedNames }
    derived.answer = QuickAnswer.of(status, headers, to)
    return derived.answer
  }

  body(chunk: Buffer): boolean {
    if (this.#isOver) return this.#usual?.body(chunk) ?? true
    if (chunk.length !== this.#answer?.bodyBytes || this.#text !== '') return this.#withHead().body(chunk)
    this.#text = chunk.toString('latin1')
    return true
  }

  end(trailers: RawHeaders): void {
    if (this.#isOver) return this.#usual?.end(trailers)
    const { connection, derived, record } = this.#parts
    const answer = this.#answer!
    record.encodedAnswer(answer.status, answer.recorded)
    // What comes with the answer's end may begin the next one.
    this.#over({ result: 'ok', bytesUp: 0, bytesDown: this.#text.length })
    connection.answer(answer.text(derived.session.warningHeaders, this.#text))
  }

  failed(error: Error): void {
    if (this.#isOver) this.#usual?.failed(error)
    else this.#takenOver().failed(error)
  }

  upgraded(): void {
    throw new Error('an upgrade that nobody asked for')
  }

  /** When a head has come and the end of its body has not. */
  noMoreWaiting(): void {
    if (!this.#isOver) this.#withHead()
  }

  // ---- how it ends otherwise

  cut(fault: Fault): void {
    if (!this.#isOver) this.#takenOver().cut(fault)
  }

  teardown(): void {
    // What took it over hears it itself.
  }

  clientGone(): void {
    if (this.#isOver) return
    this.#inFlight?.abort()
    this.#over({ result: 'client', bytesUp: 0, bytesDown: 0 })
  }

  #over(end: ExchangeEnd): void {
    this.#isOver = true
    const { derived, record, deps } = this.#parts
    const { resource } = derived.session
    deps.metrics.add('curfew_http_exchanges_total', { resource: resource.name, result: end.result })
    record.done(resource.addresses.length > 1 ? { ...end, address: this.#inFlight?.address ?? null } : end)
    this.#leave(end.bytesDown)
  }

  #leave(bytesDown: number): void {
    const { basis, derived } = this.#parts
    basis.peer.open--
    derived.session.ended(this, 0, bytesDown)
  }

  /** An `Exchange` does all that is left. */
  #takenOver(): Exchange {
    const { connection, head, block, basis, derived, record, requestId, reception, deps } = this.#parts
    const { resource, place, origin, peer } = basis
    const { session, known } = derived
    const { request, response } = connection.usual(head, block)
    const usual = new Exchange({
      arrival: {
        ...{ request, response, resource, place, origin, peer, requestId },
        head: requestHeadOf(head, block.fields),
      },
      ...{ known, session, record, path: this.#request.path, reception, deps },
      forward: forwardFacts(derived, peer, requestId),
      extraHeaders: [...basis.corsHeaders, ...session.warningHeaders],
    })
    this.#isOver = true
    this.#usual = usual
    usual.takeOver(this.#inFlight!)
    this.#leave(0)
    return usual
  }

  #withHead(): Exchange {
    const usual = this.#takenOver()
    usual.head(this.#answer!.status, this.#headers, false)
    if (this.#text !== '') usual.body(Buffer.from(this.#text, 'latin1'))
    return usual
  }
}

class QuickRequest implements TargetRequest {
  readonly method: string
  readonly path: string
  readonly body: null = null
  readonly bodyBytes: null = null
  readonly trailers: null = null
  readonly upgrade: null = null
  readonly #parts: QuickParts

  constructor(parts: QuickParts, path: string) {
    this.#parts = parts
    this.method = parts.head.method
    this.path = path
  }

  get host(): string {
    return this.#parts.derived.host
  }

  get headers(): RawHeaders {
    const { head, block, basis, derived, requestId } = this.#parts
    return headersFor(head, block, basis, derived, requestId)
  }

  get lines(): string {
    const { derived, requestId } = this.#parts
    return derived.before + requestId + derived.behind
  }
}

/** Without a closure for each request. */
function noMoreWaiting(exchange: QuickExchange): void {
  exchange.noMoreWaiting()
}
