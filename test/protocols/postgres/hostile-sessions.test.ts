// Goal: whatever a client or a target sends inside a session, the other side gets those bytes and no others, both
// connections end, and every line that was recorded can be read back.
// Method: streams made of every message there is, whole, cut, doubled, out of order and full of garbage, pass the
// real listener to a target made by hand that keeps every byte.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  cstring,
  fromClient,
  fromServer,
  int32,
  message,
  query,
  readReport,
  terminate,
} from '../../../src/protocols/postgres/messages.ts'
import { startupMessage } from '../../../src/protocols/postgres/startup.ts'
import type { StatementGuard } from '../../../src/resources/guard.ts'
import { startScriptedTarget, type Heard, type ScriptedTarget } from './scripted-target.ts'
import { openStage, readAll, type Stage } from './stage.ts'

const plain = { mode: 'disable', ca: null, serverName: null, identity: null } as const
/** Reads everything, and lets everything pass. */
const guard: StatementGuard = {
  rules: [
    {
      ...{ name: 'all', kinds: ['unparsable'], tables: null, functions: null, whereMissing: false, several: false },
      ...{ action: 'allow', message: null },
    },
  ],
  ...{ otherwise: 'allow', askForMs: 1000, askers: null },
}
let target: ScriptedTarget
const stages: { straight?: Stage; guarded?: Stage } = {}
beforeAll(async () => {
  target = await startScriptedTarget()
  const options = { tls: plain, plaintext: true, perAddressMax: 1000 }
  stages.straight = await openStage(target.postgres, options)
  stages.guarded = await openStage(target.postgres, { ...options, guard })
})
afterAll(async () => {
  await target[Symbol.asyncDispose]()
  await stages.straight![Symbol.asyncDispose]()
  await stages.guarded![Symbol.asyncDispose]()
})
beforeEach(() => {
  for (const stage of Object.values(stages)) {
    stage.logged.length = 0
    stage.gate.admissions.length = 0
  }
})

interface Pair {
  readonly client: Socket
  readonly heard: Heard
}

const startup = startupMessage([
  ['user', 'admin'],
  ['database', 'shop'],
])

/** A session that is ready; its client has read everything up to there. */
async function session(stage: Stage): Promise<Pair> {
  const client = connect({ host: '127.0.0.1', port: stage.port, noDelay: true })
  client.on('error', () => undefined).write(startup)
  let read = Buffer.alloc(0)
  while (!endsReady(read)) read = Buffer.concat([read, ((await once(client, 'data')) as [Buffer])[0]])
  return { client, heard: await target.next() }
}

function endsReady(bytes: Buffer): boolean {
  return bytes.length > 6 && bytes.subarray(-6, -1).equals(Buffer.from('5a00000005', 'hex'))
}

const clientTypes = Object.values(fromClient)
const serverTypes = Object.values(fromServer)
const body = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc.constantFrom<Uint8Array>(
    cstring('select 1; drop table t'),
    Buffer.concat([cstring('s'), cstring("select 'x"), Buffer.from('7fff', 'hex')]),
    Buffer.concat([cstring('p'), cstring('s'), Buffer.from('ffffffffffffffffffff', 'hex')]),
    Buffer.concat([Buffer.from('S'), cstring('s')]),
    Buffer.concat([cstring(''), int32(-1)]),
    Buffer.concat([Buffer.alloc(2), Buffer.alloc(3000, 'x')]),
  ),
)
const streamOf = (types: readonly number[]) =>
  fc.array(fc.tuple(fc.oneof(fc.constantFrom(...types), fc.nat(255)), body), { maxLength: 12 }).map((all) =>
    // What comes behind a Terminate may arrive or not: the target hangs up.
    Buffer.concat(all.filter(([type]) => type !== fromClient.terminate).map(([type, bytes]) => message(type, bytes))),
  )
const cuts = fc.array(fc.nat(4000), { maxLength: 8 })

async function sendCut(socket: Socket, bytes: Buffer, places: readonly number[]): Promise<void> {
  let from = 0
  for (const to of [...places, bytes.length].toSorted((left, right) => left - right)) {
    if (to > from) await new Promise<void>((resolve) => socket.write(bytes.subarray(from, to), () => resolve()))
    from = Math.max(from, to)
  }
}

