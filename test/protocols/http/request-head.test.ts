// Goal: a head that has one meaning is read right, and one that has two is refused even if Node's parser grows lenient.
// Method: Node's own request objects, filled as the parser would fill them (smuggling.test.ts sends real bytes).
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { asFault } from '../../../src/kernel/fault.ts'
import { headersMax, mayUpgrade, readRequestHead, urlCharsMax } from '../../../src/protocols/http/request-head.ts'
import { codeOf } from '../../fault-code.ts'

interface Wish {
  readonly method?: string
  readonly url?: string
  readonly version?: string
  readonly host?: string | null
}

function request(
  headers: readonly string[],
  { method = 'GET', url = '/', version = '1.1', host = 'a' }: Wish = {},
): IncomingMessage {
  const message = new IncomingMessage(new Socket())
  message.method = method
  message.url = url
  message.httpVersion = version
  message.httpVersionMajor = Number(version[0])
  message.rawHeaders = host === null ? [...headers] : ['Host', host, ...headers]
  return message
}

const read = (headers: readonly string[], wish?: Wish) => readRequestHead(request(headers, wish))
const wrong = (headers: readonly string[], wish?: Wish) => codeOf(() => read(headers, wish))
const violation = 'PROTOCOL_VIOLATION'

test('a plain request', () => {
  expect(read(['Accept', '*/*', 'X-A', 'b'], { url: '/a?b=c', host: 'App.Example.COM:8443' })).toEqual({
    ...{ method: 'GET', path: '/a?b=c', host: 'app.example.com:8443', version: '1.1' },
    ...{
      headers: ['Accept', '*/*', 'X-A', 'b'],
      bodyBytes: null,
      hasBody: false,
      upgrade: null,
      expectsContinue: false,
    },
  })
})

describe('bodies', () => {
  test.each([
    [['Content-Length', '0'], { bodyBytes: 0, hasBody: false }],
    [['content-length', '42'], { bodyBytes: 42, hasBody: true }],
    [['Transfer-Encoding', 'Chunked'], { bodyBytes: null, hasBody: true }],
    [[], { bodyBytes: null, hasBody: false }],
  ])('%j', (headers, expected) => {
    expect(read(headers, { method: 'POST' })).toMatchObject(expected)
  })

  test.each([
    [['Content-Length', '1', 'Transfer-Encoding', 'chunked']],
    [['Content-Length', '1', 'Content-Length', '1']],
    [['Content-Length', '1', 'content-length', '2']],
    [['Content-Length', '']],
    [['Content-Length', '+5']],
    [['Content-Length', '5, 5']],
    [['Content-Length', ' 5']],
    [['Content-Length', '٥']],
    [['Content-Length', '9007199254740993']],
    [['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']],
    [['Transfer-Encoding', 'chunked, identity']],
    [['Transfer-Encoding', 'gzip']],
    [['Transfer-Encoding', '']],
  ])('%j is refused', (headers) => {
    expect(wrong(headers, { method: 'POST' })).toBe(violation)
  })

  test('the text of a length decides, not what JavaScript makes of it', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from('0123456789+-.eExX, ')), maxLength: 8 }), (text) => {
        const isDigits = /^[0-9]+$/.test(text)
        if (isDigits) expect(read(['Content-Length', text]).bodyBytes).toBe(Number.parseInt(text, 10))
        else expect(wrong(['Content-Length', text])).toBe(violation)
      }),
    )
  })

  test('HTTP/1.0 knows no chunks', () => {
    expect(wrong(['Transfer-Encoding', 'chunked'], { version: '1.0' })).toBe(violation)
    expect(read(['Content-Length', '1'], { version: '1.0' })).toMatchObject({ version: '1.0', bodyBytes: 1 })
  })
})

describe('headers', () => {
  test('values hold no line ends or other control characters, names are tokens', () => {
    for (const bad of ['\r', '\n', '\0', '\x0b', '\x7f', 'Ā']) expect(wrong(['X', `a${bad}b`])).toBe(violation)
    for (const bad of ['', ' ', 'x ', 'x:', 'x\n', 'ü', '(x)']) expect(wrong([bad, 'a'])).toBe(violation)
    expect(read(['X', 'a\tb\xff']).headers).toEqual(['X', 'a\tb\xff'])
  })

  test('there is an end to how many', () => {
    const many = (count: number) => Array.from({ length: count }, () => ['X', 'y']).flat()
    expect(read(many(headersMax - 1)).headers).toHaveLength(2 * (headersMax - 1))
    expect(wrong(many(headersMax))).toBe('TOO_LARGE')
    expect(wrong([], { url: `/${'x'.repeat(urlCharsMax)}` })).toBe('TOO_LARGE')
    expect(wrong([], { url: `https://a/${'x'.repeat(urlCharsMax)}` })).toBe('TOO_LARGE')
  })

  test('what comes behind a refused request on one connection is refused, too', () => {
    const first = request(['Host', 'b'])
    const second = request([])
    Object.defineProperty(second, 'socket', { value: first.socket })
    expect(codeOf(() => readRequestHead(first))).toBe(violation)
    expect(codeOf(() => readRequestHead(second))).toBe(violation)
    expect(codeOf(() => readRequestHead(request([])))).toBeUndefined()
  })
})

