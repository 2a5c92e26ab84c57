/**
 * WebSockets of the tests' target, by path:
 *
 *     /ws/echo                sends back what comes; the text `close 4001 why` closes with that
 *     /ws/flood?size=…        sends messages as fast as they are taken (default 16 KiB each)
 *     /ws/tick?everyMs=…      sends `tick 1`, `tick 2` …
 *     /ws/silent              says nothing
 *     /ws/deaf                stops reading its socket
 *     /ws/refuse              402 in place of the upgrade
 */
import type { IncomingMessage } from 'node:http'
import type { Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocketServer, type RawData, type WebSocket } from 'ws'

export interface SeenWebSocket {
  /** Path and query. */
  readonly url: string
  readonly headers: IncomingMessage['headers']
  /** Messages that came, and the text of the last (base64 when it was binary). */
  readonly received: number
  readonly last: string
  readonly sent: number
  /** 1006: without a word. Null while it is open. */
  readonly closed: { readonly code: number; readonly reason: string } | null
}

type Running = { -readonly [Key in keyof SeenWebSocket]: SeenWebSocket[Key] }

/** The first of the subprotocols that a client offers is taken. */
export function acceptWebSockets(server: Server, seen: SeenWebSocket[], changed: () => void): void {
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: { threshold: 0 },
    maxPayload: 64 << 20,
    handleProtocols: ([first]) => first ?? false,
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Who goes away without a word shows as 1006.
    socket.on('error', () => undefined)
    const url = new URL(request.url ?? '/', 'http://target.invalid')
    const serve = services[url.pathname]
    if (serve === undefined) return void socket.end(refusal(url.pathname))
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const { url: asked = '', headers } = request
      const entry: Running = { url: asked, headers, received: 0, last: '', sent: 0, closed: null }
      seen.push(entry)
      watch(webSocket, entry, changed)
      serve({ webSocket, entry, url, socket })
    })
  })
}

function refusal(path: string): string {
  const status = path === '/ws/refuse' ? '402 Payment Required' : '404 Not Found'
  return `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n`
}

function watch(webSocket: WebSocket, entry: Running, changed: () => void): void {
  webSocket.on('error', () => undefined)
  webSocket.on('message', (data: RawData, isBinary) => {
    entry.received++
    entry.last = isBinary ? (data as Buffer).toString('base64') : (data as Buffer).toString()
    changed()
  })
  webSocket.on('close', (code, reason) => {
    entry.closed = { code, reason: reason.toString() }
    changed()
  })
  changed()
}

interface Served {
  readonly webSocket: WebSocket
  readonly entry: Running
  readonly url: URL
  readonly socket: Duplex
}

const services: Readonly<Record<string, (served: Served) => void>> = {
  '/ws/echo': echo,
  '/ws/flood': flood,
  '/ws/tick': (served) => void tick(served),
  '/ws/silent': () => undefined,
  '/ws/deaf': ({ webSocket }) => webSocket.pause(),
}

function echo({ webSocket, entry }: Served): void {
  webSocket.on('message', (data: RawData, binary) => {
    const [, code, reason = ''] = /^close (\d+)(?: (.*))?$/s.exec((data as Buffer).toString()) ?? []
    if (!binary && code !== undefined) return webSocket.close(Number(code), reason)
    entry.sent++
    webSocket.send(data, { binary })
  })
}

function flood({ webSocket, entry, url }: Served): void {
  const message = Buffer.alloc(Number(url.searchParams.get('size') ?? 16_384), 'flood ')
  const step = () => {
    if (webSocket.readyState !== webSocket.OPEN) return
    entry.sent++
    // Called when the system has it, so a reader who does not read stops this.
    webSocket.send(message, { compress: false }, (error) => error ?? setImmediate(step))
  }
  step()
}

async function tick({ webSocket, entry, url }: Served): Promise<void> {
  const everyMs = Number(url.searchParams.get('everyMs') ?? 50)
  while (webSocket.readyState === webSocket.OPEN) {
    entry.sent++
    webSocket.send(`tick ${entry.sent}`)
    await sleep(everyMs)
  }
}
