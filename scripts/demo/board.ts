/**
 * A web application to stand behind the gateway: the shop's status board, with live updates (server-sent events), a
 * WebSocket, and something to change. It has no sign-in of its own: it believes the gateway's signed assertion and nothing else.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { setInterval as every } from 'node:timers/promises'
import { createRemoteJWKSet, customFetch, errors, jwtVerify } from 'jose'
import { Agent, fetch } from 'undici'
import { WebSocketServer, type WebSocket } from 'ws'
import {
  boardPage,
  echoPage,
  headersPage,
  mePage,
  nameOf,
  refusedPage,
  type PageText,
  type Reader,
} from './board-pages.ts'
import { Services } from './board-services.ts'

export interface BoardOptions {
  /** The gateway's public URL: who signs assertions, and where its keys are. */
  readonly gateway: URL
  /** PEM of the authority that vouches for the gateway. */
  readonly ca: string
  /** What the gateway calls this application. */
  readonly name: string
}

export interface RunningBoard extends AsyncDisposable {
  /** Always `127.0.0.1`. */
  readonly host: string
  readonly port: number
}

type Verify = (request: IncomingMessage) => Promise<Reader | undefined>
type Page = (request: IncomingMessage, response: ServerResponse, reader: Reader) => void | Promise<void>

const formBytesMax = 4096
const updateMs = 1000

export async function startBoard(options: BoardOptions): Promise<RunningBoard> {
  const agent = new Agent({ connect: { ca: options.ca } })
  const verify = verifier(options, agent)
  const services = new Services()
  const pages = pagesOf(services)
  const server = createServer((request, response) => {
    void answer(request, response, { verify, pages, gateway: options.gateway }).catch(() => response.destroy())
  })
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 65_536 })
  server.on('upgrade', (request, socket, head) => {
    void welcome(sockets, verify, { request, socket, head }).catch(() => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    for (const socket of sockets.clients) socket.terminate()
    await closed
    await agent.close()
  }
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: stop }
}

/** An assertion is believed when key, issuer, audience and time are right (RFC 8725). */
function verifier({ gateway, name }: BoardOptions, dispatcher: Agent): Verify {
  const keys = createRemoteJWKSet(new URL('/.well-known/curfew/identity-keys.json', gateway), {
    [customFetch]: (url: string, init: object) => fetch(url, { ...init, dispatcher }),
  })
  const expected = { issuer: gateway.origin, audience: name, algorithms: ['ES256'] }
  return async ({ headers }) => {
    const assertion = headers['curfew-assertion']
    if (typeof assertion !== 'string') return undefined
    try {
      return { claims: (await jwtVerify(assertion, keys, expected)).payload }
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined
      throw error
    }
  }
}

interface Around {
  readonly verify: Verify
  readonly pages: ReadonlyMap<string, Page>
  readonly gateway: URL
}

async function answer(request: IncomingMessage, response: ServerResponse, around: Around): Promise<void> {
  const reader = await around.verify(request)
  if (reader === undefined) return html(response, 403, refusedPage(around.gateway))
  const { pathname } = new URL(request.url ?? '/', 'http://board.invalid')
  const page = around.pages.get(`${request.method} ${pathname}`)
  if (page === undefined) return text(response, 404, 'There is no such page.\n')
  await page(request, response, reader)
}

function pagesOf(services: Services): ReadonlyMap<string, Page> {
  return new Map<string, Page>([
    ['GET /', (_request, response, reader) => html(response, 200, boardPage(reader, services.all()))],
    ['GET /me', (_request, response, reader) => html(response, 200, mePage(reader))],
    ['GET /headers', (request, response, reader) => html(response, 200, headersPage(reader, pairs(request)))],
    ['GET /echo', (_request, response, reader) => html(response, 200, echoPage(reader))],
    ['GET /events', (_request, response) => tell(response, services)],
    ['GET /services.json', (_request, response) => json(response, services.all())],
    ['POST /acknowledge', (request, response, reader) => acknowledge(request, response, reader, services)],
  ])
}

function pairs({ rawHeaders }: IncomingMessage): readonly (readonly [string, string])[] {
  return rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name, rawHeaders[index + 1]!] as const] : []))
}

/** Server-sent events until the reader goes away. */
async function tell(response: ServerResponse, services: Services): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const over = new AbortController()
  response.once('close', () => over.abort())
  const send = () => response.write(`data: ${JSON.stringify(services.all())}\n\n`)
  send()
  try {
    for await (const _ of every(updateMs, undefined, { signal: over.signal, ref: false })) send()
  } catch (error) {
    if (!over.signal.aborted) throw error
  }
}

async function acknowledge(
  request: IncomingMessage,
  response: ServerResponse,
  reader: Reader,
  services: Services,
): Promise<void> {
  let form = ''
  for await (const piece of request.setEncoding('utf8') as AsyncIterable<string>) {
    form += piece
    if (form.length > formBytesMax) return text(response, 413, 'That is too long.\n')
  }
  const isKnown = services.acknowledge(new URLSearchParams(form).get('service') ?? '', nameOf(reader))
  if (!isKnown) return text(response, 400, 'There is no such service.\n')
  response.writeHead(303, { location: '/' }).end()
}

interface Upgrade {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
}

async function welcome(sockets: WebSocketServer, verify: Verify, { request, socket, head }: Upgrade): Promise<void> {
  socket.on('error', () => socket.destroy())
  const reader = request.url === '/socket' ? await verify(request) : undefined
  if (reader === undefined) {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    return
  }
  sockets.handleUpgrade(request, socket, head, echo)
}

function echo(webSocket: WebSocket): void {
  webSocket.on('error', () => webSocket.terminate())
  webSocket.on('message', (data: Buffer, binary) => webSocket.send(data, { binary }))
}

function html(response: ServerResponse, status: number, page: PageText): void {
  const about = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }
  response.writeHead(status, about).end(page.toString())
}

function text(response: ServerResponse, status: number, words: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(words)
}

function json(response: ServerResponse, value: unknown): void {
  response
    .writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(JSON.stringify(value))
}
