import { connect as connectTls } from 'node:tls'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { Hono } from 'hono'
import { Agent, fetch } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Change } from '../../src/kernel/change.ts'
import type { WebEnv } from '../../src/web/context.ts'
import { securityHeaders } from '../../src/web/guards.ts'
import { Browser } from '../servers/oidc.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'

// Goal: nothing foreign, oversize or unasked changes anything. Method: the real listener with real rooms, spoken to by hand.
let pages: Pages
let erin: SignedIn
let ada: SignedIn
let sam: SignedIn
let olga: SignedIn

beforeAll(async () => {
  pages = await startPages()
  erin = await pages.signIn('erin')
  ada = await pages.signIn('ada')
  sam = await pages.signIn('sam')
  olga = await pages.signIn('olga')
}, 60_000)
afterAll(async () => pages?.[Symbol.asyncDispose]())

/** fetch writes the Host header itself. */
async function statusFor(path: string, host: string): Promise<number | undefined> {
  const sent = request({
    port: pages.url.port,
    host: '127.0.0.1',
    path,
    headers: { host },
    ca: pages.ca,
    agent: false,
    servername: 'localhost',
  })
  sent.end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  answer.resume()
  if (answer.statusCode === 421) expect(answer.headers['content-type']).toBe('application/problem+json')
  return answer.statusCode
}

/** A change whose body comes in two parts, and what happens in between. */
async function slowly(path: string, headers: Record<string, string>, body: string, meanwhile: () => Promise<unknown>) {
  const of = { port: pages.url.port, host: '127.0.0.1', ca: pages.ca, agent: false as const, servername: 'localhost' }
  const known = { host: pages.url.host, origin: pages.url.origin, 'content-length': String(body.length), ...headers }
  const sent = request({ ...of, method: 'POST', path, headers: known })
  sent.write(body.slice(0, 5))
  await pages.stranger().get('/') // the head before it has been looked at
  await meanwhile()
  sent.end(body.slice(5))
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  return { status: answer.statusCode, text: await text(answer) }
}

const ask = { resource: 'staging', role: 'readonly', for: '1h', reason: 'to look' }

async function openRequest(reason: string): Promise<string> {
  const asked = await erin.post('/ask', { resource: 'prod-db', role: 'readonly', for: '1h', reason })
  expect(asked.status).toBe(303)
  return asked.location!.split('/').at(-1)!
}

test('every page carries the strict headers and is not cached', async () => {
  const { headers } = await erin.get('/')
  const policy = headers.get('content-security-policy')!
  expect(policy).toContain("default-src 'none'")
  expect(policy).toContain("frame-ancestors 'none'")
  expect(policy).toContain("form-action 'self'")
  expect(policy).not.toContain('unsafe')
  // on loopback it would reach other people's servers
  expect(headers.get('strict-transport-security')).toBeNull()
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('referrer-policy')).toBe('same-origin')
  expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
  expect(headers.get('cache-control')).toBe('no-store')
})

test('browsers are told to come by TLS only, except on loopback', async () => {
  const answerAt = async (publicUrl: string) => {
    const app = new Hono<WebEnv>().use(securityHeaders({ publicUrl: new URL(publicUrl) })).get('/', (c) => c.text(''))
    return (await app.request('/')).headers.get('strict-transport-security')
  }
  expect(await answerAt('https://gw.example.com')).toMatch(/max-age=\d{8}/)
  expect(await answerAt('https://localhost:8443')).toBeNull()
})

test('no page holds inline script, style or handlers', async () => {
  for (const path of ['/', '/ask', '/approvals', '/sessions', '/recordings', '/sign-ins', '/s', '/signed-out']) {
    const { text } = await erin.get(path)
    expect(text).not.toMatch(/<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]* src=)/)
  }
})

