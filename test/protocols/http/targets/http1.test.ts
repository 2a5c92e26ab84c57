import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { freePort } from '../../../../scripts/ports.ts'
import { turnEnd } from '../../../../src/kernel/turn-end.ts'
import { plainAt, portOf, socketAt, wayTo, type Way } from './way.ts'

async function serve(
  listener: RequestListener,
): Promise<{ server: Server; way: Way; sockets: Set<Socket> } & AsyncDisposable> {
  const server = createServer(listener)
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  const way = wayTo(plainAt(await portOf(server)))
  return {
    server,
    way,
    sockets,
    [Symbol.asyncDispose]: async () => {
      await way[Symbol.asyncDispose]()
      server.closeAllConnections()
      server.close()
    },
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}

const echo: RequestListener = (request, response) => {
  textOf(request).then(
    (text) => {
      response.setHeader(
        'x-heard',
        JSON.stringify([request.method, request.url, request.rawHeaders, request.rawTrailers]),
      )
      response.end(text)
    },
    () => response.destroy(), // the body broke off
  )
}

const heardBy = (answer: { header(name: string): string | undefined }): [string, string, string[], string[]] =>
  JSON.parse(answer.header('x-heard')!)

test('the target gets the request line and headers as they are, in order and with repetitions', async () => {
  await using app = await serve(echo)
  const answer = await app.way.ask({ path: '/a//b?x=%2F', headers: ['X-One', '1', 'accept', 'a', 'X-One', '2'] })
  expect(answer).toMatchObject({ status: 200, ends: 1, trailers: [] })
  const [method, path, headers] = heardBy(answer)
  expect([method, path]).toEqual(['GET', '/a//b?x=%2F'])
  expect(headers.map(String)).toEqual([
    'host',
    'app.example',
    'connection',
    'keep-alive',
    'X-One',
    '1',
    'accept',
    'a',
    'X-One',
    '2',
  ])
})

test('connections are kept and shared; one that the target hung up meanwhile does not lose an idempotent request', async () => {
  await using app = await serve(echo)
  for (let n = 0; n < 5; n++) await app.way.ask()
  expect(app.sockets.size).toBe(1)
  for (const socket of app.sockets) socket.on('data', () => socket.resetAndDestroy())
  expect((await app.way.ask()).status).toBe(200)
  expect(app.sockets.size).toBe(2)
})

test('what may have been worked on is never sent twice', async () => {
  let posts = 0
  await using app = await serve((request, response) => {
    if (request.method !== 'POST') return void response.end()
    posts += 1
    request.socket.destroy()
  })
  await app.way.ask()
  const answer = await app.way.ask({ method: 'POST' })
  expect([posts, answer.code, answer.error?.message]).toEqual([
    1,
    'UPSTREAM_UNREACHABLE',
    'app closed the connection before it answered.',
  ])
})

test('a fresh connection that closes without an answer is no reason to ask again', async () => {
  let asked = 0
  await using app = await serve((request) => {
    asked += 1
    request.socket.destroy()
  })
  expect([(await app.way.ask()).code, asked]).toEqual(['UPSTREAM_UNREACHABLE', 1])
})

test.each(['POST', 'DELETE', 'GET'])('a body of known length goes as it is (%s)', async (method) => {
  await using app = await serve(echo)
  const body = Readable.from([Buffer.from('hel'), Buffer.from('lo')])
  const answer = await app.way.ask({ method, body, bodyBytes: 5 })
  expect([answer.text, heardBy(answer)[2].includes('content-length')]).toEqual(['hello', true])
})

test('a body that ends early or goes on too long fails and does not spoil a kept connection', async () => {
  await using app = await serve(echo)
  for (const text of ['hell', 'hello!']) {
    const answer = await app.way.ask({ method: 'POST', body: Readable.from([Buffer.from(text)]), bodyBytes: 5 })
    expect([answer.status, answer.ends]).toEqual([0, 1])
    expect((await app.way.ask()).text).toBe('')
  }
})

test('an open-ended body goes in chunks, its head at once, and its trailers after it', async () => {
  await using app = await serve((request, response) => {
    response.writeHead(200, { trailer: 'x-sum' })
    response.flushHeaders()
    request.on('data', (chunk: Buffer) => response.write(chunk))
    request.on('end', () => {
      response.addTrailers({ 'x-sum': JSON.stringify(request.rawTrailers) })
      response.end()
    })
  })
  const body = new PassThrough()
  const headers = ['trailer', 'x-check']
  const answer = app.way.start({ method: 'POST', body, headers, trailers: () => ['x-check', 'abc'] })
  await answer.head // before the body has begun
  body.write('one')
  while (answer.text !== 'one') await turn()
  body.end('two')
  await answer.over
  expect([answer.text, answer.trailers]).toEqual(['onetwo', ['x-sum', '["x-check","abc"]']])
})

test('an answer before the body has ended stops the body but leaves the client alone', async () => {
  await using app = await serve((_request, response) => void response.writeHead(413, { connection: 'close' }).end('no'))
  for (const bodyBytes of [null, 1e9]) {
    const body = new PassThrough()
    body.write('x')
    const answer = await app.way.ask({ method: 'POST', body, bodyBytes })
    await turn()
    expect([answer.status, answer.text, body.destroyed]).toEqual([413, 'no', false])
  }
})

test('a client that leaves in the middle of its body takes the request with it', async () => {
  const gone = Promise.withResolvers<void>()
  const came = Promise.withResolvers<void>()
  await using app = await serve((request) => {
    request.once('data', () => came.resolve())
    request.on('error', () => gone.resolve())
  })
  for (const bodyBytes of [null, 100]) {
    const body = new PassThrough()
    body.write('x')
    const answer = app.way.start({ method: 'POST', body, bodyBytes })
    await came.promise
    body.destroy()
    await gone.promise
    await answer.over
    expect(answer.ends).toBe(1)
  }
})

test('`*` and unix sockets are reached, too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-'))
  const server = createServer(echo).listen(join(folder, 'app.sock'))
  await once(server, 'listening')
  await using way = wayTo(socketAt(join(folder, 'app.sock')))
  expect(heardBy(await way.ask({ method: 'OPTIONS', path: '*' })).slice(0, 2)).toEqual(['OPTIONS', '*'])
  expect((await way.ask()).status).toBe(200)
  server.closeAllConnections()
  server.close()
  await rm(folder, { recursive: true })
})

