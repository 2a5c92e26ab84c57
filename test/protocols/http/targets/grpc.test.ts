import * as grpc from '@grpc/grpc-js'
import { once } from 'node:events'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { plainAt, wayTo, type Way } from './way.ts'

const bytes = (text: Buffer): Buffer => text
const method = (path: string, streams: boolean) => ({
  path,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
})
const service = { unary: method('/test.Echo/Unary', false), chat: method('/test.Echo/Chat', true) }

/** A gRPC server that is not ours, the way to it, and in front of that what a gateway does with each stream. */
async function startEcho(): Promise<{ client: grpc.Client } & AsyncDisposable> {
  const target = new grpc.Server()
  target.addService(service, {
    unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
      if (String(call.request) === 'fail') answer({ code: grpc.status.NOT_FOUND, details: 'nothing like it' })
      else answer(null, call.request)
    },
    chat: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (message: Buffer) => call.write(message))
      call.on('end', () => call.end())
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure()
    target.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)))
  })
  const way = wayTo(plainAt(port), { version: 'http2' })
  const front = createServer().on('stream', (stream: ServerHttp2Stream, headers) =>
    pass(way, stream, headers as Record<string, string>),
  )
  await once(front.listen(0, '127.0.0.1'), 'listening')
  const client = new grpc.Client(
    `127.0.0.1:${(front.address() as AddressInfo).port}`,
    grpc.credentials.createInsecure(),
  )
  return {
    client,
    [Symbol.asyncDispose]: async () => {
      client.close()
      await way[Symbol.asyncDispose]()
      target.forceShutdown()
      front.close()
    },
  }
}

function pass(way: Way, stream: ServerHttp2Stream, headers: Record<string, string>): void {
  stream.on('error', () => undefined) // the client may cancel
  let trailers: readonly string[] = []
  const flight = way.start(
    {
      method: headers[':method']!,
      path: headers[':path']!,
      host: 'app.example',
      headers: Object.entries(headers).flatMap(([name, value]) => (name.startsWith(':') ? [] : [name, value])),
      body: stream,
      trailers: () => [],
    },
    {
      sink: {
        head: (status, raw, endStream) =>
          stream.respond({ ':status': status, ...fieldsOf(raw) }, { endStream, waitForTrailers: !endStream }),
        body: (chunk) => stream.write(chunk),
        end: (raw) => {
          trailers = raw
          if (!stream.writableEnded) stream.end()
        },
        failed: () => stream.close(2),
      },
    },
  ).flight
  stream.on('wantTrailers', () => stream.sendTrailers(fieldsOf(trailers)))
  stream.on('drain', () => flight.resume())
  stream.on('close', () => flight.abort())
}

function fieldsOf(raw: readonly string[]): Record<string, string> {
  return Object.fromEntries(Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at]!, raw[2 * at + 1]!]))
}

test('gRPC calls pass: one message each way, a status that is no success, and a conversation', async () => {
  await using echo = await startEcho()
  const unary = (text: string) =>
    new Promise<string>((resolve, reject) => {
      echo.client.makeUnaryRequest(service.unary.path, bytes, bytes, Buffer.from(text), (error, answer) =>
        error === null ? resolve(String(answer)) : reject(error),
      )
    })
  expect(await Promise.all(['a', 'b', 'c'].map(unary))).toEqual(['a', 'b', 'c'])
  await expect(unary('fail')).rejects.toMatchObject({ code: grpc.status.NOT_FOUND, details: 'nothing like it' })
  const chat = echo.client.makeBidiStreamRequest(service.chat.path, bytes, bytes)
  for (let n = 0; n < 10; n++) {
    chat.write(Buffer.from(`${n}`))
    expect(String((await once(chat, 'data'))[0])).toBe(`${n}`)
  }
  chat.end()
  expect((await once(chat.resume(), 'status'))[0]).toMatchObject({ code: grpc.status.OK })
})

test('a call that its client gives up ends at the target, too', async () => {
  await using echo = await startEcho()
  const chat = echo.client.makeBidiStreamRequest(service.chat.path, bytes, bytes)
  chat.write(Buffer.from('x'))
  await once(chat, 'data')
  chat.cancel()
  const [error] = (await once(chat, 'error')) as [grpc.ServiceError]
  expect(error.code).toBe(grpc.status.CANCELLED)
})
