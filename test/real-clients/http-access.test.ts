// Goal: who may come in and what the target is told of them: cookies, tokens, roles, refusals, identity, credentials.
// Method: the real curl and httpbin, raw clients where curl cannot say it, and jose as the application that verifies.
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:http2'
import { text } from 'node:stream/consumers'
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose'
import { Agent, fetch } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { thisMachine, Visitor } from '../clients/visitor.ts'
import { startHttpTestGateway, type Entered, type HttpTestGateway, type HttpTestRole } from '../servers/http-gateway.ts'
import type { Echo } from '../servers/http-target-answers.ts'

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let alice: Entered

beforeAll(async () => {
  gateway = stack.use(await startHttpTestGateway({ httpbin: true }))
  for (const role of ['open', 'readonly', 'injected', 'mapped'] as const) await gateway.httpGrant('alice', role)
  await gateway.httpGrant('alice', 'open', undefined, 'bin')
  alice = stack.use(await gateway.enter('alice', 'open'))
}, 60_000)
afterAll(() => stack.disposeAsync())

const lines = (headers: Readonly<Record<string, string>>) =>
  Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
const bearer = async (role: HttpTestRole) => lines(await gateway.bearer('alice', role))
const problem = ({ body }: { readonly body: string }) => JSON.parse(body) as Record<string, string>

async function echoed(path: string, ...args: readonly string[]): Promise<Echo> {
  const { status, body } = await gateway.curl(path, args)
  expect(status).toBe(200)
  return JSON.parse(body) as Echo
}

test('programs without a sign-in are told where to get one', async () => {
  const refused = await gateway.curl('/hello', ['-d', 'x=1'])
  expect(refused).toMatchObject({
    status: 401,
    headers: {
      'content-type': ['application/problem+json'],
      'www-authenticate': ['Bearer realm="curfew"'],
      'cache-control': ['no-store'],
      link: [`<${gateway.url.origin}/open/app>; rel="help"`],
    },
  })
  expect(problem(refused)).toMatchObject({
    ...{ type: 'urn:curfew:SIGN_IN_REQUIRED', status: 401, code: 'SIGN_IN_REQUIRED' },
    link: `${gateway.url.origin}/open/app`,
  })
  const wrong = await gateway.curl('/hello', ['-H', 'authorization: Bearer curfew_nothinglikeit'])
  const challenge = ['Bearer realm="curfew", error="invalid_token"']
  expect([wrong.status, wrong.headers['www-authenticate']]).toEqual([401, challenge])
  expect(problem(wrong)['link']).toBe(`${gateway.url.origin}/sign-ins`)
  const page = ['-H', 'accept: text/html', '-H', 'sec-fetch-mode: navigate', '-d', 'x=1']
  const form = await gateway.curl('/hello', page)
  expect([form.status, form.headers['www-authenticate']]).toEqual([401, ['Bearer realm="curfew"']])
  expect(form.body).toContain(`href="${gateway.url.origin}/open/app"`)
  expect(gateway.target.seen.filter(({ url }) => url === '/hello')).toEqual([])
})

test('a token without a grant gets the link to ask, and waits where it says so', async () => {
  const asked = await bearer('asked')
  const refused = await gateway.curl('/hello', asked)
  expect([refused.status, problem(refused)['code']]).toEqual([403, 'NO_GRANT'])
  expect(problem(refused)['link']).toBe(`${gateway.url.origin}/ask?resource=app&role=asked`)
  expect(refused.headers['link']).toEqual([`<${problem(refused)['link']}>; rel="help"`])
  const unknown = await gateway.curl(
    '/hello',
    lines({ ...(await gateway.bearer('alice', 'open')), 'curfew-role': 'nobody' }),
  )
  expect([unknown.status, problem(unknown)['code']]).toEqual([404, 'ROLE_UNKNOWN'])
  const over = await gateway.curl('/hello', [...asked, '-H', 'prefer: wait=1'])
  expect(problem(over)).toMatchObject({ code: 'REQUEST_WAIT_OVER', link: problem(refused)['link'] })

  await using waiting = gateway.startCurl('/hello', ['-v', ...asked, '-H', 'prefer: respond-async, wait=20'])
  await waiting.until(/prefer: respond-async/)
  await gateway.httpGrant('alice', 'asked')
  expect(await waiting.exited()).toMatchObject({ status: 0, stdout: 'hello\n' })
})

