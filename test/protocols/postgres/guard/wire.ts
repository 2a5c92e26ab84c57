/** A client without a driver: sends messages as they are, and tells answers in short. Notices stand apart: they may come at any time. */
import { once } from 'node:events'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { fromClient, message, readReport } from '../../../../src/protocols/postgres/messages.ts'
import { startupMessage } from '../../../../src/protocols/postgres/startup.ts'

export const parse = (sql: string, name = ''): Buffer => message(fromClient.parse, Buffer.from(`${name}\0${sql}\0\0\0`))
export const bind = (statement = ''): Buffer => message(fromClient.bind, Buffer.from(`\0${statement}\0\0\0\0\0\0\0`))
export const execute: Buffer = message(fromClient.execute, Buffer.from('\0\0\0\0\0'))
export const sync: Buffer = message(fromClient.sync)
/** Parse, Bind, Execute. */
export const run = (sql: string): Buffer => Buffer.concat([parse(sql), bind(), execute])

const tellers: Readonly<Record<string, (body: Buffer) => string>> = {
  C: (body) => `C ${body.toString('utf8', 0, body.length - 1)}`,
  E: (body) => `E ${readReport(body).sqlstate}`,
  Z: (body) => `Z ${String.fromCharCode(body[0]!)}`,
}

export class Wire {
  readonly socket: TLSSocket
  readonly #answers: string[] = []
  readonly errors: string[] = []
  readonly notices: string[] = []
  #bytes = Buffer.alloc(0)
  #changed = Promise.withResolvers<void>()
  isClosed = false
  /** Body of BackendKeyData. */
  key = Buffer.alloc(0)

  constructor(socket: TLSSocket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.isClosed = true
      this.#tell()
    })
  }

  send(...messages: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(messages))
  }

  /** Answers up to and with so many of `last`, each in short: `1`, `C INSERT 0 1`, `E 42501`, `Z T`. */
  async until(last: string, count = 1): Promise<readonly string[]> {
    for (;;) {
      let seen = 0
      const at = this.#answers.findIndex((answer) => answer.startsWith(last) && ++seen === count)
      if (at >= 0) return this.#answers.splice(0, at + 1)
      if (this.isClosed) throw new Error(`closed after ${this.#answers.join(', ')}`)
      await this.#changed.promise
    }
  }

  async noticed(): Promise<string> {
    while (this.notices.length === 0) await this.#changed.promise
    return this.notices.shift()!
  }

  /** Sends, and tells what came up to the next ReadyForQuery. */
  async ask(...messages: readonly Buffer[]): Promise<readonly string[]> {
    this.send(...messages)
    return this.until('Z')
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    while (this.#bytes.length >= 5 && this.#bytes.length > this.#bytes.readInt32BE(1)) {
      const end = 1 + this.#bytes.readInt32BE(1)
      const type = String.fromCharCode(this.#bytes[0]!)
      const body = this.#bytes.subarray(5, end)
      if (type === 'K') this.key = Buffer.from(body)
      if (type === 'E') this.errors.push(readReport(body).message)
      if (type === 'N') this.notices.push(readReport(body).message)
      if (type !== 'S' && type !== 'N') this.#answers.push(tellers[type]?.(body) ?? type)
      this.#bytes = this.#bytes.subarray(end)
    }
    this.#tell()
  }

  #tell(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

export async function openWire(
  place: { readonly port: number; readonly ca: string },
  user: string,
  more: readonly (readonly [string, string])[] = [],
): Promise<Wire> {
  const options = { ALPNProtocols: ['postgresql'], ca: place.ca, servername: 'localhost' }
  const socket = connectTls({ host: '127.0.0.1', port: place.port, ...options })
  await once(socket, 'secureConnect')
  const wire = new Wire(socket)
  wire.send(startupMessage([['user', user], ['database', 'shop'], ...more]))
  await wire.until('Z')
  return wire
}