describe('hosts', () => {
  test.each([
    'a',
    'a.b',
    'A_b.c',
    '1.2.3.4:80',
    '[::1]',
    '[2001:DB8::1]:8443',
    'a.',
    'xn--bcher-kva.example',
    'a:65535',
  ])('%s', (host) => {
    expect(read([], { host }).host).toBe(host.toLowerCase())
  })

  test.each([
    '',
    ' a',
    'a b',
    'a/b',
    'a@b',
    'a:b',
    'a:',
    'a:65536',
    'a:123456',
    'a,b',
    '[::1',
    '::1',
    '.a',
    '-a',
    'ü',
    'a?b',
    'a#b',
    'a%00',
    "a'",
  ])('%s is none', (host) => {
    expect(wrong([], { host })).toBe(violation)
  })

  test('one is needed, and no more', () => {
    expect(wrong([], { host: null })).toBe(violation)
    expect(wrong([], { host: null, version: '1.0' })).toBe(violation)
    expect(wrong(['host', 'a'])).toBe(violation)
  })
})

describe('what is asked for', () => {
  test.each([
    ['GET', '/a', '/a'],
    ['OPTIONS', '*', '*'],
    ['OPTIONS', 'https://a', '*'],
    ['GET', 'https://a', '/'],
    ['GET', 'HTTPS://A/x?y', '/x?y'],
    ['GET', 'https://a:443/x', '/x'],
    ['GET', 'https://a?y', '/?y'],
    ['GET', '//b/c', '//b/c'],
    ['M-SEARCH', '/', '/'],
  ])('%s %s', (method, url, path) => {
    expect(read([], { method, url })).toMatchObject({ method, path })
  })

  test.each([
    ['GET', '*'],
    ['GET', 'a'],
    ['GET', ''],
    ['GET', 'a:443'],
    ['GET', 'http://a/'],
    ['GET', 'https://b/'],
    ['GET', 'https://a:444/'],
    ['GET', 'https://a@a/'],
    ['GET', 'https:///x'],
    ['GET', 'https://a\\@b/'],
    ['GET', '/a b'],
    ['GET', '/a\tb'],
    ['GET', '/a\\b'],
    ['GET', '/a#b'],
    ['GET', '/é'],
    ['get', '/'],
    ['', '/'],
    ['G T', '/'],
    ['TRACE', '/'],
    ['CONNECT', 'a:443'],
    ['CONNECT', '/'],
  ])('%s %s is refused', (method, url) => {
    expect(wrong([], { method, url })).toBe(violation)
  })

  test.each(['0.9', '1.2', '2.0', '3.0'])('HTTP/%s over HTTP/1 is refused', (version) => {
    expect(wrong([], { version })).toBe(violation)
  })
})

describe('upgrades and expectations', () => {
  test.each([
    ['Upgrade', 'websocket', 'websocket'],
    ['keep-alive, upgrade', 'WebSocket', 'websocket'],
    ['upgrade', 'h2c, websocket', 'websocket'],
    ['upgrade', 'SPDY/3.1', null],
    ['upgrade', 'a b', null],
    ['upgrade', 'h2c', null],
    ['upgrade', '', null],
    ['close', 'websocket', null],
  ])('Connection: %s, Upgrade: %s', (connection, upgrade, expected) => {
    const headers = ['Connection', connection, 'Upgrade', upgrade, 'HTTP2-Settings', 'AA']
    const head = read(headers)
    expect(head.upgrade).toBe(expected)
    expect(head.headers).not.toContain('HTTP2-Settings')
  })

  test('one that comes with a body, or by another method, is refused', () => {
    const upgrade = ['Connection', 'upgrade', 'Upgrade', 'websocket']
    expect(wrong([...upgrade, 'Content-Length', '1'])).toBe(violation)
    expect(wrong(upgrade, { method: 'POST' })).toBe(violation)
  })

  test('the server is told whether to hand a connection over', () => {
    const upgrading = (upgrade: string, version = '1.1') =>
      Object.assign(request([], { version }), { headers: { upgrade } })
    expect(mayUpgrade(upgrading('websocket', '1.0'))).toBe(false)
    expect(['websocket', 'h2c', 'h2c, websocket', ''].map((name) => mayUpgrade(upgrading(name)))).toEqual([
      true,
      false,
      true,
      false,
    ])
  })

  test('who waits for 100 says so by one word', () => {
    expect(read(['Expect', '100-Continue', 'Content-Length', '1']).expectsContinue).toBe(true)
    expect(read(['Expect', '100-continue', 'Content-Length', '1'], { version: '1.0' }).expectsContinue).toBe(false)
    expect(wrong(['Expect', '200-ok'])).toBe(violation)
  })
})

test('the message says what was wrong', () => {
  try {
    read(['Content-Length', '1', 'Transfer-Encoding', 'chunked'])
    expect.unreachable()
  } catch (error) {
    expect(asFault(error)?.message).toBe('The request was refused: both Transfer-Encoding and Content-Length.')
  }
})
