import { isIPv6 } from 'node:net'
import { plainAddress } from '../../identity/address.ts'
import type { HttpClaim, HttpRole } from '../../resources/catalogue.ts'
import { cleanCookies, isOwnCookie, withoutDomain } from './gateway-cookies.ts'
import { canonicalName, dropsTowardsTarget, forbiddenTrailer, hopByHop, overrides } from './header-names.ts'
import type { RequestHead } from './request-head.ts'
import type { RawHeaders } from './targets/target.ts'

/** What a role gives the target about a person: made once for a session, by `ownHeaders`. */
export interface OwnHeaders {
  /** Mapped claims and credentials. */
  readonly headers: RawHeaders
  /** Names by which a client may send nothing, canonical. */
  readonly names: ReadonlySet<string>
  /** The role limits methods and paths, so headers that name another one, or another path, are dropped. */
  readonly isLimited: boolean
}

/** Where a request comes from. */
export interface ForwardedClient {
  readonly address: string
  /** As `Forwarded` has it: RFC 7239 section 6 */
  readonly node: string
}

export interface ForwardFacts {
  /** What the target gets as Host, outside of these headers; `X-Forwarded-Host` says what the person typed. */
  readonly host: string
  readonly client: ForwardedClient
  readonly requestId: string
  /** Of `Assertions`. */
  readonly assertion: string
  readonly own: OwnHeaders
  /** `Authorization` carried the gateway's own token: it is not the target's business. */
  readonly ownAuthorization: boolean
}

/**
 * @param mappedByOthers names of headers that other roles of the resource give it: it believes them whoever comes.
 * @param claims null (or empty): the person has none; then the target gets no such header, whatever the client sends.
 * Values go out as UTF-8; control characters become spaces. (RFC 9110 section 5.5 leaves the meaning of bytes beyond ASCII to
 * the receiver; applications read UTF-8. RFC 8187 is for parameters and nobody decodes it here.)
 */
export function ownHeaders(
  role: Pick<HttpRole, 'headers' | 'credentials' | 'allow' | 'deny'>,
  claims: Readonly<Record<HttpClaim, string | null>>,
  mappedByOthers: readonly string[] = [],
): OwnHeaders {
  const mapped = Object.entries(role.headers).flatMap(([name, claim]) => {
    const value = headerText(claims[claim] ?? '')
    return value === '' ? [] : [name, value]
  })
  const credentials = credentialHeaders(role.credentials)
  const names = [...Object.keys(role.headers), ...mappedByOthers, ...credentials.filter((_, index) => index % 2 === 0)]
  return {
    headers: [...mapped, ...credentials],
    names: new Set(names.map((name) => canonicalName(name.toLowerCase()))),
    isLimited: role.allow.length > 0 || role.deny.length > 0,
  }
}

function credentialHeaders(credentials: HttpRole['credentials']): RawHeaders {
  switch (credentials?.kind) {
    case 'basic': {
      const pair = `${credentials.user}:${credentials.password.reveal()}`
      return ['Authorization', `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`]
    }
    case 'bearer':
      return ['Authorization', `Bearer ${headerText(credentials.token.reveal())}`]
    case 'header':
      return [credentials.name, headerText(credentials.value.reveal())]
    case 'certificate':
    case undefined:
      return []
  }
}

/** Groups in one line. Left out is what would pass for others: people may name some themselves, `mine,admins` or ` admins`. */
export function groupList(groups: readonly string[]): string {
  return groups.filter((group) => !/[,\p{Cc}]|^\s|\s$/u.test(group)).join(',')
}

/** UTF-8 bytes, in the Latin-1 that Node writes headers with. */
function headerText(text: string): string {
  const oneLine = text.replaceAll(/\p{Cc}+/gu, ' ').trim()
  return /^[\x20-\x7e]*$/.test(oneLine) ? oneLine : Buffer.from(oneLine, 'utf8').toString('latin1')
}

/**
 * The headers of a request as the target gets them: `RequestHead.headers` without what belongs to the hop (RFC 9110 section
 * 7.6.1), what describes the body's length, and what only a gateway may say: where a request comes from, who sends it, under
 * which client certificate, and which URL it was before. Names that CGI-like targets cannot tell from those (`X_Forwarded_For`)
 * count as the same. Then the gateway's own are added, so nothing that a client lists in `Connection` can remove them:
 * `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`, `Forwarded` (RFC 7239), `Via` (a gateway must: RFC 9110 section 7.6.3),
 * `Curfew-Request-Id`, `Curfew-Assertion`, mapped claims, and credentials, which replace what the client sent by that name.
 *
 * Without the gateway's cookies, and without `Authorization` if that held the gateway's token, or a scheme that signs in a
 * connection (NTLM, Negotiate): connections to the target are shared by people.
 */
