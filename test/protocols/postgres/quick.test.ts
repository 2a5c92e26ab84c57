import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameWalker, type FrameTap } from '../../../src/protocols/postgres/frames.ts'
import { cstring, fromClient, fromServer, int32, message } from '../../../src/protocols/postgres/messages.ts'
import { Transcript } from '../../../src/protocols/postgres/transcript.ts'
import type { Recorder } from '../../../src/recording/recorder.ts'
import { HandClock } from '../../clock.ts'

// Goal: the quick way writes, byte for byte, what the usual way writes. Method: both see the same messages.

const int16 = (value: number) => Buffer.from([value >> 8, value & 255])
const names = fc.constantFrom('', 's', 'P0_1', 'naïve', '"quoted"', 'x'.repeat(70))
const texts = fc.oneof(
  fc.constantFrom('select 1', 'select "a" from t where b = \'\\\'', 'begin', '', "alter role r password 'hunter2'"),
  fc.constantFrom(
    'select $1',
    'insert into t (id, password) values (1, $1)',
    'set\ttime zone',
    'größe',
    'a\0b',
    'token',
  ),
  fc.string({ maxLength: 30 }),
)
const values = fc.oneof(
  fc.constantFrom(
    null,
    '',
    '42',
    '-1.5',
    '2026-11-23 10:00:00',
    'postgres://me:secret@host/',
    'a"b\\c',
    '\n',
    '\x01',
    'ä',
  ),
  fc.string({ maxLength: 20 }),
)
const counts = fc.constantFrom(0, 1, 2, 256, 65_535)
const formats = fc.array(fc.constantFrom(0, 0, 0, 1), { maxLength: 2 })

const valueOf = (value: string | null) =>
  value === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)])

const fromTheClient = fc.oneof(
  texts.map((text) => message(fromClient.query, cstring(text))),
  texts.map((text) => message(fromClient.query, Buffer.from(text))),
  fc
    .tuple(names, texts, fc.array(fc.nat(100), { maxLength: 3 }))
    .map(([name, text, types]) =>
      message(fromClient.parse, cstring(name), cstring(text), int16(types.length), ...types.map(int32)),
    ),
  fc
    .tuple(names, names, formats, fc.array(values, { maxLength: 3 }), formats)
    .map(([portal, name, given, list, wanted]) =>
      message(
        fromClient.bind,
        ...[cstring(portal), cstring(name), int16(given.length), ...given.map(int16)],
        ...[int16(list.length), ...list.map(valueOf), int16(wanted.length), ...wanted.map(int16)],
      ),
    ),
  fc
    .tuple(names, fc.constantFrom(0, 7, -1))
    .map(([name, rows]) => message(fromClient.execute, cstring(name), int32(rows))),
  fc.constantFrom(message(fromClient.sync), message(fromClient.flush), message(fromClient.copyData, Buffer.alloc(9))),
  fc
    .tuple(fc.constantFrom('S', 'P', ''), names)
    .map(([kind, name]) => message(fromClient.describe, Buffer.from(kind), cstring(name))),
  // Anything, also what makes no sense: counts that are not kept, ends that are missing.
  fc
    .tuple(fc.constantFrom(...Object.values(fromClient)), fc.uint8Array({ maxLength: 24 }))
    .map(([type, body]) => message(type, body)),
  fc
    .tuple(names, counts, fc.uint8Array({ maxLength: 12 }))
    .map(([name, count, rest]) => message(fromClient.bind, cstring(''), cstring(name), int16(0), int16(count), rest)),
)
const tags = fc.oneof(
  fc.constantFrom(
    'SELECT 1',
    'INSERT 0 5',
    'COPY 12',
    'BEGIN',
    '',
    '5',
    ' 5',
    'SELECT 99999999999999999999',
    'A "b" 1',
    'Ü 1',
  ),
  fc.string({ maxLength: 8 }),
)
const fromTheTarget = fc.oneof(
  tags.map((tag) => message(fromServer.commandComplete, cstring(tag))),
  fc.nat(3).map((bytes) => message(fromServer.dataRow, int16(0), Buffer.alloc(bytes))),
  fc.constantFrom('I', 'T', 'E', 'x').map((status) => message(fromServer.readyForQuery, Buffer.from(status))),
  fc.constantFrom(
    ...[fromServer.noData, fromServer.emptyQueryResponse, fromServer.portalSuspended, 0x31, 0x32].map((type) =>
      message(type),
    ),
    ...[fromServer.copyInResponse, fromServer.copyData].map((type) => message(type, Buffer.alloc(3))),
    message(fromServer.rowDescription, int16(1), cstring('a'), Buffer.alloc(18)),
    message(fromServer.parameterDescription, int16(1), int32(23)),
    message(fromServer.errorResponse, cstring('SERROR'), cstring('C42601'), cstring('Mat "hunter2"'), Buffer.alloc(1)),
    message(fromServer.parameterStatus, cstring('standard_conforming_strings'), cstring('off')),
  ),
  fc
    .tuple(fc.constantFrom(...Object.values(fromServer)), fc.uint8Array({ maxLength: 12 }))
    .map(([type, body]) => message(type, body)),
)
const step = fc.record({
  client: fc.array(fromTheClient, { maxLength: 3 }),
  passMs: fc.constantFrom(0, 0.0004, 0.0021, 1, 12.345678, 61_000),
  target: fc.array(fromTheTarget, { maxLength: 4 }),
})

