import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Socket } from 'node:net'
import { Fault } from '../../kernel/fault.ts'
import type { RawHeaders } from './targets/target.ts'

/** A request's head, with one meaning only. */
export interface RequestHead {
  /** Upper-case. */
  readonly method: string
  /** Origin-form, as the client wrote it; `*` for OPTIONS. */
  readonly path: string
  /** Lower-case, with its port if one was given. */
  readonly host: string
  /** As they came, without pseudo headers and Host. */
  readonly headers: RawHeaders
  readonly version: '1.0' | '1.1' | '2'
  /** What Content-Length announces; null without one. */
  readonly bodyBytes: number | null
  /** Something follows the head: false also for a Content-Length of 0. */
  readonly hasBody: boolean
  /** The protocol to switch to; null without a wish that can be granted: of other protocols the gateway knows no frames. */
  readonly upgrade: 'websocket' | null
  /** The client waits for 100 before it sends the body. */
  readonly expectsContinue: boolean
}

export const urlCharsMax = 16 * 1024
export const headersMax = 100

/**
 * Reads the head of a request that Node's parser let through, and refuses what programs behind could read in another way:
 * request smuggling lives from that (RFC 9112 section 11.2). The message says what was wrong.
 *
 * After a Fault the connection must be closed (HTTP/1), as nobody knows where the request ends: every further one on it
 * is refused here, too. Of HTTP/2 only the stream is spoilt.
 * @throws Fault PROTOCOL_VIOLATION for everything ambiguous; TOO_LARGE for a URL or for headers beyond the limits.
 */
export function readRequestHead(request: IncomingMessage | Http2ServerRequest): RequestHead {
  // By what it is, not by what it says: over HTTP/1 a client may write `HTTP/2.0`, and Node's parser lets it.
  return 'stream' in request ? readHttp2(request) : readOnConnection(request)
}

/**
 * For a server's property `shouldUpgradeCallback` (as an option, `createSecureServer` of node:http2 drops it): whether the connection shall be handed over. A wish for
 * anything but a WebSocket is not granted, so the request stays a common one (RFC 9110 section 7.8: "A server MAY ignore a received Upgrade header field").
 */
