// Goal: WebSockets pass as they are: messages of all lengths, pieces, compression, pings, subprotocols, closes, many at once.
// Method: the real ws at both ends, a raw connection where ws cannot be that impolite; the recording is read.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recordedHttp } from '../clients/http-recorded.ts'
import { UpgradeRefused, type WebSocketWish } from '../clients/web-socket.ts'
import { startHttpTestGateway, type Entered, type HttpTestGateway } from '../servers/http-gateway.ts'

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let alice: Entered

beforeAll(async () => {
  gateway = stack.use(
    await startHttpTestGateway({
      configure: (config) => {
        const { app } = config.resources as unknown as { app: { roles: Record<string, object> } }
        app.roles['readonly'] = { allow: [{ methods: ['GET'], paths: ['/ws/*'] }], deny: [{ paths: ['/ws/flood'] }] }
      },
    }),
  )
  for (const role of ['open', 'readonly', 'mapped', 'unrecorded'] as const) await gateway.httpGrant('alice', role)
  alice = stack.use(await gateway.enter('alice', 'open'))
}, 60_000)
afterAll(() => stack.disposeAsync())

const asPage = (): Record<string, string> => ({ cookie: alice.cookie, origin: gateway.appUrl('/').origin })
const open = async (path: string, wish: Partial<WebSocketWish> = {}) =>
  gateway.webSocket(path, { ...wish, headers: { ...asPage(), ...wish.headers } })

describe.each([
  ['by cookie', async () => asPage()],
  ['by token, in a role without rules', () => gateway.bearer('alice', 'mapped')],
  ['by token, in a role with rules', () => gateway.bearer('alice', 'readonly')],
  ['by token, not recorded', () => gateway.bearer('alice', 'unrecorded')],
] as const)('%s', (_how, headers) => {
  test.each([true, false])('messages of all lengths come back, compression offered: %s', async (deflate) => {
    await using socket = await gateway.webSocket('/ws/echo', { headers: await headers(), deflate })
    expect(socket.socket.extensions).toBe(deflate ? 'permessage-deflate' : '')
    for (const text of [
      '',
      'x',
      'grüße 👋',
      'y'.repeat(125),
      'z'.repeat(126),
      'a'.repeat(65_535),
      'b'.repeat(65_536),
    ]) {
      expect(await socket.ask(text)).toBe(text)
    }
    const big = randomBytes(5_000_000)
    expect(big.equals((await socket.ask(big)) as Buffer)).toBe(true)
  })
})

test('thousands of messages keep their order', async () => {
  await using socket = await open('/ws/echo')
  const hash = createHash('sha256')
  for (let index = 0; index < 2000; index++) socket.send(`message ${index}`)
  await socket.untilReceived(2000)
  for (const message of socket.messages) hash.update(message)
  const expected = createHash('sha256')
  for (let index = 1000; index < 2000; index++) expected.update(`message ${index}`)
  expect(hash.digest('hex')).toBe(expected.digest('hex'))
})

test('a message in pieces, with a ping between them', async () => {
  await using socket = await open('/ws/echo', { deflate: false })
  const pong = once(socket.socket, 'pong')
  socket.socket.send('one ', { fin: false })
  socket.socket.ping('are you there')
  socket.socket.send('message', { fin: true })
  expect(String((await pong)[0])).toBe('are you there')
  await socket.untilReceived(1)
  expect(socket.messages).toEqual(['one message'])
})

test('the subprotocol that the target chose, and none', async () => {
  await using chosen = await open('/ws/echo', { protocols: ['graphql-ws', 'other'] })
  expect(chosen.socket.protocol).toBe('graphql-ws')
  await using none = await open('/ws/echo')
  expect(none.socket.protocol).toBe('')
  expect(gateway.target.webSockets.at(-2)!.headers['sec-websocket-protocol']).toBe('graphql-ws,other')
})

test('closes pass with code and reason, whoever begins', async () => {
  await using first = await open('/ws/echo')
  first.send('close 4001 grüße')
  expect(await first.untilClosed()).toEqual({ code: 4001, reason: 'grüße' })
  await using second = await open('/ws/echo')
  second.socket.close(4002, 'enough')
  expect(await second.untilClosed()).toEqual({ code: 4002, reason: 'enough' })
  await gateway.target.until((_, target) => target.webSockets.at(-1)!.closed?.code === 4002)
  await using third = await open('/ws/silent')
  third.socket.terminate()
  await gateway.target.until((_, target) => target.webSockets.at(-1)!.closed?.code === 1006)
})

test('who stops reading holds up the target', async () => {
  await using socket = await open('/ws/flood?size=65536', { deflate: false })
  await socket.untilReceived(1)
  socket.socket.pause()
  const seen = gateway.target.webSockets.at(-1)!
  await expect.poll(async () => await isStill(() => seen.sent), { timeout: 10_000 }).toBe(true)
  expect(seen.sent * 65_536).toBeLessThan(40_000_000)
  const before = seen.sent
  socket.socket.resume()
  await gateway.target.until(() => seen.sent > before + 100)
})

