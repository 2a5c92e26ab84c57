import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { summarise } from '../../src/config/summary.ts'
import type { HttpResource } from '../../src/resources/catalogue.ts'
import type { ConfigFolder } from './example.ts'
import { httpConfig, httpEnvironment, makeHttpFolder, spoilt, withCredentials, withUrl } from './http-example.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeHttpFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

async function application(name: string, text = httpConfig): Promise<HttpResource> {
  const found = (await folder.check(text, httpEnvironment)).config.resources.find((one) => one.name === name)
  if (found?.kind !== 'http') throw new Error(`${name} is an application`)
  return found
}

describe('an application', () => {
  test('is read with all that can be said of it', async () => {
    const grafana = await application('grafana')
    expect(grafana).toMatchObject({
      ...{ version: 'http1', hostHeader: 'keep', hosts: ['dashboards.example.com'] },
      addresses: [
        { text: 'https://grafana-1.internal:3000', tls: true, host: 'grafana-1.internal', port: 3000 },
        { text: 'http://127.0.0.1:3000', tls: false, host: '127.0.0.1', port: 3000 },
      ],
      health: { path: '/api/health', everyMs: 10_000, timeoutMs: 2000 },
      cors: { origins: ['https://app.example.com'], methods: ['GET'], headers: ['x-trace'], maxAgeS: 90 },
      recordHeaders: ['x-request-id'],
      maskQuery: ['ticket'],
    })
    expect(Object.keys(grafana.cors!)).toEqual(['origins', 'methods', 'headers', 'maxAgeS'])
    expect(grafana.tls.ca).toContain('BEGIN CERTIFICATE')
    expect(grafana.roles['viewer']).toMatchObject({
      ...{ kind: 'http', name: 'viewer', recording: 'strict' },
      allow: [{ methods: ['GET', 'HEAD'], paths: ['/api/**'] }],
      deny: [{ methods: [], paths: ['/admin/*'] }],
      headers: { 'x-webauth-user': 'email' },
      credentials: { kind: 'basic', user: 'curfew' },
      recordBodies: { types: ['application/json'], bytesMax: 1024 },
    })
  })

  test('needs little', async () => {
    expect(await application('wiki')).toEqual({
      ...{ kind: 'http', name: 'wiki', description: '', labels: { env: 'staging' } },
      addresses: [
        { text: 'unix:/run/wiki.sock', tls: false, host: 'localhost', port: 80, socketPath: '/run/wiki.sock' },
      ],
      tls: { ca: null, serverName: null },
      ...{ version: 'http1', hosts: [], hostHeader: 'keep', health: null, cors: null },
      ...{ recordHeaders: [], maskQuery: [] },
      roles: {
        reader: {
          ...{ kind: 'http', name: 'reader', description: '', allow: [], deny: [], headers: {} },
          ...{ credentials: null, recordBodies: null, recording: 'strict' },
        },
      },
    })
  })

  test('may be used by pages of other origins with the usual methods unless it says which', async () => {
    const { cors } = await application('grafana', spoilt('methods: [get], headers: [X-Trace], maxAge: 90s', ''))
    expect(cors).toMatchObject({
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      headers: [],
      maxAgeS: 600,
    })
  })

  test.each([
    ['bearer: env:APP', { kind: 'bearer' }],
    ['header: { name: Authorization, value: env:SPACED }', { kind: 'header', name: 'authorization' }],
    ['certificate: { certificate: gw.pem, key: file:gw.key }', { kind: 'certificate' }],
  ])('shows its target %s', async (text, expected) => {
    const grafana = await application('grafana', withCredentials(text))
    expect(grafana.roles['viewer']!.credentials).toMatchObject(expected)
    expect(JSON.stringify(grafana)).not.toMatch(/hunter2|PRIVATE KEY/)
  })

  test('is in the summary with its addresses', async () => {
    const { resources } = summarise((await folder.check(httpConfig, httpEnvironment)).config)
    expect(resources).toContain('grafana (http https://grafana-1.internal:3000, http://127.0.0.1:3000): viewer')
  })
})

