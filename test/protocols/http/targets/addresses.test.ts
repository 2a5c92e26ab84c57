import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { HandClock } from '../../../clock.ts'
import type { HttpResource } from '../../../../src/resources/catalogue.ts'
import { plainAt, portOf, wayTo, type Way } from './way.ts'

interface Pair extends AsyncDisposable {
  readonly way: Way
  readonly clock: HandClock
  readonly servers: readonly Server[]
  readonly texts: readonly string[]
  /** Which of the servers answered. */
  askAs(session: string): Promise<string>
  stop(at: number): Promise<void>
  restart(at: number): Promise<void>
}

async function serve(changes: Partial<HttpResource> = {}, listener?: RequestListener): Promise<Pair> {
  const servers = [0, 1].map((n) => createServer(listener ?? ((_request, response) => void response.end(`${n}`))))
  const ports = await Promise.all(servers.map(portOf))
  const [first, second] = ports.map((port) => plainAt(port))
  const clock = new HandClock()
  const way = wayTo([first!, second!], changes, clock)
  const stop = async (at: number) => {
    const closed = new Promise((resolve) => servers[at]!.close(resolve))
    servers[at]!.closeAllConnections()
    await closed
  }
  return {
    way,
    clock,
    servers,
    texts: [first!.text, second!.text],
    askAs: async (session) => (await way.ask({}, { session })).text,
    stop,
    restart: (at) => new Promise((resolve) => servers[at]!.listen(ports[at], '127.0.0.1', resolve)),
    [Symbol.asyncDispose]: async () => {
      await way[Symbol.asyncDispose]()
      await Promise.all(servers.map(async (server, at) => server.listening && stop(at)))
    },
  }
}

const sessions = Array.from({ length: 200 }, (_, n) => `session-${n}`)

test('sessions spread over the addresses, and each stays with its own', async () => {
  await using pair = await serve()
  const first: string[] = []
  for (const session of sessions) first.push(await pair.askAs(session))
  const share = first.filter((answer) => answer === '0').length
  expect(share).toBeGreaterThan(60)
  expect(share).toBeLessThan(140)
  for (const [at, session] of sessions.entries()) expect(await pair.askAs(session)).toBe(first[at])
})

async function sessionOf(pair: Pair, server: string): Promise<string> {
  for (const session of sessions) if ((await pair.askAs(session)) === server) return session
  throw new Error('every session went elsewhere')
}

test.each(['http1', 'http2'] as const)(
  'a body that was not touched goes to the other address, too (%s)',
  async (version) => {
    const listener = (request: AsyncIterable<Buffer>, response: { end(text: string): void }) => {
      void readAll(request).then((text) => response.end(text))
    }
    const server = version === 'http1' ? createServer(listener) : createHttp2Server(listener)
    const there = plainAt(await portOf(server))
    const gone = createServer()
    const nobody = plainAt(await portOf(gone))
    await new Promise((resolve) => gone.close(resolve))
    {
      await using way = wayTo([nobody, there], { version })
      for (const bodyBytes of [5, null]) {
        for (const session of sessions.slice(0, 20)) {
          const body = Readable.from([Buffer.from('hello')])
          expect((await way.ask({ method: 'POST', body, bodyBytes }, { session })).text).toBe('hello')
        }
      }
      expect(way.targets.unhealthy()).toMatchObject([{ address: nobody.text }])
    }
    server.close()
  },
)

async function readAll(body: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const chunk of body) text += String(chunk)
  return text
}

test('when an address is gone its sessions go to the other, and come back after it', async () => {
  await using pair = await serve()
  const session = await sessionOf(pair, '0')
  await pair.stop(0)
  expect(await pair.askAs(session)).toBe('1')
  expect(pair.way.targets.unhealthy()).toMatchObject([{ resource: 'app', address: pair.texts[0] }])
  expect([...pair.way.healthy.values()]).toEqual([0, 1])
  await pair.restart(0)
  expect(await pair.askAs(session)).toBe('1') // left out for 5 s
  pair.clock.pass(4_999)
  expect(await pair.askAs(session)).toBe('1')
  pair.clock.pass(1)
  expect(await pair.askAs(session)).toBe('0')
  expect([pair.way.targets.unhealthy(), [...pair.way.healthy.values()]]).toEqual([[], [1, 1]])
})

