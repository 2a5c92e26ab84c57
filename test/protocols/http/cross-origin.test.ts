// Goal: only the application's own pages, and those that the resource names, act as the person at it.
// Method: a table of what browsers send in each case, and what they ask before.
import { describe, expect, test } from 'vitest'
import { Fault } from '../../../src/kernel/fault.ts'
import {
  answerPreflight,
  corsHeaders,
  isPreflight,
  judgeOrigin,
  type OriginFacts,
} from '../../../src/protocols/http/cross-origin.ts'

const ownOrigin = 'https://app.example.test'
const sibling = 'https://other.example.test'
const friend = 'https://friend.example.test'
const cors = { origins: [friend], methods: ['PUT'], headers: ['X-Thing', 'authorization'], maxAgeS: 600 }

/** `site mode dest`, as Sec-Fetch-* have them; empty for a browser that sends none. */
function judged(
  method: string,
  fetched: string,
  origin?: string,
  more: Partial<OriginFacts> = {},
  extra: readonly string[] = [],
): string {
  const [site, mode, dest] = fetched.split(' ')
  const headers = [
    ...(site ? ['Sec-Fetch-Site', site, 'Sec-Fetch-Mode', mode!, 'Sec-Fetch-Dest', dest!] : []),
    ...(origin === undefined ? [] : ['Origin', origin]),
    ...extra,
  ]
  const verdict = judgeOrigin({ ...{ method, headers, ownOrigin, byCookie: true, upgrade: false, cors }, ...more })
  return verdict instanceof Fault ? verdict.code : verdict.kind
}
const refused = 'ORIGIN_REFUSED'

describe('by cookie, with Sec-Fetch', () => {
  test.each([
    ['its own fetch', 'POST', 'same-origin cors empty', ownOrigin, 'own'],
    ['its own form under no-referrer', 'POST', 'same-origin navigate document', 'null', 'own'],
    ['its own frame', 'GET', 'same-origin navigate iframe', undefined, 'own'],
    ['the address bar', 'GET', 'none navigate document', undefined, 'own'],
    ['a link at another application', 'GET', 'same-site navigate document', undefined, 'own'],
    ['a link in the web', 'GET', 'cross-site navigate document', undefined, 'own'],
    ['a link, only asked after', 'HEAD', 'cross-site navigate document', undefined, 'own'],
    ['a form of another application', 'POST', 'same-site navigate document', sibling, refused],
    ['a form in the web', 'POST', 'cross-site navigate document', 'https://evil.test', refused],
    ['a form in a sandbox', 'POST', 'cross-site navigate document', 'null', refused],
    ['a form of a friend', 'POST', 'same-site navigate document', friend, 'cors'],
    ['a frame at another application', 'GET', 'same-site navigate iframe', undefined, refused],
    ['an embedded object', 'GET', 'same-site navigate object', undefined, refused],
    ['an old frame', 'GET', 'same-site navigate frame', undefined, refused],
    ['an image at another application', 'GET', 'same-site no-cors image', undefined, refused],
    ['a script at another application', 'GET', 'same-site no-cors script', undefined, refused],
    ['a fetch of another application', 'GET', 'same-site cors empty', sibling, refused],
    ['a blind fetch', 'POST', 'same-site no-cors empty', sibling, refused],
    ['a beacon', 'POST', 'cross-site no-cors empty', 'https://evil.test', refused],
    ['a fetch of a friend', 'GET', 'same-site cors empty', friend, 'cors'],
    ['a change by a friend', 'DELETE', 'cross-site cors empty', friend, 'cors'],
    ['an image at a friend, without crossorigin', 'GET', 'same-site no-cors image', undefined, refused],
    ['its own origin by way of another', 'POST', 'cross-site cors empty', ownOrigin, refused],
    ['a word that is none', 'GET', 'nowhere cors empty', undefined, refused],
    ['a service worker of another', 'GET', 'same-site same-origin serviceworker', undefined, refused],
  ])('%s: %s %s', (_, method, fetched, origin, expected) => {
    expect(judged(method, fetched, origin)).toBe(expected)
  })

  test('nobody clicked on what was fetched ahead', () => {
    const link = 'same-site navigate document'
    expect(judged('GET', link, undefined, {}, ['Sec-Purpose', 'prefetch;prerender'])).toBe(refused)
    expect(judged('GET', link, undefined, {}, ['Purpose', 'prefetch'])).toBe(refused)
    expect(judged('GET', 'same-origin navigate document', undefined, {}, ['Sec-Purpose', 'prefetch'])).toBe('own')
  })

  test('said twice is not said', () => {
    expect(judged('POST', 'same-origin cors empty', undefined, {}, ['Sec-Fetch-Site', 'cross-site'])).toBe(refused)
    expect(judged('POST', 'cross-site cors empty', undefined, {}, ['Sec-Fetch-Site', 'same-origin'])).toBe(refused)
    expect(judged('GET', 'same-origin cors empty', ownOrigin, {}, ['Origin', friend])).toBe(refused)
  })

  test('without a setting nobody is a friend', () => {
    expect(judged('GET', 'same-site cors empty', friend, { cors: null })).toBe(refused)
  })
})

