import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Access } from '../../access/access.ts'
import { plainAddress } from '../../identity/address.ts'
import { staleWays, type AppPlace } from '../../identity/apps.ts'
import type { Assertions } from '../../identity/assertion.ts'
import type { Identity } from '../../identity/identity.ts'
import type { ChangeFeed } from '../../kernel/change.ts'
import { readCookie, writeCookie } from '../../kernel/cookies.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { Random } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Clock } from '../../kernel/time.ts'
import { programName } from '../../kernel/user-agent.ts'
import type { Catalogue, HttpResource } from '../../resources/catalogue.ts'
import type { Hosts } from '../../resources/hosts.ts'
import type { Gate } from '../../sessions/admission.ts'
import { answer, isForPeople, redirect, refuse, type Refusal } from './answers.ts'
import { answerPreflight, corsHeaders, isPreflight, judgeOrigin } from './cross-origin.ts'
import { Exchange } from './exchange.ts'
import {
  authorityOf,
  hostOf,
  idleMs,
  isHttp2,
  type Applications,
  type HttpRequest,
  type HttpResponse,
} from './front.ts'
import { HttpSessions } from './http-sessions.ts'
import type { HttpSession } from './http-session.ts'
import { Identifier, type Known } from './identify.ts'
import { maskedUrl, recordedHeaders } from './recorded-parts.ts'
import { readRequestHead, type RequestHead } from './request-head.ts'
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

/** A request on its way in: what is known of it before anybody looked at who sends it. */
interface Arrival {
  readonly request: HttpRequest
  readonly response: HttpResponse
  readonly head: RequestHead
  readonly place: AppPlace
  readonly resource: HttpResource
  readonly origin: string
  readonly address: string
  readonly requestId: string
  /** Of an upgrade: what came behind the head. */
  readonly first?: Buffer
}

/** Paths of the gateway itself at applications' hosts. */
const ownPaths = '/.curfew/'
const applicationLengthMax = 64

/** Everything at the hosts of applications: from a request's head to who sends it, the session, and the way to the target. */
export class ApplicationGateway implements Applications, Disposable {
  readonly #deps: ApplicationsDeps
  readonly #identifier: Identifier
  readonly #sessions: HttpSessions
  readonly #stopping = new AbortController()
  /** Request ids count up from here; each start of the gateway has its own. */
  readonly #run: string
  #requests = 0

  constructor(deps: ApplicationsDeps) {
    this.#deps = deps
    this.#run = deps.random.id('http')
    this.#identifier = new Identifier(deps)
    this.#sessions = new HttpSessions(deps)
  }

  has(host: string): boolean {
    return this.#deps.hosts.resource(host) !== undefined
  }

  handle(request: HttpRequest, response: HttpResponse): void {
    this.#take(request, response)
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
    const requestId = `${this.#run}-${(++this.#requests).toString(36)}`
    request.on('error', () => undefined) // what it means for the answer is told by the answer's own close
    try {
      const arrival = this.#arrival(request, response, requestId, first)
      const done = this.#serve(arrival)
      if (done instanceof Promise) done.catch((error: unknown) => this.#fail(request, response, requestId, error))
    } catch (error) {
      this.#fail(request, response, requestId, error)
    }
  }

  #arrival(request: HttpRequest, response: HttpResponse, requestId: string, first: Buffer | undefined): Arrival {
    const host = hostOf(request)
    const resource = this.#deps.hosts.resource(host)!
    const head = readRequestHead(request)
    const typed = head.host.replace(/:443$/, '')
    const origin = `https://${typed}`
    const address = plainAddress(request.socket.remoteAddress ?? '')
    const place = { resource: resource.name, host: typed }
    const arrival = { request, response, head, place, resource, origin, address, requestId }
    return first === undefined ? arrival : { ...arrival, first }
  }

  /** Synchronous where everything about the sender is known already: most requests of a living session. */
  #serve(arrival: Arrival): void | Promise<void> {
    const { request, response, head, resource, place, origin, address } = arrival
    if (head.path.startsWith(ownPaths)) return this.#ownPath(arrival)
    if (isPreflight(head)) {
      const { status, headers } = answerPreflight(head, resource.cors, origin)
      answer(request, response, status, '', pairs(headers))
      return undefined
    }
    const known = this.#identifier.identify(request, place, address)
    return known instanceof Promise ? known.then((found) => this.#pass(arrival, found)) : this.#pass(arrival, known)
  }

