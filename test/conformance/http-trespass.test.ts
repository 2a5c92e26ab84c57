// Goal: nobody gets further than their sign-in, host and role let them, and the gateway's secrets stay with the gateway.
// Method: the whole gateway with real targets behind; what the attacker wants is looked for where it would do harm: in what
// arrives at a target, in redirects, in recordings and logs.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLog } from '../../src/observability/log.ts'
import { openRecording } from '../../src/recording/reading.ts'
import { headerOf, rawAnswer, statusOf } from '../clients/raw-http.ts'
import { Visitor } from '../clients/visitor.ts'
import { startHttpTestGateway, type Entered, type HttpTestGateway } from '../servers/http-gateway.ts'
import { startHttpTarget } from '../servers/http-target.ts'
import { startPostgres } from '../servers/postgres.ts'

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let open: Entered
let token: string
const logLines: string[] = []
const other = 'beta'

beforeAll(async () => {
  const postgres = stack.use(await startPostgres())
  const neighbour = stack.use(await startHttpTarget())
  const log = createLog({ level: 'debug', destination: { write: (line) => logLines.push(line) } })
  gateway = stack.use(
    await startHttpTestGateway({
      ...{ postgres, httpbin: true, others: { [other]: { address: neighbour.address } } },
      overrides: { log },
    }),
  )
  for (const resource of ['app', 'bin', other]) {
    await gateway.httpGrant('alice', 'open', 3_600_000, resource)
  }
  open = stack.use(await gateway.enter('alice', 'open'))
  token = await gateway.token('alice')
})
afterAll(() => stack.disposeAsync())

const by = (role: string) => ({ authorization: `Bearer ${token}`, 'curfew-role': role })
const curlHeaders = (headers: Readonly<Record<string, string>>) =>
  Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])

const raw = (head: string, servername?: string) => rawAnswer(gateway, head, servername)

describe('hosts', () => {
  const pages = () => gateway.url.host
  const app = () => gateway.appUrl().host

  test.each<[string, () => string, () => string, number]>([
    ['one that nobody has', () => `evil.example:${gateway.url.port}`, () => '/', 421],
    ['one below the domain that nobody has', () => `none.localhost:${gateway.url.port}`, () => '/', 421],
    ['one below an application', () => `x.${app()}`, () => '/', 421],
    ['an application, with a dot behind it', () => `app.localhost.:${gateway.url.port}`, () => '/', 421],
    ['the pages, at another port', () => 'localhost:1', () => '/', 421],
    ['an address', () => `127.0.0.1:${gateway.url.port}`, () => '/', 421],
    ['an application in capitals', () => app().toUpperCase(), () => '/hello', 401],
    ['an application, for a page of ours', () => app(), () => '/requests/x', 401],
    ['an application, for our API', () => app(), () => '/api/v1/me', 401],
    ['with a user in it', () => `curfew@${app()}`, () => '/', 400],
    ['with a user of another host', () => `${app()}@evil.example`, () => '/', 400],
    ['two in one', () => `${app()}, evil.example`, () => '/', 400],
  ])('%s', async (_name, host, path, status) => {
    for (const servername of ['app.localhost', 'localhost', 'nobody.example']) {
      const answer = await raw(`GET ${path()} HTTP/1.1\nHost: ${host()}\n`, servername)
      expect(statusOf(answer)).toBe(status)
    }
  })

  test('what a client says about forwarding is in no link and no redirect, and does not reach the target', async () => {
    const lies = [
      ...['X-Forwarded-Host', 'X-Host', 'X-Original-Host', 'X-HTTP-Host-Override', 'X-Forwarded-Server'],
      ...[
        'X_Forwarded_Host',
        'X-Forwarded-Proto',
        'X-Forwarded-Port',
        'X-Original-URL',
        'X-Rewrite-URL',
        'X-Forwarded-Prefix',
      ],
    ].map((name) => `${name}: evil.example\n`)
    const all = `${lies.join('')}Forwarded: host=evil.example\n`
    for (const host of [pages(), app()]) {
      for (const accept of ['text/html', 'application/json']) {
        for (const path of ['/', '/open/app', '/sign-in', '/.curfew/enter', '/.curfew/enter?ticket=x']) {
          expect(await raw(`GET ${path} HTTP/1.1\nHost: ${host}\nAccept: ${accept}\n${all}`)).not.toContain(
            'evil.example',
          )
        }
      }
    }
    const echoed = await raw(
      `GET /echo HTTP/1.1\nHost: ${app()}\nAuthorization: Bearer ${token}\nCurfew-Role: open\n${all}`,
    )
    expect(statusOf(echoed)).toBe(200)
    expect(echoed).not.toContain('evil.example')
  })
})

