import type { HttpHeaders } from '../../recording/http-events.ts'
import { isSecretHeader } from '../../resources/header-names.ts'
import type { RawHeaders } from './targets/target.ts'

const valueCharsMax = 1024
const urlCharsMax = 8 * 1024
const hidden = '***'

const usual: ReadonlySet<string> = new Set([
  ...[
    'accept',
    'accept-encoding',
    'accept-language',
    'accept-ranges',
    'age',
    'allow',
    'cache-control',
    'expires',
    'vary',
  ],
  ...['content-type', 'content-length', 'content-encoding', 'content-disposition', 'content-language', 'content-range'],
  ...[
    'range',
    'if-match',
    'if-none-match',
    'if-modified-since',
    'if-unmodified-since',
    'if-range',
    'etag',
    'last-modified',
  ],
  ...['location', 'content-location', 'retry-after', 'user-agent', 'referer', 'origin', 'date', 'server', 'expect'],
  ...['sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest', 'x-request-id', 'x-requested-with', 'traceparent'],
  ...['sec-websocket-protocol', 'sec-websocket-version', 'sec-websocket-extensions', 'upgrade', 'transfer-encoding'],
  ...['grpc-status', 'grpc-message', 'grpc-encoding', 'grpc-timeout', 'access-control-request-method'],
  ...['access-control-request-headers', 'x-http-method-override', 'te', 'trailer', 'allow', 'x-content-type-options'],
])

/**
 * The headers of a message that go into the recording, lower-case, in the order they came: the usual ones and those of `extra`;
 * never one that can hold a secret, even if `extra` names it. Values are cut at 1024 characters; URLs in them are masked.
 * @param extra lower-case names.
 */
export function recordedHeaders(raw: RawHeaders, extra: ReadonlySet<string>): HttpHeaders {
  const result: (readonly [string, string])[] = []
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]!.toLowerCase()
    if (!usual.has(name) && (!extra.has(name) || isSecretHeader(name))) continue
    const value = recordedValue(name, raw[index + 1]!)
    result.push([name, value.length > valueCharsMax ? `${value.slice(0, valueCharsMax - 1)}…` : value])
  }
  return result
}

function recordedValue(name: string, value: string): string {
  switch (name) {
    case 'referer':
      return withoutUser(withoutQuery(value))
    case 'location':
    case 'content-location':
      return withoutUser(maskedUrl(value, noNames))
    case 'sec-websocket-protocol':
      // Browsers can set no other header there, so some applications put tokens into it: by name, as a JWT, or just long.
      return /bearer|token|auth|eyJ|[^\s,]{40}/i.test(value) ? hidden : value
    default:
      return value
  }
}

const noNames: ReadonlySet<string> = new Set()

/** `https://user:password@host/` */
function withoutUser(url: string): string {
  return url.replace(/^((?:[a-z][a-z\d+.-]*:)?\/\/)[^/?#]*@/i, `$1${hidden}@`)
}

function withoutQuery(url: string): string {
  const at = url.search(/[?#]/)
  return at < 0 ? url : `${url.slice(0, at)}?${hidden}`
}

/**
 * A path or URL for the recording: values of parameters that may be secrets are `***`, in the query, in the fragment, and
 * behind semicolons in the path; cut at 8192 characters. Names count decoded, in lower case. A secret that is a part of the
 * path, or in a parameter with a harmless name, is not found: `maskQuery` is there to name that.
 * @param names lower-case, besides the usual ones.
 */
export function maskedUrl(url: string, names: ReadonlySet<string>): string {
  const masked = url.includes('=') ? maskParameters(url, names) : url
  return masked.length > urlCharsMax ? `${masked.slice(0, urlCharsMax - 1)}…` : masked
}

function maskParameters(url: string, names: ReadonlySet<string>): string {
  const at = url.search(/[?#]/)
  const pathEnd = at < 0 ? url.length : at
  const mask = (whole: string, before: string, name: string) =>
    isSecretParameter(name, names) ? `${before}${name}=${hidden}` : whole
  const path = url.slice(0, pathEnd).replaceAll(/(;)([^=/;]*)=([^/;]*)/g, mask)
  return path + url.slice(pathEnd).replaceAll(/([?&#;])([^=?&#;]*)=([^&#;]*)/g, mask)
}

const secretParameters: ReadonlySet<string> = new Set([
  ...[
    'code',
    'state',
    'nonce',
    'key',
    'sig',
    'pass',
    'pwd',
    'pin',
    'otp',
    'auth',
    'jwt',
    'sid',
    'session',
    'sessionid',
  ],
  ...['jsessionid', 'phpsessid', 'ticket', 'samlresponse', 'samlrequest', 'relaystate', 'hmac', 'authorization'],
])
const secretPart =
  /token|secret|passw|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|signature|credential|session[_-]?id|code_verifier|assertion/

function isSecretParameter(text: string, names: ReadonlySet<string>): boolean {
  const name = decoded(text).toLowerCase()
  return secretParameters.has(name) || secretPart.test(name) || names.has(name)
}

function decoded(name: string): string {
  if (!name.includes('%') && !name.includes('+')) return name
  try {
    return decodeURIComponent(name.replaceAll('+', ' '))
  } catch {
    // Broken escapes: what can be seen of it counts.
    return name
  }
}
