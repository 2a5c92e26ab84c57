/**
 * What the target of the tests answers, by path:
 *
 *     /hello                        a few bytes
 *     /echo/…, /read/…, /write/…    JSON: the request as it arrived, its body and trailers (`Echo`)
 *     /page                         HTML with a link, a form and a script
 *     /status/418                   that status, without a body where it has none
 *     /headers?name=value&…         an answer with these headers; a name may come several times
 *     /cookies?set=…&set=…          Set-Cookie, as they stand
 *     /redirect?to=…&status=…       Location, as it stands; `to=self` is its own absolute address, with /hello
 *     /bytes?n=…                    n bytes of a pattern; ETag, Last-Modified, ranges and conditions
 *     /gzip?n=…                     the same, compressed
 *     /drip?n=…&piece=…&everyMs=…   n bytes, a piece at a time, of no announced length
 *     /endless                      bytes until somebody stops it
 *     /upload                       JSON: bytes and SHA-256 of the body; `?everyMs=` reads a piece at a time
 *     /upload/unread                reads nothing and answers nothing
 *     /upload/early                 answers before it reads the body, and then reads it
 *     /duplex                       sends back what comes, while it comes
 *     /sse?everyMs=…&n=…            an event stream; without n, for ever
 *     /trailers                     an answer with trailers
 *     /early-hints                  103, then 200
 *     /refuse-to-continue           417 to `Expect: 100-continue`, with no 100
 *     /hang                         no answer
 *     /hang-body                    headers, the beginning of a body, then nothing
 *     /reset                        half a body, then the connection breaks
 *
 * Anything else is a 404. WebSockets: http-target-sockets.ts.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { gzipSync } from 'node:zlib'

/** JSON of `/echo`. */
export interface Echo {
  readonly method: string
  readonly url: string
  readonly httpVersion: string
  /** Lower-case; several of one name joined as node does. */
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly rawHeaders: readonly string[]
  readonly trailers: Readonly<Record<string, string>>
  /** UTF-8, the first 64 KiB. */
  readonly body: string
  readonly bodyBytes: number
  readonly bodySha256: string
  /** Common name of the client's certificate. */
  readonly clientCertificate: string | null
}

type Asked = IncomingMessage
type Answer = ServerResponse
interface Call {
  readonly asked: Asked
  readonly answer: Answer
  readonly url: URL
  readonly count: (bytes: number) => void
}

const echoedBytesMax = 65_536
/** Of everything that `/bytes` serves. */
export const lastModified = 'Sat, 21 Nov 2026 12:00:00 GMT'

const answers: readonly (readonly [RegExp, (call: Call) => unknown])[] = [
  [/^\/hello$/, ({ answer }) => answer.writeHead(200, { 'content-type': 'text/plain' }).end('hello\n')],
  [/^\/(echo|read|write)(\/|$)/, echo],
  [/^\/page$/, ({ answer }) => answer.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page)],
  [/^\/status\/\d{3}$/, ({ answer, url }) => answer.writeHead(Number(url.pathname.slice(8))).end()],
  [/^\/headers$/, headers],
  [/^\/cookies$/, ({ answer, url }) => answer.writeHead(200, { 'set-cookie': url.searchParams.getAll('set') }).end()],
  [/^\/redirect$/, redirect],
  [/^\/bytes$/, bytes],
  [/^\/gzip$/, gzip],
  [/^\/drip$/, drip],
  [/^\/endless$/, endless],
  [/^\/upload$/, upload],
  [/^\/upload\/unread$/, () => undefined],
  [/^\/upload\/early$/, early],
  [/^\/duplex$/, duplex],
  [/^\/sse$/, events],
  [/^\/trailers$/, trailers],
  [/^\/early-hints$/, earlyHints],
  [/^\/refuse-to-continue$/, refuse],
  [/^\/hang$/, () => undefined],
  [/^\/hang-body$/, ({ answer }) => answer.writeHead(200, { 'content-length': '1000' }).write('the beginning')],
  [/^\/reset$/, reset],
]

