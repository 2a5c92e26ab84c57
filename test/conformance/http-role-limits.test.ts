// Goal: a role that covers some methods and paths opens no others, however they are written.
// Method: a table of tricks against a real target, nginx and gunicorn. What is refused must not arrive; what arrives must be
// what was judged, written so that there is nothing left to resolve.
import { once } from 'node:events'
import { connect } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { headerOf, rawAnswer, statusOf } from '../clients/raw-http.ts'
import { requestRaw } from '../protocols/http/raw-http2.ts'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'
import { startNginx } from '../servers/nginx.ts'

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let token: string
const other = 'beta'
const webdav = [
  'location /read/ { alias www/; dav_methods PUT DELETE MKCOL COPY MOVE; create_full_put_path on; }',
  'location /write/ { return 200 "NGINX-WRITE"; }',
  'location / { return 200 "NGINX-ELSEWHERE $uri"; }',
]

beforeAll(async () => {
  const nginx = stack.use(await startNginx({ files: { 'index.html': 'page', secret: 'NGINX-SECRET' }, server: webdav }))
  gateway = stack.use(await startHttpTestGateway({ httpbin: true, others: { [other]: { address: nginx.address } } }))
  for (const resource of ['app', 'bin', other]) await gateway.httpGrant('alice', 'readonly', 3_600_000, resource)
  token = await gateway.token('alice')
})
afterAll(() => stack.disposeAsync())

const raw = (head: string) => rawAnswer(gateway, head)

/** Paths that may not lead to /read/secret, to /write, or to anything but /read. */
const tricks = [
  ...[
    '/write/x',
    '/',
    '/read/../write/x',
    '/read/%2e%2e/write/x',
    '/read/%2E%2E/write',
    '/read/.%2e/write',
    '/read/..;/write/x',
  ],
  ...[
    '/read/..%2fwrite',
    '/read/..%5cwrite',
    '/read/..\\write',
    '/read\\..\\write',
    '/read/%2e%2e%2fwrite',
    '/read/%252e%252e/write',
  ],
  ...[
    '//write/x',
    '/read//../write/x',
    '/read/x/../../write/x',
    '/./write/x',
    '/%77rite/x',
    '/%2577rite/x',
    '/read/;/../write/x',
  ],
  ...[
    '/read/secret/x',
    '/read//secret/x',
    '/read/./secret/x',
    '/read/%73ecret/x',
    '/read/s%65cret/',
    '/read/secret',
    '/read/secret;a=b/x',
  ],
  ...[
    '/read/x/../secret/x',
    '/read/secret%2fx',
    '/read/%2fsecret',
    '/read/secret%00',
    '/read/%00secret',
    '/read/secret%20',
    '/read/secret.',
  ],
  ...[
    '/read/;x/secret',
    '/read/secret/',
    '/read/secret//',
    '/read/secret/.',
    '/read/secret/..',
    '/READ/secret',
    '/Read/x',
    '/read/secret?x',
  ],
  ...[
    '/read/%c0%ae%c0%ae/write',
    '/read/%uff0e%uff0e/write',
    '/read/%e0%80%ae/write',
    '/read/..%c0%af/write',
    '/read/…/write',
  ],
  ...[
    '/read/%2e%2e%3b/write',
    '/read/..%09/write',
    '/read/.%00./write',
    '/read/x%0d%0aX:%20y',
    '/read/x?/../../write',
    '/read/x%3f/../../write',
  ],
  ...[
    '/read/x#/../../write',
    '/read/x%23/../../write',
    '/read/%2e/secret/x',
    '/read/%2e%2e/read/secret/x',
    '/;/read/secret',
    '/read;/secret/x',
  ],
]
const methods = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND', 'MOVE', 'COPY', 'get']
const overriding = [
  ...[
    'X-HTTP-Method-Override: DELETE\n',
    'X-HTTP-Method: PUT\n',
    'X-Method-Override: POST\n',
    'x_http_method_override: PUT\n',
  ],
  ...[
    'X-Original-URL: /write\n',
    'X-Rewrite-URL: /write\n',
    'X-Forwarded-Uri: /write\n',
    'SCRIPT_NAME: /read\n',
    'Script-Name: /read\n',
  ],
  ...[
    'PATH_INFO: /write\n',
    'X-Forwarded-Prefix: /read\n',
    'X-Script-Name: /read\n',
    'Destination: /write/x\n',
    'X-HTTP-Path-Override: /write\n',
  ],
]

async function ask(resource: string, method: string, path: string, more = ''): Promise<string> {
  const head = `Authorization: Bearer ${token}\nCurfew-Role: readonly\nContent-Length: 0\n`
  return raw(`${method} ${path} HTTP/1.1\nHost: ${gateway.appUrl('/', resource).host}\n${head}${more}`)
}