describe('the way into an application', () => {
  const cookieName = '__Host-curfew-app'

  /** As far as the ticket. */
  async function ticketOf(visitor: Visitor): Promise<URL> {
    const away = await visitor.get(gateway.appUrl('/hello'))
    const link = new URL(away.headers.get('location')!)
    link.searchParams.set('role', 'open')
    return new URL((await visitor.get(link)).headers.get('location')!)
  }

  async function signedIn(login: 'alice' | 'dave'): Promise<Visitor> {
    const visitor = new Visitor(gateway.ca)
    await visitor.open(new URL('/sign-in', gateway.url), login)
    return visitor
  }

  test('the ticket of somebody else signs nobody in; one’s own does once, at its host', async () => {
    await gateway.httpGrant('dave', 'open')
    await using attacker = await signedIn('dave')
    await using victim = await signedIn('alice')
    const theirs = await ticketOf(attacker)
    await ticketOf(victim)
    const stopped = await victim.get(theirs)
    expect(stopped.status).toBe(400)
    expect(stopped.headers.getSetCookie().join()).not.toContain(cookieName)
    const elsewhereUrl = new URL(theirs)
    elsewhereUrl.hostname = 'bin.localhost'
    expect((await attacker.get(elsewhereUrl)).status).toBe(400)
    expect((await attacker.get(theirs)).status).toBe(303)
    expect((await attacker.get(theirs)).status).toBe(400)
    await using stranger = new Visitor(gateway.ca)
    await using again = await signedIn('dave')
    expect((await stranger.get(await ticketOf(again))).status).toBe(400)
  })

  test('cookies have exactly these flags', async () => {
    await using visitor = await signedIn('alice')
    const away = await visitor.get(gateway.appUrl('/hello'))
    const [way, ...none] = away.headers.getSetCookie()
    expect(none).toEqual([])
    expect(way).toMatch(/^__Host-curfew-way-[\w-]{8}=[\w-]+; Path=\/; Max-Age=86400; Secure; HttpOnly; SameSite=Lax$/)
    const open = new URL(away.headers.get('location')!)
    open.searchParams.set('role', 'open')
    const entering = await visitor.get(new URL((await visitor.get(open)).headers.get('location')!))
    const [cookie, done, ...more] = entering.headers.getSetCookie()
    expect(more).toEqual([])
    expect(cookie).toMatch(/^__Host-curfew-app=[\w-]+; Path=\/; Max-Age=\d+; Secure; HttpOnly; SameSite=Lax$/)
    expect(done).toMatch(/^__Host-curfew-way-[\w-]{8}=; Path=\/; Max-Age=0; Secure; HttpOnly; SameSite=Lax$/)
    expect(entering.headers.get('referrer-policy')).toBe('no-referrer')
  })

  test('a cookie is nothing at another application, under another name, and after the sign-out', async () => {
    const visitor = await signedIn('alice')
    await using closing = visitor
    const landed = await closing.get(await ticketOf(visitor))
    expect(landed.status).toBe(303)
    const cookie = visitor.cookie(gateway.appUrl())
    const at = (path: string, resource: string, text: string) =>
      gateway.curl(gateway.appUrl(path, resource), ['-H', `cookie: ${text}`])
    expect((await at('/hello', 'app', cookie)).status).toBe(200)
    expect((await at('/get', 'bin', cookie)).status).toBe(401)
    expect((await at('/', other, cookie)).status).toBe(401)
    const value = cookie.slice(cookie.indexOf('=') + 1)
    for (const name of [
      '__Host-curfew',
      '__host-curfew-app',
      '__Secure-curfew-app',
      ' \xa0__Host-curfew-app',
      'x; \x0b__Host-curfew-app',
    ]) {
      expect((await at('/hello', 'app', `${name}=${value}`)).status).not.toBe(200)
    }
    expect((await gateway.curl(gateway.url, ['-H', `cookie: __Host-curfew=${value}`])).status).toBe(303)
    expect((await visitor.post(new URL('/sign-out', gateway.url), {})).status).toBeLessThan(400)
    expect((await at('/hello', 'app', cookie)).status).toBe(401)
  })

  test('frames, pictures and what is fetched ahead do not go the way; links do', async () => {
    const alice = await gateway.visitor('alice')
    const cookie = alice.cookie(gateway.url)
    const url = new URL(`/open/app?state=${'A'.repeat(43)}&role=open`, gateway.url)
    const from = (site: string, mode: string, dest: string, more: Readonly<Record<string, string>> = {}) =>
      gateway.curl(
        url,
        curlHeaders({ cookie, 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest, ...more }),
      )
    for (const site of ['same-site', 'cross-site']) {
      expect((await from(site, 'navigate', 'iframe')).status).toBe(403)
      expect((await from(site, 'no-cors', 'image')).status).toBe(403)
      expect((await from(site, 'cors', 'empty')).status).toBe(403)
      expect((await from(site, 'navigate', 'document', { 'sec-purpose': 'prefetch;prerender' })).status).toBe(403)
      expect((await from(site, 'navigate', 'document')).status).toBe(303)
    }
    expect((await from('none', 'navigate', 'document')).status).toBe(303)
  })
})