test('the session cookie cannot be read by scripts nor sent by other sites', async () => {
  const started = await pages.stranger().get('/sign-in?to=/approvals')
  expect(started.status).toBe(303)
  const [flow] = started.headers.getSetCookie()
  expect(flow).toMatch(/^__Host-curfew-flow-[\w-]{8}=[^;]+; Path=\/; Max-Age=\d+; Secure; HttpOnly; SameSite=Lax$/)
  const out = await (await pages.signIn('erin')).post('/sign-out')
  expect(out.headers.getSetCookie()[0]).toBe('__Host-curfew=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax')
})

test('sign-ins that were begun in several tabs each get where they wanted, and are one', async () => {
  const jar = new Map<string, string>()
  const browse = async (path: string) => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await pages.stranger().get(path, { cookie })
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      if (value === '') jar.delete(name!)
      else jar.set(name!, value!)
    }
    return answer
  }
  const wanted = ['/approvals', '/sessions', '/recordings']
  const links: string[] = []
  for (const path of wanted) links.push((await browse(`/sign-in?to=${path}`)).location!)
  const provider = new Browser()
  const came: (string | null)[] = []
  const signedIn = async () => (await pages.identity.own.list(erin.person.id)).browserSessions.length
  const before = await signedIn()
  for (const link of links) {
    const { pathname, search } = await provider.signIn(new URL(link), 'erin')
    came.push((await browse(`${pathname}${search}`)).location)
  }
  expect(came).toEqual(wanted)
  expect([...jar.keys()]).toEqual(['__Host-curfew'])
  // So that signing out in one of them leaves nothing behind.
  expect(await signedIn()).toBe(before + 1)

  const { pathname, search } = await new Browser().signIn(new URL((await browse('/sign-in')).location!), 'ada')
  await browse(`${pathname}${search}`)
  // Nor does who signs in over somebody else: applications know the browser by cookies of their own.
  expect(await signedIn()).toBe(before)
  expect((await browse('/')).text).toContain('ada@')

  // Tabs that come back at the same time cannot know of each other; signing out knows of all.
  const twice = [(await browse('/sign-in')).location!, (await browse('/sign-in')).location!]
  const flows = [...jar].filter(([name]) => name.includes('-flow-')).map(([name, value]) => `${name}=${value}`)
  let last = ''
  for (const link of twice) {
    const back = await provider.signIn(new URL(link), 'erin')
    const done = await pages.stranger().get(`${back.pathname}${back.search}`, { cookie: flows.join('; ') })
    last = done.headers
      .getSetCookie()
      .find((line) => line.startsWith('__Host-curfew='))!
      .split(';')[0]!
  }
  expect(await signedIn()).toBe(before + 2)
  await pages.stranger().post('/sign-out', {}, { cookie: last, origin: pages.url.origin })
  expect(await signedIn()).toBe(before)

  // A whole office comes from one address.
  const tabs = []
  for (let tab = 0; tab < 100; tab++) tabs.push((await browse(`/sign-in?to=/${'x'.repeat(1500)}`)).status)
  expect(new Set(tabs)).toEqual(new Set([303]))
  expect([...jar].join('').length).toBeLessThan(16_384)
})

