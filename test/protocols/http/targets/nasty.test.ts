import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { plainAt, portOf, tells, wayTo, type Heard, type Way } from './way.ts'

/** A target that answers each request's head as it likes: with bytes, or by its own means. */
type Answer = string | Buffer | ((socket: Socket, requests: number) => void)

let open = new AsyncDisposableStack()
afterEach(() => open.disposeAsync())

async function nasty(answer: Answer): Promise<{ way: Way; sockets: Socket[]; server: Server; asked: () => number }> {
  open = new AsyncDisposableStack()
  const sockets: Socket[] = []
  let requests = 0
  const server = createServer((socket) => {
    sockets.push(socket.setNoDelay())
    socket.on('error', () => undefined) // the gateway hangs up on what is told here
    socket.on('data', (bytes) => {
      if (!bytes.includes('\r\n\r\n')) return
      requests += 1
      if (typeof answer === 'function') answer(socket, requests)
      else socket.write(answer)
    })
  })
  const way = open.use(wayTo(plainAt(await portOf(server))))
  open.defer(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { way, sockets, server, asked: () => requests }
}

/** Once over a kept connection, once over one of its own. */
const ways = [
  ['kept', {}],
  ['for one', { method: 'POST', body: Readable.from([]) }],
] as const

const refused: Record<string, Answer> = {
  'a status line of another protocol': 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
  'a status that is no number': 'HTTP/1.1 abc OK\r\n\r\n',
  'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
  'two lengths that differ': 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
  'a length and chunks': 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'chunks of HTTP/1.0': 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'a length that is no number': 'HTTP/1.1 200 OK\r\nContent-Length: 3x\r\n\r\nabc',
  'a negative length': 'HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc',
  'a line without a colon': 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n',
  'a space before the colon': 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n',
  'a NUL in a value': 'HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n',
  'a flood of header': `HTTP/1.1 200 OK\r\n${`A: ${'b'.repeat(1000)}\r\n`.repeat(70)}\r\n`,
  'a switch of protocols unasked': 'HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
  'a flood of informational answers': `HTTP/1.1 103 Early\r\nA: b\r\n\r\n`.repeat(100),
  'nothing but a close': (socket) => socket.end(),
  'a reset': (socket) => socket.resetAndDestroy(),
  'half a head': (socket) => socket.end('HTTP/1.1 200 OK\r\nA: b'),
}

for (const [how, request] of ways) {
  test.each(Object.entries(refused))(`an answer that is refused (${how}): %s`, async (_name, answer) => {
    const { way, sockets, asked, server } = await nasty(answer)
    const heard = await way.ask(request)
    expect([heard.status, heard.ends, asked()]).toEqual([0, 1, 1])
    expect(heard.code).toBe('UPSTREAM_UNREACHABLE')
    expect(tells(heard.error, '127.0.0.1', String(await portOf(server)))).toBe(false)
    if (!sockets[0]!.closed) await once(sockets[0]!, 'close')
  })

  test.each<[string, Answer]>([
    ['a body that is too short', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc')],
    ['chunks that break off', (socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc')],
    ['a chunk without its end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n'],
    ['a chunk size that is no number', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n'],
    [
      'a flood of trailers',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${`A: ${'b'.repeat(1000)}\r\n`.repeat(70)}\r\n`,
    ],
  ])(`a body that is never taken for whole (${how}): %s`, async (_name, answer) => {
    const { way } = await nasty(answer)
    const heard = await way.ask(request)
    expect([heard.status, heard.ends, heard.trailers]).toEqual([200, 1, null])
    expect(heard.error).toBeInstanceOf(Error)
  })

  // Goal: where the network cuts the bytes changes nothing. Method: the same answer cut in two at each of its bytes.
  test(`an answer may be cut at any byte (${how})`, async () => {
    const answer = Buffer.from(
      'HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nx-a: 2\r\n\r\n' +
        '3\r\nabc\r\n2;q=1\r\nde\r\n0\r\nSum: 9\r\n\r\n',
    )
    const { way } = await nasty((socket, requests) => {
      const at = requests % answer.length
      socket.write(answer.subarray(0, at))
      setImmediate(() => socket.write(answer.subarray(at)))
    })
    for (let at = 1; at < answer.length; at++) {
      const heard: Heard = await way.ask({ ...request, ...('body' in request && { body: Readable.from([]) }) })
      expect([at, heard.informational.length, heard.status, heard.text, heard.trailers]).toEqual([
        at,
        1,
        200,
        'abcde',
        ['Sum', '9'],
      ])
      expect(heard.headers).toEqual(['Transfer-Encoding', 'chunked', 'X-A', '1', 'x-a', '2'])
    }
  })
}

const whole = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine'
const planted = 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted'

// Goal: what a target sends beyond its answer is nobody's answer (response splitting). What arrives only after the next request
// cannot be told from its answer; but that target could have said the same in answer to it.
test.each<[string, (socket: Socket) => void]>([
  ['in one piece', (socket) => socket.write(whole + planted)],
  ['in the next turn', (socket) => socket.write(whole, () => setImmediate(() => socket.write(planted)))],
  [
    'as the body of a 304',
    (socket) => socket.write(`HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n${planted}`),
  ],
  ['as a 204', (socket) => socket.write(`HTTP/1.1 204 No Content\r\n\r\n${planted}`)],
])('two answers on one request: the second reaches nobody (%s)', async (_name, answer) => {
  const { way, sockets } = await nasty((socket) => answer(socket))
  for (let n = 0; n < 20; n++) expect((await way.ask()).text).not.toBe('planted')
  const heard = await Promise.all(Array.from({ length: 20 }, () => way.ask()))
  expect(heard.map(({ text }) => text)).not.toContain('planted')
  expect(sockets.length).toBeGreaterThan(1)
})

test('what a target sends while nothing was asked closes the connection', async () => {
  const { way, sockets } = await nasty(whole)
  await way.ask()
  sockets[0]!.write(planted)
  await once(sockets[0]!, 'close')
  expect((await way.ask()).text).toBe('mine')
})

test('a body after an answer to HEAD is not the next answer', async () => {
  const { way } = await nasty((socket) => socket.write(whole.replace('mine', '') + planted))
  expect(await way.ask({ method: 'HEAD' })).toMatchObject({ status: 200, text: '' })
  expect((await way.ask({ method: 'HEAD' })).ends).toBe(1)
})

test('an answer without a length ends with its connection, and the connection is not used again', async () => {
  const { way, sockets } = await nasty((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nall of it'))
  expect([(await way.ask()).text, (await way.ask()).text]).toEqual(['all of it', 'all of it'])
  expect(sockets).toHaveLength(2)
})

test('a slow head takes as long as it takes, and can be given up', async () => {
  const { way, sockets } = await nasty((socket) => socket.write('HTTP/1.1 200 OK\r\nA:'))
  const answer = way.start()
  for (let n = 0; n < 100; n++) await turn()
  expect(answer.ends).toBe(0)
  answer.flight.abort()
  await once(sockets[0]!, 'close')
})

// Goal: what a target says of an upload that it does not want is heard, although it hangs up with the rest unread, as many do.
// Method: the next piece is sent when the target is gone, and before anybody looked what it said.
test.each([
  ['kept', 2000],
  ['for one', null],
])('an early answer before a reset is the answer (%s)', async (_how, bodyBytes) => {
  const body = new Readable({ read: () => undefined })
  const { way } = await nasty((socket) => {
    socket.once('close', () => body.push(Buffer.alloc(1000)))
    socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much', () => socket.resetAndDestroy())
  })
  body.push(Buffer.alloc(1000))
  const heard = await way.ask({ method: 'POST', body, bodyBytes })
  expect([heard.status, heard.text, heard.ends, heard.error]).toEqual([413, 'too much', 1, null])
})
