import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Activity } from '../../../src/protocols/postgres/activity.ts'
import { FrameWalker } from '../../../src/protocols/postgres/frames.ts'
import {
  cstring,
  errorResponse,
  fromClient,
  fromServer,
  int32,
  message,
  notice,
  parameterStatus,
  query,
  readyForQuery,
  terminate,
} from '../../../src/protocols/postgres/messages.ts'
import { readBind } from '../../../src/protocols/postgres/read-bind.ts'
import { Transcript } from '../../../src/protocols/postgres/transcript.ts'
import { HandClock } from '../../clock.ts'
import { ListRecorder } from './hand-made.ts'

const int16 = (value: number) => Buffer.from([value >> 8, value & 255])
const parse = (name: string, sql: string) => message(fromClient.parse, cstring(name), cstring(sql), int16(0))
const bind = (values: readonly (string | null)[]) => message(fromClient.bind, bindBody(values))
const execute = (rows = 0) => message(fromClient.execute, cstring(''), int32(rows))
const sync = message(fromClient.sync)
const complete = (tag: string) => message(fromServer.commandComplete, cstring(tag))
const ready = readyForQuery('I'.charCodeAt(0))
const row = message(fromServer.dataRow, int16(0))
const failure = errorResponse({ severity: 'ERROR', sqlstate: '22012', message: 'division by zero' })

function bindBody(values: readonly (string | null)[], format: number[] = []): Buffer {
  const parts = values.map((value) =>
    value === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]),
  )
  const formats = Buffer.concat([int16(format.length), ...format.map(int16)])
  return Buffer.concat([cstring(''), cstring('s'), formats, int16(values.length), ...parts, int16(0)])
}

function listen() {
  const recorder = new ListRecorder()
  const clock = new HandClock()
  const transcript = new Transcript(recorder, clock)
  const [client, target] = [new FrameWalker(transcript.client, 1 << 30), new FrameWalker(transcript.target, 1 << 30)]
  return { recorder, clock, client, target }
}

const brief = ({ recorder }: ReturnType<typeof listen>) =>
  recorder.events.map(({ code, data }) => `${code}${'n' in data ? data.n : ''}`).join(' ')

test('answers in a pipeline belong to their executions; an error skips to the next Sync', () => {
  const session = listen()
  const one = Buffer.concat([parse('', 'select 1'), bind([]), execute()])
  session.client.walk(Buffer.concat([one, one, one, sync, one, sync]))
  session.clock.pass(5)
  session.target.walk(Buffer.concat([row, complete('SELECT 1'), row, failure, ready]))
  session.clock.pass(7)
  session.target.walk(Buffer.concat([row, row, complete('SELECT 2'), ready]))
  expect(session.recorder.of('c')).toEqual([
    { n: 1, ms: 5, tag: 'SELECT 1', rows: 1 },
    { n: 4, ms: 7, tag: 'SELECT 2', rows: 2 },
  ])
  expect(session.recorder.of('e')).toMatchObject([{ n: 2, ms: 0, sqlstate: '22012', rows: 1 }])
})

test('a simple query with several statements is answered several times', () => {
  const session = listen()
  session.client.walk(query('insert into t values (1); select 1; '))
  session.clock.pass(2)
  session.target.walk(complete('INSERT 0 1'))
  session.clock.pass(3)
  session.target.walk(Buffer.concat([complete('SELECT 1'), ready]))
  session.client.walk(query(''))
  session.target.walk(Buffer.concat([message(fromServer.emptyQueryResponse), ready]))
  expect(session.recorder.of('c')).toEqual([
    { n: 1, ms: 2, tag: 'INSERT 0 1', rows: 1 },
    { n: 1, ms: 3, tag: 'SELECT 1', rows: 1 },
    { n: 2, ms: 0, tag: null, rows: null },
  ])
})

test('a suspended portal, a function call, notices and parameters have their lines', () => {
  const session = listen()
  session.client.walk(Buffer.concat([execute(2), sync, message(fromClient.functionCall, int32(957), int16(0))]))
  session.target.walk(Buffer.concat([row, row, message(fromServer.portalSuspended), ready]))
  session.target.walk(Buffer.concat([message(fromServer.functionCallResponse, int32(-1)), ready]))
  session.target.walk(Buffer.concat([notice('careful'), parameterStatus('TimeZone', 'UTC')]))
  expect(session.recorder.of('x')).toEqual([{ n: 1, portal: '', rows: 2 }])
  expect(session.recorder.of('f')).toEqual([{ n: 2, oid: 957, argumentBytes: 6 }])
  expect(session.recorder.of('c')).toMatchObject([
    { n: 1, rows: 2, suspended: true },
    { n: 2, tag: null },
  ])
  expect(session.recorder.of('n')).toMatchObject([{ message: 'careful' }])
  expect(session.recorder.of('s')).toEqual([{ name: 'TimeZone', value: 'UTC' }])
})

