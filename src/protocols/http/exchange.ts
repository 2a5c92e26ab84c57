import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Clock } from '../../kernel/time.ts'
import { discardBody, pairs, refuse, type Refusal } from './answers.ts'
import { ClientBody } from './client-body.ts'
import { corsHeaders } from './cross-origin.ts'
import { forwardTrailers, towardsClient, towardsTarget, type ForwardFacts } from './forward-headers.ts'
import { idleMs, isHttp2, type HttpRequest, type HttpResponse } from './front.ts'
import type { HttpSession, LiveExchange } from './http-session.ts'
import type { Arrival } from './arrival.ts'
import type { Reception } from './reception.ts'
import type { Known } from './identify.ts'
import { recordBody, type RecordedBody } from './recorded-body.ts'
import { recordedHeaders } from './recorded-parts.ts'
import type { RequestHead } from './request-head.ts'
import type { AnswerSink, InFlight, RawHeaders } from './targets/target.ts'
import { abort, asRecord, endWith, flushHead, upgradeHead, writeHead } from './write-answer.ts'
import { bodyGoesOn, type ExchangeEnd, type ExchangeRecord } from './transcript.ts'
import { relayWebSocket } from './websocket/relay.ts'
import type { WebSocketRelay } from './websocket/websocket.ts'

export interface ExchangeParts {
  readonly arrival: Arrival
  readonly known: Known
  readonly session: HttpSession
  readonly record: ExchangeRecord
  /** As the target shall see it. */
  readonly path: string
  readonly forward: ForwardFacts
  /** More for the client: what CORS needs. */
  readonly extraHeaders: RawHeaders
  /** Knows where to ask again, for whoever reads why the session ended. */
  readonly reception: Pick<Reception, 'openLink'>
  readonly deps: { readonly clock: Clock; readonly log: Log; readonly metrics: Metrics }
}

/** One request and its answer, from the head to the last byte, at the pace of the slowest of client, target and recorder. */
export class Exchange implements AnswerSink, LiveExchange {
  readonly #parts: ExchangeParts
  readonly #request: HttpRequest
  readonly #response: HttpResponse
  readonly #head: RequestHead
  readonly #body: ClientBody | null
  #recordedUp: RecordedBody | null = null
  #bodyDown: RecordedBody | null = null
  #inFlight: InFlight | undefined
  #relay: WebSocketRelay | undefined
  #cutBy: Fault | null = null
  #bytesDown = 0
  /** The beginning of a body, which goes out together with the head, and with the end if that comes in the same turn. */
  #held: Buffer | null = null
  #isHolding = false
  #isOver = false

  constructor(parts: ExchangeParts) {
    this.#parts = parts
    const { request, response, head } = parts.arrival
    this.#request = request
    this.#response = response
    this.#head = head
    this.#body = head.hasBody ? this.#bodyUp() : null
  }

