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
  const drained = Promise.withResolvers<void>()
  const recorder = { full: false, drained: () => drained.promise } as {
    -readonly [Key in keyof Recorder]: Recorder[Key]
  }
  const body = new ClientBody(request as unknown as HttpRequest, {
    recorder,
    onChunk: (chunk) => chunks.push(chunk.toString()),
  })
  return { request, body, chunks, recorder, drained }
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

test('what cannot be recorded is not forwarded: a reader gets no more until the recorder has caught up', async () => {
  const { request, body, recorder, drained } = begin()
  const got: string[] = []
  body.on('data', (chunk: Buffer) => got.push(chunk.toString()))
  for (const piece of ['1', '2', '3']) {
    recorder.full = true
    request.write(piece)
    await nextTurn()
    await nextTurn()
  }
  expect(got).toEqual(['1'])
  recorder.full = false
  drained.resolve()
  await expect.poll(() => got).toEqual(['1', '2', '3'])
})