test('passwords are masked, also when backslashes are escapes', () => {
  const session = listen()
  session.client.walk(query("alter role r password 'hunter2'"))
  session.target.walk(parameterStatus('standard_conforming_strings', 'off'))
  session.client.walk(query(String.raw`alter role r password 'hun\'ter2' login`))
  expect(session.recorder.of('q').map(({ sql }) => sql)).toEqual([
    "alter role r password '[masked]'",
    "alter role r password '[masked]' login",
  ])
})

const long = (lengthBytes: number) => 'n'.repeat(lengthBytes)

test.each([
  ['a statement', parse(long(1025), 'drop table customers')],
  ['a statement, by more than is kept', parse(long(100_000), 'drop table customers')],
  ['a portal to bind', message(fromClient.bind, cstring(long(1025)), cstring('s'))],
  ['a statement to bind', message(fromClient.bind, cstring('p'), cstring(long(1025)))],
  ['a portal to execute', message(fromClient.execute, cstring(long(1025)), int32(0))],
])('nothing is hidden behind a long name of %s', (_, bytes) => {
  const session = listen()
  expect(() => session.client.walk(bytes)).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }))
})

test('names are recorded as the server tells them apart', () => {
  const session = listen()
  const ends = (last: string) => `${long(63)}${last}`
  session.client.walk(parse(ends('a'), 'select 1'))
  session.client.walk(message(fromClient.bind, cstring(ends('p')), cstring(ends('b')), int16(0), int16(0), int16(0)))
  session.client.walk(message(fromClient.execute, cstring(ends('q')), int32(0)))
  expect(session.recorder.of('p')).toMatchObject([{ name: long(63), sql: 'select 1' }])
  expect(session.recorder.of('b')).toMatchObject([{ portal: long(63), statement: long(63) }])
  expect(session.recorder.of('x')).toMatchObject([{ portal: long(63) }])
})

test('what is recorded does not depend on how the bytes are cut', () => {
  const client = Buffer.concat([query('select 1'), parse('p', 'select $1'), bind(['a', null]), execute(), sync])
  const copy = message(fromServer.copyOutResponse, Buffer.alloc(3))
  const data = message(fromServer.copyData, Buffer.alloc(9))
  const target = Buffer.concat([copy, data, data, complete('COPY 2'), ready, row, failure, ready])
  const whole = listen()
  whole.client.walk(client)
  whole.target.walk(target)
  expect(brief(whole)).toBe('q1 p b x2 cp c1 e2')
  fc.assert(
    fc.property(fc.nat(client.length), fc.nat(target.length), (first, second) => {
      const session = listen()
      for (const piece of [client.subarray(0, first), client.subarray(first)]) session.client.walk(piece)
      for (const piece of [target.subarray(0, second), target.subarray(second)]) session.target.walk(piece)
      expect(session.recorder.events).toEqual(whole.recorder.events)
    }),
  )
})

test('a Bind is read as far as it is there', () => {
  const body = bindBody(['one', null, 'x'.repeat(3000)], [0, 0, 1])
  const big = { base64: Buffer.from('x'.repeat(1024)).toString('base64'), bytes: 3000 }
  expect(readBind(body, false)).toEqual({ portal: '', statement: 's', values: ['one', null, big] })
  fc.assert(
    fc.property(fc.nat(body.length), (length) => {
      const cut = readBind(body.subarray(0, length), true)
      expect(cut.values.length).toBeLessThanOrEqual(3)
      expect(cut.more).toBeGreaterThanOrEqual(0)
    }),
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void readBind(Buffer.from(bytes), false)))
})

test('a pipeline without end costs a bounded memory, and then has no numbers', () => {
  const session = listen()
  const many = Buffer.concat(Array.from({ length: 10_000 }, () => execute()))
  for (let count = 0; count < 11; count++) session.client.walk(many)
  session.target.walk(complete('SELECT 1'))
  expect(session.recorder.of('c')).toEqual([{ n: null, ms: null, tag: 'SELECT 1', rows: 1 }])
})

test('the target is busy from the question to the last ReadyForQuery', () => {
  const activity = new Activity()
  const client = new FrameWalker(activity.clientTap(null), 1 << 30)
  const target = new FrameWalker(activity.targetTap(null), 1 << 30)
  const after = (walker: FrameWalker, ...messages: Buffer[]) => {
    walker.walk(Buffer.concat(messages))
    return activity.busy
  }
  expect(activity.busy).toBe(false)
  expect(after(client, query('a'), query('b'))).toBe(true)
  expect(after(target, ready)).toBe(true)
  expect(after(target, ready)).toBe(false)
  expect(after(client, execute(), message(fromClient.flush))).toBe(true)
  expect(after(client, sync)).toBe(true)
  expect(after(target, ready)).toBe(false)
  expect(after(client, query('copy'), message(fromClient.copyData), message(fromClient.copyDone))).toBe(true)
  expect(after(target, ready)).toBe(false)
  expect(activity.terminated).toBe(false)
  client.walk(terminate)
  expect(activity.terminated).toBe(true)
})
