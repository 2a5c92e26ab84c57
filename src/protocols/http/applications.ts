import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Access } from '../../access/access.ts'
import type { Assertions } from '../../identity/assertion.ts'
import type { Identity } from '../../identity/identity.ts'
import type { ChangeFeed } from '../../kernel/change.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { Random } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Clock } from '../../kernel/time.ts'
import { programName } from '../../kernel/user-agent.ts'
import type { Catalogue } from '../../resources/catalogue.ts'
import type { Hosts } from '../../resources/hosts.ts'
import type { Gate } from '../../sessions/admission.ts'
import { answer, pairs } from './answers.ts'
import { answerPreflight, corsHeaders, isPreflight, judgeOrigin } from './cross-origin.ts'
import { Exchange } from './exchange.ts'
import { hostOf, type Applications, type HttpRequest, type HttpResponse } from './front.ts'
import { ownPaths, Reception } from './reception.ts'
import { arrive, isAnswering, type Arrival } from './arrival.ts'
import { HttpSessions } from './http-sessions.ts'
import type { HttpSession } from './http-session.ts'
import { Identifier, type Known } from './identify.ts'
import { maskedUrl, recordedHeaders } from './recorded-parts.ts'
import type { Block } from './quick/block.ts'
import type { QuickConnection } from './quick/connection.ts'
import type { PlainHead } from './quick/plain-head.ts'
import { QuickWay } from './quick/quick-way.ts'
import type { HttpTargets } from './targets/target.ts'

export interface ApplicationsDeps {
  readonly gate: Gate
  readonly access: Pick<Access, 'offers' | 'livingGrants' | 'waitForGrant'>
  readonly identity: Pick<Identity, 'apps' | 'tokens'>
  readonly assertions: Assertions
  readonly targets: HttpTargets
  readonly catalogue: Catalogue
  readonly hosts: Hosts
  /** Of the gateway's own pages. */
  readonly publicUrl: URL
  readonly waitMs: number
  readonly idleMsMax: number
  readonly changes: ChangeFeed
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

const applicationLengthMax = 64

/** Everything at the hosts of applications: from a request's head to who sends it, the session, and the way to the target. */
export class ApplicationGateway implements Applications, Disposable {
  readonly #deps: ApplicationsDeps
  readonly #identifier: Identifier
  readonly #sessions: HttpSessions
  readonly #reception: Reception
  readonly #quick: QuickWay
  readonly #stopping = new AbortController()
  /** Request ids count up from here; each start of the gateway has its own. */
  readonly #run: string
  #requests = 0

  constructor(deps: ApplicationsDeps) {
    this.#deps = deps
    this.#run = deps.random.id('http')
    this.#identifier = new Identifier(deps)
    this.#sessions = new HttpSessions(deps)
    const { publicUrl, log, metrics } = deps
    const whyEnded = this.#sessions.whyEnded.bind(this.#sessions)
    this.#reception = new Reception({ apps: deps.identity.apps, publicUrl, whyEnded, log, metrics })
    this.#quick = new QuickWay({
      ...{ hosts: deps.hosts, identifier: this.#identifier, sessions: this.#sessions, reception: this.#reception },
      ...{ nextRequestId: () => this.#nextRequestId(), exchange: deps },
    })
  }

  has(host: string): boolean {
    return this.#deps.hosts.resource(host) !== undefined
  }

  /** To be called when the catalogue has others. */
  lookAgain(): void {
    this.#deps.targets.lookAgain()
    this.#sessions.lookAgain()
  }

  isAnswering(connection: object): boolean {
    return isAnswering(connection)
  }

  handle(request: HttpRequest, response: HttpResponse): void {
    this.#take(request, response)
  }

  takeQuick(connection: QuickConnection, head: PlainHead, block: Block): boolean {
    try {
      return this.#quick.take(connection, head, block)
    } catch (error) {
      // Nobody else would catch it: the whole gateway would end. The usual way answers for itself.
      this.#deps.log.error({ error }, 'a request could not go the quick way')
      return false
    }
  }

  upgrade(request: IncomingMessage, socket: Socket, first: Buffer): void {
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    socket.on('error', () => socket.destroy())
    response.once('finish', () => response.socket?.end())
    this.#take(request, response, first)
  }

  #take(request: HttpRequest, response: HttpResponse, first?: Buffer): void {
    const requestId = this.#nextRequestId()
    request.on('error', () => undefined) // what it means for the answer is told by the answer's own close
    let arrival: Arrival | undefined
    try {
      const resource = this.#deps.hosts.resource(hostOf(request))!
      const here = (arrival = arrive(request, response, resource, requestId, first))
      const done = this.#serve(here)
      if (done instanceof Promise) done.catch((error: unknown) => this.#reception.fail(here, error))
    } catch (error) {
      this.#reception.fail(arrival ?? { request, response, requestId }, error)
    }
  }

  #nextRequestId(): string {
    return `${this.#run}-${(++this.#requests).toString(36)}`
  }

  /** Synchronous where everything about the sender is known already: most requests of a living session. */
  #serve(arrival: Arrival): void | Promise<void> {
    const { request, response, head, resource, place, origin, peer } = arrival
    if (head.path.startsWith(ownPaths)) return this.#reception.ownPath(arrival)
    if (isPreflight(head)) {
      const { status, headers } = answerPreflight(head, resource.cors, origin)
      answer(request, response, status, '', pairs(headers))
      return undefined
    }
    const known = this.#identifier.identify(request, place, peer.address)
    return known instanceof Promise ? known.then((found) => this.#pass(arrival, found)) : this.#pass(arrival, known)
  }

