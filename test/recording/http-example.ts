import type { RecordedEvent } from '../../src/recording/format.ts'
import type { HttpBytes, HttpCode, HttpEvents } from '../../src/recording/http-events.ts'

export function at<Code extends HttpCode>(seconds: number, code: Code, data: HttpEvents[Code]): RecordedEvent {
  return { seconds, code, data }
}

export function bodyAt(seconds: number, data: HttpBytes['=b'], content: string | Buffer): RecordedEvent {
  const bytes = Buffer.from(content as string)
  return { seconds, code: '=b', data: { ...data, bytes: bytes.length }, bytes }
}

export const httpHeader = {
  startedAt: '2026-11-22T14:48:07.120Z',
  session: 'session-1',
  personName: 'ada@example.com',
  resource: 'grafana',
  role: 'viewer',
  client: { protocol: 'http', address: '192.0.2.7', port: 50022, application: 'Firefox', tls: true },
}

const origin = 'https://grafana.gw.example.com:8443'

export function request(n: number, more: Partial<HttpEvents['q']> = {}): HttpEvents['q'] {
  const headers: HttpEvents['q']['headers'] = [['accept', 'text/html']]
  return {
    n,
    method: 'GET',
    url: '/',
    origin,
    version: '2',
    id: 'http-run-1',
    from: '192.0.2.7:50022',
    headers,
    ...more,
  }
}

export function answer(n: number, more: Partial<HttpEvents['a']> = {}): HttpEvents['a'] {
  return { n, status: 200, headers: [], bytesUp: 0, bytesDown: 0, waitMs: 10, totalMs: 12, result: 'ok', ...more }
}

/** A page with what it loads, a form, a WebSocket, a stream, refusals, and the end by the gate. */
export const httpSession: RecordedEvent[] = [
  at(0.1, 'q', request(1, { url: '/d/home?orgId=1&token=***' })),
  at(0.11, 'q', request(2, { url: '/public/app.js', headers: [] })),
  at(0.115, 's', { n: 1, status: 200, headers: [['content-type', 'text/html; charset=utf-8']] }),
  bodyAt(0.116, { n: 1, direction: 'down', type: 'text/html; charset=utf-8' }, '<!doctype html><title>Zürich'),
  bodyAt(0.12, { n: 1, direction: 'down' }, '</title>'),
  at(0.125, 'a', { n: 1, status: 200, bytesUp: 0, bytesDown: 37, waitMs: 15, totalMs: 25, result: 'ok' }),
  at(
    0.13,
    'a',
    answer(2, {
      status: 304,
      headers: [['etag', '"5f3"']],
      waitMs: 18,
      totalMs: 20,
    }),
  ),
  at(1, 'q', request(3, { method: 'POST', url: '/api/dashboards', version: '1.1' })),
  bodyAt(1.001, { n: 3, direction: 'up', type: 'application/json' }, '{"title":"Zü'),
  at(1.002, 'bx', { n: 3, direction: 'up', why: 'longer' }),
  bodyAt(1.1, { n: 3, direction: 'down', type: 'application/json', encoding: 'gzip' }, Buffer.from([0x1f, 0x8b, 8, 0])),
  at(1.2, 'a', answer(3, { status: 500, bytesUp: 70_000, bytesDown: 4, waitMs: 99.5, totalMs: 200, address: 'b:80' })),
  at(2, 'q', request(4, { url: '/api/live/ws', version: '1.1', headers: [] })),
  at(2.02, 'u', { n: 4, protocol: 'websocket', headers: [['upgrade', 'websocket']] }),
  at(3.02, 'w', {
    n: 4,
    messages: [
      [0, 'down', 1, 20],
      [500.5, 'up', 2, 70_000],
    ],
  }),
  at(4, 'q', request(5, { method: 'DELETE', url: '/api/users/7' })),
  at(4.001, 'a', {
    ...{ n: 5, status: 403, headers: [], bytesUp: 0, bytesDown: 90, totalMs: 1 },
    ...{ result: 'refused', code: 'REQUEST_NOT_COVERED', why: 'The role viewer does not allow DELETE /api/users/7.' },
  }),
  at(5, 'w', { n: 4, messages: [[100, 'up', 9, 0]] }),
  at(6, 'q', request(6, { url: '/slow' })),
  at(7, 'a', {
    ...{ n: 6, status: 0, headers: [], bytesUp: 0, bytesDown: 0, totalMs: 1000 },
    ...{ result: 'target', code: 'UPSTREAM_UNREACHABLE', why: 'The target closed the connection.' },
  }),
  at(8, 'm', { kind: 'warning', text: 'Your access to grafana ends in 1 min.' }),
  at(67, 'm', { kind: 'cut', text: 'Your access has ended.', code: 'GRANT_EXPIRED' }),
  at(67.01, 'a', {
    ...{ n: 4, status: 101, bytesUp: 70_020, bytesDown: 24, waitMs: 20, totalMs: 65_010 },
    ...{ result: 'gate', code: 'GRANT_EXPIRED', why: 'Your access has ended.' },
  }),
]
