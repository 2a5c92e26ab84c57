import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { HandClock } from '../../../clock.ts'
import { plainAt, portOf, socketAt, wayTo, type Way } from './way.ts'

type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: string[]) => void

interface Served extends AsyncDisposable {
  readonly server: Http2Server
  readonly way: Way
  readonly sessions: ServerHttp2Session[]
}

async function serve(handler: Handler, options: ServerOptions = {}): Promise<Served> {
  const server = createServer(options)
  const sessions: ServerHttp2Session[] = []
  server.on('session', (session) => sessions.push(session.on('error', () => undefined)))
  server.on('stream', (stream: ServerHttp2Stream, headers, _flags, raw) => {
    stream.on('error', () => undefined) // the gateway resets streams on purpose
    handler(stream, headers, raw)
  })
  const way = wayTo(plainAt(await portOf(server)), { version: 'http2' })
  return {
    server,
    way,
    sessions,
    [Symbol.asyncDispose]: async () => {
      await way[Symbol.asyncDispose]()
      for (const session of sessions) session.destroy()
      server.close()
    },
  }
}

const echo: Handler = (stream, _headers, raw) => {
  stream.respond({ ':status': 200, 'x-heard': JSON.stringify(raw) })
  stream.pipe(stream)
}

test('requests share one connection and arrive as they are', async () => {
  await using app = await serve(echo)
  const asks = Array.from({ length: 20 }, (_, n) =>
    app.way.ask({
      method: 'POST',
      path: `/${n}?a=b`,
      headers: ['X-A', '1', 'x-a', '2'],
      body: Readable.from([Buffer.from(`${n}`)]),
      bodyBytes: `${n}`.length,
    }),
  )
  const answers = await Promise.all(asks)
  expect(answers.map(({ text }) => text)).toEqual(answers.map((_, n) => `${n}`))
  expect(JSON.parse(answers[7]!.header('x-heard')!)).toEqual([
    ...[':method', 'POST', ':scheme', 'http', ':authority', 'app.example', ':path', '/7?a=b'],
    ...['x-a', '1', 'x-a', '2', 'te', 'trailers', 'content-length', '1'],
  ])
  expect(app.sessions).toHaveLength(1)
})

test('headers that come twice arrive twice', async () => {
  await using app = await serve(echo)
  const answer = await app.way.ask({ headers: ['Referer', 'a', 'Referer', 'b', 'X-A', '1', 'X-A', '2'] })
  const heard = JSON.parse(answer.header('x-heard') ?? '[]') as string[]
  expect(heard.slice(8, 16)).toEqual(['referer', 'a', 'referer', 'b', 'x-a', '1', 'x-a', '2'])
})

test('a unix socket is reached by prior knowledge', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-'))
  const server = createServer().on('stream', (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 204 }, { endStream: true })
  })
  await once(server.listen(join(folder, 'app.sock')), 'listening')
  {
    await using way = wayTo(socketAt(join(folder, 'app.sock')), { version: 'http2' })
    expect((await way.ask()).status).toBe(204)
  }
  server.close()
  await rm(folder, { recursive: true })
})

test('both sides stream at once, with informational answers and trailers both ways', async () => {
  await using app = await serve((stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</a.css>' })
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    let sum = ''
    stream.on('data', (chunk: Buffer) => stream.write(chunk))
    stream.on('trailers', (trailers) => (sum = String(trailers['x-sum'])))
    stream.on('end', () => stream.end())
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum-too': sum }))
  })
  const body = new PassThrough()
  const answer = app.way.start({ method: 'POST', body, trailers: () => ['X-Sum', '9'] })
  await answer.head // before the body has begun
  for (const part of ['one', 'two']) {
    body.write(part)
    while (!answer.text.endsWith(part)) await turn()
  }
  body.end()
  await answer.over
  expect([answer.informational[0]?.[0], answer.text, answer.trailers]).toEqual([103, 'onetwo', ['x-sum-too', '9']])
})