/** Nothing that was not foreseen, and every session over. */
async function calm(stage: Stage): Promise<void> {
  for (const admission of stage.gate.admissions) await admission.ended.promise
  expect(stage.logged.filter(({ level }) => level === 'error')).toEqual([])
}

test.each(['straight', 'guarded'] as const)('a target gets what the client sends, byte for byte: %s', async (name) => {
  const stage = stages[name]!
  await fc.assert(
    fc.asyncProperty(streamOf(clientTypes), cuts, fc.nat(60), async (stream, places, cutOff) => {
      // The last message may be cut off.
      const sent = stream.subarray(0, Math.max(0, stream.length - (cutOff < 30 ? 0 : cutOff)))
      const { client, heard } = await session(stage)
      await sendCut(client, sent, places)
      client.end()
      const got = await heard.all
      const whole = messagesEnd(sent) === sent.length
      // A guard holds a statement back until all of it is there.
      const least = name === 'guarded' ? messagesEnd(sent) : sent.length
      const text = got.subarray(-terminate.length).equals(terminate) ? got.subarray(0, -terminate.length) : got
      expect(sent.subarray(0, text.length).equals(text)).toBe(true)
      expect(text.length).toBeGreaterThanOrEqual(least)
      if (whole) expect(got.length).toBe(sent.length + terminate.length)
    }),
    { numRuns: 60 },
  )
  await calm(stage)
})

function messagesEnd(bytes: Buffer): number {
  let end = 0
  for (let at = 0; at + 5 <= bytes.length && at + 1 + bytes.readInt32BE(at + 1) <= bytes.length;) {
    end = at += 1 + bytes.readInt32BE(at + 1)
  }
  return end
}

const dialogue = Buffer.concat([
  query('select 1'),
  message(fromClient.parse, cstring('s'), cstring('select $1'), Buffer.from('000100000017', 'hex')),
  message(fromClient.describe, Buffer.from('S'), cstring('s')),
  message(fromClient.bind, cstring('p'), cstring('s'), Buffer.from('00010001000100000004000000070000', 'hex')),
  message(fromClient.execute, cstring('p'), int32(5)),
  message(0x43, Buffer.from('P'), cstring('p')),
  message(fromClient.flush),
  message(fromClient.sync),
  message(fromClient.functionCall, Buffer.from('000003bd000000010000000178', 'hex'), Buffer.alloc(2)),
  message(fromClient.copyData, Buffer.from('a\tb\n')),
  message(fromClient.copyDone),
  message(fromClient.copyFail, cstring('no')),
  message(fromClient.password, cstring('again')),
  terminate,
])

test('a session ends at every byte at which its client may hang up', async () => {
  const stage = stages.straight!
  const places = Array.from({ length: dialogue.length + 1 }, (_, at) => at)
  const one = async (): Promise<void> => {
    for (let at = places.pop(); at !== undefined; at = places.pop()) {
      const { client, heard } = await session(stage)
      await sendCut(client, dialogue.subarray(0, at), [])
      client.end()
      // A target hangs up when it has read a Terminate; this one does it when it is left alone with half of a message.
      if (at === dialogue.length) heard.socket.end()
      const got = await heard.all
      expect(got.subarray(0, at).toString('latin1'), `at ${at}`).toBe(dialogue.toString('latin1', 0, at))
    }
  }
  // The connections are told apart by their order, so each row waits for its own.
  await one()
  await calm(stage)
})

test.each([
  ['negative', -1],
  ['the least', -(2 ** 31)],
  ['0', 0],
  ['3', 3],
  ['the greatest', 2 ** 31 - 1],
  ['1 GiB', 0x4000_0004],
])('a length that cannot be (%s) ends the session, and reaches nobody', async (_, length) => {
  const { client, heard } = await session(stages.straight!)
  const answer = readAll(client)
  const before = query('select 1')
  client.write(before)
  await once(heard.socket, 'data')
  client.write(Buffer.concat([Buffer.from('Q'), int32(length), Buffer.alloc(100)]))
  expect(readReport((await answer).subarray(5))).toMatchObject({ severity: 'FATAL', sqlstate: '08P01' })
  expect(await heard.all).toEqual(Buffer.concat([before, terminate]))
  await calm(stages.straight!)
})