/** @param count hears of the body's bytes as they are read. */
export async function answer(asked: Asked, response: Answer, count: (bytes: number) => void): Promise<void> {
  const url = new URL(asked.url ?? '/', 'http://target.invalid')
  const found = answers.find(([path]) => path.test(url.pathname))
  if (found === undefined) response.writeHead(404, { 'content-type': 'text/plain' }).end('no such page\n')
  else await found[1]({ asked, answer: response, url, count })
}

export function refusesToContinue(asked: Asked): boolean {
  return asked.url === '/refuse-to-continue'
}

/** `length` bytes of the pattern, from `start`: byte i is i modulo 251. */
export function pattern(start: number, length: number): Buffer {
  const block = Buffer.from(Array.from({ length: 251 * 64 }, (_, index) => index % 251))
  const skew = start % 251
  const whole = Buffer.concat(Array.from({ length: Math.ceil((skew + length) / block.length) }, () => block))
  return whole.subarray(skew, skew + length)
}

async function echo({ asked, answer: response, count }: Call): Promise<void> {
  const { kept, bodyBytes, hash } = await read(asked, count)
  const { method = '', url = '', httpVersion, rawHeaders } = asked
  const answered: Echo = {
    ...{ method, url, httpVersion, rawHeaders },
    headers: asked.headers as Echo['headers'],
    trailers: asked.trailers as Echo['trailers'],
    body: kept.toString(),
    bodyBytes,
    bodySha256: hash,
    clientCertificate: clientName(asked),
  }
  json(response, answered)
}

function clientName({ socket }: Asked): string | null {
  const certificate = (socket as Partial<TLSSocket>).getPeerCertificate?.()
  const name = certificate?.subject?.CN
  return name === undefined ? null : String(name)
}

async function read(asked: Asked, count: (bytes: number) => void, everyMs = 0) {
  const hash = createHash('sha256')
  const kept: Buffer[] = []
  let [bodyBytes, keptBytes] = [0, 0]
  for await (const piece of asked as AsyncIterable<Buffer>) {
    hash.update(piece)
    count(piece.length)
    bodyBytes += piece.length
    if (keptBytes < echoedBytesMax) kept.push(piece.subarray(0, echoedBytesMax - keptBytes))
    keptBytes += piece.length
    if (everyMs > 0) await sleep(everyMs)
  }
  return { kept: Buffer.concat(kept), bodyBytes, hash: hash.digest('hex') }
}

function json(response: Answer, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

const page = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>The target</title>
<h1>The target of the tests</h1>
<p><a href="/hello">hello</a> <a href="/status/404">not there</a></p>
<form method="post" action="/echo/form"><input name="word" value="blue"><button>Send</button></form>
<p id="script">no script ran</p>
<script>document.querySelector('#script').textContent = 'a script ran'</script>
</html>
`

function headers({ answer: response, url }: Call): void {
  for (const name of new Set(url.searchParams.keys())) response.setHeader(name, url.searchParams.getAll(name))
  response.end('headers\n')
}

function redirect({ asked, answer: response, url }: Call): void {
  const to = url.searchParams.get('to') ?? '/hello'
  const own = `${'encrypted' in asked.socket ? 'https' : 'http'}://${String(asked.headers.host ?? asked.headers[':authority'])}/hello`
  response.writeHead(Number(url.searchParams.get('status') ?? 302), { location: to === 'self' ? own : to }).end()
}

/** @see RFC 9110, section 13 (conditional requests) and 14 (range requests) */
function bytes({ asked, answer: response, url }: Call): void {
  const length = number(url, 'n', 1000)
  const etag = `"pattern-${length}"`
  const common = { etag, 'last-modified': lastModified, 'accept-ranges': 'bytes' }
  if (isFresh(asked, etag)) return void response.writeHead(304, common).end()
  const isCurrent = [undefined, etag, lastModified].includes(asked.headers['if-range'] as string | undefined)
  const range = isCurrent ? /^bytes=(\d*)-(\d*)$/.exec(asked.headers.range ?? '') : null
  const type = { 'content-type': 'application/octet-stream' }
  if (range === null) {
    response.writeHead(200, { ...common, ...type, 'content-length': String(length) })
    return asked.method === 'HEAD' ? void response.end() : send(response, 0, length)
  }
  const [first, last] = rangeOf(range, length)
  if (first > last) return void response.writeHead(416, { ...common, 'content-range': `bytes */${length}` }).end()
  const about = { 'content-range': `bytes ${first}-${last}/${length}`, 'content-length': String(last - first + 1) }
  response.writeHead(206, { ...common, ...type, ...about })
  send(response, first, last - first + 1)
}

