// Goal: nothing that anybody sends over HTTP makes one request look like two at a target, stops the gateway, slows others,
// or stays behind in it.
// Method: raw bytes over TLS to the whole gateway with a real target behind, as somebody unknown, by token and by cookie,
// while somebody known goes on asking. What arrived is what the target itself saw.
import { once } from 'node:events'
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2'
import { connect as connectPlain, type Socket } from 'node:net'
import type { Stream } from 'node:stream'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { thisMachine } from '../clients/visitor.ts'
import { frame, frameTypes, requestRaw } from '../protocols/http/raw-http2.ts'
import { http2Shapes, smugglingShapes, type Field } from '../protocols/http/smuggling-shapes.ts'
import { startHttpTestGateway, type Entered, type HttpTestGateway } from '../servers/http-gateway.ts'
import { startPostgres } from '../servers/postgres.ts'

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let port: number
let host: string
let token: Readonly<Record<'authorization' | 'curfew-role', string>>
let entered: Entered
const perAddressMax = 300

beforeAll(async () => {
  const postgres = stack.use(await startPostgres())
  gateway = stack.use(
    await startHttpTestGateway({
      postgres,
      configure: (config) => (config.limits = { webConnectionsPerAddress: perAddressMax }),
    }),
  )
  port = Number(gateway.url.port)
  host = gateway.appUrl().host
  await gateway.httpGrant('alice', 'open')
  token = await gateway.bearer('alice', 'open')
  entered = stack.use(await gateway.enter('alice', 'open'))
})
afterAll(() => stack.disposeAsync())

/** As whom a request comes: the headers that say so. */
const ways = {
  'somebody unknown': () => [],
  'by token': () => Object.entries(token),
  'by cookie': () => [
    ['cookie', entered.cookie],
    ['origin', gateway.appUrl().origin],
  ],
} satisfies Record<string, () => (readonly [string, string] | string[])[]>
const allWays = Object.keys(ways) as (keyof typeof ways)[]

function known(way: keyof typeof ways, mark: string): readonly Field[] {
  return [...(ways[way]() as Field[]), ['x-shape', mark]]
}

function lines(fields: readonly Field[]): string {
  return fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
}

async function dial(protocol: 'http/1.1' | 'h2'): Promise<TLSSocket> {
  const socket = connect({
    ...{ host: '127.0.0.1', port, ca: gateway.ca, servername: 'app.localhost' },
    ALPNProtocols: [protocol],
  })
  socket.on('error', () => undefined) // the end of the connection tells
  await once(socket, 'secureConnect')
  return socket
}

/** Until the gateway closes, or has answered so often. */
async function readAnswers(socket: Socket, answersMax = Number.POSITIVE_INFINITY) {
  let text = ''
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      text += chunk.toString('latin1')
      if (statusesIn(text).length >= answersMax) return { statuses: statusesIn(text), isClosed: false, text }
    }
  } catch {
    // Reset instead of closed.
  }
  return { statuses: statusesIn(text), isClosed: true, text }
}

function statusesIn(text: string): readonly number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1])).filter((status) => status !== 100)
}

function arrived(mark: string) {
  return gateway.target.seen.filter(({ headers }) => headers['x-shape'] === mark)
}

/** The outer request may have begun to arrive before its body turned out to be rubbish; nothing else may. */
function expectNothingSmuggled(mark: string, requestsMax: number): void {
  for (const { url, headers } of gateway.target.seen) {
    expect(url).not.toContain('smuggled')
    expect(headers.host).toBe(host)
  }
  expect(arrived(mark).length).toBeLessThanOrEqual(requestsMax)
}

async function serves(): Promise<void> {
  const { status } = await gateway.curl('/hello', [
    '-m',
    '5',
    ...lines(known('by token', ''))
      .trim()
      .split('\r\n')
      .flatMap((line) => ['-H', line]),
  ])
  expect(status).toBe(200)
}