test('102 and 103 come through, 100 does not', async () => {
  await using app = await serve((_request, response) => {
    response.writeProcessing()
    response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.end()
  })
  const answer = await app.way.ask()
  expect(answer.informational.map(([status]) => status)).toEqual([102, 103])
  expect(answer.informational[1]?.[1]).toContain('</a.css>; rel=preload')
})

test('an upgrade hands over the plain connection and what came with it', async () => {
  await using app = await serve(echo)
  app.server.on('upgrade', (request, socket, head) => {
    socket.write(
      `HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\nfirst${String(head)}`,
    )
    socket.pipe(socket)
  })
  const { connection, first, headers } = await app.way.ask({ upgrade: 'chat', headers: ['sec-x', 'y'] })
  expect(headers).toContain('chat')
  let text = String(first)
  connection!.on('data', (chunk) => (text += String(chunk)))
  while (text !== 'first') await turn()
  connection!.write('more')
  while (!text.endsWith('more')) await turn()
  await app.way[Symbol.asyncDispose]() // it is not ours any more
  connection!.write('!')
  while (!text.endsWith('!')) await turn()
  connection!.destroy()
})

test('an upgrade that is declined is an answer', async () => {
  await using app = await serve((_request, response) => void response.writeHead(426).end('no'))
  expect(await app.way.ask({ upgrade: 'websocket' })).toMatchObject({ status: 426, ends: 1, connection: null })
})

