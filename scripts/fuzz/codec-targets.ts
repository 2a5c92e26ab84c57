/** What `npm run fuzz -- codecs` throws bytes at, and what must hold whatever they are. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { asFault } from '../../src/kernel/fault.ts'
import { Activity } from '../../src/protocols/postgres/activity.ts'
import { FrameWalker } from '../../src/protocols/postgres/frames.ts'
import { usualReading } from '../../src/protocols/postgres/guard/backslashes.ts'
import { loadParser } from '../../src/protocols/postgres/guard/parse.ts'
import { SettingsTap } from '../../src/protocols/postgres/guard/settings-tap.ts'
import { Sieve } from '../../src/protocols/postgres/guard/sieve.ts'
import { readStatements } from '../../src/protocols/postgres/guard/walk.ts'
import { maskStatement, maskText } from '../../src/protocols/postgres/mask.ts'
import { readReport } from '../../src/protocols/postgres/messages.ts'
import { takeOwnSettings } from '../../src/protocols/postgres/own-settings.ts'
import { SqlTokens } from '../../src/protocols/postgres/sql-tokens.ts'
import { checkStartupLength, readFirstPacket, readWanted } from '../../src/protocols/postgres/startup.ts'
import type { RowsKept } from '../../src/protocols/postgres/target-tap.ts'
import { Transcript } from '../../src/protocols/postgres/transcript.ts'
import { decodeBinary } from '../../src/protocols/postgres/value-types.ts'
import { proxyHeadBytes, readProxyHead, readProxySource } from '../../src/protocols/proxy-header.ts'
import { HandClock } from '../../test/clock.ts'
import { ListRecorder } from '../../test/protocols/postgres/hand-made.ts'
import { chunksOf } from './mutate.ts'
import { Chance } from './random.ts'

export interface CodecTarget {
  readonly name: string
  readonly seeds: readonly Buffer[]
  /** @throws what is wrong; a `Fault` is right. */
  run(input: Buffer): void
}

const bodyBytesMax = 0x3fff_ffff

export async function codecTargets(
  dialogues: readonly Buffer[],
  startups: readonly Buffer[],
): Promise<readonly CodecTarget[]> {
  const parse = await loadParser()
  return [
    { name: 'transcript', seeds: dialogues, run: transcript },
    { name: 'sieve', seeds: dialogues, run: sieve },
    { name: 'startup', seeds: startups, run: startup },
    { name: 'options', seeds: texts(...optionSeeds), run: options },
    { name: 'mask', seeds: texts(...sqlSeeds), run: masks },
    { name: 'statement', seeds: texts(...sqlSeeds), run: statementReading(parse) },
    {
      name: 'values',
      seeds: [Buffer.alloc(6), Buffer.from('0000069c00020000000000050000000a1388', 'hex')],
      run: values,
    },
    { name: 'report', seeds: texts('SERROR\0C42601\0Msyntax error\0Dpassword=x\0\0'), run: report },
    { name: 'proxy', seeds: proxySeeds, run: proxy },
  ]
}

/** One piece of what passed: which way, and the bytes. */
export function dialogue(pieces: readonly (readonly [fromClient: boolean, bytes: Buffer])[]): Buffer {
  return Buffer.concat(
    pieces.flatMap(([fromClient, bytes]) => {
      const head = Buffer.alloc(3)
      head.writeUInt8(fromClient ? 1 : 0)
      head.writeUInt16BE(bytes.length, 1)
      return [head, bytes]
    }),
  )
}

function* piecesOf(input: Buffer): Generator<{ readonly fromClient: boolean; readonly bytes: Buffer }> {
  for (let at = 0; at + 3 <= input.length;) {
    const end = at + 3 + input.readUInt16BE(at + 1)
    yield { fromClient: (input[at]! & 1) === 1, bytes: input.subarray(at + 3, end) }
    at = end
  }
}

/**
 * However the bytes are cut, the same is recorded, with rows and without; each line can be read again; nothing but a Fault
 * is thrown. Messages that come whole may be written in a shorter way than those in pieces, so this compares the two.
 */
function transcript(input: Buffer): void {
  for (const kept of [null, { rowsMax: 5, bytesMax: 500 }]) {
    const whole = recordedOf(input, kept, (bytes) => [bytes])
    const chance = new Chance(input.length)
    deepStrictEqual(
      recordedOf(input, kept, (bytes) => chunksOf(bytes, chance)),
      whole,
    )
    if (input.length < 1000) deepStrictEqual(recordedOf(input, kept, singleBytes), whole)
  }
}

function singleBytes(bytes: Buffer): readonly Buffer[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
}

function recordedOf(
  input: Buffer,
  kept: RowsKept | null,
  cut: (bytes: Buffer) => readonly Buffer[],
): readonly unknown[] {
  const recorder = new ListRecorder()
  const tapped = new Transcript(recorder, new HandClock(), kept)
  const activity = new Activity()
  const client = new FrameWalker(activity.clientTap(tapped.client), bodyBytesMax)
  const target = new FrameWalker(new SettingsTap(usualReading(), activity.targetTap(tapped.target)), 0x7fff_fffb)
  try {
    for (const { fromClient, bytes } of piecesOf(input)) {
      for (const chunk of cut(bytes)) (fromClient ? client : target).walk(chunk)
    }
  } catch (error) {
    return [...recorder.events, faultOf(error)]
  }
  return [...recorder.events, activity.busy, client.atBoundary, target.atBoundary]
}

