/**
 * A real HTTP server for tests to put behind the gateway: HTTP/1.1, HTTP/2 or both, plain, TLS or on a unix socket. What
 * it does is chosen by the path (see http-target-answers.ts and http-target-sockets.ts); what it sees can be waited for.
 */
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttp1, type IncomingMessage, type ServerResponse } from 'node:http'
import { createSecureServer, createServer as createHttp2 } from 'node:http2'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo, Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { issue, makeAuthority, type Authority, type Issued } from '../../scripts/certificates.ts'
import { answer, refusesToContinue } from './http-target-answers.ts'
import { acceptWebSockets, type SeenWebSocket } from './http-target-sockets.ts'

export interface HttpTargetOptions {
  /** Default: HTTP/1.1 alone. `both` needs TLS, where ALPN chooses. */
  readonly version?: 'http1' | 'http2' | 'both'
  /** `client-certificate`: only clients that show one that its authority signed get in. Default: plain. */
  readonly tls?: boolean | 'client-certificate'
  /** Listens on a unix socket, not a port. */
  readonly unix?: boolean
  /** Default: a free one. */
  readonly port?: number
  /** The names of its certificate. Default: `localhost` and `127.0.0.1`. */
  readonly names?: readonly [string, ...string[]]
}

/** One request as it arrived. */
export interface SeenRequest {
  readonly method: string
  /** The request target as it was sent. */
  readonly url: string
  readonly httpVersion: string
  readonly headers: IncomingMessage['headers']
  /** Names and values in turn, as they were sent. */
  readonly rawHeaders: readonly string[]
  /** Which of its connections brought it, from 1. */
  readonly connection: number
  /** Of the body, so far. */
  readonly bodyBytes: number
  /** `broken`: the connection or stream went away before the target had handed over the whole answer. */
  readonly state: 'open' | 'answered' | 'broken'
}

export interface HttpTargetFacts {
  /** Open now. */
  readonly connections: number
  /** Not yet answered in full; WebSockets do not count here. */
  readonly requests: number
  readonly webSockets: number
  /** So far, in all. */
  readonly connectionsSeen: number
  readonly requestsSeen: number
  readonly brokenSeen: number
  /** Of the connections: what arrived and what was sent, TLS and framing included. */
  readonly bytesReceived: number
  readonly bytesSent: number
}

export interface HttpTarget extends AsyncDisposable {
  /** As a resource's `addresses` have it: `http://127.0.0.1:8080`, `https://localhost:8443`, `unix:/tmp/x/socket`. */
  readonly address: string
  /** Where it is reached straight; meaningless for a unix socket. */
  readonly url: URL
  readonly port: number
  readonly socketPath: string | null
  /** PEM file of the authority of its certificate; empty without TLS. */
  readonly caFile: string
  /** A client certificate that it accepts. */
  clientCertificate(): Promise<Issued>
  facts(): HttpTargetFacts
  /** Requests in the order they came, the newest thousand. */
  readonly seen: readonly SeenRequest[]
  readonly webSockets: readonly SeenWebSocket[]
  /** The newest request for this path (without query). @throws Error when there was none. */
  last(path: string): SeenRequest
  /** Waits until `holds`, looking again at every change. @throws Error with the facts, after `waitMsMax` (20 s). */
  until(holds: (facts: HttpTargetFacts, target: HttpTarget) => boolean, waitMsMax?: number): Promise<void>
  /** Ends every connection at once, as a crash would; goes on listening. */
  breakConnections(): void
}

const seenMax = 1000

/** @returns when it listens. */
export async function startHttpTarget(options: HttpTargetOptions = {}): Promise<HttpTarget> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'curfew-http-target-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const authority = await makeAuthority('Curfew test target')
  const names = options.names ?? ['localhost', '127.0.0.1']
  const identity = await issue(authority, { names })
  await writeFile(join(folder, 'ca.pem'), authority.certificate)
  const server = createServer(options, identity, authority)
  const watch = stack.use(new Watch(server))
  const socketPath = options.unix === true ? join(folder, 'socket') : null
  if (socketPath === null) server.listen(options.port ?? 0, '127.0.0.1')
  else server.listen(socketPath)
  await once(server, 'listening')
  return target({ options, watch, server, socketPath, folder, authority, stack: stack.move() })
}

function createServer(options: HttpTargetOptions, identity: Issued, authority: Authority): Server {
  const { version = 'http1', tls = false } = options
  if (tls === false) return version === 'http2' ? createHttp2() : createHttp1({ keepAliveTimeout: 120_000 })
  const shown = { cert: identity.certificate, key: identity.key }
  const asks = { ca: authority.certificate, requestCert: true, rejectUnauthorized: true }
  const settings = { ...shown, ...(tls === 'client-certificate' && asks) }
  if (version === 'http1') return createHttps({ ...settings, keepAliveTimeout: 120_000 })
  return createSecureServer({ ...settings, allowHTTP1: version === 'both' })
}

interface Parts {
  readonly options: HttpTargetOptions
  readonly watch: Watch
  readonly server: Server
  readonly socketPath: string | null
  readonly folder: string
  readonly authority: Authority
  readonly stack: AsyncDisposableStack
}

