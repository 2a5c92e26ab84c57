/** A PostgreSQL client made of bytes, for what no library does: it sends halves, does not read, and pipelines as it likes. */
import { once } from 'node:events'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import {
  cstring,
  fromClient,
  fromServer,
  int32,
  message,
  readReport,
  type Report,
} from '../../src/protocols/postgres/messages.ts'
import { sslRequest, startupMessage } from '../../src/protocols/postgres/startup.ts'

export interface WireOptions {
  readonly port: number
  /** Null: without TLS. */
  readonly ca: string | null
  readonly user: string
  readonly database: string
  readonly password: string | undefined
  readonly application: string
}

export class WireClient {
  readonly socket: Socket
  readonly #reports: Report[] = []
  #pending: Buffer = Buffer.alloc(0)
  #ready = 0
  #wake = Promise.withResolvers<void>()
  #isOver = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', () => undefined).on('close', () => this.#end())
    socket.on('end', () => this.#end())
  }

  /** Resolves when it is ready for queries. */
  static async connect({ port, ca, user, database, password, application }: WireOptions): Promise<WireClient> {
    const plain = connectPlain({ port, host: 'localhost' })
    await once(plain, 'connect')
    const client = new WireClient(ca === null ? plain : await secured(plain, ca))
    client.socket.write(
      startupMessage([
        ['user', user],
        ['database', database],
        ['application_name', application],
      ]),
    )
    if (password !== undefined) client.socket.write(message(fromClient.password, cstring(password)))
    await client.#until(() => client.#ready > 0)
    return client
  }

  /** A simple query. Resolves at ReadyForQuery. */
  async query(sql: string): Promise<void> {
    const before = this.#ready
    this.socket.write(message(fromClient.query, cstring(sql)))
    await this.#until(() => this.#ready > before)
  }

  /** Statements in one pipeline, with no Sync behind them. */
  pipeline(...statements: readonly string[]): void {
    const none = Buffer.alloc(2)
    for (const sql of statements) {
      const parse = message(fromClient.parse, cstring(''), cstring(sql), none)
      const bind = message(fromClient.bind, cstring(''), cstring(''), none, none, none)
      this.socket.write(Buffer.concat([parse, bind, message(fromClient.execute, cstring(''), int32(0))]))
    }
    this.socket.write(message(fromClient.flush))
  }

  /** The last error that it read before the connection ended; undefined when it just ended. */
  async farewell(): Promise<Report | undefined> {
    await this.#until(() => this.#isOver)
    return this.#reports.at(-1)
  }

  #read(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    while (this.#pending.length >= 5) {
      const end = 1 + this.#pending.readInt32BE(1)
      if (this.#pending.length < end) break
      const type = this.#pending[0]
      if (type === fromServer.errorResponse) this.#reports.push(readReport(this.#pending.subarray(5, end)))
      if (type === fromServer.readyForQuery) this.#ready += 1
      this.#pending = this.#pending.subarray(end)
    }
    this.#wake.resolve()
  }

  #end(): void {
    this.#isOver = true
    this.#wake.resolve()
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.#isOver) throw new Error(`the connection ended: ${this.#reports.at(-1)?.message ?? 'no reason'}`)
      await this.#wake.promise
      this.#wake = Promise.withResolvers()
    }
  }
}

async function secured(socket: Socket, ca: string): Promise<Socket> {
  socket.write(sslRequest)
  await once(socket, 'data')
  const tls = connectTls({ socket, ca, servername: 'localhost' })
  await once(tls, 'secureConnect')
  return tls
}
