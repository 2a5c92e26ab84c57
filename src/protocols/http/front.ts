import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { WebListener } from '../../config/config.ts'
import { networkOf, plainAddress } from '../../identity/address.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { ListeningWithTls } from '../../kernel/listening.ts'
import type { Log } from '../../kernel/log.ts'
import { keepAlive } from '../keep-alive.ts'
import { refuse } from './answers.ts'
import { Certificates } from './certificates.ts'
import type { PlainAnswerer } from './quick/connection.ts'
import { openLane } from './quick/lane.ts'
import { refuseRaw, refuseUnread } from './raw-refusal.ts'
import { mayUpgrade, readRequestHead } from './request-head.ts'

/** HTTP/2 comes in the shape that HTTP/1.1 has. */
export type HttpRequest = IncomingMessage | Http2ServerRequest
export type HttpResponse = ServerResponse | Http2ServerResponse

/** Something that answers requests of some hosts. */
export interface Answerer {
  handle(request: HttpRequest, response: HttpResponse): void
}

/** Something that takes connections over, too. */
export interface Applications extends Answerer {
  /** Whether this host (lower-case, without port) is one of theirs. */
  has(host: string): boolean
  /** `Upgrade` was asked for, over HTTP/1.1; the connection is theirs now. `first`: what came behind the head. */
  upgrade(request: IncomingMessage, socket: Socket, first: Buffer): void
  /** Whether a connection (a socket, or a session of HTTP/2) has answers under way, which may be silent for as long as they like. */
  isAnswering(connection: object): boolean
  /** See `PlainAnswerer`. */
  takeQuick(...request: Parameters<PlainAnswerer['takeQuick']>): boolean
}

export interface FrontDeps {
  /** The gateway's own pages: everything that is not an application's. */
  readonly pages: Answerer & { close(): void }
  readonly applications: Applications | null
  readonly limits: { readonly webConnectionsPerAddressMax: number; readonly webConnectionsMax: number }
  readonly log: Log
}

const handshakeMs = 10_000
const headersMs = 10_000
/** For the pages: none of their forms takes longer. */
const pageRequestMs = 30_000
/** Between two requests, and for a client that stops reading. */
export const idleMs = 75_000
const headerBytesMax = 32 * 1024
/** Over HTTP/2 each cookie is a field of its own, and Chromium keeps 180 for a host; the others are counted behind. */
const headerPairsMax = 320
const streamsPerConnectionMax = 250
const windowBytes = 256 * 1024
/** After this, connections that still have an answer under way are cut. */
const closeGraceMs = 2000

/** What browsers of the last ten years offer; all with forward secrecy and authenticated encryption. */
const ciphers = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/**
 * The one door for browsers and API clients: TLS, HTTP/1.1 and HTTP/2, for the gateway's own pages and for the
 * applications behind it, told apart by the host that the request names.
 * @throws when the address is taken or a certificate does not fit its key.
 */
export async function listenFront(listener: WebListener, deps: FrontDeps): Promise<ListeningWithTls<WebListener>> {
  const certificates = new Certificates(listener)
  const server = createSecureServer({ ...serverOptions, ...tlsOptions, ...certificates.options })
  // Looked at when the time is over: setting timers and taking them back for each request costs more than it seems.
  const onSilence = (connection: Socket | ServerHttp2Session) => {
    if (deps.applications?.isAnswering(connection) !== true) connection.destroy()
  }
  server.maxConnections = deps.limits.webConnectionsMax
  server.setTimeout(idleMs)
  server.on('timeout', onSilence)
  const sessions = new Set<ServerHttp2Session>()
  const sockets = countConnections(server, deps.limits.webConnectionsPerAddressMax)
  // An answer or a WebSocket may be silent for as long as it likes; whether anybody is left to hear it, TCP finds out.
  server.on('connection', (socket: Socket) => keepAlive(socket, listener.keepalives))
  server.on('session', (session) => {
    sessions.add(session)
    // The server hears only of the first time.
    session.on('timeout', () => onSilence(session))
    session.once('close', () => sessions.delete(session))
  })
  server.on('secureConnection', (socket: TLSSocket) => socket.disableRenegotiation())
  server.on('tlsClientError', (error) => deps.log.debug({ err: error }, 'web: TLS handshake failed'))
  server.on('sessionError', (error) => deps.log.debug({ err: error }, 'web: an HTTP/2 connection failed'))
  // As an option of this kind of server it is not heard.
  Object.assign(server, { shouldUpgradeCallback: mayUpgrade })
  dispatch(server, deps)
  server.listen(listener.port, listener.address)
  await once(server, 'listening')
  const { applications: answerer } = deps
  // Its timer would keep a program alive that could not listen.
  const lane = answerer && openLane(server, { answerer, idleMs, onSilence, firstMs: headersMs })
  server.on('error', (error) => deps.log.error({ error }, 'web: a connection could not be accepted'))
  const { address, port } = server.address() as AddressInfo
  return {
    ...{ address, port },
    renewal: (settings) => certificates.replacement(settings, server, tlsOptions),
    [Symbol.asyncDispose]: () => close(server, sessions, sockets, [deps.pages, lane]),
  }
}

