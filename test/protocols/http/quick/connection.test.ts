// Goal: a connection loses, doubles and swaps nothing, wherever it is cut, and whichever of its requests go the quick way, the
// usual way, or to Node's server. Method: raw bytes over TLS to the listener, with applications that say what they were asked.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { issue, makeAuthority } from '../../../../scripts/certificates.ts'
import type { Listening } from '../../../../src/kernel/listening.ts'
import { Secret } from '../../../../src/kernel/secret.ts'
import { turnEnd } from '../../../../src/kernel/turn-end.ts'
import { createLog } from '../../../../src/observability/log.ts'
import { listenFront, type Applications } from '../../../../src/protocols/http/front.ts'
import type { Block } from '../../../../src/protocols/http/quick/block.ts'
import type { QuickConnection } from '../../../../src/protocols/http/quick/connection.ts'
import { openLane } from '../../../../src/protocols/http/quick/lane.ts'

let listening: Listening
let identity: { readonly cert: string; readonly key: string }
/** How many requests went which way. */
let ways = { quick: 0, usual: 0, pages: 0 }
/** Answers that wait until a test lets them go. */
let waiting: (() => void)[] = []
/** Of the requests, as they came. */
let blocks: Block[] = []
/** Whose request came last. */
let lately: QuickConnection
/** Clients that left before their answer. */
let gone = 0