export function towardsTarget(head: RequestHead, facts: ForwardFacts): string[] {
  const { headers } = head
  const result: string[] = []
  const listed = listedInConnection(headers)
  const { names, isLimited } = facts.own
  let cookies = ''
  let via = ''
  for (let index = 0; index < headers.length; index += 2) {
    const lower = headers[index]!.toLowerCase()
    const value = headers[index + 1]!
    const name = canonicalName(lower)
    if (names.has(name) || dropsTowardsTarget(name) || (isLimited && overrides.has(name))) continue
    if (listed !== null && listed.has(lower)) continue
    switch (name) {
      case 'cookie':
        if (name === lower) cookies = cookies === '' ? value : `${cookies}; ${value}`
        continue
      case 'via':
        if (name === lower) via += `${value}, `
        continue
      case 'te':
        if (name === lower && namesTrailers(value)) result.push('TE', 'trailers')
        continue
      case 'authorization':
        if (name !== lower || facts.ownAuthorization || isNotForTarget(value)) continue
    }
    result.push(headers[index]!, value)
  }
  cookies = cleanCookies(cookies)
  if (cookies !== '') result.push('Cookie', cookies)
  addOwn(result, head, facts, via)
  return result
}

function addOwn(result: string[], head: RequestHead, facts: ForwardFacts, via: string): void {
  const { host } = head
  result.push('X-Forwarded-For', facts.client.address, 'X-Forwarded-Proto', 'https')
  result.push('X-Forwarded-Host', host, 'X-Forwarded-Port', portOf(host))
  result.push('Forwarded', `for=${facts.client.node};host="${host}";proto=https`, 'Via', `${via}${head.version} curfew`)
  result.push('Curfew-Request-Id', facts.requestId, 'Curfew-Assertion', facts.assertion)
  for (const text of facts.own.headers) result.push(text)
}

/** To be made once for a connection. */
export function forwardedClient(remoteAddress: string): ForwardedClient {
  const address = plainAddress(remoteAddress)
  return { address, node: isIPv6(address) ? `"[${address}]"` : address }
}

function portOf(host: string): string {
  const colon = host.lastIndexOf(':')
  return colon > host.lastIndexOf(']') ? host.slice(colon + 1) : '443'
}

function isNotForTarget(authorization: string): boolean {
  return /curfew_[\w-]{20}|^\s*(?:bearer\s+curfew_|ntlm\b|negotiate\b)/i.test(authorization)
}

function namesTrailers(te: string): boolean {
  return te.split(',').some((coding) => coding.trim().toLowerCase() === 'trailers')
}

/** Names in `Connection`, lower-case; null for the usual ones, which are dropped anyway. */
function listedInConnection(headers: RawHeaders): ReadonlySet<string> | null {
  let listed: Set<string> | null = null
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    for (const option of headers[index + 1]!.toLowerCase().split(',')) {
      const trimmed = option.trim()
      // Without these a body has no end any more, or a request another one.
      if (trimmed === '' || unlistable.has(trimmed)) continue
      listed ??= new Set()
      listed.add(trimmed)
    }
  }
  return listed
}

const unlistable: ReadonlySet<string> = new Set(['close', 'keep-alive', 'upgrade', 'content-length', 'host', 'te'])

/**
 * Trailers as they are passed on, either way: without what frames, routes, signs in or sets cookies (RFC 9110 section 6.5.1).
 * @param own of requests: some targets join trailers with the headers, so those hold nothing by names of the gateway's, either.
 */
export function forwardTrailers(raw: RawHeaders, own: OwnHeaders | null = null): string[] {
  const result: string[] = []
  for (let index = 0; index < raw.length; index += 2) {
    const name = canonicalName(raw[index]!.toLowerCase())
    const isOurs = own !== null && (own.names.has(name) || (own.isLimited && overrides.has(name)))
    if (!isOurs && !dropsTowardsTarget(name) && !forbiddenTrailer(name)) result.push(raw[index]!, raw[index + 1]!)
  }
  return result
}

// ---- answers

export interface ClientFacts {
  readonly version: RequestHead['version']
  /** What the person typed: `https://app.example.com`, with its port if unusual. */
  readonly publicOrigin: string
  /** Places that are the target's own, lower-case `host:port`: see `targetPlaces`. */
  readonly targetPlaces: ReadonlySet<string>
}

