import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** One idle PostgreSQL session, with as little code as measuring allows: it notes when it reads an ErrorResponse. */
export interface WireSession {
  /** `performance.now()` when the FATAL was read; undefined while the session lives. */
  fatalAtMs: number | undefined
  sqlState: string | undefined
  readonly socket: Socket
}

const protocol30 = 196_608

/** Opens a session with a token as the password, over plaintext. Resolves at ReadyForQuery. */
export async function openSession(
  port: number,
  user: string,
  database: string,
  password: string,
): Promise<WireSession> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return await openSessionOn(socket, user, database, password)
}

/** The same on a connection that there is. */
export function openSessionOn(socket: Socket, user: string, database: string, password: string): Promise<WireSession> {
  const session: WireSession = { fatalAtMs: undefined, sqlState: undefined, socket }
  const { promise, resolve, reject } = Promise.withResolvers<WireSession>()
  let pending: Buffer = Buffer.alloc(0)
  socket.on('error', reject)
  socket.on('close', () => reject(new Error(`closed before ReadyForQuery: ${session.sqlState ?? 'no reason'}`)))
  socket.on('data', (chunk: Buffer) => {
    const readAtMs = performance.now()
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    while (pending.length >= 5) {
      const end = 1 + pending.readInt32BE(1)
      if (pending.length < end) return
      const type = pending[0]
      if (type === 0x45) noteFatal(session, pending.subarray(5, end), readAtMs)
      else if (type === 0x52 && pending.readInt32BE(5) === 3) socket.write(message(0x70, `${password}\0`))
      else if (type === 0x5a) resolve(session)
      pending = pending.subarray(end)
    }
  })
  socket.write(startup({ user, database }))
  return promise
}

function noteFatal(session: WireSession, fields: Buffer, readAtMs: number): void {
  session.fatalAtMs = readAtMs
  const code = fields
    .toString()
    .split('\0')
    .find((field) => field.startsWith('C'))
  session.sqlState = code?.slice(1)
}

function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const text = `${Object.entries(parameters)
    .map(([name, value]) => `${name}\0${value}\0`)
    .join('')}\0`
  const head = Buffer.alloc(8)
  head.writeInt32BE(8 + Buffer.byteLength(text), 0)
  head.writeInt32BE(protocol30, 4)
  return Buffer.concat([head, Buffer.from(text)])
}

function message(type: number, text: string): Buffer {
  const head = Buffer.alloc(5)
  head[0] = type
  head.writeInt32BE(4 + Buffer.byteLength(text), 1)
  return Buffer.concat([head, Buffer.from(text)])
}