/** Keeps lines as they would stand in the file. */
class LineRecorder implements Recorder {
  readonly active = true
  readonly full = false
  readonly lines: string[] = []
  encodedCount = 0

  isFullAt(): boolean {
    return this.full
  }

  event(code: string, data: unknown): void {
    this.lines.push(`${JSON.stringify(code)},${JSON.stringify(data)}`)
  }
  encoded(tail: Buffer, tailBytes: number): void {
    this.encodedCount += 1
    this.lines.push(tail.toString('utf8', 0, tailBytes))
  }
  bytes(): void {}
  drained(): Promise<void> {
    return Promise.resolve()
  }
  seal(): Promise<void> {
    return Promise.resolve()
  }
}

function follow(isQuick: boolean, rowsKept: boolean) {
  const [recorder, clock] = [new LineRecorder(), new HandClock()]
  const transcript = new Transcript(recorder, clock, rowsKept ? { rowsMax: 3, bytesMax: 100 } : null)
  const walker = (tap: FrameTap) => new FrameWalker(isQuick ? tap : usual(tap), 1 << 20)
  const [client, target] = [walker(transcript.client), walker(transcript.target)]
  const walk = ({ client: sent, passMs, target: answered }: { client: Buffer[]; passMs: number; target: Buffer[] }) => {
    client.walk(Buffer.concat(sent))
    clock.pass(passMs)
    target.walk(Buffer.concat(answered))
  }
  return { recorder, walk }
}

/** The tap without its quick way. */
function usual(tap: FrameTap): FrameTap {
  return {
    chunk: () => tap.chunk?.(),
    begin: (type, bodyBytes) => tap.begin(type, bodyBytes),
    head: (type, bytes, bodyBytes) => tap.head(type, bytes, bodyBytes),
    rest: (type, bytes) => tap.rest(type, bytes),
    end: (type) => tap.end(type),
  }
}

test('the quick way writes what the usual way writes', () => {
  let quickLines = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), fc.boolean(), (steps, rowsKept) => {
      const [quick, slow] = [follow(true, rowsKept), follow(false, rowsKept)]
      for (const one of steps) {
        quick.walk(one)
        slow.walk(one)
      }
      expect(quick.recorder.lines).toEqual(slow.recorder.lines)
      expect(slow.recorder.encodedCount).toBe(0)
      quickLines += quick.recorder.encodedCount
    }),
    { numRuns: 400 },
  )
  expect(quickLines).toBeGreaterThan(100)
})

test('what is longer than the quick way takes is written all the same', () => {
  const { recorder, walk } = follow(true, false)
  const statement = `select '${'"'.repeat(2030)}'`
  const client = [statement.slice(0, 2040), statement, 'x'.repeat(5000)].map((text) =>
    message(fromClient.query, cstring(text)),
  )
  walk({ client, passMs: 0, target: [] })
  expect(recorder.lines.map((line) => (JSON.parse(`[${line}]`) as [string, { sql: string }])[1].sql.length)).toEqual([
    2039, 2039, 5000,
  ])
})
