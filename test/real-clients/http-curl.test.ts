// Goal: what curl sends arrives, and what the target answers comes back, over HTTP/1.1 and HTTP/2, whatever its length and pace.
// Method: the real curl through the whole gateway, to the tests' target and to httpbin.
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { curlAnswer } from '../clients/curl.ts'
import { sha256Of } from '../clients/file-hash.ts'
import { thisMachine } from '../clients/visitor.ts'
import { startHttpTestGateway, type Entered, type HttpTestGateway } from '../servers/http-gateway.ts'
import { pattern, type Echo } from '../servers/http-target-answers.ts'

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let alice: Entered
let aliceAtBin: Entered
let folder: string

beforeAll(async () => {
  gateway = stack.use(await startHttpTestGateway({ httpbin: true }))
  folder = await mkdtemp(join(tmpdir(), 'curfew-curl-'))
  stack.defer(() => rm(folder, { recursive: true }))
  await gateway.httpGrant('alice', 'open')
  await gateway.httpGrant('alice', 'open', undefined, 'bin')
  alice = stack.use(await gateway.enter('alice', 'open'))
  aliceAtBin = stack.use(await gateway.enter('alice', 'open', 'bin'))
}, 60_000)
afterAll(() => stack.disposeAsync())

const here = (name: string) => join(folder, name)
const versions = [
  ['1.1', '--http1.1'],
  ['2', '--http2'],
] as const

/** As the page of the application itself, which curl has to say where a browser does by itself. */
function asOwnPage(entered: Entered, resource = 'app'): string[] {
  return [...entered.curl, '-H', `origin: ${gateway.appUrl('/', resource).origin}`]
}

async function upload(bytes: number): Promise<{ readonly path: string; readonly sha256: string }> {
  const path = here(`up-${bytes}`)
  await writeFile(path, randomBytes(bytes))
  return { path, sha256: await sha256Of(path) }
}