function target({ options, watch, server, socketPath, folder, authority, stack }: Parts): HttpTarget {
  const port = socketPath === null ? (server.address() as AddressInfo).port : 0
  const isSecure = (options.tls ?? false) !== false
  const origin = isSecure ? `https://localhost:${port}` : `http://127.0.0.1:${port}`
  const made: HttpTarget = {
    ...{ port, socketPath },
    address: socketPath === null ? origin : `unix:${socketPath}`,
    url: new URL(origin),
    caFile: isSecure ? join(folder, 'ca.pem') : '',
    clientCertificate: () => issue(authority, { names: ['curfew'], purpose: 'both' }),
    seen: watch.seen,
    webSockets: watch.webSockets,
    facts: () => watch.facts(),
    last: (path) => {
      const found = watch.seen.findLast(({ url }) => url.split('?')[0] === path)
      if (found === undefined)
        throw new Error(`no request for ${path} in ${watch.seen.map(({ url }) => url).join(' ')}`)
      return found
    },
    until: (holds, waitMsMax = 20_000) => watch.until(() => holds(watch.facts(), made), waitMsMax),
    breakConnections: () => watch.breakConnections(),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
  return made
}

/** What may change while a request runs; `SeenRequest` is how the others see it. */
type Running = { -readonly [Key in keyof SeenRequest]: SeenRequest[Key] }

/** Counts what a server does. */
class Watch implements AsyncDisposable {
  readonly seen: Running[] = []
  readonly webSockets: SeenWebSocket[] = []
  readonly #server: Server
  readonly #connections = new Map<Socket, number>()
  #waiting = new Set<() => void>()
  #open = 0
  #connectionsSeen = 0
  #requestsSeen = 0
  #brokenSeen = 0
  /** Of connections that are over. */
  #received = 0
  #sent = 0

  constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket: Socket) => this.#connected(socket))
    const asked = (request: IncomingMessage, response: ServerResponse) => this.#asked(request, response)
    server.on('request', asked)
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      if (!refusesToContinue(request)) response.writeContinue()
      asked(request, response)
    })
    acceptWebSockets(server, this.webSockets, () => this.#changed())
  }

  facts(): HttpTargetFacts {
    const sum = (one: (socket: Socket) => number) =>
      [...this.#connections.keys()].reduce((total, socket) => total + one(socket), 0)
    return {
      connections: this.#connections.size,
      requests: this.#open,
      webSockets: this.webSockets.filter(({ closed }) => closed === null).length,
      connectionsSeen: this.#connectionsSeen,
      requestsSeen: this.#requestsSeen,
      brokenSeen: this.#brokenSeen,
      bytesReceived: this.#received + sum((socket) => socket.bytesRead),
      bytesSent: this.#sent + sum((socket) => socket.bytesWritten),
    }
  }

  async until(holds: () => boolean, waitMsMax: number): Promise<void> {
    const deadline = performance.now() + waitMsMax
    while (!holds()) {
      if (performance.now() > deadline) throw new Error(`never came true: ${JSON.stringify(this.facts())}`)
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.add(resolve)
      // Bytes move without an event here, so it looks now and then, too.
      const timer = setTimeout(resolve, 20)
      await promise
      clearTimeout(timer)
      this.#waiting.delete(resolve)
    }
  }

  breakConnections(): void {
    for (const socket of this.#connections.keys()) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : Promise.resolve()
    this.#server.close()
    this.breakConnections()
    await closed
  }

  #connected(socket: Socket): void {
    this.#connectionsSeen++
    this.#connections.set(socket, this.#connectionsSeen)
    // Whoever goes away without a word is no trouble of the target's.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#received += socket.bytesRead
      this.#sent += socket.bytesWritten
      this.#connections.delete(socket)
      this.#changed()
    })
    this.#changed()
  }

  #asked(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '', httpVersion, headers, rawHeaders } = request
    const arrived = { method, url, httpVersion, headers, rawHeaders, connection: this.#connectionOf(request) }
    const entry: Running = { ...arrived, bodyBytes: 0, state: 'open' }
    this.seen.push(entry)
    if (this.seen.length > seenMax) this.seen.shift()
    this.#open++
    this.#requestsSeen++
    response.on('close', () => {
      this.#open--
      entry.state = response.writableEnded ? 'answered' : 'broken'
      if (entry.state === 'broken') this.#brokenSeen++
      this.#changed()
    })
    this.#changed()
    // A broken connection ends its answer; the watch above has noted it.
    void answer(request, response, (bytes) => (entry.bodyBytes += bytes)).catch(() => response.destroy())
  }

  #connectionOf(request: IncomingMessage): number {
    const { remotePort } = request.socket
    const isIt = (socket: Socket) => socket === request.socket || socket.remotePort === remotePort
    const plain = this.#connections.get(request.socket) ?? this.#connections.get(plainOf(request.socket))
    return plain ?? [...this.#connections].find(([socket]) => isIt(socket))?.[1] ?? 0
  }

  #changed(): void {
    for (const wake of this.#waiting) wake()
  }
}

/** Below TLS. */
function plainOf(socket: Socket): Socket {
  const { _parent: parent } = socket as TLSSocket & { readonly _parent?: Socket }
  return parent ?? socket
}
