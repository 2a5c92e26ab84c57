/** HTTP recordings as the gateway writes them, made with the real recorder through the real gate. */
import type { HttpBytes, HttpCode, HttpEvents, HttpHeaders } from '../../src/recording/http-events.ts'
import type { Policy } from '../../src/policy/rules.ts'
import type { HttpResource } from '../../src/resources/catalogue.ts'
import type { Admission } from '../../src/sessions/admission.ts'
import type { More, Pages, SignedIn } from './harness.ts'

const grafana: HttpResource = {
  kind: 'http',
  name: 'grafana',
  description: 'Dashboards of the shop',
  labels: {},
  addresses: [{ text: 'http://127.0.0.1:3000', tls: false, host: '127.0.0.1', port: 3000, socketPath: null }],
  tls: { ca: null, serverName: null },
  version: 'http1',
  hosts: [],
  hostHeader: 'keep',
  health: null,
  cors: null,
  recordHeaders: [],
  maskQuery: [],
  roles: {
    viewer: {
      kind: 'http',
      name: 'viewer',
      description: 'Look at dashboards',
      allow: [],
      deny: [],
      headers: {},
      credentials: null,
      recordBodies: { types: ['*/*'], bytesMax: 65_536 },
      recording: 'strict',
    },
  },
}

const policy: Policy = {
  name: 'dashboards are self-service',
  who: { groups: ['engineering'] },
  what: { resources: ['grafana'], labels: {}, roles: null },
  length: { defaultMs: 3_600_000, mostMs: 8 * 3_600_000 },
  reason: 'optional',
  ticket: null,
  approval: { kind: 'none' },
}

/** Stand beside the usual resources of the pages. */
export const withGrafana: More = { resources: [grafana], policies: [policy] }
export const origin = 'https://grafana.gw.example.com:8443'

export interface HttpRecorder {
  readonly id: string
  readonly admission: Admission
  event<Code extends HttpCode>(code: Code, data: HttpEvents[Code]): void
  body(data: HttpBytes['=b'], content: string | Buffer): void
  /** A request, and its answer if there is one. */
  exchange(asked: Partial<HttpEvents['q']>, answered?: Partial<HttpEvents['a']>): number
  pause(ms: number): Promise<void>
  seal(): Promise<void>
}

export async function startHttpRecording(pages: Pages, who: SignedIn): Promise<HttpRecorder> {
  await who.post('/ask', { resource: 'grafana', role: 'viewer', for: '1h', reason: '' })
  const admission = await pages.openSession(who.person, 'grafana', 'viewer')
  const { recorder, session } = admission
  let n = 0
  const event: HttpRecorder['event'] = (code, data) => recorder.event(code, data)
  return {
    id: session.id,
    admission,
    event,
    body: (data, content) => recorder.bytes('=b', { ...data }, Buffer.from(content as string)),
    exchange(asked, answered) {
      n++
      event('q', {
        n,
        method: 'GET',
        url: '/',
        origin,
        version: '2',
        id: `http-run-${n}`,
        from: '203.0.113.9:50001',
        headers: [],
        ...asked,
      })
      if (answered !== undefined) event('a', { ...usualAnswer, n, ...answered })
      return n
    },
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    seal: () => admission.end({ by: 'client', bytesFromClient: 4000, bytesFromTarget: 90_000 }),
  }
}

const usualAnswer: Omit<HttpEvents['a'], 'n'> = {
  ...{ status: 200, headers: [['content-type', 'application/json']], bytesUp: 0, bytesDown: 1830 },
  ...{ waitMs: 12.4, totalMs: 13, result: 'ok' },
}

/** Somebody looks at dashboards: a page with what it loads, a query, a live socket, refusals, an end by the target. */
export async function recordUsualWork(recording: HttpRecorder): Promise<void> {
  const html: HttpHeaders = [
    ['content-type', 'text/html; charset=utf-8'],
    ['cache-control', 'no-store'],
  ]
  const page = recording.exchange({
    url: '/d/orders/shop-orders?orgId=1&from=now-6h&to=now',
    headers: [
      ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0'],
      ['accept', 'text/html,application/xhtml+xml'],
      ['accept-language', 'de-CH,de;q=0.8,en;q=0.5'],
    ],
  })
  recording.body(
    { n: page, direction: 'down', type: 'text/html; charset=utf-8' },
    '<!doctype html>\n<title>Aufträge</title>\n',
  )
  recording.event('a', { n: page, ...usualAnswer, headers: html, bytesDown: 41, waitMs: 84, totalMs: 96.2 })
  for (const [url, bytesDown, waitMs] of [
    ['/public/build/app.4f31ac.js', 1_482_113, 31],
    ['/public/build/grafana.dark.9ac.css', 212_009, 22],
    ['/public/img/grafana_icon.svg', 5800, 9],
  ] as const)
    recording.exchange({ url }, { bytesDown, waitMs, totalMs: waitMs + bytesDown / 12_000 })
  recording.exchange(
    { url: '/public/fonts/inter/Inter-Regular.woff2' },
    { status: 304, bytesDown: 0, waitMs: 7, totalMs: 7 },
  )
  const socket = recording.exchange({ url: '/api/live/ws', version: '1.1', headers: [['sec-websocket-version', '13']] })
  recording.event('u', { n: socket, protocol: 'websocket', headers: [['sec-websocket-protocol', 'centrifuge-json']] })
  await recording.pause(20)
  const query = recording.exchange({
    ...{ method: 'POST', url: '/api/ds/query?ds_type=prometheus&requestId=Q101', version: '2' },
    headers: [['content-type', 'application/json']],
  })
  recording.body(
    { n: query, direction: 'up', type: 'application/json' },
    '{"queries":[{"expr":"sum(rate(orders_total[5m]))"}]}',
  )
  recording.body(
    { n: query, direction: 'down', type: 'application/json' },
    '{"results":{"A":{"status":200,"frames":[]}}}',
  )
  recording.event('a', { n: query, ...usualAnswer, bytesUp: 52, bytesDown: 45, waitMs: 412, totalMs: 431.7 })
  recording.event('w', {
    n: socket,
    messages: [
      [3, 'up', 1, 214],
      [18, 'down', 1, 96],
      [19, 'down', 2, 70_112],
    ],
  })
  recording.exchange(
    { method: 'DELETE', url: '/api/dashboards/uid/orders' },
    {
      status: 403,
      bytesDown: 312,
      totalMs: 0.4,
      result: 'refused',
      code: 'REQUEST_NOT_COVERED',
      why: 'The role viewer does not allow DELETE here.',
    },
  )
  recording.exchange(
    { url: '/api/reports/yearly' },
    {
      status: 504,
      bytesDown: 0,
      waitMs: 2980,
      totalMs: 2980,
      result: 'target',
      why: 'The target did not answer in time.',
    },
  )
  recording.event('m', { kind: 'warning', text: 'Your access to grafana as viewer ends in 5 minutes.' })
  recording.exchange(
    { url: '/logout', method: 'POST' },
    { status: 302, headers: [['location', '/login']], bytesDown: 0 },
  )
  recording.event('a', {
    n: socket,
    ...usualAnswer,
    headers: [],
    status: 101,
    bytesUp: 220,
    bytesDown: 70_220,
    totalMs: 61_400,
    result: 'client',
  })
}
