import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ClientBody } from '../../../src/protocols/http/client-body.ts'
import type { HttpRequest } from '../../../src/protocols/http/front.ts'
import type { Recorder } from '../../../src/recording/recorder.ts'

function begin() {
  const request = Object.assign(new PassThrough(), { complete: false })
  const chunks: string[] = []
  const recorder = { full: false } as Recorder
  const body = new ClientBody(request as unknown as HttpRequest, {
    recorder,
    onChunk: (chunk) => chunks.push(chunk.toString()),
  })
  return { request, body, chunks }
}

test('a body that breaks off when nobody reads it any more ends nothing but itself', async () => {
  const { request, body } = begin()
  request.write('half')
  request.destroy()
  await once(request, 'close')
  await nextTurn()
  expect(body.errored).toMatchObject({ message: 'the client went away before its request was whole' })
})

test('what comes after a stop is thrown away, so that its sender can read the answer', async () => {
  const { request, body, chunks } = begin()
  const read = body[Symbol.asyncIterator]()
  request.write('before')
  expect(await read.next()).toEqual({ done: false, value: Buffer.from('before') })
  body.stop()
  request.end('after')
  request.resume()
  await once(request, 'end')
  expect({ chunks, bytes: body.bytes }).toEqual({ chunks: ['before'], bytes: 6 })
})
