import { har as validate } from 'har-validator'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPages, type Pages, type SignedIn } from './harness.ts'
import { type HttpRecorder, origin, recordUsualWork, startHttpRecording, withGrafana } from './http-recording.ts'

// Goal: what was asked for and answered is on the page, found and taken away again. Method: the real pages, without a script.
let pages: Pages
let erin: SignedIn
let sam: SignedIn
let usual: string

beforeAll(async () => {
  pages = await startPages(withGrafana)
  erin = await pages.signIn('erin')
  sam = await pages.signIn('sam')
  usual = await recorded(recordUsualWork)
}, 60_000)
afterAll(async () => pages?.[Symbol.asyncDispose]())

async function recorded(work: (recording: HttpRecorder) => Promise<void> | void): Promise<string> {
  const recording = await startHttpRecording(pages, erin)
  await work(recording)
  await recording.seal()
  return `/recordings/${recording.id}`
}

const unescaped = (text: string) => text.replaceAll('&amp;', '&').replaceAll('&lt;', '<').replaceAll('&quot;', '"')

function requestsOf(text: string) {
  const found = text.matchAll(/class="address" href="([^"]+)"\s*><b>([^<]*)<\/b> ([^<]*)<\/a\s*>/g)
  return [...found].map(([, href, method, url]) => ({ href: unescaped(href!), is: unescaped(`${method} ${url}`) }))
}

async function detail(path: string, is: string) {
  const one = requestsOf((await sam.get(path)).text).find((request) => request.is.startsWith(is))
  return { href: one!.href, ...(await sam.get(one!.href)) }
}

test('the page lists requests with what came of them, and what the gateway said', async () => {
  const { text, status } = await sam.get(usual)
  expect(status).toBe(200)
  for (const words of [
    'Sealed and unchanged',
    'Web, Firefox 144 from 203.0.113.9',
    '/d/orders/shop-orders?orgId=1&amp;from=now-6h&amp;to=now',
    '1.4 MiB',
    'WebSocket · messages: 1 up, 2 down',
    'The gateway refused it. The role viewer does not allow DELETE here.',
    'The gateway said: Your access to grafana as viewer ends in 5 minutes.',
    'closed by the client',
  ])
    expect(text).toContain(words)
  expect(requestsOf(text)).toHaveLength(10)
  expect(text).not.toMatch(/\sstyle=|<script(?! (type="module" )?src=)/)
})

test('requests are found by words and by what came of them', async () => {
  const found = async (search: string) => requestsOf((await sam.get(`${usual}?${search}`)).text).map(({ is }) => is)
  expect(await found('text=WOFF2')).toEqual(['GET /public/fonts/inter/Inter-Regular.woff2'])
  expect(await found('text=grafana.gw.example.com&show=4')).toEqual(['DELETE /api/dashboards/uid/orders'])
  expect(await found('show=failed')).toEqual(['DELETE /api/dashboards/uid/orders', 'GET /api/reports/yearly'])
  expect(await found('show=websockets')).toEqual(['GET /api/live/ws'])
  expect((await found('show=slowest'))[1]).toBe('GET /api/reports/yearly')
  expect((await sam.get(`${usual}?text=nowhere`)).text).toContain('No request in this part of the session matches.')
  expect((await sam.get(`${usual}?text=${'x'.repeat(300)}`)).status).toBe(422)
})

test('one request is shown with headers, times, sizes and bodies; the way back keeps the filter', async () => {
  const { href, text } = await detail(`${usual}?text=query`, 'POST /api/ds/query')
  for (const words of [
    `${origin}/api/ds/query?ds_type=prometheus`,
    '203.0.113.9:50001, HTTP/2',
    '432 ms: waited 412 ms, received for 20 ms',
    '52 B sent, 45 B received',
    '{"queries":[{"expr":"sum(rate(orders_total[5m]))"}]}',
    '{"results":{"A":{"status":200,"frames":[]}}}',
  ])
    expect(unescaped(text)).toContain(words)
  expect(text).toContain(`<a href="${usual}?text=query">Back to the list</a>`)
  const without = new URL(href, pages.url)
  without.searchParams.delete('at')
  expect((await sam.get(`${without.pathname}${without.search}`)).text).toContain('Answer headers')
  expect((await sam.get(`${usual}?request=99`)).status).toBe(404)
})

test('messages of a WebSocket are listed with direction, kind, size and time', async () => {
  const { text } = await detail(usual, 'GET /api/live/ws')
  const [, table = ''] = /<table class="messages">(.*?)<\/table>/s.exec(text) ?? []
  const cells = [...table.matchAll(/<td(?: class="num")?>([^<]*)<\/td>/g)].map(([, cell]) => cell)
  expect(cells.filter((_, index) => index % 4 !== 0)).toEqual([
    ...['↑ to the target', 'text', '214 B'],
    ...['↓ from the target', 'text', '96 B'],
    ...['↓ from the target', 'binary', '68 KiB'],
  ])
  expect(text).toContain('sec-websocket-protocol')
})

