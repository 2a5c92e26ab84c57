import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { issue, makeAuthority } from '../../../scripts/certificates.ts'
import type { Listening } from '../../../src/kernel/listening.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { createLog } from '../../../src/observability/log.ts'
import { idleMs, isHttp2, listenFront, type HttpRequest } from '../../../src/protocols/http/front.ts'
import { keepaliveIn } from '../../clients/keepalive-timer.ts'

// Goal: a silent connection is ended, but for one with an answer under way; who is gone without a word is found out there, too.
// Method: the time is over at once: by the event `timeout` of a connection that Node looks after, by a clock that is turned for
// the others. The system's own table of connections tells when it will ask.
let listening: Listening
let came = Promise.withResolvers<HttpRequest>()
const answering = new Set<object>()

beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const { certificate, key } = await issue(await makeAuthority('Curfew test authority'), { names: ['localhost'] })
  const handle = (request: HttpRequest) => came.resolve(request)
  listening = await listenFront(
    {
      ...{ address: '127.0.0.1', port: 0, tls: { certificate, key: new Secret(key) }, certificates: [] },
      keepalives: { idleMs: 1_800_000, intervalMs: 5000, count: 2 },
    },
    {
      pages: { handle: (_, response) => void (response as ServerResponse).writeHead(204).end(), close() {} },
      applications: {
        ...{ has: () => true, handle, upgrade: () => undefined, takeQuick: () => false },
        isAnswering: (one) => answering.has(one),
      },
      limits: { webConnectionsPerAddressMax: 100, webConnectionsMax: 100 },
      log: createLog({ level: 'error' }),
    },
  )
})
afterAll(async () => {
  await listening?.[Symbol.asyncDispose]()
  vi.useRealTimers()
})

function ask(version: string): { readonly closed: Promise<unknown>; readonly end: () => void } {
  came = Promise.withResolvers()
  const { port } = listening
  if (version === 'HTTP/2') {
    const session = connectHttp2(`https://localhost:${port}`, { rejectUnauthorized: false })
    session.on('error', () => undefined)
    session.request({ ':path': '/' }).on('error', () => undefined)
    return { closed: once(session, 'close'), end: () => session.destroy() }
  }
  const socket: TLSSocket = connect({ port, rejectUnauthorized: false })
  // What may have a body is for Node's own server to read.
  const [method, length] = version.startsWith('Node') ? ['POST', 'Content-Length: 0\r\n'] : ['GET', '']
  socket.write(`${method} / HTTP/1.1\r\nHost: localhost\r\n${length}\r\n`)
  socket.resume()
  return { closed: once(socket, 'close'), end: () => socket.destroy() }
}

test.each(['HTTP/1.1', 'Node’s own HTTP/1.1', 'HTTP/2'])(
  'who is silent is sent away, but not while an answer is open (%s)',
  async (version) => {
    const client = ask(version)
    const request = await came.promise
    expect(isHttp2(request)).toBe(version === 'HTTP/2')
    const connection = isHttp2(request) ? request.stream.session! : request.socket
    const timeIsOver = () => {
      if (version === 'HTTP/1.1') vi.advanceTimersByTime(1.2 * idleMs)
      else connection.emit('timeout')
    }
    answering.add(connection)
    timeIsOver()
    expect(connection.destroyed).toBe(false)
    answering.delete(connection)
    timeIsOver()
    await client.closed
    expect(connection.destroyed).toBe(true)
    client.end()
  },
)

test.each(['http/1.1', 'h2'])('a silent client is asked after its time (%s)', async (protocol) => {
  const { port } = listening
  const socket = connect({ port, rejectUnauthorized: false, ALPNProtocols: [protocol] })
  await once(socket, 'secureConnect')
  await expect.poll(() => keepaliveIn(port, socket.localPort!)).toBe(30)
  socket.destroy()
})
