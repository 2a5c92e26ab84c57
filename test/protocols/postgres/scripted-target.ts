/** A target made by hand: it lets everybody in, keeps every byte that it gets, and says what a test tells it to. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { backendKeyData, fromServer, int32, message, readyForQuery } from '../../../src/protocols/postgres/messages.ts'
import type { TestPostgres } from '../../servers/postgres.ts'

export interface ScriptedTarget extends AsyncDisposable {
  readonly port: number
  /** As much of a server as a stage has to know. */
  readonly postgres: TestPostgres
  /** Connections that were let in and have not been asked for yet; waits for one. Cancel requests do not count. */
  next(): Promise<Heard>
  /** What it says to those who come from now on, in place of a login that works. */
  greeting: (socket: Socket) => void
}

/** One connection, behind its startup message. */
export interface Heard {
  readonly socket: Socket
  /** Everything that came behind the startup message, when the other side has hung up. */
  readonly all: Promise<Buffer>
}

export const loggedIn: Buffer = Buffer.concat([
  message(fromServer.authentication, int32(0)),
  backendKeyData(17, Buffer.alloc(4, 7)),
  readyForQuery('I'.charCodeAt(0)),
])
const cancelCode = 80_877_102

export async function startScriptedTarget(): Promise<ScriptedTarget> {
  const sockets = new Set<Socket>()
  const waiting: Heard[] = []
  let wake = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket))
    socket.once('data', (startup: Buffer) => {
      if (startup.readInt32BE(4) === cancelCode) return void socket.end()
      const chunks: Buffer[] = [startup.subarray(startup.readInt32BE(0))]
      const all = Promise.withResolvers<Buffer>()
      socket.on('data', (chunk: Buffer) => chunks.push(chunk)).once('close', () => all.resolve(Buffer.concat(chunks)))
      target.greeting(socket)
      waiting.push({ socket, all: all.promise })
      wake.resolve()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const target: ScriptedTarget = {
    port,
    postgres: {
      ...{ host: '127.0.0.1', port, ca: '' },
      passwords: { shop_readonly: 'x', shop_admin: 'x', shop_reporting: 'x' },
    } as TestPostgres,
    greeting: (socket) => void socket.write(loggedIn),
    async next() {
      while (waiting.length === 0) {
        await wake.promise
        wake = Promise.withResolvers()
      }
      return waiting.shift()!
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  return target
}
