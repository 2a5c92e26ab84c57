import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type Server } from 'node:http'
import { createSecureServer } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type ServerOptions, type WebSocket } from 'ws'
import { issue, makeAuthority } from '../../../../scripts/certificates.ts'
import type { Clock } from '../../../../src/kernel/time.ts'
import type { HttpEvents } from '../../../../src/recording/http-events.ts'
import type { Recorder } from '../../../../src/recording/recorder.ts'
import { relayWebSocket } from '../../../../src/protocols/http/websocket/relay.ts'
import type { WebSocketRelay } from '../../../../src/protocols/http/websocket/websocket.ts'
import { systemClock } from '../../../../src/system.ts'
import { silentLog } from '../../../recording/support.ts'

/** A recorder in memory whose disk stalls when a test says so. */
export class HandRecorder implements Recorder {
  readonly events: { readonly code: string; readonly data: unknown; readonly bytes?: Buffer }[] = []
  active = true
  full = false
  #drained: PromiseWithResolvers<void> | null = null

  isFullAt(): boolean {
    return this.full
  }

  event(code: string, data: unknown): void {
    this.events.push({ code, data: JSON.parse(JSON.stringify(data)) as unknown })
  }

  encoded(tail: Buffer, tailBytes: number): void {
    const [code, data] = JSON.parse(`[${tail.toString('utf8', 0, tailBytes)}]`) as [string, unknown]
    this.event(code, data)
  }

  bytes(code: `=${string}`, data: Readonly<Record<string, unknown>>, bytes: Uint8Array): void {
    this.events.push({ code, data: { ...data, bytes: bytes.length }, bytes: Buffer.from(bytes) })
  }

  drained(): Promise<void> {
    if (!this.full) return Promise.resolve()
    this.#drained ??= Promise.withResolvers()
    return this.#drained.promise
  }

  catchUp(): void {
    this.full = false
    this.#drained?.resolve()
    this.#drained = null
  }

  break(error: Error): void {
    this.#drained?.reject(error)
  }

  async seal(): Promise<void> {}

  /** Direction, opcode and bytes of what was written down, without its times. */
  get messages(): readonly string[] {
    return this.lines.flatMap(({ messages }) =>
      messages.map(([, direction, opcode, bytes]) => `${direction} ${opcode} ${bytes}`),
    )
  }

  get lines(): readonly HttpEvents['w'][] {
    return this.events.filter(({ code }) => code === 'w').map(({ data }) => data as HttpEvents['w'])
  }
}

export interface Pair {
  readonly relay: WebSocketRelay
  readonly client: Duplex
  readonly target: Duplex
}

export interface RelayedOptions {
  readonly tls?: boolean
  readonly clock?: Clock
  readonly recorder?: Recorder
  readonly target?: ServerOptions
  /** Instead of a WebSocket server: takes the target's connection after the upgrade. */
  readonly onTarget?: (socket: Duplex) => void
}

/** A WebSocket server behind a small gateway that upgrades both connections and relays them. */
export async function startRelayed(options: RelayedOptions = {}) {
  const { clock = systemClock, recorder = new HandRecorder() } = options
  const behind = createServer()
  const server = new WebSocketServer({ noServer: true, ...options.target })
  const sockets = new Set<Duplex>()
  behind.on('upgrade', (incoming: IncomingMessage, socket, head) => {
    sockets.add(socket)
    if (options.onTarget === undefined) {
      server.handleUpgrade(incoming, socket, head, (webSocket) => server.emit('connection', webSocket, incoming))
      return
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    options.onTarget(socket)
  })
  await listening(behind)
  const waiting: ((pair: Pair) => void)[] = []
  const early: Pair[] = []
  const front = await makeFront(options.tls ?? false)
  front.server.on('upgrade', (incoming: IncomingMessage, client: Socket, clientFirst: Buffer) => {
    sockets.add(client)
    const asked = request({ port: portOf(behind), path: incoming.url, headers: incoming.headers })
    asked.on('upgrade', ({ rawHeaders }, target, targetFirst) => {
      client.write(`HTTP/1.1 101 Switching Protocols\r\n${lines(rawHeaders)}\r\n`)
      const relay = relayWebSocket({ client, clientFirst, target, targetFirst, n: 1, recorder, clock, log: silentLog })
      const pair = { relay, client, target }
      const taker = waiting.shift()
      if (taker === undefined) early.push(pair)
      else taker(pair)
    })
    asked.end()
  })
  await listening(front.server)
  return {
    url: `${front.ca === '' ? 'ws' : 'wss'}://localhost:${portOf(front.server)}/`,
    port: portOf(front.server),
    ca: front.ca,
    certificate: front.certificate,
    server,
    recorder: recorder as HandRecorder,
    /** The next relay that was started. */
    next: async (): Promise<Pair> => early.shift() ?? (await new Promise<Pair>((resolve) => waiting.push(resolve))),
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
      behind.closeAllConnections()
      await Promise.all([front.server, behind].map((one) => new Promise((resolve) => one.close(resolve))))
    },
  }
}

async function makeFront(tls: boolean): Promise<{ server: Server; ca: string; certificate: string }> {
  if (!tls) return { server: createServer(), ca: '', certificate: '' }
  const authority = await makeAuthority('test')
  const { certificate, key } = await issue(authority, { names: ['localhost'] })
  // As the gateway listens: one port for HTTP/1.1 and HTTP/2.
  const server = createSecureServer({ allowHTTP1: true, cert: certificate, key })
  return { server: server as unknown as Server, ca: authority.certificate, certificate }
}

async function listening(server: Server): Promise<void> {
  server.listen(0, 'localhost')
  await once(server, 'listening')
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

function lines(rawHeaders: readonly string[]): string {
  return rawHeaders.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('')
}

/** The server's end of the next connection. */
export async function accepted(server: WebSocketServer): Promise<WebSocket> {
  const [webSocket] = (await once(server, 'connection')) as [WebSocket]
  return webSocket
}

export async function closed(webSocket: WebSocket): Promise<{ code: number; reason: string }> {
  const [code, reason] = (await once(webSocket, 'close')) as [number, Buffer]
  return { code, reason: reason.toString('utf8') }
}

export async function message(webSocket: WebSocket): Promise<Buffer> {
  const [data] = (await once(webSocket, 'message')) as [Buffer]
  return data
}
