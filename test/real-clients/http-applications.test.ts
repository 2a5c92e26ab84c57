import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { curl } from '../clients/curl.ts'
import { Program } from '../clients/program.ts'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'
import { startMosquitto } from '../servers/mosquitto.ts'
import { startNginx } from '../servers/nginx.ts'
import { startPrometheus } from '../servers/prometheus.ts'

// Applications that are not ours, behind the whole product. What they say straight is what they must say through it.

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let bearer: readonly string[]
let headers: Readonly<Record<string, string>>

beforeAll(async () => {
  const [prometheus, mosquitto, files] = await Promise.all([
    startPrometheus(),
    startMosquitto(),
    startNginx({
      tls: true,
      files: { 'notes.txt': 'line\n'.repeat(5000) },
      server: ['gzip on;', 'gzip_types text/plain;', 'gzip_proxied any;', 'gzip_http_version 1.0;'],
    }),
  ])
  for (const server of [prometheus, mosquitto, files]) stack.use(server)
  const tls = { ca: join(files.folder, 'ca.pem') }
  gateway = stack.use(
    await startHttpTestGateway({
      httpbin: true,
      domain: 'gw.test',
      others: {
        metrics: { address: prometheus.address },
        messages: { address: mosquitto.address },
        files: { address: files.address, tls, version: 'http2' },
        stranger: { address: files.address },
      },
    }),
  )
  for (const resource of ['bin', 'metrics', 'messages', 'files', 'stranger']) {
    await gateway.httpGrant('alice', 'open', undefined, resource)
  }
  headers = await gateway.bearer('alice', 'open')
  bearer = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
}, 60_000)
afterAll(() => stack.disposeAsync())

/** Of an answer, what does not depend on who carries it. */
async function answerOf(url: URL, args: readonly string[]) {
  const { status, bytes, body, headers: fields } = await curl(gateway.curlPlace, [...args, url.href])
  const named = ['content-type', 'etag', 'content-range', 'content-encoding', 'cache-control', 'last-modified']
  return { status, bytes, body, fields: named.map((name) => fields[name]) }
}

test.each([
  ['/html', []],
  ['/status/418', []],
  ['/image/png', []],
  ['/encoding/utf8', []],
  ['/range/1024', ['-r', '100-199']],
  ['/bytes/5000?seed=7', []],
  ['/stream-bytes/5000?seed=7', []],
  ['/drip?numbytes=5&duration=0.2&delay=0', []],
  ['/etag/abc', ['-H', 'if-none-match: abc']],
  ['/cache', ['-H', 'if-modified-since: Sat, 21 Nov 2026 12:00:00 GMT']],
] as const)('httpbin says the same: %s %s', async (path, args) => {
  const straight = await answerOf(new URL(path, gateway.httpbin.url), args)
  expect(await answerOf(gateway.appUrl(path, 'bin'), [...args, ...bearer])).toEqual(straight)
})

test.each(['PUT', 'PATCH', 'DELETE', 'POST'])('httpbin gets the body of a %s', async (method) => {
  const form = ['-X', method, '--data-urlencode', 'word=blau & grün']
  const { status, body } = await gateway.curl(gateway.appUrl(`/${method.toLowerCase()}`, 'bin'), [...bearer, ...form])
  expect([status, JSON.parse(body)]).toMatchObject([200, { form: { word: 'blau & grün' } }])
})

// Goal: an application with a sign-in of its own keeps it. Method: httpbin's Basic and cookies, with the gateway's token beside it.
test('an application’s own sign-in and cookies go through', async () => {
  const token = ['-H', headers['authorization']!.replace('Bearer ', 'curfew-token: '), '-H', 'curfew-role: open']
  const at = (path: string) => gateway.appUrl(path, 'bin')
  const unknown = await gateway.curl(at('/basic-auth/ada/lovelace'), token)
  expect([unknown.status, unknown.headers['www-authenticate']]).toEqual([401, ['Basic realm="Fake Realm"']])
  const known = await gateway.curl(at('/basic-auth/ada/lovelace'), [...token, '-u', 'ada:lovelace'])
  expect([known.status, JSON.parse(known.body)]).toEqual([200, { authenticated: true, user: 'ada' }])
  const cookies = await gateway.curl(at('/cookies/set?colour=blue'), [...bearer, '-L', '-c', '-', '-b', ''])
  expect(cookies.body).toContain('"colour":"blue"')
})

