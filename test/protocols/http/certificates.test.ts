import { connect } from 'node:tls'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Listening } from '../../../src/kernel/listening.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { listenFront } from '../../../src/protocols/http/front.ts'
import { issue, makeAuthority, type Authority } from '../../../scripts/certificates.ts'
import { createLog } from '../../../src/observability/log.ts'

// Goal: each name is answered with a certificate that is for it. Method: real TLS clients that ask for names.
let authority: Authority
let listening: Listening

beforeAll(async () => {
  authority = await makeAuthority('Curfew test authority')
  const identity = async (...names: [string, ...string[]]) => {
    const { certificate, key } = await issue(authority, { names })
    return { certificate, key: new Secret(key) }
  }
  listening = await listenFront(
    {
      ...{ address: '127.0.0.1', port: 0, tls: await identity('gw.example.com') },
      certificates: [await identity('wiki.example.org', 'notes.example.org'), await identity('*.gw.example.com')],
      keepalives: null,
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

test.each([
  ['gw.example.com', 'DNS:gw.example.com'],
  ['wiki.example.org', 'DNS:wiki.example.org, DNS:notes.example.org'],
  ['notes.example.org', 'DNS:wiki.example.org, DNS:notes.example.org'],
  ['grafana.gw.example.com', 'DNS:*.gw.example.com'],
  ['GRAFANA.gw.example.com', 'DNS:*.gw.example.com'],
  ['a.b.gw.example.com', 'DNS:gw.example.com'],
  ['somebody.else.example', 'DNS:gw.example.com'],
  [undefined, 'DNS:gw.example.com'],
])('who asks for %s is shown a certificate for %s', async (servername, names) => {
  const { port } = listening
  const socket = connect({
    port,
    ca: authority.certificate,
    ...(servername && { servername }),
    rejectUnauthorized: false,
  })
  await once(socket, 'secureConnect')
  const { subjectaltname } = socket.getPeerCertificate()
  socket.destroy()
  expect(subjectaltname).toBe(names)
})