test('a role covers what it says and nothing else, however the path is written', async () => {
  const readonly = await bearer('readonly')
  const ask = async (path: string, ...args: readonly string[]) =>
    (await gateway.curl('/', [...readonly, '--path-as-is', ...args, '--request-target', path])).status
  for (const path of ['/read/x', '/read/a/b?c=/read/secret/x', '/read/%73ecrets'])
    expect([path, await ask(path)]).toEqual([path, 200])
  expect(await ask('/read/x', '-I')).toBe(200)
  for (const path of [
    '/',
    '/hello',
    '/read/secret/x',
    '/read/secret',
    '/read/%73ecret/x',
    '//read//secret//x',
    '/read/./secret/x',
    '/read/a/../secret/x',
    '/read/%2e%2e/hello',
    '/read/..%2fhello',
    '/read/..;/hello',
    '/read/secret;v=1/x',
    '/read%5csecret',
    '/READ/x',
  ]) {
    expect([path, await ask(path)]).toEqual([path, 403])
  }
  expect(await ask('/read/x', '-X', 'POST')).toBe(403)
  expect(await ask('/read/x', '-X', 'DELETE')).toBe(403)
  const refused = await gateway.curl('/write/x', [...readonly, '-d', 'x'])
  expect(problem(refused)).toMatchObject({ code: 'REQUEST_NOT_COVERED', status: 403 })
  expect((await echoed('/read/x', ...readonly, '-H', 'x-http-method-override: DELETE')).headers).not.toHaveProperty(
    'x-http-method-override',
  )
  // What the target got is what was judged.
  expect((await echoed('/', ...readonly, '--path-as-is', '--request-target', '/read//a/./b/../%63')).url).toBe(
    '/read/a/c',
  )
})

test('credentials of the role are put in; those of the person do not pass', async () => {
  const { headers } = await echoed('/echo', ...(await bearer('injected')), '-H', 'curfew-token: curfew_x')
  expect(headers['authorization']).toBe(`Basic ${Buffer.from('service:never-seen-by-people').toString('base64')}`)
  expect(JSON.stringify(headers)).not.toMatch(/curfew_/)
  const token = await gateway.token('alice')
  const own = ['-H', `curfew-token: ${token}`, '-H', 'curfew-role: injected', '-u', 'mallory:mine']
  expect((await echoed('/echo', ...own)).headers['authorization']).toBe(headers['authorization'])
})

test('claims are mapped to headers, and what a client sends by those names is not believed', async () => {
  const lies = [
    'x-user',
    'X_User',
    'x-groups',
    'x-forwarded-for',
    'forwarded',
    'x-forwarded-host',
    'x-real-ip',
    'curfew-assertion',
    'curfew-request-id',
    'remote-user',
  ]
  const { headers, rawHeaders } = await echoed(
    '/echo',
    ...(await bearer('mapped')),
    ...lies.flatMap((name) => ['-H', `${name}: mallory`]),
    ...['-H', 'connection: x-user, curfew-assertion, keep-alive'],
  )
  expect(headers).toMatchObject({
    ...{ 'x-user': 'alice@shop.example', 'x-name': 'Alice Chen', 'x-groups': 'engineering', 'x-role': 'mapped' },
    ...{ 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'https', via: expect.stringMatching(/ curfew$/) },
    'x-forwarded-host': gateway.appUrl('/').host,
    forwarded: `for=127.0.0.1;host="${gateway.appUrl('/').host}";proto=https`,
    host: gateway.appUrl('/').host,
  })
  expect(headers['x-id']).toMatch(/^person-/)
  expect(rawHeaders.join('\n')).not.toContain('mallory')
  // The target believes these names whichever role comes; this one says nothing by them.
  const other = await echoed('/echo', ...(await bearer('open')), ...lies.flatMap((name) => ['-H', `${name}: mallory`]))
  expect(other.rawHeaders.join('\n')).not.toContain('mallory')
})