const tlsOptions = { minVersion: 'TLSv1.2', ciphers, honorCipherOrder: true } as const

const serverOptions = {
  allowHTTP1: true,
  handshakeTimeout: handshakeMs,
  headersTimeout: headersMs,
  // Uploads may take as long as they take; whoever has not signed in is answered without their bodies.
  requestTimeout: 0,
  // The same as the server's timeout, which holds between requests, too.
  keepAliveTimeout: 0,
  connectionsCheckingInterval: 5000,
  maxHeaderSize: headerBytesMax,
  requireHostHeader: true,
  insecureHTTPParser: false,
  noDelay: true,
  maxHeaderListPairs: headerPairsMax,
  // What applications say twice passes, as over HTTP/1.1; Node would throw.
  strictSingleValueFields: false,
  unknownProtocolTimeout: headersMs,
  settings: {
    maxConcurrentStreams: streamsPerConnectionMax,
    maxHeaderListSize: headerBytesMax,
    initialWindowSize: windowBytes,
    enablePush: false,
  },
} as const

function dispatch(server: Http2SecureServer, { pages, applications }: FrontDeps): void {
  const toPages = (request: HttpRequest, response: HttpResponse) => {
    try {
      readRequestHead(request)
    } catch (error) {
      return refuseHead(request, response, error)
    }
    nameHost(request)
    limitTime(request)
    pages.handle(request, response)
  }
  const onRequest = (request: HttpRequest, response: HttpResponse) => {
    if (applications?.has(hostOf(request)) === true) applications.handle(request, response)
    else toPages(request, response)
  }
  server.on('request', onRequest)
  // Who is told to continue is decided when it is known whether anybody wants the body.
  server.on('checkContinue', (request, response) => {
    if (applications?.has(hostOf(request)) === true) return applications.handle(request, response)
    response.writeContinue()
    toPages(request, response)
  })
  // What else than 100-continue a client may expect is refused with the head.
  server.on('checkExpectation', onRequest)
  server.on('clientError', refuseUnread)
  server.on('upgrade', (request: IncomingMessage, socket: Socket, first: Buffer) => {
    if (applications?.has(hostOf(request)) === true) applications.upgrade(request, socket, first)
    else refuseRaw(socket, 400, 'Nothing here speaks another protocol.')
  })
}

/** The host that a request names: lower-case, without port, as far as it can be told. Whoever answers looks closer. */
export function hostOf(request: HttpRequest): string {
  const named = authorityOf(request)
  const end = named.startsWith('[') ? named.indexOf(']') + 1 : named.indexOf(':')
  return (end > 0 ? named.slice(0, end) : named).toLowerCase()
}

/** As the request names it, with its port; not checked. */
function authorityOf({ headers }: HttpRequest): string {
  return (headers[':authority'] as string | undefined) ?? headers.host ?? ''
}

/** A head that can be read in two ways says nothing certain about where the next one begins. */
function refuseHead(request: HttpRequest, response: HttpResponse, error: unknown): void {
  const fault = asFault(error) ?? new Fault('PROTOCOL_VIOLATION', 'The request was refused.', { cause: error })
  refuse(request, response, { fault, requestId: 'unread', close: !isHttp2(request) })
}

/** Not by the version, which a client of HTTP/1.1 may write as it likes. */
export function isHttp2(request: HttpRequest): request is Http2ServerRequest {
  return 'stream' in request
}

/** HTTP/2 names the host elsewhere; the pages look for it where HTTP/1.1 has it. */
function nameHost(request: HttpRequest): void {
  if (isHttp2(request) && request.headers.host === undefined) {
    request.rawHeaders.push('host', authorityOf(request))
  }
}

function limitTime(request: HttpRequest): void {
  const timer = setTimeout(() => request.destroy(), pageRequestMs)
  request.once('close', () => clearTimeout(timer))
  request.once('end', () => clearTimeout(timer))
}

/** One address cannot take every place. */
function countConnections(server: Http2SecureServer, perAddressMax: number): ReadonlySet<Socket> {
  const open = new Map<string, number>()
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    const network = networkOf(plainAddress(socket.remoteAddress ?? ''))
    const count = (open.get(network) ?? 0) + 1
    if (count > perAddressMax) {
      socket.destroy()
      return
    }
    open.set(network, count)
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      const left = open.get(network)! - 1
      if (left === 0) open.delete(network)
      else open.set(network, left)
    })
  })
  return sockets
}

/** Answers that are under way may end; then everything is cut. */
async function close(
  server: Http2SecureServer,
  sessions: ReadonlySet<ServerHttp2Session>,
  sockets: ReadonlySet<Socket>,
  others: readonly ({ close(): void } | null)[],
): Promise<void> {
  if (!server.listening) return
  for (const other of others) other?.close()
  const closed = once(server, 'close')
  server.close()
  // Node has it since 18.2 (allowHTTP1); its types do not.
  ;(server as unknown as { closeIdleConnections(): void }).closeIdleConnections()
  for (const session of sessions) session.close()
  const grace = setTimeout(() => {
    for (const socket of sockets) socket.destroy()
  }, closeGraceMs)
  await closed
  clearTimeout(grace)
}