export function mayUpgrade({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion !== '1.0' && namesWebSocket(headers.upgrade ?? '')
}

/** On connections whose last request was refused. Node's parser may hand over what came behind it before they are closed. */
const refusedMark = Symbol('a request was refused')
interface Connection extends Socket {
  [refusedMark]?: true
}

function readOnConnection(request: IncomingMessage): RequestHead {
  const connection = request.socket as Connection
  if (connection[refusedMark]) throw violation('the request before it on this connection was refused')
  try {
    return readHttp1(request)
  } catch (error) {
    connection[refusedMark] = true
    throw error
  }
}

function readHttp1(request: IncomingMessage): RequestHead {
  const version = versionOf(request)
  const method = checkedMethod(request.method ?? '')
  const fields = collect(request.rawHeaders, false)
  const target = splitTarget(method, request.url ?? '')
  const host = checkedHost(one(fields.hosts, 'Host'))
  if (target.authority !== null && withoutPort(target.authority) !== withoutPort(host)) {
    throw violation('the URL names another host than the Host header')
  }
  const { bodyBytes, hasBody } = http1Framing(fields, version)
  return {
    method,
    path: target.path,
    host,
    headers: fields.headers,
    version,
    bodyBytes,
    hasBody,
    upgrade: upgradeOf(method, version, fields, hasBody),
    expectsContinue: expects(fields) && version === '1.1',
  }
}

function readHttp2(request: Http2ServerRequest): RequestHead {
  const fields = collect(request.rawHeaders, true)
  const method = checkedMethod(fields.pseudo.get(':method') ?? '')
  const scheme = fields.pseudo.get(':scheme')
  if (scheme !== 'https') throw violation('the scheme is not https')
  if (fields.connection.length > 0) throw violation('HTTP/2 knows no header Connection')
  const named = fields.pseudo.get(':authority') ?? one(fields.hosts, 'Host')
  const host = checkedHost(named)
  if (fields.hosts.some((other) => other.toLowerCase() !== host)) throw violation('Host differs from :authority')
  const path = fields.pseudo.get(':path') ?? ''
  const bodyBytes = contentLength(fields.lengths)
  const hasBody = !request.stream.endAfterHeaders
  if (!hasBody && bodyBytes !== null && bodyBytes > 0) throw violation('the announced body is missing')
  const base = { method, path: checkedOriginForm(method, path), host, headers: fields.headers, version: '2' } as const
  return { ...base, bodyBytes, hasBody, upgrade: null, expectsContinue: expects(fields) }
}

function versionOf({ httpVersion }: IncomingMessage): '1.0' | '1.1' {
  if (httpVersion === '1.1' || httpVersion === '1.0') return httpVersion
  throw violation('the HTTP version is unknown')
}

// ---- header fields

interface Fields {
  readonly headers: string[]
  readonly hosts: string[]
  readonly lengths: string[]
  readonly codings: string[]
  readonly connection: string[]
  readonly upgrades: string[]
  readonly expectations: string[]
  readonly pseudo: Map<string, string>
}

/** Of HTTP/1.1. */
const noPseudo: Map<string, string> = new Map()

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Visible characters, spaces, tabs and the upper half of Latin-1. RFC 9110 section 5.5 */
// oxlint-disable-next-line no-control-regex
const misfitInValue = /[^\t\x20-\x7e\x80-\xff]/

function collect(raw: RawHeaders, isHttp2: boolean): Fields {
  const fields: Fields = {
    headers: [],
    hosts: [],
    lengths: [],
    codings: [],
    connection: [],
    upgrades: [],
    expectations: [],
    pseudo: isHttp2 ? new Map<string, string>() : noPseudo,
  }
  let count = 0
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]!
    const value = raw[index + 1]!
    if (misfitInValue.test(value)) throw violation('a header holds a control character')
    if (isHttp2 && name.startsWith(':')) {
      fields.pseudo.set(name, value)
      continue
    }
    if (!token.test(name)) throw violation('the name of a header is not a token')
    const lower = isHttp2 ? name : name.toLowerCase()
    // HTTP/2 clients send each cookie as a field of its own (RFC 9113 section 8.2.3).
    if (lower !== 'cookie' && ++count > headersMax) throw new Fault('TOO_LARGE', `More than ${headersMax} headers.`)
    if (keep(fields, lower, value, isHttp2)) fields.headers.push(name, value)
  }
  return fields
}

/** Notes what the framing hangs on. @returns whether the field is passed on. */
function keep(fields: Fields, name: string, value: string, isHttp2: boolean): boolean {
  switch (name) {
    case 'host':
      fields.hosts.push(value)
      return false
    case 'content-length':
      fields.lengths.push(value)
      return true
    case 'transfer-encoding':
      fields.codings.push(value)
      break
    case 'connection':
      fields.connection.push(value)
      return true
    case 'upgrade':
      fields.upgrades.push(value)
      break
    case 'expect':
      fields.expectations.push(value)
      return true
    case 'te':
      if (isHttp2 && value.trim().toLowerCase() !== 'trailers') throw violation('TE may only say trailers')
      return true
    case 'keep-alive':
    case 'proxy-connection':
      break
    case 'http2-settings':
      return false
    default:
      return true
  }
  // RFC 9113 section 8.2.2
  if (isHttp2) throw violation(`HTTP/2 knows no header ${name}`)
  return true
}

function one(values: readonly string[], name: string): string {
  if (values.length === 1) return values[0]!
  throw violation(values.length === 0 ? `the header ${name} is missing` : `there is more than one header ${name}`)
}

// ---- where the body ends

