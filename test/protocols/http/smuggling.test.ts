// Goal: no shape of request smuggling makes one request look like two, over HTTP/1.1 and HTTP/2.
// Method: raw bytes over TLS to a real Node server as the gateway has it, whose handler reads each head with readRequestHead.
import { once } from 'node:events'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { issue, makeAuthority } from '../../../scripts/certificates.ts'
import { asFault } from '../../../src/kernel/fault.ts'
import { mayUpgrade, readRequestHead } from '../../../src/protocols/http/request-head.ts'
import { requestRaw } from './raw-http2.ts'
import { http2Shapes, smugglingShapes, type SeenShape } from './smuggling-shapes.ts'

const host = 'app.example.test'
let port: number
let close: () => void
/** Requests whose head was taken, and that came to their end. */
const whole: SeenShape[] = []
const heads: string[] = []

beforeAll(async () => {
  const authority = await makeAuthority('smuggling')
  const { certificate, key } = await issue(authority, { names: [host] })
  const server = createSecureServer({
    ...{ key, cert: certificate, allowHTTP1: true },
    ...{ maxHeaderSize: 32_768, maxHeaderListPairs: 128 },
  })
  Object.assign(server, { shouldUpgradeCallback: mayUpgrade })
  server.on('request', handle)
  server.on('checkExpectation', handle)
  server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    take(request)
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
  close = () => server.close()
})
afterAll(() => close())
beforeEach(() => {
  whole.length = 0
  heads.length = 0
})

/** @returns what is wrong with the head. */
function take(request: IncomingMessage | Http2ServerRequest): string | undefined {
  try {
    const { method, path } = readRequestHead(request)
    heads.push(`${method} ${path}`)
    return undefined
  } catch (error) {
    const fault = asFault(error)
    if (fault === undefined) throw error
    return fault.message
  }
}

function handle(request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void {
  const wrong = take(request)
  if (wrong !== undefined) {
    if ('stream' in request) response.statusCode = 400
    else (response as ServerResponse).writeHead(400, { connection: 'close' })
    response.end(wrong)
    return
  }
  const { path } = readRequestHead(request)
  let body = ''
  request.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')))
  request.on('error', () => undefined) // a body that broke is not whole
  request.on('end', () => {
    // A stream that was reset ends, too, after it was aborted.
    if (request.aborted) return
    whole.push({ method: request.method!, path, body })
    response.end('seen')
  })
}

async function dial(protocol: string): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: [protocol] })
  socket.on('error', () => undefined) // the end of the connection tells
  await once(socket, 'secureConnect')
  return socket
}

/** Reads until the server closes, or has answered `answersMax` times. */
async function exchange(bytes: string, answersMax: number): Promise<{ text: string; isClosed: boolean }> {
  const socket = await dial('http/1.1')
  socket.write(bytes, 'latin1')
  let text = ''
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      text += chunk.toString('latin1')
      if (statuses(text).length >= answersMax) return { text, isClosed: false }
    }
  } catch {
    // Reset instead of closed.
  }
  return { text, isClosed: true }
}

function statuses(text: string): readonly string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1]!).filter((status) => status !== '100')
}

test('the tables are long, and each shape has a name of its own', () => {
  expect(smugglingShapes.length).toBeGreaterThan(100)
  expect(http2Shapes.length).toBeGreaterThan(40)
  for (const shapes of [smugglingShapes, http2Shapes])
    expect(new Set(shapes.map(({ name }) => name)).size).toBe(shapes.length)
})

describe('HTTP/1', () => {
  test.each(smugglingShapes)('$name', async ({ bytes, outcome }) => {
    const isRefused = outcome.kind === 'refused'
    const answersMax = isRefused ? Number.POSITIVE_INFINITY : outcome.requests.length
    const { text, isClosed } = await exchange(bytes(host, ''), answersMax)
    expect(heads.join()).not.toContain('smuggled')
    if (isRefused) {
      expect(isClosed).toBe(true)
      expect(whole).toEqual([])
      for (const status of statuses(text)) expect(['400', '431', '413']).toContain(status)
    } else {
      expect(statuses(text)).toEqual(outcome.requests.map(() => '200'))
      expect(whole).toEqual(outcome.requests)
    }
  })
})

describe('HTTP/2', () => {
  test.each(http2Shapes)('$name', async ({ fields, body, outcome }) => {
    const socket = await dial('h2')
    const { status, end } = await requestRaw(socket, fields(host, []), body)
    socket.destroy()
    expect(heads.join()).not.toContain('smuggled')
    if (outcome.kind === 'refused') {
      expect(whole).toEqual([])
      if (end === 'answered') expect(status).not.toBe(200)
    } else {
      expect({ status, end }).toEqual({ status: 200, end: 'answered' })
      expect(whole).toEqual(outcome.requests)
    }
  })
})
