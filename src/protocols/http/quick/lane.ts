import type { Server, TLSSocket } from 'node:tls'
import { QuickConnection, type ConnectionDeps } from './connection.ts'

export type LaneDeps = Pick<ConnectionDeps, 'answerer' | 'idleMs' | 'onSilence'> & {
  /** For the first request to come; looked at twice in that time. */
  readonly firstMs: number
}

const tooLate = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n'

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
export function openLane(server: Server, { firstMs, ...deps }: LaneDeps): Lane {
  const [own] = server.listeners('secureConnection') as ((socket: TLSSocket) => void)[]
  if (own === undefined) throw new Error('the server does not take connections itself')
  const all = new Map<QuickConnection, number>()
  const toNode = own.bind(server)
  const parts = {
    ...deps,
    toNode: toNode as ConnectionDeps['toNode'],
    onLeft: (connection: QuickConnection) => void all.delete(connection),
  }
  server.off('secureConnection', own)
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol === 'h2') toNode(socket)
    else all.set(new QuickConnection(socket, parts), performance.now())
  })
  const sweep = setInterval(() => {
    for (const [connection, sinceMs] of all) {
      if (connection.isFresh && performance.now() - sinceMs > firstMs) connection.socket.end(tooLate).destroySoon()
    }
  }, firstMs / 2)
  return {
    close() {
      clearInterval(sweep)
      for (const connection of all.keys()) connection.close()
    },
  }
}
