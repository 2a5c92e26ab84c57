import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, isIP, type Server, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { asFault } from '../../kernel/fault.ts'
import { CliProblem } from '../problem.ts'
import type { Connection } from './connection.ts'
import { readFirstPacket, refusalPacket, rewriteStartup, type FirstPacket } from './startup-packet.ts'

export interface ForwarderParts {
  /** Asked before each connection: the certificate in it holds. */
  readonly connection: () => Promise<Connection>
  /** For the startup parameter `options`. */
  readonly options: string
  /** Told of what the client at the other end is told, too. */
  readonly onRefused: (message: string) => void
}

/** Long enough for a person who types into telnet, short enough for what forgets to hang up. */
const firstPacketMsMax = 10_000
const connectMsMax = 15_000
const connectionsMax = 256
const alpnName = 'postgresql'
const no = Buffer.from('N')

/**
 * A server for clients that know nothing of the gateway: it speaks plain text with them, and TLS with a certificate to the
 * gateway. Whose connection it is, and where it leads, is the same for all.
 */
export function createForwarder(parts: ForwarderParts): { readonly server: Server; endAll: () => void } {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true, keepAlive: true }, (client) => {
    sockets.add(client)
    client.on('error', () => undefined) // it is closed either way, and close is what counts
    client.once('close', () => sockets.delete(client))
    void serve(client, parts)
  })
  server.maxConnections = connectionsMax
  const endAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  return { server, endAll }
}

async function serve(client: Socket, parts: ForwarderParts): Promise<void> {
  try {
    const { first, rest } = await meet(client)
    if (first === undefined) return void client.destroy()
    const connection = await parts.connection()
    const onward = { user: connection.user, database: connection.database, options: parts.options }
    const opening = first.kind === 'cancel' ? first.packet : rewriteStartup(first.packet, onward)
    const gateway = await reach(connection)
    gateway.write(opening)
    if (rest.length > 0) gateway.write(rest)
    await join(client, gateway)
  } catch (error) {
    refuse(client, error, parts)
  }
}

/** Up to the packet that counts; undefined when the client went. Encryption is declined: this is one machine. */
async function meet(client: Socket): Promise<{ first: FirstPacket | undefined; rest: Buffer }> {
  let unread: Buffer = Buffer.alloc(0)
  client.setTimeout(firstPacketMsMax, () => client.destroy())
  try {
    for (;;) {
      const first = readFirstPacket(unread)
      if (first === undefined) {
        const more = await nextChunk(client)
        if (more === undefined) return { first: undefined, rest: unread }
        unread = Buffer.concat([unread, more])
        continue
      }
      unread = unread.subarray(first.bytes)
      if (first.kind !== 'encryption') return { first, rest: unread }
      client.write(no)
    }
  } finally {
    client.setTimeout(0)
  }
}

async function nextChunk(client: Socket): Promise<Buffer | undefined> {
  for (;;) {
    const chunk = client.read() as Buffer | null
    if (chunk !== null) return chunk
    if (client.readableEnded || client.destroyed) return undefined
    const over = new AbortController()
    const { signal } = over
    // Whatever comes first; an error is followed by a close.
    await Promise.race(
      ['readable', 'end', 'close'].map((event) => once(client, event, { signal }).catch(() => undefined)),
    )
    over.abort()
  }
}

async function reach({ host, port, certificate, key, rootCertificate }: Connection): Promise<TLSSocket> {
  const [cert, privateKey, ca] = await Promise.all([certificate, key, rootCertificate].map((file) => readFile(file)))
  const socket = connectTls({
    ...{ host, port, cert: cert!, key: privateKey!, ca: ca!, minVersion: 'TLSv1.2' },
    ...{ ALPNProtocols: [alpnName], ...(isIP(host) === 0 && { servername: host }) },
  })
  socket.setNoDelay(true).setKeepAlive(true)
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(connectMsMax) })
    return socket
  } catch (cause) {
    socket.on('error', () => undefined).destroy()
    throw new CliProblem(`the gateway cannot be reached at ${host}:${port}: ${reasonOf(cause)}`, { cause })
  }
}

/** Both ways until both are over. What the gateway said last reaches the client; what the client leaves, the gateway drops. */
async function join(client: Socket, gateway: TLSSocket): Promise<void> {
  gateway.on('error', () => undefined) // a close follows
  client.once('close', () => gateway.destroy())
  gateway.once('close', () => client.destroySoon())
  const over = [client, gateway].map(async (socket) => socket.closed || (await once(socket, 'close')))
  client.pipe(gateway)
  gateway.pipe(client)
  if (client.destroyed) gateway.destroy()
  await Promise.all(over)
}

function refuse(client: Socket, error: unknown, { onRefused }: ForwarderParts): void {
  const known = error instanceof CliProblem || error instanceof RangeError ? error : asFault(error)
  const message = known?.message ?? reasonOf(error)
  const hint = known !== undefined && 'hint' in known && typeof known.hint === 'string' ? known.hint : null
  onRefused(hint === null ? message : `${message}. ${hint}`)
  if (client.writable) client.write(refusalPacket('08006', message, hint))
  client.destroySoon()
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
