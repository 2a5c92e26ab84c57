// Goal: gRPC passes the whole gateway: every kind of call, metadata, status trailers, deadlines and cancels.
// Method: the real grpc-js at both ends; the client over TLS with a token in its metadata, the server by HTTP/2 prior knowledge.
import { once } from 'node:events'
import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { recordedHttp } from '../clients/http-recorded.ts'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'

const bytes = (text: Buffer): Buffer => text
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  ...{ path: `/test.Echo/${name}`, requestStream, responseStream },
  ...{ requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes },
})
const service = {
  unary: method('Unary', false, false),
  count: method('Count', false, true),
  sum: method('Sum', true, false),
  chat: method('Chat', true, true),
  hang: method('Hang', false, false),
}

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let client: grpc.Client
let metadata: grpc.Metadata
/** What the server saw of calls, newest last. */
const seen: grpc.Metadata[] = []
let cancelled = 0

beforeAll(async () => {
  const port = await startServer()
  gateway = stack.use(
    await startHttpTestGateway({ others: { rpc: { address: `http://127.0.0.1:${port}`, version: 'http2' } } }),
  )
  await gateway.httpGrant('alice', 'open', undefined, 'rpc')
  const credentials = grpc.credentials.createSsl(Buffer.from(gateway.ca))
  const name = gateway.appUrl('/', 'rpc')
  // The name is not known to every system, so the address is asked and the name expected.
  client = new grpc.Client(`127.0.0.1:${name.port}`, credentials, {
    'grpc.ssl_target_name_override': name.hostname,
    'grpc.default_authority': name.host,
  })
  stack.defer(() => client.close())
  metadata = new grpc.Metadata()
  for (const [key, value] of Object.entries(await gateway.bearer('alice', 'open'))) metadata.set(key, value)
}, 60_000)
afterAll(() => stack.disposeAsync())

async function startServer(): Promise<number> {
  const server = new grpc.Server()
  stack.defer(() => server.forceShutdown())
  server.addService(service, {
    unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
      seen.push(call.metadata)
      const trailers = new grpc.Metadata()
      trailers.set('x-trailer', 'after')
      if (String(call.request) !== 'fail') return answer(null, call.request, trailers)
      answer({ code: grpc.status.NOT_FOUND, details: 'nothing like it: ü', metadata: trailers })
    },
    count: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      for (let n = 1; n <= Number(call.request); n++) call.write(Buffer.from(`${n}`))
      call.end()
    },
    sum: (call: grpc.ServerReadableStream<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
      let sum = 0
      call.on('data', (message: Buffer) => (sum += Number(message)))
      call.on('end', () => answer(null, Buffer.from(`${sum}`)))
    },
    chat: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on('cancelled', () => cancelled++)
      call.on('data', (message: Buffer) => call.write(message))
      call.on('end', () => call.end())
    },
    hang: (call: grpc.ServerUnaryCall<Buffer, Buffer>) => void call.on('cancelled', () => cancelled++),
  })
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    )
  })
}

function unary(request: Buffer, sent = metadata): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(service.unary.path, bytes, bytes, request, sent, (error, answer) =>
      error === null ? resolve(answer!) : reject(error),
    )
  })
}

test('one message each way, also a large one, and many at once', async () => {
  const big = Buffer.alloc(3_000_000, 'x')
  expect((await unary(big)).equals(big)).toBe(true)
  const texts = Array.from({ length: 100 }, (_, index) => `message ${index}`)
  const answers = await Promise.all(texts.map((text) => unary(Buffer.from(text))))
  expect(answers.map(String)).toEqual(texts)
})

test('metadata arrives, without the token and with the identity', async () => {
  const sent = metadata.clone()
  sent.set('x-own', 'value')
  sent.set('x-bytes-bin', Buffer.from([0, 255]))
  await unary(Buffer.from('x'), sent)
  const { authorization, ...got } = seen.at(-1)!.getMap()
  expect(authorization).toBeUndefined()
  expect(got).toMatchObject({ 'x-own': 'value', 'x-bytes-bin': Buffer.from([0, 255]) })
  expect(got['curfew-assertion']).toMatch(/^eyJ/)
})