test('another connection is opened when one is full', async () => {
  const held: ServerHttp2Stream[] = []
  await using app = await serve((stream) => held.push(stream), { settings: { maxConcurrentStreams: 10 } })
  const asks = Array.from({ length: 35 }, () => app.way.ask())
  while (held.length < 35) await turn()
  expect(app.sessions).toHaveLength(4)
  for (const stream of held) stream.respond({ ':status': 200 }, { endStream: true })
  expect((await Promise.all(asks)).map(({ status }) => status)).toEqual(asks.map(() => 200))
})

test('after GOAWAY what runs goes on, and what is new goes over a new connection', async () => {
  const held: ServerHttp2Stream[] = []
  await using app = await serve((stream) => held.push(stream))
  const first = app.way.ask()
  while (held.length < 1) await turn()
  app.sessions[0]!.goaway(constants.NGHTTP2_NO_ERROR, held[0]!.id)
  while (app.sessions.length < 2) {
    app.way.start()
    for (let n = 0; n < 20; n++) await turn()
  }
  for (const stream of held) stream.respond({ ':status': 200 }, { endStream: true })
  expect((await first).status).toBe(200)
})

test('a connection that died while it was idle is replaced', async () => {
  await using app = await serve(echo)
  expect((await app.way.ask()).status).toBe(200)
  app.sessions[0]!.destroy()
  expect((await app.way.ask()).status).toBe(200)
  expect(app.sessions).toHaveLength(2)
})

test('a refused stream is asked once more, elsewhere; a second refusal is an answer', async () => {
  let asked = 0
  await using app = await serve((stream) => {
    asked += 1
    if (asked === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM)
    else stream.respond({ ':status': 200 }, { endStream: true })
  })
  expect([(await app.way.ask({ method: 'POST' })).status, asked]).toEqual([200, 2])
  await using never = await serve((stream) => {
    asked += 1
    stream.close(constants.NGHTTP2_REFUSED_STREAM)
  })
  expect([(await never.way.ask()).code, asked]).toEqual(['UPSTREAM_UNREACHABLE', 4])
})

test.each([constants.NGHTTP2_INTERNAL_ERROR, constants.NGHTTP2_CANCEL, constants.NGHTTP2_NO_ERROR])(
  'a stream that is reset with code %i in the middle of its body has failed',
  async (code) => {
    await using app = await serve((stream) => {
      stream.respond({ ':status': 200, 'content-length': 10 })
      stream.write('part', () => setImmediate(() => stream.close(code)))
    })
    const answer = await app.way.ask()
    expect([answer.status, answer.ends, answer.trailers]).toEqual([200, 1, null])
    expect(answer.error).toBeInstanceOf(Error)
  },
)

test.each<[string, (socket: Socket) => void]>([
  ['closes', (socket) => socket.end()],
  ['resets', (socket) => socket.resetAndDestroy()],
])('a connection that %s in the middle of a body without a length has failed it', async (_name, act) => {
  await using app = await serve((stream) => {
    stream.respond({ ':status': 200 })
    stream.write('part')
  })
  let socket!: Socket
  app.server.on('connection', (each) => (socket = each))
  const answer = app.way.start()
  while (answer.text !== 'part') await turn()
  act(socket)
  await answer.over
  expect([answer.ends, answer.trailers]).toEqual([1, null])
})

test('what is called off while its connection is opened never leaves', async () => {
  const seen: string[] = []
  await using app = await serve((stream, headers, raw) => {
    seen.push(String(headers[':path']))
    echo(stream, headers, raw)
  })
  const heard = app.way.start({ path: '/called-off' })
  heard.flight.callOff()
  await app.way.ask({ path: '/other' })
  heard.flight.abort()
  await app.way.ask({ path: '/other' })
  expect(seen).toEqual(['/other', '/other'])
  expect(heard.ends).toBe(0)
})

test('aborting resets the stream and leaves the connection to the others', async () => {
  const codes: (number | undefined)[] = []
  await using app = await serve((stream) => {
    stream.on('close', () => codes.push(stream.rstCode))
    stream.respond({ ':status': 200 })
    stream.write('x')
  })
  const other = app.way.start()
  const answer = app.way.start({ method: 'POST', body: new PassThrough() })
  await Promise.all([other.head, answer.head])
  answer.flight.abort()
  while (codes.length === 0) await turn()
  expect([codes, answer.ends, other.ends, app.sessions.length]).toEqual([[constants.NGHTTP2_CANCEL], 0, 0, 1])
})