test('Prometheus in a browser: its page asks, and shows what is so', { timeout: 60_000 }, async () => {
  const page = await gateway.page('alice')
  await page.goto(gateway.appUrl('/graph?g0.expr=up&g0.tab=1', 'metrics').href)
  await page.getByText('job="itself"').first().waitFor()
  expect(new URL(page.url()).hostname).toBe('metrics.gw.test')
  const api = await gateway.curl(gateway.appUrl('/api/v1/query?query=up', 'metrics'), bearer)
  expect(JSON.parse(api.body)).toMatchObject({
    status: 'success',
    data: { result: [{ value: [expect.any(Number), '1'] }] },
  })
})

/** MQTT 3.1.1, client `a`: connect, subscribe to `t`, publish `hello` there. */
const mqtt = {
  connect: Buffer.from([0x10, 13, 0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 60, 0, 1, 0x61]),
  subscribe: Buffer.from([0x82, 6, 0, 1, 0, 1, 0x74, 0]),
  publish: Buffer.from([0x30, 8, 0, 1, 0x74, ...Buffer.from('hello')]),
}

test('MQTT over WebSocket through to Mosquitto, with its subprotocol', async () => {
  const wish = { headers, protocols: ['mqtt'] }
  await using socket = await gateway.webSocket(gateway.appUrl('/mqtt', 'messages'), wish)
  expect(socket.socket.protocol).toBe('mqtt')
  expect(await socket.ask(mqtt.connect)).toEqual(Buffer.from([0x20, 2, 0, 0]))
  expect(await socket.ask(mqtt.subscribe)).toEqual(Buffer.from([0x90, 3, 0, 1, 0]))
  expect(await socket.ask(mqtt.publish)).toEqual(mqtt.publish)
})

// Goal: another WebSocket library gets along, compression offered, and reads why it ends. Method: Python's websockets.
test('Python’s websockets talks, is cut, and reads why', { timeout: 30_000 }, async () => {
  const grant = await gateway.httpGrant('dave', 'open')
  const known = await gateway.bearer('dave', 'open')
  const options = { env: { SSL_CERT_FILE: gateway.caFile, HEADERS: JSON.stringify(known) } }
  const place = [gateway.appUrl('/ws/echo').href.replace('https', 'wss'), String(gateway.url.port)]
  await using python = new Program('/usr/bin/python3', ['-c', pythonClient, ...place], options)
  await python.until(/^said hello$/m)
  const operator = await gateway.person('olga')
  await gateway.gateway.access.revoke(operator, grant.id, 'a test')
  await python.until(/^closed 1008 .+$/m)
  expect(await python.exited()).toMatchObject({ status: 0 })
})

const pythonClient = `
import asyncio, json, os, sys, websockets
async def main():
    url, port = sys.argv[1:]
    headers = json.loads(os.environ['HEADERS'])
    async with websockets.connect(url, host='127.0.0.1', port=int(port), extra_headers=headers) as socket:
        await socket.send('hello')
        print('said', await socket.recv(), flush=True)
        try:
            await socket.recv()
        except websockets.ConnectionClosed as end:
            print('closed', end.code, end.reason, flush=True)
asyncio.run(main())
`

test('nginx over TLS and HTTP/2 behind it: files, ranges, conditions, compression', async () => {
  const at = gateway.appUrl('/notes.txt', 'files')
  const whole = await gateway.curl(at, bearer)
  expect([whole.status, whole.bytes, whole.httpVersion]).toEqual([200, 25_000, '2'])
  const part = await gateway.curl(at, [...bearer, '-r', '24995-'])
  expect([part.status, part.body, part.headers['content-range']]).toEqual([206, 'line\n', ['bytes 24995-24999/25000']])
  const again = await gateway.curl(at, [...bearer, '-H', `if-none-match: ${whole.headers['etag']![0]}`])
  expect([again.status, again.bytes]).toEqual([304, 0])
  const packed = await gateway.curl(at, [...bearer, '--compressed'])
  expect([packed.headers['content-encoding'], packed.body === whole.body]).toEqual([['gzip'], true])
  expect(packed.bytes).toBeLessThan(1000)
})

// Goal: a target whose certificate nobody vouches for gets nothing. Method: the same nginx, without its authority.
test('a target that cannot prove who it is, is not talked to', async () => {
  const answer = await gateway.curl(gateway.appUrl('/notes.txt', 'stranger'), bearer)
  expect([answer.status, answer.headers['content-type']]).toEqual([502, ['application/problem+json']])
  expect(answer.body).not.toContain('line\n')
})