describe.each(allWays)('requests that can be read in two ways, %s', (way) => {
  const isKnown = way !== 'somebody unknown'

  test('over HTTP/1.1', async () => {
    const fired = smugglingShapes.map(async ({ name, bytes, outcome }) => {
      const mark = `1 ${way} ${name}`.replaceAll(/[^ -~]/g, '')
      const socket = await dial('http/1.1')
      socket.write(bytes(host, lines(known(way, mark))), 'latin1')
      const answersMax = outcome.kind === 'refused' ? undefined : outcome.requests.length
      const { statuses, isClosed } = await readAnswers(socket, answersMax)
      socket.destroy()
      return { name, mark, outcome, statuses, isClosed }
    })
    for (const { name, mark, outcome, statuses, isClosed } of await Promise.all(fired)) {
      expectNothingSmuggled(mark, outcome.kind === 'refused' ? 1 : outcome.requests.length)
      if (outcome.kind === 'refused') {
        expect(isClosed, name).toBe(true)
        for (const status of statuses) expect([400, 401, 404, 413, 431], name).toContain(status)
        if (!isKnown) expect(arrived(mark), name).toEqual([])
      } else {
        const requests = arrived(mark).map(({ method, url }) => ({ method, path: url }))
        const expected = outcome.requests.map(({ method, path }) => ({ method, path }))
        expect(requests, name).toEqual(isKnown ? expected : [])
        expect(statuses, name).toEqual(outcome.requests.map(() => (isKnown ? 404 : 401)))
      }
    }
    await serves()
  })

  test('over HTTP/2', async () => {
    const fired = http2Shapes.map(async ({ name, fields, body, outcome }) => {
      const mark = `2 ${way} ${name}`.replaceAll(/[^ -~]/g, '')
      const socket = await dial('h2')
      const answer = await requestRaw(socket, fields(host, known(way, mark)), body)
      socket.destroy()
      return { name, mark, outcome, answer }
    })
    for (const { name, mark, outcome, answer } of await Promise.all(fired)) {
      expectNothingSmuggled(mark, 1)
      const requests = arrived(mark).map(({ method, url }) => ({ method, path: url }))
      if (outcome.kind === 'refused') {
        if (answer.end === 'answered') expect(answer.status, name).not.toBe(200)
        if (!isKnown) expect(requests, name).toEqual([])
      } else {
        expect(answer.end, name).toBe('answered')
        expect(requests, name).toEqual(isKnown ? outcome.requests.map(({ method, path }) => ({ method, path })) : [])
      }
    }
    await serves()
  })
})

describe('bodies of somebody unknown', () => {
  const headOf = (more: string) => `POST /upload HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`

  test.each([
    ['announced, and never sent', 'Content-Length: 1000000000000\r\n', ''],
    ['announced, byte by byte', 'Content-Length: 1000000000\r\n', 'x'],
    ['in chunks without an end', 'Transfer-Encoding: chunked\r\n', '1\r\nx\r\n'],
    ['as much as fits', 'Content-Length: 1000000000000\r\n', 'x'.repeat(65_536)],
  ])('%s: told at once, and cut about a second later', async (_name, line, piece) => {
    const socket = await dial('http/1.1')
    const startedMs = performance.now()
    socket.write(headOf(line))
    const over = new AbortController()
    const sending = piece === '' ? undefined : sendAgain(socket, piece, over.signal)
    const { statuses, isClosed } = await readAnswers(socket)
    over.abort()
    await sending
    expect({ statuses, isClosed }).toEqual({ statuses: [401], isClosed: true })
    expect(performance.now() - startedMs).toBeLessThan(4000)
  })

  test('who asks whether to send one is told who they are not, instead', async () => {
    const socket = await dial('http/1.1')
    socket.write(headOf('Content-Length: 5\r\nExpect: 100-continue\r\n'))
    const { statuses, text } = await readAnswers(socket, 1)
    socket.destroy()
    expect(statuses).toEqual([401])
    expect(text).not.toContain('100 Continue')
  })

  test('over HTTP/2 its stream ends, and others of the connection go on', async () => {
    await using client = await session()
    const flood = client.http2.request({ ':method': 'POST', ':path': '/upload' })
    flood.on('error', () => undefined) // how it ends is what is looked at
    flood.write(Buffer.alloc(1 << 20))
    const [headers] = (await once(flood, 'response')) as [Record<string, unknown>]
    expect(headers[':status']).toBe(401)
    await within(4000, whenClosed(flood.resume()))
    expect(await statusOf(client.http2, '/hello', token)).toBe(200)
    expect(gateway.target.seen.some(({ url }) => url === '/upload')).toBe(false)
  })
})

