// Goal: targets of every kind are reached by the whole product: sockets, private authorities, HTTP/2, client certificates; and
// when one of several addresses dies, people notice nothing. Method: the real curl, a target of each kind, and nginx.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'
import { startHttpTarget, type HttpTarget } from '../servers/http-target.ts'
import type { Echo } from '../servers/http-target-answers.ts'
import { startNginx } from '../servers/nginx.ts'

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let bearer: readonly string[]
let second: HttpTarget
const kinds = ['socket', 'tls', 'h2', 'h2tls', 'h2socket', 'certificate', 'nginx', 'stranger', 'nobody'] as const

beforeAll(async () => {
  const start = async (options: Parameters<typeof startHttpTarget>[0]) => stack.use(await startHttpTarget(options))
  const [socket, tls, h2, h2tls, h2socket, certificate] = await Promise.all([
    start({ unix: true }),
    start({ tls: true }),
    start({ version: 'http2' }),
    start({ version: 'http2', tls: true }),
    start({ version: 'http2', unix: true }),
    start({ tls: 'client-certificate' }),
  ])
  second = await start({})
  const nginx = stack.use(await startNginx({ server: ['client_max_body_size 1k;'] }))
  const shown = await certificate.clientCertificate()
  const ca = ({ caFile }: HttpTarget) => ({ tls: { ca: caFile } })
  const role = { credentials: { certificate: { certificate: 'client.pem', key: 'file:secrets/client.key' } } }
  gateway = stack.use(
    await startHttpTestGateway({
      moreTargets: [second],
      app: { health: { path: '/hello', every: '1s', timeout: '500ms' } },
      others: {
        socket: { address: socket.address },
        tls: { address: tls.address, ...ca(tls) },
        h2: { address: h2.address, version: 'http2' },
        h2tls: { address: h2tls.address, version: 'http2', ...ca(h2tls) },
        h2socket: { address: h2socket.address, version: 'http2' },
        certificate: { address: certificate.address, ...ca(certificate), roles: { open: role, mapped: {}, asked: {} } },
        nginx: { address: nginx.address },
        stranger: { address: tls.address, ...ca(h2tls) },
        nobody: { address: 'http://127.0.0.1:1' },
      },
      beforeLoad: async (folder) => {
        await writeFile(join(folder, 'client.pem'), shown.certificate)
        await writeFile(join(folder, 'secrets', 'client.key'), shown.key, { mode: 0o600 })
      },
    }),
  )
  for (const resource of ['app', ...kinds]) await gateway.httpGrant('alice', 'open', undefined, resource)
  await gateway.httpGrant('alice', 'mapped', undefined, 'certificate')
  bearer = lines(await gateway.bearer('alice', 'open'))
}, 60_000)
afterAll(() => stack.disposeAsync())

const lines = (headers: Readonly<Record<string, string>>) =>
  Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
const ask = (kind: (typeof kinds)[number] | 'app', path: string, ...args: readonly string[]) =>
  gateway.curl(gateway.appUrl(path, kind), [...bearer, ...args])

test.each([
  ['socket', '1.1'],
  ['tls', '1.1'],
  ['h2', '2.0'],
  ['h2tls', '2.0'],
  ['h2socket', '2.0'],
  ['certificate', '1.1'],
] as const)('%s is reached, and spoken to in HTTP/%s', async (kind, httpVersion) => {
  const echo = JSON.parse((await ask(kind, '/echo?q=1', '-d', 'a body')).body) as Echo
  expect(echo).toMatchObject({ method: 'POST', url: '/echo?q=1', httpVersion, body: 'a body' })
  expect(echo.clientCertificate).toBe(kind === 'certificate' ? 'curfew' : null)
  expect(await ask(kind, '/bytes?n=3000000', '-o', '/dev/null')).toMatchObject({ status: 200, bytes: 3_000_000 })
  const { body } = await ask(kind, '/trailers', '-D', '-')
  expect(body).toMatch(/x-checksum: abc/i)
})

test('a role without the certificate does not get in by another’s', async () => {
  const mapped = lines(await gateway.bearer('alice', 'mapped'))
  const refused = await gateway.curl(gateway.appUrl('/echo', 'certificate'), mapped)
  expect([refused.status, (JSON.parse(refused.body) as { code: string }).code]).toEqual([
    502,
    expect.stringMatching(/^UPSTREAM_/),
  ])
})

test('who cannot prove who they are, or is not there, is a 502 that says no more than that', async () => {
  for (const [kind, code] of [
    ['stranger', 'UPSTREAM_TLS'],
    ['nobody', 'UPSTREAM_UNREACHABLE'],
  ] as const) {
    const { status, body, headers } = await ask(kind, '/echo')
    expect([status, headers['content-type']]).toEqual([502, ['application/problem+json']])
    expect(JSON.parse(body)).toMatchObject({ code })
    expect(body).not.toMatch(/127\.0\.0\.1|ECONN|localhost:\d+\/echo/)
  }
})

test('what nginx answers before it has read an upload is the answer', async () => {
  const path = join(gateway.folder, 'too-large')
  await writeFile(path, 'x'.repeat(200_000))
  for (const flag of ['--http1.1', '--http2']) {
    const { status, body } = await ask('nginx', '/', flag, '-H', 'expect:', '--data-binary', `@${path}`)
    expect([flag, status, body]).toEqual([flag, 413, expect.stringContaining('nginx')])
  }
})

test('when an address dies its sessions go on at the other', async () => {
  const seenBy = async () => {
    const before = gateway.target.facts().requestsSeen
    const path = `/echo/${before}`
    expect((await ask('app', path)).status).toBe(200)
    return gateway.target.seen.some(({ url }) => url === path) ? gateway.target : second
  }
  const first = await seenBy()
  const other = first === second ? gateway.target : second
  // A session keeps to its address.
  for (let turn = 0; turn < 5; turn++) expect(await seenBy()).toBe(first)
  await first[Symbol.asyncDispose]()
  for (let turn = 0; turn < 10; turn++) expect(await seenBy()).toBe(other)
  expect((await ask('app', '/upload', '-d', 'goes to who is there')).status).toBe(200)
})