test('the assertion is verified with the published keys, and says who and for whom', async () => {
  const { headers } = await echoed('/echo', ...alice.curl)
  expect(headers['cookie']).toBeUndefined()
  const dispatcher = stack.use(agent())
  const keys = createRemoteJWKSet(new URL('/.well-known/curfew/identity-keys.json', gateway.url), {
    [customFetch]: (url, options) => fetch(url, { ...options, dispatcher }),
  })
  const assertion = String(headers['curfew-assertion'])
  const verify = (audience: string) =>
    jwtVerify(assertion, keys, { issuer: gateway.url.origin, audience, algorithms: ['ES256'] })
  const { payload } = await verify('app')
  expect(payload).toMatchObject({
    ...{ email: 'alice@shop.example', name: 'Alice Chen', groups: ['engineering'], role: 'open' },
    ...{ sub: expect.stringMatching(/^person-/), sid: expect.stringMatching(/^session-/) },
  })
  expect(payload.exp! - payload.iat!).toBeLessThanOrEqual(600)
  await expect(verify('bin')).rejects.toMatchObject({ code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' })
})

function agent(): Agent & AsyncDisposable {
  const made = new Agent({ connect: { ca: gateway.ca, lookup: thisMachine } })
  return Object.assign(made, { [Symbol.asyncDispose]: () => made.close() })
}

test('an application has sign-in and cookies of its own', async () => {
  const bin = gateway.appUrl('/basic-auth/user/right', 'bin')
  await using atBin = await gateway.enter('alice', 'open', 'bin')
  expect((await gateway.curl(bin, [...atBin.curl])).headers['www-authenticate']).toEqual(['Basic realm="Fake Realm"'])
  expect((await gateway.curl(bin, [...atBin.curl, '-u', 'user:wrong'])).status).toBe(401)
  expect(problem(await gateway.curl(bin, [...atBin.curl, '-u', 'user:right']))).toMatchObject({ authenticated: true })
  const token = ['-H', `curfew-token: ${await gateway.token('alice')}`, '-H', 'curfew-role: open']
  expect((await gateway.curl(bin, [...token, '-u', 'user:right'])).status).toBe(200)
  const digest = gateway.appUrl('/digest-auth/auth/user/right', 'bin')
  expect((await gateway.curl(digest, [...token, '--digest', '-u', 'user:right', '-b', ''])).status).toBe(200)
  const theirs = gateway.appUrl('/bearer', 'bin')
  expect(problem(await gateway.curl(theirs, [...token, '-H', 'authorization: Bearer of-their-own']))).toMatchObject({
    token: 'of-their-own',
  })
  const kept = gateway.appUrl('/cookies/set?flavour=oat', 'bin')
  expect(problem(await gateway.curl(kept, [...token, '-L', '-b', '']))).toEqual({ cookies: { flavour: 'oat' } })
})

test('cookies of an answer stay at its host, and pass for nothing of the gateway', async () => {
  const set = [
    'own=1; Path=/x; HttpOnly',
    'wide=2; Domain=localhost; Path=/',
    '__Host-curfew-app=3; Secure; Path=/',
    '__Host-curfew=4; Path=/',
  ]
  const query = set.map((one) => `set=${encodeURIComponent(one)}`).join('&')
  const { headers } = await gateway.curl(`/cookies?${query}`, alice.curl)
  expect(headers['set-cookie']).toEqual(['own=1; Path=/x; HttpOnly', 'wide=2; Path=/'])
  const { headers: sent } = await echoed('/echo', '-H', `cookie: ${alice.cookie}; own=1; __Host-curfew=x; also=2`)
  expect(sent['cookie']).toBe('own=1; also=2')
})

test('the target’s own address in redirects becomes the one that people know', async () => {
  const self = await gateway.curl('/redirect?to=self', alice.curl)
  expect(self).toMatchObject({ status: 302, headers: { location: [gateway.appUrl('/hello').href] } })
  const direct = await gateway.curl(`/redirect?status=307&to=${gateway.target.url.origin}/x%3Fy`, alice.curl)
  expect(direct).toMatchObject({ status: 307, headers: { location: [gateway.appUrl('/x?y').href] } })
  const other = await gateway.curl('/redirect?to=https://elsewhere.example/x', alice.curl)
  expect(other.headers['location']).toEqual(['https://elsewhere.example/x'])
})

test('a page of another application may not use the cookie', async () => {
  const elsewhere = ['-H', `origin: ${gateway.appUrl('/', 'bin').origin}`, '-H', 'sec-fetch-site: same-site']
  const refused = await gateway.curl('/write/x', [...alice.curl, ...elsewhere, '-d', 'x=1'])
  expect([refused.status, problem(refused)['code']]).toEqual([403, 'ORIGIN_REFUSED'])
  expect(problem(refused)['link']).toBe(gateway.appUrl('/').href)
  const silent = await gateway.curl('/write/x', [...alice.curl, '-d', 'x=1'])
  expect([silent.status, problem(silent)['code']]).toEqual([403, 'ORIGIN_REFUSED'])
  const asked = ['-X', 'OPTIONS', '-H', 'access-control-request-method: PUT', ...elsewhere]
  expect((await gateway.curl('/write/x', asked)).status).toBe(403)
})

test('a cookie of one application is none at another', async () => {
  const stolen = await gateway.curl(gateway.appUrl('/get', 'bin'), alice.curl)
  expect([stolen.status, problem(stolen)['code']]).toEqual([401, 'SIGN_IN_REQUIRED'])
})

test('trailers of a request reach the target, over HTTP/1.1 and HTTP/2', async () => {
  const headers = await gateway.bearer('alice', 'mapped')
  const sums = { 'x-checksum': 'abc', 'x-user': 'mallory' }
  const request = httpsRequest(gateway.appUrl('/echo'), {
    ...{ method: 'POST', ca: gateway.ca, lookup: thisMachine },
    headers: { ...headers, trailer: 'x-checksum' },
  })
  request.write('the body')
  request.addTrailers({ ...sums, authorization: 'Basic x' })
  request.end()
  const first = await new Promise<Echo>((resolve, reject) => {
    request.on('error', reject)
    request.on('response', (response) => void text(response).then((body) => resolve(JSON.parse(body) as Echo), reject))
  })
  expect(first).toMatchObject({ body: 'the body', trailers: { 'x-checksum': 'abc' } })
  expect(Object.keys(first.trailers)).toEqual(['x-checksum'])

  const session = connect(gateway.appUrl('/').origin, { ca: gateway.ca, lookup: thisMachine })
  const stream = session.request(
    { ...headers, ':path': '/echo', ':method': 'POST', trailer: 'x-checksum' },
    {
      waitForTrailers: true,
    },
  )
  stream.on('wantTrailers', () => stream.sendTrailers(sums))
  stream.end('the body')
  const second = JSON.parse(await text(stream)) as Echo
  expect(second).toMatchObject({ body: 'the body', trailers: { 'x-checksum': 'abc' } })
  expect(Object.keys(second.trailers)).toEqual(['x-checksum'])
  session.close()
})

test('a person in front of a browser is sent to sign in, and reads a refusal as a page', async () => {
  const page = ['-H', 'accept: text/html', '-H', 'sec-fetch-mode: navigate']
  const away = await gateway.curl('/read/deep?x=1&y=2', page)
  expect(away.status).toBe(303)
  expect(away.headers['location']![0]).toMatch(`${gateway.url.origin}/open/app?state=`)
  expect(away.headers['set-cookie']![0]).toMatch(/^__Host-curfew-way-[\w-]+=.*; Path=\/; .*HttpOnly/)

  await using visitor = new Visitor(gateway.ca)
  await visitor.open(new URL('/sign-in', gateway.url), 'alice')
  const open = new URL((await visitor.get(gateway.appUrl('/read/deep?x=1&y=2'))).headers.get('location')!)
  open.searchParams.set('role', 'readonly')
  const landed = await visitor.open(open, 'alice')
  expect([landed.url.href, landed.status]).toEqual([gateway.appUrl('/read/deep?x=1&y=2').href, 200])
  const refused = await visitor.get(gateway.appUrl('/hello'))
  expect([refused.status, refused.headers.get('content-type')]).toEqual([403, 'text/html; charset=utf-8'])
  expect(await refused.text()).toContain(`href="${gateway.url.origin}/open/app?choose=yes"`)
})
