import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
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
import { readBind } from '../../../src/protocols/postgres/read-values.ts'
import type { RowsKept } from '../../../src/protocols/postgres/target-tap.ts'
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

function listen(kept: RowsKept | null = null) {
  const recorder = new ListRecorder()
  const clock = new HandClock()
  const transcript = new Transcript(recorder, clock, kept)
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
    { n: 1, ms: 5, tag: 'SELECT 1', rows: 1, bytes: 2, firstMs: 5 },
    { n: 4, ms: 7, tag: 'SELECT 2', rows: 2, bytes: 4, firstMs: 7 },
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
  session.target.walk(Buffer.concat([parameterStatus('standard_conforming_strings', 'off'), ready]))
  session.client.walk(query(String.raw`alter role r password 'hun\'ter2' login`))
  expect(session.recorder.of('q').map(({ sql }) => sql)).toEqual([
    "alter role r password '[masked]'",
    "alter role r password '[masked]' login",
  ])
})

test('a transaction is bracketed', () => {
  const session = listen()
  const readyAs = (status: string) => readyForQuery(status.charCodeAt(0))
  session.target.walk(Buffer.concat(['I', 'T', 'T', 'E', 'I', 'I'].map(readyAs)))
  expect(session.recorder.of('t')).toEqual([{ status: 'open' }, { status: 'failed' }, { status: 'idle' }])
})

test('a long text is kept in lines that each hold a part of it, beyond 1 MiB only its hash', () => {
  const session = listen()
  const text = `select ${'x'.repeat(200_000)}`
  session.client.walk(query(text))
  const parts = [...session.recorder.of('q'), ...session.recorder.of('+')].map(({ sql }) => sql)
  expect(parts.join('')).toBe(text)
  expect(parts.length).toBe(4)
  session.client.walk(query('y'.repeat(1_500_000)))
  expect(session.recorder.of('q')[1]).toMatchObject({
    bytes: 1_500_000,
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  })
})

const describePortal = message(fromClient.describe, Buffer.from('P'), cstring(''))
const describeStatement = (name: string) => message(fromClient.describe, Buffer.from('S'), cstring(name))
const int4 = 23
const typed = (name: string, oid: number, format = 0) =>
  Buffer.concat([cstring(name), int32(0), int16(0), int32(oid), int16(4), int32(-1), int16(format)])
const rowDescription = (...columns: Buffer[]) => message(fromServer.rowDescription, int16(columns.length), ...columns)
const parameterDescription = (...oids: number[]) =>
  message(fromServer.parameterDescription, int16(oids.length), ...oids.map(int32))
const dataRow = (...values: (Buffer | null)[]) =>
  message(
    fromServer.dataRow,
    int16(values.length),
    ...values.map((value) => (value === null ? int32(-1) : Buffer.concat([int32(value.length), value]))),
  )
const bindBinary = (statement: string, value: Buffer, resultFormat = 0) =>
  message(
    fromClient.bind,
    ...[cstring(''), cstring(statement), int16(1), int16(1), int16(1), int32(value.length), value],
    ...[int16(1), int16(resultFormat)],
  )

describe('values by type', () => {
  test('of a Parse that names them, and of one that the server describes', () => {
    const session = listen()
    const named = message(fromClient.parse, cstring('named'), cstring('select $1'), int16(1), int32(int4))
    session.client.walk(Buffer.concat([named, bindBinary('named', int32(42)), execute(), sync]))
    session.client.walk(Buffer.concat([parse('asked', 'select $1'), describeStatement('asked'), sync]))
    session.target.walk(
      Buffer.concat([complete('SELECT 0'), ready, parameterDescription(20), message(fromServer.noData), ready]),
    )
    session.client.walk(Buffer.concat([bindBinary('asked', Buffer.from('000000000000002a', 'hex')), execute(), sync]))
    session.client.walk(bindBinary('unknown', int32(42)))
    expect(session.recorder.of('b').map(({ values }) => values)).toEqual([
      [{ text: '42', type: 'int4' }],
      [{ text: '42', type: 'int8' }],
      [{ base64: 'AAAAKg==' }],
    ])
  })

  test('a description that an error skipped is not taken for another', () => {
    const session = listen()
    session.client.walk(Buffer.concat([parse('a', '!'), describeStatement('a'), sync]))
    session.client.walk(Buffer.concat([parse('b', 'select $1'), describeStatement('b'), sync]))
    session.target.walk(Buffer.concat([failure, ready, parameterDescription(int4), message(fromServer.noData), ready]))
    session.client.walk(Buffer.concat([bindBinary('a', int32(1)), bindBinary('b', int32(2))]))
    expect(session.recorder.of('b').map(({ values }) => values)).toEqual([
      [{ base64: 'AAAAAQ==' }],
      [{ text: '2', type: 'int4' }],
    ])
  })
})