function isFresh({ headers: asked }: Asked, etag: string): boolean {
  const tags = asked['if-none-match']
  if (tags !== undefined) return tags.split(/,\s*/).some((tag) => tag === etag || tag === '*')
  return asked['if-modified-since'] === lastModified
}

function rangeOf([, first = '', last = '']: RegExpExecArray, length: number): [number, number] {
  if (first === '') return [Math.max(0, length - Number(last)), length - 1]
  return [Number(first), last === '' ? length - 1 : Math.min(Number(last), length - 1)]
}

/** At the pace of whoever reads it. */
function send(response: Answer, start: number, length: number): void {
  const block = 251 * 256
  const step = (from: number) => {
    for (let at = from; at < start + length; at += block) {
      const isTaken = response.write(pattern(at, Math.min(block, start + length - at)))
      if (!isTaken) return void response.once('drain', () => step(at + block))
    }
    response.end()
  }
  step(start)
}

function gzip({ answer: response, url }: Call): void {
  const about = { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' }
  response.writeHead(200, about).end(gzipSync(pattern(0, number(url, 'n', 1000))))
}

async function drip({ answer: response, url }: Call): Promise<void> {
  const [length, piece, everyMs] = [number(url, 'n', 1000), number(url, 'piece', 100), number(url, 'everyMs', 20)]
  response.writeHead(200, { 'content-type': 'application/octet-stream' })
  for (let at = 0; at < length && !response.destroyed; at += piece) {
    response.write(pattern(at, Math.min(piece, length - at)))
    await sleep(everyMs)
  }
  response.end()
}

async function endless({ answer: response }: Call): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/octet-stream' })
  const block = pattern(0, 251 * 64)
  const over = new AbortController()
  response.once('close', () => over.abort())
  while (!response.destroyed) {
    if (!response.write(block)) await once(response, 'drain', { signal: over.signal })
  }
}

async function upload({ asked, answer: response, url, count }: Call): Promise<void> {
  const { bodyBytes, hash } = await read(asked, count, number(url, 'everyMs', 0))
  json(response, { bytes: bodyBytes, sha256: hash })
}

async function early({ asked, answer: response, count }: Call): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/plain' }).write('early\n')
  await read(asked, count)
  response.end()
}

async function duplex({ asked, answer: response, count }: Call): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/octet-stream' })
  response.flushHeaders()
  for await (const piece of asked as AsyncIterable<Buffer>) {
    count(piece.length)
    if (!response.write(piece)) await once(response, 'drain')
  }
  response.end()
}

async function events({ answer: response, url }: Call): Promise<void> {
  const [everyMs, count] = [number(url, 'everyMs', 50), number(url, 'n', Infinity)]
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  for (let index = 1; index <= count && !response.destroyed; index++) {
    response.write(`id: ${index}\ndata: tick ${index}\n\n`)
    await sleep(everyMs)
  }
  response.end()
}

function trailers({ answer: response }: Call): void {
  response.writeHead(200, { 'content-type': 'text/plain', trailer: 'x-checksum, x-count' })
  response.write('a body with trailers\n')
  response.addTrailers({ 'x-checksum': 'abc', 'x-count': '1' })
  response.end()
}

function earlyHints({ answer: response }: Call): void {
  response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' })
  response.writeHead(200, { 'content-type': 'text/plain' }).end('after the hints\n')
}

function refuse({ asked, answer: response }: Call): void {
  // HTTP/1.1 cannot skip a body; HTTP/2 ends the stream.
  if (asked.httpVersionMajor === 1) response.setHeader('connection', 'close')
  response.writeHead(417).end()
}

async function reset({ answer: response }: Call): Promise<void> {
  response.writeHead(200, { 'content-length': '1000' }).write('half')
  // So that the headers are on their way before it breaks.
  await sleep(20)
  response.destroy()
}

function number(url: URL, name: string, otherwise: number): number {
  const text = url.searchParams.get(name)
  return text === null ? otherwise : Number(text)
}
