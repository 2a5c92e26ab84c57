import type { Socket } from 'node:net'
import type { Server, TLSSocket } from 'node:tls'
import { refuseRaw } from '../raw-refusal.ts'
import { QuickConnection, type ConnectionDeps } from './connection.ts'

export type LaneDeps = Pick<ConnectionDeps, 'answerer'> & {
  /** Looked at ten times meanwhile, too. */
  readonly idleMs: number
  /** Nothing came and nothing was answered in that time; called again and again while that lasts. */
  readonly onSilence: (socket: Socket) => void
  /** For the first head to have come, here or at Node's server; looked at ten times meanwhile. */
  readonly firstMs: number
}

const looksMax = 10

/** Every way in which Node's server tells that a head has come. */
const headEvents = ['request', 'checkContinue', 'checkExpectation', 'upgrade']

/** The connections of HTTP/1.1 that stand before Node's server. */
export interface Lane {
  /** Those without an answer under way are closed at once, the others behind it. */
  close(): void
}

/**
 * Puts itself before Node's server: connections that spoke of HTTP/2 go to it at once, others with the first thing that is
 * not a plain request of an application (see `QuickConnection`).
 * @param server of node:http2 with `allowHTTP1`, whose own listener to connections is the first.
 */
export function openLane(server: Server, { answerer, idleMs, onSilence, firstMs }: LaneDeps): Lane {
  const [own] = server.listeners('secureConnection') as ((socket: TLSSocket) => void)[]
  if (own === undefined) throw new Error('the server does not take connections itself')
  const all = new Set<QuickConnection>()
  const waiting = new FirstHeads(firstMs)
  const toNode = own.bind(server)
  const beat = { count: 0 }
  // A timer for each connection would have to be set anew with each request, which costs more than it seems.
  const look = setInterval(() => {
    beat.count += 1
    for (const { socket, heardAt } of all) if (beat.count - heardAt > looksMax) onSilence(socket)
  }, idleMs / looksMax)
  const parts = {
    ...{ answerer, beat, toNode: toNode as ConnectionDeps['toNode'] },
    onLeft: (connection: QuickConnection) => void all.delete(connection),
  }
  server.off('secureConnection', own)
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol === 'h2') return toNode(socket)
    const connection = new QuickConnection(socket, parts)
    all.add(connection)
    waiting.add(connection)
  })
  for (const event of headEvents) server.on(event, (request: HeadCame) => waiting.came(request))
  return {
    close() {
      clearInterval(look)
      waiting.stop()
      for (const connection of all) connection.close()
    },
  }
}

/** A request of Node's server; only those of HTTP/2 have a stream. */
interface HeadCame {
  readonly socket: Socket
  readonly stream?: unknown
}

/**
 * Connections that have not sent a whole head yet. Node's server would give those that it gets from us their time once more.
 */
class FirstHeads {
  readonly #sinceMs = new Map<Socket, { readonly connection: QuickConnection; readonly sinceMs: number }>()
  readonly #sweep: NodeJS.Timeout

  constructor(firstMs: number) {
    this.#sweep = setInterval(() => this.#refuseLate(firstMs), firstMs / looksMax)
  }

  add(connection: QuickConnection): void {
    this.#sinceMs.set(connection.socket, { connection, sinceMs: performance.now() })
  }

  came(request: HeadCame): void {
    if (!('stream' in request)) this.#sinceMs.delete(request.socket)
  }

  stop(): void {
    clearInterval(this.#sweep)
  }

  #refuseLate(firstMs: number): void {
    const now = performance.now()
    for (const [socket, { connection, sinceMs }] of this.#sinceMs) {
      const isLate = !socket.destroyed && connection.isFresh && now - sinceMs > firstMs
      if (isLate) refuseRaw(socket, 408, 'The head of the request took too long.')
      if (isLate || socket.destroyed || !connection.isFresh) this.#sinceMs.delete(socket)
    }
  }
}