const applications: Applications = {
  has: (host) => host === 'app',
  isAnswering: () => false,
  upgrade: () => undefined,
  handle: (request, response) => {
    ways.usual++
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')))
    request.on('end', () => (response as ServerResponse).end(said(request.method!, request.url!, body)))
  },
  takeQuick: (connection, { method, path }, block) => {
    blocks.push(block)
    lately = connection
    if (!path.startsWith('/quick')) return false
    ways.quick++
    const text = said(method, path, '')
    const answer = () => connection.answer(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`)
    connection.quick = { clientGone: () => gone++ }
    if (path.startsWith('/quick/wait')) waiting.push(answer)
    else setImmediate(answer)
    return true
  },
}

const said = (method: string, path: string, body: string) => `[${method} ${path} ${body}]`

const pages = {
  handle: (...[, response]: Parameters<Applications['handle']>) => {
    ways.pages++
    ;(response as ServerResponse).end('[page]')
  },
  close() {},
}

const listen = (port: number) =>
  listenFront(
    {
      address: '127.0.0.1',
      port,
      tls: { certificate: identity.cert, key: new Secret(identity.key) },
      certificates: [],
      keepalives: null,
    },
    {
      ...{ pages, applications, log: createLog({ level: 'error' }) },
      limits: { webConnectionsPerAddressMax: 1000, webConnectionsMax: 1000 },
    },
  )

beforeAll(async () => {
  const { certificate, key } = await issue(await makeAuthority('Curfew test authority'), { names: ['localhost'] })
  identity = { cert: certificate, key }
  listening = await listen(0)
})
afterAll(() => listening?.[Symbol.asyncDispose]())
beforeEach(() => {
  ways = { quick: 0, usual: 0, pages: 0 }
  waiting = []
  blocks = []
  gone = 0
})

async function dial(): Promise<TLSSocket> {
  const socket = connect({ port: listening.port, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
  await once(socket, 'secureConnect')
  return socket.setNoDelay(true)
}

/** Reads until so many answers have come. */
async function answers(socket: TLSSocket, count: number): Promise<string[]> {
  let text = ''
  const found = () => [...text.matchAll(/\[[^\]]*\]/g)].map(([one]) => one)
  while (found().length < count) text += ((await once(socket, 'data')) as [Buffer])[0].toString('latin1')
  return found()
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: app\r\n${more}\r\n`
const post = (path: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: app\r\nContent-Length: ${body.length}\r\n\r\n${body}`

/** Some milliseconds, so that two writes are most likely two reads; if they are not, the answers must be the same. */
const apart = () => new Promise((resolve) => setTimeout(resolve, 3))

test('a request that is cut anywhere is one request', async () => {
  const text = get('/quick/a', 'X-A: b\r\n')
  const cuts = Array.from({ length: text.length - 1 }, (_, index) => index + 1)
  const check = async (cut: number) => {
    const socket = await dial()
    socket.write(text.slice(0, cut))
    await apart()
    socket.write(text.slice(cut) + get('/next'))
    expect(await answers(socket, 2)).toEqual(['[GET /quick/a ]', '[GET /next ]'])
    socket.destroy()
  }
  await Promise.all(cuts.map(check))
})

test('one after the other, each its own way, on one connection', async () => {
  const socket = await dial()
  for (const path of ['/quick/1', '/2', '/quick/3', '/quick/4']) {
    socket.write(get(path))
    expect(await answers(socket, 1)).toEqual([`[GET ${path} ]`])
  }
  expect(ways).toEqual({ quick: 3, usual: 1, pages: 0 })
  // From here on it is Node's.
  for (const [text, answer] of [
    [post('/5', 'abc'), '[POST /5 abc]'],
    [get('/quick/6'), '[GET /quick/6 ]'],
  ] as const) {
    socket.write(text)
    expect(await answers(socket, 1)).toEqual([answer])
  }
  expect(ways).toEqual({ quick: 3, usual: 3, pages: 0 })
  socket.destroy()
})

test('of heads that go no quick way nothing is kept, as anybody may send them', async () => {
  const socket = await dial()
  for (const path of ['/1', '/2', '/quick/3', '/quick/4', '/5']) {
    socket.write(get(path))
    await answers(socket, 1)
  }
  expect(blocks.map((block) => blocks.indexOf(block))).toEqual([0, 1, 2, 2, 2])
  socket.destroy()
})

test('several at once are answered in order', async () => {
  const socket = await dial()
  socket.write(get('/quick/1'))
  expect(await answers(socket, 1)).toEqual(['[GET /quick/1 ]'])
  socket.write(get('/quick/2') + post('/3', 'x') + get('/4') + get('/quick/5'))
  expect(await answers(socket, 4)).toEqual(['[GET /quick/2 ]', '[POST /3 x]', '[GET /4 ]', '[GET /quick/5 ]'])
  socket.destroy()
})

test.each([1, 3, 3000])('what comes while an answer is under way waits for it: %d more', async (count) => {
  const socket = await dial()
  socket.write(get('/quick/wait'))
  await expect.poll(() => waiting.length).toBe(1)
  const paths = Array.from({ length: count }, (_, index) => `/quick/${index}`)
  for (const path of paths) socket.write(get(path))
  await apart()
  expect(ways.quick + ways.usual).toBe(1)
  waiting[0]!()
  expect(await answers(socket, count + 1)).toEqual(['/quick/wait', ...paths].map((path) => `[GET ${path} ]`))
  expect(ways.quick + ways.usual).toBe(count + 1)
  socket.destroy()
})

test('an answer that is not written yet keeps the next request waiting, whatever the socket says of earlier ones', async () => {
  const socket = await dial()
  socket.write(get('/quick/wait/1'))
  await vi.waitFor(() => expect(waiting).toHaveLength(1))
  socket.write(get('/quick/wait/2'))
  await apart()
  // Something is waiting for the end of the turn for sure, and so the answer does.
  for (let count = 0; count < 64; count++) turnEnd.do({ turnEnd: () => undefined })
  waiting[0]!()
  lately.socket.emit('drain')
  expect(waiting).toHaveLength(1)
  expect(await answers(socket, 1)).toEqual(['[GET /quick/wait/1 ]'])
  await vi.waitFor(() => expect(waiting).toHaveLength(2))
  waiting[1]!()
  expect(await answers(socket, 1)).toEqual(['[GET /quick/wait/2 ]'])
  socket.destroy()
})

test('a client that leaves in the middle is noticed, and what it sent is forgotten', async () => {
  const socket = await dial()
  socket.write(get('/quick/wait'))
  await expect.poll(() => waiting.length).toBe(1)
  socket.write(get('/quick/1'))
  socket.destroy()
  await expect.poll(() => gone).toBe(1)
  waiting[0]!()
  await apart()
  expect(ways).toEqual({ quick: 1, usual: 0, pages: 0 })
})

test('other hosts get the pages', async () => {
  const socket = await dial()
  socket.write('GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n')
  expect(await answers(socket, 1)).toEqual(['[page]'])
  expect(ways).toEqual({ quick: 0, usual: 0, pages: 1 })
  socket.destroy()
})

test.each([
  ['nothing', ''],
  ['half a head of an application', 'GET /quick/1 HTTP/1.1\r\nHost: app\r\nX-'],
  ['half a head of the pages', 'POST / HTTP/1.1\r\nHost: else'],
])('who sends %s in its time is sent away, who sends a whole head is not', async (_, half) => {
  const asked: (() => void)[] = []
  const settings = { ...identity, ALPNProtocols: ['http/1.1'], allowHTTP1: true }
  const server = createSecureServer(settings, (__, response) => asked.push(() => response.end('[page]')))
  const answerer = { ...applications, handle: () => undefined }
  const lane = openLane(server, { answerer, idleMs: 10_000, onSilence: () => undefined, firstMs: 500 })
  await once(server.listen(0), 'listening')
  const { port } = server.address() as AddressInfo
  const [late, quick, usual] = [0, 1, 2].map(() => connect({ port, rejectUnauthorized: false }))
  late!.write(half)
  quick!.write(get('/quick/wait'))
  usual!.write('POST / HTTP/1.1\r\nHost: elsewhere\r\nContent-Length: 0\r\n\r\n')
  const [head, problem] = (await text(late!)).split('\r\n\r\n')
  expect(head).toMatch(/^HTTP\/1\.1 408 [^]*Content-Type: application\/problem\+json/)
  expect(JSON.parse(problem!)).toMatchObject({ status: 408, code: 'PROTOCOL_VIOLATION' })
  expect([quick!.destroyed, usual!.destroyed]).toEqual([false, false])
  lane.close()
  asked[0]!()
  expect(await answers(usual!, 1)).toEqual(['[page]'])
  waiting[0]!()
  expect(await answers(quick!, 1)).toEqual(['[GET /quick/wait ]'])
  await once(quick!, 'close')
  usual!.destroy()
  server.close()
})

test('who is silent for long is told of, whichever way the last request went, and again while that lasts', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const silent: unknown[] = []
  const settings = { ...identity, ALPNProtocols: ['http/1.1'], allowHTTP1: true }
  const server = createSecureServer(settings, (__, response) => response.end('[page]'))
  server.setTimeout(12_345)
  const lane = openLane(server, {
    ...{ answerer: applications, idleMs: 10_000, firstMs: 1e6 },
    onSilence: (socket) => silent.push(socket.remotePort),
  })
  await once(server.listen(0), 'listening')
  const { port } = server.address() as AddressInfo
  const [never, quick, usual, left] = [0, 1, 2, 3].map(() => connect({ port, rejectUnauthorized: false }))
  const timeouts: unknown[] = []
  server.on('request', ({ socket }) => timeouts.push(socket.timeout))
  left!.write('GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n')
  expect(await answers(left!, 1)).toEqual(['[page]'])
  const ask = async (path: string, socket: TLSSocket) => {
    socket.write(get(path))
    expect(await answers(socket, 1)).toEqual([`[GET ${path} ]`])
  }
  await ask('/quick/1', quick!)
  await ask('/usual', usual!)
  vi.advanceTimersByTime(6000)
  await ask('/quick/2', quick!)
  vi.advanceTimersByTime(5000)
  expect(silent).toHaveLength(2)
  expect(new Set(silent)).toEqual(new Set([never, usual].map((socket) => socket!.localPort)))
  await ask('/usual', usual!)
  vi.advanceTimersByTime(6000)
  expect(new Set(silent)).toEqual(new Set([never, usual, quick].map((socket) => socket!.localPort)))
  expect(silent.filter((one) => one === usual!.localPort)).toHaveLength(1)
  expect(silent.filter((one) => one === quick!.localPort)).toHaveLength(1)
  expect(silent.filter((one) => one === never!.localPort)).toHaveLength(7)
  // Of those that Node's server has it takes the time itself.
  expect(timeouts).toEqual([12_345])
  lane.close()
  for (const socket of [never, quick, usual, left]) socket!.destroy()
  server.close()
})

test('what keeps a program alive begins only when it listens', async () => {
  const timers = vi.spyOn(globalThis, 'setInterval')
  await expect(listen(listening.port)).rejects.toThrow('EADDRINUSE')
  expect(timers).not.toHaveBeenCalled()
  timers.mockRestore()
})
