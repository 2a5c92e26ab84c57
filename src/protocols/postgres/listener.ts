import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import type { PostgresListener } from '../../config/config.ts'
import { Fault } from '../../kernel/fault.ts'
import type { ListeningWithTls } from '../../kernel/listening.ts'
import { serveConnection, type ConnectionDeps } from './connection.ts'
import { SaltedPasswords } from './salted-passwords.ts'
import { Errands } from './errands.ts'
import { Scratch } from './scratch.ts'
import { Handshakes } from './handshakes.ts'
import { secureOptions, type Terms } from './greet.ts'
import { backlog } from '../backlog.ts'
import { keepAlive } from '../keep-alive.ts'
import { createLobby, type Lobby } from '../lobby.ts'

/** `cancelKeys` is shared by all listeners of a node: a CancelRequest may come in by another one. */
export interface PostgresDeps extends Omit<
  ConnectionDeps,
  'lobby' | 'terms' | 'handshakes' | 'errands' | 'stopping' | 'scratch' | 'salted'
> {
  /** Shared where the limits are to hold for several listeners together; by default each counts alone. */
  readonly lobby?: Lobby
}

/** Without one, OpenSSL refuses clients that resume a session where certificates are asked for. */
const sessionIdContext = 'curfew-postgres'

/**
 * Accepts PostgreSQL clients.
 * Disposing stops accepting and ends, with SHUTTING_DOWN, what is not a session yet; sessions end by the gate's own
 * cut, and it resolves when they have.
 * @throws when the address cannot be listened on, or the certificate cannot be used.
 */
export async function listenPostgres(
  listener: PostgresListener,
  deps: PostgresDeps,
): Promise<ListeningWithTls<PostgresListener>> {
  const stop = new AbortController()
  const connections = new OpenConnections()
  const lobby = deps.lobby ?? createLobby(deps.settings.limits, deps.metrics)
  const scratch = new Scratch(deps.clock)
  const errands = new Errands(scratch.turns)
  const { authority } = deps.identity.certificates
  const within = {
    ...deps,
    lobby,
    scratch,
    errands,
    salted: new SaltedPasswords(),
    handshakes: new Handshakes(deps.clock),
    terms: termsOf(listener, authority),
    stopping: stop.signal,
  }
  const serve = (socket: Socket) => {
    if (socket.destroyed) return
    keepAlive(socket, listener.keepalives)
    connections.enter()
    void serveConnection(socket, within, connections.leave)
  }
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined) // until its turn comes nobody else would see it
    if (errands.waiting >= backlog) socket.destroy()
    else errands.add(() => serve(socket))
  })
  server.listen({ port: listener.port, host: listener.address, backlog })
  await once(server, 'listening')
  server.on('error', (error) => deps.log.error({ error }, 'a connection could not be accepted'))
  const { address, port } = server.address() as AddressInfo
  return {
    ...{ address, port },
    renewal: (settings) => {
      const terms = termsOf({ ...listener, tls: settings.tls }, authority)
      return () => void (within.terms = terms)
    },
    [Symbol.asyncDispose]: () => close(server, stop, connections),
  }
}

/** @param ca whose name clients are told, so that those with several certificates choose ours. */
function termsOf({ tls, minTlsVersion: minVersion, plaintext, balancers }: PostgresListener, ca: string): Terms {
  if (tls === null) return { tls: null, plaintext, balancers }
  const { certificate: cert, key } = tls
  return {
    tls: createSecureContext({ cert, key: key.reveal(), ca, minVersion, secureOptions, sessionIdContext }),
    plaintext,
    balancers,
  }
}

async function close(server: Server, stop: AbortController, connections: OpenConnections): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  stop.abort(new Fault('SHUTTING_DOWN', 'The gateway is shutting down.'))
  await connections.allGone()
  await closed
}

/** Counts connections; a promise for each would outlive everything else of an idle session. */
class OpenConnections {
  #count = 0
  #allGone: PromiseWithResolvers<void> | undefined

  enter(): void {
    this.#count += 1
  }

  readonly leave = (): void => {
    this.#count -= 1
    if (this.#count === 0) this.#allGone?.resolve()
  }

  async allGone(): Promise<void> {
    if (this.#count === 0) return
    this.#allGone ??= Promise.withResolvers()
    await this.#allGone.promise
  }
}
