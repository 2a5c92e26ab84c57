// Goal: whatever the quick way takes for a head, Node's parser reads in the same way: one request, whole, with the same method,
// path and headers. Method: plain heads and others made of suspicious pieces, changed at random; each that is taken goes into a
// server of node:http, byte for byte.
import { createServer, type IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { requestOf, Blocks } from '../../../../src/protocols/http/quick/block.ts'
import {
  headBytesMax,
  readPlainFields,
  requestHeadOf,
  splitPlainHead,
} from '../../../../src/protocols/http/quick/plain-head.ts'
import { readRequestHead } from '../../../../src/protocols/http/request-head.ts'
import { smugglingShapes } from '../smuggling-shapes.ts'

const seen: IncomingMessage[] = []
const wrong: string[] = []
const server = createServer({ maxHeaderSize: 32 * 1024, requireHostHeader: true, insecureHTTPParser: false })
server.on('request', (request) => seen.push(request))
server.on('clientError', (error) => wrong.push(error.message))
afterAll(() => server.close())

/** What Node makes of it: the requests that began, and those that came to their end. */
function readByNode(bytes: Buffer): IncomingMessage[] {
  seen.length = 0
  wrong.length = 0
  const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
  server.emit('connection', socket)
  socket.emit('data', bytes)
  const requests = [...seen]
  for (const request of requests) request.on('error', () => undefined)
  socket.on('error', () => undefined)
  socket.destroy()
  return requests
}

function taken(bytes: Buffer) {
  const head = splitPlainHead(bytes)
  const fields = head === undefined ? undefined : readPlainFields(head.block)
  return head === undefined || fields === undefined ? undefined : { head, fields }
}

function expectTheSame(bytes: Buffer): boolean {
  const mine = taken(bytes)
  if (mine === undefined) return false
  const requests = readByNode(bytes)
  expect(wrong).toEqual([])
  expect(requests).toHaveLength(1)
  const [request] = requests as [IncomingMessage]
  expect(request.complete).toBe(true)
  const made = requestOf(mine.head, new Blocks().find(mine.head.block)!, request.socket)
  for (const member of ['method', 'url', 'rawHeaders', 'headers', 'httpVersion'] as const)
    expect(made[member]).toEqual(request[member])
  expect(requestHeadOf(mine.head, mine.fields)).toEqual(readRequestHead(request))
  return true
}

const pick = (...texts: string[]) => fc.constantFrom(...texts)
const often = (usual: string, ...texts: string[]) =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: pick(...texts) })
const name = fc.oneof(
  pick('Accept', 'Cookie', 'X-A', 'user-agent', 'Origin', 'Connection', 'Authorization', 'If-None-Match', 'Range'),
  pick('Content-Length', 'Transfer-Encoding', 'Upgrade', 'Expect', 'TE', 'Trailer', 'Keep-Alive', 'Host', 'Set-Cookie'),
  pick('constructor', '__proto__', 'X_A', 'Proxy-Connection', ':path', 'X A', ' X', ''),
)
const value = fc.oneof(
  pick(
    'a',
    'keep-alive',
    'close',
    '0',
    '5',
    'chunked',
    '*/*',
    'a=b; c=d',
    'text/html, */*',
    'websocket',
    '100-continue',
  ),
  pick('', ' ', 'a ', '\ta', 'a\r\n b', 'a\rb', 'a\nb', 'a\0b', 'é', '\x7f', 'x'.repeat(300)),
)
const line = fc
  .tuple(name, often(': ', ':', ' : ', ':\t', ':  '), value, often('\r\n', '\n', '\r', '\r\n '))
  .map((parts) => parts.join(''))
const host = often(
  'Host: app.example.com\r\n',
  'Host: a:8443\r\n',
  'Host: a:99999\r\n',
  'Host: [::1]\r\n',
  'Host: a b\r\n',
  '',
)
const path = fc.oneof(
  pick('/', '/a/b?c=d&e=%20', '/..//;x', '//other/', '/a?b?c', '/%00', '/~!$&()*+,;=:@'),
  pick('*', 'a', 'https://a/', '/a b', '/a#b', '/a\\b', '/é', '/"', '', '/\t', '/a\r', '/{}|^`<>'),
)
const head = fc
  .tuple(
    often('GET', 'HEAD', 'get', 'POST', 'GET ', ' GET', '\r\nGET'),
    often(' ', '  ', '\t'),
    path,
    often(' HTTP/1.1', ' HTTP/1.0', ' HTTP/2.0', ' http/1.1', '  HTTP/1.1', ' HTTP/1.1 ', ''),
    often('\r\n', '\n'),
    host,
    fc.array(line, { maxLength: 4 }).map((lines) => lines.join('')),
    often('\r\n', '', '\n', '\r\n\r\n', '\r\nGET / HTTP/1.1\r\n\r\n', '\r\nx'),
  )
  .map((parts) => parts.join(''))
const byte = fc.oneof(pick('\r', '\n', '\r\n', ' ', '\t', ':', '\0', '\x80', 'a', '/', '\r\n\r\n'), fc.constant(''))
const changed = fc.tuple(head, fc.nat(), fc.nat({ max: 2 }), byte).map(([text, at, length, put]) => {
  const from = at % (text.length + 1)
  return text.slice(0, from) + put + text.slice(from + length)
})

test('each head that is taken is read the same by Node', () => {
  let count = 0
  const property = fc.property(fc.oneof(head, changed), (text) => {
    if (expectTheSame(Buffer.from(text, 'latin1'))) count++
  })
  fc.assert(property, { numRuns: 6000 })
  expect(count).toBeGreaterThan(300)
})

test('what programs send is taken', () => {
  const heads = [
    'GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n',
    'HEAD /a?b=c HTTP/1.1\r\nhost: App.Example.com:8443\r\nConnection: keep-alive\r\nCookie: a=b; c=d\r\n\r\n',
  ]
  for (const text of heads) expect(expectTheSame(Buffer.from(text))).toBe(true)
})

test('nothing that is cut, or has anything behind it, is taken', () => {
  const bytes = Buffer.from('GET /a HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n')
  for (let cut = 0; cut < bytes.length; cut++) {
    expect(taken(bytes.subarray(0, cut))).toBeUndefined()
    expect(cut > 0 && taken(bytes.subarray(cut))).toBeFalsy()
    expect(taken(Buffer.concat([bytes, bytes.subarray(0, cut + 1)]))).toBeUndefined()
  }
  const long = `GET /${'a'.repeat(headBytesMax)} HTTP/1.1\r\nHost: a\r\n\r\n`
  expect(taken(Buffer.from(long))).toBeUndefined()
})

test.each(smugglingShapes)('not taken, or harmless: $name', ({ bytes, outcome }) => {
  const mine = taken(Buffer.from(bytes('app.example.test', ''), 'latin1'))
  if (mine !== undefined) expect(outcome.kind).toBe('harmless')
})