  start(): void {
    const { session, path, forward } = this.#parts
    const head = this.#head
    if (!this.#begin()) return
    if (head.expectsContinue && this.#body !== null) this.#response.writeContinue()
    this.#inFlight = session.target.send(
      session.admission,
      {
        method: head.method,
        path,
        host: forward.host,
        headers: towardsTarget(head, forward),
        body: this.#body,
        bodyBytes: head.bodyBytes,
        trailers: this.#body === null ? null : () => forwardTrailers(this.#request.rawTrailers, forward.own),
        upgrade: head.upgrade,
      },
      this,
    )
  }

  /** Goes on with what another asked the target. */
  takeOver(inFlight: InFlight): void {
    this.#inFlight = inFlight
    this.#begin()
  }

  /** @returns false when the client is gone: it may have gone while it was found out who it is. */
  #begin(): boolean {
    const { session, known, arrival } = this.#parts
    session.begin(this, known.entry)
    if (isGone(this.#request, this.#response)) {
      this.#clientGone()
      return false
    }
    // Answers may be silent for as long as they like; so may a WebSocket, after which nobody looks here any more.
    arrival.peer.open++
    if (arrival.first !== undefined) this.#request.socket.setTimeout(0)
    this.#response.on('close', () => {
      arrival.peer.open--
      this.#clientGone()
    })
    return true
  }

  #bodyUp(): ClientBody {
    const { session, record } = this.#parts
    const { recorder } = session.admission
    const recorded = recordBody({
      ...{ recorder, n: record.n, direction: 'up', settings: session.role.recordBodies },
      ...kindOfBody(this.#head.headers),
    })
    this.#recordedUp = recorded
    const body = new ClientBody(this.#request, { recorder, onChunk: (chunk) => recorded?.take(chunk) })
    body.once('close', () => recorded?.end(this.#request.complete))
    return body
  }

  // ---- what the target answers

  informational(status: number, headers: RawHeaders): void {
    if (this.#isOver || this.#response.headersSent || status !== 103 || this.#head.version === '1.0') return
    const { link } = asRecord(headers)
    if (link === undefined) return
    try {
      this.#response.writeEarlyHints({ link })
    } catch (error) {
      // Node reads the hint, and throws at one that it does not understand. It is only a hint.
      this.#parts.deps.log.debug({ error }, 'a hint of an application could not be passed on')
    }
  }

  head(status: number, raw: RawHeaders, whole: boolean): void {
    if (this.#isOver) return
    const { session, record, arrival, extraHeaders } = this.#parts
    const head = this.#head
    const headers = towardsClient(raw, session.clientFacts(head.version, arrival.origin))
    if (extraHeaders.length > 0) headers.push(...extraHeaders)
    if (head.version === '1.1' && (this.#response as ServerResponse).shouldKeepAlive) headers.push(...keepAliveHint)
    const kind = kindOfBody(raw)
    const goesOn = head.method !== 'HEAD' && bodyGoesOn(kind.length, kind.type ?? undefined)
    record.answer(status, recordedHeaders(raw, session.recordedNames), goesOn)
    this.#bodyDown = recordBody({
      ...{ recorder: session.admission.recorder, n: record.n, direction: 'down', settings: session.role.recordBodies },
      ...kind,
    })
    try {
      writeHead(this.#response, status, headers, { version: head.version, whole })
      this.#isHolding = true
      process.nextTick(stopHolding, this)
    } catch (error) {
      this.#parts.deps.log.warn({ error }, 'an answer could not be passed on')
      // The refusal would go out with them, or again not at all.
      for (const name of this.#response.getHeaderNames()) this.#response.removeHeader(name)
      this.failed(new Fault('UPSTREAM_REFUSED', 'The application answered with something that HTTP does not allow.'))
    }
  }

  body(chunk: Buffer): boolean {
    if (this.#isOver) return true
    this.#bytesDown += chunk.length
    this.#bodyDown?.take(chunk)
    const { recorder } = this.#parts.session.admission
    if (!this.#write(chunk)) {
      this.#response.once('drain', () => this.#inFlight?.resume())
      return false
    }
    if (!recorder.full) return true
    void recorder.drained().then(
      () => this.#inFlight?.resume(),
      () => undefined, // the recording broke: the session is cut
    )
    return false
  }

  #write(chunk: Buffer): boolean {
    if (this.#isHolding && this.#held === null && chunk.length <= heldBytesMax) {
      this.#held = chunk
      return true
    }
    this.#writeHeld()
    return (this.#response as ServerResponse).write(chunk)
  }

  #writeHeld(): void {
    this.#isHolding = false
    if (this.#held !== null) (this.#response as ServerResponse).write(this.#held)
    this.#held = null
  }

  /** Nobody waits for a body to read a head, nor for the rest of one to read what is there. */
  stopHolding(): void {
    if (!this.#isHolding || this.#isOver) return
    if (this.#held === null) flushHead(this.#response)
    this.#writeHeld()
  }

  end(trailers: RawHeaders): void {
    if (this.#isOver) return
    const kept = trailers.length > 0 ? forwardTrailers(trailers) : trailers
    try {
      if (kept.length > 0) this.#response.addTrailers(asRecord(kept))
    } catch (error) {
      return this.failed(
        new Fault('UPSTREAM_REFUSED', 'The application sent trailers that HTTP does not allow.', { cause: error }),
      )
    }
    endWith(this.#response, this.#held, this.#head.version)
    this.#bodyDown?.end(true)
    const recorded = () => recordedHeaders(kept, this.#parts.session.recordedNames)
    this.#over({ result: 'ok', ...(kept.length > 0 && { trailers: recorded() }) })
  }

  failed(error: Error): void {
    if (this.#isOver) return
    // It may be we who cannot go on with what it sends, and that may have no end.
    this.#inFlight?.abort()
    const fault = asFault(error) ?? new Fault('UPSTREAM_UNREACHABLE', 'The application broke its answer off.')
    const { session, arrival, deps } = this.#parts
    const { log, metrics } = deps
    const { requestId } = arrival
    log.info({ session: session.admission.session.id, requestId, error }, 'an application failed a request')
    metrics.add('curfew_upstream_failures_total', { resource: session.resource.name, code: fault.code })
    const begun = this.#response.headersSent
    const status = begun ? 0 : this.#refuse({ fault, requestId })
    this.#over({ result: 'target', code: fault.code, why: fault.message, ...(status > 0 && { status }) })
    if (begun) abort(this.#response, this.#head.version)
  }

  upgraded(raw: RawHeaders, target: Duplex, targetFirst: Buffer): void {
    if (this.#isOver) return void target.destroy()
    const { session, record, arrival, deps } = this.#parts
    const { clock, log } = deps
    const head = this.#head
    const facts = session.clientFacts(head.version, arrival.origin)
    const response = this.#response as ServerResponse
    const client = response.socket!
    response.detachSocket(client)
    client.on('error', () => undefined) // its close follows, and tells
    client.write(upgradeHead(head.upgrade!, towardsClient(raw, facts)))
    record.upgraded(head.upgrade!, recordedHeaders(raw, session.recordedNames))
    const { recorder } = session.admission
    const clientFirst = arrival.first ?? Buffer.alloc(0)
    this.#relay = relayWebSocket({ client, clientFirst, target, targetFirst, n: record.n, recorder, clock, log })
    void this.#relay.over.then(({ by, bytesFromClient, bytesFromTarget, why }) => {
      const bytes = { bytesUp: bytesFromClient, bytesDown: bytesFromTarget }
      if (this.#cutBy !== null && by === 'gate') return this.#over({ ...gateEnded(this.#cutBy), ...bytes })
      const result = by === 'gate' ? 'gate' : why === null ? 'ok' : by
      this.#over({ result, ...bytes, ...(why !== null && { why }) })
    })
  }

  #refuse(refusal: Refusal): number {
    const { head, resource } = this.#parts.arrival
    return refuse(this.#request, this.#response, { ...refusal, headers: pairs(corsHeaders(head, resource.cors)) })
  }

  // ---- how it ends otherwise

  #clientGone(): void {
    if (this.#isOver || this.#relay !== undefined) return
    this.#inFlight?.abort()
    this.#over({ result: 'client' })
  }

  cut(fault: Fault): void {
    if (this.#isOver) return
    this.#cutBy = fault
    if (this.#relay !== undefined) return this.#relay.cut(fault)
    this.#inFlight?.callOff()
    this.#body?.stop()
    this.#recordedUp?.end(this.#request.complete)
    const { arrival, known, reception } = this.#parts
    const { requestId } = arrival
    const begun = this.#response.headersSent
    const link = reception.openLink(arrival.resource.name, known.role)
    const status = begun ? 0 : this.#refuse({ fault, requestId, link })
    this.#end({ ...gateEnded(fault), ...(status > 0 && { status }) })
    if (begun) abort(this.#response, this.#head.version)
  }

  teardown(): void {
    // It hangs up by itself, as soon as its client has taken the last words, and only then its bytes are counted.
    if (this.#relay !== undefined) return
    this.#inFlight?.abort()
    this.#leave()
  }

  /** Written down; what is left at the target follows. */
  #end(how: Ending): void {
    this.#isOver = true
    this.#bodyDown?.end(how.result === 'ok')
    const several = this.#parts.session.resource.addresses.length > 1
    const address = several ? (this.#inFlight?.address ?? null) : null
    this.#parts.deps.metrics.add('curfew_http_exchanges_total', {
      resource: this.#parts.session.resource.name,
      result: how.result,
    })
    this.#parts.record.done({ bytesUp: this.#body?.bytes ?? 0, bytesDown: this.#bytesDown, address, ...how })
  }

  #over(how: Ending): void {
    if (this.#isOver) return
    this.#end(how)
    this.#leave(how.bytesUp, how.bytesDown)
  }

  /** What the target did not want of the request would stand before the next one. */
  #leaveBody(): void {
    if (this.#body === null || this.#body.readableEnded) return
    this.#body.destroy()
    discardBody(this.#request, this.#response)
  }

  #leave(bytesUp = this.#body?.bytes ?? 0, bytesDown = this.#bytesDown): void {
    this.#leaveBody()
    this.#parts.session.ended(this, bytesUp, bytesDown)
  }
}

/** Some clients keep connections for ever without it. Somewhat less than the gateway keeps them. */
export const keepAliveHint: RawHeaders = ['Keep-Alive', `timeout=${idleMs / 1000 - 5}`]

/** Whether its `close` was told already, or is about to be. */
function isGone(request: HttpRequest, response: HttpResponse): boolean {
  return isHttp2(request) ? request.stream.destroyed : response.destroyed
}

/** More would not fit into one TLS record with its head. */
const heldBytesMax = 15 * 1024

/** Without a closure for each request. */
function stopHolding(exchange: Exchange): void {
  exchange.stopHolding()
}

type Ending = Pick<ExchangeEnd, 'result'> & Partial<ExchangeEnd>

function gateEnded({ code, message }: Fault): Ending {
  return { result: 'gate', code, why: message }
}

function kindOfBody(headers: RawHeaders): { type: string | null; encoding: string | null; length: string | undefined } {
  const kind: ReturnType<typeof kindOfBody> = { type: null, encoding: null, length: undefined }
  for (let index = 0; index < headers.length; index += 2) {
    switch (headers[index]!.toLowerCase()) {
      case 'content-type':
        kind.type = headers[index + 1]!
        break
      case 'content-encoding':
        kind.encoding = headers[index + 1]!
        break
      case 'content-length':
        kind.length = headers[index + 1]!
    }
  }
  return kind
}
