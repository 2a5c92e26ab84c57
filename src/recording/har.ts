import { headerFacts } from './header-facts.ts'
import type { HttpHeaders } from './http-events.ts'
import { httpInOrder } from './http-order.ts'
import { httpTimeline, type HttpBody, type HttpExchange, type HttpMessages } from './http-timeline.ts'
import type { Recording } from './reading.ts'

/** WebSocket messages of one exchange; the others are counted. */
const messagesMax = 100_000

/**
 * An HTTP session as HAR 1.2, piece by piece. What HAR has no name for is in members that begin with `_`.
 * @param creatorVersion of the program that writes it.
 * @throws as `recording.events`.
 * @see HAR 1.2 Spec, Jan Odvarko; W3C "HTTP Archive (HAR) format"
 */
export async function* harText(
  recording: Pick<Recording, 'header' | 'manifest' | 'events'>,
  creatorVersion: string,
): AsyncGenerator<string> {
  const startedMs = startOf(recording)
  const head = { version: '1.2', creator: { name: 'Curfew', version: creatorVersion }, pages: [] }
  const comment = JSON.stringify(sessionWords(recording))
  yield `{"log":{${JSON.stringify(head).slice(1, -1)},"comment":${comment},"entries":[`
  let between = '\n'
  for await (const item of httpInOrder(httpTimeline(recording.events(), { messagesMax, bodies: true }))) {
    if (item.kind !== 'exchange') continue
    yield `${between}${JSON.stringify(harEntry(item.exchange, startedMs))}`
    between = ',\n'
  }
  yield '\n]}}\n'
}

function startOf({ header }: Pick<Recording, 'header'>): number {
  const startedMs = Date.parse(headerFacts(header).startedAt ?? '')
  return Number.isNaN(startedMs) ? 0 : startedMs
}

function sessionWords({ header, manifest }: Pick<Recording, 'header' | 'manifest'>): string {
  const { session, personName, role, resource } = headerFacts(header)
  const { by, code, message } = (manifest?.end ?? {}) as Readonly<Record<string, unknown>>
  const end = [by, code, message].filter((part) => typeof part === 'string')
  return [
    `Session ${session ?? '?'}: ${personName ?? '?'} as ${role ?? '?'} on ${resource ?? '?'}.`,
    end.length === 0 ? 'It was not sealed.' : `Ended by the ${end.join(': ')}.`,
    'Names and values of headers are those that were recorded: never cookies or authorization.',
  ].join(' ')
}

/** One exchange as an entry of a HAR. @param startedMs of the recording, since the epoch. */
export function harEntry(exchange: HttpExchange, startedMs: number): Readonly<Record<string, unknown>> {
  const { n, at, request, protocol, messages, bytesUp, bytesDown, result, code, why, address } = exchange
  const timings = timingsOf(exchange)
  return {
    startedDateTime: isoTime(startedMs + at * 1000),
    time: timings.send + timings.wait + timings.receive,
    request: requestOf(exchange),
    response: responseOf(exchange),
    cache: {},
    timings,
    comment: commentOf(exchange),
    _n: n,
    ...(request !== null && { _from: request.from, _requestId: request.id }),
    _result: result ?? 'open',
    ...(code !== null && { _code: code }),
    ...(why !== null && { _why: why }),
    ...(address !== null && { _address: address }),
    ...(protocol !== null && { _protocol: protocol, _bytesUp: bytesUp, _bytesDown: bytesDown }),
    ...(protocol === 'websocket' && { _resourceType: 'websocket' }),
    ...(messages !== null && { _webSocketMessages: messagesOf(messages, startedMs) }),
  }
}

/** The last millisecond of the year 9999: years have four digits (RFC 3339). */
const timeMsMax = 253_402_300_799_999

function isoTime(ms: number): string {
  return new Date(Math.min(Math.max(ms, 0), timeMsMax)).toISOString()
}

/** HAR wants `send`, `wait` and `receive` known. What has no answer waited to its end. */
function timingsOf({ waitMs, totalMs }: HttpExchange) {
  const wait = waitMs ?? totalMs ?? 0
  const receive = Math.max(0, (totalMs ?? wait) - wait)
  return { blocked: -1, dns: -1, connect: -1, ssl: -1, send: 0, wait, receive }
}

function commentOf({ result, code, why, messages }: HttpExchange): string {
  const ends: Readonly<Record<NonNullable<HttpExchange['result']>, string>> = {
    ok: '',
    client: 'The client ended it.',
    target: 'The target ended it.',
    gate: 'The gateway ended it.',
    refused: 'The gateway refused it.',
  }
  const reason = [code, why].filter((part) => part !== null).join(': ')
  const left = messages?.leftOut ?? 0
  return [
    result === null ? 'It was still going on when the recording ended.' : ends[result],
    reason,
    left === 0 ? '' : `${left} more messages passed.`,
  ]
    .filter((part) => part !== '')
    .join(' ')
}

const versions = { '1.0': 'HTTP/1.0', '1.1': 'HTTP/1.1', '2': 'HTTP/2' } as const

function versionOf({ request }: HttpExchange): string {
  return request === null ? 'unknown' : versions[request.version]
}

