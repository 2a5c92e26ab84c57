/** WebSocket clients with as little code as measuring allows: one message each at a time, sent again when it came back. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import type { Door } from './http-stack.ts'

const payloadBytes = 32
const echoBytes = 2 + payloadBytes
/** FIN, text; masked, 32 bytes (RFC 6455 section 5.2). */
const message = Buffer.concat([
  Buffer.from([0x81, 0x80 | payloadBytes]),
  Buffer.from([1, 2, 3, 4]),
  Buffer.alloc(32, 'x'),
])

/** @returns when the upgrade was answered with 101. */
export async function openSocket({ port, host, headers }: Door): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', servername: host.split(':')[0]!, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const lines = [
    ...['GET /socket HTTP/1.1', `Host: ${host}`, 'Connection: Upgrade', 'Upgrade: websocket'],
    ...['Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`],
    ...headers,
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  let answer = ''
  while (!answer.includes('\r\n\r\n')) answer += String(((await once(socket, 'data')) as [Buffer])[0])
  if (!answer.startsWith('HTTP/1.1 101')) throw new Error(`the upgrade was answered with ${answer.split('\r\n')[0]}`)
  return socket
}

/** @returns how often in all a message came back. */
export async function pingPong(door: Door, sockets: number, seconds: number): Promise<number> {
  const open = await Promise.all(Array.from({ length: sockets }, () => openSocket(door)))
  const counts = open.map((socket) => sayAgain(socket))
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const total = counts.reduce((sum, count) => sum + count(), 0)
  await Promise.all(open.map((socket) => closed(socket)))
  return total
}

function sayAgain(socket: TLSSocket): () => number {
  let [count, bytes] = [0, 0]
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes < echoBytes) return
    bytes -= echoBytes
    count++
    socket.write(message)
  })
  socket.write(message)
  return () => count
}

export async function closed(socket: TLSSocket): Promise<void> {
  if (socket.closed) return
  const gone = once(socket, 'close')
  socket.destroy()
  await gone
}