  #pass(arrival: Arrival, known: Known | undefined): void | Promise<void> {
    if (known === undefined) return this.#reception.askToSignIn(arrival)
    const { head, resource, origin, place } = arrival
    const byCookie = known.entry !== null
    const { headers } = head
    const judged = judgeOrigin({
      ...{ method: head.method, headers, ownOrigin: origin, byCookie, upgrade: head.upgrade !== null },
      cors: resource.cors,
    })
    if (judged instanceof Fault) throw judged
    const extra = corsHeaders(head, resource.cors)
    const ended = this.#sessions.whyEnded(known, place)
    if (ended !== undefined && byCookie) return this.#reception.sayEnded(arrival, known, ended)
    const session = this.#sessions.find(known, place)
    return session === undefined ? this.#open(arrival, known, extra) : this.#forward(arrival, known, session, extra)
  }

  async #open(arrival: Arrival, known: Known, extra: readonly string[]): Promise<void> {
    const { request, response, place, peer } = arrival
    const gone = new AbortController()
    const onClose = () => gone.abort(new Fault('REQUEST_WAIT_OVER', 'The client went away.'))
    response.once('close', onClose)
    // Who waits for an approval is silent.
    peer.open++
    try {
      const waitMs = Math.min(waitWishMs(request), this.#deps.waitMs)
      const client = {
        ...({ protocol: 'http', address: peer.address, port: request.socket.remotePort ?? 0, tls: true } as const),
        application: programName(request.headers['user-agent'] ?? '').slice(0, applicationLengthMax),
      }
      const signal = AbortSignal.any([gone.signal, this.#stopping.signal])
      const wait = waitMs > 0 ? { waitMs, signal } : undefined
      const session = await this.#sessions.open(known, place, client, wait)
      if (gone.signal.aborted) return
      await this.#forward(arrival, known, session, extra)
    } catch (error) {
      if (gone.signal.aborted) return
      this.#reception.refuseEntry(arrival, known, error)
    } finally {
      peer.open--
      response.off('close', onClose)
    }
  }

  #forward(arrival: Arrival, known: Known, session: HttpSession, extra: readonly string[]): void | Promise<void> {
    const { recorder } = session.admission
    if (session.isOver) return this.#afterEnd(arrival, known, session, extra)
    // What cannot be recorded is not forwarded.
    if (recorder.full) return recorder.drained().then(() => this.#forward(arrival, known, session, extra))
    // A session outlives connections, and rules and locks may ask where each request comes from.
    const elsewhere = session.admission.refusalFrom(arrival.peer.address)
    if (elsewhere === undefined) return this.#assert(arrival, known, session, extra)
    return elsewhere.then((fault) => {
      if (fault !== undefined) throw fault
      return this.#assert(arrival, known, session, extra)
    })
  }

  #assert(arrival: Arrival, known: Known, session: HttpSession, extra: readonly string[]): void | Promise<void> {
    const { session: of, deadline } = session.admission
    const assertion = session.assertions.of(of, known.person, deadline.value)
    return typeof assertion === 'string'
      ? this.#exchange(arrival, known, session, extra, assertion)
      : assertion.then((text) => this.#exchange(arrival, known, session, extra, text))
  }

  /** It ended while this request was on its way in: by the gate, or because nobody had come for long. */
  #afterEnd(
    arrival: Arrival,
    known: Known,
    { admission }: HttpSession,
    extra: readonly string[],
  ): void | Promise<void> {
    const fault = admission.cutOff.aborted ? asFault(admission.cutOff.reason) : undefined
    return fault === undefined ? this.#open(arrival, known, extra) : this.#reception.sayEnded(arrival, known, fault)
  }

  #exchange(
    arrival: Arrival,
    known: Known,
    session: HttpSession,
    extra: readonly string[],
    assertion: string,
  ): void | Promise<void> {
    const { head, requestId, origin, peer, resource } = arrival
    if (session.isOver) return this.#afterEnd(arrival, known, session, extra)
    if (session.isFull) {
      throw new Fault('TOO_MANY_CONNECTIONS', 'Too many requests of this session are under way.', {
        hint: 'Wait until some of them are answered.',
      })
    }
    const judged = session.rules.all ? head : session.rules.judge(head.method, head.path)
    const record = session.transcript.request({
      method: head.method,
      url: maskedUrl(judged instanceof Fault ? head.path : judged.path, session.maskedNames),
      origin,
      version: head.version,
      id: requestId,
      from: peer.from,
      headers: recordedHeaders(head.headers, session.recordedNames),
    })
    if (judged instanceof Fault) {
      const link = this.#reception.chooseLink(resource.name)
      const status = this.#reception.refuse(arrival, { fault: judged, requestId, link })
      record.refused(status, judged)
      return undefined
    }
    new Exchange({
      arrival,
      known,
      session,
      record,
      path: judged.path,
      forward: {
        host: session.hostFor(head.host),
        client: peer,
        requestId,
        assertion,
        own: session.ownHeaders(known.person),
        ownAuthorization: known.ownAuthorization,
      },
      extraHeaders: extra.length === 0 ? session.warningHeaders : [...extra, ...session.warningHeaders],
      reception: this.#reception,
      deps: this.#deps,
    }).start()
    return undefined
  }

  /** Who waits for an approval is told that the gateway stops. */
  endWaits(): void {
    this.#stopping.abort(new Fault('SHUTTING_DOWN', 'The gateway is shutting down.'))
  }

  [Symbol.dispose](): void {
    this.#identifier[Symbol.dispose]()
  }
}

/** `Prefer: wait=30`: how long a program would wait for an approval. RFC 7240 section 4.3 */
function waitWishMs({ headers }: HttpRequest): number {
  const wish = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})/i.exec(String(headers['prefer'] ?? ''))
  return wish === null ? 0 : Number(wish[1]) * 1000
}
