// Goal: what cannot be read is refused in words that programs read, and the connection ends.
// Method: raw bytes over TLS to the real front, with pages that answer and no applications.
import type { ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { connect } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { issue, makeAuthority } from '../../../scripts/certificates.ts'
import type { Listening } from '../../../src/kernel/listening.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { createLog } from '../../../src/observability/log.ts'
import { listenFront } from '../../../src/protocols/http/front.ts'

let listening: Listening

beforeAll(async () => {
  const { certificate, key } = await issue(await makeAuthority('Curfew test authority'), { names: ['localhost'] })
  listening = await listenFront(
    {
      ...{ address: '127.0.0.1', port: 0, tls: { certificate, key: new Secret(key) } },
      ...{ certificates: [], keepalives: null },
    },
    {
      pages: { handle: (_, response) => void (response as ServerResponse).writeHead(204).end(), close() {} },
      applications: null,
      limits: { webConnectionsPerAddressMax: 100, webConnectionsMax: 100 },
      log: createLog({ level: 'error' }),
    },
  )
})
afterAll(() => listening?.[Symbol.asyncDispose]())

const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'

test.each([
  ['a line that is no request', 'GET\r\n\r\n', 400],
  ['a head without end', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(40_000)}`, 431],
  ['an upgrade of the pages', `GET / HTTP/1.1\r\nHost: localhost\r\n${upgrade}\r\n`, 400],
])('%s gets a problem and the end', async (_, bytes, status) => {
  const socket = connect({ port: listening.port, rejectUnauthorized: false })
  socket.write(bytes)
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(head).toContain('Content-Type: application/problem+json')
  expect(head).toContain('Connection: close')
  expect(head).toContain(`Content-Length: ${Buffer.byteLength(body)}`)
  const says = { status, code: 'PROTOCOL_VIOLATION', hint: expect.any(String), detail: expect.any(String) }
  expect(JSON.parse(body)).toMatchObject(says)
})
