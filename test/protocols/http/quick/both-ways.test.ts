// Goal: the quick way is the usual one, only quicker: the target, the client and the recording see the same. Method: each request
// twice, as what was worked out for an answer is used again, on a kept connection through the whole gateway, plainly and with a header that Node's parser must read; the target's
// view, the raw answer and the recording's lines are compared.
import { once } from 'node:events'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { Fault } from '../../../../src/kernel/fault.ts'
import { turnEnd } from '../../../../src/kernel/turn-end.ts'
import { QuickAnswer } from '../../../../src/protocols/http/quick/quick-answer.ts'
import { QuickExchange } from '../../../../src/protocols/http/quick/quick-exchange.ts'
import { QuickWay } from '../../../../src/protocols/http/quick/quick-way.ts'
import { recordedHttp } from '../../../clients/http-recorded.ts'
import { startHttpTestGateway, type HttpTestGateway } from '../../../servers/http-gateway.ts'

let gateway: HttpTestGateway
/** Of an application that sends heads by HTTP/2, and ends its answers when a test does. */
const unended: ServerHttp2Stream[] = []
let quick: { readonly mock: { readonly calls: readonly unknown[] } }
const parts = new AsyncDisposableStack()

beforeAll(async () => {
  const slow = createServer()
  slow.on('stream', (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200, 'content-length': '0' })
    unended.push(stream)
  })
  await once(slow.listen(0, '127.0.0.1'), 'listening')
  parts.defer(() => void slow.close())
  const address = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`
  gateway = parts.use(
    await startHttpTestGateway({
      app: { recordHeaders: ['X-Chosen'], maskQuery: ['mask-me'] },
      others: { slow: { address, version: 'http2' } },
    }),
  )
}, 60_000)
afterAll(() => parts.disposeAsync())
beforeEach(() => {
  quick = vi.spyOn(QuickExchange.prototype, 'start')
})
afterEach(() => vi.restoreAllMocks())

/** Dropped on the way, and never plain. */
const forNode = 'Keep-Alive: 5\r\n'

async function dial(resource = 'app'): Promise<TLSSocket> {
  const { hostname, port } = gateway.appUrl('/', resource)
  const socket = connect({ ...{ host: '127.0.0.1', port: Number(port), servername: hostname }, ca: gateway.ca })
  await once(socket, 'secureConnect')
  return socket
}

/** The head without what is new each time, and the body: all bytes until nothing more comes of the answer. */
async function ask(socket: TLSSocket, method: string, path: string, lines: string, resource = 'app') {
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${gateway.appUrl('/', resource).host}\r\n${lines}\r\n`)
  let text = ''
  for (;;) {
    const [head, body] = text.split('\r\n\r\n', 2)
    const length = Number(/^content-length: (\d+)/im.exec(head!)?.[1] ?? 0)
    if (body !== undefined && (method === 'HEAD' || body.length >= length)) {
      const same = (line: string) => line.replace(/^date: .*/i, 'date').replace(/http-\w+-\w+/, 'id')
      return { head: head!.split('\r\n').map(same), body }
    }
    text += ((await once(socket, 'data')) as [Buffer])[0].toString('latin1')
  }
}

const linesOf = (headers: Readonly<Record<string, string>>) =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')

type Request = readonly [method: string, path: string, more?: string]

const different: readonly Request[] = [
  ['GET', '/status/200'],
  ['HEAD', '/hello'],
  ['GET', '/status/204'],
  ['GET', '/status/404?code=secret&mask-me=secret&plain=yes', 'X-Chosen: chosen\r\n'],
  ['GET', '/bytes?n=3000', 'Accept: */*\r\nReferer: https://elsewhere.example/?a=secret\r\n'],
  ['GET', '/bytes?n=100000'],
  ['GET', '/status/500', 'X-Forwarded-For: 6.6.6.6\r\nCookie: own=1\r\nX-Chosen: "quoted\\"\r\n'],
]
const requests = different.flatMap((request) => [request, request])