function http1Framing(fields: Fields, version: '1.0' | '1.1'): Pick<RequestHead, 'bodyBytes' | 'hasBody'> {
  const bodyBytes = contentLength(fields.lengths)
  if (fields.codings.length === 0) return { bodyBytes, hasBody: bodyBytes !== null && bodyBytes > 0 }
  if (version === '1.0') throw violation('HTTP/1.0 knows no Transfer-Encoding')
  if (bodyBytes !== null) throw violation('both Transfer-Encoding and Content-Length')
  if (fields.codings.length > 1 || fields.codings[0]!.toLowerCase() !== 'chunked') {
    throw violation('a Transfer-Encoding other than chunked')
  }
  return { bodyBytes: null, hasBody: true }
}

function contentLength(values: readonly string[]): number | null {
  if (values.length === 0) return null
  const value = one(values, 'Content-Length')
  const bytes = Number(value)
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(bytes))
    throw violation('the Content-Length is not a number of bytes')
  return bytes
}

function expects({ expectations }: Fields): boolean {
  if (expectations.length === 0) return false
  if (one(expectations, 'Expect').toLowerCase() !== '100-continue') throw violation('an unknown expectation')
  return true
}

function upgradeOf(method: string, version: string, fields: Fields, hasBody: boolean): 'websocket' | null {
  if (version === '1.0' || !namesUpgrade(fields.connection) || !fields.upgrades.some(namesWebSocket)) return null
  // Where the body ends and the other protocol begins, programs do not agree.
  if (method !== 'GET' || hasBody) throw violation('an upgrade with a body or another method than GET')
  return 'websocket'
}

function namesWebSocket(upgrade: string): boolean {
  return upgrade.split(',').some((protocol) => protocol.trim().toLowerCase() === 'websocket')
}

function namesUpgrade(connection: readonly string[]): boolean {
  return connection.some((value) => value.split(',').some((option) => option.trim().toLowerCase() === 'upgrade'))
}

// ---- what is asked for

/** Targets that read methods in another case would let them pass by rules. */
function checkedMethod(method: string): string {
  if (!/^[A-Z][A-Z0-9_-]{0,31}$/.test(method)) throw violation('the method is not one')
  if (method === 'CONNECT' || method === 'TRACE') throw violation(`${method} is not for applications`)
  return method
}

interface Target {
  readonly path: string
  /** Of an absolute-form, lower-case. */
  readonly authority: string | null
}

/** RFC 9112 section 3.2 */
function splitTarget(method: string, url: string): Target {
  if (url.length > urlCharsMax) throw urlTooLong()
  if (url.startsWith('/') || url === '*') return { path: checkedOriginForm(method, url), authority: null }
  const absolute = /^https:\/\/([^/?#]*)(.*)$/is.exec(url)
  if (absolute === null) throw violation('the URL is neither a path nor an https address')
  const authority = checkedHost(absolute[1]!)
  const rest = absolute[2]!
  // "If the target URI's path and query are empty": RFC 9112 section 3.2.4
  if (rest === '') return { path: method === 'OPTIONS' ? '*' : '/', authority }
  return { path: checkedOriginForm(method, rest.startsWith('/') ? rest : `/${rest}`), authority }
}

function checkedOriginForm(method: string, path: string): string {
  if (path.length > urlCharsMax) throw urlTooLong()
  if (path === '*' && method === 'OPTIONS') return path
  if (!path.startsWith('/')) throw violation('the URL is not a path')
  if (/[^\x21-\x7e]|[\\#]/.test(path)) throw violation('the URL holds a character that belongs in no URL')
  return path
}

const hostShape = /^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9_])?\.?|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/

function checkedHost(text: string): string {
  const host = text.toLowerCase()
  const shape = host.length <= 262 ? hostShape.exec(host) : null
  if (shape === null || Number(shape[1] ?? 443) > 65_535) throw violation('the host is not one')
  return host
}

function withoutPort(host: string): string {
  return host.endsWith(':443') ? host.slice(0, -4) : host
}

function urlTooLong(): Fault {
  return new Fault('TOO_LARGE', `The URL is longer than ${urlCharsMax} characters.`)
}

function violation(what: string): Fault {
  return new Fault('PROTOCOL_VIOLATION', `The request was refused: ${what}.`)
}