async function sendAgain(socket: Socket, piece: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && socket.writable) {
    if (socket.writableLength < 1 << 20) socket.write(piece)
    await turn()
  }
}

interface Http2Client extends AsyncDisposable {
  readonly http2: ClientHttp2Session
}

async function session(settings: object = {}): Promise<Http2Client> {
  const http2 = connectHttp2(gateway.appUrl().origin, { ca: gateway.ca, lookup: thisMachine, settings })
  http2.on('error', () => undefined) // seen in what becomes of the requests
  await once(http2, 'connect')
  return {
    http2,
    [Symbol.asyncDispose]: async () => {
      if (http2.destroyed) return
      http2.destroy()
      await once(http2, 'close')
    },
  }
}

async function statusOf(http2: ClientHttp2Session, path: string, headers: object): Promise<number> {
  const stream = http2.request({ ':path': path, ...headers }).end()
  const [answer] = (await once(stream, 'response')) as [{ ':status': number }]
  stream.resume()
  return answer[':status']
}

describe('HTTP/2', () => {
  test('streams that are reset as soon as they begin leave nothing at the target', async () => {
    await using client = await session()
    for (let round = 0; round < 20; round++) {
      const streams = Array.from({ length: 50 }, () => client.http2.request({ ':path': '/hang', ...token }))
      for (const stream of streams) stream.on('error', () => undefined).close(constants.NGHTTP2_CANCEL)
      await Promise.all(streams.map(async (stream) => stream.closed || once(stream, 'close')))
    }
    await serves()
    await gateway.target.until(({ requests }) => requests === 0)
  })

  test('a client has so many streams, and those that do not read hold up the target', async () => {
    await using client = await session({ initialWindowSize: 0 })
    const before = gateway.target.facts().bytesSent
    const streams = Array.from({ length: 40 }, () => client.http2.request({ ':path': '/bytes?n=100000000', ...token }))
    for (const stream of streams) stream.on('error', () => undefined)
    await Promise.all(streams.map((stream) => once(stream, 'response')))
    await serves()
    expect(client.http2.remoteSettings.maxConcurrentStreams).toBe(250)
    // Of 4 GB: what sockets and buffers hold.
    expect(gateway.target.facts().bytesSent - before).toBeLessThan(400 << 20)
    client.http2.destroy()
    await gateway.target.until(({ requests }) => requests === 0)
  })

  test.each<[string, (socket: TLSSocket) => void]>([
    ['a head that goes on for ever', (socket) => flood(socket, continuation)],
    ['settings without an end', (socket) => flood(socket, frame(frameTypes.settings, 0, 0, Buffer.alloc(6)))],
    ['pings without an end', (socket) => flood(socket, frame(frameTypes.ping, 0, 0, Buffer.alloc(8)))],
    ['a frame longer than allowed', (socket) => socket.write(frame(frameTypes.headers, 4, 1, Buffer.alloc(70_000)))],
    [
      'a window beyond its bound',
      (socket) => socket.write(frame(frameTypes.windowUpdate, 0, 0, Buffer.from('7fffffff', 'hex'))),
    ],
    ['no preface', (socket) => socket.write(Buffer.alloc(100))],
  ])('%s ends the connection', async (name, attack) => {
    const socket = await dial('h2')
    if (name !== 'no preface') socket.write(preface)
    attack(socket)
    // Who floods reads nothing: what the gateway has to answer piles up on its side.
    if (!name.includes('without an end')) socket.resume()
    await within(10_000, whenClosed(socket))
    await serves()
  })
})

function whenClosed(stream: Stream): Promise<unknown> {
  return new Promise((resolve) => stream.once('close', resolve))
}