/** As a target that decodes once and resolves dots would read it; and there is nothing left to resolve. */
function isCovered(url: string): boolean {
  const { pathname } = new URL(url, 'http://target.invalid')
  if (pathname !== url.split('?', 1)[0] || pathname.includes('//')) return false
  const decoded = decodeURIComponent(pathname)
    .replaceAll(/;[^/]*/g, '')
    .replaceAll(/\/+/g, '/')
  return decoded.startsWith('/read/') && !/^\/read\/secret(?:\/|$)/.test(decoded) && !decoded.includes('..')
}

test('what is refused never arrives, and what arrives is what was judged', async () => {
  expect(tricks.length).toBeGreaterThan(50)
  const before = gateway.target.facts().requestsSeen
  let passed = 0
  for (const path of tricks) {
    for (const method of path.length % 3 === 0 ? methods : ['GET', 'DELETE']) {
      if (statusOf(await ask('app', method, Buffer.from(path).toString('latin1'))) === 200) passed++
    }
  }
  const seen = gateway.target.seen.slice(before - gateway.target.facts().requestsSeen)
  expect(seen.length).toBe(gateway.target.facts().requestsSeen - before)
  expect(seen.length).toBeLessThanOrEqual(passed + tricks.length)
  for (const { method, url } of seen) {
    expect(['GET', 'HEAD']).toContain(method)
    expect(isCovered(url) ? '' : url).toBe('')
  }
})

test('over HTTP/2, too', async () => {
  const { host } = gateway.appUrl()
  const fields = (path: string) =>
    [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':authority', host],
      [':path', path],
      ['authorization', `Bearer ${token}`],
      ['curfew-role', 'readonly'],
    ] as const
  const before = gateway.target.facts().requestsSeen
  for (const path of tricks) {
    const socket = connect({
      ...{ host: '127.0.0.1', port: Number(gateway.url.port), ca: gateway.ca },
      servername: 'app.localhost',
      ALPNProtocols: ['h2'],
    })
    await once(socket, 'secureConnect')
    await requestRaw(socket, fields(path), '')
    socket.destroy()
  }
  const news = gateway.target.facts().requestsSeen - before
  for (const { url } of news === 0 ? [] : gateway.target.seen.slice(-news)) expect(isCovered(url) ? '' : url).toBe('')
})

test('headers that name another method or path do not arrive', async () => {
  for (const more of overriding) {
    const answer = await ask('app', 'GET', '/read/x', more)
    expect(statusOf(answer)).toBe(200)
    expect(answer.toLowerCase()).not.toContain(more.split(':')[0]!.toLowerCase())
  }
})

test('nginx, which decodes, merges and resolves, gives out nothing of what is not covered', async () => {
  expect(await ask(other, 'GET', '/read/index.html')).toContain('page')
  for (const path of tricks) {
    const answer = await ask(other, 'GET', Buffer.from(path).toString('latin1'))
    expect(answer.includes('NGINX-') ? path : '').toBe('')
  }
  for (const method of methods.slice(3)) {
    const answer = await ask(other, method, '/read/index.html', 'Destination: /read/moved\n')
    expect(statusOf(answer)).toBeGreaterThanOrEqual(400)
  }
  expect(await ask(other, 'GET', '/read/index.html')).toContain('page')
})

test('gunicorn, which takes a part of the path from headers, is not led elsewhere', async () => {
  for (const more of overriding) expect(statusOf(await ask('bin', 'GET', '/read/get', more))).toBe(404)
  expect(statusOf(await ask('bin', 'GET', '/get'))).toBe(403)
})

test('pages and problems show what was asked for as text', async () => {
  const path = `/write/%3Cscript%3E'"><img/src=x>`
  const page = await raw(
    `GET ${path} HTTP/1.1\nHost: ${gateway.appUrl().host}\nAccept: text/html\nAuthorization: Bearer ${token}\nCurfew-Role: readonly\n`,
  )
  expect(statusOf(page)).toBe(403)
  expect(page).not.toContain('<img')
  expect(headerOf(page, 'Content-Security-Policy')).toContain("default-src 'none'")
  const problem = await ask('app', 'GET', path)
  expect(headerOf(problem, 'Content-Type')).toBe('application/problem+json')
  expect(headerOf(problem, 'X-Content-Type-Options')).toBe('nosniff')
  expect(JSON.parse(problem.slice(problem.indexOf('\r\n\r\n')))).toMatchObject({ code: 'REQUEST_NOT_COVERED' })
  const unknown = await gateway.curl('/', ['-H', `authorization: Bearer ${token}`, '-H', 'curfew-role: <b>"x'])
  expect(unknown.status).toBe(404)
  expect(unknown.headers['content-type']).toEqual(['application/problem+json'])
})