describe.each(versions)('HTTP/%s', (version, flag) => {
  const curl = (path: string, ...args: readonly string[]) =>
    gateway.curl(path, [flag, ...asOwnPage(alice), ...args], { waitMsMax: 30_000 })
  const bin = (path: string, ...args: readonly string[]) =>
    gateway.curl(gateway.appUrl(path, 'bin'), [flag, ...asOwnPage(aliceAtBin, 'bin'), ...args])

  test('methods arrive as they are', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'QUERY']) {
      const { status, body, httpVersion } = await curl('/echo/x?a=1&b=%20', '-X', method)
      expect([status, httpVersion]).toEqual([200, version])
      expect(JSON.parse(body)).toMatchObject({ method, url: '/echo/x?a=1&b=%20' })
    }
    expect(await curl('/bytes?n=1000', '-I')).toMatchObject({ status: 200, headers: { 'content-length': ['1000'] } })
    expect(gateway.target.last('/bytes').method).toBe('HEAD')
    await curl('/', '-X', 'OPTIONS', '--request-target', '*')
    expect(gateway.target.seen.at(-1)).toMatchObject({ method: 'OPTIONS', url: '*' })
    expect(await curl('/', '-X', 'TRACE')).toMatchObject({ status: 400 })
  })

  test('bodies of all lengths go up whole, with their length or without', { timeout: 60_000 }, async () => {
    for (const bytes of [0, 1, 65_535, 1_000_000, 20_000_000]) {
      const { path, sha256 } = await upload(bytes)
      const announced = await curl('/upload', '-T', path)
      expect([announced.status, JSON.parse(announced.body)]).toEqual([200, { bytes, sha256 }])
      const { headers } = gateway.target.last('/upload')
      if (bytes > 0) expect([headers['content-length'], headers['transfer-encoding']]).toEqual([`${bytes}`, undefined])
      // Of an empty file this curl would never send the last chunk.
      if (bytes === 0) continue
      const open = await curl('/upload', '-X', 'POST', '-H', 'transfer-encoding: chunked', '-T', path)
      expect([open.status, JSON.parse(open.body)]).toEqual([200, { bytes, sha256 }])
      if (version === '1.1') expect(gateway.target.last('/upload').headers['transfer-encoding']).toBe('chunked')
    }
  })

  test('bodies of all lengths come down whole, with their length or without', { timeout: 60_000 }, async () => {
    for (const bytes of [0, 1, 65_535, 20_000_000]) {
      const expected = here('expected')
      await writeFile(expected, pattern(0, bytes))
      const sha256 = await sha256Of(expected)
      for (const path of [`/bytes?n=${bytes}`, `/drip?n=${bytes}&piece=5000000&everyMs=1`]) {
        const answer = await curl(path, '-o', here('down'))
        expect([answer.status, answer.exit, answer.bytes]).toEqual([200, 0, bytes])
        if (bytes > 0) expect(await sha256Of(here('down'))).toBe(sha256)
        expect(answer.headers['content-length']).toEqual(path.startsWith('/bytes') ? [`${bytes}`] : undefined)
      }
    }
  })

  test('pieces arrive when they are sent: a drip, an event stream, an echo while it is still asked', async () => {
    // The target sends nothing more for a minute, so what is seen was not waited for.
    await using events = gateway.startCurl('/sse?everyMs=60000', [flag, '-N', ...asOwnPage(alice)])
    await events.until(/^data: tick 1$/m)
    await using drip = gateway.startCurl('/drip?n=20&piece=10&everyMs=60000', [flag, '-N', ...asOwnPage(alice)])
    await drip.until(/\n/)
    await using duplex = gateway.startCurl('/duplex', [flag, '-N', '-T', '.', '-X', 'POST', ...asOwnPage(alice)])
    for (const line of ['one', 'two', 'three']) {
      duplex.send(line)
      await duplex.until(new RegExp(`^${line}$`, 'm'))
    }
    duplex.endInput()
    expect(await duplex.exited()).toMatchObject({ status: 0, stdout: 'one\ntwo\nthree\n' })
    events.kill()
    await events.exited()
    await gateway.target.until((_, target) => target.last('/sse').state === 'broken')
    expect((await curl('/sse?everyMs=1&n=50')).body.match(/tick \d+/g)).toHaveLength(50)
  })

  test('a reader that stops holds up the target, and gets the rest when it goes on', { timeout: 60_000 }, async () => {
    const bytes = version === '1.1' ? 300_000_000 : 60_000_000
    const heldBefore = process.memoryUsage().arrayBuffers
    const sentBefore = gateway.target.facts().bytesSent
    const args = [flag, ...asOwnPage(alice), '-o', '/dev/null']
    await using reader = gateway.startCurl(`/bytes?n=${bytes}`, args, { waitMsMax: 40_000 })
    await gateway.target.until(({ bytesSent }) => bytesSent > sentBefore + 1_000_000)
    reader.kill('SIGSTOP')
    const held = await standstill(() => gateway.target.facts().bytesSent)
    // What the system keeps for five sockets, and little of ours.
    expect(held - sentBefore).toBeLessThan(40_000_000)
    expect(process.memoryUsage().arrayBuffers - heldBefore).toBeLessThan(20_000_000)
    reader.kill('SIGCONT')
    expect(await curlAnswer(reader)).toMatchObject({ exit: 0, bytes })
  })

  test('a sender is held up by a target that does not read', { timeout: 60_000 }, async () => {
    const { path } = await upload(60_000_000)
    const heldBefore = process.memoryUsage().arrayBuffers
    await using sender = gateway.startCurl('/upload/unread', [flag, ...asOwnPage(alice), '-T', path, '-H', 'expect:'])
    await gateway.target.until((_, target) => target.seen.at(-1)?.url === '/upload/unread')
    const position = await standstill(() => positionIn(sender.processId, path))
    expect(position).toBeGreaterThan(0)
    expect(position).toBeLessThan(40_000_000)
    expect(process.memoryUsage().arrayBuffers - heldBefore).toBeLessThan(20_000_000)
  })

  test('who sends slowly, piece by piece, is waited for', async () => {
    await using sender = gateway.startCurl('/upload', [flag, ...asOwnPage(alice), '-T', '-', '-X', 'POST'])
    for (const bytes of [4, 8, 12]) {
      sender.send('abc')
      await gateway.target.until((_, target) => target.last('/upload').bodyBytes === bytes)
    }
    sender.endInput()
    expect(JSON.parse((await sender.exited()).stdout)).toMatchObject({ bytes: 12 })
  })

  test('Expect: 100-continue is answered when the body is wanted, and refused before it is sent', async () => {
    const { path, sha256 } = await upload(1_000_001)
    const asks = ['-H', 'Expect: 100-continue', '--expect100-timeout', '25', '-T', path]
    expect(JSON.parse((await curl('/upload', ...asks)).body)).toEqual({ bytes: 1_000_001, sha256 })
    const sent = ['-w', '\nsent %{size_upload}\n']
    const refused = await gateway.curl('/upload', [flag, ...asks, ...sent])
    expect(refused.body).toMatch(/"code":"SIGN_IN_REQUIRED"/)
    if (version === '1.1') expect(refused.body).toMatch(/\nsent 0\n/)
  })

  test('ranges and conditions', async () => {
    const whole = pattern(0, 10_000)
    const part = await curl('/bytes?n=10000', '-r', '100-199', '-o', here('part'))
    expect(part).toMatchObject({ status: 206, headers: { 'content-range': ['bytes 100-199/10000'] } })
    expect(await readFile(here('part'))).toEqual(whole.subarray(100, 200))
    expect((await curl('/bytes?n=10000', '-r', '20000-')).status).toBe(416)
    const etag = '"pattern-10000"'
    const since = 'Sat, 21 Nov 2026 12:00:00 GMT'
    const ask = async (...lines: readonly string[]) =>
      (await curl('/bytes?n=10000', '-o', here('part'), ...lines.flatMap((line) => ['-H', line]))).status
    expect(await ask(`if-none-match: ${etag}`)).toBe(304)
    expect(await ask('if-none-match: "other"')).toBe(200)
    expect(await ask(`if-modified-since: ${since}`)).toBe(304)
    expect(await ask(`if-range: ${etag}`, 'range: bytes=5-9')).toBe(206)
    expect(await ask('if-range: "other"', 'range: bytes=5-9')).toBe(200)
    // As after a download that broke off.
    await writeFile(here('resumed'), whole.subarray(0, 4000))
    await curl('/bytes?n=10000', '-C', '-', '-o', here('resumed'))
    expect(await readFile(here('resumed'))).toEqual(whole)
  })

  test('trailers and early hints come down', async () => {
    const { body, exit } = await curl('/trailers', '-i')
    expect([exit, body]).toEqual([0, expect.stringMatching(/^a body with trailers$/m)])
    const trailed = await curl('/trailers', '-D', here('heads'))
    expect(trailed.exit).toBe(0)
    expect(await readFile(here('heads'), 'utf8')).toMatch(/x-checksum: abc\r\nx-count: 1/i)
    const hinted = (await curl('/early-hints', '-i')).body
    expect(hinted).toMatch(/^HTTP\/\S+ 103.*\r\nlink: <\/style\.css>; rel=preload; as=style\r\n/i)
    expect(hinted).toMatch(/\r\n\r\nHTTP\/\S+ 200[^]*after the hints/)
  })

  test('what is compressed is not touched', async () => {
    const { headers } = await curl('/gzip?n=100000', '-o', here('packed'))
    expect(headers['content-encoding']).toEqual(['gzip'])
    expect((await readFile(here('packed'))).subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]))
    await curl('/gzip?n=100000', '--compressed', '-o', here('unpacked'))
    expect(await readFile(here('unpacked'))).toEqual(pattern(0, 100_000))
    for (const path of ['/gzip', '/deflate', '/brotli']) {
      expect(JSON.parse((await bin(path, '--compressed')).body)).toMatchObject({ method: 'GET' })
    }
  })

  test('every status from 200 to 599 is what it was, with a connection that goes on', async () => {
    const codes = await gateway.curl('/status/[200-599]', [
      ...[flag, ...asOwnPage(alice), '-o', '/dev/null'],
      ...['-w', '%{stderr}%{http_code} %{num_connects}\n'],
    ])
    const got = codes.error.split('\n').map((line) => line.split(' ').map(Number))
    expect(got.map(([status]) => status)).toEqual(Array.from({ length: 400 }, (_, index) => 200 + index))
    expect(got.map(([, connects]) => connects).reduce((sum, one) => sum! + one!, 0)).toBe(1)
  })

  test('long URLs and many headers pass as far as the limits go', async () => {
    // The target itself takes 16 KiB of them all.
    const long = `/echo/${'x'.repeat(10_000)}?${'y'.repeat(1000)}`
    expect(JSON.parse((await curl(long)).body)).toMatchObject({ url: long })
    const over = await curl(`/echo/${'x'.repeat(17_000)}`)
    expect([over.status, JSON.parse(over.body)]).toEqual([413, expect.objectContaining({ code: 'TOO_LARGE' })])
    const big = 'z'.repeat(8000)
    expect((JSON.parse((await curl('/echo', '-H', `x-big: ${big}`)).body) as Echo).headers['x-big']).toBe(big)
    const headers = (count: number) =>
      Array.from({ length: count }, (_, index) => ['-H', `x-header-${index}: ${index}`]).flat()
    const many = JSON.parse((await curl('/echo', ...headers(80))).body) as Echo
    expect(many.headers).toMatchObject({ 'x-header-0': '0', 'x-header-79': '79' })
    expect((await curl('/echo', ...headers(150))).status).not.toBe(200)
    // One request too large is no trouble for the next.
    expect((await curl('/hello')).body).toBe('hello\n')
  })

  test('an answer that breaks off is not taken for a whole one', async () => {
    const broken = await curl('/reset')
    expect(broken.exit).not.toBe(0)
    expect(broken.status).toBe(200)
  })

  test.runIf(version === '2')('httpbin does what it always does', async () => {
    const anything = JSON.parse((await bin('/anything/x?q=1', '-d', 'a=1&a=2&b=%C3%BC')).body)
    expect(anything).toMatchObject({ args: { q: '1' }, form: { a: ['1', '2'], b: 'ü' }, method: 'POST' })
    expect(anything.url).toBe(gateway.appUrl('/anything/x?q=1', 'bin').href)
    await writeFile(here('a file'), 'of text')
    const form = await bin('/post', '-F', `file=@${here('a file')}`, '-F', 'word=blue')
    expect(JSON.parse(form.body)).toMatchObject({ files: { file: 'of text' }, form: { word: 'blue' } })
    expect(JSON.parse((await bin('/patch', '-X', 'PATCH', '--json', '{"x":[1]}')).body)).toMatchObject({
      json: { x: [1] },
    })
    expect((await bin('/stream/20')).body.trimEnd().split('\n')).toHaveLength(20)
    expect(await bin('/range/1024?chunk_size=100', '-r', '0-9')).toMatchObject({ status: 206, body: 'abcdefghij' })
    expect((await bin('/etag/one', '-H', 'if-none-match: "one"')).status).toBe(304)
    expect(await bin('/redirect/5', '-L', '--max-redirs', '5')).toMatchObject({ status: 200 })
    expect(await bin('/absolute-redirect/3', '-L')).toMatchObject({ status: 200 })
    expect(await bin('/stream-bytes/100000?seed=1&chunk_size=999', '-o', here('bytes'))).toMatchObject({
      bytes: 100_000,
    })
    expect(await bin('/drip?duration=0&numbytes=50&delay=0')).toMatchObject({ bytes: 50 })
    expect((await bin('/status/418')).body).toContain('teapot')
    expect((await bin('/image/png', '-o', here('png'))).headers['content-type']).toEqual(['image/png'])
    expect((await readFile(here('png'))).subarray(1, 4).toString()).toBe('PNG')
  })
})