test('half a Terminate is no goodbye: the target is not waited for', async () => {
  const { client, heard } = await session(stages.straight!)
  client.end(Buffer.from('5800000009', 'hex'))
  expect(await heard.all).toEqual(Buffer.from('5800000009', 'hex'))
  expect(await stages.straight!.gate.last.ended.promise).toMatchObject({ by: 'client' })
})

test('who says goodbye and closes its half reads what is answered until the target hangs up', async () => {
  const stage = stages.straight!
  const { client, heard } = await session(stage)
  const answer = readAll(client)
  client.end(Buffer.concat([query('select 1'), terminate]))
  await expect.poll(() => stage.gate.last.recorder.of('q').length).toBe(1)
  const said = message(fromServer.commandComplete, cstring('SELECT 1'))
  for (const byte of said) heard.socket.write(Buffer.of(byte))
  heard.socket.end()
  expect(await answer).toEqual(said)
  expect(await stage.gate.last.ended.promise).toMatchObject({ by: 'client' })
  await calm(stage)
})

test('who says goodbye and is gone is not waited for: the target finishes', async () => {
  const stage = stages.straight!
  const { client, heard } = await session(stage)
  client.end(Buffer.concat([query('select 1'), terminate]))
  await expect.poll(() => stage.gate.last.recorder.of('q').length).toBe(1)
  client.resetAndDestroy()
  heard.socket.end(message(fromServer.commandComplete, cstring('SELECT 1')))
  expect(await stage.gate.last.ended.promise).toMatchObject({ by: 'client' })
  expect(stage.gate.last.recorder.of('c')).toHaveLength(1)
  await calm(stage)
})

test.each(['straight', 'guarded'] as const)('a client gets what its target sends, byte for byte: %s', async (name) => {
  const stage = stages[name]!
  await fc.assert(
    fc.asyncProperty(streamOf(serverTypes), cuts, fc.boolean(), async (stream, places, isReset) => {
      const { client, heard } = await session(stage)
      const answer = readAll(client)
      await sendCut(heard.socket, stream, places)
      if (isReset) {
        // What was sent before a reset may be lost on the way to us, but nothing else may come.
        heard.socket.resetAndDestroy()
        const got = withoutLastWords(await answer)
        expect(stream.subarray(0, got.length).equals(got)).toBe(true)
      } else {
        heard.socket.end()
        expect(withoutLastWords(await answer, stream.length).equals(stream)).toBe(true)
      }
    }),
    { numRuns: 60 },
  )
  await calm(stage)
})

/** The gateway adds one thing: why it is over, unless the target has said so itself. */
function withoutLastWords(answer: Buffer, from = 0): Buffer {
  const at = answer.indexOf('SFATAL\0VFATAL\0C08006\0', from)
  return at < 0 ? answer : answer.subarray(0, at - 5)
}

const lies: readonly (readonly [string, Buffer])[] = [
  ['a RowDescription of 65,535 columns', message(fromServer.rowDescription, Buffer.from('ffff', 'hex'))],
  ['a row of 65,535 values', message(fromServer.dataRow, Buffer.from('ffff', 'hex'), Buffer.alloc(100, 255))],
  ['a row of negative values', message(fromServer.dataRow, Buffer.from('0002', 'hex'), int32(-7), int32(-(2 ** 31)))],
  ['a row of 2 GiB', message(fromServer.dataRow, Buffer.from('0001', 'hex'), int32(2 ** 31 - 1), Buffer.from('x'))],
  ['a tag that counts too far', message(fromServer.commandComplete, cstring(`SELECT ${'9'.repeat(400)}`))],
  ['a tag without an end', message(fromServer.commandComplete, Buffer.alloc(3000, '9'))],
  ['a ReadyForQuery of nothing', message(fromServer.readyForQuery)],
  ['a ReadyForQuery of no known state', message(fromServer.readyForQuery, Buffer.of(0))],
  ['a parameter of a megabyte', message(fromServer.parameterStatus, cstring('x'), Buffer.alloc(1 << 20, 'y'))],
  ['a parameter without an end', message(fromServer.parameterStatus, Buffer.from('standard_conforming_strings'))],
  ['a report without fields', message(fromServer.errorResponse)],
  ['a report of a megabyte', message(fromServer.noticeResponse, Buffer.alloc(1 << 20, 'M'))],
  ['types without an end', message(fromServer.parameterDescription, Buffer.from('ffff', 'hex'))],
  ['a login in the middle', message(fromServer.authentication, int32(3))],
  ['a new key', message(fromServer.backendKeyData, int32(1), Buffer.alloc(10_000))],
]

