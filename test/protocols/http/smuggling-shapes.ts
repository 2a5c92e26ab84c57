/**
 * Requests that two programs could read in two ways. Whoever fires them at something checks one thing for all of them:
 * no request for `/smuggled` is ever seen behind it. Each line says besides what becomes of the outer one.
 */
export interface SmugglingShape {
  readonly name: string
  /**
   * What is written to the connection, in Latin-1.
   * @param host the value of Host.
   * @param more header lines with their line ends, such as `Authorization: Bearer …\r\n`: goes with every request in it.
   */
  readonly bytes: (host: string, more: string) => string
  readonly outcome: SmugglingOutcome
}

export type SmugglingOutcome =
  /** An error is answered (or nothing), no request arrives whole, and the connection is closed. */
  | { readonly kind: 'refused' }
  /** There is one way to read it after all: these requests, in this order, and no others. */
  | { readonly kind: 'harmless'; readonly why: string; readonly requests: readonly SeenShape[] }

export interface SeenShape {
  readonly method: string
  readonly path: string
  readonly body: string
}

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: smuggled.test\r\n\r\n'
const refused = { kind: 'refused' } as const

/** A POST to `/outer` with these lines in its head, and this behind it. */
function post(name: string, lines: string, rest: string, outcome: SmugglingOutcome = refused): SmugglingShape {
  return { name, outcome, bytes: (host, more) => `POST /outer HTTP/1.1\r\nHost: ${host}\r\n${more}${lines}\r\n${rest}` }
}

/** A GET with this request line; `{host}` in it is the host. What comes behind is refused, or a second request. */
function line(name: string, requestLine: string, outcome: SmugglingOutcome = refused): SmugglingShape {
  const bytes = (host: string, more: string) =>
    `${requestLine.replaceAll('{host}', host)}\r\nHost: ${host}\r\n${more}\r\n`
  return { name, outcome, bytes }
}

/** A GET to `/outer` with these bytes where its headers begin. */
function get(name: string, lines: string, rest = smuggled, outcome: SmugglingOutcome = refused): SmugglingShape {
  return { name, outcome, bytes: (host, more) => `GET /outer HTTP/1.1\r\nHost: ${host}\r\n${more}${lines}\r\n${rest}` }
}

function chunked(name: string, body: string, outcome: SmugglingOutcome = refused): SmugglingShape {
  return post(name, 'Transfer-Encoding: chunked\r\n', body, outcome)
}

function harmless(why: string, ...requests: SeenShape[]): SmugglingOutcome {
  return { kind: 'harmless', why, requests }
}

const outerPost = (body: string): SeenShape => ({ method: 'POST', path: '/outer', body })
const outerGet: SeenShape = { method: 'GET', path: '/outer', body: '' }
const end = '0\r\n\r\n'

/** Content-Length and Transfer-Encoding, alone and against each other. */
const lengths: readonly SmugglingShape[] = [
  post('CL.TE', `Content-Length: ${end.length + smuggled.length}\r\nTransfer-Encoding: chunked\r\n`, end + smuggled),
  post('TE.CL', `Transfer-Encoding: chunked\r\nContent-Length: 4\r\n`, `2c\r\n${smuggled}\r\n${end}`),
  post('CL.0 with TE', 'Content-Length: 0\r\nTransfer-Encoding: chunked\r\n', smuggled),
  post('two lengths that differ', `Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n`, smuggled),
  post('two lengths alike', 'Content-Length: 3\r\nContent-Length: 3\r\n', `abc${smuggled}`),
  post('a list of lengths', 'Content-Length: 3, 3\r\n', `abc${smuggled}`),
  post('a length with a plus', 'Content-Length: +3\r\n', `abc${smuggled}`),
  post('a length with a minus', 'Content-Length: -3\r\n', smuggled),
  post('a hexadecimal length', 'Content-Length: 0x3\r\n', `abc${smuggled}`),
  post('a length with a fraction', 'Content-Length: 3.0\r\n', `abc${smuggled}`),
  post('a length in two parts', 'Content-Length: 3 0\r\n', `abc${smuggled}`),
  post('an empty length', 'Content-Length:\r\n', smuggled),
  post('a length beyond 64 bits', 'Content-Length: 18446744073709551619\r\n', `abc${smuggled}`),
  post('a space before the colon of the length', 'Content-Length : 3\r\n', `abc${smuggled}`),
  post(
    'a length that is no name for one',
    `Content_Length: ${smuggled.length}\r\nContent-Length: 3\r\n`,
    'abc',
    harmless('not passed on', outerPost('abc')),
  ),
  get('a GET with a body', 'Content-Length: 3\r\n', 'abc', harmless('it is allowed', { ...outerGet, body: 'abc' })),
]

