import { createSecureServer } from 'node:http2'
import { createServer, type ServerOptions } from 'node:https'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { beforeAll, expect, test } from 'vitest'
import { issue, makeAuthority, type Authority, type Issued } from '../../../../scripts/certificates.ts'
import { Secret } from '../../../../src/kernel/secret.ts'
import type { HttpResource } from '../../../../src/resources/catalogue.ts'
import { plainAt, portOf, role, tlsAt, wayTo, type Way } from './way.ts'

let authority: Authority
let stranger: Authority
let good: Issued

beforeAll(async () => {
  authority = await makeAuthority('test authority')
  stranger = await makeAuthority('another authority')
  good = await issue(authority, { names: ['localhost'] })
})

interface Served extends AsyncDisposable {
  readonly way: Way
  readonly seen: { servername: unknown; protocol: unknown; subject: unknown; reused: boolean }[]
}

async function serve(options: ServerOptions, changes: Partial<HttpResource> = {}): Promise<Served> {
  const seen: Served['seen'] = []
  const server = createServer({ cert: good.certificate, key: good.key, ...options }, (request, response) => {
    const socket = request.socket as TLSSocket
    const subject = socket.getPeerCertificate()?.subject?.CN
    seen.push({
      servername: socket.servername,
      protocol: socket.getProtocol(),
      subject,
      reused: socket.isSessionReused(),
    })
    response.end('ok')
  })
  server.on('tlsClientError', () => undefined) // what the gateway tells about it is what counts
  const tls = { ca: authority.certificate, serverName: null, ...changes.tls }
  const way = wayTo(tlsAt(await portOf(server)), { ...changes, tls })
  return {
    way,
    seen,
    [Symbol.asyncDispose]: async () => {
      await way[Symbol.asyncDispose]()
      server.closeAllConnections()
      server.close()
    },
  }
}

test('a target that proves who it is is asked; the name comes from its address, not from the request', async () => {
  await using app = await serve({})
  expect((await app.way.ask({ host: 'elsewhere.example' })).text).toBe('ok')
  expect((await app.way.ask({ host: 'other.example' })).text).toBe('ok')
  expect(app.seen).toMatchObject([{ servername: 'localhost', protocol: 'TLSv1.3' }, { servername: 'localhost' }])
})

test('another name may be expected than that of the address', async () => {
  const named = await issue(authority, { names: ['app.internal'] })
  const ca = authority.certificate
  await using app = await serve(
    { cert: named.certificate, key: named.key },
    { tls: { ca, serverName: 'app.internal' } },
  )
  expect((await app.way.ask()).text).toBe('ok')
  expect(app.seen).toMatchObject([{ servername: 'app.internal' }])
})

test.each<[string, () => Promise<Issued>, string]>([
  [
    'an unknown authority',
    () => issue(stranger, { names: ['localhost'] }),
    'app shows a certificate of an authority that the gateway does not trust.',
  ],
  ['another name', () => issue(authority, { names: ['other'] }), 'app shows a certificate for another name.'],
  [
    'a time that is over',
    () => issue(authority, { names: ['localhost'], lengthDays: -0.001 }),
    'app shows a certificate that has expired.',
  ],
])('a certificate of %s is refused, whatever the environment says', async (_name, make, message) => {
  const { certificate, key } = await make()
  await using app = await serve({ cert: certificate, key })
  const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED']
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
  try {
    for (const request of [{}, { upgrade: 'websocket' }]) {
      const { code, error } = await app.way.ask(request)
      expect([code, error?.message]).toEqual(['UPSTREAM_TLS', message])
    }
  } finally {
    if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before
  }
  expect(app.seen).toEqual([])
  expect(JSON.stringify(app.way.lines)).toContain('https://localhost')
})