function requestOf(exchange: HttpExchange) {
  const { request, bytesUp, protocol, bodyUp } = exchange
  const url = addressOf(exchange)
  return {
    method: request?.method ?? '',
    url,
    httpVersion: versionOf(exchange),
    cookies: [],
    headers: headersOf(request?.headers ?? []),
    queryString: queryOf(url),
    headersSize: -1,
    bodySize: protocol === null ? (bytesUp ?? -1) : -1,
    ...(bodyUp !== null && { postData: postDataOf(bodyUp, request?.headers ?? []) }),
  }
}

/** RFC 3986, appendix A, and what makes up a percent-encoded character. */
const notInUri = /[^\w\-.~:/?#[\]@!$&'()*+,;=%]/gu

function addressOf({ request, protocol }: HttpExchange): string {
  const { origin = '', url = '/' } = request ?? {}
  const host = /^https?:\/\/([\w.\-[\]:]+)$/.exec(origin)?.[1] ?? 'unknown.invalid'
  const scheme = protocol === 'websocket' ? 'wss' : 'https'
  const path = url.startsWith('/') ? url : `/${url}`
  return `${scheme}://${host}${path.toWellFormed().replaceAll(notInUri, encodeURIComponent)}`
}

function queryOf(url: string) {
  const at = url.indexOf('?')
  const params = new URLSearchParams(at === -1 ? '' : url.slice(at + 1))
  return [...params].map(([name, value]) => ({ name, value }))
}

function headersOf(headers: HttpHeaders) {
  return headers.map(([name, value]) => ({ name, value }))
}

function headerOf(headers: HttpHeaders, wanted: string): string | undefined {
  return headers.find(([name]) => name === wanted)?.[1]
}

function responseOf(exchange: HttpExchange) {
  const { status, headers, trailers, bytesDown, protocol, code, why, result } = exchange
  const redirects = status !== null && status >= 300 && status < 400
  const answered = {
    status: status ?? 0,
    // the words behind the status are not recorded, and HTTP/2 has none
    statusText: '',
    httpVersion: status === null ? 'unknown' : versionOf(exchange),
    cookies: [],
    headers: headersOf(headers),
    content: contentOf(exchange),
    redirectURL: (redirects && headerOf(headers, 'location')) || '',
    headersSize: -1,
    bodySize: status === null || protocol !== null ? -1 : (bytesDown ?? -1),
    ...(trailers.length > 0 && { _trailers: headersOf(trailers) }),
  }
  if (status !== null || result === null) return answered
  return { ...answered, _error: [code ?? 'no answer', why].filter((part) => part !== null).join(': ') }
}

/** The body as it passed: one that is encoded stays so, and `size` counts it so. */
function contentOf({ headers, bytesDown, bodyDown, protocol }: HttpExchange) {
  const bytes = protocol === null ? (bytesDown ?? bodyDown?.bytes ?? 0) : 0
  const mimeType = bodyDown?.type ?? headerOf(headers, 'content-type') ?? 'x-unknown'
  const encoding = bodyDown?.encoding ?? headerOf(headers, 'content-encoding') ?? null
  const isPlain = encoding === null || encoding === 'identity'
  const comment = bodyDown === null ? undefined : bodyWords(bodyDown)
  return {
    size: bytes,
    ...(isPlain && { compression: 0 }),
    mimeType,
    ...(!isPlain && { _contentEncoding: encoding }),
    ...(bodyDown !== null && textOf(bodyDown)),
    ...(comment !== undefined && { comment }),
  }
}

/** HAR has no `encoding` here; the member with the underscore means the same. */
function postDataOf(body: HttpBody, headers: HttpHeaders) {
  const { text, encoding } = textOf(body)
  const comment = bodyWords(body)
  return {
    mimeType: body.type ?? headerOf(headers, 'content-type') ?? 'x-unknown',
    params: [],
    ...(text !== undefined && { text }),
    ...(encoding !== undefined && { _encoding: encoding }),
    ...(body.encoding !== null && { _contentEncoding: body.encoding }),
    ...(comment !== undefined && { comment }),
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Text where it is, so that it can be read; else base64: nothing is changed either way. */
function textOf({ content }: HttpBody): { readonly text?: string; readonly encoding?: 'base64' } {
  const bytes = content ?? Buffer.alloc(0)
  if (bytes.length === 0) return {}
  try {
    return { text: utf8.decode(bytes) }
  } catch {
    return { text: bytes.toString('base64'), encoding: 'base64' } // it is not UTF-8
  }
}

const leftOutWords = {
  longer: 'it was longer than is recorded',
  type: 'bodies of its type are not recorded',
  ended: 'it was not recorded to its end',
} as const

function bodyWords({ bytes, content, leftOut, encoding }: HttpBody): string | undefined {
  const held = content?.length ?? 0
  const why = leftOut !== null ? leftOutWords[leftOut] : held < bytes ? 'it was too much to hold at once' : undefined
  const encoded = encoding === null ? '' : ` Encoded: ${encoding}.`
  if (why === undefined && encoded === '') return undefined
  const left = held === 0 ? `Not recorded: ${why}.` : `Only the first ${held} bytes: ${why}.`
  return `${why === undefined ? '' : left}${encoded}`.trim()
}

/** In the form that Chromium exports and reads; contents are not recorded, their sizes are in `_bytes`. */
function messagesOf({ list }: HttpMessages, startedMs: number) {
  return list.map(({ at, direction, opcode, bytes }) => ({
    type: direction === 'up' ? 'send' : 'receive',
    time: startedMs / 1000 + at,
    opcode,
    data: '',
    _bytes: bytes,
  }))
}