async function isStill(count: () => number): Promise<boolean> {
  const before = count()
  await new Promise((resolve) => setTimeout(resolve, 300))
  return count() === before
}

test('fifty at once, each with its own', async () => {
  const sockets = await Promise.all(Array.from({ length: 50 }, () => open('/ws/echo')))
  for (const socket of sockets) stack.use(socket)
  const answers = await Promise.all(sockets.map((socket, index) => socket.ask(`number ${index}`)))
  expect(answers).toEqual(sockets.map((_, index) => `number ${index}`))
  expect(gateway.target.facts().webSockets).toBeGreaterThanOrEqual(50)
  await Promise.all(sockets.map((socket) => socket[Symbol.asyncDispose]()))
  await gateway.target.until(({ webSockets }) => webSockets === 0)
})

test('what the target answers instead of an upgrade is the answer', async () => {
  await expect(open('/ws/refuse')).rejects.toMatchObject({ status: 402, body: 'no\n' })
  await expect(open('/ws/none')).rejects.toMatchObject({ status: 404 })
})

test('nobody gets in without a sign-in, from a foreign page, or where the role has no rule for it', async () => {
  const refused = async (path: string, headers: Readonly<Record<string, string>>) => {
    const error = await gateway.webSocket(path, { headers }).catch((failure: unknown) => failure)
    expect(error).toBeInstanceOf(UpgradeRefused)
    const { status, body } = error as UpgradeRefused
    return [status, (JSON.parse(body) as { code: string }).code]
  }
  const before = gateway.target.webSockets.length
  expect(await refused('/ws/echo', {})).toEqual([401, 'SIGN_IN_REQUIRED'])
  expect(await refused('/ws/echo', { ...asPage(), origin: 'https://evil.example' })).toEqual([403, 'ORIGIN_REFUSED'])
  expect(await refused('/ws/echo', { cookie: alice.cookie })).toEqual([403, 'ORIGIN_REFUSED'])
  expect(await refused('/ws/flood', await gateway.bearer('alice', 'readonly'))).toEqual([403, 'REQUEST_NOT_COVERED'])
  expect(await refused('/ws/echo', await gateway.bearer('dave', 'open'))).toEqual([403, 'NO_GRANT'])
  expect(gateway.target.webSockets.length).toBe(before)
})

test('what is said in single bytes, with the end of the connection right behind it, arrives', async () => {
  const socket = await raw('/ws/echo')
  const frames = Buffer.concat([frame(1, 'one'), frame(1, 'two'), frame(8, '\u0003\u00e8')])
  for (const byte of frames) socket.write(Buffer.of(byte))
  socket.end()
  await gateway.target.until((_, target) => target.webSockets.at(-1)!.closed !== null)
  expect(gateway.target.webSockets.at(-1)).toMatchObject({ received: 2, last: 'two', closed: { code: 1000 } })
})

/** After the answer to the upgrade. */
async function raw(path: string): Promise<TLSSocket> {
  const { host, hostname, port } = gateway.appUrl('/')
  const socket = connect({ host: '127.0.0.1', port: Number(port), servername: hostname, ca: gateway.ca })
  stack.defer(() => void socket.destroy())
  await once(socket, 'secureConnect')
  const lines = { ...asPage(), host, connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }
  const head = Object.entries({ ...lines, 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' })
  socket.write(`GET ${path} HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 101 [^]*sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i)
  return socket
}

/** Masked with zeros. */
function frame(opcode: number, payload: string): Buffer {
  const bytes = Buffer.from(payload, 'latin1')
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | bytes.length, 0, 0, 0, 0]), bytes])
}

test('the end of the grant closes with the reason; the recording counts every message', async () => {
  const headers = await gateway.bearer('alice', 'mapped')
  await using socket = await gateway.webSocket('/ws/echo?token=hidden', { headers, deflate: false })
  await socket.ask('hello')
  await socket.ask(Buffer.alloc(1000))
  const person = await gateway.person('alice')
  const grants = await gateway.gateway.access.livingGrants(person.id)
  await gateway.gateway.access.handBack(person, grants.find(({ role }) => role === 'mapped')!.id)
  expect(await socket.untilClosed()).toMatchObject({ code: 1008, reason: expect.stringMatching(/handed/i) })
  await gateway.target.until((_, target) => target.webSockets.at(-1)!.closed !== null)

  const recorded = await recordedHttp(gateway, 'mapped')
  const { request, answer } = recorded.exchange('/ws/echo?token=')
  expect(request).toMatchObject({ method: 'GET', url: '/ws/echo?token=***' })
  expect(answer).toMatchObject({ status: 101, result: 'gate' })
  const messages = recorded
    .all('w')
    .filter(({ n }) => n === request.n)
    .flatMap((line) => line.messages)
  const shapes = messages.map(([, direction, opcode, bytes]) => [direction, opcode, bytes])
  expect(shapes.slice(0, 4)).toEqual([
    ['up', 1, 5],
    ['down', 1, 5],
    ['up', 2, 1000],
    ['down', 2, 1000],
  ])
})
