// Goal: what we write means to somebody else what it means to us.
// Method: the parser of a widely used driver reads our messages, cut at any place.
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { parse, serialize } from 'pg-protocol'
import type { BackendMessage, DatabaseError } from 'pg-protocol/dist/messages.js'
import { expect, test } from 'vitest'
import { Fault, faultCodes } from '../../../src/kernel/fault.ts'
import { FrameWalker } from '../../../src/protocols/postgres/frames.ts'
import { sqlstate } from '../../../src/protocols/postgres/fault-sqlstate.ts'
import {
  backendKeyData,
  fatal,
  parameterStatus,
  readyForQuery,
  warning,
} from '../../../src/protocols/postgres/messages.ts'

const texts = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((text) => !text.includes('\0'))

async function readByDriver(bytes: Buffer, cuts: readonly number[]): Promise<BackendMessage[]> {
  const stream = new PassThrough()
  const read: BackendMessage[] = []
  const done = parse(stream, (message) => void read.push(message))
  let from = 0
  for (const cut of [...cuts, bytes.length].toSorted((left, right) => left - right)) {
    const to = Math.min(cut, bytes.length)
    if (to > from) stream.write(bytes.subarray(from, to))
    from = Math.max(from, to)
  }
  stream.end()
  await done
  return read
}

test('a driver reads what the gateway says, wherever the bytes are cut', async () => {
  const conversation = fc.record({
    code: fc.constantFrom(...faultCodes),
    text: texts,
    hint: texts,
    name: texts,
    value: texts,
    processId: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    cuts: fc.array(fc.nat(400), { maxLength: 12 }),
  })
  await fc.assert(
    fc.asyncProperty(conversation, async ({ code, text, hint, name, value, processId, cuts }) => {
      const bytes = Buffer.concat([
        parameterStatus(name, value),
        backendKeyData(processId, Buffer.from([1, 2, 3, 4])),
        warning(text, hint),
        readyForQuery('I'.charCodeAt(0)),
        fatal(new Fault(code, text, { hint })),
      ])
      const [status, key, said, ready, last] = await readByDriver(bytes, cuts)
      expect(status).toMatchObject({ name: 'parameterStatus', parameterName: name, parameterValue: value })
      expect(key).toMatchObject({ name: 'backendKeyData', processID: processId, secretKey: 0x01020304 })
      expect(said).toMatchObject({ name: 'notice', message: text, hint })
      expect(ready).toMatchObject({ name: 'readyForQuery', status: 'I' })
      const error = last as unknown as DatabaseError
      expect(error).toMatchObject({ name: 'error', severity: 'FATAL', code: sqlstate[code], message: text, hint })
    }),
    { numRuns: 60 },
  )
})

test('the walker finds the boundaries of what a driver writes', () => {
  const written = fc.array(
    fc.oneof(
      texts.map((text) => serialize.query(text)),
      texts.map((text) => serialize.parse({ text, name: 'statement' })),
      fc.array(fc.option(texts), { maxLength: 4 }).map((values) => serialize.bind({ values, statement: 'statement' })),
      fc.constantFrom(serialize.execute(), serialize.sync(), serialize.flush(), serialize.end()),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => serialize.copyData(Buffer.from(bytes))),
    ),
    { minLength: 1, maxLength: 10 },
  )
  fc.assert(
    fc.property(written, fc.nat(), (messages, cut) => {
      const bytes = Buffer.concat(messages)
      const ends = new Set(messages.map((_, index) => Buffer.concat(messages.slice(0, index + 1)).length))
      const at = cut % (bytes.length + 1)
      const walker = new FrameWalker(null, 1 << 20)
      walker.walk(bytes.subarray(0, at))
      expect(walker.atBoundary).toBe(at === 0 || ends.has(at))
      walker.walk(bytes.subarray(at))
      expect(walker.atBoundary).toBe(true)
    }),
  )
})
