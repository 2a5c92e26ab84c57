/** A WebSocket server that says what it hears, in a process of its own: plain and over TLS. The argument is a folder with its certificate. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { WebSocketServer } from 'ws'

const [folder = ''] = process.argv.slice(2)
const read = (name: string) => readFileSync(join(folder, name))
const servers = [createServer(), createSecureServer({ cert: read('server.pem'), key: read('server.key') })]
const ports: number[] = []
for (const server of servers) {
  const sockets = new WebSocketServer({ server, path: '/socket' })
  sockets.on('connection', (socket) => {
    socket.on('error', () => socket.terminate())
    socket.on('message', (data: Buffer, binary) => socket.send(data, { binary }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ports.push((server.address() as AddressInfo).port)
}
process.on('disconnect', () => process.exit())
process.send!({ port: ports[0], tlsPort: ports[1] })
