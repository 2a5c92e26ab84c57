// Goal: recordings tell what happened and hold no secrets.
// Method: tables, and properties over headers and parameters with secret names.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { maskedUrl, recordedHeaders } from '../../../src/protocols/http/recorded-parts.ts'
import { isSecretHeader } from '../../../src/resources/header-names.ts'

const none: ReadonlySet<string> = new Set()

describe('headers', () => {
  test('the usual ones and those that are named, in order', () => {
    const raw = ['ETag', '"1"', 'X-Mine', 'a', 'X-Other', 'b', 'Accept', 'x', 'accept', 'y']
    expect(recordedHeaders(raw, new Set(['x-mine']))).toEqual([
      ...[
        ['etag', '"1"'],
        ['x-mine', 'a'],
        ['accept', 'x'],
        ['accept', 'y'],
      ],
    ])
  })

  test.each([
    ...[
      'Cookie',
      'Set-Cookie',
      'Authorization',
      'Proxy-Authorization',
      'WWW-Authenticate',
      'X-Auth-Token',
      'X-API-Key',
      'X_Api_Key',
    ],
    ...[
      'ApiKey',
      'Client-Secret',
      'X-CSRF-Token',
      'Curfew-Assertion',
      'X-Amz-Security-Token',
      'X-Password',
      'X-Session-Id',
    ],
  ])('%s never', (name) => {
    expect(isSecretHeader(name)).toBe(true)
    expect(recordedHeaders([name, 'secret'], new Set([name.toLowerCase()]))).toEqual([])
  })

  test('values are cut, and URLs in them masked', () => {
    const raw = [
      'User-Agent',
      'u'.repeat(5000),
      'Referer',
      'https://a/b?code=1#x',
      'Location',
      '/cb?code=1&page=2#access_token=3',
    ]
    const [agent, referer, location] = recordedHeaders(raw, none)
    expect(agent![1]).toHaveLength(1024)
    expect(referer![1]).toBe('https://a/b?***')
    expect(location![1]).toBe('/cb?code=***&page=2#access_token=***')
  })

  test('tokens that browsers put into a WebSocket protocol are masked', () => {
    const value = (text: string) => recordedHeaders(['Sec-WebSocket-Protocol', text], none)[0]![1]
    expect(value('base64url.bearer.authorization.k8s.io.AAAA, v4.channel.k8s.io')).toBe('***')
    expect(value('v1, eyJhbGciOi.eyJ.x')).toBe('***')
    expect(value(`v1,${'a1'.repeat(20)}`)).toBe('***')
    expect(value('mqtt')).toBe('mqtt')
    expect(value('graphql-transport-ws, graphql-ws, soap')).toBe('graphql-transport-ws, graphql-ws, soap')
  })

  test.each([
    ['https://user:password@host/a@b', 'https://***@host/a@b'],
    ['//user:password@host', '//***@host'],
    ['https://host/a@b?c=d@e', 'https://host/a@b?c=d@e'],
    ['/a//b@c', '/a//b@c'],
  ])('a password in a URL is masked: %s', (url, expected) => {
    expect(recordedHeaders(['Location', url, 'Content-Location', url], none).map(([, value]) => value)).toEqual([
      expected,
      expected,
    ])
  })
})

describe('URLs', () => {
  test.each([
    ['/a?b=1', '/a?b=1'],
    ['/a', '/a'],
    ['/a?token=1&b=2', '/a?token=***&b=2'],
    ['/a?b=2&ToKeN=1', '/a?b=2&ToKeN=***'],
    ['/a?%74oken=1', '/a?%74oken=***'],
    ['/a?user[password]=1', '/a?user[password]=***'],
    ['/a?X-Amz-Signature=1&X-Amz-Credential=2', '/a?X-Amz-Signature=***&X-Amz-Credential=***'],
    ['/a?code=1;state=2', '/a?code=***;state=***'],
    ['/a?token=a=b&c=d', '/a?token=***&c=d'],
    ['/a?token=1?token=2/3', '/a?token=***'],
    ['/a;jsessionid=1/b;v=2?c=3', '/a;jsessionid=***/b;v=2?c=3'],
    ['/token=1/a', '/token=1/a'],
    ['/a?monkey=1&keyboard=2&statement=3', '/a?monkey=1&keyboard=2&statement=3'],
    ['/a?%zz=1&key=2', '/a?%zz=1&key=***'],
  ])('%s', (url, expected) => {
    expect(maskedUrl(url, none)).toBe(expected)
  })

  test('more names, and an end', () => {
    expect(maskedUrl('/a?iban=1&b=2', new Set(['iban']))).toBe('/a?iban=***&b=2')
    expect(maskedUrl(`/${'x'.repeat(20_000)}`, none)).toHaveLength(8192)
  })

  test('no value of a secret parameter is left, wherever it stands', () => {
    const name = fc.constantFrom(
      'token',
      'access_token',
      'ID_TOKEN',
      'code',
      'state',
      'password',
      'secret',
      'api_key',
      'apikey',
      'key',
      'sig',
      'signature',
    )
    const harmless = fc.constantFrom('a=1', 'b', '=', '', 'q=x/y')
    fc.assert(
      fc.property(
        fc.array(harmless),
        name,
        fc.array(harmless),
        fc.constantFrom('&', ';'),
        (before, secret, after, separator) => {
          const url = `/p?${[...before, `${secret}=hunter2/x?y=%26`, ...after].join(separator)}`
          expect(maskedUrl(url, none)).not.toContain('hunter2')
        },
      ),
    )
  })
})