test.each([
  ['put off on a kept connection', true, {}],
  ['waiting for its connection', false, {}],
  ['waiting for a connection of its own', false, { method: 'OPTIONS', path: '*' }],
])('what is called off while it is %s never leaves', async (_, isKept, request) => {
  await using app = await serve(echo)
  const seen: string[] = []
  app.server.on('request', ({ headers }) => seen.push(String(headers['x-which'])))
  if (isKept) await app.way.ask({ headers: ['x-which', 'first'] })
  // Something waits for the end of the turn for sure, and so the request does.
  await turn()
  for (let count = 0; count < 64; count++) turnEnd.do({ turnEnd: () => undefined })
  const heard = app.way.start({ ...request, headers: ['x-which', 'called off'] })
  heard.flight.callOff()
  // More turns than it takes to open a connection, ask, and hear.
  await app.way.ask({ headers: ['x-which', 'later'] })
  await app.way.ask({ headers: ['x-which', 'later'] })
  heard.flight.abort()
  await turn()
  expect(seen).toEqual([...(isKept ? ['first'] : []), 'later', 'later'])
  expect(heard.ends).toBe(0)
})

test('what is called off is not asked again, nor elsewhere', async () => {
  await using app = await serve(echo)
  const seen: (string | undefined)[] = []
  app.server.on('request', ({ url }) => seen.push(url))
  await using way = wayTo([plainAt(await freePort()), plainAt(await portOf(app.server))])
  // Each session prefers one of the two.
  const all = Array.from({ length: 10 }, (_, n) => way.start({ path: '/called-off' }, { session: `session-${n}` }))
  for (const { flight } of all) flight.callOff()
  await Promise.race(all.map(({ over }) => over))
  await way.ask({ path: '/other' })
  await way.ask({ path: '/other' })
  expect(seen).toEqual(['/other', '/other'])
  for (const { flight } of all) flight.abort()
})

test('aborting closes the connection at once and nothing is told after it', async () => {
  const gone = Promise.withResolvers<void>()
  await using app = await serve((request, response) => {
    request.socket.on('close', () => gone.resolve())
    response.write('x')
  })
  const answer = app.way.start()
  await answer.head
  expect(answer.flight.address).toMatch(/^http:/)
  answer.flight.abort()
  answer.flight.resume()
  await gone.promise
  await turn()
  expect([answer.ends, answer.chunks.length <= 1]).toEqual([0, true])
  expect(app.sockets.size).toBe(1)
  app.way.start().flight.abort() // before it was sent
  for (let n = 0; n < 50; n++) await turn()
  expect(app.sockets.size).toBe(1)
})

// Goal: a slow reader costs the target's patience, not our memory.
// Method: 200 MB towards a reader that takes nothing: the server must stop writing long before.
test.each([
  ['kept', {}],
  ['for one', { method: 'POST', body: Readable.from([]) }],
])('an answer comes at the pace of its reader (%s)', async (_name, request) => {
  const total = 200 * 1024 * 1024
  let written = 0
  await using app = await serve((_request, response) => {
    response.writeHead(200, { 'content-length': total })
    const chunk = Buffer.alloc(64 * 1024)
    const more = () => {
      let room = true
      while (room && written < total) {
        room = response.write(chunk)
        written += chunk.length
      }
      if (written >= total) response.end()
      else response.once('drain', more)
    }
    more()
  })
  let paused = true
  let bytes = 0
  const answer = app.way.start(request, { sink: { body: (chunk) => ((bytes += chunk.length), !paused) } })
  await answer.head
  let before = -1
  while (before !== written) {
    before = written
    for (let n = 0; n < 200; n++) await turn()
  }
  expect(bytes).toBeLessThan(1024 * 1024)
  expect(written).toBeLessThan(20 * 1024 * 1024) // what the system's socket buffers hold
  const memory = process.memoryUsage().rss
  paused = false
  answer.flight.resume()
  await answer.over
  expect(bytes).toBe(total)
  expect(process.memoryUsage().rss - memory).toBeLessThan(100 * 1024 * 1024)
})

test.each([null, 200 * 1024 * 1024])(
  'a body goes at the pace of the target (%s bytes announced)',
  async (bodyBytes) => {
    await using app = await serve((request) => request.pause())
    let read = 0
    const chunk = Buffer.alloc(64 * 1024)
    const body = new Readable({
      read() {
        read += chunk.length
        this.push(chunk)
      },
    })
    const answer = app.way.start({ method: 'POST', body, bodyBytes })
    let before = -1
    while (before !== read) {
      before = read
      for (let n = 0; n < 200; n++) await turn()
    }
    expect(read).toBeGreaterThan(0)
    expect(read).toBeLessThan(20 * 1024 * 1024)
    answer.flight.abort()
  },
)