describe('the gateway’s secrets', () => {
  test('reach no target, however they are spelled', async () => {
    const cookie = open.cookie
    const secrets = [token, cookie.slice(cookie.indexOf('=') + 1)]
    const named = fc.constantFrom('Cookie', 'cookie', 'COOKIE')
    const carrier = fc.oneof(
      fc.tuple(
        named,
        fc.constantFrom(
          `a=1; ${cookie}`,
          `${cookie}; b=2`,
          `;${cookie}`,
          `a="${cookie}"`,
          cookie.replace('__Host', '__host'),
        ),
      ),
      fc.tuple(
        fc.constantFrom('Authorization', 'authorization', 'AUTHORIZATION'),
        fc.constantFrom(
          `bearer ${token}`,
          `Bearer  ${token}`,
          `BEARER\t${token}`,
          `Token ${token}`,
          token,
          `Bearer x, Bearer ${token}`,
        ),
      ),
      fc.tuple(
        fc.constantFrom(
          'Curfew-Token',
          'curfew_token',
          'CURFEW-TOKEN',
          'Curfew.Token',
          'X-Curfew-Token',
          'Curfew_Token',
        ),
        fc.constant(token),
      ),
      fc.tuple(fc.constantFrom('Proxy-Authorization', 'Proxy_Authorization'), fc.constant(`Bearer ${token}`)),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(carrier, { minLength: 1, maxLength: 4 }), async (carried) => {
        const lines = carried.map(([name, value]) => `${name}: ${value}\n`).join('')
        const host = gateway.appUrl().host
        const answer = await raw(`GET /echo HTTP/1.1\nHost: ${host}\nCookie: ${cookie}\n${lines}`)
        const last = gateway.target.seen.at(-1)
        for (const secret of secrets) {
          expect(answer.includes(secret) ? lines : '').toBe('')
          expect(JSON.stringify(last?.rawHeaders ?? []).includes(secret)).toBe(false)
        }
      }),
      { numRuns: 150 },
    )
  })

  test('what only the gateway may say is said by nobody else', async () => {
    const names = ['Curfew-Assertion', 'curfew_assertion', 'CURFEW-ASSERTION', 'Curfew.Assertion', 'Curfew-Request-Id']
    const lines = [
      ...names,
      'X-Forwarded-User',
      'Remote-User',
      'REMOTE_USER',
      'X-Remote-User',
      'X-WEBAUTH-USER',
      'X-Real-IP',
      'Client-Cert',
    ]
      .map((name) => `${name}: forged\n`)
      .join('')
    const head = `GET /echo HTTP/1.1\nHost: ${gateway.appUrl().host}\nAuthorization: Bearer ${token}\nCurfew-Role: open\n`
    for (const more of [lines, `Connection: curfew-assertion, x-forwarded-for\n${lines}`]) {
      const answer = await raw(head + more)
      expect(statusOf(answer)).toBe(200)
      expect(answer).not.toContain('forged')
      expect(gateway.target.last('/echo').headers).toMatchObject({ 'x-forwarded-for': '127.0.0.1' })
      expect(gateway.target.last('/echo').headers['curfew-assertion']).toMatch(/^eyJ/)
    }
  })

  test('are in no recording and no log', async () => {
    await gateway.curl(`/echo?access_token=${token}&x=1`, [...curlHeaders(by('open')), ...open.curl])
    await gateway.curl('/hello', [...open.curl, '-H', `referer: https://x.example/?ticket=${token}`])
    await gateway.curl(`/.curfew/enter?ticket=${token}`)
    await gateway.curl('/.well-known/none', curlHeaders(by('open')))
    const isOnDisk = async () => (await recorded()).includes('/.well-known/none')
    await expect.poll(isOnDisk, { timeout: 5000 }).toBe(true)
    const texts = [await recorded(), logLines.join('')]
    expect(logLines.join('')).toContain('/sign-in')
    for (const text of texts) {
      expect(text.includes(token)).toBe(false)
      expect(text.includes(open.cookie.slice(-100))).toBe(false)
    }
  })

  /** Every event of every recording. */
  async function recorded(): Promise<string> {
    const folder = join(gateway.config.gateway.dataFolder, 'recordings')
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    const lines: string[] = []
    for (const entry of entries.filter((one) => one.isFile())) {
      await using recording = await openRecording(join(entry.parentPath, entry.name))
      lines.push(JSON.stringify(recording.header))
      for await (const event of recording.events()) lines.push(JSON.stringify(event))
    }
    return lines.join('\n')
  }
})