/** What is let through is what came, in its order, however it was cut. */
function sieve(input: Buffer): void {
  const chance = new Chance(input.length)
  const out: Buffer[] = []
  const sieving = new Sieve({
    pass: (bytes) => void out.push(Buffer.from(bytes)),
    treatment: (type, totalBytes) => (type % 2 === 0 ? 'pass' : totalBytes > 200 ? 'long' : 'whole'),
    passes: (message) => message.length % 3 > 0,
    take: (message) => void out.push(Buffer.from(message)),
    long: () => undefined,
    longPart: (bytes) => void out.push(Buffer.from(bytes)),
  })
  for (const chunk of chunksOf(input, chance)) strictEqual(sieving.feed(chunk).length, 0)
  const passed = Buffer.concat(out)
  ok(passed.equals(input.subarray(0, passed.length)), 'other bytes came out')
  ok(input.length - passed.length <= 200 + 5, 'bytes were kept')
}

function startup(input: Buffer): void {
  faultOr(() => {
    if (input.length < 4) return
    checkStartupLength(input.readInt32BE(0))
    const packet = readFirstPacket(input.subarray(4))
    if (packet.kind !== 'startup') return
    const { role, resource } = readWanted(packet.startup)
    ok(!role.includes('\0') && !resource.includes('\0'))
    ok([2, 0].includes(packet.startup.version & 0xffff))
  })
}

function options(input: Buffer): void {
  const text = input.toString('utf8')
  faultOr(() => {
    const { wish, parameters } = takeOwnSettings([['options', text]])
    if (!/curfew/i.test(text.replaceAll('\\', ''))) deepStrictEqual({ wish, parameters }, untouched(text))
    const [left = ['', '']] = parameters
    // What is left has nothing of ours in it any more, and is left alone the next time.
    deepStrictEqual(takeOwnSettings([['options', left[1]]]), untouched(left[1]))
  })
}

function untouched(text: string) {
  return { wish: null, parameters: [['options', text]] }
}

/** Tokens stand in order, and masking takes a time that grows with the text only. */
function masks(input: Buffer): void {
  const text = input.toString('utf8')
  for (const backslashes of [false, true]) {
    const token = new SqlTokens(text, backslashes)
    for (let at = 0; token.next(); at = token.to) {
      ok(token.from >= at && token.to > token.from && token.to <= text.length, 'tokens overlap')
      ok(token.contentFrom >= token.from && token.contentTo <= token.to, 'a content outside')
    }
    const masked = maskStatement(text, backslashes)
    strictEqual(maskStatement(text, backslashes), masked)
  }
  maskText(text)
}

/** A text that the parser could not hold must not spoil it for the next one. */
function statementReading(parse: Awaited<ReturnType<typeof loadParser>>): (input: Buffer) => void {
  const simple = readStatements(parse('delete from t'))
  return (input) => {
    const reading = readStatements(parse(input.subarray(0, 4096).toString('utf8')))
    ok('unparsable' in reading || reading.statements.every(({ doings }) => doings.length > 0))
    deepStrictEqual(readStatements(parse('delete from t')), simple)
  }
}

function values(input: Buffer): void {
  if (input.length < 4) return
  const text = decodeBinary(input.readUInt32BE(0), input.subarray(4))
  ok(text === undefined || text.length <= 20_000, 'a value has become long')
}

function report(input: Buffer): void {
  const read = readReport(input)
  ok([read.severity, read.sqlstate, read.message].every((field) => typeof field === 'string'))
}

function proxy(input: Buffer): void {
  faultOr(() => {
    if (input.length < proxyHeadBytes) return
    const head = readProxyHead(input.subarray(0, proxyHeadBytes))
    const source = readProxySource(head, input.subarray(proxyHeadBytes, proxyHeadBytes + head.restBytes))
    ok(source === undefined || (source.address.length <= 45 && source.port <= 65_535))
  })
}

function faultOr(work: () => void): void {
  try {
    work()
  } catch (error) {
    faultOf(error)
  }
}

/** @throws the error itself, when nobody foresaw it. */
function faultOf(error: unknown): string {
  const fault = asFault(error)
  if (fault === undefined) throw error
  return fault.code
}

const optionSeeds = [
  "-c curfew.reason='two words' -c search_path=x --curfew.for=30m -c curfew.ticket=INC-7",
  '-c\\ curfew.reason=x -ccurfew.for=1h --work_mem=1MB',
  "--curfew.reason='it''s' -c a='-c curfew.for=1h'",
]
const sqlSeeds = [
  "alter role bob with encrypted password E'hun\\'ter2' valid until '2030-01-01'; select 'secret' || $1",
  "create user mapping for a server s options (user 'u', password 'p'); select * from t where api_key = 'x'",
  "do $$ begin execute 'alter role x password ' || quote_literal('y'); end $$; /* a /* b */ */ -- c\nselect 1",
  "create subscription s connection 'host=h password=x' publication p; select 'postgres://u:p@h/d'",
  "with d as (delete from a returning *) insert into b select * from d on conflict do update set x = 1 where U&'\\0061'",
  "explain analyze copy (select $tag$ it's $tag$) to program 'x'; prepare q as select 1; declare c cursor for select 2",
]
const proxySeeds = [
  '0d0a0d0a000d0a515549540a2111000c7f0000017f00000104d20050',
  '0d0a0d0a000d0a515549540a21210024' + '0'.repeat(62) + '1' + '0'.repeat(40),
  '0d0a0d0a000d0a515549540a20000000',
  '0d0a0d0a000d0a515549540a2131' + '00d8' + '2f'.repeat(216),
].map((hex) => Buffer.from(hex, 'hex'))

function texts(...all: readonly string[]): Buffer[] {
  return all.map((text) => Buffer.from(text))
}