describe('rows', () => {
  const kept = { rowsMax: 3, bytesMax: 1000 }

  test('are not kept unless the role says so', () => {
    const session = listen()
    session.client.walk(query('select 1'))
    session.target.walk(
      Buffer.concat([rowDescription(typed('a', int4)), dataRow(Buffer.from('1')), complete('SELECT 1'), ready]),
    )
    expect(session.recorder.of('r')).toEqual([])
  })

  test('of a simple query, as many as are kept; secrets masked by the name of their column', () => {
    const session = listen(kept)
    session.client.walk(query('select'))
    const rows = ['1', '2', '3', '4'].map((text) => dataRow(Buffer.from(text), Buffer.from('hunter2'), null))
    const head = rowDescription(typed('a', int4), typed('password', 25), typed('c', 600))
    session.target.walk(Buffer.concat([head, ...rows, complete('SELECT 4'), ready]))
    const cells = (text: string) => [text, '[masked]', null]
    expect(session.recorder.of('r')).toEqual([
      {
        n: 1,
        columns: [{ name: 'a', type: 'int4' }, { name: 'password', type: 'text' }, { name: 'c' }],
        rows: ['1', '2', '3'].map(cells),
      },
    ])
  })

  test('of a prepared statement that was described long ago, in the format that Bind asked for', () => {
    const session = listen(kept)
    session.client.walk(Buffer.concat([parse('s', 'select $1'), describeStatement('s'), sync]))
    session.target.walk(Buffer.concat([parameterDescription(int4), rowDescription(typed('n', int4)), ready]))
    for (const value of [7, 8]) {
      session.client.walk(Buffer.concat([bindBinary('s', int32(value), 1), execute(), sync]))
      session.target.walk(Buffer.concat([dataRow(int32(value)), complete('SELECT 1'), ready]))
    }
    expect(session.recorder.of('r').map(({ n, rows }) => [n, rows])).toEqual([
      [1, [[{ text: '7', type: 'int4' }]]],
      [2, [[{ text: '8', type: 'int4' }]]],
    ])
  })

  // As pgjdbc does: it describes the first portal of a prepared statement, and none after it.
  test('of a statement of which only another portal was described', () => {
    const session = listen(kept)
    session.client.walk(
      Buffer.concat([parse('s', 'select $1'), bindBinary('s', int32(7), 1), describePortal, execute(), sync]),
    )
    const head = rowDescription(typed('n', int4, 1), typed('password', 25, 1))
    const row = (n: number) => dataRow(int32(n), Buffer.from('hunter2'))
    session.target.walk(Buffer.concat([head, row(7), complete('SELECT 1'), ready]))
    session.client.walk(Buffer.concat([bindBinary('s', int32(8), 1), execute(), sync]))
    session.target.walk(Buffer.concat([row(8), complete('SELECT 1'), ready]))
    const [, second] = session.recorder.of('r')
    expect(second?.rows).toEqual([[{ text: '8', type: 'int4' }, '[masked]']])
  })

  test('of which nobody was told the columns are masked: one may be a secret', () => {
    const session = listen(kept)
    session.client.walk(Buffer.concat([parse('s', 'select $1'), bindBinary('s', int32(7), 0), execute(), sync]))
    session.target.walk(Buffer.concat([dataRow(Buffer.from('hunter2'), null), complete('SELECT 1'), ready]))
    expect(session.recorder.of('r').map(({ rows }) => rows)).toEqual([[['[masked]', null]]])
  })

  test('are bounded in bytes', () => {
    const session = listen({ rowsMax: 1000, bytesMax: 100 })
    session.client.walk(query('select'))
    const row = dataRow(Buffer.alloc(40, 'x'))
    session.target.walk(
      Buffer.concat([rowDescription(typed('a', 25)), ...Array<Buffer>(50).fill(row), complete('SELECT 50'), ready]),
    )
    expect(session.recorder.of('r').flatMap(({ rows }) => rows).length).toBe(3)
    expect(session.recorder.of('c')).toMatchObject([{ rows: 50, bytes: 50 * 46 }])
  })

  test('whatever either side sends, nothing breaks', () => {
    const bytes = fc.uint8Array({ maxLength: 60 })
    const types = fc.constantFrom(...Object.values(fromServer), ...Object.values(fromClient))
    const messages = fc.array(fc.tuple(fc.boolean(), types, bytes), { maxLength: 30 })
    fc.assert(
      fc.property(messages, (all) => {
        const session = listen(kept)
        for (const [fromTheClient, type, body] of all) {
          const walker = fromTheClient ? session.client : session.target
          walker.walk(message(type, body))
        }
      }),
    )
  })
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

test('what is kept of a pipeline that the target skips does not grow with its size', () => {
  const session = listen({ rowsMax: 1, bytesMax: 1 })
  const formats = Buffer.concat([int16(0x7000), Buffer.alloc(2 * 0x7000)])
  const bound = message(fromClient.bind, cstring(''), cstring(''), int16(0), int16(0), formats)
  const before = process.memoryUsage().heapUsed
  for (let count = 0; count < 2000; count++) {
    session.client.walk(Buffer.concat([bound, execute()]))
    session.recorder.events.length = 0
  }
  // Of formats alone, 2000 lists of them would need 460 MB.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(100_000_000)
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

test.each([false, true])('a Sync that a target passes over, as it takes data, ends nothing: late %s', (late) => {
  const session = listen({ rowsMax: 10, bytesMax: 1000 })
  const describeRows = message(fromClient.describe, Buffer.from('P'), cstring(''))
  const one = (sql: string) => Buffer.concat([parse('s', sql), bind([]), describeRows, execute()])
  session.client.walk(one('copy t from stdin'))
  if (!late) session.client.walk(sync)
  session.target.walk(message(fromServer.noData))
  session.target.walk(message(fromServer.copyInResponse, Buffer.alloc(3)))
  if (late) session.client.walk(sync)
  session.client.walk(Buffer.concat([message(fromClient.copyData), message(fromClient.copyDone), sync]))
  session.target.walk(Buffer.concat([complete('COPY 1'), ready]))
  session.client.walk(Buffer.concat([one('select password from t'), sync]))
  const column = Buffer.concat([cstring('password'), Buffer.alloc(18)])
  const answer = message(fromServer.dataRow, int16(1), int32(7), Buffer.from('hunter2'))
  const rows = Buffer.concat([message(fromServer.rowDescription, int16(1), column), answer])
  session.target.walk(Buffer.concat([rows, complete('SELECT 1'), ready]))
  expect(session.recorder.of('c')).toMatchObject([{ n: 1 }, { n: 2 }])
  expect(session.recorder.of('r')).toMatchObject([{ n: 2, rows: [['[masked]']] }])
})

test('a statement with too much that may be secret is cut; its values and what is said of it are masked', () => {
  const session = listen()
  const sql = `insert into t (a, password) values ${"('a','b'),".repeat(100_000)}('a', $1)`
  session.client.walk(Buffer.concat([parse('s', sql), bind(['hunter2']), execute(), sync]))
  session.target.walk(errorResponse({ severity: 'ERROR', sqlstate: '22000', message: 'no hunter2' }))
  const [line] = session.recorder.of('p')
  expect(line).toMatchObject({ bytes: sql.length, sha256: createHash('sha256').update(sql).digest('hex') })
  expect(session.recorder.of('b')).toMatchObject([{ values: ['[masked]'] }])
  expect(session.recorder.of('e')).toMatchObject([{ message: '[masked]' }])
})

test('a password that was not quoted is hidden where the server shortens it', () => {
  const session = listen()
  const secret = `Hunter2${'x'.repeat(70)}`
  session.client.walk(query(`alter role a password ${secret}`))
  const [name, short] = [secret.toLowerCase(), secret.toLowerCase().slice(0, 63)]
  const said = {
    severity: 'NOTICE',
    sqlstate: '42622',
    message: `identifier "${name}" will be truncated to "${short}"`,
  }
  const body = errorResponse(said).subarray(5)
  session.target.walk(message(fromServer.noticeResponse, body))
  expect(JSON.stringify(session.recorder.events)).not.toMatch(/hunter2/i)
})

test('a secret that begins with another is hidden whole', () => {
  const session = listen()
  session.client.walk(query(`alter role a password 'hunter2'; alter role b password 'hunter2+More'`))
  const said = errorResponse({ severity: 'ERROR', sqlstate: '42601', message: 'near "hunter2+More" and "hunter2"' })
  session.target.walk(said)
  expect(session.recorder.of('e')).toMatchObject([{ message: 'near "[masked]" and "[masked]"' }])
})

test('a secret is hidden although an answer to something before comes in between', () => {
  const session = listen()
  session.client.walk(query('select 1'))
  session.client.walk(parse('', `alter role a password 'hunter2`))
  session.target.walk(Buffer.concat([complete('SELECT 1'), ready]))
  session.client.walk(sync)
  const said = errorResponse({ severity: 'ERROR', sqlstate: '42601', message: `unterminated at "'hunter2"` })
  session.target.walk(Buffer.concat([said, ready]))
  expect(session.recorder.of('e')).toMatchObject([{ message: expect.not.stringContaining('hunter2') }])
})

test('values of a statement that was forgotten with its secrets are all masked', () => {
  const session = listen()
  const valuesOf = (name: string) => {
    const body = Buffer.concat([
      cstring(''),
      cstring(name),
      int16(0),
      int16(1),
      int32(7),
      Buffer.from('hunter2'),
      int16(0),
    ])
    session.client.walk(Buffer.concat([message(fromClient.bind, body), sync]))
    return session.recorder.of('b').at(-1)?.values
  }
  session.client.walk(parse('s', 'update users set password = $1'))
  expect(valuesOf('s')).toEqual(['[masked]'])
  session.client.walk(Buffer.concat(Array.from({ length: 999 }, (_, index) => parse(`more-${index}`, 'select $1'))))
  expect(valuesOf('never heard of')).toEqual(['hunter2'])
  session.client.walk(parse('one too many', 'select $1'))
  expect(valuesOf('s')).toEqual(['[masked]'])
  expect(valuesOf('never heard of')).toEqual(['[masked]'])
  expect(valuesOf('more-7')).toEqual(['hunter2'])
})