test('a status that is no success comes with its words and trailers', async () => {
  const error = await unary(Buffer.from('fail')).catch((failure: unknown) => failure as grpc.ServiceError)
  expect(error).toMatchObject({ code: grpc.status.NOT_FOUND, details: 'nothing like it: ü' })
  expect((error as grpc.ServiceError).metadata.get('x-trailer')).toEqual(['after'])
})

test('streams of the server, of the client, and of both', async () => {
  const count = client.makeServerStreamRequest(service.count.path, bytes, bytes, Buffer.from('500'), metadata)
  expect((await count.toArray()).map(Number)).toEqual(Array.from({ length: 500 }, (_, index) => index + 1))

  const sum = await new Promise<Buffer>((resolve, reject) => {
    const call = client.makeClientStreamRequest(service.sum.path, bytes, bytes, metadata, (error, answer) =>
      error === null ? resolve(answer!) : reject(error),
    )
    for (let n = 1; n <= 100; n++) call.write(Buffer.from(`${n}`))
    call.end()
  })
  expect(Number(sum)).toBe(5050)

  const chat = client.makeBidiStreamRequest(service.chat.path, bytes, bytes, metadata)
  for (let n = 0; n < 20; n++) {
    chat.write(Buffer.from(`${n}`))
    expect(String((await once(chat, 'data'))[0])).toBe(`${n}`)
  }
  chat.end()
  expect((await once(chat.resume(), 'status'))[0]).toMatchObject({ code: grpc.status.OK })
})

test('a cancel and a deadline reach the server', async () => {
  const before = cancelled
  const chat = client.makeBidiStreamRequest(service.chat.path, bytes, bytes, metadata)
  chat.write(Buffer.from('x'))
  await once(chat, 'data')
  chat.cancel()
  expect((await once(chat, 'error'))[0]).toMatchObject({ code: grpc.status.CANCELLED })
  await expect.poll(() => cancelled).toBe(before + 1)
  const late = new Promise((_, reject) => {
    const options = { deadline: Date.now() + 300 }
    client.makeUnaryRequest(service.hang.path, bytes, bytes, Buffer.from('x'), metadata, options, reject)
  })
  await expect(late).rejects.toMatchObject({ code: grpc.status.DEADLINE_EXCEEDED })
  await expect.poll(() => cancelled).toBe(before + 2)
})

test('without a token, and without a grant, the call fails as unauthenticated and as not permitted', async () => {
  await expect(unary(Buffer.from('x'), new grpc.Metadata())).rejects.toMatchObject({
    code: grpc.status.UNAUTHENTICATED,
  })
  const asked = metadata.clone()
  asked.set('curfew-role', 'asked')
  await expect(unary(Buffer.from('x'), asked)).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED })
})

test('the end of the grant ends an open stream; the recording has each call with its status', async () => {
  const chat = client.makeBidiStreamRequest(service.chat.path, bytes, bytes, metadata)
  chat.write(Buffer.from('x'))
  await once(chat, 'data')
  const alice = await gateway.person('alice')
  const [grant] = await gateway.gateway.access.livingGrants(alice.id)
  const failed = once(chat, 'error')
  await gateway.gateway.access.handBack(alice, grant!.id)
  expect((await failed)[0]).toMatchObject({ code: expect.any(Number) })
  const recorded = await recordedHttp(gateway, 'open')
  expect(recorded.exchange('/test.Echo/Chat').answer).toMatchObject({ result: 'gate', code: 'GRANT_HANDED_BACK' })
  expect(recorded.exchange('/test.Echo/Count').answer).toMatchObject({
    ...{
      status: 200,
      result: 'ok',
      trailers: [
        ['grpc-status', '0'],
        ['grpc-message', 'OK'],
      ],
    },
  })
  // A failure without a message is a head only.
  const failures = recorded
    .all('a')
    .filter(({ headers }) => headers?.some(([name, value]) => name === 'grpc-status' && value === '5'))
  expect(failures).toHaveLength(1)
})