  #pass(arrival: Arrival, known: Known | undefined): void | Promise<void> {
    if (known === undefined) return this.#askToSignIn(arrival)
    const { head, resource, origin, place } = arrival
    const byCookie = known.entry !== null
    const { headers } = head
    const judged = judgeOrigin({
      ...{ method: head.method, headers, ownOrigin: origin, byCookie, upgrade: head.upgrade !== null },
      cors: resource.cors,
    })
    if (judged instanceof Fault) throw judged
    const extra = judged.kind === 'cors' ? corsHeaders(judged.origin) : []
    const ended = this.#sessions.whyEnded(known, place)
    if (ended !== undefined && byCookie) return this.#sayEnded(arrival, known, ended)
    const session = this.#sessions.find(known, place)
    return session === undefined ? this.#open(arrival, known, extra) : this.#forward(arrival, known, session, extra)
  }

  async #open(arrival: Arrival, known: Known, extra: readonly string[]): Promise<void> {
    const { request, response, place, address } = arrival
    const gone = new AbortController()
    const onClose = () => gone.abort(new Fault('REQUEST_WAIT_OVER', 'The client went away.'))
    response.once('close', onClose)
    try {
      const waitMs = Math.min(waitWishMs(request), this.#deps.waitMs)
      const client = {
        ...({ protocol: 'http', address, port: request.socket.remotePort ?? 0, tls: true } as const),
        application: programName(request.headers['user-agent'] ?? '').slice(0, applicationLengthMax),
      }
      const signal = AbortSignal.any([gone.signal, this.#stopping.signal])
      const wait = waitMs > 0 ? { waitMs, signal } : undefined
      const session = await this.#sessions.open(known, place, client, wait)
      if (gone.signal.aborted) return
      await this.#forward(arrival, known, session, extra)
    } catch (error) {
      if (gone.signal.aborted) return
      this.#refuseEntry(arrival, known, error)
    } finally {
      response.off('close', onClose)
    }
  }

  #forward(arrival: Arrival, known: Known, session: HttpSession, extra: readonly string[]): void | Promise<void> {
    const { recorder, session: of, deadline, cutOff } = session.admission
    if (cutOff.aborted) return this.#sayEnded(arrival, known, asFault(cutOff.reason)!)
    // What cannot be recorded is not forwarded.
    if (recorder.full) return recorder.drained().then(() => this.#forward(arrival, known, session, extra))
    const assertion = session.assertions.of(of, known.person, deadline.value)
    return typeof assertion === 'string'
      ? this.#exchange(arrival, known, session, extra, assertion)
      : assertion.then((text) => this.#exchange(arrival, known, session, extra, text))
  }

  #exchange(arrival: Arrival, known: Known, session: HttpSession, extra: readonly string[], assertion: string): void {
    const { request, response, head, requestId, origin, address, resource, first } = arrival
    if (session.isOver) return this.#sayEnded(arrival, known, asFault(session.admission.cutOff.reason)!)
    if (session.isFull) {
      throw new Fault('TOO_MANY_CONNECTIONS', 'Too many requests of this session are under way.', {
        hint: 'Wait until some of them are answered.',
      })
    }
    const judged = session.rules.all ? { path: head.path } : session.rules.judge(head.method, head.path)
    const record = session.transcript.request({
      ...{ method: head.method, origin, version: head.version },
      url: maskedUrl(judged instanceof Fault ? head.path : judged.path, session.maskedNames),
      id: requestId,
      from: `${address}:${request.socket.remotePort}`,
      headers: recordedHeaders(head.headers, session.recordedNames),
    })
    const askLink = this.#openLink(resource.name, known.role)
    if (judged instanceof Fault) {
      const status = this.#refuse(request, response, { fault: judged, requestId, link: askLink })
      record.refused(status, judged)
      return
    }
    waitAsLongAsItTakes(request, response)
    new Exchange({
      ...{ request, response, head, known, session, requestId, record, askLink },
      path: judged.path,
      forward: {
        host: session.hostFor(head.host),
        ...{ clientAddress: address, requestId, assertion },
        own: session.ownHeaders(known.person),
        ownAuthorization: known.ownAuthorization,
      },
      client: session.clientFacts(head.version, origin),
      extraHeaders: [...extra, ...session.warningHeaders],
      ...(first !== undefined && { first }),
      clock: this.#deps.clock,
      log: this.#deps.log,
      metrics: this.#deps.metrics,
    }).start()
  }

  // ---- who is not let in

  /** A browser is sent through the gateway's own pages, and comes back to where it wanted to go. */
  #askToSignIn(arrival: Arrival): void {
    const { request, response, requestId, resource } = arrival
    if (isForPeople(request) && (request.method === 'GET' || request.method === 'HEAD')) {
      return this.#sendThroughPages(arrival, null)
    }
    const fault = new Fault('SIGN_IN_REQUIRED', `${resource.name} is for people who are signed in.`, {
      hint: 'Open it in a browser, or send an access token: Authorization: Bearer curfew_…',
    })
    const link = { url: new URL(`/open/${resource.name}`, this.#deps.publicUrl), text: 'Sign in' }
    this.#refuse(request, response, { fault, requestId, link })
  }

  #sendThroughPages(arrival: Arrival, role: string | null): void {
    const { to, headers } = this.#throughPages(arrival, role)
    redirect(arrival.request, arrival.response, to.href, headers)
  }

  /** The way through the gateway's own pages and back to what was asked for, and the cookie that it takes. */
  #throughPages({ request, place, head }: Arrival, role: string | null) {
    const returnTo = head.path.startsWith(ownPaths) || head.method !== 'GET' ? '/' : head.path
    const { state, cookie } = this.#deps.identity.apps.begin(place, returnTo)
    const to = new URL(`/open/${place.resource}`, this.#deps.publicUrl)
    to.search = String(new URLSearchParams({ state, host: place.host, ...(role !== null && { role }) }))
    const headers = [
      ['Set-Cookie', writeCookie(cookie.name, cookie.value, cookie.maxAgeS)] as const,
      ...staleWays(request.headers.cookie).map((name) => ['Set-Cookie', writeCookie(name, '', 0)] as const),
    ]
    return { to, headers }
  }

  /** The gate said no. */
  #refuseEntry(arrival: Arrival, known: Known, error: unknown): void {
    const fault = asFault(error)
    if (fault?.code !== 'NO_GRANT' && fault?.code !== 'REQUEST_WAIT_OVER') throw error
    const { request, place } = arrival
    const ended = this.#sessions.whyEnded(known, place)
    if (ended !== undefined) return this.#sayEnded(arrival, known, ended)
    if (known.entry !== null && isForPeople(request) && (request.method === 'GET' || request.method === 'HEAD')) {
      return this.#sendThroughPages(arrival, known.role)
    }
    this.#refuse(request, arrival.response, {
      ...{ fault, requestId: arrival.requestId },
      link: this.#askLink(place.resource, known.role),
    })
  }

  /** The session that this request belonged to was ended; it says why, and offers to ask again. */
  #sayEnded(arrival: Arrival, known: Known, fault: Fault): void {
    const { request, response, requestId, resource } = arrival
    const link = this.#openLink(resource.name, known.role)
    if (!isForPeople(request)) return void this.#refuse(request, response, { fault, requestId, link })
    const { to, headers } = this.#throughPages(arrival, known.role)
    this.#refuse(request, response, { fault, requestId, headers, link: { ...link, url: to } })
  }

  #openLink(resource: string, role: string): NonNullable<Refusal['link']> {
    const url = new URL(`/open/${resource}`, this.#deps.publicUrl)
    url.searchParams.set('role', role)
    return { url, text: 'Open again, or ask again' }
  }

  #askLink(resource: string, role: string): NonNullable<Refusal['link']> {
    return {
      url: new URL(`/ask?${new URLSearchParams({ resource, role })}`, this.#deps.publicUrl),
      text: 'Ask for access',
    }
  }

  // ---- the gateway's own paths

  #ownPath(arrival: Arrival): void {
    const { request, response, head, place } = arrival
    const { pathname, searchParams } = new URL(head.path, arrival.origin)
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw new Fault('NOT_FOUND', 'There is no such page.')
    }
    if (pathname !== '/.curfew/enter') throw new Fault('NOT_FOUND', 'There is no such page.')
    const ticket = searchParams.get('ticket')
    if (ticket === null) return this.#sendThroughPages(arrival, searchParams.get('role'))
    const { cookie, done, returnTo } = this.#deps.identity.apps.enter(place, ticket, (name) =>
      readCookie(request.headers.cookie, name),
    )
    redirect(request, response, returnTo, [
      ['Set-Cookie', writeCookie(cookie.name, cookie.value, cookie.maxAgeS)],
      ['Set-Cookie', writeCookie(done, '', 0)],
    ])
  }

  #fail(request: HttpRequest, response: HttpResponse, requestId: string, error: unknown): void {
    const fault = asFault(error)
    if (fault === undefined) this.#deps.log.error({ error, requestId }, 'a request to an application failed')
    this.#refuse(request, response, {
      fault: fault ?? new Fault('STORE_FAILED', 'Something went wrong inside the gateway.'),
      requestId,
      ...(fault?.code === 'SIGN_IN_FAILED' && {
        link: { url: new URL(`https://${authorityOf(request)}/`), text: 'Try again' },
      }),
      // A head that can be read in two ways says nothing certain about where the next one begins.
      close: !isHttp2(request) && (fault?.code === 'PROTOCOL_VIOLATION' || fault?.code === 'TOO_LARGE'),
    })
  }

  /** Who waits for an approval is told that the gateway stops. */
  endWaits(): void {
    this.#stopping.abort(new Fault('SHUTTING_DOWN', 'The gateway is shutting down.'))
  }

  #refuse(request: HttpRequest, response: HttpResponse, refusal: Refusal): number {
    this.#deps.metrics.add('curfew_http_refused_total', { code: refusal.fault.code })
    return refuse(request, response, refusal)
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

function pairs(headers: readonly string[]): readonly (readonly [string, string])[] {
  return headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1]!] as const] : []))
}

/** Streams of applications may be silent for as long as they like; between requests the usual limit holds. */
function waitAsLongAsItTakes(request: HttpRequest, response: HttpResponse): void {
  const connection = isHttp2(request) ? request.stream.session : request.socket
  if (connection === undefined) return
  const open = (openOn.get(connection) ?? 0) + 1
  openOn.set(connection, open)
  if (open === 1) connection.setTimeout(0)
  response.once('close', () => {
    const left = openOn.get(connection)! - 1
    openOn.set(connection, left)
    if (left === 0) connection.setTimeout(idleMs)
  })
}

/** How many answers of applications are under way on a connection. */
const openOn = new WeakMap<object, number>()