test('what concerns all applications has defaults, and can be set', async () => {
  const { config } = await folder.check(httpConfig, httpEnvironment)
  expect(config.gateway.domain).toBe('gw.example.com')
  expect(config.limits).toMatchObject({ webConnectionsPerAddressMax: 2048, webConnectionsMax: 8192 })
  expect(config.access.httpIdleMs).toBe(900_000)
  expect(config.listen.web.certificates).toHaveLength(1)
  const text = spoilt(
    'publicUrl: https://gw.example.com',
    'publicUrl: https://gw.example.com\n  domain: apps.example.com',
  ).replace(
    'identity:',
    'limits: { webConnections: 9, webConnectionsPerAddress: 3 }\naccess: { httpIdle: 1m }\nidentity:',
  )
  const other = (await folder.check(text, httpEnvironment)).config
  expect(other.gateway.domain).toBe('apps.example.com')
  expect(other.limits).toMatchObject({ webConnectionsPerAddressMax: 3, webConnectionsMax: 9 })
  expect(other.access.httpIdleMs).toBe(60_000)
})

test('a mistake hides no file that is missing beside it', async () => {
  const text = withCredentials('certificate: { certificate: gone.pem, key: file:gone.key }')
    .replace('health: { path', 'health: { pth')
    .replace('ca: ca.pem }\n    hosts', 'ca: gone-ca.pem }\n    hosts')
    .replace('apps.pem', 'gone-apps.pem')
    .replace('port: 8443', 'port: 84430')
    .replace('reader: {}', 'reader: { x: 1, credentials: { bearer: env:ABSENT } }')
  expect((await folder.problems(text, httpEnvironment)).map((line) => line.split(' ')[1])).toEqual([
    'listen.web.port:',
    'listen.web.certificates[0].certificate:',
    'resources.grafana.tls.ca:',
    'resources.grafana.health.path:',
    'resources.grafana.health.pth:',
    'resources.grafana.roles.viewer.credentials.certificate.certificate:',
    'resources.grafana.roles.viewer.credentials.certificate.key:',
    'resources.wiki.roles.reader.x:',
    'resources.wiki.roles.reader.credentials.bearer:',
  ])
})

describe('what is worth knowing is said, not refused:', () => {
  const notices = async (text: string) => {
    const { notices: found } = await folder.check(text, httpEnvironment)
    return found.map(({ path, message, hint }) => [path, message, hint])
  }

  test('nothing, when all is well', async () => {
    expect(await notices(httpConfig)).toEqual([])
  })

  test('names that no certificate is for', async () => {
    const text = spoilt(', certificates: [{ certificate: apps.pem, key: file:apps.key }]', '')
    expect(await notices(text)).toEqual([
      [
        'resources.grafana',
        'no certificate of `listen.web` is for grafana.gw.example.com, so browsers will warn',
        'One for *.gw.example.com covers every application.',
      ],
      [
        'resources.grafana.hosts[0]',
        'no certificate of `listen.web` is for dashboards.example.com, so browsers will warn',
        'Add one to `listen.web.certificates`.',
      ],
      ['resources.wiki', expect.stringContaining('is for wiki.gw.example.com'), expect.anything()],
    ])
  })

  test('an application that no name leads to', async () => {
    const text = spoilt('https://gw.example.com', 'https://192.0.2.1')
    expect(await notices(text)).toEqual([
      [
        'resources.wiki',
        'nobody can reach it: below the address 192.0.2.1 there are no names',
        'Set `gateway.domain`, or give it `hosts`.',
      ],
    ])
    expect(await notices(text.replace('192.0.2.1\n', '192.0.2.1\n  domain: gw.example.com\n'))).toEqual([])
  })

  test('ways that others on the network can read', async () => {
    expect(await notices(spoilt('http://127.0.0.1:3000', 'http://grafana-2.internal'))).toEqual([
      [
        'resources.grafana.urls[1]',
        'the way to grafana-2.internal is neither encrypted nor verified',
        'Use `https://`, with `tls.ca` where the target has an authority of its own.',
      ],
    ])
    expect(await notices(withUrl('http://[::1]:3000'))).toEqual([])
  })

  test('methods that are likely misspelt', async () => {
    expect(await notices(spoilt('deny: [{ paths: [/admin/*] }]', 'deny: [{ methods: [POST, DELTE] }]'))).toEqual([
      [
        'resources.grafana.roles.viewer.deny[0].methods[1]',
        'DELTE is none of the usual methods',
        'Did you mean DELETE?',
      ],
    ])
  })

  test('roles without a recording, and roles that nobody can ask for', async () => {
    const text = spoilt('reader: {}', 'reader: { recording: off }').replace('[grafana, wiki]', '[wiki]')
    expect(await notices(text)).toEqual([
      ['resources.grafana.roles.viewer', 'no policy lets anybody ask for it', null],
      ['resources.wiki.roles.reader.recording', 'sessions with this role leave no recording', null],
    ])
  })
})