/** The names under which a target knows itself: its addresses, and the public host, which it may believe to be plain HTTP. */
export function targetPlaces(
  addresses: readonly { readonly host: string; readonly port: number }[],
  publicOrigin: string,
): ReadonlySet<string> {
  const own = addresses.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`.toLowerCase())
  const { hostname, port } = new URL(publicOrigin)
  return new Set([...own, `${hostname}:80`, `${hostname}:${port || 443}`])
}

/**
 * The headers of an answer (or of informational ones) as the client gets them: without what belongs to the hop and without
 * what reaches beyond the application's own host, where a sibling lives:
 * - cookies lose `Domain` and stay at their host, as one application must not set another's (a script can still do it in the
 *   browser, with `document.cookie`); cookies by the gateway's names are dropped
 * - `Clear-Site-Data` keeps its hands off cookies, which it would clear for the whole domain
 * - `Strict-Transport-Security` loses `includeSubDomains` and `preload`
 * - `Alt-Svc` (the way past the gateway), key pins, `Curfew-*`, `WWW-Authenticate` with NTLM or Negotiate (they sign in a
 *   connection, and those are shared) and the target's `Access-Control-*` are dropped, as the gateway decides about other
 *   origins; `Access-Control-Expose-Headers` stays.
 * A `Location` that names the target's own address is rewritten to the public origin. For HTTP/2 all names are lower-case.
 */
export function towardsClient(raw: RawHeaders, facts: ClientFacts): string[] {
  const result: string[] = []
  const listed = listedInConnection(raw)
  const isHttp2 = facts.version === '2'
  for (let index = 0; index < raw.length; index += 2) {
    const lower = raw[index]!.toLowerCase()
    if (hopByHop.has(lower) || (listed !== null && listed.has(lower))) continue
    const value = answerValue(lower, raw[index + 1]!, facts)
    if (value !== null) result.push(isHttp2 ? lower : raw[index]!, value)
  }
  return result
}

/** Null: left out. */
function answerValue(name: string, value: string, facts: ClientFacts): string | null {
  switch (name) {
    case 'set-cookie':
      return isOwnCookie(value.split(';', 1)[0]!) ? null : withoutDomain(value)
    case 'location':
    case 'content-location':
      return publicLocation(value, facts)
    case 'strict-transport-security':
      return without(value, ';', (part) => part === 'includesubdomains' || part === 'preload')
    case 'clear-site-data':
      return withoutCookieClearing(value)
    case 'www-authenticate':
      return without(value, ',', (part) => /^(?:ntlm|negotiate)\b/.test(part))
    case 'alt-svc':
    case 'public-key-pins':
    case 'public-key-pins-report-only':
    case 'access-control-allow-origin':
    case 'access-control-allow-credentials':
    case 'access-control-allow-methods':
    case 'access-control-allow-headers':
    case 'access-control-allow-private-network':
    case 'access-control-max-age':
      return null
    default:
      return name.startsWith('curfew-') ? null : value
  }
}

function without(value: string, separator: string, isUnwanted: (part: string) => boolean): string | null {
  const parts = value.split(separator)
  const kept = parts.filter((part) => !isUnwanted(part.trim().toLowerCase()))
  return kept.length === parts.length ? value : kept.length === 0 ? null : kept.join(separator).trim()
}

function withoutCookieClearing(value: string): string | null {
  const types = value.split(',').map((type) => type.trim())
  const kept = types.flatMap((type) => (type === '"*"' ? ['"cache"', '"storage"'] : type === '"cookies"' ? [] : [type]))
  return kept.length === 0 ? null : [...new Set(kept)].join(', ')
}

/** Relative ones are right already. */
function publicLocation(value: string, { publicOrigin, targetPlaces: places }: ClientFacts): string {
  const absolute = /^(https?:)?\/\/([^/?#\\]*)/i.exec(value)
  if (absolute === null) return value
  const scheme = absolute[1]?.toLowerCase()
  const authority = absolute[2]!.toLowerCase()
  const rest = value.slice(absolute[0].length)
  const hasPort = /:\d*$/.test(authority)
  const ports = scheme === 'http:' ? ['80'] : scheme === 'https:' ? ['443'] : ['80', '443']
  const names = hasPort ? [authority] : ports.map((port) => `${authority}:${port}`)
  return names.some((name) => places.has(name)) ? publicOrigin + rest : value
}
