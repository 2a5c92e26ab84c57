import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createAdaptorServer } from '@hono/node-server'
import type { WebListener } from '../config/config.ts'
import type { Listening } from '../kernel/listening.ts'
import { createWebApp } from './app.ts'
import type { WebDeps } from './deps.ts'

const handshakeMs = 10_000
const headersMs = 10_000
const requestMs = 30_000
/** Between two requests, and for a client that stops reading. */
const idleMs = 75_000
const headerBytesMax = 16 * 1024
const connectionsMax = 8192
const connectionsPerAddressMax = 512
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
 * Opens the pages and the API, over TLS.
 * @throws when the address is taken or the certificate does not fit its key.
 */
export async function listenWeb(listener: WebListener, deps: WebDeps): Promise<Listening> {
  const closing = new AbortController()
  const app = createWebApp(deps, closing.signal)
  const server = createAdaptorServer({
    fetch: app.fetch,
    createServer,
    serverOptions: serverOptions(listener),
    overrideGlobalObjects: false,
  }) as Server
  server.maxConnections = connectionsMax
  server.timeout = idleMs
  limitPerAddress(server)
  server.on('secureConnection', (socket: TLSSocket) => socket.disableRenegotiation())
  server.on('tlsClientError', (error) => deps.log.debug({ err: error }, 'web: TLS handshake failed'))
  server.listen(listener.port, listener.address)
  await once(server, 'listening')
  server.on('error', (error) => deps.log.error({ error }, 'web: a connection could not be accepted'))
  const { address, port } = server.address() as AddressInfo
  return { address, port, [Symbol.asyncDispose]: () => close(server, closing) }
}

function serverOptions({ tls }: WebListener) {
  return {
    cert: tls.certificate,
    key: tls.key.reveal(),
    minVersion: 'TLSv1.2',
    ciphers,
    honorCipherOrder: true,
    handshakeTimeout: handshakeMs,
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    keepAliveTimeout: idleMs,
    connectionsCheckingInterval: 5000,
    maxHeaderSize: headerBytesMax,
    requireHostHeader: true,
  } as const
}

/** One address cannot take every place. */
function limitPerAddress(server: Server): void {
  const open = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    const count = (open.get(address) ?? 0) + 1
    if (count > connectionsPerAddressMax) {
      socket.destroy()
      return
    }
    open.set(address, count)
    socket.once('close', () => {
      const left = open.get(address)! - 1
      if (left === 0) open.delete(address)
      else open.set(address, left)
    })
  })
}

async function close(server: Server, closing: AbortController): Promise<void> {
  if (closing.signal.aborted) return
  closing.abort()
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  const grace = setTimeout(() => server.closeAllConnections(), closeGraceMs)
  await closed
  clearTimeout(grace)
}
