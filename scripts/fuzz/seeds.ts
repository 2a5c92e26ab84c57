import {
  cstring,
  fromServer,
  int32,
  message,
  parameterStatus,
  readyForQuery,
  query,
} from '../../src/protocols/postgres/messages.ts'
import { cancelRequest, sslRequest, startupMessage } from '../../src/protocols/postgres/startup.ts'
import { dialogue } from './codec-targets.ts'
import { honest } from './mutate.ts'

/** What the codecs begin with. Sessions of real clients are recorded when those are attacked (sessions.ts). */
const code = (letter: string) => letter.charCodeAt(0)
const int16 = (value: number) => Buffer.from([(value >> 8) & 255, value & 255])
const text = (value: string) => Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)])
const complete = (tag: string) => message(fromServer.commandComplete, cstring(tag))
const ready = (status = 'I') => readyForQuery(code(status))
const parse = (name: string, sql: string, ...types: number[]) =>
  honest(code('P'), Buffer.concat([cstring(name), cstring(sql), int16(types.length), ...types.map(int32)]))
const bind = (portal: string, statement: string, formats: number[], values: Buffer[], results: number[] = []) =>
  honest(
    code('B'),
    Buffer.concat([
      ...[cstring(portal), cstring(statement), int16(formats.length), ...formats.map(int16), int16(values.length)],
      ...[...values, int16(results.length), ...results.map(int16)],
    ]),
  )
const execute = (portal = '', rows = 0) => honest(code('E'), Buffer.concat([cstring(portal), int32(rows)]))
const describe = (kind: 'S' | 'P', name: string) => honest(code('D'), Buffer.concat([Buffer.from(kind), cstring(name)]))
const [sync, flush] = [honest(code('S'), Buffer.alloc(0)), honest(code('H'), Buffer.alloc(0))]
const column = (name: string, type: number, format = 0) =>
  Buffer.concat([cstring(name), int32(0), int16(0), int32(type), int16(4), int32(-1), int16(format)])
const rowDescription = (...columns: Buffer[]) => message(fromServer.rowDescription, int16(columns.length), ...columns)
const dataRow = (...values: Buffer[]) => message(fromServer.dataRow, int16(values.length), ...values)
const failure = honest(code('E'), Buffer.from('SERROR\0VERROR\0C42601\0Msyntax error at "password=x"\0Dd\0\0'))

/** Both directions of sessions, as `codec-targets.ts` reads them. */
export function dialogueSeeds(): Buffer[] {
  return [simple(), extended(), copies(), failing(), others()].map(dialogue)
}

type Pieces = (readonly [fromClient: boolean, bytes: Buffer])[]

function simple(): Pieces {
  return [
    [true, query("select 1 as a, 'x' as password; alter role b password 'c'")],
    [false, Buffer.concat([rowDescription(column('a', 23), column('password', 25)), dataRow(text('1'), text('x'))])],
    [false, Buffer.concat([complete('SELECT 1'), complete('ALTER ROLE'), ready('T')])],
    [true, query('')],
    [false, Buffer.concat([message(fromServer.emptyQueryResponse), ready('E'), ready('I')])],
  ]
}

function extended(): Pieces {
  const described = message(fromServer.parameterDescription, int16(1), int32(23))
  return [
    [true, Buffer.concat([parse('s', 'select $1::int', 23), describe('S', 's'), flush])],
    [false, Buffer.concat([honest(code('1'), Buffer.alloc(0)), described, rowDescription(column('n', 23))])],
    [true, Buffer.concat([bind('p', 's', [1], [int32(4), int32(7)], [1]), describe('P', 'p'), execute('p', 1), sync])],
    [false, Buffer.concat([honest(code('2'), Buffer.alloc(0)), rowDescription(column('n', 23, 1))])],
    [false, Buffer.concat([dataRow(int32(4), int32(7)), message(fromServer.portalSuspended), ready()])],
    [true, Buffer.concat([bind('', 's', [], [text('8'), int32(-1)]), execute(), execute(), sync, sync])],
    [false, Buffer.concat([dataRow(text('8')), complete('SELECT 1'), complete('SELECT 0'), ready(), ready()])],
    [true, honest(code('C'), Buffer.concat([Buffer.from('S'), cstring('s')]))],
  ]
}

function copies(): Pieces {
  const formats = Buffer.concat([Buffer.of(0), int16(1), int16(0)])
  return [
    [true, query('copy t from stdin')],
    [false, message(fromServer.copyInResponse, formats)],
    [true, Buffer.concat([honest(code('d'), Buffer.from('a\tb\n')), honest(code('c'), Buffer.alloc(0))])],
    [false, Buffer.concat([complete('COPY 1'), ready()])],
    [true, query('copy t to stdout')],
    [false, message(fromServer.copyOutResponse, formats)],
    [false, Buffer.concat([message(fromServer.copyData, Buffer.from('a\n')), honest(code('c'), Buffer.alloc(0))])],
    [false, Buffer.concat([complete('COPY 99999999999999999999'), ready()])],
    [true, honest(code('f'), cstring('no more'))],
    [false, message(fromServer.copyBothResponse, formats)],
  ]
}

function failing(): Pieces {
  return [
    [true, Buffer.concat([parse('', 'selec'), describe('S', ''), bind('', '', [], []), execute(), sync])],
    [false, Buffer.concat([failure, ready('E')])],
    [true, Buffer.concat([execute('nobody'), execute(), query('rollback')])],
    [false, Buffer.concat([failure, complete('ROLLBACK'), ready()])],
  ]
}

function others(): Pieces {
  return [
    [
      false,
      Buffer.concat([
        parameterStatus('standard_conforming_strings', 'off'),
        parameterStatus('client_encoding', 'SJIS'),
      ]),
    ],
    [false, Buffer.concat([honest(code('N'), Buffer.from('SNOTICE\0C00000\0Mhi\0\0')), honest(code('A'), int32(1))])],
    [true, honest(code('F'), Buffer.concat([int32(957), int16(0), int16(1), text('x'), int16(0)]))],
    [false, Buffer.concat([message(fromServer.functionCallResponse, text('y')), ready()])],
    [true, honest(code('X'), Buffer.alloc(0))],
  ]
}

export function startupSeeds(): Buffer[] {
  const parameters = [
    ['user', 'reporting.token'],
    ['database', 'prod-db/shop'],
    ['options', "-c curfew.reason='x y' -c curfew.for=30m"],
    ['_pq_.x', 'y'],
    ['replication', 'database'],
  ] as const
  const newer = Buffer.from(startupMessage(parameters))
  newer.writeInt32BE(0x0003_0002, 4)
  return [
    startupMessage(parameters.slice(0, 2)),
    startupMessage([['user', 'readonly@shop']]),
    newer,
    sslRequest,
    cancelRequest(17, Buffer.from('abcd')),
    cancelRequest(17, Buffer.alloc(32, 1)),
  ]
}