test('TLS older than 1.2 is refused', async () => {
  await using app = await serve({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' })
  const { code, error } = await app.way.ask()
  expect([code, error?.message]).toEqual(['UPSTREAM_TLS', 'app speaks no TLS version from 1.2 on.'])
})

test('a target without TLS behind an https address is refused', async () => {
  const server = createTcpServer((socket: Socket) => socket.on('error', () => undefined).end('HTTP/1.1 200 OK\r\n\r\n'))
  {
    await using way = wayTo(tlsAt(await portOf(server)))
    expect((await way.ask()).error).toMatchObject({ code: 'UPSTREAM_TLS', message: 'app does not speak TLS there.' })
  }
  server.close()
})

test('a client certificate is shown by its role only, on connections of its own', async () => {
  const mine = await issue(authority, { names: ['gateway'], purpose: 'both' })
  await using app = await serve({ requestCert: true, rejectUnauthorized: true, ca: authority.certificate })
  const credentials = { kind: 'certificate', certificate: mine.certificate, key: new Secret(mine.key) } as const
  const owner = { ...role, name: 'owner', credentials }
  expect((await app.way.ask({}, { role: owner })).text).toBe('ok')
  expect(app.seen).toMatchObject([{ subject: 'gateway' }])
  expect((await app.way.ask()).ends).toBe(1)
  expect(app.seen).toHaveLength(1)
})

test('HTTP/2 over TLS is agreed on by ALPN; a target that has only HTTP/1.1 is told apart', async () => {
  const server = createSecureServer({ cert: good.certificate, key: good.key }, (request, response) => {
    response.end(String((request.stream.session!.socket as TLSSocket).alpnProtocol))
  })
  {
    const tls = { ca: authority.certificate, serverName: null }
    await using way = wayTo(tlsAt(await portOf(server)), { version: 'http2', tls })
    expect((await way.ask()).text).toBe('h2')
  }
  server.close()
  await using old = await serve({}, { version: 'http2' })
  expect((await old.way.ask()).error).toMatchObject({
    code: 'UPSTREAM_TLS',
    message: 'app does not speak the HTTP version that the gateway expects.',
  })
})

test('each connection looks at the certificate anew', async () => {
  await using app = await serve({})
  await app.way.ask({ upgrade: 'nothing' })
  await app.way.ask({ upgrade: 'nothing' })
  expect(app.seen.map(({ reused }) => reused)).toEqual([false, false])
})

test('a client certificate that cannot be read is a fault, not the end', async () => {
  await using app = await serve({})
  const credentials = { kind: 'certificate', certificate: 'nonsense', key: new Secret('secret') } as const
  const answer = await app.way.ask({}, { role: { ...role, name: 'broken', credentials } })
  expect(answer.code).toBe('UPSTREAM_TLS')
  expect(JSON.stringify([answer.error?.message, app.way.lines])).not.toContain('secret')
})

test('nobody there: unreachable, without a word on where', async () => {
  const server = createTcpServer()
  const port = await portOf(server)
  await new Promise((resolve) => server.close(resolve))
  for (const address of [plainAt(port), tlsAt(port, '127.0.0.1'), plainAt(80, 'no-such-host.invalid')]) {
    await using way = wayTo(address)
    const { code, error } = await way.ask()
    expect([code, error?.message]).toEqual(['UPSTREAM_UNREACHABLE', 'app cannot be reached.'])
    expect(JSON.stringify(way.lines)).toContain(address.text)
  }
})

// As in nasty.test.ts, where it is said why.
test.each([2000, null])('an early answer before a reset is the answer (%s bytes announced)', async (bodyBytes) => {
  const body = new Readable({ read: () => undefined })
  const server = createTcpServer((raw) => {
    const socket = new TLSSocket(raw, { isServer: true, cert: good.certificate, key: good.key })
    socket.on('error', () => undefined)
    raw.on('error', () => undefined).once('close', () => body.push(Buffer.alloc(1000)))
    socket.once('data', () => {
      socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much', () => raw.resetAndDestroy())
    })
  })
  {
    const tls = { ca: authority.certificate, serverName: null }
    await using way = wayTo(tlsAt(await portOf(server)), { tls })
    body.push(Buffer.alloc(1000))
    const heard = await way.ask({ method: 'POST', body, bodyBytes })
    expect([heard.status, heard.text, heard.ends, heard.error]).toEqual([413, 'too much', 1, null])
  }
  server.close()
})
