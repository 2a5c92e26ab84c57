// Goal: the recording says what curl did: method, URL, status, sizes, times, chosen headers, and no secret; bodies where the
// role asks for them and nowhere else. Method: the real curl, the recording read, and verified and replayed by the command line.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { recordedHttp, type RecordedHttp } from '../clients/http-recorded.ts'
import { Program } from '../clients/program.ts'
import { startHttpTestGateway, type HttpTestGateway, type HttpTestRole } from '../servers/http-gateway.ts'

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
const secret = 'do-not-write-this-down'

beforeAll(async () => {
  gateway = stack.use(
    await startHttpTestGateway({ app: { recordHeaders: ['X-Chosen'], maskQuery: ['mask-me', 'set'] } }),
  )
}, 60_000)
afterAll(() => stack.disposeAsync())

/** What a program does in a role; then the access is handed back, and the recording sealed. */
async function recorded(
  role: HttpTestRole,
  work: (curl: (path: string, ...args: string[]) => Promise<unknown>) => Promise<void>,
) {
  const grant = await gateway.httpGrant('alice', role)
  const headers = Object.entries(await gateway.bearer('alice', role)).flatMap(([name, value]) => [
    '-H',
    `${name}: ${value}`,
  ])
  await work((path, ...args) => gateway.curl(path, [...headers, ...args]))
  await gateway.gateway.access.handBack(await gateway.person('alice'), grant.id)
  return recordedHttp(gateway, role)
}

/** As curl takes it. */
async function fileOf(bytes: number): Promise<string> {
  const path = join(gateway.folder, `${bytes}`)
  await writeFile(path, 'y'.repeat(bytes))
  return `@${path}`
}

async function curfew(...args: readonly string[]) {
  await using program = new Program(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), ...args])
  return await program.exited()
}

function expectNoSecret({ everything }: RecordedHttp): void {
  expect(everything).toContain('/hello')
  expect(everything).not.toContain(secret)
  expect(everything).not.toMatch(/curfew_[a-z0-9]{8}|eyJhbGci/i)
}

test('requests as they were, without their secrets; verified and replayed', async () => {
  const session = await recorded('open', async (curl) => {
    await curl(
      '/hello',
      '-A',
      'a test/1.0',
      '-H',
      `cookie: sid=${secret}`,
      '-H',
      'x-chosen: yes',
      '-H',
      `x-other: ${secret}`,
    )
    // The gateway's own token goes elsewhere when the application has a sign-in of its own.
    await curl(`/echo/x?a=1&token=${secret}&mask-me=${secret}&b=2`, '-d', secret, '-u', `x:${secret}`)
    await curl('/bytes?n=2000000', '-o', '/dev/null')
    await curl('/bytes?n=1000', '-I')
    await curl('/status/503')
    await curl(`/cookies?set=${encodeURIComponent(`sid=${secret}`)}`)
    await curl('/trailers')
    await curl('/reset')
    await curl('/upload', '--http1.1', '--data-binary', await fileOf(300_000))
  })
  expect(session.session.end).toMatchObject({ by: 'gate', code: 'GRANT_HANDED_BACK' })
  expect(session.all('q').map(({ n, method, version }) => [n, method, version])).toEqual([
    [1, 'GET', '2'],
    [2, 'POST', '2'],
    [3, 'GET', '2'],
    [4, 'HEAD', '2'],
    [5, 'GET', '2'],
    [6, 'GET', '2'],
    [7, 'GET', '2'],
    [8, 'GET', '2'],
    [9, 'POST', '1.1'],
  ])
  const hello = session.exchange('/hello')
  expect(hello.request.headers).toEqual(
    expect.arrayContaining([
      ['user-agent', 'a test/1.0'],
      ['x-chosen', 'yes'],
    ]),
  )
  expect(hello.request.from).toMatch(/^127\.0\.0\.1:\d+$/)
  expect(hello.request.origin).toBe(gateway.appUrl('/').origin)
  expect(hello.answer).toMatchObject({ status: 200, bytesUp: 0, bytesDown: 6, result: 'ok' })
  expect(hello.answer!.totalMs).toBeGreaterThanOrEqual(hello.answer!.waitMs!)
  expect(session.exchange('/echo/x').request.url).toBe('/echo/x?a=1&token=***&mask-me=***&b=2')
  expect(session.exchange('/echo/x').answer!.bytesUp).toBe(secret.length)
  expect(session.exchange('/bytes?n=2000000').answer).toMatchObject({ bytesDown: 2_000_000 })
  expect(session.exchange('/bytes?n=1000').answer).toMatchObject({ status: 200, bytesDown: 0 })
  expect(session.exchange('/status/503').answer).toMatchObject({ status: 503, result: 'ok' })
  expect(session.exchange('/reset').answer).toMatchObject({
    status: 200,
    result: 'target',
    code: 'UPSTREAM_UNREACHABLE',
  })
  expect(session.exchange('/upload').answer).toMatchObject({ status: 200, bytesUp: 300_000 })
  expect(session.all('bx')).toEqual([])
  expectNoSecret(session)

  expect(await curfew('verify', session.file)).toMatchObject({ status: 0 })
  const { stdout } = await curfew('replay', session.file)
  expect(stdout).toMatch(/GET.*200.*\/hello/)
  expect(stdout).toContain('/echo/x?a=1&token=***')
  const lines = (await curfew('replay', '--json', session.file)).stdout.trimEnd().split('\n')
  const kinds = lines.map((line) => (JSON.parse(line) as { readonly kind: string }).kind)
  expect(kinds).toEqual([...Array.from({ length: 9 }, () => 'exchange'), 'gate'])
})