test.each(lies)('a target that sends %s: the client reads just that', async (_, lie) => {
  const stage = stages.straight!
  const { client, heard } = await session(stage)
  client.write(query('select 1'))
  await once(heard.socket, 'data')
  const answer = readAll(client)
  heard.socket.end(lie)
  expect(withoutLastWords(await answer, lie.length).equals(lie)).toBe(true)
  await calm(stage)
})

test('half a last word is none: the client is told that its target is gone', async () => {
  const stage = stages.straight!
  const { client, heard } = await session(stage)
  const answer = readAll(client)
  heard.socket.end(message(fromServer.errorResponse, Buffer.from('SFATAL\0C57P01\0Mbye\0\0')).subarray(0, 20))
  expect(readReport((await answer).subarray(5))).toMatchObject({ severity: 'FATAL', sqlstate: '08006' })
  await calm(stage)
})

const said = (severity: string) => message(fromServer.errorResponse, Buffer.from(`S${severity}\0C57014\0Mno\0\0`))

test.each(['straight', 'guarded'] as const)('an error of a statement is no last word: %s', async (name) => {
  const stage = stages[name]!
  const { client, heard } = await session(stage)
  client.write(query('select 1'))
  await once(heard.socket, 'data')
  const answer = readAll(client)
  heard.socket.end(said('ERROR'))
  const all = await answer
  expect(all.subarray(0, said('ERROR').length)).toEqual(said('ERROR'))
  expect(readReport(all.subarray(said('ERROR').length + 5))).toMatchObject({ severity: 'FATAL', sqlstate: '08006' })
  await calm(stage)
})

test.each(['FATAL', 'PANIC', 'SCHWERWIEGEND'])('a %s is the last word', async (severity) => {
  const stage = stages.straight!
  const { client, heard } = await session(stage)
  const answer = readAll(client)
  for (const byte of said(severity)) heard.socket.write(Buffer.of(byte))
  heard.socket.end()
  expect(await answer).toEqual(said(severity))
  await calm(stage)
})

test('a target that never stops talking is written down no faster than the disk takes it', async () => {
  const stage = stages.straight!
  const { client, heard } = await session(stage)
  client.resume()
  const { recorder } = stage.gate.last
  recorder.fill()
  const notices = message(fromServer.noticeResponse, Buffer.from('SNOTICE\0C00000\0Mon and on\0\0'))
  const many = Buffer.concat(Array<Buffer>(2000).fill(notices))
  // The system's buffers are full at some time, and then nothing is read any more.
  let sent = 0
  while (sent < 64 << 20 && heard.socket.write(many)) sent += many.length
  await expect.poll(() => recorder.of('n').length).toBeGreaterThan(0)
  expect(recorder.of('n').length).toBeLessThan(10_000)
  stage.gate.last.cut()
  recorder.drain()
  await once(client, 'close')
  heard.socket.destroy()
  await calm(stage)
})

test('half a message and then silence is no reason to wait when the session is cut', async () => {
  const stage = stages.straight!
  const { client, heard } = await session(stage)
  const answer = readAll(client)
  heard.socket.write(message(fromServer.dataRow, Buffer.alloc(100)).subarray(0, 60))
  heard.socket.once('end', () => heard.socket.end())
  stage.gate.last.cut()
  expect(readReport((await answer).subarray(5))).toMatchObject({ severity: 'FATAL', sqlstate: '57P01' })
  await calm(stage)
})
