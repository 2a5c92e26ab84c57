import { get, type IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AnswerReader, type AnswerEvents } from '../../../../src/protocols/http/targets/answer-reader.ts'
import { KnownHeads } from '../../../../src/protocols/http/targets/known-heads.ts'
import type { RawHeaders } from '../../../../src/protocols/http/targets/target.ts'
import { portOf } from './way.ts'

interface Heard {
  informational: [number, RawHeaders][]
  status: number
  headers: RawHeaders
  body: string
  trailers: RawHeaders | null
  reusable: boolean | null
  /** Of what came, how much was not read. */
  left: number
}

/** @throws BadAnswer */
function read(
  pieces: readonly Buffer[],
  method = 'GET',
  goesOn: () => boolean = () => true,
  known = new KnownHeads(),
): Heard {
  const heard: Heard = { informational: [], status: 0, headers: [], body: '', trailers: null, reusable: null, left: 0 }
  const events: AnswerEvents = {
    informational: (status, headers) => void heard.informational.push([status, headers]),
    head: (status, headers) => void Object.assign(heard, { status, headers }),
    body: (chunk) => {
      heard.body += chunk.toString('latin1')
      return goesOn()
    },
    end: (trailers, reusable) => void Object.assign(heard, { trailers, reusable }),
  }
  const reader = new AnswerReader(events, known)
  reader.begin(method)
  for (const piece of pieces) {
    let at = 0
    for (let taken = -1; at < piece.length && taken !== 0; at += taken) taken = reader.take(piece.subarray(at))
    heard.left += piece.length - at
  }
  if (heard.trailers === null) reader.close()
  return heard
}

const bytes = (text: string) => Buffer.from(text, 'latin1')

/** Cut at these places (of 1000). */
function cut(whole: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => Math.floor((place * whole.length) / 1000)), whole.length]
  return at
    .toSorted((one, other) => one - other)
    .slice(1)
    .map((to, index, all) => whole.subarray(index === 0 ? 0 : all[index - 1], to))
}

const answers: Record<string, string> = {
  'a length': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: \t1 \r\nx-a:\r\n\r\nhello',
  chunks:
    'HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA;q="1"\r\n0123456789\r\n00\r\nSum: 9\r\nMore: \xe9\r\n\r\n',
  informational:
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  'until it closes': 'HTTP/1.0 200 OK\r\nServer: old\r\n\r\nall\r\n\r\nof it',
  'no body': 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
}

test.each(Object.entries(answers))('where the network cuts, and who pauses, changes nothing: %s', (_name, text) => {
  const whole = read([bytes(text)])
  expect(whole).toMatchObject({ left: 0, trailers: expect.any(Array) })
  const places = fc.array(fc.integer({ min: 0, max: 1000 }), { maxLength: 30 })
  fc.assert(
    fc.property(places, fc.infiniteStream(fc.boolean()), (at, pauses) => {
      const { reusable, ...heard } = read(cut(bytes(text), at), 'GET', () => pauses.next().value)
      const { reusable: _, ...expected } = whole
      expect(heard).toEqual(expected)
      return reusable !== null
    }),
  )
})