test('what the role does not cover is in the recording, too', async () => {
  const session = await recorded('readonly', async (curl) => {
    await curl('/read/x')
    await curl('/write/x', '-d', 'x')
  })
  expect(session.exchange('/write/x').answer).toMatchObject({
    status: 403,
    result: 'refused',
    code: 'REQUEST_NOT_COVERED',
  })
  expect((await curfew('replay', session.file)).stdout).toMatch(/POST.*403.*\/write\/x/)
})

test('credentials of the role are in no recording', async () => {
  const session = await recorded('injected', async (curl) => void (await curl('/echo', '-d', 'x')))
  expect(session.everything).toContain('/echo')
  expect(session.everything).not.toMatch(/never-seen-by-people|c2VydmljZTpuZXZl/)
})

test('bodies are recorded where the role says so, of the types that it names, as long as it says', async () => {
  const form = 'a=1&b=%C3%BC'
  const session = await recorded('bodies', async (curl) => {
    await curl('/echo/form', '-d', form)
    await curl('/echo/json', '--json', '{"a":[1,2]}')
    await curl('/bytes?n=5000', '-o', '/dev/null')
    await curl('/echo/long', '--http1.1', '-H', 'content-type: text/plain', '--data-binary', await fileOf(200_000))
    await curl('/gzip?n=1000', '-o', '/dev/null')
  })
  const asked = session.exchange('/echo/form').request
  expect(session.bytes(asked.n, 'up').toString()).toBe(form)
  expect(JSON.parse(session.bytes(asked.n, 'down').toString())).toMatchObject({ body: form })
  expect(session.bytes(session.exchange('/echo/json').request.n, 'up').toString()).toBe('{"a":[1,2]}')
  const binary = session.exchange('/bytes').request.n
  expect(session.bytes(binary, 'down')).toHaveLength(0)
  expect(session.all('bx')).toContainEqual({ n: binary, direction: 'down', why: 'type' })
  const long = session.exchange('/echo/long').request.n
  expect(session.bytes(long, 'up').toString()).toBe('y'.repeat(65_536))
  expect(session.all('bx')).toContainEqual({ n: long, direction: 'up', why: 'longer' })
  expect(await curfew('verify', session.file)).toMatchObject({ status: 0 })
})

test('a role without recording leaves none, and works', async () => {
  const grant = await gateway.httpGrant('alice', 'unrecorded')
  const headers = await gateway.bearer('alice', 'unrecorded')
  const { body } = await gateway.curl(
    '/hello',
    Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
  )
  expect(body).toBe('hello\n')
  await gateway.gateway.access.handBack(await gateway.person('alice'), grant.id)
  const sessions = await gateway.gateway.state.sessions.sessions({ limit: 20 })
  expect(sessions.find(({ session }) => session.role === 'unrecorded')).toMatchObject({ recording: null })
})

test('one byte changed anywhere is found', async () => {
  const session = await recorded('mapped', async (curl) => void (await curl('/hello')))
  const bytes = await readFile(session.file)
  const changed = Buffer.from(bytes)
  changed[Math.floor(bytes.length / 2)]! ^= 1
  const copy = join(gateway.folder, 'changed.curfew')
  await writeFile(copy, changed)
  expect((await curfew('verify', copy)).status).not.toBe(0)
})