/** Where somebody would like people to land. */
const elsewhere = [
  ...['https://evil.example', 'http://evil.example/', '//evil.example', '///evil.example', '////evil.example/%2e%2e'],
  ...[
    '/\\evil.example',
    '\\\\evil.example',
    '/\\/evil.example',
    '\\/evil.example',
    '/%09/evil.example',
    '/\t/evil.example',
  ],
  ...['/%5cevil.example', '/%2f%2fevil.example', '/.//evil.example', '/..//evil.example', '/x/..//evil.example'],
  ...['/;@evil.example', '@evil.example', '.evil.example', ':443@evil.example', 'evil.example', 'evil.example:443'],
  ...[
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'https:evil.example',
    'https:/evil.example',
  ],
  ...[
    '/%0d%0aLocation:%20https://evil.example',
    '/\r\nLocation: https://evil.example',
    '/\u2028//evil.example',
    '/\0//evil.example',
  ],
  ...['https://localhost.evil.example', 'https://localhost@evil.example', 'https://app.localhost@evil.example/'],
  ...[
    'app.localhost.evil.example',
    'app.localhost@evil.example',
    'app.localhost#@evil.example',
    'app.localhost\\.evil.example',
  ],
  ...[
    'app.localhost:1',
    'app.localhost:443',
    '[::1]',
    'xn--evil.example',
    '%65vil.example',
    'app.localhost/..//evil.example',
    '　evil.example',
  ],
]

/** @throws when a browser would leave the gateway for somewhere that is not its own. */
function expectOurs(location: string | null, at: URL): void {
  if (location === null) return
  const { protocol, hostname, port } = new URL(location, at)
  expect(protocol).toBe(location.startsWith(gateway.provider.issuer.origin) ? 'http:' : 'https:')
  if (new URL(location, at).origin === gateway.provider.issuer.origin) return
  expect(['localhost', 'app.localhost']).toContain(hostname)
  expect(port).toBe(gateway.url.port)
}

describe('redirects', () => {
  test('lead nowhere but to our own hosts, whatever the parameters say', async () => {
    expect(elsewhere.length).toBeGreaterThan(40)
    const alice = await gateway.visitor('alice')
    const state = 'A'.repeat(43)
    for (const evil of elsewhere) {
      const to = (path: string, names: readonly string[], at = gateway.url) => {
        const url = new URL(path, at)
        for (const name of names) url.searchParams.set(name, evil)
        return url
      }
      const urls = [
        to('/sign-in', ['to']),
        to(`/open/app?state=${state}&role=open`, ['host']),
        to('/open/app', ['state', 'host', 'role', 'then', 'returnTo']),
        to(`/ask?resource=app&role=asked&then=${state}`, ['host']),
        to('/requests/none', ['then', 'host']),
        to('/.curfew/enter', ['role', 'returnTo', 'then', 'host'], gateway.appUrl()),
        to('/.curfew/enter', ['ticket', 'returnTo'], gateway.appUrl()),
      ]
      for (const url of urls) {
        const answer = await alice.get(url)
        expectOurs(answer.headers.get('location'), url)
        const links = [...(await answer.text()).matchAll(/(?:href|action|content|src)="([^"]*)"/g)].map(
          ([, link]) => link!,
        )
        for (const link of links.filter((one) => /^(?:[a-z]+:|[/\\]{2})/i.test(one)))
          expectOurs(link.replaceAll('&amp;', '&'), url)
      }
    }
  })

  test('whoever comes back from the pages is at the application’s own host, whatever the path was', async () => {
    const alice = await gateway.visitor('alice')
    const { host } = gateway.appUrl()
    for (const evil of elsewhere.filter((one) => one.startsWith('/'))) {
      const path = evil.replaceAll(/[^!-~]/g, '')
      const away = await raw(`GET ${path} HTTP/1.1\nHost: ${host}\nAccept: text/html\n`)
      const location = headerOf(away, 'Location')
      if (location === undefined) {
        expect(statusOf(away)).toBe(400)
        continue
      }
      const open = new URL(location)
      expect(open.origin).toBe(gateway.url.origin)
      open.searchParams.set('role', 'open')
      const enter = new URL((await alice.get(open)).headers.get('location')!)
      expect(enter.origin).toBe(gateway.appUrl().origin)
      const way = headerOf(away, 'Set-Cookie')!.split(';', 1)[0]!
      const back = await raw(`GET ${enter.pathname}${enter.search} HTTP/1.1\nHost: ${host}\nCookie: ${way}\n`)
      expect(statusOf(back)).toBe(303)
      expectOurs(headerOf(back, 'Location')!, gateway.appUrl())
    }
  })
})