describe('by cookie, without Sec-Fetch', () => {
  test.each([
    ['a page', 'GET', undefined, 'own'],
    ['its own change', 'POST', ownOrigin, 'own'],
    ['a foreign change', 'POST', sibling, refused],
    ['a foreign fetch', 'GET', sibling, refused],
    ['a change by a friend', 'PUT', friend, 'cors'],
    ['a sandbox', 'GET', 'null', refused],
    ['a change by nobody', 'POST', undefined, refused],
    ['a method that nobody knows', 'PROPPATCH', undefined, refused],
    ['the same host without TLS', 'POST', 'http://app.example.test', refused],
    ['a host that begins alike', 'POST', 'https://app.example.test.evil.test', refused],
    ['another port', 'POST', 'https://app.example.test:8443', refused],
  ])('%s: %s from %s', (_, method, origin, expected) => {
    expect(judged(method, '', origin)).toBe(expected)
  })
})

describe('by token', () => {
  test.each([
    ['GET', 'cross-site cors empty', 'https://evil.test', 'own'],
    ['POST', '', undefined, 'own'],
    ['POST', 'cross-site cors empty', friend, 'cors'],
  ])('%s %s from %s', (method, fetched, origin, expected) => {
    expect(judged(method, fetched, origin, { byCookie: false })).toBe(expected)
  })
})

describe('WebSockets', () => {
  test.each([
    ['its own', true, 'same-origin websocket websocket', ownOrigin, 'own'],
    ['its own, without Sec-Fetch', true, '', ownOrigin, 'own'],
    ['another application', true, 'same-site websocket websocket', sibling, refused],
    ['another application, without Sec-Fetch', true, '', sibling, refused],
    ['a friend', true, '', friend, 'cors'],
    ['no origin', true, '', undefined, refused],
    ['no origin, but same-origin', true, 'same-origin websocket websocket', undefined, refused],
    ['a sandbox', true, '', 'null', refused],
    ['a program with a token', false, '', undefined, 'own'],
    ['a foreign page with a token', false, '', sibling, refused],
  ])('%s', (_, byCookie, fetched, origin, expected) => {
    expect(judged('GET', fetched, origin, { byCookie, upgrade: true })).toBe(expected)
  })
})

describe('preflights', () => {
  const asking = (origin: string, method: string, headers?: string) => ({
    method: 'OPTIONS',
    headers: [
      'Origin',
      origin,
      'Access-Control-Request-Method',
      method,
      ...(headers === undefined ? [] : ['access-control-request-headers', headers]),
    ],
  })

  test('are known by what they carry', () => {
    expect(isPreflight(asking(friend, 'PUT'))).toBe(true)
    expect(isPreflight({ ...asking(friend, 'PUT'), method: 'GET' })).toBe(false)
    expect(isPreflight({ method: 'OPTIONS', headers: ['Origin', friend] })).toBe(false)
    expect(isPreflight({ method: 'OPTIONS', headers: ['Access-Control-Request-Method', 'PUT'] })).toBe(false)
  })

  test.each([
    [friend, 'PUT', 'x-thing, Authorization', 204],
    [friend, 'GET', undefined, 204],
    [friend, 'DELETE', undefined, 403],
    [friend, 'put', undefined, 403],
    [friend, 'PUT', 'x-other', 403],
    [sibling, 'GET', undefined, 403],
    ['null', 'GET', undefined, 403],
  ])('%s asks for %s with %s: %i', (origin, method, headers, status) => {
    const answer = answerPreflight(asking(origin, method, headers), cors, ownOrigin)
    expect(answer.status).toBe(status)
    expect(answer.headers).toContain('Vary')
    expect(answer.headers.includes('Access-Control-Allow-Origin')).toBe(status === 204)
  })

  test('the answer says all that is allowed', () => {
    expect(answerPreflight(asking(friend, 'PUT'), cors, ownOrigin).headers).toEqual([
      ...['Access-Control-Allow-Origin', friend, 'Access-Control-Allow-Credentials', 'true'],
      ...['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
      ...['Access-Control-Allow-Methods', 'PUT', 'Access-Control-Allow-Headers', 'X-Thing, authorization'],
      ...['Access-Control-Max-Age', '600'],
    ])
    expect(answerPreflight(asking(friend, 'PUT'), null, ownOrigin).status).toBe(403)
  })

  test('other answers say whose pages may read them, and that it depends on that', () => {
    const from = (origin: string) => corsHeaders({ headers: ['Origin', origin] }, cors)
    expect(from(friend)).toEqual([
      ...['Access-Control-Allow-Origin', friend, 'Access-Control-Allow-Credentials', 'true', 'Vary', 'Origin'],
    ])
    for (const other of [ownOrigin, 'null', `${friend}.evil.test`]) expect(from(other)).toEqual(['Vary', 'Origin'])
    expect(corsHeaders({ headers: [] }, cors)).toEqual(['Vary', 'Origin'])
    expect(corsHeaders({ headers: ['Origin', friend] }, null)).toEqual([])
  })
})
