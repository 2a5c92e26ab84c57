import fc from 'fast-check'
import { har as validate } from 'har-validator'
import { expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/recording/format.ts'
import { harText } from '../../src/recording/har.ts'
import { answer, at, bodyAt, httpHeader, httpSession, request } from './http-example.ts'

// oxlint-disable-next-line typescript/no-explicit-any -- tests state what they expect of it
type Entry = any

async function exported(events: readonly RecordedEvent[], header: Readonly<Record<string, unknown>> = httpHeader) {
  const recording = {
    header,
    manifest: null,
    async *events() {
      yield* events
    },
  }
  let text = ''
  for await (const piece of harText(recording, '1.2.3')) text += piece
  const parsed = JSON.parse(text) as { log: Entry }
  await validate(parsed)
  return parsed.log
}

test('a validator accepts it, and every request is in it once', async () => {
  const log = await exported(httpSession)
  expect(log).toMatchObject({ version: '1.2', creator: { name: 'Curfew', version: '1.2.3' }, pages: [] })
  expect(log.comment).toContain('ada@example.com as viewer on grafana')
  expect(log.entries.map(({ _n }: Entry) => _n)).toEqual([1, 2, 3, 4, 5, 6])
  await expect(
    validate({ log: { ...log, entries: [{ ...log.entries[0], startedDateTime: 'soon' }] } }),
  ).rejects.toThrow()
})

test('a request has its address, headers, query and times', async () => {
  const [first] = (await exported(httpSession)).entries
  expect(first).toMatchObject({
    startedDateTime: '2026-11-22T14:48:07.220Z',
    time: 25,
    timings: { blocked: -1, send: 0, wait: 15, receive: 10 },
    request: {
      ...{ method: 'GET', httpVersion: 'HTTP/2', bodySize: 0, cookies: [], headersSize: -1 },
      url: 'https://grafana.gw.example.com:8443/d/home?orgId=1&token=***',
      headers: [{ name: 'accept', value: 'text/html' }],
      queryString: [
        { name: 'orgId', value: '1' },
        { name: 'token', value: '***' },
      ],
    },
    response: {
      ...{ status: 200, bodySize: 37, headers: [{ name: 'content-type', value: 'text/html; charset=utf-8' }] },
      content: {
        ...{ size: 37, compression: 0, mimeType: 'text/html; charset=utf-8' },
        text: '<!doctype html><title>Zürich</title>',
      },
    },
  })
  expect(first).not.toHaveProperty('serverIPAddress')
})

test('bodies are as they passed, and what is missing is said', async () => {
  const { request: asked, response } = (await exported(httpSession)).entries[2]
  expect(asked.postData).toMatchObject({ mimeType: 'application/json', text: '{"title":"Zü' })
  expect(asked.postData.comment).toBe('Only the first 13 bytes: it was longer than is recorded.')
  expect(response.content).toEqual({
    ...{ size: 4, mimeType: 'application/json', _contentEncoding: 'gzip' },
    ...{ text: 'H4sIAA==', encoding: 'base64', comment: 'Encoded: gzip.' },
  })
})

test('a body of a type that is not recorded is none, and says so', async () => {
  const events = [
    at(0, 'q', request(1, { method: 'PUT', headers: [['content-type', 'image/png']] })),
    at(0, 'bx', { n: 1, direction: 'up', why: 'type' }),
    at(0, 'bx', { n: 1, direction: 'down', why: 'type' }),
    at(1, 'a', answer(1, { headers: [['content-type', 'video/mp4']], bytesUp: 9, bytesDown: 7 })),
  ]
  const [entry] = (await exported(events)).entries
  const comment = 'Not recorded: bodies of its type are not recorded.'
  expect(entry.request.postData).toEqual({ mimeType: 'image/png', params: [], comment })
  expect(entry.response.content).toEqual({ size: 7, compression: 0, mimeType: 'video/mp4', comment })
})

test('a WebSocket is in the form that Chromium reads', async () => {
  const socket = (await exported(httpSession)).entries[3]
  expect(socket).toMatchObject({
    _resourceType: 'websocket',
    _result: 'gate',
    _code: 'GRANT_EXPIRED',
    _bytesUp: 70_020,
  })
  expect(socket.request).toMatchObject({ url: 'wss://grafana.gw.example.com:8443/api/live/ws', bodySize: -1 })
  expect(socket._webSocketMessages[0]).toEqual({
    ...{ type: 'receive', opcode: 1, data: '', _bytes: 20 },
    time: expect.closeTo(Date.parse('2026-11-22T14:48:09.140Z') / 1000, 3),
  })
})

test('what nobody answered says so; what goes on is no error', async () => {
  const { entries } = await exported([...httpSession, at(70, 'q', request(7))])
  expect(entries[5].response).toMatchObject({ status: 0, _error: expect.stringContaining('UPSTREAM_UNREACHABLE') })
  expect(entries[5]).toMatchObject({ time: 1000, timings: { wait: 1000, receive: 0 } })
  expect(entries[6]).toMatchObject({ time: 0, _result: 'open' })
  expect(entries[6].response).not.toHaveProperty('_error')
})

const n = fc.integer({ min: 1, max: 5 })
const text = fc.string({ unit: 'binary', maxLength: 20 })
const ms = fc.double({ min: 0, max: 1e12, noNaN: true })
const headers = fc.array(
  fc.tuple(fc.oneof(text, fc.constantFrom('content-type', 'location', 'content-encoding')), text),
  { maxLength: 3 },
)
const direction = fc.constantFrom('up', 'down')
const size = fc.nat()
const seconds = fc.double({ min: 0, max: 1e15, noNaN: true })
const event = fc.oneof(
  line(
    'q',
    fc.record({
      n,
      method: text,
      url: text,
      origin: fc.oneof(text, fc.constant('https://a.example')),
      version: fc.constantFrom('1.0', '1.1', '2'),
      from: text,
      headers,
    }),
  ),
  line('s', fc.record({ n, status: size, headers })),
  line(
    'a',
    fc.record(
      {
        n,
        status: size,
        headers,
        bytesUp: size,
        bytesDown: size,
        waitMs: ms,
        totalMs: ms,
        result: fc.constantFrom('ok', 'client', 'target', 'gate', 'refused'),
        code: text,
        why: text,
        trailers: headers,
        address: text,
      },
      { requiredKeys: ['n', 'status', 'bytesUp', 'bytesDown', 'totalMs', 'result'] },
    ),
  ),
  line('u', fc.record({ n, protocol: fc.oneof(text, fc.constant('websocket')), headers })),
  line(
    'w',
    fc.record({
      n,
      messages: fc.array(fc.tuple(ms, direction, fc.integer({ min: 0, max: 15 }), size), { maxLength: 4 }),
    }),
  ),
  line('bx', fc.record({ n, direction, why: fc.constantFrom('longer', 'type', 'ended') })),
  fc
    .record({
      seconds,
      data: fc.record({ n, direction, type: text, encoding: text }, { requiredKeys: ['n', 'direction'] }),
      bytes: fc.uint8Array({ maxLength: 20 }),
    })
    .map((one) => ({ ...one, code: '=b', bytes: Buffer.from(one.bytes) })),
  line('m', fc.record({ kind: fc.constantFrom('warning', 'cut'), text })),
)

function line<Data>(code: string, data: fc.Arbitrary<Data>): fc.Arbitrary<RecordedEvent> {
  return fc.record({ seconds, data }).map((one) => ({ ...one, code }))
}

test('whatever was recorded, a validator accepts what is made of it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event), fc.dictionary(text, fc.jsonValue()), async (events, header) => {
      const { entries } = await exported(events, { ...header, startedAt: httpHeader.startedAt })
      for (const { time, timings, request: asked } of entries) {
        expect(time).toBe(timings.send + timings.wait + timings.receive)
        expect(timings.receive).toBeGreaterThanOrEqual(0)
        expect(URL.canParse(asked.url)).toBe(true)
      }
    }),
    { numRuns: 300 },
  )
})

test('an address keeps what was recorded of it, and cannot become another', async () => {
  const urls = ['/a b?c=ü', '//evil.example/x', '@evil.example/', '/%zz', '*', '/\ud800', '/a#b']
  const { entries } = await exported(
    urls.flatMap((url, index) => [at(index, 'q', request(index, { url })), at(index, 'a', answer(index))]),
  )
  expect(
    entries.map(({ request: asked }: Entry) => asked.url.slice('https://grafana.gw.example.com:8443'.length)),
  ).toEqual([...['/a%20b?c=%C3%BC', '//evil.example/x', '/@evil.example/', '/%zz', '/*', '/%EF%BF%BD', '/a#b']])
})

test('a body in another character set is kept exactly', async () => {
  const bytes = Buffer.from([0xe9, 0x74, 0xe9])
  const [entry] = (
    await exported([
      at(0, 'q', request(1)),
      bodyAt(0, { n: 1, direction: 'down', type: 'text/plain; charset=latin1' }, bytes),
      at(1, 'a', answer(1, { bytesDown: 3 })),
    ])
  ).entries
  expect(Buffer.from(entry.response.content.text, entry.response.content.encoding)).toEqual(bytes)
})
