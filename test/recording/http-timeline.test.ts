import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/recording/format.ts'
import { httpInOrder } from '../../src/recording/http-order.ts'
import { type HttpExchange, type HttpItem, type HttpKeeping, httpTimeline } from '../../src/recording/http-timeline.ts'
import { answer, at, bodyAt, httpSession, request } from './http-example.ts'
import { collect } from './support.ts'

async function* play(events: Iterable<RecordedEvent>) {
  yield* events
}
const timeline = (events: readonly RecordedEvent[], keeping?: HttpKeeping) =>
  collect(httpTimeline(play(events), keeping))
const ordered = (events: Iterable<RecordedEvent>) => collect(httpInOrder(httpTimeline(play(events))))
const ends = (items: readonly HttpItem[]) => items.flatMap((item) => (item.kind === 'exchange' ? [item.exchange] : []))

async function exchanges(events: readonly RecordedEvent[], keeping?: HttpKeeping) {
  return new Map<number, HttpExchange>(ends(await timeline(events, keeping)).map((one) => [one.n, one]))
}

test('a session is told in the order in which requests came and ended', async () => {
  const items = await timeline(httpSession)
  expect(items.map((item) => `${item.at} ${item.kind}${'exchange' in item ? ` ${item.exchange.n}` : ''}`)).toEqual([
    '0.1 begin 1',
    '0.11 begin 2',
    '0.1 exchange 1',
    '0.11 exchange 2',
    '1 begin 3',
    '1 exchange 3',
    '2 begin 4',
    '4 begin 5',
    '4 exchange 5',
    '6 begin 6',
    '6 exchange 6',
    '8 gate',
    '67 gate',
    '2 exchange 4',
  ])
})

test('an exchange holds its request and all that came of it', async () => {
  const all = await exchanges(httpSession, { bodies: true })
  expect(all.get(1)).toMatchObject({
    at: 0.1,
    request: { method: 'GET', url: '/d/home?orgId=1&token=***', version: '2', headers: [['accept', 'text/html']] },
    ...{ status: 200, headers: [['content-type', 'text/html; charset=utf-8']], bytesDown: 37 },
    ...{ waitMs: 15, totalMs: 25, result: 'ok', code: null, protocol: null, messages: null, bodyUp: null },
    bodyDown: { bytes: 37, type: 'text/html; charset=utf-8', encoding: null, leftOut: null },
  })
  expect(all.get(1)?.bodyDown?.content?.toString()).toBe('<!doctype html><title>Zürich</title>')
  expect(all.get(3)).toMatchObject({
    ...{ status: 500, address: 'b:80', bytesUp: 70_000 },
    bodyUp: { bytes: 13, leftOut: 'longer' },
    bodyDown: { bytes: 4, encoding: 'gzip' },
  })
  expect(all.get(5)).toMatchObject({ status: 403, result: 'refused', code: 'REQUEST_NOT_COVERED', waitMs: null })
  expect(all.get(6)).toMatchObject({ status: null, result: 'target', totalMs: 1000 })
})

test('a WebSocket has its messages, with the time of each', async () => {
  const socket = (await exchanges(httpSession)).get(4)
  expect(socket).toMatchObject({ protocol: 'websocket', status: 101, result: 'gate', code: 'GRANT_EXPIRED' })
  expect(socket?.messages).toEqual({
    up: { count: 2, bytes: 70_000 },
    down: { count: 1, bytes: 20 },
    list: [
      { at: 2.02, direction: 'down', opcode: 1, bytes: 20 },
      { at: expect.closeTo(2.5205, 6), direction: 'up', opcode: 2, bytes: 70_000 },
      { at: expect.closeTo(3.12, 6), direction: 'up', opcode: 9, bytes: 0 },
    ],
    leftOut: 0,
  })
  const long = at(1.5, 'w', {
    n: 1,
    messages: [
      [0, 'up', 2, 10],
      [90, 'up', 0, 5],
    ],
  })
  const parts = (await exchanges([at(1, 'q', request(1)), at(1, 'u', { n: 1, protocol: 'x', headers: [] }), long])).get(
    1,
  )
  expect(parts?.messages).toMatchObject({ up: { count: 1, bytes: 15 }, list: [{ opcode: 2 }, { opcode: 0 }] })
  const { messages } = (await exchanges(httpSession, { messagesMax: 1 })).get(4)!
  expect(messages).toMatchObject({ up: { count: 2 }, down: { count: 1 }, list: [{ opcode: 1 }], leftOut: 2 })
})

