import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCatalogue, type HttpResource } from '../../src/resources/catalogue.ts'
import { appOrigin, createHosts } from '../../src/resources/hosts.ts'

const application = (name: string, ...hosts: string[]): HttpResource => ({
  ...{ kind: 'http', name, description: '', labels: {}, hosts, version: 'http1', hostHeader: 'keep' },
  addresses: [{ text: 'http://localhost', tls: false, host: 'localhost', port: 80, socketPath: null }],
  tls: { ca: null, serverName: null },
  ...{ health: null, cors: null, recordHeaders: [], maskQuery: [], roles: {} },
})
const grafana = application('grafana')
const wiki = application('wiki', 'wiki.example.com', 'handbook.example.com')
const catalogue = createCatalogue([
  {
    ...{ kind: 'postgres', name: 'shop', description: '', labels: {}, host: 'shop', port: 5432 },
    ...{
      others: [],
      targetSession: 'any',
      connectMs: 15_000,
      minTlsVersion: 'TLSv1.2',
      keepalives: null,
      logins: ['scram-sha-256'],
    },
    tls: { mode: 'verify-full', ca: null, serverName: null, identity: null },
    roles: {},
  },
  grafana,
  wiki,
])

test('an application is at its name below the domain, and at its extra hosts', () => {
  const hosts = createHosts(catalogue, 'gw.example.com')
  expect(hosts.resource('grafana.gw.example.com')).toBe(grafana)
  expect(hosts.resource('wiki.gw.example.com')).toBe(wiki)
  expect(hosts.resource('handbook.example.com')).toBe(wiki)
  expect([grafana, wiki].map((one) => hosts.hostOf(one))).toEqual(['grafana.gw.example.com', 'wiki.gw.example.com'])
})

test.each([
  ['the gateway’s own', 'gw.example.com'],
  ['a database’s', 'shop.gw.example.com'],
  ['a name below an application’s', 'a.grafana.gw.example.com'],
  ['a name that only ends alike', 'evil-grafana.gw.example.com'],
  ['a name of the object that holds them', 'constructor'],
  ['nothing', ''],
])('%s is nobody’s', (_what, host) => {
  expect(createHosts(catalogue, 'gw.example.com').resource(host)).toBeUndefined()
})

test.each(['192.0.2.1', '[2001:db8::1]'])('below the address %s there are only extra hosts', (domain) => {
  const hosts = createHosts(catalogue, domain)
  expect(hosts.hostOf(wiki)).toBe('wiki.example.com')
  expect(hosts.hostOf(grafana)).toBeUndefined()
  expect(hosts.resource('wiki.example.com')).toBe(wiki)
  expect(hosts.resource(`grafana.${domain}`)).toBeUndefined()
})

test('what a resource is shown at leads back to it', () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/)
  fc.assert(
    fc.property(fc.uniqueArray(label, { minLength: 1, maxLength: 8 }), label, (names, domain) => {
      const all = names.map((name) => application(name, `${name}.extra.example`))
      const hosts = createHosts(createCatalogue(all), `${domain}.example`)
      for (const one of all) expect(hosts.resource(hosts.hostOf(one)!)).toBe(one)
    }),
  )
})

test('the address of an application has the port of the pages, unless that is the usual one', () => {
  expect(appOrigin(new URL('https://gw.example.com'), 'wiki.example.com')).toBe('https://wiki.example.com')
  expect(appOrigin(new URL('https://gw.example.com:443'), 'a.b')).toBe('https://a.b')
  expect(appOrigin(new URL('https://localhost:8443'), 'demo.localhost')).toBe('https://demo.localhost:8443')
})
