import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { appReturnTo } from '../../src/identity/app-return.ts'
import type { AppPlace, AppVisitor } from '../../src/identity/apps.ts'
import { appCookieName, wayCookiePrefix } from '../../src/identity/apps.ts'
import { staleCookies } from '../../src/kernel/cookies.ts'
import type { Visitor } from '../../src/identity/identity.ts'
import { codeOf } from '../fault-code.ts'
import { Browser, startProviderFor } from '../servers/oidc.ts'
import type { OidcProvider } from '../servers/oidc.ts'
import { openIdentity, publicUrl } from './open.ts'
import type { Opened } from './open.ts'

// Goal: a sign-in reaches the application that asked for it, in the browser that asked, once, and ends with the browser's
// own. Method: the real state and provider; what browsers keep is a map here.
let provider: OidcProvider
let room: Opened
let erin: Visitor

const wiki: AppPlace = { resource: 'wiki', host: 'wiki.gw.example.test' }
const elsewhere: readonly AppPlace[] = [
  { resource: 'wiki', host: 'other.example.test' },
  { resource: 'grafana', host: 'wiki.gw.example.test' },
  { resource: 'wiki', host: 'wiki.gw.example.test:8443' },
]
const minuteMs = 60_000

beforeAll(async () => {
  provider = await startProviderFor(publicUrl)
  room = await openIdentity(provider.issuer)
  erin = await room.signIn('erin')
})
afterAll(async () => {
  await room[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})

function begin(returnTo = '/') {
  const { state, cookie } = room.identity.apps.begin(wiki, returnTo)
  return { state, jar: new Map([[cookie.name, cookie.value]]), cookie }
}

function enter(jar: ReadonlyMap<string, string>, ticket: string, place = wiki) {
  return room.identity.apps.enter(place, ticket, (name) => jar.get(name))
}

/** The whole way. @returns the application's cookie. */
function cookieOf(visitor: Visitor, role = 'editor', returnTo = '/'): string {
  const { state, jar } = begin(returnTo)
  return enter(jar, room.identity.apps.ticket(visitor, wiki, role, state)).cookie.value
}

const visitorOf = async (cookie: string | undefined, place = wiki): Promise<AppVisitor | undefined> =>
  room.identity.apps.visitor(place, cookie)
const isAtHand = (cookie: string) => !(room.identity.apps.visitor(wiki, cookie) instanceof Promise)

/** Every other text that differs in one character. */
const tampered = (text: string) =>
  Array.from(text).map((one, at) => `${text.slice(0, at)}${one === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`)

test('the way there: a cookie named by the state, a ticket, and a cookie of that host', async () => {
  const { state, jar, cookie } = begin('/pages?id=7')
  expect(cookie).toMatchObject({ name: `__Host-curfew-way-${state.slice(0, 8)}`, maxAgeS: 86_400 })
  const entered = enter(jar, room.identity.apps.ticket(erin, wiki, 'editor', state))
  expect(entered).toMatchObject({ done: cookie.name, returnTo: '/pages?id=7', cookie: { name: appCookieName } })
  expect(entered.cookie.maxAgeS).toBe(Math.floor((erin.browserSession.expiresAt - room.clock.now()) / 1000))
  const { id } = erin.browserSession
  expect(await visitorOf(entered.cookie.value)).toMatchObject({
    identified: { person: erin.person.id, personName: 'erin@example.test', credential: id, browserSession: id },
    person: { email: 'erin@example.test', groups: ['engineering'] },
    role: 'editor',
  })
  expect((await visitorOf(cookieOf(erin)))?.entry).not.toBe((await visitorOf(entered.cookie.value))?.entry)
})

test('a ticket works once, for a minute, at its place, in the browser that asked', () => {
  const { state, jar } = begin()
  const ticket = room.identity.apps.ticket(erin, wiki, 'editor', state)
  for (const place of elsewhere) expect(codeOf(() => enter(jar, ticket, place))).toBe('SIGN_IN_FAILED')
  expect(codeOf(() => enter(new Map(), ticket))).toBe('SIGN_IN_FAILED')
  expect(codeOf(() => enter(begin().jar, ticket))).toBe('SIGN_IN_FAILED')
  enter(jar, ticket)
  expect(codeOf(() => enter(jar, ticket))).toBe('SIGN_IN_FAILED')
  const again = room.identity.apps.ticket(erin, wiki, 'editor', state)
  expect(codeOf(() => enter(jar, again))).toBe('SIGN_IN_FAILED')

  const late = begin()
  const lateTicket = room.identity.apps.ticket(erin, wiki, 'editor', late.state)
  room.clock.pass(minuteMs)
  expect(codeOf(() => enter(late.jar, lateTicket))).toBe('SIGN_IN_FAILED')
})

test('a way that somebody else began leads nowhere, also under the right name', () => {
  const theirs = begin()
  const mine = begin()
  const ticket = room.identity.apps.ticket(erin, wiki, 'editor', theirs.state)
  const forged = new Map([[theirs.cookie.name, mine.cookie.value]])
  expect(codeOf(() => enter(forged, ticket))).toBe('SIGN_IN_FAILED')
})

test('a way is over after a day', () => {
  const { state, jar } = begin()
  room.clock.pass(24 * 60 * minuteMs)
  const ticket = room.identity.apps.ticket(erin, wiki, 'editor', state)
  expect(codeOf(() => enter(jar, ticket))).toBe('SIGN_IN_FAILED')
})

test('what was changed anywhere is refused', async () => {
  const visitor = await room.signIn('erin')
  const cookie = cookieOf(visitor)
  for (const changed of tampered(cookie)) expect(room.identity.apps.visitor(wiki, changed)).toBeUndefined()
  for (const changed of [`${cookie}A`, `${cookie}=`, cookie.slice(0, -1), `${cookie} `, '']) {
    expect(room.identity.apps.visitor(wiki, changed)).toBeUndefined()
  }
  const { state, jar, cookie: way } = begin()
  const ticket = room.identity.apps.ticket(visitor, wiki, 'editor', state)
  for (const changed of tampered(ticket)) expect(codeOf(() => enter(jar, changed))).toBe('SIGN_IN_FAILED')
  for (const changed of tampered(way.value)) {
    expect(codeOf(() => enter(new Map([[way.name, changed]]), ticket))).toBe('SIGN_IN_FAILED')
  }
  expect(enter(jar, ticket).returnTo).toBe('/')
})

test('one kind of value does not pass for another', async () => {
  const visitor = await room.signIn('erin')
  const { state, jar, cookie: way } = begin()
  const ticket = room.identity.apps.ticket(visitor, wiki, 'editor', state)
  const cookie = cookieOf(visitor)
  for (const value of [way.value, ticket, visitor.cookie]) {
    expect(room.identity.apps.visitor(wiki, value)).toBeUndefined()
  }
  for (const value of [way.value, cookie]) expect(codeOf(() => enter(jar, value))).toBe('SIGN_IN_FAILED')
})

test('a cookie is worth nothing at another place, also while it is remembered', async () => {
  const cookie = cookieOf(await room.signIn('erin'))
  expect(await visitorOf(cookie)).toBeDefined()
  for (const place of elsewhere) expect(room.identity.apps.visitor(place, cookie)).toBeUndefined()
})

test('a cookie seen lately is known at once; after ten seconds the store is asked again', async () => {
  const cookie = cookieOf(await room.signIn('erin'))
  expect(isAtHand(cookie)).toBe(false)
  const visitor = await visitorOf(cookie)
  expect(room.identity.apps.visitor(wiki, cookie)).toBe(visitor)
  room.clock.pass(9999)
  expect(isAtHand(cookie)).toBe(true)
  room.clock.pass(1)
  expect(isAtHand(cookie)).toBe(false)
})

test('signing out at the gateway ends it, whatever was remembered', async () => {
  const visitor = await room.signIn('erin')
  const cookie = cookieOf(visitor)
  await visitorOf(cookie)
  expect(isAtHand(cookie)).toBe(true)
  await room.identity.browser.signOut(visitor)
  await room.untilChange('signed-out')
  expect(isAtHand(cookie)).toBe(false)
  expect(await visitorOf(cookie)).toBeUndefined()
})

test('a sign-out while the store is asked is not forgotten', async () => {
  const visitor = await room.signIn('erin')
  const cookie = cookieOf(visitor)
  const asked = visitorOf(cookie)
  room.identity.apps.forget(visitor.browserSession.id)
  await asked
  expect(isAtHand(cookie)).toBe(false)
})

test('it ends with the browser session, to the millisecond', async () => {
  const visitor = await room.signIn('erin')
  const cookie = cookieOf(visitor)
  room.clock.pass(visitor.browserSession.expiresAt - room.clock.now() - 1)
  expect(await visitorOf(cookie)).toBeDefined()
  expect(isAtHand(cookie)).toBe(true)
  room.clock.pass(1)
  expect(room.identity.apps.visitor(wiki, cookie)).toBeUndefined()
})

test('somebody whose groups changed is looked up again', async () => {
  const visitor = await room.signIn('ada', new Browser())
  const cookie = cookieOf(visitor)
  await visitorOf(cookie)
  await room.state.identity.transact(async (tx) => {
    await tx.savePerson({ ...visitor.person, groups: [] })
    await tx.announce({ kind: 'person-changed', person: visitor.person.id })
  })
  await room.untilChange('person-changed')
  expect((await visitorOf(cookie))?.person.groups).toEqual([])
})

test.for([
  ['/', '/'],
  ['/a/b?c=%2F#d', '/a/b?c=%2F'],
  ['/a?to=//evil.example', '/a?to=//evil.example'],
  ['/.curfewish', '/.curfewish'],
  ['//evil.example/', '/'],
  ['/\\evil.example', '/'],
  ['/a\\b', '/'],
  ['https://evil.example/', '/'],
  ['evil', '/'],
  ['', '/'],
  ['/a\r\nSet-Cookie: b=c', '/'],
  ['/a\tb', '/'],
  ['/ä', '/'],
  ['/.//evil.example', '/'],
  ['/a/..//evil.example', '/'],
  ['/.curfew', '/'],
  ['/.curfew/enter?ticket=a', '/'],
  ['/x/../.curfew/enter', '/'],
  ['/%2e/.curfew/enter', '/'],
  ['/%2Ecurfew/enter', '/'],
  [`/${'a'.repeat(1999)}`, `/${'a'.repeat(1999)}`],
  [`/${'a'.repeat(2000)}`, '/'],
])('from %j one goes on to %j', ([wanted, expected]) => {
  expect(appReturnTo(wanted!, wiki.host)).toBe(expected)
})

test('whatever comes in, what goes out is a path of that host and fits into a cookie', () => {
  const hostile = fc.string({
    unit: fc.constantFrom('/', '\\', '.', '%', '2', 'e', 'E', '?', '#', '@', ':', '"', '\n', 'a'),
  })
  fc.assert(
    fc.property(hostile, (wanted) => {
      const { cookie } = room.identity.apps.begin(wiki, `/${wanted}`)
      expect(cookie.name.length + cookie.value.length).toBeLessThan(4000)
      const to = appReturnTo(`/${wanted}`, wiki.host)
      const url = new URL(to, `https://${wiki.host}`)
      expect(url.host).toBe(wiki.host)
      expect(`${url.pathname}${url.search}`).toBe(to)
      expect(new URL(url.pathname, 'https://second.example').host).toBe('second.example')
      expect(decodeURIComponent(url.pathname.replaceAll(/%(?!2E)/gi, ''))).not.toMatch(/^\/\.curfew\//i)
    }),
  )
})

test('the longest way fits into a cookie', () => {
  const { cookie } = begin(`/${'"'.repeat(666)}`)
  expect(cookie.name.length + cookie.value.length).toBeLessThan(4000)
})

test('of ways that were left the newest stay, as many as a browser has tabs, and no more than headers may hold', () => {
  const header = (count: number, value: string) =>
    ['a=1', ...Array.from({ length: count }, (_, index) => `__Host-curfew-way-${index}=${value}`), 'b=2'].join('; ')
  expect(staleCookies(header(20, 'x'.repeat(300)), wayCookiePrefix)).toEqual([])
  expect(staleCookies(header(22, 'x'), wayCookiePrefix)).toEqual(['__Host-curfew-way-0', '__Host-curfew-way-1'])
  expect(staleCookies(header(4, 'x'.repeat(4000)), wayCookiePrefix)).toEqual([
    '__Host-curfew-way-0',
    '__Host-curfew-way-1',
  ])
  expect(staleCookies('__Host-curfew-way-1=x', wayCookiePrefix)).toEqual([])
  expect(staleCookies(undefined, wayCookiePrefix)).toEqual([])
})