async function within(waitMsMax: number, happening: Promise<unknown>): Promise<void> {
  const late = new AbortController()
  const never = sleep(waitMsMax, undefined, late).then(
    () => expect.fail(`not within ${waitMsMax} ms`),
    () => undefined,
  )
  await Promise.race([happening, never])
  late.abort()
}

const preface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(frameTypes.settings, 0, 0, Buffer.alloc(0)),
])
/** A header block without an end: `x: yyy…` as a literal. */
const block = Buffer.concat([Buffer.from([0, 1]), Buffer.from('x'), Buffer.from([100]), Buffer.alloc(100, 'y')])
const continuation = frame(frameTypes.continuation, 0, 1, Buffer.concat(Array.from({ length: 100 }, () => block)))

function flood(socket: TLSSocket, again: Buffer): void {
  if (again === continuation) socket.write(frame(frameTypes.headers, 0, 1, block))
  const many = Buffer.concat(Array.from({ length: 500 }, () => again))
  const write = () => {
    if (socket.writable) socket.write(many, () => setImmediate(write))
  }
  write()
}

test('URLs and heads beyond the limits are refused, whoever sends them', async () => {
  const long = 'x'.repeat(17_000)
  const sent = [
    [`GET /${long} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 413],
    [`GET /outer HTTP/1.1\r\nHost: ${host}\r\n${'a: b\r\n'.repeat(101)}\r\n`, 413],
    [`GET /outer HTTP/1.1\r\nHost: ${host}\r\na: ${long}${long}\r\n\r\n`, 431],
  ] as const
  for (const [bytes, status] of sent) {
    const socket = await dial('http/1.1')
    socket.write(bytes)
    expect(await readAnswers(socket)).toMatchObject({ statuses: [status], isClosed: true })
  }
})

test('one address gets so many connections; those who have one are served', async () => {
  await using client = await session()
  const sockets: Socket[] = []
  const refused = Promise.withResolvers<void>()
  for (let count = 0; count < perAddressMax + 20; count++) {
    const socket = connectPlain(port, '127.0.0.1').on('error', () => undefined)
    socket.once('close', () => refused.resolve()).resume()
    sockets.push(socket)
  }
  await refused.promise
  expect(await statusOf(client.http2, '/hello', token)).toBe(200)
  for (const socket of sockets) socket.destroy()
  await expect
    .poll(() =>
      serves().then(
        () => true,
        () => false,
      ),
    )
    .toBe(true)
})

const slowMs = 22_000
test(
  'who is slow before a request is whole is sent away, and the gateway serves others meanwhile',
  { timeout: 40_000 },
  async () => {
    const before = heldBytes()
    const slow = await Promise.all(Array.from({ length: 20 }, slowOnes))
    const ends = slow.flat().map(async (socket) => {
      // Some drip into a connection that is over already, and are told so.
      const closed = new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve))
      if (!socket.resume().destroyed) await closed
    })
    const all = Promise.all(ends).then(() => true)
    const startedMs = performance.now()
    let isOver = false
    while (!isOver && performance.now() - startedMs < slowMs) {
      await serves()
      isOver = await Promise.race([all, sleep(500).then(() => false)])
    }
    expect(isOver).toBe(true)
    await expect.poll(() => heldBytes() - before, { timeout: 5000 }).toBeLessThan(8 << 20)
  },
)

/** Nothing before TLS; half of TLS; half a head at once, and byte by byte; nothing within TLS. */
async function slowOnes(): Promise<Socket[]> {
  const plain = () => connectPlain(port, '127.0.0.1').on('error', () => undefined)
  const half = plain()
  half.write(Buffer.from('16030100', 'hex'))
  const headed = await dial('http/1.1')
  headed.write(`GET /outer HTTP/1.1\r\nHost: ${host}\r\n`)
  const dripping = await dial('http/1.1')
  dripping.write(`GET /outer HTTP/1.1\r\nHost: ${host}\r\nX: `)
  const drip = setInterval(() => dripping.write('y'), 300)
  dripping.once('close', () => clearInterval(drip))
  return [plain(), half, headed, dripping]
}

function heldBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