/** Spellings that some read as `chunked` and others do not. */
const codings: readonly SmugglingShape[] = [
  post('TE with a space before the colon', 'Transfer-Encoding : chunked\r\n', end + smuggled),
  post('TE with a tab before the colon', 'Transfer-Encoding\t: chunked\r\n', end + smuggled),
  post('TE with a vertical tab', 'Transfer-Encoding:\x0bchunked\r\n', end + smuggled),
  post('TE with a form feed', 'Transfer-Encoding: \x0cchunked\r\n', end + smuggled),
  post('TE with NUL', 'Transfer-Encoding: chunked\0\r\n', end + smuggled),
  post('TE with a bare CR', 'Transfer-Encoding: chunked\rX: y\r\n', end + smuggled),
  post('TE behind a bare CR', 'X: y\rTransfer-Encoding: chunked\r\n', end + smuggled),
  post('TE behind a bare LF', 'X: y\nTransfer-Encoding: chunked\r\n', end + smuggled),
  post('TE on a folded line', 'Transfer-Encoding:\r\n chunked\r\n', end + smuggled),
  post('TE folded behind another header', 'X: y\r\n Transfer-Encoding: chunked\r\n', end + smuggled),
  post('TE chunked, identity', 'Transfer-Encoding: chunked, identity\r\n', end + smuggled),
  post('TE identity, chunked', 'Transfer-Encoding: identity, chunked\r\n', end + smuggled),
  post('TE identity', 'Transfer-Encoding: identity\r\n', smuggled),
  post('TE gzip, chunked', 'Transfer-Encoding: gzip, chunked\r\n', end + smuggled),
  post('TE ,chunked', 'Transfer-Encoding: ,chunked\r\n', end + smuggled),
  post('TE chunked;q=1', 'Transfer-Encoding: chunked;q=1\r\n', end + smuggled),
  post('TE "chunked"', 'Transfer-Encoding: "chunked"\r\n', end + smuggled),
  post('TE xchunked', 'Transfer-Encoding: xchunked\r\n', end + smuggled),
  post('TE empty', 'Transfer-Encoding:\r\n', end + smuggled),
  post('TE twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', end + smuggled),
  post('TE twice, one unknown', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n', end + smuggled),
  post(
    'TE by a name with an underscore',
    `Transfer_Encoding: chunked\r\nContent-Length: 5\r\n`,
    end,
    harmless('not passed on', outerPost(end)),
  ),
  post(
    'TE in capitals',
    'TRANSFER-ENCODING: CHUNKED\r\n',
    `3\r\nabc\r\n${end}`,
    harmless('it is chunked', outerPost('abc')),
  ),
  post(
    'TE between white space',
    'Transfer-Encoding:\tchunked \r\n',
    `3\r\nabc\r\n${end}`,
    harmless('white space around values is allowed', outerPost('abc')),
  ),
  post('TE before a tab', 'Transfer-Encoding: chunked\t\r\n', end + smuggled),
  {
    name: 'TE in HTTP/1.0',
    outcome: refused,
    bytes: (host, more) =>
      `POST /outer HTTP/1.0\r\nHost: ${host}\r\n${more}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${end}${smuggled}`,
  },
]

const chunks: readonly SmugglingShape[] = [
  chunked('a chunk size with 0x', `0x3\r\nabc\r\n${end}${smuggled}`),
  chunked('a negative chunk size', `-3\r\nabc\r\n${end}${smuggled}`),
  chunked('a chunk size beyond 64 bits', `10000000000000003\r\nabc\r\n${end}${smuggled}`),
  chunked('a space behind the chunk size', `3 \r\nabc\r\n${end}${smuggled}`),
  chunked('a bare LF behind the chunk size', `3\nabc\r\n${end}${smuggled}`),
  chunked('a bare CR behind the chunk size', `3\rabc\r\n${end}${smuggled}`),
  chunked('a bare LF behind the chunk', `3\r\nabc\n${end}${smuggled}`),
  chunked('no line end behind the chunk', `3\r\nabc${end}${smuggled}`),
  chunked('two bytes that are no line end behind the chunk', `3\r\nabcXX${end}${smuggled}`),
  chunked('an empty chunk size', `\r\n${end}${smuggled}`),
  chunked('a bare LF in a chunk extension', `3;x\nabc\r\n${end}${smuggled}`),
  chunked('a line end in a quoted chunk extension', `3;x="\r\n"\r\nabc\r\n${end}${smuggled}`),
  chunked('a NUL in a chunk extension', `3;x=\0\r\nabc\r\n${end}${smuggled}`),
  chunked('a bare LF behind the last chunk', `0\n\n${smuggled}`),
  chunked('a length among the trailers', `0\r\nContent-Length: 3\r\n\r\n${smuggled}`),
  chunked('a coding among the trailers', `0\r\nTransfer-Encoding: chunked\r\n\r\n${smuggled}`),
  chunked('a trailer with a bare LF', `0\r\nX: y\n\r\n\r\n${smuggled}`),
  chunked('a chunk extension', `3;a=b\r\nabc\r\n${end}`, harmless('extensions are dropped', outerPost('abc'))),
  chunked(
    'zeros before the chunk size',
    `0000000003\r\nabc\r\n${end}`,
    harmless('it is the same number', outerPost('abc')),
  ),
  chunked(
    'trailers that trailers may not be',
    `3\r\nabc\r\n0\r\nHost: smuggled.test\r\nAuthorization: x\r\n\r\n`,
    harmless('they are dropped', outerPost('abc')),
  ),
]

const heads: readonly SmugglingShape[] = [
  get('a folded line', 'X: y\r\n z\r\n'),
  get('a line folded with a tab', 'X: y\r\n\tz\r\n'),
  get('a folded empty line', 'X: y\r\n \r\n'),
  get('a header that begins with a space', ' X: y\r\n'),
  get('a header without a colon', 'X\r\n'),
  get('a header without a name', ': y\r\n'),
  get('a name that is no token', 'X(y): z\r\n'),
  get('a NUL in a value', 'X: y\0z\r\n'),
  get('a NUL in a name', 'X\0Y: z\r\n'),
  get('a bare CR in a value', 'X: y\rz\r\n'),
  get('a control character in a value', 'X: y\x01z\r\n'),
  get('two hosts', 'Host: smuggled.test\r\n'),
  get('lines that end in LF', 'X: y\nZ: a\n'),
  get('more headers than anybody needs', 'X: y\r\n'.repeat(101), ''),
  get('a giant header', `X: ${'y'.repeat(70_000)}\r\n`, ''),
  { name: 'LF everywhere', outcome: refused, bytes: (host) => `GET /outer HTTP/1.1\nHost: ${host}\n\n${smuggled}` },
  { name: 'no Host', outcome: refused, bytes: (_, more) => `GET /outer HTTP/1.1\r\n${more}\r\n` },
  { name: 'an empty Host', outcome: refused, bytes: (_, more) => `GET /outer HTTP/1.1\r\nHost:\r\n${more}\r\n` },
  {
    name: 'a Host with a path',
    outcome: refused,
    bytes: (host, more) => `GET /outer HTTP/1.1\r\nHost: ${host}/x\r\n${more}\r\n`,
  },
  {
    name: 'a Host with a user',
    outcome: refused,
    bytes: (host, more) => `GET /outer HTTP/1.1\r\nHost: x@${host}\r\n${more}\r\n`,
  },
  {
    name: 'two hosts in one',
    outcome: refused,
    bytes: (host, more) => `GET /outer HTTP/1.1\r\nHost: ${host}, smuggled.test\r\n${more}\r\n`,
  },
]

const requestLines: readonly SmugglingShape[] = [
  { name: 'HTTP/0.9', outcome: refused, bytes: () => `GET /outer\r\n\r\n${smuggled}` },
  line('HTTP/1.2', 'GET /outer HTTP/1.2'),
  line('HTTP/2.0 in words', 'GET /outer HTTP/2.0'),
  line('http/1.1', 'GET /outer http/1.1'),
  line('a method in lower case', 'get /outer HTTP/1.1'),
  line('an unknown method', 'SMUGGLE /outer HTTP/1.1'),
  line('TRACE', 'TRACE /outer HTTP/1.1'),
  line('CONNECT', 'CONNECT {host} HTTP/1.1'),
  line('a space in the URL', 'GET /outer x HTTP/1.1'),
  line('a tab in the URL', 'GET /outer\tx HTTP/1.1'),
  line('a backslash in the URL', 'GET /outer\\x HTTP/1.1'),
  line('a fragment', 'GET /outer#x HTTP/1.1'),
  line('bytes beyond ASCII in the URL', 'GET /outer\xe9 HTTP/1.1'),
  line('a control character in the URL', 'GET /outer\x7f HTTP/1.1'),
  line('an endless URL', `GET /outer?${'x'.repeat(17_000)} HTTP/1.1`),
  line('another host in the URL', 'GET https://smuggled.test/outer HTTP/1.1'),
  line('a user in the URL', 'GET https://x@{host}/outer HTTP/1.1'),
  line('another scheme in the URL', 'GET http://{host}/outer HTTP/1.1'),
  line('a scheme nobody knows', 'GET gopher://{host}/outer HTTP/1.1'),
  line('a GET of *', 'GET * HTTP/1.1'),
  line('a host for a path', 'GET {host} HTTP/1.1'),
  line('the same host in the URL', 'GET https://{host}/outer HTTP/1.1', harmless('RFC 9112 section 3.2.2', outerGet)),
  line('two spaces before the URL', 'GET  /outer HTTP/1.1', harmless('the line is written anew', outerGet)),
  line('line ends before the request', '\r\n\r\nGET /outer HTTP/1.1', harmless('RFC 9112 section 2.2', outerGet)),
  { name: 'the preface of HTTP/2', outcome: refused, bytes: () => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${smuggled}` },
]

const switches: readonly SmugglingShape[] = [
  post(
    'an upgrade with a body',
    'Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n',
    `abc${smuggled}`,
  ),
  post(
    'an upgrade with chunks',
    'Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n',
    end + smuggled,
  ),
  post('an upgrade by POST', 'Connection: upgrade\r\nUpgrade: websocket\r\n', smuggled),
  get(
    'an upgrade to h2c',
    'Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
    '',
    harmless('the wish is ignored', outerGet),
  ),
  get('an upgrade that Connection does not name', 'Upgrade: websocket\r\n', '', harmless('it is none', outerGet)),
  {
    name: 'an upgrade in HTTP/1.0',
    outcome: harmless('the wish is ignored', outerGet),
    bytes: (host, more) =>
      `GET /outer HTTP/1.0\r\nHost: ${host}\r\n${more}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`,
  },
  post(
    'a POST that would like h2c',
    'Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n',
    'abc',
    harmless('the wish is ignored', outerPost('abc')),
  ),
  post('an unknown expectation', 'Expect: 200-ok\r\nContent-Length: 0\r\n', smuggled),
  {
    name: 'a second request behind the first',
    outcome: harmless('it is one, and judged by itself', outerGet, { method: 'GET', path: '/second', body: '' }),
    bytes: (host, more) =>
      `GET /outer HTTP/1.1\r\nHost: ${host}\r\n${more}\r\nGET /second HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`,
  },
]

export const smugglingShapes: readonly SmugglingShape[] = [
  ...lengths,
  ...codings,
  ...chunks,
  ...heads,
  ...requestLines,
  ...switches,
]

/** A request of HTTP/2, field by field. `END_STREAM` comes with the headers unless there is a body. */
export interface Http2Shape {
  readonly name: string
  /** @param host the value of `:authority`. @param more fields that make the request known, names in lower case. */
  readonly fields: (host: string, more: readonly Field[]) => readonly Field[]
  readonly body: string
  readonly outcome: SmugglingOutcome
}
export type Field = readonly [name: string, value: string]

/** Pseudo fields given here stand for the usual ones; undefined leaves one out. */
function stream(
  name: string,
  changed: Readonly<Record<string, string | undefined>>,
  fields: readonly Field[],
  outcome: SmugglingOutcome = refused,
  body = '',
): Http2Shape {
  return {
    ...{ name, body, outcome },
    fields: (host, more) => {
      const pseudo = {
        ':method': body === '' ? 'GET' : 'POST',
        ':scheme': 'https',
        ':authority': host,
        ':path': '/outer',
        ...changed,
      }
      const kept = Object.entries(pseudo).flatMap(([key, value]): Field[] =>
        value === undefined ? [] : [[key, value]],
      )
      return [...kept, ...more, ...fields]
    },
  }
}

const dropped = harmless('such a field is left out', outerGet)

/** What becomes dangerous when HTTP/2 is written down as HTTP/1. */
export const http2Shapes: readonly Http2Shape[] = [
  stream('H2.TE', {}, [['transfer-encoding', 'chunked']], refused, end + smuggled),
  stream('H2.CL: shorter than the body', {}, [['content-length', '3']], refused, `abc${smuggled}`),
  stream('H2.CL: longer than the body', {}, [['content-length', '300']], refused, 'abc'),
  stream('H2.CL without a body', {}, [['content-length', '3']]),
  stream(
    'two lengths',
    {},
    [
      ['content-length', '3'],
      ['content-length', '3'],
    ],
    refused,
    'abc',
  ),
  stream('a length with a plus', {}, [['content-length', '+3']], refused, 'abc'),
  stream('a line end in a value', {}, [['x', `y\r\n\r\n${smuggled}`]], dropped),
  stream('a line feed in a value', {}, [['x', 'y\ntransfer-encoding: chunked']], dropped),
  stream('a NUL in a value', {}, [['x', 'y\0z']], dropped),
  stream('a line end in a name', {}, [['x: y\r\ntransfer-encoding', 'chunked']], dropped),
  stream('a colon in a name', {}, [['transfer-encoding:', 'chunked']], dropped),
  stream('a space in a name', {}, [['transfer-encoding ', 'chunked']], dropped),
  stream('a name in upper case', {}, [['X-Upper', 'y']]),
  stream('an empty name', {}, [['', 'y']], dropped),
  stream('Connection', {}, [['connection', 'x']]),
  stream('Keep-Alive', {}, [['keep-alive', 'timeout=5']]),
  stream('Proxy-Connection', {}, [['proxy-connection', 'keep-alive']]),
  stream('Upgrade', {}, [['upgrade', 'websocket']]),
  stream('TE beyond trailers', {}, [['te', 'chunked']]),
  stream('another Host', {}, [['host', 'smuggled.test']]),
  stream('two authorities', {}, [[':authority', 'smuggled.test']]),
  stream('a pseudo field behind the others', {}, [
    ['x', 'y'],
    [':path', '/smuggled'],
  ]),
  stream('an unknown pseudo field', {}, [[':smuggled', 'x']]),
  stream('a request line in the path', { ':path': '/outer HTTP/1.1\r\nHost: smuggled.test\r\n\r\nGET /smuggled' }, []),
  stream('a space in the path', { ':path': '/outer x' }, []),
  stream('a backslash in the path', { ':path': '/outer\\x' }, []),
  stream('a fragment in the path', { ':path': '/outer#x' }, []),
  stream('an address for a path', { ':path': 'https://smuggled.test/outer' }, []),
  stream('an empty path', { ':path': '' }, []),
  stream('no path', { ':path': undefined }, []),
  stream('a request line in the method', { ':method': 'GET /smuggled HTTP/1.1\r\nX: y\r\n\r\nGET' }, []),
  stream('a method in lower case', { ':method': 'get' }, []),
  stream('TRACE', { ':method': 'TRACE' }, []),
  stream('CONNECT', { ':method': 'CONNECT', ':scheme': undefined, ':path': undefined }, []),
  stream('another scheme', { ':scheme': 'http' }, []),
  stream('a URL for a scheme', { ':scheme': 'https://smuggled.test/x?' }, []),
  stream('no authority', { ':authority': undefined }, []),
  stream('a user in the authority', { ':authority': 'x@smuggled.test' }, []),
  stream('a line end in the authority', { ':authority': 'x\r\nX: y' }, []),
  stream(
    'more headers than anybody needs',
    {},
    Array.from({ length: 101 }, (): Field => ['x', 'y']),
  ),
  stream('a length that fits', {}, [['content-length', '3']], harmless('it is right', outerPost('abc')), 'abc'),
  stream('no length', {}, [], harmless('frames end the body', outerPost('abc')), 'abc'),
  stream('TE trailers', {}, [['te', 'trailers']], harmless('RFC 9113 section 8.2.2', outerGet)),
  stream(
    'cookies in crumbs',
    {},
    Array.from({ length: 20 }, (_, index): Field => ['cookie', `c${index}=1`]),
    harmless('RFC 9113 section 8.2.3', outerGet),
  ),
]
