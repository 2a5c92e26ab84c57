import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readHttpAddress } from '../../src/config/http-address.ts'

test.each([
  ['https://grafana.internal:3000', { tls: true, host: 'grafana.internal', port: 3000, socketPath: null }],
  ['https://grafana.internal', { tls: true, host: 'grafana.internal', port: 443, socketPath: null }],
  ['http://10.0.0.5/', { tls: false, host: '10.0.0.5', port: 80, socketPath: null }],
  ['HTTPS://Wiki.Internal', { tls: true, host: 'wiki.internal', port: 443, socketPath: null }],
  ['https://[2001:DB8::1]:8443', { tls: true, host: '2001:db8::1', port: 8443, socketPath: null }],
  ['http://my_service:80', { tls: false, host: 'my_service', port: 80, socketPath: null }],
  ['unix:/run/app.sock', { tls: false, host: 'localhost', port: 80, socketPath: '/run/app.sock' }],
])('%s is read', (text, expected) => {
  expect(readHttpAddress(text)).toEqual({ text, ...expected })
})

const form = '`https://HOST:PORT`, `http://HOST:PORT` or `unix:/PATH`'
const bare = 'only scheme, host and port'

describe('refuses', () => {
  test.each([
    ['a name alone', 'grafana.internal', form, 'got something else'],
    ['a name with its port', 'grafana.internal:3000', form, 'got something else'],
    ['another scheme', 'ftp://grafana', form, 'got ftp://'],
    ['the scheme of a WebSocket', 'wss://grafana', form, 'got wss://'],
    ['a path', 'https://grafana/dashboards', bare, 'got a path'],
    ['two slashes', 'https://grafana//', bare, 'got a path'],
    ['a query', 'https://grafana?x=hunter2', bare, 'got a query or fragment'],
    ['a fragment', 'https://grafana/#x', bare, 'got a query or fragment'],
    ['a password', 'https://admin:hunter2@grafana', bare, 'got a user name or password'],
    ['a password with a slash behind', 'https://admin:hunter2@grafana/x', bare, 'got a user name or password'],
    ['a port of 0', 'https://grafana:0', form, 'got something else'],
    ['a port beyond the last', 'https://grafana:65536', form, 'got something else'],
    ['a port without digits', 'https://grafana:', form, 'got something else'],
    ['nobody', 'https://', form, 'got something else'],
    ['missing slashes', 'https:grafana', form, 'got something else'],
    ['a backslash', String.raw`https:\\grafana`, form, 'got something else'],
    ['spaces around', ' https://grafana ', form, 'got something else'],
    ['a tab within', 'https://graf\tana', form, 'got something else'],
    ['a broken address', 'https://[2001:db8::zz]', form, 'got something else'],
    ['a number too large for an address', 'http://256.256.256.256', form, 'got something else'],
    [
      'a socket without a folder',
      'unix:app.sock',
      'the absolute path of a socket, such as unix:/run/app.sock',
      'got another',
    ],
    [
      'a host beside the socket',
      'unix://run/app.sock',
      'the absolute path of a socket, such as unix:/run/app.sock',
      '',
    ],
    ['a socket’s path that no system takes', `unix:/${'x'.repeat(107)}`, 'a socket’s path of at most 107 bytes', ''],
  ])('%s', (_what, text, expected, message) => {
    const read = readHttpAddress(text)
    expect(read).toMatchObject({ expected })
    if (message !== '') expect(read).toMatchObject({ message })
    expect(JSON.stringify(read)).not.toContain('hunter2')
  })
})

const host = fc.oneof(
  fc.stringMatching(/^[a-z][a-z0-9-]{0,10}(\.[a-z]{2,5}){0,2}$/),
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address}]`),
)

test('what is read is what a URL parser makes of it', () => {
  fc.assert(
    fc.property(fc.constantFrom('http', 'https'), host, fc.option(fc.integer({ min: 1, max: 65535 })), (...parts) => {
      const [scheme, name, port] = parts
      const text = `${scheme}://${name}${port === null ? '' : `:${port}`}`
      const url = new URL(text)
      const usual = scheme === 'https' ? 443 : 80
      expect(readHttpAddress(text)).toEqual({
        ...{ text, tls: scheme === 'https', socketPath: null },
        host: url.hostname.replace(/[[\]]/g, ''),
        port: url.port === '' ? usual : Number(url.port),
      })
    }),
  )
})

test('whatever the text, it is read as an address without the rest, or refused', () => {
  const junk = fc.array(
    fc.constantFrom('http', 's', '://', ':', '/', '@', '?', '#', '\\', '[', ']', '.', 'a', '1', ' ', '%', 'é'),
  )
  fc.assert(
    fc.property(
      fc.oneof(
        junk.map((parts) => parts.join('')),
        fc.string(),
        fc.webUrl(),
      ),
      (text) => {
        const read = readHttpAddress(text)
        if (!('host' in read)) {
          expect(read.message).not.toBe('')
          return
        }
        const url = new URL(text)
        expect([url.username, url.password, url.search, url.hash]).toEqual(['', '', '', ''])
        expect(url.pathname).toBe('/')
        expect(read.port).toBeGreaterThan(0)
      },
    ),
    { numRuns: 2000 },
  )
})