test('the target, the client and the recording see the same', async () => {
  const grant = await gateway.httpGrant('alice', 'open')
  const lines = linesOf(await gateway.bearer('alice', 'open'))
  const [plain, odd] = [await dial(), await dial()]
  const normal = (text: string) => text.replace(/http-\w+-\w+/, 'id').replaceAll(/:\d{5}\b/g, ':port')
  const seenOf = (url: string) =>
    gateway.target.seen
      .filter((one) => one.url === url)
      .map(({ method, rawHeaders }) => [method, ...rawHeaders.map(normal)])
  await ask(plain, 'GET', '/status/201', lines)
  // Word of the new grant may come in between, once: then it is asked anew who they are from, the usual way.
  let [rounds, wentQuickly] = [0, 0]
  const workedOut = vi.spyOn(QuickAnswer, 'of')
  while (wentQuickly < requests.length && rounds < 3) {
    rounds += 1
    const before = quick.mock.calls.length
    for (const [method, path, more = ''] of requests) {
      const quickly = await ask(plain, method, path, lines + more)
      const usually = await ask(odd, method, path, lines + more + forNode)
      expect(quickly).toEqual(usually)
      const [one, other] = seenOf(path).slice(-2)
      expect(one).toEqual(other)
    }
    wentQuickly = quick.mock.calls.length - before
  }
  expect(wentQuickly).toBe(requests.length)
  expect(workedOut.mock.calls.length).toBeLessThan(quick.mock.calls.length)
  plain.destroy()
  odd.destroy()
  await gateway.gateway.access.handBack(await gateway.person('alice'), grant.id)
  const { all, everything } = await recordedHttp(gateway, 'open')
  const facts = all('q')
    .slice(1)
    .map((q) => ({
      q: { ...q, n: 0, id: '', from: '' },
      a: { ...all('a').find(({ n }) => n === q.n), n: 0, waitMs: 0, totalMs: 0 },
    }))
  const dated = (fact: (typeof facts)[number]) =>
    JSON.parse(JSON.stringify(fact).replace(/\w{3}, \d\d [^"]*GMT/, '')) as unknown
  expect(facts).toHaveLength(2 * requests.length * rounds)
  for (let index = 0; index < facts.length; index += 2) expect(dated(facts[index]!)).toEqual(dated(facts[index + 1]!))
  expect(everything).not.toContain('secret')
})

test('what a role does not cover is refused and recorded by the usual way', async () => {
  await gateway.httpGrant('alice', 'readonly')
  const lines = linesOf(await gateway.bearer('alice', 'readonly'))
  const socket = await dial()
  const statuses: string[] = []
  for (const path of ['/read/a', '/read/a', '/read/../read/a', '/read/secret/a', '/elsewhere', '/read/a']) {
    statuses.push((await ask(socket, 'GET', path, lines)).head[0]!)
  }
  const known = statuses.map((line) => line.split(' ')[1])
  expect(known.slice(3, 5)).toEqual(['403', '403'])
  expect(new Set([known[0], known[1], known[2], known[5]])).not.toContain('403')
  expect(quick.mock.calls).toHaveLength(3)
  socket.destroy()
})

test('nothing that was worked out outlives a sign-out', async () => {
  await gateway.httpGrant('alice', 'injected')
  await using entered = await gateway.enter('alice', 'injected')
  const lines = linesOf({ cookie: entered.cookie, origin: gateway.appUrl().origin })
  const socket = await dial()
  for (let count = 0; count < 3; count++) expect((await ask(socket, 'GET', '/hello', lines)).head[0]).toContain('200')
  expect(quick.mock.calls.length).toBeGreaterThan(1)
  expect((await entered.visitor.post(new URL('/sign-out', gateway.url), {})).status).toBeLessThan(400)
  for (let count = 0; count < 3; count++)
    expect((await ask(socket, 'GET', '/hello', lines)).head[0]).toMatch(/ 40[13] /)
  socket.destroy()
})

test('a head without a body waits for nothing that may come after it', async () => {
  await gateway.httpGrant('alice', 'open', undefined, 'slow')
  const lines = linesOf(await gateway.bearer('alice', 'open'))
  const socket = await dial('slow')
  for (let count = 1; count <= 3; count++) {
    expect((await ask(socket, 'GET', '/', lines, 'slow')).head[0]).toContain('200')
    unended.at(-1)!.end()
  }
  expect(quick.mock.calls).toHaveLength(2)
  socket.destroy()
})

test('a body that comes before its end is known is not lost', async () => {
  // oxlint-disable-next-line typescript/unbound-method -- called with `this`
  const { body } = QuickExchange.prototype
  vi.spyOn(QuickExchange.prototype, 'body').mockImplementation(function (this: QuickExchange, chunk) {
    const goesOn = body.call(this, chunk)
    this.noMoreWaiting()
    return goesOn
  })
  await gateway.httpGrant('alice', 'open')
  const lines = linesOf(await gateway.bearer('alice', 'open'))
  const socket = await dial()
  for (let count = 0; count < 3; count++)
    expect((await ask(socket, 'GET', '/bytes?n=300', lines)).body).toHaveLength(300)
  expect(quick.mock.calls.length).toBeGreaterThan(1)
  socket.destroy()
})

test('a request that is cut before it was written reaches no target', async () => {
  await gateway.httpGrant('alice', 'open')
  const lines = linesOf(await gateway.bearer('alice', 'open'))
  const socket = await dial()
  for (let count = 0; count < 3; count++) await ask(socket, 'GET', '/hello', lines)
  // oxlint-disable-next-line typescript/unbound-method -- called with `this`
  const { start } = QuickExchange.prototype
  vi.spyOn(QuickExchange.prototype, 'start').mockImplementationOnce(function (this: QuickExchange) {
    // Something waits for the end of the turn for sure, and so the request does.
    for (let count = 0; count < 64; count++) turnEnd.do({ turnEnd: () => undefined })
    start.call(this)
    this.cut(new Fault('KILLED', 'Somebody ended it.'))
  })
  const answer = await ask(socket, 'GET', '/status/202', lines)
  expect(answer.head[0]).toContain('403')
  expect(answer.body).toContain('Somebody ended it.')
  const other = await dial()
  for (let count = 0; count < 2; count++)
    expect((await ask(other, 'GET', '/status/203', lines)).head[0]).toContain('203')
  expect(gateway.target.seen.map(({ url }) => url)).not.toContain('/status/202')
  socket.destroy()
  other.destroy()
})

test('a mistake of ours on the quick way costs no more than that', async () => {
  vi.spyOn(QuickWay.prototype, 'take').mockImplementation(() => {
    throw new Error('a mistake')
  })
  await gateway.httpGrant('alice', 'open')
  const lines = linesOf(await gateway.bearer('alice', 'open'))
  const socket = await dial()
  for (let count = 0; count < 2; count++)
    expect((await ask(socket, 'GET', '/bytes?n=300', lines)).body).toHaveLength(300)
  socket.destroy()
})
