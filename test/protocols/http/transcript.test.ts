import { expect, test } from 'vitest'
import { Fault } from '../../../src/kernel/fault.ts'
import { bodyGoesOn, HttpTranscript } from '../../../src/protocols/http/transcript.ts'
import { HandClock } from '../../clock.ts'
import { HandRecorder } from './websocket/relayed.ts'

const facts = {
  method: 'GET',
  url: '/a?b=c',
  origin: 'https://app.example.com',
  version: '2',
  id: 'http-run-1',
  from: '203.0.113.9:51234',
  headers: [['accept', '*/*']],
} as const
const headers = [['content-type', 'text/html']] as const

function start() {
  const clock = new HandClock()
  const recorder = new HandRecorder()
  return { clock, recorder, transcript: new HttpTranscript(recorder, clock) }
}

test('a small exchange is two lines', () => {
  const { clock, recorder, transcript } = start()
  const exchange = transcript.request(facts)
  clock.pass(12)
  exchange.answer(200, headers, false)
  clock.pass(3)
  exchange.done({ bytesUp: 0, bytesDown: 42, result: 'ok', address: 'http://10.0.0.5:3000' })
  expect(recorder.events).toEqual([
    { code: 'q', data: { n: 1, ...facts } },
    {
      code: 'a',
      data: {
        n: 1,
        status: 200,
        headers,
        bytesUp: 0,
        bytesDown: 42,
        waitMs: 12,
        totalMs: 15,
        result: 'ok',
        address: 'http://10.0.0.5:3000',
      },
    },
  ])
  expect(clock.timers).toBe(0)
})

test('the head of a body that goes on is written before its end, once', () => {
  const { clock, recorder, transcript } = start()
  const [long, short] = [transcript.request(facts), transcript.request(facts)]
  long.answer(200, headers, true)
  short.answer(204, headers, true)
  short.done({ bytesUp: 0, bytesDown: 0, result: 'ok' })
  expect(clock.timers).toBe(1)
  clock.pass(100)
  expect(recorder.events.slice(3)).toEqual([{ code: 's', data: { n: 1, status: 200, headers } }])
  clock.pass(60_000)
  long.done({ bytesUp: 0, bytesDown: 9, result: 'gate', code: 'GRANT_EXPIRED', why: 'over', trailers: [['t', '1']] })
  expect(recorder.events.at(-1)).toEqual({
    code: 'a',
    data: {
      n: 1,
      status: 200,
      bytesUp: 0,
      bytesDown: 9,
      waitMs: 0,
      totalMs: 60_100,
      result: 'gate',
      code: 'GRANT_EXPIRED',
      why: 'over',
      trailers: [['t', '1']],
    },
  })
  expect(recorder.events).toHaveLength(5)
  expect(clock.timers).toBe(0)
})

test('an upgrade is told at once', () => {
  const { clock, recorder, transcript } = start()
  const exchange = transcript.request(facts)
  exchange.upgraded('websocket', headers)
  expect(recorder.events[1]).toEqual({ code: 'u', data: { n: 1, protocol: 'websocket', headers } })
  clock.pass(500)
  exchange.done({ bytesUp: 5, bytesDown: 6, result: 'client' })
  expect(recorder.events[2]?.data).toEqual({
    n: 1,
    status: 101,
    bytesUp: 5,
    bytesDown: 6,
    waitMs: 0,
    totalMs: 500,
    result: 'client',
  })
})

test('a refusal says why, and nothing comes after the end', () => {
  const { clock, recorder, transcript } = start()
  const exchange = transcript.request(facts)
  exchange.refused(403, new Fault('REQUEST_NOT_COVERED', 'This role may not do that.'))
  exchange.answer(200, headers, true)
  exchange.upgraded('websocket', headers)
  exchange.done({ bytesUp: 1, bytesDown: 1, result: 'ok' })
  clock.pass(1000)
  expect(recorder.events.slice(1)).toEqual([
    {
      code: 'a',
      data: {
        n: 1,
        status: 403,
        bytesUp: 0,
        bytesDown: 0,
        totalMs: 0,
        result: 'refused',
        code: 'REQUEST_NOT_COVERED',
        why: 'This role may not do that.',
      },
    },
  ])
})

test("the gate's own status counts only where the target gave none", () => {
  const { recorder, transcript } = start()
  const lost = transcript.request(facts)
  lost.done({ bytesUp: 0, bytesDown: 0, result: 'target', status: 502, code: 'UPSTREAM_UNREACHABLE' })
  const broken = transcript.request(facts)
  broken.answer(200, headers, false)
  broken.done({ bytesUp: 0, bytesDown: 0, result: 'target', status: 502 })
  const silent = transcript.request(facts)
  silent.done({ bytesUp: 0, bytesDown: 0, result: 'client', address: null })
  expect(recorder.events.filter(({ code }) => code === 'a').map(({ data }) => data)).toEqual([
    expect.objectContaining({ n: 1, status: 502 }),
    expect.objectContaining({ n: 2, status: 200 }),
    { n: 3, status: 0, bytesUp: 0, bytesDown: 0, totalMs: 0, result: 'client' },
  ])
})

test('where nothing is recorded nothing is kept', () => {
  const { clock, recorder, transcript } = start()
  recorder.active = false
  const exchange = transcript.request(facts)
  exchange.answer(200, headers, true)
  exchange.done({ bytesUp: 0, bytesDown: 0, result: 'ok' })
  transcript.message('cut', 'over')
  expect(exchange.n).toBe(0)
  expect(transcript.request(facts)).toBe(exchange)
  expect(recorder.events).toEqual([])
  expect(clock.timers).toBe(0)
})

test('what the gate says is written down', () => {
  const { recorder, transcript } = start()
  transcript.message('warning', 'soon')
  transcript.message('cut', 'over', 'KILLED')
  expect(recorder.events).toEqual([
    { code: 'm', data: { kind: 'warning', text: 'soon' } },
    { code: 'm', data: { kind: 'cut', text: 'over', code: 'KILLED' } },
  ])
})

test.each([
  ['10', 'text/html', false],
  ['65536', undefined, false],
  ['65537', 'text/html', true],
  [undefined, 'text/html', true],
  ['nonsense', 'text/html', true],
  ['10', 'text/event-stream', true],
  ['10', ' Text/Event-Stream; charset=utf-8', true],
  ['10', 'text/event-streams', false],
])('a body of length %s and type %s goes on: %s', (length, type, expected) => {
  expect(bodyGoesOn(length, type)).toBe(expected)
})