test('what came before makes no difference', () => {
  const known = new KnownHeads()
  const sound = [
    ...Object.values(answers),
    ...['5', '4', '05'].map((length) => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\nhello`),
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\n\r\nhello',
    'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
    'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n',
  ]
  const change = fc.option(fc.record({ at: fc.nat(), to: fc.constantFrom('\r', '\n', ':', ' ', '0', '9', 'c', '') }))
  const place = fc.array(fc.integer({ min: 0, max: 1000 }), { maxLength: 2 })
  fc.assert(
    fc.property(fc.constantFrom(...sound), change, place, fc.constantFrom('GET', 'HEAD'), (text, edit, at, method) => {
      const place = edit === null ? 0 : edit.at % text.length
      const changed = edit === null ? text : text.slice(0, place) + edit.to + text.slice(place + 1)
      const outcome = (heads?: KnownHeads) => {
        try {
          return read(cut(bytes(changed), at), method, undefined, heads)
        } catch (error) {
          return (error as Error).message
        }
      }
      expect(outcome(known)).toEqual(outcome())
    }),
    { numRuns: 5000 },
  )
})

test('a head that comes again is the same object; one with a cookie, or a long one, is not kept', () => {
  const known = new KnownHeads()
  const headersOf = (more: string) => {
    const text = `HTTP/1.1 200 OK\r\n${more}Content-Length: 5\r\n\r\nhello`
    return read([bytes(text)], 'GET', undefined, known).headers
  }
  expect(headersOf('X-A: 1\r\n')).toBe(headersOf('X-A: 1\r\n'))
  expect(headersOf('X-A: 2\r\n')).not.toBe(headersOf('X-A: 1\r\n'))
  for (const more of ['sEt-Cookie: a=1\r\n', `X-A: ${'a'.repeat(1024)}\r\n`]) {
    expect(headersOf(more)).not.toBe(headersOf(more))
  }
  // After many that are new it takes longer, but not for ever, until those that come again are noticed.
  for (let count = 0; count < 1000; count++) headersOf(`X-New: ${count}\r\n`)
  const later = Array.from({ length: 40 }, () => headersOf('X-A: 1\r\n'))
  expect(later[39]).toBe(later[38])
})

test('headers keep their order and repetitions, and lose the blanks around values', () => {
  const { headers, body, reusable } = read([bytes(answers['a length']!)])
  expect([headers, body, reusable]).toEqual([['Content-Length', '5', 'X-A', '1', 'x-a', ''], 'hello', true])
})

test.each<[string, boolean]>([
  ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', true],
  ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n', false],
  ['HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', false],
  ['HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n', true],
  ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n', false],
  ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', true],
  ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\n', false],
  ['HTTP/1.1 200 OK\r\n\r\n', false],
])('whether the connection may be used again: %j', (text, expected) => {
  expect(read([bytes(text)]).reusable).toBe(expected)
})

test('nothing comes behind an answer to HEAD', () => {
  expect(read([bytes('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')], 'HEAD')).toMatchObject({
    body: '',
    reusable: true,
  })
})

test.each([
  'HTTP/2.0 200 OK\r\n\r\n',
  'HTTP/1.1  200 OK\r\n\r\n',
  'HTTP/1.1 099 OK\r\n\r\n',
  'HTTP/1.1 2000 OK\r\n\r\n',
  'HTTP/1.1 101 OK\r\nUpgrade: x\r\n\r\n',
  '\r\nHTTP/1.1 200 OK\r\n\r\n',
  'HTTP/1.1 200 O\nK\r\n\r\n',
  'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n',
  'HTTP/1.1 200 OK\r\nA: b\nSet-Cookie: c\r\n\r\n',
  'HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: c\r\n\r\n',
  'HTTP/1.1 200 OK\r\nA: b\x7fc\r\n\r\n',
  'HTTP/1.1 200 OK\r\n: b\r\n\r\n',
  'HTTP/1.1 200 OK\r\nA\t: b\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc',
  'HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc',
  'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\nabc',
  'HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nabc\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA b\r\n\r\n',
])('refused: %j', (text) => {
  expect(() => read([bytes(text)])).toThrow(expect.objectContaining({ name: 'BadAnswer' }))
  const single = [...bytes(text)].map((byte) => Buffer.of(byte))
  expect(() => read(single)).toThrow(expect.objectContaining({ name: 'BadAnswer' }))
})

// Goal: nothing is read otherwise than by Node's own parser. Method: answers made of good and bad parts go to both; what we
// take for whole, Node does too, and sees the same.
let server: Server
let said: Buffer = Buffer.alloc(0)
beforeAll(() => {
  server = createServer((socket) => {
    socket.on('error', () => undefined) // who refuses an answer hangs up
    socket.once('data', () => socket.end(said))
  })
})
afterAll(() => void server.close())

type Plain = Pick<Heard, 'status' | 'headers' | 'body' | 'trailers'>

async function readByNode(answer: Buffer): Promise<Plain | null> {
  said = answer
  const port = await portOf(server)
  try {
    const message = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ port, host: '127.0.0.1', agent: false }, resolve).on('error', reject)
    })
    let body = ''
    for await (const chunk of message) body += (chunk as Buffer).toString('latin1')
    const { statusCode: status = 0, rawHeaders: headers, rawTrailers: trailers } = message
    return { status, headers, body, trailers }
  } catch {
    return null // it refused it
  }
}

const status = fc.constantFrom(
  'HTTP/1.1 200 OK',
  'HTTP/1.0 404 No',
  'HTTP/1.1 204 Empty',
  'HTTP/1.1 500',
  'HTTP/1.1 20 X',
)
const field = fc.constantFrom(
  ...[
    'Content-Length: 3',
    'Content-Length: 6',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: x',
    'Connection: close',
  ],
  ...['A: b', 'A:b\t ', 'a: \xe9', 'A : b', ' folded', 'A: b\rc', 'A: b\nc', 'A', '', 'Content-Length : 3', 'A: \0'],
)
const lines = fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r')
const rest = fc.array(
  fc.constantFrom(
    'abc',
    '3\r\nabc\r\n',
    '3\r\nabc',
    '0\r\n\r\n',
    '0\r\nSum: 1\r\n\r\n',
    '03;x\r\nabc\r\n',
    '\r\n',
    'HTTP/1.1 200 OK\r\n',
  ),
  { maxLength: 4 },
)

test('what is taken for whole is the same to another parser', async () => {
  let whole = 0
  const answer = fc
    .tuple(
      status,
      fc.array(fc.tuple(field, lines), { maxLength: 3 }),
      fc.array(lines, { minLength: 2, maxLength: 2 }),
      rest,
    )
    .map(([first, fields, ends, parts]) =>
      bytes(first + ends[0]! + fields.map(([name, end]) => name + end).join('') + ends[1]! + parts.join('')),
    )
  await fc.assert(
    fc.asyncProperty(answer, async (said) => {
      let heard: Heard
      try {
        heard = read([said])
      } catch {
        return // refused
      }
      if (heard.trailers === null) return
      whole += 1
      const { status: code, headers, body, trailers } = heard
      const other = await readByNode(said)
      // Node also refuses what comes behind the answer; then the connection is not used again here.
      if (other === null) expect([said.toString('latin1'), heard.reusable]).toEqual([said.toString('latin1'), false])
      else expect(other).toEqual({ status: code, headers, body, trailers })
    }),
    { numRuns: 400 },
  )
  expect(whole).toBeGreaterThan(10)
})