test('an address is left out for longer each time, up to a minute', async () => {
  await using pair = await serve()
  const session = await sessionOf(pair, '0')
  await pair.stop(0)
  const lengths: number[] = []
  for (let n = 0; n < 6; n++) {
    await pair.askAs(session)
    const last = pair.way.lines.findLast(({ leftOutMs }) => leftOutMs !== undefined)
    lengths.push(last?.['leftOutMs'] as number)
    pair.clock.pass(60_000)
  }
  expect(lengths).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000])
})

test('of many requests only one looks whether an address is back', async () => {
  await using pair = await serve()
  const session = await sessionOf(pair, '0')
  await pair.stop(0)
  await pair.askAs(session)
  pair.clock.pass(5_000)
  const before = pair.way.lines.length
  await Promise.all(Array.from({ length: 10 }, () => pair.askAs(session)))
  expect(pair.way.lines.length - before).toBe(1)
})

test('when all are out they are tried nevertheless, each once', async () => {
  await using pair = await serve()
  await pair.stop(0)
  await pair.stop(1)
  expect((await pair.way.ask()).code).toBe('UPSTREAM_UNREACHABLE')
  expect(pair.way.targets.unhealthy()).toHaveLength(2)
  const before = pair.way.lines.length
  expect((await pair.way.ask()).code).toBe('UPSTREAM_UNREACHABLE')
  expect(pair.way.lines.length - before).toBe(3)
  await pair.restart(1)
  expect((await pair.way.ask()).text).toBe('1')
})

test('a health check leaves an address out and takes it back, and carries nobody’s identity', async () => {
  let well = [true, true]
  const asked: string[][] = []
  let pair!: Pair
  const health = { path: '/health?deep=1', everyMs: 1_000, timeoutMs: 500 }
  await using made = await serve({ health }, (request, response) => {
    const at = pair.texts.findIndex((text) => text.endsWith(`:${request.socket.localPort}`))
    if (request.url !== health.path) return void response.end(`${at}`)
    asked.push(request.rawHeaders)
    if (well[at] === true) response.writeHead(302).end()
    else if (well[at] === false) response.writeHead(500).end('x'.repeat(100_000))
  })
  pair = made
  const untilHealthy = async (...expected: number[]) => {
    while (String([...pair.way.healthy.values()]) !== String(expected)) {
      pair.clock.pass(1_000)
      for (let n = 0; n < 20; n++) await turn()
    }
  }
  const session = await sessionOf(pair, '0')
  well = [false, true]
  await untilHealthy(0, 1)
  expect(await pair.askAs(session)).toBe('1')
  expect(pair.way.targets.unhealthy()).toEqual([{ resource: 'app', address: pair.texts[0], why: 'status 500' }])
  well = [true, undefined as unknown as boolean] // never answers
  await untilHealthy(1, 0)
  expect(await pair.askAs(session)).toBe('0')
  expect(pair.way.targets.unhealthy()[0]!.why).toBe('no answer within 500 ms')
  expect(asked[0]!.filter((_each, at) => at % 2 === 0)).toEqual(['host', 'connection', 'user-agent'])
  await pair.way[Symbol.asyncDispose]()
  expect(pair.clock.timers).toBe(0)
})

test.each(['http1', 'http2'] as const)(
  'a kept connection that closes as it is asked how it is makes nobody ill (%s)',
  async (version) => {
    let checks = 0
    const asked = new Set<unknown>()
    const listener = ({ socket }: { readonly socket: object }, response: { end(): void }) => {
      checks++
      const connection = 'stream' in response ? (response.stream as ServerHttp2Stream).session! : (socket as Socket)
      if (asked.has(connection)) return void connection.destroy()
      asked.add(connection)
      response.end()
    }
    const server = version === 'http1' ? createServer(listener) : createHttp2Server(listener)
    const clock = new HandClock()
    const there = plainAt(await portOf(server))
    {
      const health = { path: '/health', everyMs: 1000, timeoutMs: 60_000 }
      await using way = wayTo(there, { health, version }, clock)
      while (checks < 7) {
        clock.pass(1000)
        for (let turns = 0; turns < 20; turns++) await turn()
      }
      expect(way.lines.map(({ message }) => message)).toEqual([])
      expect([...way.healthy.values()]).toEqual([1])
    }
    server.close()
  },
)