test('bodies are downloaded as they passed, and never as what they say they are', async () => {
  const page = gzipSync('<script>alert(1)</script>')
  const path = await recorded((recording) => {
    const n = recording.exchange({ url: '/evil' })
    recording.body({ n, direction: 'down', type: 'text/html', encoding: 'gzip' }, page.subarray(0, 10))
    recording.body({ n, direction: 'down' }, page.subarray(10))
    recording.exchange({ url: '/other' }, {})
    recording.event('bx', { n, direction: 'down', why: 'longer' })
  })
  const { text } = await detail(path, 'GET /evil')
  expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
  expect(text).toContain('Only its beginning was recorded.')
  const href = unescaped(/href="([^"]+\/export\/body[^"]+)"/.exec(text)![1]!)
  const { status, headers } = await sam.get(href)
  expect(status).toBe(200)
  expect(headers.get('content-type')).toBe('application/octet-stream')
  expect(headers.get('content-disposition')).toMatch(/^attachment; filename="session-\w+-1-down\.bin"$/)
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  for (const wrong of [
    '',
    '?request=1',
    '?request=2&direction=down',
    '?request=1&direction=up',
    '?request=x&direction=up',
  ])
    expect((await sam.get(`${path}/export/body${wrong}`)).status, wrong).toBe(404)
})

test('a HAR that a validator accepts, and all events as JSON, are taken away; each is written down', async () => {
  const har = await sam.get(`${usual}/export/har`)
  expect(har.headers.get('content-disposition')).toMatch(/\.har"$/)
  const parsed = JSON.parse(har.text)
  await validate(parsed)
  expect(parsed.log.entries).toHaveLength(10)
  expect(parsed.log.creator).toMatchObject({ name: 'Curfew', version: expect.stringMatching(/^\d+\.\d+\.\d+/) })
  const lines = (await sam.get(`${usual}/export/jsonl`)).text.trimEnd().split('\n')
  expect(JSON.parse(lines[1]!)[1]).toBe('q')
  expect((await sam.get(`${usual}/export/sql`)).status).toBe(404)
  const audit = await sam.get('/audit?type=recording.exported')
  expect(audit.text).toContain('har')
})

test('many requests are shown page by page', async () => {
  const path = await recorded(async (recording) => {
    for (let n = 1; n <= 450; n++) recording.exchange({ url: `/n/${n}` }, { status: n % 100 === 0 ? 500 : 200 })
  })
  const seen: string[] = []
  let next: string | undefined = path
  while (next !== undefined) {
    const { text } = await sam.get(next)
    seen.push(...requestsOf(text).map(({ is }) => is))
    const href: string | undefined = /<p class="next"><a class="btn plain" href="([^"]+)">/.exec(text)?.[1]
    next = href && unescaped(href)
  }
  expect(seen).toEqual(Array.from({ length: 450 }, (_, index) => `GET /n/${index + 1}`))
  expect(requestsOf((await sam.get(`${path}?show=5`)).text).map(({ is }) => is)).toEqual([
    ...['GET /n/100', 'GET /n/200', 'GET /n/300', 'GET /n/400'],
  ])
})

test('the list of recordings counts requests, and shows no address; others see nothing', async () => {
  const { text } = await sam.get('/recordings?resource=grafana')
  expect(text).toContain('>10 requests<')
  expect(text).toContain('>more than 150 requests<')
  expect(text).not.toContain('/api/')
  const ada = await pages.signIn('ada')
  expect((await ada.get(usual)).status).toBe(404)
  expect((await ada.get(`${usual}/export/har`)).status).toBe(404)
})

test('a session that the gateway cut says so where it happened', async () => {
  const recording = await startHttpRecording(pages, erin)
  const n = recording.exchange({ url: '/stream' })
  recording.event('s', { n, status: 200, headers: [['content-type', 'text/event-stream']] })
  const live = await erin.get(`/recordings/${recording.id}`)
  expect(live.text).toContain('data-renew="3"')
  recording.event('m', { kind: 'cut', text: 'Your access to grafana as viewer has ended.', code: 'GRANT_EXPIRED' })
  recording.event('a', {
    ...{ n, status: 200, bytesUp: 0, bytesDown: 9000, totalMs: 60_000 },
    ...{ result: 'gate', code: 'GRANT_EXPIRED', why: 'Your access to grafana as viewer has ended.' },
  })
  await recording.seal()
  const { text } = await erin.get(`/recordings/${recording.id}`)
  expect(text).toContain('<tr class="end">')
  expect(text).toContain('The gateway ended it.')
  expect(text).not.toContain('data-renew="3"')
})
