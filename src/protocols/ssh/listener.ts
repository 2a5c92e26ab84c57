import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import type { SshListener } from '../../config/config.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Listening } from '../../kernel/listening.ts'
import { backlog } from '../backlog.ts'
import { keepAlive } from '../keep-alive.ts'
import { serveConnection, type ConnectionDeps } from './connection.ts'
import { Hall } from './hall.ts'
import { sshLibrary } from './transport-over-library.ts'

export type SshDeps = Omit<ConnectionDeps, 'port' | 'stopping' | 'hall'>

/**
 * Accepts SSH clients.
 * Disposing stops accepting and ends, with SHUTTING_DOWN, what is not a session yet; sessions end by the gate's own
 * cut, and it resolves when they have.
 * @throws when the address cannot be listened on, or the library beneath is not the one that was pinned.
 */
export async function listenSsh(listener: SshListener, deps: SshDeps): Promise<Listening> {
  const stop = new AbortController()
  const connections = new Set<Promise<void>>()
  const hall = new Hall(deps.settings.limits.sessionsPerPersonMax)
  const within = { ...deps, hall, stopping: stop.signal, port: () => (server.address() as AddressInfo).port }
  const server = createServer({ noDelay: true }, (socket) => {
    keepAlive(socket, listener.keepalives)
    const served = serveConnection(socket, within)
    connections.add(served)
    void served.finally(() => connections.delete(served))
  })
  await sshLibrary()
  server.listen({ port: listener.port, host: listener.address, backlog })
  await once(server, 'listening')
  server.on('error', (error) => deps.log.error({ error }, 'a connection could not be accepted'))
  const { address, port } = server.address() as AddressInfo
  return { address, port, [Symbol.asyncDispose]: () => close(server, stop, connections) }
}

async function close(server: Server, stop: AbortController, connections: Set<Promise<void>>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  stop.abort(new Fault('SHUTTING_DOWN', 'The gateway is shutting down.'))
  await Promise.all(connections)
  await closed
}
