import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import pg from 'pg'
import type { Way } from './pgbench.ts'

const queryType = 0x51
const readyBytes: Buffer = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])

/** A session that sends simple queries and looks at no more of the answers than where they end. */
export class RawClient implements AsyncDisposable {
  readonly #client: pg.Client
  readonly #socket: Socket

  private constructor(client: pg.Client, socket: Socket) {
    this.#client = client
    this.#socket = socket
  }

  static async open(way: Way): Promise<RawClient> {
    const client = await openClient(way)
    // Its parser would cost more than the way that is measured.
    const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
    stream.removeAllListeners('data')
    return new RawClient(client, stream)
  }

  /** @returns how many bytes were answered. */
  query(sql: string): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>()
    let bytes = 0
    let tail: Buffer = Buffer.alloc(0)
    const onData = (chunk: Buffer) => {
      bytes += chunk.length
      const end = chunk.length >= readyBytes.length ? chunk : Buffer.concat([tail, chunk])
      tail = Buffer.from(end.subarray(-readyBytes.length))
      if (!tail.equals(readyBytes)) return
      this.#socket.off('data', onData)
      resolve(bytes)
    }
    this.#socket.on('data', onData)
    this.#socket.write(queryMessage(sql))
    return promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#socket, 'close')
    this.#socket.end(Buffer.from([0x58, 0, 0, 0, 4]))
    this.#client.removeAllListeners('error').on('error', () => undefined)
    await closed
  }
}

export async function openClient({ port, user, database, password }: Way): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, database, password, ssl: false })
  client.on('error', () => undefined) // what is being measured fails by itself
  await client.connect()
  return client
}

function queryMessage(sql: string): Buffer {
  const message = Buffer.alloc(1 + 4 + Buffer.byteLength(sql) + 1)
  message[0] = queryType
  message.writeInt32BE(message.length - 1, 1)
  message.write(sql, 5)
  return message
}

const sslRequest: Buffer = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

/** A connection to the gateway, by TLS where it is wanted; nothing of PostgreSQL is said yet. */
export async function openSocket(port: number, tls: boolean): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  if (!tls) return socket
  socket.write(sslRequest)
  await once(socket, 'data')
  // Whom it speaks to is not what is measured.
  const secured = connectTls({ socket, rejectUnauthorized: false })
  await once(secured, 'secureConnect')
  return secured
}