test('signing out voids the cookie and goes on to the provider', async () => {
  const again = await pages.signIn('erin')
  const out = await again.post('/sign-out')
  expect(out.status).toBe(200)
  expect(out.text).toMatch(/http-equiv="refresh" content="0; url=http:\/\/127\.0\.0\.1:\d+\//)
  expect((await again.get('/')).location).toBe('/sign-in')
})

test('a visitor who is not signed in goes to sign in and back; a form is not replayed', async () => {
  const stranger = pages.stranger()
  expect((await stranger.get('/ask?resource=staging&role=readonly')).location).toBe(
    '/sign-in?to=%2Fask%3Fresource%3Dstaging%26role%3Dreadonly',
  )
  const refused = await stranger.post('/ask', ask)
  expect(refused.status).toBe(401)
  expect(refused.text).toContain('SIGN_IN_REQUIRED')
})

test('what somebody wrote in a form that is refused is on the page that says so', async () => {
  const reason = 'half an hour of <thinking>'
  const shown = 'half an hour of &lt;thinking&gt;</textarea>'
  const signedOut = await pages.stranger().post('/ask', { ...ask, reason })
  expect(signedOut).toMatchObject({ status: 401, text: expect.stringContaining(shown) as string })
  const wrong = await erin.post('/ask', { ...ask, reason, ticket: 'x'.repeat(101) })
  expect(wrong).toMatchObject({ status: 422, text: expect.stringContaining(shown) as string })
  const foreign = await erin.post('/ask', { ...ask, reason }, { origin: 'https://evil.example' })
  expect(foreign.text).not.toContain('thinking')
})

test.each([
  ['another origin', { origin: 'https://evil.example' }],
  ['an opaque origin', { origin: 'null' }],
  ['no origin at all', {}],
  ['another site, as the browser says', { 'sec-fetch-site': 'cross-site' }],
  ['a sibling domain', { 'sec-fetch-site': 'same-site' }],
])('a form from %s is refused', async (_, headers) => {
  const before = (await pages.access.requestsOf(erin.person, 100)).length
  const refused = await erin.post('/ask', ask, headers)
  expect(refused.status).toBe(403)
  expect(refused.text).toContain('ORIGIN_REFUSED')
  expect((await pages.access.requestsOf(erin.person, 100)).length).toBe(before)
})

test('a form from our own page passes by either header', async () => {
  expect((await erin.post('/ask', ask, { 'sec-fetch-site': 'same-origin' })).status).toBe(303)
  expect((await erin.post('/ask', ask, { origin: pages.url.origin })).status).toBe(303)
})

test('a request for another host is refused, whatever the path but the health check', async () => {
  expect(await statusFor('/', 'evil.example')).toBe(421)
  expect(await statusFor('/.well-known/curfew/keys.json', 'localhost')).toBe(421)
  expect(await statusFor('/.well-known/curfew/keys.json', pages.url.host)).toBe(200)
  expect(await statusFor('/healthz', '10.0.0.1')).toBe(200)
})

test('a body above 64 KiB is refused', async () => {
  const refused = await erin.post('/ask', { ...ask, reason: 'x'.repeat(70_000) })
  expect(refused.status).toBe(413)
  const long = await erin.post('/ask', { ...ask, reason: 'x'.repeat(2000) })
  expect(long.status).toBe(422)
})

test('headers above 32 KiB are refused, over HTTP/1.1 and HTTP/2', async () => {
  const long = { 'x-long': 'x'.repeat(40_000) }
  const cause = await erin.get('/', long).catch((error: Error) => error.cause)
  expect(cause).toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR' })
  const http1 = new Agent({ allowH2: false, connect: { ca: pages.ca } })
  const refused = await fetch(pages.url, { headers: long, dispatcher: http1 })
  expect(refused.status).toBe(431)
  await http1.close()
})

test('GET and HEAD change nothing, on any address', async () => {
  const wish = await openRequest('walk')
  const [grant] = await pages.access.livingGrants(erin.person.id)
  const signIn = await pages.identity.inBand.begin({
    purpose: 'postgres',
    address: '127.0.0.1',
    application: 'psql',
    resource: 'prod-db',
    role: 'readonly',
    secretHash: null,
  })
  const admission = await pages.openSession(erin.person, 'staging', 'readonly')
  const session = admission.session.id
  const snapshot = async () => ({
    requests: await pages.access.requestsOf(erin.person, 100),
    grants: await pages.state.access.grantsOf(erin.person.id, 100),
    locks: await pages.access.locks(),
    signIn: await pages.identity.inBand.byCode(signIn.code),
    sessions: await pages.state.sessions.sessions({ limit: 100 }),
    own: await pages.identity.own.list(erin.person.id),
    decisions: await pages.state.access.decisionsOn(wish as never),
  })
  const before = await snapshot()
  const query = '?verdict=approve&answer=confirm&comment=x&reason=x&label=x&for=1h&resource=staging&role=readonly'
  const paths = [
    ...['/', '/ask', `/requests/${wish}`, `/requests/${wish}/cancel`, '/approvals', `/approvals/${wish}`],
    ...[`/grants/${grant!.id}/hand-back`, `/grants/${grant!.id}/revoke`, '/s', `/s/${signIn.code}`],
    ...[`/answered/${signIn.id}`, '/sessions', `/sessions/${session}`, `/sessions/${session}/end`, '/recordings'],
    ...[`/recordings/${session}`, '/sign-ins', '/sign-ins/tokens', '/audit', '/locks', '/sign-out', '/events'],
    ...['/signed-out', '/api/v1/login', '/api/v1/logout', '/api/v1/tokens', '/sign-in/back-channel-logout'],
  ]
  for (const path of paths) {
    for (const who of [erin, ada, olga, sam]) {
      const { status } = await who.get(`${path}${query}`)
      expect(status, path).toBeLessThan(500)
    }
  }
  expect(await snapshot()).toEqual(before)
  expect(admission.cutOff.aborted).toBe(false)
  await admission.end({ by: 'client', bytesFromClient: 0, bytesFromTarget: 0 })
})

test('HEAD opens no stream of changes: only streams that somebody reads count', async () => {
  const stream = new URL('/events?topic=locks', pages.url)
  const over = new Agent({ connect: { ca: pages.ca } })
  const look = (method: string, signal?: AbortSignal) =>
    fetch(stream, { method, headers: { cookie: erin.cookie }, dispatcher: over, signal: signal ?? null })
  const heads = await Promise.all(Array.from({ length: 16 }, () => look('HEAD')))
  expect(new Set(heads.map(({ status }) => status))).toEqual(new Set([200]))
  const leaving = new AbortController()
  expect((await look('GET', leaving.signal)).status).toBe(200)
  leaving.abort()
  await over.destroy()
})

test("a page of one's own looks again for sessions of one's own, an operator's for all", async () => {
  const over = new Agent({ connect: { ca: pages.ca } })
  const leaving = new AbortController()
  const follow = async (who: SignedIn, topic: string) => {
    const { body } = await fetch(new URL(`/events?topic=${topic}`, pages.url), {
      ...{ headers: { cookie: who.cookie }, dispatcher: over, signal: leaving.signal },
    })
    const heard = { text: '' }
    void (async () => {
      for await (const chunk of body!.pipeThrough(new TextDecoderStream())) heard.text += chunk
    })().catch(() => undefined) // it is left at the end
    await expect.poll(() => heard.text).toContain('event: hello')
    return () => heard.text.split('event: changed').length - 1
  }
  const own = [await follow(erin, 'access'), await follow(erin, 'sessions')]
  const all = await follow(olga, 'sessions')
  const tell = (change: Pick<Extract<Change, { kind: 'session-opened' }>, 'person'>) =>
    pages.state.sessions.transact((tx) =>
      tx.announce({ kind: 'session-opened', session: 'session-elsewhere', ...change }),
    )
  await tell({ person: ada.person.id })
  await expect.poll(all).toBe(1)
  await tell({ person: erin.person.id })
  await expect.poll(all).toBe(2)
  for (const one of own) await expect.poll(one).toBe(1)
  // As older gateways wrote it.
  await tell({})
  await expect.poll(all).toBe(3)
  for (const one of own) await expect.poll(one).toBe(2)
  leaving.abort()
  await over.destroy()
})

test('what fails unforeseen shows a number and no detail; the log has both', async () => {
  const wish = await openRequest('to break')
  const { view } = { view: pages.access.view.bind(pages.access) }
  const broken = async () => {
    throw new Error('the secret inside')
  }
  Object.assign(pages.access, { view: broken })
  const failed = await erin.get(`/requests/${wish}`)
  Object.assign(pages.access, { view })
  expect(failed.status).toBe(500)
  expect(failed.text).not.toContain('the secret inside')
  const id = /web-[a-z2-7]+/.exec(failed.text)?.[0]
  expect(pages.logLines.some((line) => line.includes(id!) && line.includes('the secret inside'))).toBe(true)
})

test('programs get problem+json', async () => {
  const missing = await pages.stranger().json('GET', '/api/v1/me')
  expect(missing.status).toBe(401)
  expect(missing.headers.get('content-type')).toBe('application/problem+json')
  expect(missing.headers.get('www-authenticate')).toBe('Bearer realm="curfew"')
  const wrong = await pages.stranger().json('GET', '/api/v1/me', undefined, { authorization: 'Bearer curfew_x' })
  expect([wrong.status, wrong.headers.get('www-authenticate')]).toEqual([
    ...[401, 'Bearer realm="curfew", error="invalid_token"'],
  ])
  expect(missing.body).toMatchObject({ code: 'SIGN_IN_REQUIRED', status: 401 })
  const unknown = await pages.stranger().json('GET', '/nothing')
  expect(unknown.body).toMatchObject({ code: 'NOT_FOUND', status: 404 })
})

test('a head that has no single meaning gets one, too', async () => {
  const sent = request(new URL('/api/v1/me', pages.url), { method: 'TRACE', ca: pages.ca, agent: false })
  sent.end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  expect([answer.statusCode, answer.headers['content-type'], answer.headers.connection]).toEqual([
    ...[400, 'application/problem+json', 'close'],
  ])
  expect(JSON.parse(await text(answer))).toMatchObject({ code: 'PROTOCOL_VIOLATION', hint: expect.any(String) })
})

test('guessing sign-in codes is slowed down', async () => {
  const statuses = []
  for (let i = 0; i < 25; i++) statuses.push((await sam.get(`/s/AAAA-${String(i).padStart(4, 'B')}`)).status)
  expect(statuses[0]).toBe(410)
  expect(statuses.at(-1)).toBe(429)
})

test('the way back after signing in never leaves the gateway', async () => {
  for (const to of ['https://evil.example/', '//evil.example', '/\\evil.example', '/sign-in?to=/', 'evil']) {
    const started = await pages.stranger().get(`/sign-in?to=${encodeURIComponent(to)}`)
    expect(started.status).toBe(303)
    expect(started.location).not.toContain('evil')
  }
})

test('TLS below 1.2 is refused', async () => {
  const options = { port: Number(pages.url.port), host: '127.0.0.1', ca: pages.ca, servername: 'localhost' }
  const old = connectTls({ ...options, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })
  await expect(once(old, 'secureConnect')).rejects.toThrow()
})

test('a form that comes slowly does nothing for somebody who was signed out meanwhile', async () => {
  const { person, cookie } = await pages.signIn('erin')
  const headers = { cookie, 'content-type': 'application/x-www-form-urlencoded' }
  const form = new URLSearchParams({ label: 'for later', for: '8h', 'scope-sessions': 'yes' }).toString()
  const answer = await slowly('/sign-ins/tokens', headers, form, async () => {
    const [newest] = (await pages.identity.own.list(person.id)).browserSessions
    await pages.identity.own.revoke(person, newest!.id)
  })
  expect(answer).toMatchObject({ status: 401, text: expect.stringContaining('nothing was done') as string })
})

test('nor does a call of the API with a token that was revoked meanwhile', async () => {
  const wish = { label: 'slow', kind: 'cli', lengthMs: 60_000 } as const
  const made = await pages.identity.tokens.make(erin.person, wish)
  const headers = { authorization: `Bearer ${made.text}`, 'content-type': 'application/json' }
  const answer = await slowly('/api/v1/tokens', headers, JSON.stringify({ label: 'for later' }), () =>
    pages.identity.own.revoke(erin.person, made.token.id),
  )
  expect([answer.status, JSON.parse(answer.text)]).toMatchObject([401, { code: 'TOKEN_REFUSED' }])
})