test('contents are only kept where they are asked for', async () => {
  expect((await exchanges(httpSession)).get(1)?.bodyDown).toMatchObject({ bytes: 37, content: null })
})

test('a recording that stops leaves its requests open, with what is known so far', async () => {
  const stopped = await exchanges(httpSession.slice(0, 4))
  expect(stopped.get(1)).toMatchObject({ status: 200, waitMs: null, totalMs: null, result: null, bytesDown: null })
  expect(stopped.get(2)).toMatchObject({ status: null, waitMs: null, result: null })
  expect((await exchanges(httpSession.slice(0, 16))).get(4)).toMatchObject({ protocol: 'websocket', result: null })
})

test('read from the middle, an exchange is told without its request', async () => {
  expect(ends(await timeline([at(9, 'a', answer(7))]))).toMatchObject([{ n: 7, at: 9, request: null, status: 200 }])
})

test('what this version does not know is told by its code; any line at all is answered', async () => {
  const items = await timeline([
    { seconds: 1, code: 'future', data: {} },
    { seconds: 2, code: 'q', data: { ...request(1), n: 'one' } },
    { seconds: 3, code: '=z', data: { n: 1 }, bytes: Buffer.from('x') },
    { seconds: 4, code: '=b', data: null, bytes: Buffer.from('x') },
    { seconds: 5, code: 'toString', data: {} },
    { seconds: 6, code: 'a', data: { ...answer(1), totalMs: -1 } },
  ])
  expect(items.map((item) => item.kind === 'unknown' && item.code)).toEqual([
    'future',
    'q',
    '=z',
    '=b',
    'toString',
    'a',
  ])
  const codes = fc.constantFrom('q', 's', 'a', 'u', 'w', 'bx', 'm', '=b')
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ seconds: fc.nat(), code: codes, data: fc.jsonValue() })), async (events) => {
      expect(await timeline(events)).toHaveLength(events.length)
    }),
  )
})

test('in order, a request stands where it came, and each stands there once', async () => {
  const items = await ordered(httpSession)
  expect(items.map((item) => (item.kind === 'exchange' ? item.exchange.n : item.kind))).toEqual([
    ...[1, 2, 3, 4, 5, 6],
    ...['gate', 'gate'],
  ])
  const open = await ordered(httpSession.slice(0, 16))
  expect(open.map((item) => item.kind === 'exchange' && [item.exchange.n, item.exchange.result])).toEqual([
    [1, 'ok'],
    [2, 'ok'],
    [3, 'ok'],
    [4, null],
    [5, null],
  ])
})

// Goal: memory does not grow with the recording. Method: what waits for an answer that never comes is let go.
test('a recording of any length is read in bounded space', { timeout: 60_000 }, async () => {
  function* long(): Generator<RecordedEvent> {
    yield at(0, 'q', request(1, { url: '/stream' }))
    for (let n = 2; n <= 60_000; n++) {
      yield at(n, 'q', request(n))
      if (n % 10 !== 0) yield at(n, 'a', answer(n))
    }
    yield at(60_001, 'a', answer(1))
  }
  let seen = 0
  let seenBeforeEnd = 0
  for await (const item of httpInOrder(httpTimeline(play(long())))) {
    seen++
    if (item.kind === 'exchange' && item.exchange.n > 1 && item.exchange.n < 40_000) seenBeforeEnd = seen
  }
  expect(seen).toBe(60_001)
  expect(seenBeforeEnd).toBeLessThan(55_000)
})

test('contents of many bodies at once are not held without end', async () => {
  const part = Buffer.alloc(1024 * 1024)
  const events = Array.from({ length: 100 }, (_, index) => [
    at(index, 'q', request(index)),
    bodyAt(index, { n: index, direction: 'down' }, part),
  ])
  const bodies = ends(await timeline(events.flat(), { bodies: true })).map(({ bodyDown }) => bodyDown)
  expect(bodies.every((body) => body?.bytes === part.length)).toBe(true)
  expect(bodies.filter((body) => body?.content?.length === part.length)).toHaveLength(64)
})

// Method: with work for each part that grows with the parts before it, this takes half a minute.
test('a body that came a byte at a time is put together in time', { timeout: 10_000 }, async () => {
  const parts = Array.from({ length: 60_000 }, () => bodyAt(1, { n: 1, direction: 'up' }, 'x'))
  const read = await exchanges([at(0, 'q', request(1)), ...parts, at(2, 'a', answer(1))], { bodies: true })
  expect(read.get(1)!.bodyUp!.content).toEqual(Buffer.alloc(60_000, 'x'))
})
