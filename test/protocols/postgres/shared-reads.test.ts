import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { sharedReads } from '../../../src/protocols/postgres/shared-reads.ts'

test('sockets that share memory each get what was sent to them, also when they rest', async () => {
  const sent = [0, 1].map(() => [
    ...Array.from({ length: 200 }, () => randomBytes(90)),
    randomBytes(3_000_000),
    randomBytes(7),
  ])
  let next = 0
  const server = createServer((socket) => void say(socket, sent[next++]!))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const shared = Buffer.allocUnsafeSlow(64 * 1024)
  const sockets: Socket[] = []
  for (const _ of sent) {
    const socket: Socket = connect({ port, host: '127.0.0.1', onread: sharedReads(shared, () => socket) }).pause()
    await once(socket, 'connect')
    sockets.push(socket)
  }
  const read = await Promise.all(sockets.map(readAll))
  for (const [index, bytes] of read.entries()) expect(bytes.equals(Buffer.concat(sent[index]!))).toBe(true)
  server.close()
})

async function say(socket: Socket, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    socket.write(piece)
    await new Promise(setImmediate)
  }
  socket.end()
}

/** Keeps the chunks as they came up to the end: they must not change. */
async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    if (chunks.length % 10 !== 0) return
    socket.pause()
    setImmediate(() => socket.resume())
  })
  socket.resume()
  await once(socket, 'end')
  return Buffer.concat(chunks)
}