// By node:http2, as curl never has more than a hundred on one.
test('two hundred requests at once over one connection of HTTP/2', async () => {
  const session = connect(gateway.appUrl('/').origin, { ca: gateway.ca, lookup: thisMachine })
  const headers = { cookie: alice.cookie, origin: gateway.appUrl('/').origin }
  const ask = async (index: number) => {
    const stream = session.request({ ':path': `/echo/${index}?and=more`, ':method': 'PUT', ...headers })
    stream.end(`body ${index}`)
    return JSON.parse(await text(stream)) as Echo
  }
  const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => ask(index)))
  for (const [index, answer] of answers.entries()) {
    expect(answer).toMatchObject({ url: `/echo/${index}?and=more`, body: `body ${index}` })
  }
  session.close()
})

test('many requests of curl at once', async () => {
  const args = ['--http2', '-Z', '--parallel-max', '50', ...asOwnPage(alice), '-o', here('echo-#1'), '-w', '']
  expect((await gateway.curl('/echo/[1-100]?and=more', args)).exit).toBe(0)
  for (let index = 1; index <= 100; index++) {
    expect(JSON.parse(await readFile(here(`echo-${index}`), 'utf8'))).toMatchObject({ url: `/echo/${index}?and=more` })
  }
})

test('connections to the target are used again', async () => {
  await gateway.curl('/hello', asOwnPage(alice))
  const { connection } = gateway.target.last('/hello')
  await gateway.curl('/hello', asOwnPage(alice))
  expect(gateway.target.last('/hello').connection).toBe(connection)
})

/** How far a process has read a file. */
async function positionIn(processId: number, path: string): Promise<number> {
  for (const name of await readdir(`/proc/${processId}/fd`)) {
    if ((await readlink(`/proc/${processId}/fd/${name}`).catch(() => '')) !== path) continue
    return Number(/^pos:\s*(\d+)/.exec(await readFile(`/proc/${processId}/fdinfo/${name}`, 'utf8'))![1])
  }
  return 0
}

/** @returns a count that has not grown for a while. */
async function standstill(count: () => number | Promise<number>): Promise<number> {
  for (let last = await count(), still = 0; ;) {
    await sleep(50)
    const now = await count()
    still = now === last ? still + 1 : 0
    if (still === 8) return now
    last = now
  }
}