test('an early answer ends the exchange and leaves the client’s body alone', async () => {
  await using app = await serve((stream) => {
    stream.respond({ ':status': 413 }, { endStream: true })
  })
  const body = new PassThrough()
  body.write('x')
  const answer = await app.way.ask({ method: 'POST', body })
  expect([answer.status, answer.ends, body.destroyed]).toEqual([413, 1, false])
})

test('a slow reader holds up the target, but not the others on its connection', async () => {
  let written = 0
  await using app = await serve((stream, headers) => {
    stream.respond({ ':status': 200 })
    if (headers[':path'] !== '/flood') return void stream.end('small')
    const chunk = Buffer.alloc(64 * 1024)
    const more = () => {
      while (stream.write(chunk)) written += chunk.length
      stream.once('drain', more)
    }
    more()
  })
  const slow = Array.from({ length: 20 }, () => app.way.start({ path: '/flood' }, { sink: { body: () => false } }))
  await Promise.all(slow.map(({ head }) => head))
  let before = -1
  while (before !== written) {
    before = written
    for (let n = 0; n < 200; n++) await turn()
  }
  expect(written).toBeLessThan(20 * 1024 * 1024)
  expect((await app.way.ask()).text).toBe('small')
  expect(app.sessions).toHaveLength(1)
})

test('an upload goes at the pace of the target', async () => {
  await using app = await serve((stream) => stream.pause())
  let read = 0
  const body = new Readable({
    read() {
      read += 65_536
      this.push(Buffer.alloc(65_536))
    },
  })
  app.way.start({ method: 'POST', body })
  let before = -1
  while (before !== read) {
    before = read
    for (let n = 0; n < 200; n++) await turn()
  }
  expect(read).toBeLessThan(20 * 1024 * 1024)
})

test('a flood of informational answers is bounded', async () => {
  await using app = await serve((stream) => {
    for (let n = 0; n < 100; n++) stream.additionalHeaders({ ':status': 103 })
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  expect(await app.way.ask()).toMatchObject({ status: 0, ends: 1, code: 'UPSTREAM_UNREACHABLE' })
})

test('what is not HTTP/2 is unreachable', async () => {
  const server = createTcpServer((socket) =>
    socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  )
  {
    await using way = wayTo(plainAt(await portOf(server)), { version: 'http2' })
    expect(await way.ask()).toMatchObject({ status: 0, ends: 1, code: 'UPSTREAM_UNREACHABLE' })
  }
  server.close()
})

// Goal: a machine that vanished without a word does not hold its streams for ever.
// Method: a relay in between stops passing bytes on; the clock passes to the ping and past its answer's time.
test('a connection that does not answer a ping is given up', async () => {
  await using app = await serve((stream) => stream.respond({ ':status': 200 }))
  const port = await portOf(app.server)
  const pipes: Socket[] = []
  const relay = createTcpServer((socket) => {
    const onward = connect(port, '127.0.0.1')
    socket.pipe(onward).pipe(socket)
    pipes.push(
      socket.on('error', () => undefined),
      onward.on('error', () => undefined),
    )
  })
  const clock = new HandClock()
  {
    await using way = wayTo(plainAt(await portOf(relay)), { version: 'http2' }, clock)
    const answer = way.start()
    await answer.head
    clock.pass(330_000)
    for (let n = 0; n < 100; n++) await turn()
    clock.pass(330_000)
    expect(answer.ends).toBe(0) // it answered the first
    for (let n = 0; n < 100; n++) await turn()
    for (const socket of pipes) socket.unpipe().pause()
    clock.pass(330_000)
    clock.pass(20_000)
    await answer.over
    expect(answer.error).toBeInstanceOf(Error)
  }
  for (const socket of pipes) socket.destroy()
  relay.close()
})
